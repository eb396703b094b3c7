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
 * key, at each change between rows and tombstones and, where only present
 * columns are updated, at each change of what is present.
 *
 * What comes to the same as one after the other is decided here: of rows that
 * must be newer the newest stays, columns that are present are put together,
 * and what follows a tombstone follows it in the table too, where a row that
 * was there would make a difference.  With both options only the table can
 * tell what is newer: then all steps run in the order of the messages.  So
 * they do where a change event lacks values that its row has, or gives it
 * another key.
 */
#include "postgres.h"
#include "core/compat.h"

#include "access/genam.h"
#include "access/nbtree.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/sortsupport.h"
#include "utils/typcache.h"

#include "sink/sink_change.h"
#include "sink/sink_insert.h"
#include "sink/sink_keys.h"
#include "sink/sink_match.h"
#include "sink/sink_partial.h"

/* Where more than one in so many comes again, rows are hot. */
#define REPEATED_PART 8

/* A message's operation, and its neighbours with the same key. */
typedef struct Operation
{
	KeSinkRow	row;
	int			earlier;		/* index, or -1 */
	bool		superseded;		/* there is a later one */
} Operation;

struct KeSinkKeys
{
	KeSinkTable *table;
	Operation  *operations;
	int			count;
	Operation **sorted;			/* by key, those that have a whole one */
	int			nsorted;
	bool		in_key_order;	/* else they run as the messages came */
};

typedef struct KeyOrder
{
	KeSinkTable *table;
	SortSupport keys;			/* one per key column */
	FmgrInfo   *newer;			/* compares values of update_if, if that is */
	Oid			collation;		/* of that column */
} KeyOrder;

static bool
updates_present(const KeSinkTable *table)
{
	return table->options->update_columns == KE_UPDATE_PRESENT;
}

/* Of a change event: what the row keeps, and the key that it has now. */
static void
add_change(KeSinkTable *table, KeMessage *msg, KeSinkAct act, KeSinkRow *row)
{
	Size		natts = table->desc->natts;

	if (act == KE_SINK_WRITES && table->nunavailable > 0)
	{
		row->moved = ke_sink_row_was_moved(msg);
		row->keeps = palloc(natts * sizeof(bool));
		for (int i = 0; i < natts; i++)
			row->keeps[i] = table->unavailable[i] ||
				(row->present != NULL && !row->present[i]);
		for (int i = 0; i < table->nkeys; i++)
			if (row->keeps[table->keys[i] - 1])
				ereport(ERROR,
						(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
						 errmsg("message lacks the value of column \"%s\" of the primary key",
								table->columns[table->keys[i] - 1].name)));
	}
	if (act == KE_SINK_DELETES && ke_sink_row_is_moved(table, msg))
	{
		row->new_key = palloc(natts * sizeof(Datum));
		if (!ke_sink_row_new_key(table, msg, row->new_key))
			row->new_key = NULL;
	}
}

/* One for each message that does something; *n is how many these are. */
static Operation *
make_operations(KeSinkTable *table, KeMessage **msgs, int count, int *n,
				volatile int *at)
{
	int			natts = table->desc->natts;
	Operation  *operations = palloc0(count * sizeof(Operation));
	Datum	   *values = palloc((Size) count * natts * sizeof(Datum));
	bool	   *nulls = palloc((Size) count * natts * sizeof(bool));
	bool	   *present = palloc((Size) count * natts * sizeof(bool));

	*n = 0;
	for (int i = 0; i < count; i++)
	{
		Operation  *operation = &operations[*n];
		KeSinkAct	act;

		*at = i;
		operation->row.message = i;
		operation->row.values = values + (Size) i * natts;
		operation->row.nulls = nulls + (Size) i * natts;
		operation->earlier = -1;
		act = ke_sink_row_fill(table, msgs[i], operation->row.values,
							   operation->row.nulls);
		if (act == KE_SINK_LEAVES)
		{
			ke_sink_table_leave(table, msgs[i]);
			continue;
		}
		operation->row.deletes = act == KE_SINK_DELETES;
		if (updates_present(table) && act == KE_SINK_WRITES)
		{
			operation->row.present = present + (Size) i * natts;
			memcpy(operation->row.present, table->present,
				   natts * sizeof(bool));
		}
		if (table->value->unwrap != NULL)
			add_change(table, msgs[i], act, &operation->row);
		(*n)++;
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
		PrepareSortSupportFromIndexRel(index, KE_INDEX_ORDER, &keys[i]);
	}
	index_close(index, NoLock);
	return keys;
}

