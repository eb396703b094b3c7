/*
 * outbox_read.c
 *	  The outbox as the relay reads it: in the order of publication, once.
 *
 * What is stored (outbox_state) is two snapshots, published and taken, and a
 * place in the interval between them.  Where they are equal, nothing is being
 * published.  A reader writes a row with its own random number in it; finding
 * another's there after its own was seen means that it has a successor.
 *
 * The markers of an interval are read a chunk at a time, those that come
 * first in the order; the rows of each transaction while they are shown.
 */
#include "postgres.h"
#include "core/compat.h"

#include "miscadmin.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

#include "outbox/outbox_entry.h"
#include "outbox/outbox_read.h"
#include "outbox/outbox_scan.h"
#include "outbox/outbox_state.h"
#include "outbox/outbox_undeliverable.h"
#include "state/identity.h"

/* Markers known at a time; twice as many while they are being read. */
#define CHUNK 250000

typedef struct KnownMarker
{
	int64		id;
	uint64		xid;
	TimestampTz written_at;
	int			table;
} KnownMarker;

struct KeOutboxReader
{
	MemoryContext context;		/* lives as long as the reader */
	MemoryContext interval;		/* what belongs to the open interval */
	MemoryContext row;			/* what is being shown */
	Oid			server;
	char		uuid[KE_UUID_LEN];	/* the database's, for message ids */

	int64		number;			/* in the state it writes */
	bool		confirmed;		/* that was seen there */
	ItemPointerData tid;		/* where */

	/* to be stored */
	KeOutboxMark done;
	int64		done_rows;
	int64		published_before;	/* by former readers */
	int64		published;
	char	   *finished;		/* the snapshot that is wholly published */
	char	   *error;
	bool		error_is_ours;	/* not that of a former reader */
	bool		unsaved;

	/* the open interval; upto NULL: none is */
	KeOutboxXids *from;
	KeOutboxXids *upto;
	KnownMarker *markers;		/* the next ones, by id */
	int			nmarkers;
	int			room;
	int			next;			/* the transaction being read, */
	int64		after;			/* behind this row */
	bool		more;			/* there are markers behind these: */
	int64		more_from;		/* from this one on, */
	int64		more_after;		/* there behind this row */
};

KeOutboxReader *
ke_outbox_read_make(Oid server, MemoryContext parent)
{
	MemoryContext context = AllocSetContextCreate(parent, "outbox reader",
												  ALLOCSET_SMALL_SIZES);
	KeOutboxReader *reader = (KeOutboxReader *)
		MemoryContextAllocZero(context, sizeof(KeOutboxReader));

	reader->context = context;
	reader->interval = AllocSetContextCreate(context, "outbox interval",
											 ALLOCSET_DEFAULT_SIZES);
	reader->row = AllocSetContextCreate(context, "outbox row",
										ALLOCSET_DEFAULT_SIZES);
	reader->server = server;
	if (!pg_strong_random(&reader->number, sizeof(reader->number)))
		ereport(ERROR,
				(errcode(ERRCODE_INTERNAL_ERROR),
				 errmsg("could not generate a random number")));
	ItemPointerSetInvalid(&reader->tid);
	return reader;
}

/* ------------------------------------------------------------- the state */

/*
 * Read the state; false if there is none.  Until a row of its own has been
 * seen, a reader does not know whether the transaction that wrote one was
 * committed, and takes over whatever is there.
 */
static bool
load_state(KeOutboxReader *reader, KeOutboxState *state)
{
	bool		found;

	state->tid = reader->tid;
	found = ke_outbox_state_read(reader->server, state);
	if (found && state->reader == reader->number)
		reader->confirmed = true;
	else if (reader->confirmed)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_IN_USE),
				 errmsg("the outbox of this server was taken over by another process")));
	else
	{
		reader->published_before = state->published_total;
		if (!reader->error_is_ours && reader->error == NULL &&
			state->last_error != NULL)
			reader->error = MemoryContextStrdup(reader->context,
												state->last_error);
	}
	reader->tid = state->tid;
	return found;
}

static void
store_state(KeOutboxReader *reader, bool is_new, KeOutboxState *state)
{
	state->reader = reader->number;
	state->published_total = reader->published_before + reader->published;
	state->last_error = reader->error;
	if (!ke_outbox_state_write(reader->server, is_new, state))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_IN_USE),
				 errmsg("the outbox of this server is being taken over by another process")));
	reader->tid = state->tid;
	reader->unsaved = false;
}

