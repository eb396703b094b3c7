/*
 * outbox_table.h
 *	  The columns of the outbox's tables, for those who write and read them.
 */
#ifndef KE_OUTBOX_TABLE_H
#define KE_OUTBOX_TABLE_H

#include "outbox/outbox_write.h"
#include "state/private_table.h"

#define KE_OUTBOX_TABLES 2

/* outbox_a and outbox_b, as outbox_current says with false and true. */
extern const char *const ke_outbox_tables[KE_OUTBOX_TABLES];

/* Columns of both; the first four are the primary key. */
enum
{
	OUTBOX_SERVER = 1,
	OUTBOX_MARKER,
	OUTBOX_XID,
	OUTBOX_ID,
	OUTBOX_KIND,
	OUTBOX_TOPIC,
	OUTBOX_SOURCE_TOPIC,
	OUTBOX_PARTITION,
	OUTBOX_KEY,
	OUTBOX_VALUE,
	OUTBOX_HEADERS,
	OUTBOX_ROW_COUNT,
	OUTBOX_WRITTEN_AT,
	OUTBOX_SYSTEM,
	OUTBOX_DATABASE,
	OUTBOX_COLUMNS = OUTBOX_DATABASE
};

/* Columns of kafka_events.outbox_current. */
enum
{
	CURRENT_ONLY_ROW = 1,
	CURRENT_TABLE_B
};

/* Which table takes new rows, as of now. */
extern int	ke_outbox_current_table(void);

/* As stored: 'e', 'r', 'd', and back. */
extern char ke_outbox_kind_letter(KeOutboxKind kind);
extern KeOutboxKind ke_outbox_kind_of_letter(char letter);

/* Put a nullable value into one column (from 1) of a blank slot. */
extern void ke_outbox_put_text(TupleTableSlot *slot, int column,
							   const char *text);
extern void ke_outbox_put_bytes(TupleTableSlot *slot, int column,
								const char *bytes, int32 len);

#endif							/* KE_OUTBOX_TABLE_H */
