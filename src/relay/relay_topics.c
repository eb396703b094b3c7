/*
 * relay_topics.c
 *	  What a relay knows of the topics it publishes to.
 *
 * Each topic is asked for before the first row is sent to it, and again when
 * a report makes it doubtful, so that a topic that is not there is noticed
 * here and not by messages that never leave the library.
 */
#include "postgres.h"
#include "core/compat.h"

#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "core/clock.h"
#include "kafka/retry_dlq_topics.h"
#include "relay/relay.h"

#define ASK_MS 500
#define MAKE_MS 5000

/* Brokers may hear of a new topic a little later than who made it. */
#define PROPAGATION_MS 3000

/* An answer of that age will do to refuse a row. */
#define FRESH_MS 1000

void
ke_relay_topics_init(KeRelay *relay)
{
	HASHCTL		ctl;

	ctl.keysize = KE_KAFKA_TOPIC_LEN;
	ctl.entrysize = sizeof(KeRelayTopic);
	ctl.hcxt = relay->context;
	relay->topics = hash_create("kafka_events relay topics", 32, &ctl,
								HASH_ELEM | HASH_STRINGS | HASH_CONTEXT);
}

static KeRelayTopic *
find_topic(KeRelay *relay, const char *name)
{
	bool		found;
	KeRelayTopic *topic = hash_search(relay->topics, name, HASH_ENTER, &found);

	if (!found)
		memset((char *) topic + KE_KAFKA_TOPIC_LEN, 0,
			   sizeof(KeRelayTopic) - KE_KAFKA_TOPIC_LEN);
	return topic;
}

static void
forget_refusal(KeRelayTopic *topic)
{
	if (topic->refusal != NULL)
		pfree(topic->refusal);
	topic->refusal = NULL;
	topic->absent = false;
}

/* The brokers have answered: whatever kept them from it is over. */
static KeRelayVerdict
refuse(KeRelay *relay, KeRelayTopic *topic, const char *reason, bool absent)
{
	ke_relay_trouble_clear(relay);
	forget_refusal(topic);
	topic->refusal = MemoryContextStrdup(relay->context, reason);
	topic->absent = absent;
	return KE_RELAY_NEVER;
}

/* The library's words and, where we know it, what to do. */
static const char *
explain(KeClientPurpose purpose, int error, const char *text)
{
	const char *hint = ke_client_hint_for(purpose, error);

	if (text == NULL)
		text = ke_client_error_name(error);
	return hint == NULL ? text : psprintf("%s (%s)", text, hint);
}

static KeRelayVerdict
wait_because(KeRelay *relay, const char *topic, const char *what, int error)
{
	ke_relay_trouble(relay, "could not %s topic \"%s\": %s", what, topic,
					 explain(KE_PURPOSE_WRITE, error, NULL));
	return KE_RELAY_WAIT;
}

/* ---------------------------------------------------------- missing topics */

/* Somebody's typo, unless the topic is brand-new. */
static KeRelayVerdict
miss_event_topic(KeRelay *relay, KeRelayTopic *topic, KeMoment now)
{
	if (!TimestampDifferenceExceeds(topic->missing_since, now,
									PROPAGATION_MS))
		return KE_RELAY_WAIT;
	return refuse(relay, topic,
				  psprintf("topic \"%s\" does not exist", topic->name), false);
}

/*
 * A slow answer is there at the next try; one from before what is to be sent
 * was committed will not do.
 */
static int
ask(KeRelay *relay, const char *name, KeTopicInfo *info)
{
	ke_producer_repeat(relay->strict, relay->taken_at);
	return ke_producer_topic(relay->strict, name, info, ASK_MS);
}

static int
count_partitions(KeRelay *relay, const char *name)
{
	KeTopicInfo info;

	if (ask(relay, name, &info) != 0 ||
		info.error != 0)
		return 0;
	return info.partitions;
}

