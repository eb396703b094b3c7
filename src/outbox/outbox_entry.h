/*
 * outbox_entry.h
 *	  A message out of a row of the outbox, or of what is parked.
 */
#ifndef KE_OUTBOX_ENTRY_H
#define KE_OUTBOX_ENTRY_H

#include "outbox/outbox_read.h"
#include "outbox/outbox_table.h"

/* Where a table has what makes a message (columns from 1). */
typedef struct KeOutboxColumns
{
	int			server;
	int			kind;
	int			topic;
	int			source_topic;
	int			partition;
	int			key;
	int			value;
	int			headers;
} KeOutboxColumns;

/*
 * The message in slot, all of whose attributes have been got.  It points
 * into the slot, or into the current context.
 */
extern void ke_outbox_entry_load_row(TupleTableSlot *slot,
									 const KeOutboxColumns *columns,
									 KeOutboxRow *row);

/* The same for a row of the outbox; uuid is the database's. */
extern void ke_outbox_entry_load(TupleTableSlot *slot,
								 const KeOutboxMark *mark, const char *uuid,
								 KeOutboxEntry *entry);

#endif							/* KE_OUTBOX_ENTRY_H */
