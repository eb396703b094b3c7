/*
 * relay_cycle.c
 *	  What a relay does: one server's outbox, published in order.
 *
 * See outbox/outbox_read.h for intervals.  Each transaction here is short, and
 * may fail without harm: it is tried again a second later.
 */
#include "postgres.h"
#include "core/compat.h"

#include "access/xlog.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "core/clock.h"
#include "core/testing.h"
#include "core/trace.h"
#include "relay/relay.h"
#include "session/attempt.h"
#include "session/xact.h"
#include "shm/slot.h"
#include "state/histories.h"

#define CLUSTER_ID_MS 500
#define CONNECT_INTERVAL_MS 1000
#define TAKE_INTERVAL_MS 1000

/* Each interval costs a flush of the WAL: under load they are this long. */
#define REST_MS 5

/* How long copies of messages that failed wait for more of them. */
#define GATHER_MS 20

#define SAVE_INTERVAL_MS 1000
#define TIDY_INTERVAL_MS 10000
#define LOOK_INTERVAL_MS 5000

/* After a transaction that failed. */
#define FAILED_MS 1000

KeRelay *
ke_relay_make(const KeRelaySetting *setting, MemoryContext parent)
{
	KeRelay    *relay = MemoryContextAllocZero(parent, sizeof(KeRelay));

	relay->setting = *setting;
	relay->context = AllocSetContextCreate(parent, "kafka_events relay",
										   ALLOCSET_DEFAULT_SIZES);
	relay->reader = ke_outbox_read_make(setting->server, relay->context);
	ke_relay_window_init(&relay->window, relay->context);
	ke_relay_topics_init(relay);
	relay->woken = true;
	return relay;
}

/* ---------------------------------------------------------- configuration */

typedef struct Reading
{
	KeRelay    *relay;
	KeRelayFacts *facts;
	MemoryContext context;
} Reading;

static void
adopt_server(KeRelay *relay, KeServer *server)
{
	char	   *client_id = psprintf("%.20s-relay-0",
									 server->options.service_name);

	relay->server = server;
	relay->client_id = MemoryContextStrdup(relay->context, client_id);
}

static void
read_catalogs(void *argument)
{
	Reading    *reading = (Reading *) argument;
	KeRelay    *relay = reading->relay;
	KeServer   *server;
	pg_uuid_t	uuid;
	MemoryContext old = MemoryContextSwitchTo(reading->context);

	server = ke_catalog_server(relay->setting.server);
	MemoryContextSwitchTo(old);
	reading->facts->identity = ke_identity_read(&uuid);
	reading->facts->server_is_there = server != NULL;
	if (server == NULL)
		return;
	reading->facts->fingerprint = server->fingerprint;
	namestrcpy(&reading->facts->name, server->name);
	if (relay->server == NULL)
		adopt_server(relay, server);
}

char *
ke_relay_read(KeRelay *relay, KeRelayFacts *facts)
{
	Reading		reading = {relay, facts, CurrentMemoryContext};

	memset(facts, 0, sizeof(*facts));
	if (relay->server == NULL)
		reading.context = relay->context;
	return ke_failure_describe(ke_attempt_transaction(read_catalogs, &reading,
													  false));
}

/* The service's cluster, as this database has it on record or will have it. */
typedef struct Record
{
	const char *service;
	const char *heard;
	char	   *other;			/* in context; NULL: it is that one */
	MemoryContext context;
} Record;

static void
compare_cluster(void *argument)
{
	Record	   *record = (Record *) argument;
	char	   *stored = ke_identity_cluster(record->service);
	pg_uuid_t	uuid;

	if (stored == NULL && ke_identity_read(&uuid) == KE_IDENTITY_OURS)
		ke_identity_set_cluster(record->service, record->heard);
	else if (stored == NULL)
		return;
	else if (strcmp(stored, record->heard) != 0)
		record->other = MemoryContextStrdup(record->context, stored);
}

/*
 * Let the producer hear the cluster's id, and compare it with the service's.
 * *reason: it is another cluster.
 */
