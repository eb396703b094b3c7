/*
 * relay_send.c
 *	  From the relay's window to the brokers, and what they report.
 *
 * Rows are sent in order by a strict producer, which stops when a broker
 * refuses a batch.  Then nothing is sent until what has become of every row
 * under way is known, the producer is opened anew, and the rows that are not
 * done go out in their old order: those of the batch one by one, by another
 * producer that a refusal does not stop, and with nothing else under way.
 * Only a row that is refused alone is hopeless.
 */
#include "postgres.h"
#include "core/compat.h"

#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "core/clock.h"
#include "core/testing.h"
#include "relay/relay.h"

#define WAIT_MS 250
#define RECALL_MS 1000
#define MIN_BACKOFF_MS 100
#define MAX_BACKOFF_MS 10000

/* Reports taken in one go, before other things have their turn. */
#define EVENTS_PER_ROUND 20000

static void
put_off(KeRelay *relay, KeMoment now, int ms)
{
	relay->not_before = TimestampTzPlusMilliseconds(now, ms);
}

/* --------------------------------------------------------------- producers */

void
ke_relay_send_open_strict(KeRelay *relay)
{
	relay->strict = ke_producer_open(&relay->server->options,
									 &relay->server->mapping,
									 relay->client_id, true);
}

static KeProducer *
get_single(KeRelay *relay)
{
	if (relay->single == NULL)
		relay->single = ke_producer_open(&relay->server->options,
										 &relay->server->mapping,
										 relay->client_id, false);
	return relay->single;
}

static void
close_producer(KeRelay *relay, KeProducer **producer)
{
	if (*producer == NULL)
		return;
	relay->setting.forget_fd();
	ke_producer_close(*producer);
	*producer = NULL;
}

/* -------------------------------------------------------------- recovering */

/* Stop sending, until it is known what has become of everything sent. */
static void
recover(KeRelay *relay)
{
	relay->recovering = true;
	relay->recall_at = 0;
}

/*
 * Rows whose request failed return to the library's queue, and wait there for
 * ever once a producer has stopped: recall those, too.
 */
static void
recall(KeRelay *relay, KeMoment now)
{
	if (now < relay->recall_at)
		return;
	ke_producer_recall(relay->strict);
	if (relay->single != NULL)
		ke_producer_recall(relay->single);
	relay->recall_at = TimestampTzPlusMilliseconds(now, RECALL_MS);
}

/* Everything is known: begin again with the oldest row that is not done. */
static void
start_over(KeRelay *relay, KeMoment now)
{
	close_producer(relay, &relay->strict);
	if (relay->single_has_stopped)
		close_producer(relay, &relay->single);
	relay->single_has_stopped = false;
	ke_relay_send_open_strict(relay);
	relay->recovering = false;
	relay->next = relay->window.head;

	if (relay->progress)
		relay->backoff_ms = 0;
	else
		relay->backoff_ms = Min(Max(relay->backoff_ms * 2, MIN_BACKOFF_MS),
								MAX_BACKOFF_MS);
	relay->progress = false;
	put_off(relay, now, relay->backoff_ms);
}

/* ----------------------------------------------------------------- reports */

/* What it says, and what to do about it if we know that. */
static const char *
explain(const KeProducerEvent *event)
{
	const char *hint = ke_producer_error_hint(event->error);

	return hint == NULL ? event->text : psprintf("%s (%s)", event->text, hint);
}

static void
give_row_up(KeRelay *relay, KeRelayRow *row, const char *reason, bool absent)
{
	row->state = KE_ROW_HOPELESS;
	row->reason = MemoryContextStrdup(relay->window.context, reason);
	row->topic_is_absent = absent;
	relay->hopeless++;
	relay->progress = true;
}

static void
row_is_published(KeRelay *relay, KeRelayRow *row)
{
	row->state = KE_ROW_PUBLISHED;
	relay->progress = true;
	ke_relay_trouble_clear(relay);
	if (row->alone)
		ke_relay_topics_unlearn(relay, row);
}

static void
row_is_refused(KeRelay *relay, KeRelayRow *row, const KeProducerEvent *event)
{
	relay->progress = true;
	if (!row->alone)
	{
		row->state = KE_ROW_SUSPECT;
		recover(relay);
		return;
	}
	ke_relay_topics_learn(relay, row, event->too_large);
	give_row_up(relay, row, explain(event), false);
}

/*
 * Its topic takes nothing from us, so none of the rows for it goes out; that
 * is the topic's fault, and needs no proof by a row sent alone.
 */
static void
row_is_forbidden(KeRelay *relay, KeRelayRow *row,
				 const KeProducerEvent *event)
{
	const char *reason = psprintf("topic \"%s\": %s", row->record.topic,
								  explain(event));

	ke_relay_topics_forbid(relay, row, reason);
	if (row->alone)
	{
		give_row_up(relay, row, reason, false);
		return;
	}
	row->state = KE_ROW_WAITING;
	relay->progress = true;
	recover(relay);
}