/* Make it, if that is wanted; the next look at it will find it. */
static KeRelayVerdict
miss_copy_topic(KeRelay *relay, KeRelayTopic *topic, const KeRelayRow *row)
{
	const KeServerOptions *options = &relay->server->options;
	KeRetryDlqTopic plan = {
		.name = topic->name,
		.source = row->source_topic,
		.dead = row->kind == KE_OUTBOX_DEAD
	};
	bool		created;
	char	   *text;
	int			err;

	if (!options->create_topics)
		return refuse(relay, topic,
					  psprintf("topic \"%s\" does not exist, and the server option create_topics is off",
							   topic->name), true);
	plan.source_partitions = count_partitions(relay, plan.source);
	err = ke_retry_dlq_topics_make(ke_producer_handle(relay->strict), options,
								   &plan, &created, &text, MAKE_MS);
	if (err == 0)
		return KE_RELAY_WAIT;
	if (!ke_client_is_refusal(err))
		return wait_because(relay, topic->name, "create", err);
	return refuse(relay, topic,
				  psprintf("could not create topic \"%s\": %s", topic->name,
						   explain(KE_PURPOSE_CREATE, err, text)),
				  true);
}

static KeRelayVerdict
miss_topic(KeRelay *relay, KeRelayTopic *topic, const KeRelayRow *row,
		   KeMoment now)
{
	if (topic->missing_since == 0)
		topic->missing_since = now;
	if (row->kind == KE_OUTBOX_EVENT)
		return miss_event_topic(relay, topic, now);
	return miss_copy_topic(relay, topic, row);
}

/* ---------------------------------------------------------------- verdicts */

static KeRelayVerdict
ask_for(KeRelay *relay, KeRelayTopic *topic, const KeRelayRow *row,
		KeMoment now)
{
	KeTopicInfo info;
	int			err;

	err = ask(relay, topic->name, &info);
	if (err != 0)
		return wait_because(relay, topic->name, "ask for", err);
	topic->asked_at = ke_clock_now();
	topic->partitions = 0;
	if (ke_client_is_missing_topic(info.error))
		return miss_topic(relay, topic, row, now);
	topic->missing_since = 0;
	if (ke_client_is_refusal(info.error))
		return refuse(relay, topic,
					  psprintf("topic \"%s\": %s", topic->name,
							   explain(KE_PURPOSE_WRITE, info.error, NULL)),
					  false);
	if (info.error != 0 || info.partitions == 0)
		return wait_because(relay, topic->name, "use", info.error);
	forget_refusal(topic);
	topic->partitions = info.partitions;
	return KE_RELAY_SEND;
}

static bool
is_fresh(const KeRelayTopic *topic, KeMoment now)
{
	return topic->asked_at != 0 &&
		!TimestampDifferenceExceeds(topic->asked_at, now, FRESH_MS);
}

/*
 * Does the refusal hold for what is to be sent now?  Not if the topic may
 * have been made before that was committed: it is asked for again, once for
 * all that was committed meanwhile.
 */
static bool
is_refused(const KeRelay *relay, const KeRelayTopic *topic, KeMoment now)
{
	return topic->refusal != NULL && is_fresh(topic, now) &&
		topic->asked_at >= relay->taken_at;
}

/* A copy whose partition is not there goes where its key says. */
static KeRelayVerdict
choose_partition(KeRelay *relay, KeRelayTopic *topic, const KeRelayRow *row,
				 int32 *partition, KeMoment now, char **reason)
{
	KeRelayVerdict verdict = KE_RELAY_SEND;

	*partition = row->record.partition;
	if (*partition < topic->partitions)
		return KE_RELAY_SEND;
	if (!is_fresh(topic, now))
		verdict = ask_for(relay, topic, row, now);
	if (verdict != KE_RELAY_SEND || *partition < topic->partitions)
		return verdict;
	if (row->kind != KE_OUTBOX_EVENT)
	{
		*partition = -1;
		return KE_RELAY_SEND;
	}
	*reason = psprintf("topic \"%s\" has %d partitions, and no partition %d",
					   topic->name, topic->partitions, *partition);
	return KE_RELAY_NEVER;
}

