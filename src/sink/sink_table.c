/*
 * sink_table.c
 *	  A target table as the sink sees it: what it was made from, and whether
 *	  that still holds.
 *
 * A KeSinkTable outlives transactions, and with it plans, default expressions
 * and slots.  Invalidation callbacks mark the target stale; the next open
 * makes another one, in a context of its own, and then drops the old one.
 */
#include "postgres.h"
#include "core/compat.h"

#include "access/genam.h"
#include "access/heapam.h"
#include "access/table.h"
#include "catalog/catalog.h"
#include "catalog/pg_am.h"
#include "catalog/pg_class.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_proc.h"
#include "executor/executor.h"
#include "miscadmin.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "rewrite/rewriteHandler.h"
#include "utils/acl.h"
#include "utils/fmgroids.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/syscache.h"

#include "convert/field_map.h"
#include "sink/sink_table.h"
#include "subscription/checks.h"
#include "subscription/trust.h"

/* All targets of this process, for callbacks, which cannot be taken back. */
static dlist_head targets = DLIST_STATIC_INIT(targets);
static bool callbacks_registered = false;

/*
 * What user code cached in a table's context (a default's SQL function does
 * so once per transaction) is given back when it has grown beyond this.
 */
#define MAX_TABLE_MEMORY (8 * 1024 * 1024)

typedef struct MetadataName
{
	const char *field;			/* the column's name in row format fields */
	const char *envelope;		/* and in envelope; NULL: none */
	KeColumnSource source;
} MetadataName;

static const MetadataName metadata_names[] = {
	{"kafka_topic", "topic", KE_COLUMN_TOPIC},
	{"kafka_partition", "partition", KE_COLUMN_PARTITION},
	{"kafka_offset", "offset", KE_COLUMN_OFFSET},
	{"kafka_timestamp", "timestamp", KE_COLUMN_TIMESTAMP},
	{"kafka_key", "key", KE_COLUMN_KEY},
	{NULL, "value", KE_COLUMN_VALUE},
	{"kafka_headers", "headers", KE_COLUMN_HEADERS},
	{"kafka_element", "element", KE_COLUMN_ELEMENT}	/* with option split */
};

static void
relation_changed(Datum arg, Oid relid)
{
	dlist_iter	iter;

	dlist_foreach(iter, &targets)
	{
		KeSinkTarget *target = dlist_container(KeSinkTarget, node, iter.cur);

		if (!OidIsValid(relid) || target->relid == relid ||
			target->has_children)
			target->stale = true;
	}
}

/* A function behind a default, or the name of a schema. */
static void
catalog_changed(Datum arg, int cacheid, uint32 hashvalue)
{
	relation_changed(arg, InvalidOid);
}

static void
register_callbacks(void)
{
	if (callbacks_registered)
		return;
	CacheRegisterRelcacheCallback(relation_changed, (Datum) 0);
	CacheRegisterSyscacheCallback(PROCOID, catalog_changed, (Datum) 0);
	CacheRegisterSyscacheCallback(NAMESPACEOID, catalog_changed, (Datum) 0);
	/* whose code would run */
	CacheRegisterSyscacheCallback(AUTHOID, catalog_changed, (Datum) 0);
	CacheRegisterSyscacheCallback(OPEROID, catalog_changed, (Datum) 0);
	callbacks_registered = true;
}

static void
forget_target(void *arg)
{
	dlist_delete(&((KeSinkTarget *) arg)->node);
}

