/*
 * sink_bulk.c
 *	  The fast way of writing, for plain tables: rows are gathered and go into
 *	  the heap many at a time, then into the indexes.
 *
 * Does what COPY does for such a table.  Slots, the compiled constraints and
 * the arena of the rows are kept across transactions; what refers to the open
 * relation is made for each write.
 */
#include "postgres.h"
#include "core/compat.h"

#include "access/heapam.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "executor/executor.h"
#include "miscadmin.h"
#include "optimizer/optimizer.h"
#include "utils/memutils.h"
#include "utils/rel.h"

#include "sink/sink_bulk.h"

/* Rows gathered before they go into the table; so much memory ends it too. */
#define FLUSH_ROWS 1000
#define FLUSH_MEMORY (4 * 1024 * 1024)

/*
 * The arena's first block stays when it is reset, so an ordinary flush takes
 * no memory from the system and gives none back.
 */
#define ARENA_KEPT (512 * 1024)

typedef struct KeBulk
{
	MemoryContext arena;		/* rows gathered and not yet written */
	TupleTableSlot *slots[FLUSH_ROWS];
	int			messages[FLUSH_ROWS];	/* index of the message of each */
	int			nslots;
	ExprState **checks;			/* CHECK constraints, in their order */
} KeBulk;

/* One write: all of it lives in the caller's context. */
typedef struct Writing
{
	KeBulk	   *bulk;
	Relation	rel;
	EState	   *estate;
	ResultRelInfo *target;
	BulkInsertState state;
	CommandId	command;
	int			gathered;
	int64		written;
	volatile int *at;
} Writing;

bool
ke_sink_bulk_can(const KeSinkTable *table)
{
	return table->plain &&
		table->on_conflict == KE_CONFLICT_ERROR &&
		ExecutorCheckPerms_hook == NULL &&
		ke_sink_table_may_insert(table);
}

static ExprState **
build_checks(const KeSinkTable *table)
{
	TupleConstr *constr = table->desc->constr;
	ExprState **checks;

	if (constr == NULL || constr->num_check == 0)
		return NULL;
	checks = palloc(constr->num_check * sizeof(ExprState *));
	for (int i = 0; i < constr->num_check; i++)
	{
		Expr	   *check = stringToNode(constr->check[i].ccbin);

		checks[i] = ExecInitExpr(expression_planner(check), NULL);
	}
	return checks;
}

static KeBulk *
bulk_of(KeSinkTable *table)
{
	MemoryContext old;
	KeBulk	   *bulk;

	if (table->bulk != NULL)
		return table->bulk;
	old = MemoryContextSwitchTo(table->context);
	bulk = palloc0(sizeof(KeBulk));
	table->bulk_context = AllocSetContextCreate(table->context,
												"kafka_events slots",
												ALLOCSET_DEFAULT_SIZES);
	bulk->arena = AllocSetContextCreate(table->bulk_context,
										"kafka_events rows",
										0, ARENA_KEPT, 8 * ARENA_KEPT);
	bulk->checks = build_checks(table);
	MemoryContextSwitchTo(old);
	table->bulk = bulk;
	return bulk;
}

static TupleTableSlot *
slot_for_row(KeSinkTable *table, Relation rel, int n)
{
	KeBulk	   *bulk = table->bulk;

	if (n == bulk->nslots)
	{
		MemoryContext old = MemoryContextSwitchTo(table->bulk_context);

		bulk->slots[n] = MakeSingleTupleTableSlot(table->desc,
												  table_slot_callbacks(rel));
		bulk->nslots++;
		MemoryContextSwitchTo(old);
	}
	return bulk->slots[n];
}

/* Put what is gathered into the heap, then into the indexes. */
static void
flush(Writing *writing)
{
	KeBulk	   *bulk = writing->bulk;
	MemoryContext old = MemoryContextSwitchTo(bulk->arena);

	*writing->at = -1;
	table_multi_insert(writing->rel, bulk->slots, writing->gathered,
					   writing->command, 0, writing->state);
	if (writing->target->ri_NumIndices > 0)
	{
		for (int i = 0; i < writing->gathered; i++)
		{
			*writing->at = bulk->messages[i];
			ke_insert_index_tuples(writing->target, bulk->slots[i],
								   writing->estate);
			ResetPerTupleExprContext(writing->estate);
		}
	}
	*writing->at = -1;
	MemoryContextSwitchTo(old);

	for (int i = 0; i < writing->gathered; i++)
		ExecClearTuple(bulk->slots[i]);
	MemoryContextReset(bulk->arena);
	writing->gathered = 0;
}

static void
gather(KeSinkTable *table, Writing *writing, KeMessage *msg, int message)
{
	KeBulk	   *bulk = writing->bulk;
	TupleTableSlot *slot = slot_for_row(table, writing->rel,
										writing->gathered);
	MemoryContext old = MemoryContextSwitchTo(bulk->arena);

	*writing->at = message;
	ExecClearTuple(slot);
	if (ke_sink_row_fill(table, msg, slot->tts_values,
						 slot->tts_isnull) != KE_SINK_WRITES)
	{
		ke_sink_table_leave(table, msg);
		MemoryContextSwitchTo(old);
		return;
	}
	ExecStoreVirtualTuple(slot);
	if (table->desc->constr != NULL)
	{
		ExecConstraints(writing->target, slot, writing->estate);
		ResetPerTupleExprContext(writing->estate);
	}
	writing->written++;
	bulk->messages[writing->gathered++] = message;
	MemoryContextSwitchTo(old);
}

int64
ke_sink_bulk_write(KeSinkTable *table, Relation rel, KeMessage **msgs,
				   int count, volatile int *at)
{
	Writing		writing = {0};

	if (XactReadOnly)
		PreventCommandIfReadOnly("INSERT");

	writing.bulk = bulk_of(table);
	writing.rel = rel;
	writing.estate = CreateExecutorState();
	writing.target = makeNode(ResultRelInfo);
	InitResultRelInfo(writing.target, rel, 0, NULL, 0);
	ExecOpenIndices(writing.target, false);
	writing.target->ri_CheckConstraintExprs = writing.bulk->checks;
	writing.state = GetBulkInsertState();
	writing.command = GetCurrentCommandId(true);
	writing.at = at;
	MemoryContextReset(writing.bulk->arena);

	for (int i = 0; i < count; i++)
	{
		gather(table, &writing, msgs[i], i);
		if (writing.gathered == FLUSH_ROWS ||
			MemoryContextMemAllocated(writing.bulk->arena,
									  false) > FLUSH_MEMORY)
			flush(&writing);
	}
	if (writing.gathered > 0)
		flush(&writing);
	*at = -1;

	FreeBulkInsertState(writing.state);
	ExecCloseIndices(writing.target);
	table_finish_bulk_insert(rel, 0);
	FreeExecutorState(writing.estate);
	CommandCounterIncrement();
	return writing.written;
}
