/*
 * encode_headers.h
 *	  A jsonb object as a message's headers: the opposite of
 *	  ke_decode_headers.
 */
#ifndef KE_ENCODE_HEADERS_H
#define KE_ENCODE_HEADERS_H

#include "utils/jsonb.h"

#include "core/message.h"

/*
 * Its headers in the current context: strings as they are, numbers and
 * booleans as jsonb writes them, null for a header without a value,
 * {"base64": "..."} for bytes, an array for a name that occurs several times.
 * Raises 22023 for anything else.
 */
extern KeHeader *ke_encode_headers(Jsonb *object, int *count);

#endif							/* KE_ENCODE_HEADERS_H */
