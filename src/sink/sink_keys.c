/*
 * sink_keys.c
 *	  Writing with on_conflict update: one row per key, and tombstones.
 *
 * A statement must not meet a key twice (INSERT ... ON CONFLICT raises
 * 21000).  Where nobody can see the steps in between, only the last operation
 * of each key is done, in the order of the keys: whoever writes the same keys
 * at the same time locks them in the same order, and no two of them can wait
 * for each other.  Where triggers or rules could see the steps, they run in
 * the order of the messages.  Either way a statement ends before a repeated
 * key and at each change between rows and tombstones.
 */
#include "postgres.h"
#include "core/compat.h"

#include "access/genam.h"
#include "access/nbtree.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/sortsupport.h"

#include "sink/sink_insert.h"
#include "sink/sink_keys.h"

/* A message's operation, and its neighbours with the same key. */
typedef struct Operation
{
	KeSinkRow	row;
	int			earlier;		/* index, or -1 */
	bool		superseded;		/* there is a later one */
} Operation;

typedef struct KeyOrder
{
	KeSinkTable *table;
	SortSupport keys;			/* one per key column */
} KeyOrder;

static Operation *
make_operations(KeSinkTable *table, KeMessage **msgs, int count,
				volatile int *at)
{
	int			natts = table->desc->natts;
	Operation  *operations = palloc0(count * sizeof(Operation));
	Datum	   *values = palloc((Size) count * natts * sizeof(Datum));
	bool	   *nulls = palloc((Size) count * natts * sizeof(bool));

	for (int i = 0; i < count; i++)
	{
		Operation  *operation = &operations[i];

		*at = i;
		operation->row.message = i;
		operation->row.values = values + (Size) i * natts;
		operation->row.nulls = nulls + (Size) i * natts;
		operation->earlier = -1;
		operation->row.deletes = !ke_sink_row_fill(table, msgs[i],
												   operation->row.values,
												   operation->row.nulls);
	}
	*at = -1;
	return operations;
}

/* How the primary key's index compares its columns. */
static SortSupport
prepare_comparison(KeSinkTable *table)
{
	SortSupport keys = palloc0(table->nkeys * sizeof(SortSupportData));
	Relation	index = index_open(table->key_index, AccessShareLock);

	for (int i = 0; i < table->nkeys; i++)
	{
		keys[i].ssup_cxt = CurrentMemoryContext;
		keys[i].ssup_collation = index->rd_indcollation[i];
		keys[i].ssup_attno = i + 1;
		PrepareSortSupportFromIndexRel(index, BTLessStrategyNumber,
									   &keys[i]);
	}
	index_close(index, NoLock);
	return keys;
}

static int
compare_keys(const Operation *left, const Operation *right,
			 const KeyOrder *order)
{
	for (int i = 0; i < order->table->nkeys; i++)
	{
		int			attribute = order->table->keys[i] - 1;
		int			result;

		result = ApplySortComparator(left->row.values[attribute],
									 left->row.nulls[attribute],
									 right->row.values[attribute],
									 right->row.nulls[attribute],
									 &order->keys[i]);
		if (result != 0)
			return result;
	}
	return 0;
}

/* By key, then in the order of the messages. */
static int
compare_operations(const void *a, const void *b, void *arg)
{
	const Operation *left = *(Operation *const *) a;
	const Operation *right = *(Operation *const *) b;
	int			result = compare_keys(left, right, arg);

	return result != 0 ? result : left->row.message - right->row.message;
}

/* A key with a NULL equals no other: the insert will refuse it. */
static bool
has_whole_key(const Operation *operation, const KeSinkTable *table)
{
	for (int i = 0; i < table->nkeys; i++)
	{
		if (operation->row.nulls[table->keys[i] - 1])
			return false;
	}
	return true;
}

/* Fill sorted with the operations that have a whole key; returns how many. */
static int
link_same_keys(KeSinkTable *table, Operation *operations, int count,
			   Operation **sorted)
{
	KeyOrder	order = {table, prepare_comparison(table)};
	int			n = 0;

	for (int i = 0; i < count; i++)
	{
		if (has_whole_key(&operations[i], table))
			sorted[n++] = &operations[i];
	}
	qsort_arg(sorted, n, sizeof(Operation *), compare_operations, &order);
	for (int i = 1; i < n; i++)
	{
		if (compare_keys(sorted[i - 1], sorted[i], &order) != 0)
			continue;
		sorted[i - 1]->superseded = true;
		sorted[i]->earlier = sorted[i - 1]->row.message;
	}
	return n;
}