void
ke_sink_table_target_init(KeSinkTarget *target, const KeSubscription *sub,
						  MemoryContext context)
{
	register_callbacks();
	target->relid = sub->into_table;
	target->topic = MemoryContextStrdup(context, sub->topic);
	target->options = &sub->options;
	target->maps_elsewhere = sub->handler_argument == KE_ARG_COMPOSITE ||
		OidIsValid(sub->route);
	target->value = ke_document_open(&sub->options, KE_DOCUMENT_VALUE,
									 context);
	target->key = ke_document_open(&sub->options, KE_DOCUMENT_KEY, context);
	target->context = context;
	target->stale = true;
	target->table = NULL;
	ke_unmatched_reset(&target->unmatched);
	dlist_push_tail(&targets, &target->node);
	target->on_free.func = forget_target;
	target->on_free.arg = target;
	MemoryContextRegisterResetCallback(context, &target->on_free);
}

static void
drop_table(KeSinkTarget *target)
{
	target->value->columns = NULL;
	if (target->table != NULL)
		MemoryContextDelete(target->table->context);
	target->table = NULL;
}

static KeColumnSource
source_of_column(const KeSubscriptionOptions *options, const char *name)
{
	KeRowFormat format = options->row_format;

	for (int i = 0; i < options->ncolumn_map && format == KE_ROW_FIELDS; i++)
		if (strcmp(options->column_map[i].column, name) == 0)
			return KE_COLUMN_FIELD;
	for (int i = 0; i < lengthof(metadata_names); i++)
	{
		const char *reserved = format == KE_ROW_ENVELOPE ?
			metadata_names[i].envelope : metadata_names[i].field;

		if (metadata_names[i].source == KE_COLUMN_ELEMENT &&
			options->split == KE_SPLIT_NONE)
			continue;
		if (reserved != NULL && strcmp(reserved, name) == 0)
			return metadata_names[i].source;
	}
	return format == KE_ROW_FIELDS ? KE_COLUMN_FIELD : KE_COLUMN_DEFAULT;
}

/*
 * A volatile function could look at the table, and would not see the rows
 * that the bulk way has only gathered; these do not look.
 */
static bool
may_look_at_table(Oid function, void *context)
{
	switch (function)
	{
		case F_NEXTVAL:
		case F_GEN_RANDOM_UUID:
		case F_CLOCK_TIMESTAMP:
			return false;
		default:
			return func_volatile(function) == PROVOLATILE_VOLATILE;
	}
}

static bool
looks_at_table(Node *node, void *context)
{
	if (node == NULL)
		return false;
	return check_functions_in_node(node, may_look_at_table, context) ||
		expression_tree_walker(node, looks_at_table, context);
}

/* The default of a column, ready to run; NULL: the default is NULL. */
static ExprState *
build_default(KeSinkTable *table, Relation rel, AttrNumber attribute)
{
	Expr	   *expr = (Expr *) build_column_default(rel, attribute);

	if (expr == NULL)
		return NULL;
	if (looks_at_table((Node *) expr, NULL))
		table->plain = false;
	return ExecInitExpr(expression_planner(expr), NULL);
}

static void
build_columns(KeSinkTable *table, Relation rel)
{
	int			natts = table->desc->natts;
	bool	   *want = palloc0(natts * sizeof(bool));

	table->columns = palloc0(natts * sizeof(KeSinkColumn));
	table->present = palloc0(natts * sizeof(bool));
	table->unavailable = palloc0(natts * sizeof(bool));
	for (int i = 0; i < natts; i++)
	{
		Form_pg_attribute att = TupleDescAttr(table->desc, i);
		KeSinkColumn *column = &table->columns[i];

		column->name = NameStr(att->attname);
		column->dropped = att->attisdropped;
		if (column->dropped)
			continue;
		column->source = source_of_column(table->options, column->name);
		column->generated = att->attgenerated != '\0' ||
			att->attidentity == ATTRIBUTE_IDENTITY_ALWAYS;
		if (column->generated)
		{
			table->has_generated = true;
			table->plain = false;
			continue;
		}
		ke_type_watch_add(table->types, att->atttypid);
		want[i] = column->source == KE_COLUMN_FIELD;
		table->nfields += want[i];
		ke_convert_init(&column->converter, column->name, att->atttypid,
						att->atttypmod, table->options, table->context);
		if (column->source <= KE_COLUMN_FIELD && table->takes_defaults)
			column->default_value = build_default(table, rel, i + 1);
	}
	if (table->format == KE_ROW_FIELDS)
	{
		table->decoder = ke_decode_make(table->desc, want, table->options,
										false, table->context);
		if (table->on_conflict == KE_CONFLICT_UPDATE)
			ke_decode_keep_unavailable(table->decoder);
	}
}

