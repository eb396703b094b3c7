/*
 * outbox_write.c
 *	  What is to be sent to Kafka, written beside the effects it belongs to.
 *
 * A transaction's first append locks the extension object and chooses the
 * table; what it has done so far is kept here, by subtransaction, until it
 * ends.  When it is about to commit or to be prepared, it gets a marker for
 * each server: the markers' ids put transactions that waited for or saw each
 * other in the order they committed in, which the rows' ids do not, as these
 * are taken before a transaction waits.
 *
 * The table chosen may be out of use by the time the transaction commits.
 * That harms nobody: readers look into both, and a table is emptied only
 * under a lock that conflicts with the one held here.
 */
#include "postgres.h"
#include "core/compat.h"

#include "access/transam.h"
#include "access/xact.h"
#include "access/xlog.h"
#include "commands/sequence.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"
#include "utils/timestamp.h"
#include "utils/xid8.h"

#include "core/headers.h"
#include "outbox/outbox_table.h"
#include "outbox/outbox_write.h"
#include "session/xact.h"
#include "shm/role_demand.h"
#include "shm/roster.h"
#include "subscription/catalog.h"
#include "subscription/extension.h"

const char *const ke_outbox_tables[KE_OUTBOX_TABLES] = {
	"outbox_a", "outbox_b"
};

/* Rows for one server, appended in one subtransaction. */
typedef struct Appended
{
	Oid			server;
	SubTransactionId subid;
	int64		rows;
	uint32		call;			/* how the relay is called */
} Appended;

static bool callbacks_registered = false;

/* What the current transaction did; the list is in TopTransactionContext. */
static List *appended = NIL;
static SubTransactionId begun_in = InvalidSubTransactionId;
static int	current_table;		/* chosen when it began */

/* ------------------------------------------------------------------ names */

const char *
ke_outbox_kind_name(KeOutboxKind kind)
{
	switch (kind)
	{
		case KE_OUTBOX_EVENT:
			return "event";
		case KE_OUTBOX_RETRY:
			return "retry";
		case KE_OUTBOX_DEAD:
			return "dead";
	}
	pg_unreachable();
}

char
ke_outbox_kind_letter(KeOutboxKind kind)
{
	return ke_outbox_kind_name(kind)[0];
}

KeOutboxKind
ke_outbox_kind_of_letter(char letter)
{
	switch (letter)
	{
		case 'r':
			return KE_OUTBOX_RETRY;
		case 'd':
			return KE_OUTBOX_DEAD;
		default:
			return KE_OUTBOX_EVENT;
	}
}

/* ---------------------------------------------------------------- markers */

static Appended *
find_appended(Oid server, SubTransactionId subid)
{
	ListCell   *lc;

	foreach(lc, appended)
	{
		Appended   *entry = (Appended *) lfirst(lc);

		if (entry->server == server && entry->subid == subid)
			return entry;
	}
	return NULL;
}

static void
write_marker(KePrivateTable *table, Oid sequence, const Appended *entry)
{
	Datum	   *values = table->slot->tts_values;
	bool	   *nulls = table->slot->tts_isnull;

	ke_private_table_blank(table);
	memset(nulls, true, OUTBOX_COLUMNS * sizeof(bool));
	values[OUTBOX_SERVER - 1] = ObjectIdGetDatum(entry->server);
	values[OUTBOX_MARKER - 1] = BoolGetDatum(true);
	values[OUTBOX_XID - 1] =
		FullTransactionIdGetDatum(GetTopFullTransactionId());
	values[OUTBOX_ID - 1] = Int64GetDatum(nextval_internal(sequence, false));
	values[OUTBOX_ROW_COUNT - 1] = Int64GetDatum(entry->rows);
	values[OUTBOX_WRITTEN_AT - 1] = TimestampTzGetDatum(GetCurrentTimestamp());
	values[OUTBOX_SYSTEM - 1] = Int64GetDatum((int64) GetSystemIdentifier());
	values[OUTBOX_DATABASE - 1] = ObjectIdGetDatum(MyDatabaseId);
	nulls[OUTBOX_SERVER - 1] = nulls[OUTBOX_MARKER - 1] = false;
	nulls[OUTBOX_XID - 1] = nulls[OUTBOX_ID - 1] = false;
	nulls[OUTBOX_ROW_COUNT - 1] = nulls[OUTBOX_WRITTEN_AT - 1] = false;
	nulls[OUTBOX_SYSTEM - 1] = nulls[OUTBOX_DATABASE - 1] = false;
	ke_private_table_insert(table);
}

