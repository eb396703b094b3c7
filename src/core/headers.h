/*
 * headers.h
 *	  A message's headers as one string of bytes, and back.
 *
 * Byte for byte and in order, repeats included.  For each header: its name
 * with a NUL behind it, the length of its value (four bytes, the high one
 * first; -1 for a header that is null), and the value.
 */
#ifndef KE_HEADERS_H
#define KE_HEADERS_H

#include "core/message.h"

/* How many bytes ke_headers_write will write. */
extern Size ke_headers_size(const KeHeader *headers, int count);
extern void ke_headers_write(const KeHeader *headers, int count, char *bytes);

/*
 * The headers in bytes, as an array in the current context whose names and
 * values point into bytes.  False if these are not what ke_headers_write
 * writes.
 */
extern bool ke_headers_read(const char *bytes, Size len, KeHeader **headers,
							int *count);

#endif							/* KE_HEADERS_H */