/* The columns that statements of ours fill: all but dropped and generated. */
static void
build_row_desc(KeSinkTable *table)
{
	int			natts = table->desc->natts;
	int			n = 0;

	table->row_attributes = palloc(natts * sizeof(int));
	for (int i = 0; i < natts; i++)
	{
		if (!table->columns[i].dropped && !table->columns[i].generated)
			table->row_attributes[n++] = i;
	}
	table->row_desc = CreateTemplateTupleDesc(n);
	for (int i = 0; i < n; i++)
	{
		Form_pg_attribute att = TupleDescAttr(table->desc,
											  table->row_attributes[i]);

		TupleDescInitEntry(table->row_desc, i + 1, NameStr(att->attname),
						   att->atttypid, att->atttypmod, att->attndims);
		TupleDescInitEntryCollation(table->row_desc, i + 1,
									att->attcollation);
	}
}

/*
 * The primary key, and what a message without a value means for it.  Where
 * the key holds a message's own place, no other message can mean its row.
 */
static void
build_key(KeSinkTable *table, Relation rel)
{
	bool	   *want = palloc0(table->desc->natts * sizeof(bool));
	bool		is_log = false;
	Relation	index;

	table->key_index = ke_primary_key_index(rel);
	if (!OidIsValid(table->key_index))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_TABLE_DEFINITION),
				 errmsg("table \"%s\" has no primary key", table->name),
				 errdetail("Only on_conflict \"error\" works without one.")));

	index = index_open(table->key_index, AccessShareLock);
	table->nkeys = index->rd_index->indnkeyatts;
	table->keys = palloc(table->nkeys * sizeof(AttrNumber));
	for (int i = 0; i < table->nkeys; i++)
	{
		AttrNumber	attribute = index->rd_index->indkey.values[i];
		KeSinkColumn *column = &table->columns[attribute - 1];

		table->keys[i] = attribute;
		if (column->source <= KE_COLUMN_FIELD)
		{
			if (table->nkey_fields++ == 0)
				table->key_field = attribute;
			want[attribute - 1] = true;
		}
		if (column->source == KE_COLUMN_OFFSET ||
			column->source == KE_COLUMN_TIMESTAMP)
			is_log = true;
		if (column->generated)
			ke_convert_init(&column->converter, column->name,
							TupleDescAttr(table->desc,
										  attribute - 1)->atttypid,
							TupleDescAttr(table->desc,
										  attribute - 1)->atttypmod,
							table->options, table->context);
	}
	index_close(index, NoLock);

	if (table->on_conflict != KE_CONFLICT_UPDATE || is_log)
		return;
	if (table->options->tombstones == KE_TOMBSTONES_DELETE ||
		table->options->tombstones == KE_TOMBSTONES_BY_FORMAT)
		table->tombstone = KE_TOMBSTONE_DELETE;
	table->key_decoder = ke_decode_make(table->desc, want, table->options,
										true, table->context);
}

/* Whether index entries leave nothing to be checked later. */
static bool
has_plain_indexes(Relation rel)
{
	List	   *indexes = RelationGetIndexList(rel);
	ListCell   *cell;
	bool		plain = true;

	foreach(cell, indexes)
	{
		Relation	index = index_open(lfirst_oid(cell), AccessShareLock);

		if (!index->rd_index->indimmediate || index->rd_index->indisexclusion)
			plain = false;
		index_close(index, NoLock);
	}
	list_free(indexes);
	return plain;
}