static void
connect(KeRelay *relay, KeMoment now, char **reason)
{
	Record		record = {
		.service = relay->server->options.service_name,
		.context = CurrentMemoryContext
	};
	char	   *problem;

	if (relay->strict == NULL)
		ke_relay_send_open_strict(relay);
	relay->not_before = TimestampTzPlusMilliseconds(now, CONNECT_INTERVAL_MS);
	record.heard = ke_producer_cluster_id(relay->strict, CLUSTER_ID_MS);
	ke_relay_send_serve(relay, now);
	if (record.heard == NULL)
	{
		if (relay->trouble[0] == '\0')
			ke_relay_trouble(relay, "could not reach the Kafka cluster");
		return;
	}
	problem = ke_failure_describe(ke_attempt_transaction(compare_cluster,
														 &record, true));
	if (problem != NULL)
		ke_relay_trouble(relay, "%s", problem);
	else if (record.other != NULL)
		*reason = psprintf("the cluster is \"%s\", but service \"%s\" belongs to cluster \"%s\"",
						   record.heard, record.service, record.other);
	else
	{
		ke_relay_trouble_clear(relay);
		relay->not_before = 0;
		relay->connected = true;
	}
}

/* ------------------------------------------------------------ transactions */

/*
 * True if it committed.  Otherwise nothing is tried for a while; *reason is
 * set if there is no use in trying again.
 */
static bool
transact(KeRelay *relay, KeAttempt work, bool durable, char **reason)
{
	KeFailure  *fail = ke_attempt_transaction(work, relay, durable);

	if (fail == NULL)
		return true;
	if (fail->sqlstate == ERRCODE_OBJECT_IN_USE ||
		fail->sqlstate == ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE)
		*reason = ke_failure_describe(fail);
	ke_relay_trouble(relay, "%s", ke_failure_describe(fail));
	relay->not_before = ke_clock_in(FAILED_MS);
	return false;
}

static void
do_take(void *argument)
{
	KeRelay    *relay = (KeRelay *) argument;

	relay->taken = ke_outbox_read_take(relay->reader);
	if (!relay->taken)
		return;
	ke_histories_current(&relay->place);
	ke_xact_require_durable();
}

/*
 * It has committed.  What is published says where: a database that is later
 * recovered to before that knows nothing of it.  So even where a durable
 * commit does not wait for the disk, its WAL is there first.
 */
static void
note_history(KeRelay *relay)
{
	relay->place.lsn = XactLastCommitEnd;
	XLogFlush(relay->place.lsn);
	ke_copy_history_format(&relay->place, relay->history);
}

/* Make what has been committed durable, and ours to publish. */
static void
take(KeRelay *relay, KeMoment now, char **reason)
{
	if (relay->taken || now < relay->rest_until ||
		now < (relay->woken ? relay->wanted_at : relay->take_at))
		return;
	ke_slot_answer_calls();
	relay->take_at = TimestampTzPlusMilliseconds(now, TAKE_INTERVAL_MS);
	relay->rest_until = TimestampTzPlusMilliseconds(now, REST_MS);
	if (!transact(relay, do_take, false, reason))
	{
		relay->taken = false;
		return;
	}
	relay->taken_at = ke_clock_now();
	relay->woken = false;
	relay->read = !relay->taken;
	if (relay->taken)
	{
		note_history(relay);
		KE_CRASH_POINT("relay: taken");
	}
}

static bool
keep_row(const KeOutboxEntry *entry, void *argument)
{
	KeRelay    *relay = (KeRelay *) argument;

	return ke_relay_window_push(&relay->window, entry, relay->history);
}

static void
do_read(void *argument)
{
	KeRelay    *relay = (KeRelay *) argument;

	relay->read = ke_outbox_read(relay->reader, keep_row, relay);
}

/* Rows that were kept before a transaction failed are not shown again. */
static void
read_rows(KeRelay *relay, char **reason)
{
	if (!relay->read && ke_relay_window_is_low(&relay->window))
		(void) transact(relay, do_read, false, reason);
}

static void
do_park(void *argument)
{
	KeRelay    *relay = (KeRelay *) argument;

	for (uint64 i = relay->window.head; i < relay->window.tail; i++)
	{
		KeRelayRow *row = ke_relay_window_row(&relay->window, i);

		if (row->state == KE_ROW_HOPELESS)
			ke_outbox_read_set_aside(relay->reader, &row->mark, row->reason,
									 row->topic_is_absent);
	}
}