/*
 * The transaction may have dropped the server since, or the extension: then
 * the rows are nobody's.  A database that has no identity yet gets it from
 * the relay, when this has committed: nobody who commits waits for another.
 */
static void
write_markers(void)
{
	KePrivateTable table;
	Oid			sequence = ke_extension_private_table("outbox_id");
	ListCell   *lc;

	if (appended == NIL || !OidIsValid(sequence))
		return;
	ke_private_table_open(&table, ke_outbox_tables[current_table],
						  RowExclusiveLock);
	foreach(lc, appended)
	{
		Appended   *entry = (Appended *) lfirst(lc);

		if (SearchSysCacheExists1(FOREIGNSERVEROID,
								  ObjectIdGetDatum(entry->server)))
			write_marker(&table, sequence, entry);
	}
	ke_private_table_close(&table);
}

/* ------------------------------------------------------ transaction's end */

static void
tell_relays(void)
{
	ListCell   *lc;

	foreach(lc, appended)
	{
		Oid			server = ((Appended *) lfirst(lc))->server;

		ke_role_demand_set(MyDatabaseId, server, KE_ROLE_RELAY);
		ke_roster_call(MyDatabaseId, server, KE_ROLE_RELAY,
					   ((Appended *) lfirst(lc))->call);
	}
}

static void
forget(void)
{
	appended = NIL;
	begun_in = InvalidSubTransactionId;
}

/*
 * A transaction that was prepared will commit in a session that knows
 * nothing of its rows: the relay is there by then, and looks every second.
 */
static void
end_transaction(XactEvent event, void *arg)
{
	switch (event)
	{
		case XACT_EVENT_PRE_COMMIT:
		case XACT_EVENT_PRE_PREPARE:
			write_markers();
			break;
		case XACT_EVENT_COMMIT:
		case XACT_EVENT_PREPARE:
			tell_relays();
			forget();
			break;
		case XACT_EVENT_ABORT:
			forget();
			break;
		case XACT_EVENT_PARALLEL_COMMIT:
		case XACT_EVENT_PARALLEL_ABORT:
		case XACT_EVENT_PARALLEL_PRE_COMMIT:
			break;
	}
}

static void
subtransaction_commits(SubTransactionId subid, SubTransactionId parent)
{
	ListCell   *lc;

	foreach(lc, appended)
	{
		Appended   *entry = (Appended *) lfirst(lc);
		Appended   *same;

		if (entry->subid != subid)
			continue;
		same = find_appended(entry->server, parent);
		if (same == NULL)
			entry->subid = parent;
		else
		{
			same->rows += entry->rows;
			same->call |= entry->call;
			appended = foreach_delete_current(appended, lc);
		}
	}
	if (begun_in == subid)
		begun_in = parent;
}

/* With the rows go the locks that its beginning took. */
static void
subtransaction_aborts(SubTransactionId subid)
{
	ListCell   *lc;

	foreach(lc, appended)
	{
		if (((Appended *) lfirst(lc))->subid == subid)
			appended = foreach_delete_current(appended, lc);
	}
	if (begun_in == subid)
		begun_in = InvalidSubTransactionId;
}

static void
end_subtransaction(SubXactEvent event, SubTransactionId subid,
				   SubTransactionId parent, void *arg)
{
	switch (event)
	{
		case SUBXACT_EVENT_COMMIT_SUB:
			subtransaction_commits(subid, parent);
			break;
		case SUBXACT_EVENT_ABORT_SUB:
			subtransaction_aborts(subid);
			break;
		case SUBXACT_EVENT_START_SUB:
		case SUBXACT_EVENT_PRE_COMMIT_SUB:
			break;
	}
}

/* ----------------------------------------------------------------- append */

int
ke_outbox_current_table(void)
{
	KePrivateTable table;
	int			current = 0;
	Snapshot	now = RegisterSnapshot(GetLatestSnapshot());

	ke_private_table_open(&table, "outbox_current", AccessShareLock);
	if (ke_private_table_find(&table, NULL, 0, now) &&
		DatumGetBool(table.slot->tts_values[CURRENT_TABLE_B - 1]))
		current = 1;
	ke_private_table_close(&table);
	UnregisterSnapshot(now);
	return current;
}

