/*
 * schema_wait.c
 *	  Partitions that wait for a schema which is not known yet.
 *
 * A partition that is set aside is paused in the library and fetched again
 * from the message on that waits, so it has no messages in memory meanwhile.
 */
#include "postgres.h"
#include "core/compat.h"

#include "consumer/schema_wait.h"
#include "core/clock.h"
#include "core/framing.h"
#include "shm/schema_demand.h"
#include "state/schema_cache.h"

/* Without a word from the manager, look again. */
#define LOOK_AGAIN_MS 1000

/* A schema that messages need and this process does not have. */
typedef struct Need
{
	KeSchemaId	id;
	KeSchemaAvailability found;
	char	   *reason;
} Need;

/* For ke_transact. */
typedef struct Search
{
	const KeRegistry *registry;
	List	   *needs;			/* of Need */
} Search;

/* In a transaction: from the table, or ask for it. */
static void
look_for(KeEngine *engine, void *argument)
{
	Search	   *search = (Search *) argument;
	ListCell   *lc;

	foreach(lc, search->needs)
	{
		Need	   *need = (Need *) lfirst(lc);
		char	   *reason = NULL;

		need->found = ke_schema_cache_load(search->registry, &need->id,
										   &reason);
		if (reason != NULL)
			need->reason = MemoryContextStrdup(engine->scratch, reason);
	}
}

/* ----------------------------------------------------------------- needs */

static bool
uses_registry(const KeStage *stage)
{
	const KeSubscriptionOptions *options = &stage->sub->options;

	return options->registry != NULL &&
		(options->value_format == KE_FORMAT_REGISTRY ||
		 options->key_format == KE_FORMAT_REGISTRY);
}

static Need *
find_need(const List *needs, const KeSchemaId *id)
{
	ListCell   *lc;

	foreach(lc, needs)
	{
		Need	   *need = (Need *) lfirst(lc);

		if (memcmp(&need->id, id, sizeof(KeSchemaId)) == 0)
			return need;
	}
	return NULL;
}

/*
 * Is the message framed by these bytes before its value or key, and by nothing
 * else?
 */
static bool
is_framed_by(const char *framing, KeMessage *msg, bool of_key)
{
	const char *bytes = of_key ? msg->key : msg->value;
	int32		len = of_key ? msg->key_len : msg->value_len;
	int			nheaders;

	if (framing == NULL || bytes == NULL || len < KE_FRAMING_LEN ||
		memcmp(framing, bytes, KE_FRAMING_LEN) != 0)
		return false;
	(void) ke_message_headers(msg, &nheaders);
	return nheaders == 0;
}

/*
 * The id of a message's value or key, if its schema is not in memory.  What
 * has no id, or a wrong one, fails when it is read.  Where its schema is in
 * memory, *known becomes its framing, if others may be framed by it alone.
 */
static bool
lacks(const KeStage *stage, KeMessage *msg, bool of_key, KeSchemaId *id,
	  const char **known)
{
	const KeSubscriptionOptions *options = &stage->sub->options;
	KeFormat	format = of_key ? options->key_format : options->value_format;
	KeFraming	framing;
	const char *problem;

	if (format != KE_FORMAT_REGISTRY ||
		(of_key ? msg->key : msg->value) == NULL ||
		!ke_framing_read(msg, of_key, options->registry->ids, &framing,
						 &problem))
		return false;
	*id = framing.id;
	if (!ke_schema_cache_has(options->registry, id))
		return true;
	if (framing.skip == KE_FRAMING_LEN)
		*known = of_key ? msg->key : msg->value;
	return false;
}

static List *
collect_needs(const KeStage *stage, int count)
{
	List	   *needs = NIL;
	const char *known[2] = {NULL, NULL};

	for (int i = 0; i < count; i++)
	{
		KeMessage  *msg = &stage->msgs[stage->head + i];

		for (int of_key = 0; of_key <= 1; of_key++)
		{
			KeSchemaId	id;
			Need	   *need;

			/* most messages are framed as the one before */
			if (is_framed_by(known[of_key], msg, of_key) ||
				!lacks(stage, msg, of_key, &id, &known[of_key]) ||
				find_need(needs, &id) != NULL)
				continue;
			need = palloc0(sizeof(Need));
			need->id = id;
			needs = lappend(needs, need);
		}
	}
	return needs;
}

/* What a message waits for, or NULL: it can run. */
static const Need *
awaited(const KeStage *stage, KeMessage *msg, const List *needs)
{
	for (int of_key = 0; of_key <= 1; of_key++)
	{
		KeSchemaId	id;
		const char *known;
		const Need *need;

		if (!lacks(stage, msg, of_key, &id, &known))
			continue;
		need = find_need(needs, &id);
		if (need != NULL && need->found == KE_SCHEMA_COMES)
			return need;
	}
	return NULL;
}

/* ------------------------------------------------------------- set aside */

/* From the message at this place in the stage on. */
static void
set_aside(KeEngine *engine, KeStage *stage, int at, const Need *need)
{
	KePartition *part = stage->parts[at];
	int64		offset = stage->msgs[at].offset;

	ke_stage_drop_from(stage, part, at);
	ke_partition_stop_fetching(engine, part);
	part->fetch_from = offset;
	part->awaits = true;
	part->awaited = need->id;
	strlcpy(part->awaits_reason, need->reason, sizeof(part->awaits_reason));
	engine->schemas_at = ke_clock_in(LOOK_AGAIN_MS);
}

int
ke_schema_wait_check(KeEngine *engine, KeStage *stage, int count)
{
	Search		search = {stage->sub->options.registry, NIL};
	KeFailure  *fail;

	if (!uses_registry(stage))
		return count;
	search.needs = collect_needs(stage, count);
	if (search.needs == NIL)
		return count;

	/* what goes wrong here goes wrong in the batch, too */
	engine->schema_answers = ke_schema_demand_answers();
	if (!ke_transact(engine, look_for, &search, false, &fail))
		return count;
	for (int i = 0; i < count;)
	{
		int			at = stage->head + i;
		const Need *need = awaited(stage, &stage->msgs[at], search.needs);

		if (need == NULL)
		{
			i++;
			continue;
		}
		set_aside(engine, stage, at, need);
		count = Min(count, stage->count);
	}
	return Min(count, stage->count);
}

/* ----------------------------------------------------------------- go on */

static void
look_again(KeEngine *engine, KePartition *part)
{
	Need		need = {.id = part->awaited};
	Search		search = {part->stage->sub->options.registry,
	list_make1(&need)};
	KeFailure  *fail;

	if (!uses_registry(part->stage))
		need.found = KE_SCHEMA_HERE;
	else if (!ke_transact(engine, look_for, &search, false, &fail))
		return;
	if (need.found != KE_SCHEMA_COMES)
		part->awaits = false;	/* partition_start.c has it fetched */
	else
		strlcpy(part->awaits_reason, need.reason,
				sizeof(part->awaits_reason));
}

void
ke_schema_wait_step(KeEngine *engine, KeMoment now)
{
	uint64		answers;

	if (engine->schemas_at == 0)
		return;
	answers = ke_schema_demand_answers();
	if (answers == engine->schema_answers && now < engine->schemas_at)
		return;
	engine->schema_answers = answers;
	engine->schemas_at = 0;
	for (int i = 0; i < engine->nparts; i++)
	{
		KePartition *part = engine->parts[i];

		if (!part->awaits)
			continue;
		if (part->stage == NULL)
			part->awaits = false;
		else
			look_again(engine, part);
		if (part->awaits)
			engine->schemas_at = ke_clock_in(LOOK_AGAIN_MS);
	}
}