/* What no broker takes is put where users see it; that needs no order. */
static void
park(KeRelay *relay, char **reason)
{
	if (relay->hopeless == 0 || !transact(relay, do_park, true, reason))
		return;
	for (uint64 i = relay->window.head; i < relay->window.tail; i++)
	{
		KeRelayRow *row = ke_relay_window_row(&relay->window, i);

		if (row->state != KE_ROW_HOPELESS)
			continue;
		row->state = KE_ROW_PARKED;
		if (row->topic_is_absent)
		{
			relay->look_at = 0;
			continue;
		}
		ereport(LOG,
				(errmsg("parked a message to topic \"%s\"%s: %s",
						row->record.topic,
						ke_trace_mention(row->record.headers,
										 row->record.nheaders),
						row->reason)));
	}
	relay->hopeless = 0;
	KE_CRASH_POINT("relay: parked");
}

static void
do_save(void *argument)
{
	KeRelay    *relay = (KeRelay *) argument;

	ke_outbox_read_set_error(relay->reader, ke_relay_trouble_text(relay));
	if (ke_outbox_read_is_unsaved(relay->reader))
		ke_outbox_read_save(relay->reader);
}

static void
save(KeRelay *relay, KeMoment now, char **reason)
{
	if (now < relay->save_at ||
		(!relay->trouble_is_unsaved &&
		 !ke_outbox_read_is_unsaved(relay->reader)))
		return;
	relay->save_at = TimestampTzPlusMilliseconds(now, SAVE_INTERVAL_MS);
	if (transact(relay, do_save, false, reason))
		relay->trouble_is_unsaved = false;
	KE_CRASH_POINT("relay: saved");
}

static void
do_tidy(void *argument)
{
	ke_outbox_tidy(!((KeRelay *) argument)->taken);
}

static void
tidy(KeRelay *relay, KeMoment now, char **reason)
{
	if (now < relay->tidy_at)
		return;
	relay->tidy_at = TimestampTzPlusMilliseconds(now, TIDY_INTERVAL_MS);
	(void) transact(relay, do_tidy, false, reason);
}

/* --------------------------------------------------------- absent topics */

static void
do_list(void *argument)
{
	KeRelay    *relay = (KeRelay *) argument;

	relay->waiting = ke_outbox_undeliverable_waiting(relay->setting.server,
													 relay->context);
}

static void
do_resume(void *argument)
{
	KeRelay    *relay = (KeRelay *) argument;
	KeOutboxWaiting *first = (KeOutboxWaiting *) linitial(relay->waiting);

	ke_outbox_undeliverable_resume(relay->setting.server, first->topic);
}

/* Why copies cannot be sent to a topic yet, or NULL. */
static char *
whats_absent(KeRelay *relay, const KeOutboxWaiting *waiting, KeMoment now)
{
	KeRelayRow	row = {
		.kind = waiting->kind,
		.source_topic = waiting->source_topic,
		.record = {.topic = waiting->topic,.partition = -1}
	};
	int32		partition;
	char	   *reason;
	bool		absent;

	if (ke_relay_topics_judge(relay, &row, &partition, now, &reason,
							  &absent) == KE_RELAY_WAIT)
		return psprintf("topic \"%s\" is not there yet", waiting->topic);
	return absent ? reason : NULL;
}

/* Send copies whose topic is there by now; say what is missing for others. */
static void
look_for_topics(KeRelay *relay, KeMoment now, char **reason)
{
	const char *absence = "";

	if (now < relay->look_at)
		return;
	relay->look_at = TimestampTzPlusMilliseconds(now, LOOK_INTERVAL_MS);
	if (!transact(relay, do_list, false, reason))
		return;
	while (relay->waiting != NIL)
	{
		KeOutboxWaiting *first = (KeOutboxWaiting *) linitial(relay->waiting);
		char	   *absent = whats_absent(relay, first, now);

		if (absent != NULL)
			absence = absent;
		else if (transact(relay, do_resume, false, reason))
			ke_relay_wake(relay);
		pfree(first->topic);
		pfree(first->source_topic);
		pfree(first);
		relay->waiting = list_delete_first(relay->waiting);
	}
	ke_relay_trouble_set(relay, &relay->absence, absence);
}