static void
take_report(KeRelay *relay, const KeProducerEvent *event)
{
	KeRelayRow *row = ke_relay_window_row(&relay->window, event->id);

	Assert(row->state == KE_ROW_SENT);
	relay->under_way--;
	switch (event->report)
	{
		case KE_REPORT_DONE:
			row_is_published(relay, row);
			break;
		case KE_REPORT_REFUSED:
			row_is_refused(relay, row, event);
			break;
		case KE_REPORT_TOPIC:
			ke_relay_topics_doubt(relay, row);
			row->state = row->alone ? KE_ROW_SUSPECT : KE_ROW_WAITING;
			recover(relay);
			break;
		case KE_REPORT_FORBIDDEN:
			row_is_forbidden(relay, row, event);
			break;
		case KE_REPORT_UNSENT:
			row->state = row->alone ? KE_ROW_SUSPECT : KE_ROW_WAITING;
			recover(relay);
			break;
	}
}

/*
 * The library's words, at the level they deserve; never more than LOG.  What
 * is for debugging comes only if the server's option "debug" asks for it.
 */
static void
write_log(const KeProducerEvent *event)
{
	ereport(event->severity <= 4 || event->severity >= 7 ? LOG : DEBUG1,
			(errmsg_internal("librdkafka: %s", event->text)));
}

static void
take_event(KeRelay *relay, KeProducer *from, const KeProducerEvent *event)
{
	switch (event->kind)
	{
		case KE_PRODUCER_REPORT:
			take_report(relay, event);
			break;
		case KE_PRODUCER_FATAL:
			if (event->text != NULL)
				ke_relay_trouble(relay, "%s", explain(event));
			if (from == relay->single)
				relay->single_has_stopped = true;
			recover(relay);
			break;
		case KE_PRODUCER_ERROR:
			ke_relay_trouble(relay, "%s", explain(event));
			break;
		case KE_PRODUCER_LOG:
			write_log(event);
			break;
	}
}

static void
poll(KeRelay *relay, KeProducer *producer)
{
	KeProducerEvent event;

	for (int i = 0; i < EVENTS_PER_ROUND; i++)
	{
		if (producer == NULL || !ke_producer_poll(producer, &event))
			break;
		take_event(relay, producer, &event);
	}
}

/* Take what the producers report, and go on with what follows from it. */
void
ke_relay_send_serve(KeRelay *relay, KeMoment now)
{
	poll(relay, relay->strict);
	poll(relay, relay->single);
	if (!relay->recovering)
		return;
	if (relay->under_way > 0)
		recall(relay, now);
	else if (!relay->closing)
		start_over(relay, now);
}

/* -------------------------------------------------------------------- send */

/* False if it cannot be sent now. */
static bool
hand_over(KeRelay *relay, KeRelayRow *row, int32 partition, bool alone,
		  KeMoment now)
{
	KeProducer *producer = alone ? get_single(relay) : relay->strict;
	KeRecord	record = row->record;
	KeProducerEvent failure;

	record.partition = partition;
	switch (ke_producer_send(producer, &record, relay->next, &failure))
	{
		case KE_SEND_TAKEN:
			row->state = KE_ROW_SENT;
			row->alone = alone;
			relay->under_way++;
			return true;

		case KE_SEND_FULL:
			if (relay->under_way > 0)
				return false;
			give_row_up(relay, row, "larger than any request", false);
			return true;

		case KE_SEND_FAILED:
			if (failure.report == KE_REPORT_REFUSED)
			{
				give_row_up(relay, row, explain(&failure), false);
				return true;
			}
			if (failure.report == KE_REPORT_FORBIDDEN)
			{
				row_is_forbidden(relay, row, &failure);
				return false;
			}
			if (failure.report == KE_REPORT_TOPIC)
				ke_relay_topics_doubt(relay, row);
			else
				recover(relay);
			put_off(relay, now, WAIT_MS);
			return false;
	}
	pg_unreachable();
}

/* The next row; false if it, and so everything behind it, has to wait. */
static bool
send_next(KeRelay *relay, KeRelayRow *row, KeMoment now)
{
	int32		partition;
	char	   *reason;
	bool		absent;
	bool		alone = row->state == KE_ROW_SUSPECT;

	switch (ke_relay_topics_judge(relay, row, &partition, now, &reason,
								  &absent))
	{
		case KE_RELAY_SEND:
			break;
		case KE_RELAY_ALONE:
			alone = true;
			break;
		case KE_RELAY_WAIT:
			put_off(relay, now, WAIT_MS);
			return false;
		case KE_RELAY_NEVER:
			give_row_up(relay, row, reason, absent);
			return true;
	}
	if (alone && relay->under_way > 0)
		return false;
	if (!hand_over(relay, row, partition, alone, now))
		return false;
	relay->only = alone && row->state == KE_ROW_SENT;
	return true;
}

void
ke_relay_send(KeRelay *relay, KeMoment now)
{
	if (relay->recovering || now < relay->not_before)
		return;
	while (relay->next < relay->window.tail)
	{
		KeRelayRow *row = ke_relay_window_row(&relay->window, relay->next);

		if (relay->only && relay->under_way > 0)
			break;
		if ((row->state == KE_ROW_WAITING || row->state == KE_ROW_SUSPECT) &&
			!send_next(relay, row, now))
			break;
		KE_CRASH_POINT("relay: between sends");
		relay->next++;
	}
}