/* Everything that the snapshot taken sees is published. */
static void
set_published(KeOutboxState *state)
{
	state->published = state->taken;
	state->done_marker = state->done_id = state->done_rows = 0;
}

/* Has the state an interval that is not wholly published? */
static bool
is_open(const KeOutboxReader *reader, const KeOutboxState *state)
{
	if (state->taken == NULL)
		return false;
	if (state->published != NULL &&
		strcmp(state->published, state->taken) == 0)
		return false;
	return reader->finished == NULL ||
		strcmp(reader->finished, state->taken) != 0;
}

/* --------------------------------------------------------------- markers */

static int
compare_markers(const void *a, const void *b)
{
	int64		left = ((const KnownMarker *) a)->id;
	int64		right = ((const KnownMarker *) b)->id;

	return left < right ? -1 : left > right ? 1 : 0;
}

/* Put them in order, and keep a chunk of them. */
static void
sort_markers(KeOutboxReader *reader)
{
	qsort(reader->markers, reader->nmarkers, sizeof(KnownMarker),
		  compare_markers);
	if (reader->nmarkers > CHUNK)
	{
		reader->nmarkers = CHUNK;
		reader->more = true;
	}
}

static void
make_room(KeOutboxReader *reader)
{
	if (reader->nmarkers < reader->room)
		return;
	if (reader->room == 2 * CHUNK)
	{
		sort_markers(reader);
		return;
	}
	reader->room = Min(2 * reader->room, 2 * CHUNK);
	reader->markers = (KnownMarker *)
		repalloc(reader->markers, reader->room * sizeof(KnownMarker));
}

static bool
know_marker(KePrivateTable *table, const KeOutboxMarker *marker,
			void *argument)
{
	KeOutboxReader *reader = (KeOutboxReader *) argument;
	KnownMarker *known;

	if (marker->id < reader->more_from)
		return true;
	make_room(reader);
	known = &reader->markers[reader->nmarkers++];
	known->id = marker->id;
	known->xid = marker->xid;
	known->written_at = marker->written_at;
	known->table = marker->table;
	return true;
}

/* The interval's next chunk of markers; false: there are none. */
static bool
read_markers(KeOutboxReader *reader, Snapshot snapshot)
{
	if (reader->markers == NULL)
	{
		reader->room = 64;
		reader->markers = (KnownMarker *)
			MemoryContextAlloc(reader->interval,
							   reader->room * sizeof(KnownMarker));
	}
	reader->nmarkers = 0;
	reader->next = 0;
	reader->after = 0;
	reader->more = false;
	ke_outbox_scan_markers(reader->server, reader->from, reader->upto,
						   snapshot, know_marker, reader);
	sort_markers(reader);
	if (reader->nmarkers == 0)
		return false;

	if (reader->markers[0].id == reader->more_from)
		reader->after = reader->more_after;
	reader->more_from = reader->markers[reader->nmarkers - 1].id + 1;
	reader->more_after = 0;
	return true;
}

/* ------------------------------------------------------------------ take */

static void
close_interval(KeOutboxReader *reader)
{
	MemoryContextReset(reader->interval);
	reader->from = reader->upto = NULL;
	reader->markers = NULL;
	reader->nmarkers = reader->next = 0;
	reader->more = false;
}

/* Open it behind a place in it; false if there is nothing behind that. */
static bool
open_interval(KeOutboxReader *reader, const char *from, KeOutboxXids *upto,
			  Snapshot snapshot, int64 marker, int64 id)
{
	MemoryContext caller = MemoryContextSwitchTo(reader->interval);

	reader->from = ke_outbox_xids_parse(from);
	reader->upto = upto;
	MemoryContextSwitchTo(caller);
	reader->more_from = marker;
	reader->more_after = id;
	reader->done.marker = marker;
	reader->done.id = id;
	return read_markers(reader, snapshot);
}

