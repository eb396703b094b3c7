/*
 * message_row.h
 *	  A message in the rows of functions that show messages.
 */
#ifndef KE_MESSAGE_ROW_H
#define KE_MESSAGE_ROW_H

#include "api/row.h"
#include "convert/document.h"
#include "core/message.h"

/* topic, partition, offset, timestamp, key, value and headers. */
extern void ke_message_row_put(KeRow *row, KeMessage *msg);

/* Bytes as text; null where they are none. */
extern void ke_message_row_put_text(KeRow *row, const char *bytes, int32 len);

/* The value as jsonb; null where it is none. */
extern void ke_message_row_put_jsonb(KeRow *row, KeDocument *document,
									 KeMessage *msg);

/* Milliseconds since 1970, or null. */
extern void ke_message_row_put_ms(KeRow *row, int64 ms);

#endif							/* KE_MESSAGE_ROW_H */
