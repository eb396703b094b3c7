/*
 * sink_table.h
 *	  A target table as the sink sees it: its columns, where each gets its
 *	  value from, and the row a message becomes.
 *
 * Everything here lives in the table's own context and is made anew when the
 * table, its columns' types, its defaults or its schema's name change;
 * ke_sink_table_target_open notices.
 */
#ifndef KE_SINK_TABLE_H
#define KE_SINK_TABLE_H

#include "lib/ilist.h"
#include "nodes/execnodes.h"
#include "utils/relcache.h"

#include "convert/convert.h"
#include "convert/decode.h"
#include "convert/document.h"
#include "convert/type_watch.h"
#include "convert/unmatched.h"
#include "core/message.h"
#include "subscription/catalog.h"

typedef enum KeColumnSource
{
	KE_COLUMN_DEFAULT,			/* nothing of the message goes there */
	KE_COLUMN_FIELD,			/* the JSON field of the same name */
	KE_COLUMN_TOPIC,
	KE_COLUMN_PARTITION,
	KE_COLUMN_OFFSET,
	KE_COLUMN_TIMESTAMP,
	KE_COLUMN_KEY,
	KE_COLUMN_VALUE,
	KE_COLUMN_HEADERS,
	KE_COLUMN_ELEMENT			/* of a message that is taken apart */
} KeColumnSource;

typedef struct KeSinkColumn
{
	char	   *name;
	KeColumnSource source;
	bool		dropped;
	bool		generated;		/* only PostgreSQL itself writes it */
	KeConverter converter;		/* not for KE_COLUMN_FIELD with a field */
	ExprState  *default_value;	/* NULL: the default is NULL */
} KeSinkColumn;

/* What a message without a value means. */
typedef enum KeTombstone
{
	KE_TOMBSTONE_REFUSE,
	KE_TOMBSTONE_STORE,			/* a row like any other */
	KE_TOMBSTONE_DELETE,
	KE_TOMBSTONE_IGNORE
} KeTombstone;

/* What a message does to the table. */
typedef enum KeSinkAct
{
	KE_SINK_WRITES,				/* a row */
	KE_SINK_DELETES,			/* the row of its key */
	KE_SINK_LEAVES				/* nothing */
} KeSinkAct;

typedef struct KeSinkTable
{
	MemoryContext context;		/* this struct and all it points to */
	Oid			relid;
	const KeSubscriptionOptions *options;	/* the subscription's */
	KeRowFormat format;
	KeOnConflict on_conflict;
	char	   *schema;
	char	   *name;
	char		relkind;
	TupleDesc	desc;
	KeTypeWatch *types;			/* of its columns */
	KeSinkColumn *columns;		/* desc->natts of them */
	TupleDesc	row_desc;		/* the columns that can be written */
	int		   *row_attributes; /* index of each of these */
	KeDocument *value;			/* the target's, as the next one */
	KeDocument *key;
	KeDecoder  *decoder;		/* KE_ROW_FIELDS only */
	bool	   *present;		/* of the last row made, by attribute */
	bool	   *unavailable;	/* of the last row made, by attribute: its
								 * column keeps the value that it has */
	int			nunavailable;
	int			skipped;		/* messages of this write that are no rows */
	int			nfields;		/* columns that a field may go to */
	KeUnmatched *unmatched;		/* messages with a field for none of them; the
								 * target's */
	ExprContext *econtext;		/* for default values, during a write */
	bool		takes_defaults; /* absent columns get their default here */
	bool		has_generated;	/* columns */
	bool		plain;			/* the bulk way can be taken */

	/* The primary key; none if nkeys is 0 */
	int			nkeys;
	AttrNumber *keys;
	Oid			key_index;
	KeTombstone tombstone;
	KeDecoder  *key_decoder;	/* key columns that the message key holds;
								 * NULL: no two messages mean one row */
	AttrNumber	update_if;		/* must be newer than the row's, or 0 */
	int			nkey_fields;
	AttrNumber	key_field;		/* the first of these */

	/* Belong to the ways of writing, which make them on first use */
	struct KeInsert *insert;
	struct KeBulk *bulk;
	MemoryContext bulk_context; /* rows that are gathered; NULL: none yet */
} KeSinkTable;

/* What a sink writes to; survives every change of the table. */
typedef struct KeSinkTarget
{
	Oid			relid;
	char	   *topic;
	const KeSubscriptionOptions *options;	/* the subscription's */
	bool		maps_elsewhere; /* column_map may mean a handler's row type, or
								 * another table */
	KeDocument *value;			/* of the message that is at work */
	KeDocument *key;
	MemoryContext context;		/* what this is in */
	MemoryContextCallback on_free;
	dlist_node	node;			/* in the list of all of this process */
	bool		stale;			/* table must be made anew */
	bool		has_children;	/* whose code a superuser would run, too */
	KeUnmatched unmatched;		/* counted by rows that were made */
	KeSinkTable *table;			/* NULL before the first open */
} KeSinkTarget;

/* target is in context, and ends with it; it refers to sub. */
extern void ke_sink_table_target_init(KeSinkTarget *target,
									  const KeSubscription *sub,
									  MemoryContext context);

/*
 * Open and lock the relation for writing, and bring target->table up to date;
 * the caller closes the relation and keeps the lock.  Raises 42P01 when it is
 * gone, 42501 when a superuser would write into somebody else's table, 42P16
 * when on_conflict needs a primary key that is not there.
 */
extern Relation ke_sink_table_target_open(KeSinkTarget *target);

/*
 * Fill values and nulls, one per attribute, with the row that msg becomes, in
 * the current context; table->present says which columns the message had a
 * value for.  Raises data exceptions.
 *
 * Of a message that deletes a row (that needs KE_TOMBSTONE_DELETE) only the
 * primary key is filled, by the next function; of one that leaves the table
 * alone, nothing.
 */
extern KeSinkAct ke_sink_row_fill(KeSinkTable *table, KeMessage *msg,
							 Datum *values, bool *nulls);

/* Fill the primary key only, with what the message key says of it. */
extern void ke_sink_row_key(KeSinkTable *table, KeMessage *msg,
							Datum *values, bool *nulls);

/*
 * Change events of a row whose key changes: one deletes the old key, and tells
 * the new one, another one writes the new key.  The new key, by attribute;
 * false if it has types whose values such an event does not tell for sure.
 */
extern bool ke_sink_row_is_moved(KeSinkTable *table, KeMessage *msg);
extern bool ke_sink_row_was_moved(KeMessage *msg);
extern bool ke_sink_row_new_key(KeSinkTable *table, KeMessage *msg,
								Datum *values);

/* Note that the message is about no row. */
static inline void
ke_sink_table_leave(KeSinkTable *table, KeMessage *msg)
{
	table->skipped++;
	msg->left = true;
}

/* True if every column may be inserted into by the current user. */
extern bool ke_sink_table_may_insert(const KeSinkTable *table);

/* Is the column, by its index, part of the primary key? */
extern bool ke_sink_table_is_key(const KeSinkTable *table, int attribute);

/* Refuse, for a superuser, a relation that belongs to somebody else. */
extern void ke_sink_table_check_owner(Oid relid);

#endif							/* KE_SINK_TABLE_H */