/* Foreign keys of the table are triggers too, those that refer to it not. */
static bool
has_insert_triggers(const TriggerDesc *triggers)
{
	return triggers != NULL &&
		(triggers->trig_insert_before_row ||
		 triggers->trig_insert_after_row ||
		 triggers->trig_insert_instead_row ||
		 triggers->trig_insert_before_statement ||
		 triggers->trig_insert_after_statement ||
		 triggers->trig_insert_new_table);
}

/*
 * The closed list of what the bulk way may serve; generated columns and
 * volatile defaults are looked at with the columns.
 */
static bool
is_plain(Relation rel)
{
	Form_pg_class form = rel->rd_rel;

	return form->relkind == RELKIND_RELATION &&
		form->relpersistence == RELPERSISTENCE_PERMANENT &&
		form->relam == HEAP_TABLE_AM_OID &&
		!form->relispartition &&
		!form->relhassubclass &&
		!has_superclass(RelationGetRelid(rel)) &&
		!form->relrowsecurity &&
		!has_insert_triggers(rel->trigdesc) &&
		rel->rd_rules == NULL &&
		!IsCatalogRelation(rel) &&
		has_plain_indexes(rel);
}

static void
find_update_if(KeSinkTable *table)
{
	const char *name = table->options->update_if;

	for (int i = 0; i < table->desc->natts; i++)
		if (!table->columns[i].dropped &&
			strcmp(table->columns[i].name, name) == 0)
			table->update_if = i + 1;
	if (table->update_if == 0)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_COLUMN),
				 errmsg("column \"%s\" of option update_if does not exist",
						name),
				 errhint("Change the option with kafka_subscription_alter.")));
}

/* Find out everything about the relation, in a context of its own. */
static KeSinkTable *
build(KeSinkTarget *target, Relation rel, MemoryContext context)
{
	MemoryContext old = MemoryContextSwitchTo(context);
	KeSinkTable *table = palloc0(sizeof(KeSinkTable));

	table->context = context;
	table->relid = target->relid;
	table->options = target->options;
	table->format = target->options->row_format;
	table->on_conflict = target->options->on_conflict;
	table->value = target->value;
	table->key = target->key;
	table->unmatched = &target->unmatched;
	table->schema = get_namespace_name(RelationGetNamespace(rel));
	table->name = pstrdup(RelationGetRelationName(rel));
	table->relkind = rel->rd_rel->relkind;
	table->desc = CreateTupleDescCopyConstr(RelationGetDescr(rel));
	table->types = ke_type_watch_make(context);
	table->plain = is_plain(rel);
	/* what an absent column of a view becomes, only its rewriting tells */
	table->takes_defaults = table->relkind != RELKIND_VIEW;
	table->tombstone = table->format == KE_ROW_ENVELOPE ?
		KE_TOMBSTONE_STORE : KE_TOMBSTONE_REFUSE;
	if (table->format == KE_ROW_FIELDS && !target->maps_elsewhere)
		ke_field_map_check(table->desc, table->options);
	build_columns(table, rel);
	build_row_desc(table);
	if (table->options->tombstones == KE_TOMBSTONES_IGNORE)
		table->tombstone = KE_TOMBSTONE_IGNORE;
	else if (table->options->tombstones == KE_TOMBSTONES_DEAD_LETTER)
		table->tombstone = KE_TOMBSTONE_REFUSE;
	if (table->on_conflict != KE_CONFLICT_ERROR)
		build_key(table, rel);
	if (table->options->update_if != NULL)
		find_update_if(table);
	MemoryContextSwitchTo(old);
	return table;
}

/*
 * All that runs when a row is written; looked at again after changes.  Of a
 * view, the owners of what is under it are checked with the statement's plan.
 */
