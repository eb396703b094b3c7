/*
 * bytes_text.h
 *	  Bytes that are written as text, as the option bytes_encoding says.
 */
#ifndef KE_BYTES_TEXT_H
#define KE_BYTES_TEXT_H

#include "core/options.h"

/*
 * A bytea, in the current context.  encoding is base64 (padded, with the
 * alphabet of MIME) or hex (\x may stand before it).  Raises 22023 for what is
 * neither.
 */
extern Datum ke_bytes_text_decode(KeBytesEncoding encoding, const char *text,
								  int32 len);

#endif							/* KE_BYTES_TEXT_H */
