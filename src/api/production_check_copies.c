/*
 * production_check_copies.c
 *	  The part of kafka_production_check that is about what is in topics for
 *	  retry copies and dead letters, and how long it stays there.
 *
 * Whose copies they are only their headers say, so a task process reads the
 * newest ones.
 */
#include "postgres.h"
#include "core/compat.h"

#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "api/production_check_topics.h"
#include "core/dlq_reply.h"
#include "core/header_names.h"
#include "core/literal.h"
#include "core/option_table.h"
#include "core/unix_time.h"
#include "shm/task.h"
#include "state/dlq_pending.h"
#include "state/offset_metadata.h"

/* Who is warned of a loss has so long to prevent it. */
#define WARNING_MS INT64CONST(86400000)

/* ------------------------------------------------------- foreign copies */

/* The first copy of another service, if one was found. */
typedef struct Foreigner
{
	char	   *service;		/* NULL: none */
	MemoryContext context;
} Foreigner;

/* Anybody may write anything there; what cannot be a name is not shown. */
static char *
read_service(const KeHeader *header)
{
	char	   *name = header->value != NULL ?
	pnstrdup(header->value, header->value_len) : "";

	if (strspn(name, KE_OPTION_TOPIC_CHARS) == header->value_len)
		return name;
	return "";
}

static void
visit_foreigner(StringInfo reply, void *argument)
{
	Foreigner  *foreigner = (Foreigner *) argument;
	MemoryContext old = MemoryContextSwitchTo(foreigner->context);
	KeMessage	msg;

	if (ke_dlq_reply_get_kind(reply) == KE_DLQ_REPLY_MESSAGE)
	{
		ke_dlq_reply_get_message(reply, &msg);
		foreigner->service = "";
		for (int i = 0; i < msg.nheaders; i++)
		{
			const KeHeader *header = &msg.headers[i];

			if (strcmp(header->name, KE_COPY_SERVICE) == 0)
				foreigner->service = read_service(header);
		}
	}
	MemoryContextSwitchTo(old);
}

/* The statement that keeps this service's copies in topics of their own. */
static char *
alter_suffix(const KeServer *server, bool dead)
{
	char	   *suffix = psprintf(".%s%s", server->options.service_name,
								  dead ? ".dlq" : ".retry");

	return ke_check_row_alter(server, dead ? "dlq_suffix" : "retry_suffix",
							  suffix);
}

void
ke_production_check_copies_owner(KeProductionCheck *inspection,
								 const KeCheckCopies *topic,
								 KeCheckRow *check)
{
	const KeServer *server = inspection->server;
	KeTaskOrder order = {
		.kind = KE_TASK_BROWSE,
		.server = server->oid,
		.partition = KE_TASK_ANY,
		.offset = KE_TASK_ANY,
		.max_messages = 1,
		.foreign_only = true,
		.timeout_ms = ke_production_check_ask_time(inspection)
	};
	Foreigner	foreigner = {.context = CurrentMemoryContext};
	KeTaskFailure *failure;

	if (topic->found == NULL)
		return;
	strlcpy(order.topic, topic->name, sizeof(order.topic));
	failure = ke_task_try(&order, visit_foreigner, &foreigner);
	if (failure != NULL)
		ke_check_row_fail(check, failure->hint, "topic \"%s\": %s",
						  topic->name,
						  failure->text);
	else if (foreigner.service != NULL)
		ke_check_row_fail(check, alter_suffix(server, topic->dead),
						  "topic \"%s\" holds copies of service \"%s\", too",
						  topic->name, foreigner.service);
}

/* ------------------------------------------------------------- retention */

/* Pending letters before these offsets. */
static int64
count_pending(const KeServer *server, const char *topic,
			  const KeAnswer *state, const KeAnswer *until)
{
	KePositionKey key = {
		.cluster_id = state->cluster_id,
		.group_id = ke_catalog_admin_group(server)
	};
	List	   *mirror = ke_dlq_records_positions(&key, topic);
	List	   *letters = ke_dlq_records_letters(&key, topic);
	int64		pending = 0;

	ke_offset_metadata_disregard(state->positions, state->metadata,
								 state->partitions);
	for (int p = 0; p < Min(state->partitions, until->partitions); p++)
	{
		KeDlqRange	range = {
			.partition = p,
			.low = state->lows[p],
			.high = Min(state->offsets[p], until->offsets[p]),
			.committed = state->positions[p]
		};

		pending += ke_dlq_pending_in_range(&range, mirror, letters);
	}
	return pending;
}