static void
check_trust(Relation rel)
{
	List	   *problems = NIL;

	if (rel->rd_rel->relkind == RELKIND_VIEW)
		return;
	ke_trust_check_table(RelationGetRelid(rel), &problems);
	if (problems != NIL)
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("cannot write into table \"%s\" as a superuser",
						RelationGetRelationName(rel)),
				 errdetail_internal("%s.", ke_checks_first(problems)),
				 errhint("Give the server to a role of its own (ALTER SERVER ... OWNER TO ...), which then needs its user mapping.")));
}

/* An error on the way leaves the target without a table. */
static void
make_anew(KeSinkTarget *target, Relation rel)
{
	MemoryContext context;
	KeSinkTable *table;

	drop_table(target);
	target->stale = false;		/* what changes from here on counts again */
	target->has_children = false;
	if (superuser_arg(GetUserId()))
	{
		check_trust(rel);
		target->has_children = rel->rd_rel->relhassubclass;
	}
	context = AllocSetContextCreate(CurrentMemoryContext,
									"kafka_events sink table",
									ALLOCSET_DEFAULT_SIZES);
	table = build(target, rel, context);
	MemoryContextSetParent(context, target->context);
	target->table = table;
}

/* Memory that the table holds, without that for gathering rows. */
static Size
memory_held(const KeSinkTable *table)
{
	Size		held = MemoryContextMemAllocated(table->context, true);

	if (table->bulk_context != NULL)
		held -= MemoryContextMemAllocated(table->bulk_context, true);
	return held;
}

/* True if what the table was made from has not changed since. */
static bool
is_current(KeSinkTarget *target, Relation rel)
{
	KeSinkTable *table = target->table;

	return table != NULL && !target->stale &&
		!ke_type_watch_is_stale(table->types) &&
		equalTupleDescs(table->desc, RelationGetDescr(rel)) &&
		memory_held(table) < MAX_TABLE_MEMORY;
}

/*
 * A superuser writes only where superusers decide what runs: whoever owns a
 * table could give it a trigger.
 */
void
ke_sink_table_check_owner(Oid relid)
{
	HeapTuple	tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(relid));
	Form_pg_class form;

	if (!HeapTupleIsValid(tuple))
		return;
	form = (Form_pg_class) GETSTRUCT(tuple);
	if (!superuser_arg(form->relowner))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("cannot write into table \"%s\" as a superuser",
						NameStr(form->relname)),
				 errdetail("It belongs to role \"%s\", whose triggers and defaults would run as superuser.",
						   GetUserNameFromId(form->relowner, false)),
				 errhint("ALTER SERVER ... OWNER TO that role; it then needs the user mapping.")));
	ReleaseSysCache(tuple);
}

static void
check_superuser(Relation rel)
{
	List	   *children;
	ListCell   *cell;

	if (!superuser_arg(GetUserId()))
		return;
	ke_sink_table_check_owner(RelationGetRelid(rel));
	if (!rel->rd_rel->relhassubclass)
		return;
	children = find_all_inheritors(RelationGetRelid(rel), AccessShareLock,
								   NULL);
	foreach(cell, children)
		ke_sink_table_check_owner(lfirst_oid(cell));
	list_free(children);
}

Relation
ke_sink_table_target_open(KeSinkTarget *target)
{
	Relation	rel = try_table_open(target->relid, RowExclusiveLock);

	if (rel == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_TABLE),
				 errmsg("target table of topic \"%s\" does not exist anymore",
						target->topic)));
	check_superuser(rel);
	if (!is_current(target, rel))
		make_anew(target, rel);
	return rel;
}

bool
ke_sink_table_may_insert(const KeSinkTable *table)
{
	return pg_class_aclcheck(table->relid, GetUserId(),
							 ACL_INSERT) == ACLCHECK_OK;
}

bool
ke_sink_table_is_key(const KeSinkTable *table, int attribute)
{
	for (int i = 0; i < table->nkeys; i++)
	{
		if (table->keys[i] == attribute + 1)
			return true;
	}
	return false;
}