/* ------------------------------------------------------------------- step */

/* Note how far everything is done; returns how many rows were published. */
static int64
retire(KeRelay *relay)
{
	KeOutboxMark last;
	int64		published;
	int64		retired;

	retired = ke_relay_window_retire(&relay->window, &published, &last);
	if (retired > 0)
	{
		ke_outbox_read_done(relay->reader, &last, retired, published);
		relay->next = Max(relay->next, relay->window.head);
		KE_CRASH_POINT("relay: acknowledged");
	}
	if (relay->taken && relay->read &&
		relay->window.head == relay->window.tail)
	{
		ke_outbox_read_finish(relay->reader);
		relay->taken = false;
		ke_relay_wake(relay);
	}
	return published;
}

/* Nobody waits for copies of messages that failed: they wait for others. */
void
ke_relay_wake(KeRelay *relay)
{
	KeMoment	at = ke_clock_now();

	if ((ke_slot_calls() & KE_CALL_NOW) == 0)
		at = TimestampTzPlusMilliseconds(at, GATHER_MS);
	relay->wanted_at = relay->woken ? Min(relay->wanted_at, at) : at;
	relay->woken = true;
}

void
ke_relay_reconsider(KeRelay *relay)
{
	ke_relay_topics_reconsider(relay);
	relay->look_at = 0;
}

int64
ke_relay_step(KeRelay *relay, char **reason)
{
	KeMoment	now = ke_clock_now();
	int64		published;

	*reason = NULL;
	if (!relay->connected && !relay->closing && now >= relay->not_before)
		connect(relay, now, reason);
	ke_relay_send_serve(relay, now);
	published = retire(relay);
	if (relay->connected && !relay->closing && now >= relay->not_before)
	{
		park(relay, reason);
		published += retire(relay);
		take(relay, now, reason);
		read_rows(relay, reason);
		ke_relay_send(relay, now);
		look_for_topics(relay, now, reason);
		ke_relay_stalled_look(relay, now);
		tidy(relay, now, reason);
	}
	save(relay, now, reason);
	return published;
}

/* When there is something to do that no report and no latch tells of. */
KeMoment
ke_relay_due(const KeRelay *relay)
{
	KeMoment	due = Min(relay->tidy_at, relay->look_at);

	if (relay->hopeless > 0 || !relay->connected ||
		(relay->taken && !relay->read &&
		 ke_relay_window_is_low(&relay->window)))
		due = 0;
	if (!relay->taken)
		due = Min(due, relay->woken ?
				  Max(relay->rest_until, relay->wanted_at) : relay->take_at);
	due = Max(due, relay->not_before);

	if (relay->next < relay->window.tail &&
		relay->not_before > ke_clock_now())
		due = Min(due, relay->not_before);
	if (relay->recovering)
		due = Min(due, relay->recall_at);
	if (ke_outbox_read_is_unsaved(relay->reader) || relay->trouble_is_unsaved)
		due = Min(due, relay->save_at);
	return due;
}

int
ke_relay_fd(KeRelay *relay)
{
	if (relay->only && relay->under_way > 0)
		return ke_producer_fd(relay->single);
	return ke_producer_fd(relay->strict);
}

void
ke_relay_drain_fd(KeRelay *relay)
{
	ke_producer_drain_fd(relay->strict);
	if (relay->single != NULL)
		ke_producer_drain_fd(relay->single);
}

bool
ke_relay_is_idle(const KeRelay *relay)
{
	return !relay->taken;
}

bool
ke_relay_take_trouble(KeRelay *relay, const char **trouble)
{
	bool		is_new = relay->trouble_is_new;

	relay->trouble_is_new = false;
	*trouble = ke_relay_trouble_text(relay);
	return is_new;
}

const char *
ke_relay_stall(const KeRelay *relay)
{
	return relay->stall[0] != '\0' ? relay->stall : NULL;
}

void
ke_relay_wind_up(KeRelay *relay)
{
	relay->closing = true;
	relay->recovering = true;
	relay->recall_at = 0;
	relay->save_at = 0;
}

bool
ke_relay_is_quiet(const KeRelay *relay)
{
	return relay->under_way == 0;
}