/* Letters that are gone when the time of warning is over. */
static int64
count_endangered(KeProductionCheck *inspection, const KeCheckCopies *topic)
{
	KeQuestion	state = {.kind = KE_ASK_DLQ};
	KeQuestion	until = {.kind = KE_ASK_TIME};
	int64		now = ke_unix_ms(GetCurrentTimestamp());
	KeAnswer   *ends;
	KeAnswer   *old;

	strlcpy(state.topic, topic->name, sizeof(state.topic));
	strlcpy(until.topic, topic->name, sizeof(until.topic));
	until.timestamp_ms = Max(now - topic->retention_ms + WARNING_MS, 0);
	ends = ke_production_check_ask(inspection, &state);
	old = ends != NULL ? ke_production_check_ask(inspection, &until) : NULL;
	if (old == NULL || !ends->topic_exists || !old->topic_exists)
		return 0;
	return count_pending(inspection->server, topic->name, ends, old);
}

static char *
raise_retention(const KeCheckCopies *topic, int64 ms)
{
	return psprintf("kafka-configs.sh --alter --entity-type topics --entity-name %s --add-config retention.ms=" INT64_FORMAT ",retention.bytes=-1",
					topic->name, ms);
}

/* What is the same of both kinds; false: there is no more to be said. */
static bool
judge_retention(const KeCheckCopies *topic, const char *raise,
				KeCheckRow *check)
{
	if (topic->found == NULL)
		return false;
	if (topic->settings.problem != NULL)
	{
		ke_check_row_fail(check, topic->settings.hint, "%s",
						  topic->settings.problem);
		return false;
	}
	if (topic->retention_bytes >= 0)
		ke_check_row_fail(check, raise,
						  "topic \"%s\" keeps " INT64_FORMAT " bytes of a partition, however new its %s are",
						  topic->name, topic->retention_bytes,
						  topic->dead ? "letters" : "copies");
	return true;
}

void
ke_production_check_copies_letters(KeProductionCheck *inspection,
								   const KeCheckCopies *topic,
								   KeCheckRow *check)
{
	const KeServer *server = inspection->server;
	char	   *raise = raise_retention(topic,
										server->options.dlq_retention_ms);
	int64		endangered;

	if (!topic->dead || !judge_retention(topic, raise, check) ||
		topic->retention_ms < 0)
		return;
	if (topic->retention_ms <= WARNING_MS)
		ke_check_row_fail(check, raise,
						  "topic \"%s\" keeps letters for %s only",
						  topic->name,
						  ke_literal_show_interval(topic->retention_ms));
	endangered = count_endangered(inspection, topic);
	if (endangered > 0)
		ke_check_row_fail(check,
						  psprintf("SELECT * FROM kafka_dlq_reprocess(%s, server => %s); or, for more time: %s",
								   quote_literal_cstr(topic->sub->topic),
								   quote_literal_cstr(server->name),
								   raise),
						  INT64_FORMAT " pending letters of topic \"%s\" may be lost within 24 hours",
						  endangered, topic->name);
}

/* Those whose delay a handler chooses may be due later. */
void
ke_production_check_copies_retries(KeProductionCheck *inspection,
								   const KeCheckCopies *topic,
								   KeCheckRow *check)
{
	const KeSubscriptionOptions *options = &topic->sub->options;
	int64		longest_ms = options->max_delay_ms +
	options->max_delay_ms / 10;
	char	   *raise = raise_retention(topic,
										Max(longest_ms + WARNING_MS,
											7 * WARNING_MS));

	if (!topic->dead && judge_retention(topic, raise, check) &&
		topic->retention_ms >= 0 &&
		topic->retention_ms < longest_ms + WARNING_MS)
		ke_check_row_fail(check, raise,
						  "topic \"%s\" keeps copies for %s; a retry may be due after %s, and consumers may be away for a day",
						  topic->name,
						  ke_literal_show_interval(topic->retention_ms),
						  ke_literal_show_interval(longest_ms));
}
