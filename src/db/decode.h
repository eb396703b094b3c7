/*
 * decode.h
 *	  Bytes of a message into Datums.
 *
 * The fast ways (own scanner for flat JSON) and the slow ones (jsonb_in, the
 * types' input functions) give identical results; what they cannot take is
 * raised as a data exception that names the field and quotes no value.
 */
#ifndef KE_DECODE_H
#define KE_DECODE_H

#include "access/tupdesc.h"

#include "core/message.h"

/* Whole values.  All raise 22xxx for bytes that the type cannot hold. */
extern Datum ke_decode_jsonb(const char *bytes, int32 len);
extern Datum ke_decode_json(const char *bytes, int32 len);
extern Datum ke_decode_text(const char *bytes, int32 len);
extern Datum ke_decode_bytea(const char *bytes, int32 len);

/* Headers as jsonb: see the interface; never raises for odd bytes. */
extern Datum ke_decode_headers(KeMessage *msg);

/* JSON object -> values of a row type, matched by name. */
typedef struct KeDecoder KeDecoder;

/*
 * For the attributes of tupdesc whose want[] is true (all if want is NULL).
 * Lives in parent.
 */
extern KeDecoder *ke_decoder_make(TupleDesc tupdesc, const bool *want,
								  MemoryContext parent);

/*
 * Fill values/nulls/present (one element per attribute) from a JSON object.
 * present[i] is false when the object has no such field.  Datums live in the
 * current context or point into bytes only for the duration of the batch.
 */
extern void ke_decoder_object(KeDecoder *decoder, const char *bytes,
							  int32 len, Datum *values, bool *nulls,
							  bool *present);

#endif							/* KE_DECODE_H */
