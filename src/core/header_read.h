/*
 * header_read.h
 *	  Values of a message's headers, which may have been written by anybody.
 *
 * Of a header that is there several times the last one counts, as for
 * clients that look for a header by its name; a null one counts as missing.
 * Texts are copies in the current context.
 */
#ifndef KE_HEADER_READ_H
#define KE_HEADER_READ_H

#include "core/message.h"

/* NULL: there is no such header. */
extern const KeHeader *ke_header_read_find(KeMessage *msg, const char *name);

/*
 * Text of up to 1024 bytes; NULL if there is no such header.  False if it is
 * longer, not UTF-8, or has a NUL byte.
 */
extern bool ke_header_read_text(KeMessage *msg, const char *name,
								const char **text);

/* Text of any length; NULL if there is none that is UTF-8 without NUL. */
extern const char *ke_header_read_long_text(KeMessage *msg, const char *name);

/* Decimal; -1 if there is no such header, and false if it is no number. */
extern bool ke_header_read_number(KeMessage *msg, const char *name, int64 max,
								  int64 *number);

/* So many bytes, the high one first; -1 for what is no number from 0 on. */
extern int64 ke_header_read_binary(KeMessage *msg, const char *name,
								   int width);

/* All of the text is a decimal number from 0 on that fits. */
extern bool ke_header_read_parse_number(const char *text, int64 max,
										int64 *number);

#endif							/* KE_HEADER_READ_H */