static KeyOrder
make_order(KeSinkTable *table)
{
	KeyOrder	order = {table, prepare_comparison(table), NULL, InvalidOid};
	Form_pg_attribute att;
	TypeCacheEntry *type;

	if (table->update_if == 0)
		return order;
	att = TupleDescAttr(table->desc, table->update_if - 1);
	type = lookup_type_cache(att->atttypid, TYPECACHE_CMP_PROC_FINFO);
	if (!OidIsValid(type->cmp_proc_finfo.fn_oid))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_FUNCTION),
				 errmsg("type of column \"%s\" of option update_if has no order",
						NameStr(att->attname))));
	order.newer = &type->cmp_proc_finfo;
	order.collation = att->attcollation;
	return order;
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

/* Is the row newer than one before it, which has a value too? */
static bool
is_newer(const KeyOrder *order, const Operation *row, const Operation *before)
{
	int			attribute = order->table->update_if - 1;

	return order->newer == NULL ||
		DatumGetInt32(FunctionCall2Coll(order->newer, order->collation,
										row->row.values[attribute],
										before->row.values[attribute])) > 0;
}

/* What a row does not have, it takes from the row before it. */
static void
put_together(const KeSinkTable *table, Operation *row,
			 const Operation *before)
{
	for (int i = 0; i < table->desc->natts && row->row.present != NULL; i++)
	{
		if (row->row.present[i] || !before->row.present[i])
			continue;
		row->row.values[i] = before->row.values[i];
		row->row.nulls[i] = before->row.nulls[i];
		row->row.present[i] = true;
	}
}

/*
 * Of the operations of one key, mark those as superseded that leave nothing:
 * at most a tombstone and a row stay, in this order.
 */
static void
reduce_key(const KeyOrder *order, Operation **operations, int count)
{
	bool		keeps_tombstone = order->newer != NULL ||
		updates_present(order->table);
	Operation  *tombstone = NULL;
	Operation  *row = NULL;

	for (int i = 0; i < count; i++)
	{
		Operation  *next = operations[i];

		if (next->row.deletes)
		{
			if (tombstone != NULL)
				tombstone->superseded = true;
			if (row != NULL)
				row->superseded = true;
			tombstone = next;
			row = NULL;
		}
		else if (row != NULL && !is_newer(order, next, row))
			next->superseded = true;
		else
		{
			if (row != NULL)
			{
				put_together(order->table, next, row);
				row->superseded = true;
			}
			else if (tombstone != NULL && !keeps_tombstone)
				tombstone->superseded = true;
			row = next;
		}
	}
}

/*
 * Fill sorted with the operations that have a whole key, find for each the
 * one before it of its key and, if so asked, reduce each key to what is left;
 * returns how many sorted has.
 */
static int
link_same_keys(KeSinkTable *table, Operation *operations, int count,
			   Operation **sorted, bool reduce)
{
	KeyOrder	order = make_order(table);
	int			n = 0;
	int			end;

	for (int i = 0; i < count; i++)
	{
		if (has_whole_key(&operations[i], table))
			sorted[n++] = &operations[i];
	}
	qsort_arg(sorted, n, sizeof(Operation *), compare_operations, &order);
	for (int i = 0; i < n; i = end)
	{
		for (end = i + 1; end < n; end++)
		{
			if (compare_keys(sorted[i], sorted[end], &order) != 0)
				break;
			sorted[end]->earlier = (int) (sorted[end - 1] - operations);
		}
		if (reduce && end - i > 1)
			reduce_key(&order, &sorted[i], end - i);
	}
	return n;
}

/* DELETE ... USING the messages, by the primary key's own equality. */
static char *
delete_sql(KeSinkTable *table)
{
	StringInfoData sql;

	initStringInfo(&sql);
	appendStringInfo(&sql, "DELETE FROM %s%s t USING %s m WHERE ",
					 table->relkind == RELKIND_RELATION ? "ONLY " : "",
					 ke_sink_insert_name(table),
					 quote_identifier(KE_SINK_ROWS));
	ke_sink_match_key(&sql, table);
	return sql.data;
}

/* Rows that do the same to the same columns, one or no row of each key. */
static int64
run(KeSinkTable *table, KeSinkRow **made, int count, volatile int *at)
{
	KeSinkRows	rows = {table, NULL, 0, count, made, at};

	if (count == 0)
		return 0;
	if (made[0]->new_key != NULL)
		return ke_sink_change_move(table, made[0], at);
	if (made[0]->keeps != NULL)
		return ke_sink_change_update(table, &rows);
	if (made[0]->deletes)
		return ke_sink_partial_run(table, &rows, delete_sql(table));
	if (made[0]->present != NULL)
		return ke_sink_partial_write(table, &rows, made[0]->present);
	return ke_sink_insert_rows(table, &rows);
}

