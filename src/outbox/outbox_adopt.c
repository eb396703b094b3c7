/*
 * outbox_adopt.c
 *	  The outbox after pg_upgrade, which gives servers other oids.
 *
 * pg_upgrade keeps the private tables as they are, transaction ids included,
 * and the names of servers, but not their oids.  kafka_events.servers, kept
 * up to date until then, says whose the rows were.  What this database has
 * appended itself since is told from them by its transaction id.
 *
 * Of servers with other oids nobody has published or parked anything yet: a
 * relay does nothing before the identity is confirmed.
 */
#include "postgres.h"
#include "core/compat.h"

#include "access/htup_details.h"
#include "access/transam.h"
#include "access/xlog.h"
#include "foreign/foreign.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/xid8.h"

#include "outbox/outbox_adopt.h"
#include "outbox/outbox_state.h"
#include "outbox/outbox_table.h"
#include "state/identity.h"
#include "subscription/catalog.h"

/* Columns of kafka_events.servers, from 0. */
enum
{
	SERVERS_SERVER,
	SERVERS_NAME
};

/* A server that was, and the one that it is now, or InvalidOid. */
typedef struct Successor
{
	Oid			was;
	Oid			is;
} Successor;

/* ------------------------------------------------------------------ names */

static void
delete_noted(KePrivateTable *table, void *argument)
{
	(void) ke_private_table_delete(table, &table->slot->tts_tid,
								   (Snapshot) argument);
}

static void
note(KePrivateTable *table, const ForeignServer *server)
{
	ke_private_table_blank(table);
	table->slot->tts_values[SERVERS_SERVER] =
		ObjectIdGetDatum(server->serverid);
	table->slot->tts_values[SERVERS_NAME] =
		CStringGetTextDatum(server->servername);
	ke_private_table_insert(table);
}

void
ke_outbox_adopt_note_servers(void)
{
	KePrivateTable table;
	Snapshot	now;
	pg_uuid_t	uuid;
	ListCell   *lc;

	if (ke_identity_read(&uuid) == KE_IDENTITY_FOREIGN)
		return;
	ke_private_table_open(&table, "servers", ShareRowExclusiveLock);
	now = RegisterSnapshot(GetLatestSnapshot());
	ke_private_table_each(&table, NULL, 0, now, delete_noted, now);
	UnregisterSnapshot(now);
	foreach(lc, ke_catalog_servers())
		note(&table, GetForeignServer(lfirst_oid(lc)));
	ke_private_table_close(&table);
}

static void
find_successor(KePrivateTable *table, void *argument)
{
	List	  **successors = (List **) argument;
	Datum	   *values = table->slot->tts_values;
	Successor  *successor = (Successor *) palloc(sizeof(Successor));

	successor->was = DatumGetObjectId(values[SERVERS_SERVER]);
	successor->is = get_foreign_server_oid(
		TextDatumGetCString(values[SERVERS_NAME]), true);
	if (!list_member_oid(ke_catalog_servers(), successor->is))
		successor->is = InvalidOid;
	*successors = lappend(*successors, successor);
}

/* All that were noted; NIL if each has the oid that it had. */
static List *
find_successors(void)
{
	KePrivateTable table;
	Snapshot	now = RegisterSnapshot(GetLatestSnapshot());
	List	   *successors = NIL;
	ListCell   *lc;

	ke_private_table_open(&table, "servers", ShareRowExclusiveLock);
	ke_private_table_each(&table, NULL, 0, now, find_successor, &successors);
	ke_private_table_close(&table);
	UnregisterSnapshot(now);
	foreach(lc, successors)
	{
		Successor  *successor = (Successor *) lfirst(lc);

		if (OidIsValid(successor->is) && successor->is != successor->was)
			return successors;
	}
	return NIL;
}

static Oid
successor_of(List *successors, Oid was)
{
	ListCell   *lc;

	foreach(lc, successors)
	{
		Successor  *successor = (Successor *) lfirst(lc);

		if (successor->was == was)
			return successor->is;
	}
	return InvalidOid;
}

/* ------------------------------------------------------------------- rows */

/* What decides where the rows of a table go. */
typedef struct Adoption
{
	List	   *successors;
	Snapshot	snapshot;
	AttrNumber	server;			/* the column */
	bool		of_outbox;		/* outbox_a or outbox_b: */
	FullTransactionId last;		/*   the last one of the other database */
	MemoryContext row;
} Adoption;