/* Go on in the interval that the state has. */
static bool
resume(KeOutboxReader *reader, KeOutboxState *state, Snapshot snapshot)
{
	MemoryContext caller = MemoryContextSwitchTo(reader->interval);
	KeOutboxXids *upto = ke_outbox_xids_parse(state->taken);

	MemoryContextSwitchTo(caller);
	if (!open_interval(reader, state->published, upto, snapshot,
					   state->done_marker, state->done_id))
	{
		close_interval(reader);
		return false;
	}
	reader->done_rows = state->done_rows;
	store_state(reader, false, state);
	return true;
}

/* Everything up to now, beyond what is taken, which is published. */
static bool
begin(KeOutboxReader *reader, bool is_new, KeOutboxState *state,
	  Snapshot snapshot)
{
	MemoryContext caller = MemoryContextSwitchTo(reader->interval);
	KeOutboxXids *upto = ke_outbox_xids_of_snapshot(snapshot);

	MemoryContextSwitchTo(caller);
	set_published(state);
	if (!open_interval(reader, state->taken, upto, snapshot, 0, 0))
	{
		close_interval(reader);
		if (reader->unsaved)
			store_state(reader, is_new, state);
		return false;
	}
	reader->done_rows = 0;
	state->taken = upto->text;
	store_state(reader, is_new, state);
	return true;
}

/*
 * The first event that has committed gives the database its identity; but not
 * if it is the copy of one that had come as far, whose events it has, too.
 */
static bool
found_identity(pg_uuid_t *uuid)
{
	bool		own;
	bool		foreign;

	ke_outbox_scan_origins(&own, &foreign);
	if (foreign)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("the identity of this database towards Kafka is not confirmed"),
				 errhint("Call kafka_identity_confirm().")));
	if (!own)
		return false;
	ke_identity_establish();
	return ke_identity_read(uuid) == KE_IDENTITY_OURS;
}

/* Nothing is published in the name of the database this is a copy of. */
static bool
may_publish(KeOutboxReader *reader)
{
	pg_uuid_t	uuid;

	switch (ke_identity_read(&uuid))
	{
		case KE_IDENTITY_NONE:
			if (!found_identity(&uuid))
				return false;
			break;
		case KE_IDENTITY_OURS:
			break;
		case KE_IDENTITY_FOREIGN:
			return false;
	}
	ke_identity_format(&uuid, reader->uuid);
	return true;
}

bool
ke_outbox_read_take(KeOutboxReader *reader)
{
	KeOutboxState state;
	Snapshot	snapshot;
	bool		found;
	bool		taken = false;

	close_interval(reader);
	if (!may_publish(reader))
		return false;

	found = load_state(reader, &state);
	snapshot = RegisterSnapshot(GetLatestSnapshot());
	if (is_open(reader, &state))
	{
		taken = resume(reader, &state, snapshot);
		if (!taken)
			reader->unsaved = true;
	}
	if (!taken)
		taken = begin(reader, !found, &state, snapshot);
	UnregisterSnapshot(snapshot);
	return taken;
}

/* ------------------------------------------------------------------ read */

static bool
show(KeOutboxReader *reader, TupleTableSlot *slot, const KeOutboxMark *mark,
	 KeOutboxVisit visit, void *argument)
{
	MemoryContext caller = MemoryContextSwitchTo(reader->row);
	KeOutboxEntry entry;
	bool		taken;

	ke_outbox_entry_load(slot, mark, reader->uuid, &entry);
	taken = visit(&entry, argument);
	MemoryContextSwitchTo(caller);
	MemoryContextReset(reader->row);
	return taken;
}

/* The rest of the transaction that is being read. */
static bool
read_transaction(KeOutboxReader *reader, KeOutboxRows *rows,
				 KeOutboxVisit visit, void *argument)
{
	const KnownMarker *known = &reader->markers[reader->next];
	KeOutboxMark mark = {
		.marker = known->id,
		.xid = known->xid,
		.written_at = known->written_at,
		.table = known->table
	};

	ke_outbox_scan_seek(rows, known->table, reader->server, known->xid,
						reader->after);
	while (ke_outbox_scan_next(rows))
	{
		Datum		id = rows->current->slot->tts_values[OUTBOX_ID - 1];
		int64		after = DatumGetInt64(id);

		CHECK_FOR_INTERRUPTS();
		if (!show(reader, rows->current->slot, &mark, visit, argument))
			return false;
		reader->after = after;
	}
	return true;
}

