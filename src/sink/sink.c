/*
 * sink.c
 *	  Writes messages into a subscription's target table.
 */
#include "postgres.h"
#include "core/compat.h"

#include "access/table.h"
#include "executor/executor.h"
#include "utils/memutils.h"
#include "utils/rel.h"

#include "sink/sink.h"
#include "sink/sink_bulk.h"
#include "sink/sink_insert.h"
#include "sink/sink_keys.h"

/*
 * The first block of a write's memory stays when it is reset, so that an
 * ordinary batch takes none from the system.  Pages nobody uses cost nothing.
 */
#define WRITE_KEPT (512 * 1024)

struct KeSink
{
	MemoryContext context;		/* this struct and all it points to */
	KeSinkTarget target;
	bool		reference;
	bool		was_bulk;
	KeSinkGate	gate;			/* or NULL */
	void	   *gate_argument;
	MemoryContext writing;		/* of one write; empty in between */
};

KeSink *
ke_sink_open(const KeSubscription *sub, MemoryContext parent)
{
	MemoryContext context = AllocSetContextCreate(parent, "kafka_events sink",
												  ALLOCSET_SMALL_SIZES);
	KeSink	   *sink = MemoryContextAllocZero(context, sizeof(KeSink));

	sink->context = context;
	ke_sink_table_target_init(&sink->target, sub, context);
	sink->writing = AllocSetContextCreate(context, "kafka_events write",
										  0, WRITE_KEPT, 8 * WRITE_KEPT);
	return sink;
}

void
ke_sink_set_gate(KeSink *sink, KeSinkGate gate, void *argument)
{
	sink->gate = gate;
	sink->gate_argument = argument;
}

static void
pass_gate(KeSink *sink, bool repeats)
{
	if (sink->gate != NULL)
		sink->gate(sink->gate_argument, repeats);
}

/* One row per key. */
static int64
write_keys(KeSink *sink, Relation rel, KeMessage **msgs, int count,
		   volatile int *at)
{
	KeSinkKeys *keys = ke_sink_keys_make(sink->target.table, rel, msgs, count,
										 at);

	pass_gate(sink, ke_sink_keys_repeat(keys));
	return ke_sink_keys_write(keys, at);
}

/* A row for each message. */
static int64
write_each(KeSink *sink, Relation rel, KeMessage **msgs, int count,
		   volatile int *at)
{
	pass_gate(sink, false);
	if (sink->was_bulk)
		return ke_sink_bulk_write(sink->target.table, rel, msgs, count, at);
	return ke_sink_insert_write(sink->target.table, msgs, count, at);
}

int64
ke_sink_write(KeSink *sink, KeMessage **msgs, int count, volatile int *at)
{
	Relation	rel;
	KeSinkTable *table;
	MemoryContext old;
	int64		written;

	*at = -1;
	if (sink->target.table != NULL)
		sink->target.table->skipped = 0;
	if (count == 0)
		return 0;
	MemoryContextReset(sink->writing);
	rel = ke_sink_table_target_open(&sink->target);
	table = sink->target.table;
	old = MemoryContextSwitchTo(sink->writing);
	table->econtext = CreateStandaloneExprContext();
	table->skipped = 0;

	sink->was_bulk = !sink->reference && ke_sink_bulk_can(table);
	if (table->on_conflict == KE_CONFLICT_UPDATE)
		written = write_keys(sink, rel, msgs, count, at);
	else
		written = write_each(sink, rel, msgs, count, at);

	FreeExprContext(table->econtext, true);
	table->econtext = NULL;
	MemoryContextSwitchTo(old);
	table_close(rel, NoLock);
	return written;
}

void
ke_sink_key_tells_row(KeSink *sink, KeMessage *msg, volatile bool *tells)
{
	Relation	rel;
	KeSinkTable *table;
	MemoryContext old;

	*tells = true;
	MemoryContextReset(sink->writing);
	rel = ke_sink_table_target_open(&sink->target);
	table = sink->target.table;
	if (table->on_conflict == KE_CONFLICT_UPDATE)
	{
		old = MemoryContextSwitchTo(sink->writing);
		table->econtext = CreateStandaloneExprContext();
		ke_sink_keys_tell_row(table, msg, tells);
		FreeExprContext(table->econtext, true);
		table->econtext = NULL;
		MemoryContextSwitchTo(old);
	}
	table_close(rel, NoLock);
}

bool
ke_sink_is_current(const KeSink *sink)
{
	return sink->target.table != NULL && !sink->target.stale;
}

/* Updates and deletes have triggers of their own. */
bool
ke_sink_minds_itself(KeSink *sink)
{
	Relation	rel = ke_sink_table_target_open(&sink->target);
	KeSinkTable *table = sink->target.table;
	bool		result = table->plain &&
		(table->on_conflict != KE_CONFLICT_UPDATE || rel->trigdesc == NULL);

	table_close(rel, NoLock);
	return result;
}

int64 *
ke_sink_stripped(KeSink *sink)
{
	return &sink->target.value->stripped;
}

KeUnmatched *
ke_sink_unmatched(KeSink *sink)
{
	return &sink->target.unmatched;
}

/* Of a write that failed, only memory is left: everything else is undone. */
void
ke_sink_end(KeSink *sink)
{
	MemoryContextReset(sink->writing);
}

void
ke_sink_close(KeSink *sink)
{
	MemoryContextDelete(sink->context);
}

void
ke_sink_use_reference(KeSink *sink, bool reference)
{
	sink->reference = reference;
}

int
ke_sink_skipped(const KeSink *sink)
{
	return sink->target.table != NULL ? sink->target.table->skipped : 0;
}

bool
ke_sink_was_bulk(const KeSink *sink)
{
	return sink->was_bulk;
}