/* The first append of a transaction. */
static void
begin(void)
{
	if (!callbacks_registered)
	{
		RegisterXactCallback(end_transaction, NULL);
		RegisterSubXactCallback(end_subtransaction, NULL);
		callbacks_registered = true;
	}
	if (!ke_xact_is_open())
		ke_extension_lock();
	current_table = ke_outbox_current_table();
	begun_in = GetCurrentSubTransactionId();
}

static void
count_row(Oid server, KeOutboxKind kind)
{
	SubTransactionId subid = GetCurrentSubTransactionId();
	Appended   *entry = find_appended(server, subid);

	if (entry == NULL)
	{
		MemoryContext caller = MemoryContextSwitchTo(TopTransactionContext);

		entry = (Appended *) palloc(sizeof(Appended));
		entry->server = server;
		entry->subid = subid;
		entry->rows = 0;
		entry->call = 0;
		appended = lappend(appended, entry);
		MemoryContextSwitchTo(caller);
	}
	entry->rows++;
	entry->call |= kind == KE_OUTBOX_EVENT ? KE_CALL_NOW : KE_CALL_SOON;
}

void
ke_outbox_put_text(TupleTableSlot *slot, int column, const char *text)
{
	slot->tts_isnull[column - 1] = (text == NULL);
	if (text != NULL)
		slot->tts_values[column - 1] = CStringGetTextDatum(text);
}

void
ke_outbox_put_bytes(TupleTableSlot *slot, int column, const char *bytes,
					int32 len)
{
	slot->tts_isnull[column - 1] = (bytes == NULL);
	if (bytes != NULL)
		slot->tts_values[column - 1] =
			PointerGetDatum(cstring_to_text_with_len(bytes, len));
}

static void
put_headers(TupleTableSlot *slot, const KeHeader *headers, int count)
{
	Size		size = ke_headers_size(headers, count);
	bytea	   *bytes;

	slot->tts_isnull[OUTBOX_HEADERS - 1] = (count == 0);
	if (count == 0)
		return;
	bytes = (bytea *) palloc(VARHDRSZ + size);
	SET_VARSIZE(bytes, VARHDRSZ + size);
	ke_headers_write(headers, count, VARDATA(bytes));
	slot->tts_values[OUTBOX_HEADERS - 1] = PointerGetDatum(bytes);
}

static void
fill(TupleTableSlot *slot, const KeOutboxRow *row, int64 id)
{
	Datum	   *values = slot->tts_values;

	values[OUTBOX_SERVER - 1] = ObjectIdGetDatum(row->server);
	values[OUTBOX_MARKER - 1] = BoolGetDatum(false);
	values[OUTBOX_XID - 1] =
		FullTransactionIdGetDatum(GetTopFullTransactionId());
	values[OUTBOX_ID - 1] = Int64GetDatum(id);
	values[OUTBOX_KIND - 1] = CharGetDatum(ke_outbox_kind_letter(row->kind));
	ke_outbox_put_text(slot, OUTBOX_TOPIC, row->topic);
	ke_outbox_put_text(slot, OUTBOX_SOURCE_TOPIC, row->source_topic);
	values[OUTBOX_PARTITION - 1] = Int32GetDatum(row->partition);
	slot->tts_isnull[OUTBOX_PARTITION - 1] = (row->partition < 0);
	ke_outbox_put_bytes(slot, OUTBOX_KEY, row->key, row->key_len);
	ke_outbox_put_bytes(slot, OUTBOX_VALUE, row->value, row->value_len);
	put_headers(slot, row->headers, row->nheaders);
	for (int column = OUTBOX_ROW_COUNT; column <= OUTBOX_COLUMNS; column++)
		slot->tts_isnull[column - 1] = true;
}

int64
ke_outbox_append(const KeOutboxRow *row)
{
	KePrivateTable table;
	int64		id;

	if (begun_in == InvalidSubTransactionId)
		begin();
	id = nextval_internal(ke_extension_private_table("outbox_id"), false);
	ke_private_table_open(&table, ke_outbox_tables[current_table],
						  RowExclusiveLock);
	ke_private_table_blank(&table);
	fill(table.slot, row, id);
	ke_private_table_insert(&table);
	ke_private_table_close(&table);
	count_row(row->server, row->kind);
	return id;
}