/* DELETE ... USING the messages, by the primary key's own equality. */
static char *
delete_sql(KeSinkTable *table)
{
	StringInfoData sql;
	Relation	index = index_open(table->key_index, AccessShareLock);

	initStringInfo(&sql);
	appendStringInfo(&sql, "DELETE FROM %s%s t USING %s m WHERE ",
					 table->relkind == RELKIND_RELATION ? "ONLY " : "",
					 ke_sink_insert_name(table),
					 quote_identifier(KE_SINK_ROWS));
	for (int i = 0; i < table->nkeys; i++)
	{
		int			attribute = table->keys[i] - 1;
		const char *name = quote_identifier(table->columns[attribute].name);
		Oid			type = TupleDescAttr(table->desc, attribute)->atttypid;
		Oid			input = index->rd_opcintype[i];
		Oid			equal = get_opfamily_member(index->rd_opfamily[i], input,
												input, BTEqualStrategyNumber);

		if (i > 0)
			appendStringInfoString(&sql, " AND ");
		generate_operator_clause(&sql, psprintf("t.%s", name), type, equal,
								 psprintf("m.%s", name), type);
	}
	index_close(index, NoLock);
	return sql.data;
}

/*
 * Planned each time: how large the table is decides whether the key's index
 * is used, and a young table grows faster than its statistics.
 */
static int64
run_deletes(KeSinkTable *table, KeSinkRows *rows)
{
	SPIPlanPtr	plan;
	int64		deleted;

	SPI_connect();
	ke_sink_rows_register(table, rows->count);
	plan = SPI_prepare(delete_sql(table), 0, NULL);
	if (plan == NULL)
		elog(ERROR, "could not prepare DELETE: %s",
			 SPI_result_code_string(SPI_result));
	ke_sink_insert_check_plan(table, plan);
	deleted = ke_sink_rows_execute(rows, plan);
	SPI_finish();
	return deleted;
}

static int64
run(KeSinkTable *table, KeSinkRow **made, int count, bool deletes,
	volatile int *at)
{
	KeSinkRows	rows = {table, NULL, 0, count, made, at};

	if (count == 0)
		return 0;
	return deletes ? run_deletes(table, &rows)
		: ke_sink_insert_rows(table, &rows);
}

/*
 * Keys that are not whole come last: the first of them is refused.  With
 * messages in between, *at tells which.
 */
static int64
run_last_of_each_key(KeSinkTable *table, Operation *operations, int count,
					 Operation **sorted, int nsorted, volatile int *at)
{
	KeSinkRow **made = palloc(count * sizeof(KeSinkRow *));
	int64		written = 0;
	int			n = 0;
	int			end;

	for (int i = 0; i < nsorted; i++)
		if (!sorted[i]->superseded)
			made[n++] = &sorted[i]->row;
	for (int i = 0; i < count; i++)
		if (!has_whole_key(&operations[i], table))
			made[n++] = &operations[i].row;
	for (int i = 0; i < n; i = end)
	{
		for (end = i + 1; end < n; end++)
			if (made[end]->deletes != made[i]->deletes)
				break;
		written += run(table, &made[i], end - i, made[i]->deletes, at);
	}
	return written;
}

static int64
run_in_order(KeSinkTable *table, Operation *operations, int count,
			 volatile int *at)
{
	KeSinkRow **made = palloc(count * sizeof(KeSinkRow *));
	int64		written = 0;
	int			start = 0;

	for (int i = 0; i < count; i++)
	{
		bool		deletes = operations[start].row.deletes;

		made[i] = &operations[i].row;
		if (operations[i].earlier < start &&
			operations[i].row.deletes == deletes)
			continue;
		written += run(table, &made[start], i - start, deletes, at);
		start = i;
	}
	return written + run(table, &made[start], count - start,
						 operations[start].row.deletes, at);
}

int64
ke_sink_keys_write(KeSinkTable *table, Relation rel, KeMessage **msgs,
				   int count, volatile int *at)
{
	Operation  *operations;
	Operation **sorted = palloc(count * sizeof(Operation *));
	int			nsorted;

	operations = make_operations(table, msgs, count, at);
	nsorted = link_same_keys(table, operations, count, sorted);
	if (table->relkind == RELKIND_RELATION && rel->trigdesc == NULL &&
		rel->rd_rules == NULL)
		return run_last_of_each_key(table, operations, count, sorted,
									nsorted, at);
	return run_in_order(table, operations, count, at);
}

void
ke_sink_keys_tell_row(KeSinkTable *table, KeMessage *msg,
					  volatile bool *tells)
{
	KeyOrder	order = {table, NULL};
	Operation  *operations;
	KeMessage  *msgs[1] = {msg};
	Operation	by_key = {0};
	volatile int at;

	if (table->tombstone != KE_TOMBSTONE_DELETE || table->nkey_fields == 0 ||
		msg->value == NULL)
		return;
	order.keys = prepare_comparison(table);
	operations = make_operations(table, msgs, 1, &at);
	if (operations->row.deletes)
		return;
	*tells = false;
	if (msg->key == NULL)
		return;
	by_key.row.values = palloc(table->desc->natts * sizeof(Datum));
	by_key.row.nulls = palloc(table->desc->natts * sizeof(bool));
	ke_sink_row_key(table, msg, by_key.row.values, by_key.row.nulls);
	*tells = compare_keys(operations, &by_key, &order) == 0;
}