bool
ke_outbox_read(KeOutboxReader *reader, KeOutboxVisit visit, void *argument)
{
	KeOutboxRows rows = {0};
	bool		ended = false;

	if (reader->upto == NULL)
		return true;
	rows.snapshot = RegisterSnapshot(GetLatestSnapshot());
	for (;;)
	{
		if (reader->next == reader->nmarkers &&
			(!reader->more || !read_markers(reader, rows.snapshot)))
		{
			ended = true;
			break;
		}
		if (!read_transaction(reader, &rows, visit, argument))
			break;
		reader->next++;
		reader->after = 0;
	}
	ke_outbox_scan_close(&rows);
	UnregisterSnapshot(rows.snapshot);
	return ended;
}

/* Find the row at mark; raises if it is not there. */
static void
find_row(KeOutboxReader *reader, KeOutboxRows *rows, const KeOutboxMark *mark)
{
	ke_outbox_scan_seek(rows, mark->table, reader->server, mark->xid,
						mark->id - 1);
	if (!ke_outbox_scan_next(rows) ||
		DatumGetInt64(rows->current->slot->tts_values[OUTBOX_ID - 1]) !=
		mark->id)
		elog(ERROR, "outbox row " INT64_FORMAT " is gone", mark->id);
}

bool
ke_outbox_read_show(KeOutboxReader *reader, const KeOutboxMark *mark,
					KeOutboxVisit visit, void *argument)
{
	KeOutboxRows rows = {0};
	bool		taken;

	rows.snapshot = RegisterSnapshot(GetLatestSnapshot());
	find_row(reader, &rows, mark);
	taken = show(reader, rows.current->slot, mark, visit, argument);
	ke_outbox_scan_close(&rows);
	UnregisterSnapshot(rows.snapshot);
	return taken;
}

void
ke_outbox_read_set_aside(KeOutboxReader *reader, const KeOutboxMark *mark,
						 const char *reason, bool waits)
{
	KeOutboxRows rows = {0};
	KeOutboxState state;

	(void) load_state(reader, &state);	/* raises if it has a successor */
	rows.snapshot = RegisterSnapshot(GetLatestSnapshot());
	find_row(reader, &rows, mark);
	ke_outbox_undeliverable_insert(rows.current->slot, mark->written_at,
								   reason,
								   waits);
	ke_outbox_scan_close(&rows);
	UnregisterSnapshot(rows.snapshot);
}

void
ke_outbox_read_rewind(KeOutboxReader *reader)
{
	reader->nmarkers = reader->next = 0;
	reader->more = true;
	reader->more_from = reader->done.marker;
	reader->more_after = reader->done.id;
}

/* ------------------------------------------------------------------ done */

void
ke_outbox_read_done(KeOutboxReader *reader, const KeOutboxMark *mark,
					int64 rows,
					int64 published)
{
	reader->done = *mark;
	reader->done_rows += rows;
	reader->published += published;
	reader->unsaved = true;
}

void
ke_outbox_read_finish(KeOutboxReader *reader)
{
	if (reader->upto == NULL)
		return;
	if (reader->finished != NULL)
		pfree(reader->finished);
	reader->finished = MemoryContextStrdup(reader->context,
										   reader->upto->text);
	reader->unsaved = true;
	close_interval(reader);
}

void
ke_outbox_read_set_error(KeOutboxReader *reader, const char *text)
{
	if (text == NULL ? reader->error == NULL :
		reader->error != NULL && strcmp(text, reader->error) == 0)
		return;
	reader->error_is_ours = true;
	if (reader->error != NULL)
		pfree(reader->error);
	reader->error = text == NULL ? NULL :
		MemoryContextStrdup(reader->context, text);
	reader->unsaved = true;
}

bool
ke_outbox_read_is_unsaved(const KeOutboxReader *reader)
{
	return reader->unsaved;
}

void
ke_outbox_read_save(KeOutboxReader *reader)
{
	KeOutboxState state;
	bool		found = load_state(reader, &state);

	if (!is_open(reader, &state))
		set_published(&state);
	else if (reader->upto != NULL &&
			 strcmp(reader->upto->text, state.taken) == 0)
	{
		state.done_marker = reader->done.marker;
		state.done_id = reader->done.id;
		state.done_rows = reader->done_rows;
	}
	store_state(reader, !found, &state);
}
