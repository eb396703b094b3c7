/*
 * decode.c
 *	  Bytes of a message into Datums.
 */
#include "postgres.h"
#include "core/compat.h"

#include "mb/pg_wchar.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"

#include "db/decode.h"

struct KeDecoder
{
	TupleDesc	tupdesc;
};

/* The bytes as a C string in the server's encoding. */
static char *
server_cstring(const char *bytes, int32 len)
{
	char	   *server = pg_any_to_server(bytes, len, PG_UTF8);

	return server == bytes ? pnstrdup(bytes, len) : server;
}

Datum
ke_decode_jsonb(const char *bytes, int32 len)
{
	return DirectFunctionCall1(jsonb_in,
							   CStringGetDatum(server_cstring(bytes, len)));
}

Datum
ke_decode_json(const char *bytes, int32 len)
{
	return DirectFunctionCall1(json_in,
							   CStringGetDatum(server_cstring(bytes, len)));
}

Datum
ke_decode_text(const char *bytes, int32 len)
{
	return CStringGetTextDatum(server_cstring(bytes, len));
}

Datum
ke_decode_bytea(const char *bytes, int32 len)
{
	return PointerGetDatum(cstring_to_text_with_len(bytes, len));
}

Datum
ke_decode_headers(KeMessage *msg)
{
	return DirectFunctionCall1(jsonb_in, CStringGetDatum("{}"));
}

KeDecoder *
ke_decoder_make(TupleDesc tupdesc, const bool *want, MemoryContext parent)
{
	KeDecoder  *decoder = MemoryContextAlloc(parent, sizeof(KeDecoder));

	decoder->tupdesc = tupdesc;
	return decoder;
}

void
ke_decoder_object(KeDecoder *decoder, const char *bytes, int32 len,
				  Datum *values, bool *nulls, bool *present)
{
	ereport(ERROR,
			(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
			 errmsg("cannot decode a JSON object into columns yet")));
}
