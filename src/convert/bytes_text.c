/*
 * bytes_text.c
 *	  Bytes that are written as text, as the option bytes_encoding says.
 */
#include "postgres.h"
#include "core/compat.h"

#include "utils/builtins.h"
#include "utils/fmgrprotos.h"

#include "convert/bytes_text.h"

Datum
ke_bytes_text_decode(KeBytesEncoding encoding, const char *text, int32 len)
{
	struct varlena *encoded;
	const char *name = encoding == KE_BYTES_HEX ? "hex" : "base64";

	if (encoding == KE_BYTES_HEX && len >= 2 && text[0] == '\\' &&
		(text[1] == 'x' || text[1] == 'X'))
	{
		text += 2;
		len -= 2;
	}
	encoded = cstring_to_text_with_len(text, len);
	return DirectFunctionCall2(binary_decode, PointerGetDatum(encoded),
							   CStringGetTextDatum(name));
}
