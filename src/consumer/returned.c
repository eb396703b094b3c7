/*
 * returned.c
 *	  Dead letters that were sent back to the topic they came from.
 *
 * Which of them came before is on record in kafka_events.copies, with the
 * place: one that is read again after a seek runs again.  Twins come to one
 * partition, but for a topic that has grown; then the second of two that are
 * at work at the same time fails, and is judged again.
 */
#include "postgres.h"
#include "core/compat.h"

#include "utils/hsearch.h"
#include "utils/timestamp.h"

#include "consumer/returned.h"
#include "core/header_names.h"
#include "core/retry_headers.h"
#include "shm/metrics.h"
#include "state/histories.h"
#include "state/retry_dedup.h"

typedef struct Judgement
{
	KeStage    *stage;
	int			from;
	int			upto;
} Judgement;

static bool
has_value(const KeHeader *header, const char *value)
{
	return header->value != NULL && header->value_len == strlen(value) &&
		memcmp(header->value, value, header->value_len) == 0;
}

/*
 * Of a header that is there several times the last one counts, as in
 * core/retry_headers_read.
 */
void
ke_returned_recognise(const KeEngine *engine, const KePartition *part,
					  KeMessage *msg)
{
	const char *service = engine->server->options.service_name;
	bool		has_history = false;
	bool		is_ours = false;
	bool		is_from_here = false;
	int			count;
	const KeHeader *headers;

	if (engine->role != KE_ROLE_MAIN)
		return;
	headers = ke_message_headers(msg, &count);
	for (int i = 0; i < count; i++)
	{
		const KeHeader *header = &headers[i];

		if (strncmp(header->name, "x-", 2) != 0)
			continue;
		if (strcmp(header->name, KE_COPY_HISTORY) == 0)
			has_history = true;
		else if (strcmp(header->name, KE_COPY_SERVICE) == 0)
			is_ours = has_value(header, service);
		else if (strcmp(header->name, KE_COPY_ORIGINAL_TOPIC) == 0)
			is_from_here = has_value(header, part->topic);
	}
	msg->returned = has_history && is_ours && is_from_here;
}

/* Where it is, for the record. */
static char *
place_of(const KeMessage *msg)
{
	return psprintf("%s/%d/" INT64_FORMAT, msg->topic, msg->partition,
					msg->offset);
}

/* NULL: it has none. */
static const char *
copy_id_of(KeMessage *msg)
{
	KeDeadLetter letter;

	ke_retry_headers_read_dead(msg, &letter);
	return letter.origin.copy_id == NULL ? NULL :
		ke_retry_dedup_key(letter.origin.copy_id);
}

static KeMessageDrop
judge_message(KeEngine *engine, const KePast *past, KeMessage *msg,
			  HTAB *ids)
{
	KeCopyHistory history;
	const char *copy_id = copy_id_of(msg);
	char		key[KE_COPY_ID_LEN] = {0};
	bool		found;

	if (ke_retry_headers_read_history(msg, &history) &&
		ke_copy_history_judge(past, &history) == KE_COPY_ORPHAN)
		return KE_DROP_ORPHAN;
	if (copy_id == NULL)
		return KE_DROP_NOT;
	if (ke_retry_dedup_is_elsewhere(engine->key.group_id, copy_id,
									place_of(msg)))
		return KE_DROP_REPEATED;
	strlcpy(key, copy_id, sizeof(key));
	(void) hash_search(ids, key, HASH_ENTER, &found);
	return found ? KE_DROP_REPEATED : KE_DROP_NOT;
}

/* In a transaction. */
static void
judge(KeEngine *engine, void *argument)
{
	Judgement  *judgement = (Judgement *) argument;
	KeStage    *stage = judgement->stage;
	KePast	   *past = ke_histories_past();
	HASHCTL		ctl = {
		.keysize = KE_COPY_ID_LEN,
		.entrysize = KE_COPY_ID_LEN,
		.hcxt = CurrentMemoryContext
	};
	HTAB	   *ids = hash_create("kafka_events copies", 256, &ctl,
								  HASH_ELEM | HASH_STRINGS | HASH_CONTEXT);

	for (int i = 0; i < judgement->upto; i++)
	{
		KeMessage  *msg = &stage->msgs[stage->head + i];
		KeMessageDrop drop;

		if (!msg->returned)
			continue;
		drop = judge_message(engine, past, msg, ids);
		if (i >= judgement->from)
			msg->drop = drop;
	}
}

bool
ke_returned_judge(KeEngine *engine, KeStage *stage, int from, int upto,
				  int *count)
{
	Judgement	judgement = {.stage = stage,.from = from,.upto = upto};
	KeFailure  *fail;

	*count = 0;
	for (int i = 0; i < upto; i++)
		if (stage->msgs[stage->head + i].returned)
			(*count)++;
	if (*count == 0 || ke_transact(engine, judge, &judgement, false, &fail))
		return true;
	if (!engine->extension_gone)
		ke_stage_wait_for_database(stage, fail);
	return false;
}

void
ke_returned_note(KeEngine *engine, const KeStage *stage, int count)
{
	TimestampTz now = GetCurrentTimestamp();

	for (int i = 0; i < count; i++)
	{
		KeMessage  *msg = &stage->msgs[stage->head + i];
		const char *copy_id;

		if (!msg->returned || msg->drop != KE_DROP_NOT)
			continue;
		copy_id = copy_id_of(msg);
		if (copy_id != NULL &&
			!ke_retry_dedup_note(engine->key.group_id, copy_id,
								 place_of(msg), now) &&
			ke_retry_dedup_is_elsewhere(engine->key.group_id, copy_id,
										place_of(msg)))
			ereport(ERROR,
					(errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
					 errmsg("another process has had the same dead letter")));
	}
}

void
ke_returned_report(const KeEngine *engine, const KeStage *stage, int count)
{
	KeMetricsDelta delta = {0};
	TimestampTz now = GetCurrentTimestamp();

	for (int i = 0; i < count; i++)
	{
		const KeMessage *msg = &stage->msgs[stage->head + i];

		if (msg->drop == KE_DROP_NOT)
			continue;
		ke_metrics_count(&delta, msg, now);
		if (msg->drop == KE_DROP_ORPHAN)
			delta.counters.orphaned++;
		else
			delta.counters.skipped++;
	}
	if (delta.counters.received == 0)
		return;
	ke_metrics_add(engine->database, stage->sub->oid, &delta);
	ereport(LOG,
			(errmsg("dropped reprocessed dead letters of topic \"%s\": %lld that were sent by a history which this database has left, %lld that had come before",
					stage->topic, (long long) delta.counters.orphaned,
					(long long) delta.counters.skipped)));
}