/* Markers alone say which database wrote them. */
static void
find_last(KePrivateTable *table, void *argument)
{
	Adoption   *adoption = (Adoption *) argument;
	Datum	   *values = table->slot->tts_values;
	FullTransactionId xid;

	CHECK_FOR_INTERRUPTS();
	if (!DatumGetBool(values[OUTBOX_MARKER - 1]) ||
		DatumGetInt64(values[OUTBOX_SYSTEM - 1]) ==
		(int64) GetSystemIdentifier())
		return;
	xid = DatumGetFullTransactionId(values[OUTBOX_XID - 1]);
	if (FullTransactionIdPrecedes(adoption->last, xid))
		adoption->last = xid;
}

static bool
is_later(const Datum *values, FullTransactionId last)
{
	return FullTransactionIdPrecedes(
		last, DatumGetFullTransactionId(values[OUTBOX_XID - 1]));
}

static void
give(KePrivateTable *table, Adoption *adoption, Oid server)
{
	TupleDesc	desc = RelationGetDescr(table->rel);
	ItemPointerData tid = table->slot->tts_tid;
	HeapTuple	tuple = ExecCopySlotHeapTuple(table->slot);

	ke_private_table_blank(table);
	heap_deform_tuple(tuple, desc, table->slot->tts_values,
					  table->slot->tts_isnull);
	table->slot->tts_values[adoption->server - 1] = ObjectIdGetDatum(server);
	(void) ke_private_table_update(table, &tid, adoption->snapshot);
}

static void
adopt_row(KePrivateTable *table, void *argument)
{
	Adoption   *adoption = (Adoption *) argument;
	Datum	   *values = table->slot->tts_values;
	Oid			was = DatumGetObjectId(values[adoption->server - 1]);
	Oid			is = successor_of(adoption->successors, was);
	MemoryContext caller;

	CHECK_FOR_INTERRUPTS();
	if (adoption->of_outbox && is_later(values, adoption->last))
		return;
	caller = MemoryContextSwitchTo(adoption->row);
	if (!OidIsValid(is))
		(void) ke_private_table_delete(table, &table->slot->tts_tid,
									   adoption->snapshot);
	else if (is != was)
		give(table, adoption, is);
	MemoryContextSwitchTo(caller);
	MemoryContextReset(adoption->row);
}

static void
adopt_table(const char *name, bool of_outbox, List *successors)
{
	KePrivateTable table;
	Adoption	adoption = {.successors = successors, .of_outbox = of_outbox};

	adoption.last = InvalidFullTransactionId;
	adoption.row = AllocSetContextCreate(CurrentMemoryContext,
										 "kafka_events adopted row",
										 ALLOCSET_DEFAULT_SIZES);
	ke_private_table_open(&table, name, ShareRowExclusiveLock);
	adoption.server = get_attnum(RelationGetRelid(table.rel), "server");
	adoption.snapshot = RegisterSnapshot(GetLatestSnapshot());
	if (of_outbox)
		ke_private_table_each(&table, NULL, 0, adoption.snapshot, find_last,
							  &adoption);
	ke_private_table_each(&table, NULL, 0, adoption.snapshot, adopt_row,
						  &adoption);
	UnregisterSnapshot(adoption.snapshot);
	ke_private_table_close(&table);
	MemoryContextDelete(adoption.row);
}

/* In two passes, as servers may have exchanged their oids. */
static void
adopt_states(List *successors)
{
	KeOutboxState *states = (KeOutboxState *)
		palloc0(list_length(successors) * sizeof(KeOutboxState));
	bool	   *found = (bool *)
		palloc0(list_length(successors) * sizeof(bool));

	for (int i = 0; i < list_length(successors); i++)
	{
		Successor  *successor = (Successor *) list_nth(successors, i);

		ItemPointerSetInvalid(&states[i].tid);
		found[i] = ke_outbox_state_read(successor->was, &states[i]);
	}
	ke_outbox_state_keep_only(NIL);
	for (int i = 0; i < list_length(successors); i++)
	{
		Successor  *successor = (Successor *) list_nth(successors, i);

		if (found[i] && OidIsValid(successor->is))
			(void) ke_outbox_state_write(successor->is, true, &states[i]);
	}
}

void
ke_outbox_adopt(void)
{
	pg_uuid_t	uuid;
	List	   *successors;

	if (ke_identity_read(&uuid) != KE_IDENTITY_FOREIGN)
		return;
	successors = find_successors();
	if (successors == NIL)
		return;
	for (int i = 0; i < KE_OUTBOX_TABLES; i++)
		adopt_table(ke_outbox_tables[i], true, successors);
	adopt_table("outbox_parked", false, successors);
	adopt_states(successors);
}