static bool
is_like_the_refused(const KeRelayTopic *topic, const KeRelayRow *row)
{
	return (topic->too_large != 0 && row->size >= topic->too_large) ||
		(topic->needs_keys && row->record.key == NULL);
}

/*
 * May the row be sent now, and to which partition?  NEVER: *reason says why
 * not, in the current context, and *absent whether that may change as soon as
 * there is a topic.
 */
KeRelayVerdict
ke_relay_topics_judge(KeRelay *relay, const KeRelayRow *row,
					  int32 *partition, KeMoment now, char **reason,
					  bool *absent)
{
	KeRelayTopic *topic = find_topic(relay, row->record.topic);
	KeRelayVerdict verdict = KE_RELAY_SEND;

	*reason = NULL;
	if (is_refused(relay, topic, now))
		verdict = KE_RELAY_NEVER;
	else if (topic->partitions == 0)
		verdict = ask_for(relay, topic, row, now);
	if (verdict == KE_RELAY_SEND)
		verdict = choose_partition(relay, topic, row, partition, now, reason);
	if (verdict == KE_RELAY_SEND &&
		(topic->forbidden || is_like_the_refused(topic, row)))
		verdict = KE_RELAY_ALONE;
	*absent = verdict == KE_RELAY_NEVER && *reason == NULL && topic->absent;
	if (verdict == KE_RELAY_NEVER && *reason == NULL)
		*reason = topic->refusal;
	return verdict;
}

/* It, or one of its partitions, may be gone. */
void
ke_relay_topics_doubt(KeRelay *relay, const KeRelayRow *row)
{
	KeRelayTopic *topic = find_topic(relay, row->record.topic);

	topic->partitions = 0;
	topic->asked_at = 0;
}

/*
 * It takes nothing from us, whatever it is.  Until that is asked again, by a
 * row sent alone, nothing is sent to it.
 */
void
ke_relay_topics_forbid(KeRelay *relay, const KeRelayRow *row,
					   const char *reason)
{
	KeRelayTopic *topic = find_topic(relay, row->record.topic);

	(void) refuse(relay, topic, reason, false);
	topic->forbidden = true;
	topic->asked_at = ke_clock_now();
}

/*
 * A row that was sent alone was refused: others like it are sent alone at
 * once, so that they do not hold up their whole batch.  Until one goes
 * through.
 */
void
ke_relay_topics_learn(KeRelay *relay, const KeRelayRow *row, bool too_large)
{
	KeRelayTopic *topic = find_topic(relay, row->record.topic);

	if (too_large && (topic->too_large == 0 || row->size < topic->too_large))
		topic->too_large = row->size;
	else if (!too_large && row->record.key == NULL)
		topic->needs_keys = true;
}

void
ke_relay_topics_unlearn(KeRelay *relay, const KeRelayRow *row)
{
	KeRelayTopic *topic = find_topic(relay, row->record.topic);

	if (topic->too_large != 0 && row->size >= topic->too_large)
		topic->too_large = 0;
	if (row->record.key == NULL)
		topic->needs_keys = false;
	if (topic->forbidden)
		forget_refusal(topic);
	topic->forbidden = false;
}

/*
 * Brokers may be late to hear of what was made, so that a topic that was
 * missing for long is given time anew.
 */
void
ke_relay_topics_reconsider(KeRelay *relay)
{
	HASH_SEQ_STATUS seq;
	KeRelayTopic *topic;

	hash_seq_init(&seq, relay->topics);
	while ((topic = hash_seq_search(&seq)) != NULL)
	{
		forget_refusal(topic);
		topic->missing_since = 0;
	}
}
