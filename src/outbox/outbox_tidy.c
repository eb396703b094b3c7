/*
 * outbox_tidy.c
 *	  Uses the outbox's tables in turn, and empties them; and what all of
 *	  both is looked through for.
 *
 * Note about locking: a writer holds RowExclusiveLock on its table until its
 * transaction ends, prepared ones included.  So under AccessExclusiveLock
 * everything in a table has been decided, and what a snapshot taken then
 * does not show is not there.  That lock is taken only if nobody has to be
 * waited for; a table in use by others grows until the next attempt.
 */
#include "postgres.h"
#include "core/compat.h"

#include "access/table.h"
#include "commands/tablecmds.h"
#include "nodes/makefuncs.h"
#include "storage/bufmgr.h"
#include "storage/lmgr.h"
#include "utils/builtins.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "core/clock.h"
#include "outbox/outbox_read.h"
#include "outbox/outbox_scan.h"
#include "outbox/outbox_state.h"
#include "outbox/outbox_undeliverable.h"
#include "state/identity.h"
#include "subscription/catalog.h"
#include "subscription/extension.h"

/* A busy table is taken out of use when it is as big as this: 32 MB. */
#define TURN_BLOCKS ((32 * 1024 * 1024) / BLCKSZ)

/* A small one when nothing is to be published, but no more often than so. */
#define IDLE_TURN_MS (10 * 60 * 1000)

static TimestampTz turned_at = 0;	/* by this process */

/* ------------------------------------------------------------ in general */

/* What a server has published; in the current context. */
static KeOutboxXids *
published_by(Oid server, KeOutboxState *state)
{
	ItemPointerSetInvalid(&state->tid);
	(void) ke_outbox_state_read(server, state);
	return ke_outbox_xids_parse(state->published);
}

/* --------------------------------------------------------------- emptying */

static BlockNumber
blocks_of_relation(Oid oid)
{
	Relation	rel = table_open(oid, AccessShareLock);
	BlockNumber blocks = RelationGetNumberOfBlocks(rel);

	if (OidIsValid(rel->rd_rel->reltoastrelid))
		blocks += blocks_of_relation(rel->rd_rel->reltoastrelid);

	/* not kept: it would be in the way of another relay's attempt */
	table_close(rel, AccessShareLock);
	return blocks;
}

/* How big one of the tables is, with what is stored out of line. */
static BlockNumber
blocks_of(int table)
{
	const char *name = ke_outbox_tables[table];

	return blocks_of_relation(ke_extension_private_table(name));
}

static bool
stop(KePrivateTable *table, const KeOutboxMarker *marker, void *argument)
{
	return false;
}

/* Has any server anything in the table that is not published? */
static bool
is_needed(int table, List *servers)
{
	Snapshot	now = RegisterSnapshot(GetLatestSnapshot());
	bool		needed = false;
	ListCell   *lc;

	foreach(lc, servers)
	{
		KeOutboxState state;
		KeOutboxXids *published = published_by(lfirst_oid(lc), &state);

		if (!ke_outbox_scan_table(table, lfirst_oid(lc), published, NULL,
								  now, stop, NULL))
		{
			needed = true;
			break;
		}
	}
	UnregisterSnapshot(now);
	return needed;
}

/* Looks before it locks, too: a lock on a table in use is felt by others. */
static void
empty(int table, List *servers)
{
	Oid			oid = ke_extension_private_table(ke_outbox_tables[table]);
	TruncateStmt *stmt;

	if (is_needed(table, servers) ||
		!ConditionalLockRelationOid(oid, AccessExclusiveLock) ||
		is_needed(table, servers))
		return;
	stmt = makeNode(TruncateStmt);
	stmt->relations =
		list_make1(makeRangeVar("kafka_events",
								pstrdup(ke_outbox_tables[table]), -1));
	stmt->behavior = DROP_RESTRICT;
	ExecuteTruncate(stmt);
}

/* New rows go to the other table from now on. */
static void
turn(int table)
{
	KePrivateTable current;
	ItemPointerData tid;
	Snapshot	now;
	Oid			oid = ke_extension_private_table("outbox_current");

	if (!ConditionalLockRelationOid(oid, ShareRowExclusiveLock))
		return;
	now = RegisterSnapshot(GetLatestSnapshot());
	ke_private_table_open(&current, "outbox_current", RowExclusiveLock);
	if (ke_private_table_find(&current, NULL, 0, now))
	{
		tid = current.slot->tts_tid;
		ke_private_table_blank(&current);
		current.slot->tts_values[CURRENT_ONLY_ROW - 1] = BoolGetDatum(true);
		current.slot->tts_values[CURRENT_TABLE_B - 1] =
			BoolGetDatum(table == 1);
		(void) ke_private_table_update(&current, &tid, now);
	}
	ke_private_table_close(&current);
	UnregisterSnapshot(now);
	turned_at = ke_clock_now();
}