/* Can one statement do both? */
static bool
are_alike(const KeSinkTable *table, const KeSinkRow *a, const KeSinkRow *b)
{
	if (a->new_key != NULL || b->new_key != NULL ||
		(a->keeps == NULL) != (b->keeps == NULL))
		return false;
	if (a->keeps != NULL)
		return memcmp(a->keeps, b->keeps,
					  table->desc->natts * sizeof(bool)) == 0;
	return a->deletes == b->deletes &&
		(a->present == NULL ||
		 memcmp(a->present, b->present,
				table->desc->natts * sizeof(bool)) == 0);
}

/*
 * Keys that are not whole come last: the first of them is refused.  With
 * messages in between, *at tells which.
 */
static int64
run_last_of_each_key(KeSinkTable *table, Operation *operations, int count,
					 Operation **sorted, int nsorted, volatile int *at)
{
	KeSinkRow **made = palloc(Max(count, 1) * sizeof(KeSinkRow *));
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
			if (!are_alike(table, made[end], made[i]))
				break;
		written += run(table, &made[i], end - i, at);
	}
	return written;
}

static int64
run_in_order(KeSinkTable *table, Operation *operations, int count,
			 volatile int *at)
{
	KeSinkRow **made = palloc(Max(count, 1) * sizeof(KeSinkRow *));
	int64		written = 0;
	int			start = 0;

	for (int i = 0; i < count; i++)
	{
		made[i] = &operations[i].row;
		if (operations[i].earlier < start &&
			are_alike(table, made[i], made[start]))
			continue;
		written += run(table, &made[start], i - start, at);
		start = i;
	}
	return written + run(table, &made[start], count - start, at);
}

/* Of rows that keep values, or get another key, the steps matter. */
static bool
has_changes(const Operation *operations, int count)
{
	for (int i = 0; i < count; i++)
		if (operations[i].row.keeps != NULL ||
			operations[i].row.new_key != NULL)
			return true;
	return false;
}

KeSinkKeys *
ke_sink_keys_make(KeSinkTable *table, Relation rel, KeMessage **msgs,
				  int count, volatile int *at)
{
	KeSinkKeys *keys = palloc(sizeof(KeSinkKeys));

	keys->table = table;
	keys->operations = make_operations(table, msgs, count, &keys->count, at);
	keys->in_key_order = table->relkind == RELKIND_RELATION &&
		rel->trigdesc == NULL && rel->rd_rules == NULL &&
		!(updates_present(table) && table->update_if != 0) &&
		!has_changes(keys->operations, keys->count);
	keys->sorted = palloc(Max(keys->count, 1) * sizeof(Operation *));
	keys->nsorted = link_same_keys(table, keys->operations, keys->count,
								   keys->sorted, keys->in_key_order);
	return keys;
}

bool
ke_sink_keys_repeat(const KeSinkKeys *keys)
{
	int			repeated = 0;

	for (int i = 0; i < keys->count; i++)
		repeated += keys->operations[i].earlier >= 0;
	return keys->in_key_order && repeated * REPEATED_PART > keys->count;
}

int64
ke_sink_keys_write(KeSinkKeys *keys, volatile int *at)
{
	if (keys->in_key_order)
		return run_last_of_each_key(keys->table, keys->operations,
									keys->count, keys->sorted, keys->nsorted,
									at);
	return run_in_order(keys->table, keys->operations, keys->count, at);
}

void
ke_sink_keys_tell_row(KeSinkTable *table, KeMessage *msg,
					  volatile bool *tells)
{
	KeyOrder	order = {0};
	Operation  *operations;
	KeMessage  *msgs[1] = {msg};
	Operation	by_key = {0};
	volatile int at;
	int			n;

	if (table->key_decoder == NULL || table->nkey_fields == 0 ||
		msg->value == NULL)
		return;
	order.table = table;
	order.keys = prepare_comparison(table);
	operations = make_operations(table, msgs, 1, &n, &at);
	if (n == 0 || operations->row.deletes)
		return;
	*tells = false;
	if (msg->key == NULL)
		return;
	by_key.row.values = palloc(table->desc->natts * sizeof(Datum));
	by_key.row.nulls = palloc(table->desc->natts * sizeof(bool));
	ke_sink_row_key(table, msg, by_key.row.values, by_key.row.nulls);
	*tells = compare_keys(operations, &by_key, &order) == 0;
}