static bool
may_turn_small(bool idle)
{
	return idle && ke_clock_passed(turned_at, ke_clock_now(), IDLE_TURN_MS);
}

/* Before the identity is confirmed, the rows may be of oids that are gone. */
void
ke_outbox_tidy(bool idle)
{
	List	   *servers = ke_catalog_servers();
	int			current = ke_outbox_current_table();
	int			other = 1 - current;
	pg_uuid_t	uuid;

	if (ke_identity_read(&uuid) == KE_IDENTITY_FOREIGN)
		return;
	ke_outbox_state_keep_only(servers);
	ke_outbox_undeliverable_keep_only(servers);
	if (blocks_of(other) > 0)
		empty(other, servers);
	else if (blocks_of(current) > (may_turn_small(idle) ? 0 : TURN_BLOCKS))
		turn(other);
}

/* -------------------------------------------------------- looking through */

static bool
delete_foreign(KePrivateTable *table, const KeOutboxMarker *marker,
			   void *argument)
{
	if (marker->foreign)
		(void) ke_private_table_delete(table, &table->slot->tts_tid,
									   (Snapshot) argument);
	return true;
}

/* Without their markers, rows are nothing to anybody. */
void
ke_outbox_tidy_forget_foreign(void)
{
	Snapshot	now = RegisterSnapshot(GetLatestSnapshot());
	ListCell   *lc;

	foreach(lc, ke_catalog_servers())
	{
		KeOutboxState state;
		KeOutboxXids *published = published_by(lfirst_oid(lc), &state);

		ke_outbox_scan_markers(lfirst_oid(lc), published, NULL, now,
							   delete_foreign, now);
	}
	UnregisterSnapshot(now);
}

bool
ke_outbox_tidy_has_pending(Oid server)
{
	KeOutboxState state;
	KeOutboxXids *published = published_by(server, &state);
	SnapshotData dirty;
	KeOutboxUndeliverableCount parked;
	bool		pending;

	ke_outbox_undeliverable_count(server, &parked);
	pending = parked.waiting > 0;
	InitDirtySnapshot(dirty);
	for (int table = 0; table < KE_OUTBOX_TABLES && !pending; table++)
		pending = !ke_outbox_scan_table(table, server, published, NULL,
										&dirty, stop, NULL);
	return pending;
}

/* What ke_outbox_tidy_status works with. */
typedef struct Pending
{
	const KeOutboxState *state;
	const KeOutboxXids *taken;
	int64		rows;
	TimestampTz oldest;
} Pending;

static bool
count_pending(KePrivateTable *table, const KeOutboxMarker *marker,
			  void *argument)
{
	Pending    *pending = (Pending *) argument;

	pending->rows += marker->rows;
	if (marker->id < pending->state->done_marker &&
		ke_outbox_xids_have(pending->taken, marker->xid))
		return true;
	if (pending->oldest == 0 || marker->written_at < pending->oldest)
		pending->oldest = marker->written_at;
	return true;
}

void
ke_outbox_tidy_status(Oid server, KeOutboxStatus *status)
{
	KeOutboxState state;
	KeOutboxXids *published = published_by(server, &state);
	Snapshot	now = RegisterSnapshot(GetLatestSnapshot());
	Pending		pending = {.state = &state};
	KeOutboxUndeliverableCount parked;

	pending.taken = ke_outbox_xids_parse(state.taken);
	ke_outbox_scan_markers(server, published, NULL, now, count_pending,
						   &pending);
	UnregisterSnapshot(now);
	status->pending = Max(pending.rows - state.done_rows, 0);
	status->oldest = status->pending > 0 ? pending.oldest : 0;
	status->published = state.published_total;
	ke_outbox_undeliverable_count(server, &parked);
	status->parked = parked.parked;
	status->pending += parked.waiting;
	if (parked.oldest != 0 &&
		(status->oldest == 0 || parked.oldest < status->oldest))
		status->oldest = parked.oldest;
	status->last_error = state.last_error;
}
