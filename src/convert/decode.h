/*
 * decode.h
 *	  Bytes of a message into Datums.
 *
 * The fast ways (own scanner, own builders) and the slow ones (jsonb_in, the
 * types' input functions) give identical results.  What they cannot take is
 * raised as a data exception (22xxx; 54001 for too deep a nesting) whose
 * column_name is the field's; errors of ours quote no value, those of input
 * functions may.
 */
#ifndef KE_DECODE_H
#define KE_DECODE_H

#include "access/tupdesc.h"

#include "convert/convert.h"
#include "core/message.h"
#include "core/options.h"

/*
 * Whole values that are JSON or text, in the current context; subject is what
 * errors call the bytes ("message value").  All but bytea raise 22xxx for
 * bytes that the type cannot hold: 22021 what is not UTF-8 or contains NUL,
 * 22P02 broken JSON, 22P05 \u0000 in jsonb.
 */
extern Datum ke_decode_jsonb(const char *bytes, int32 len,
							 const char *subject);
extern Datum ke_decode_json(const char *bytes, int32 len,
							const char *subject);
extern Datum ke_decode_text(const char *bytes, int32 len,
							const char *subject);
extern Datum ke_decode_bytea(const char *bytes, int32 len);

/*
 * As the converter's type: bytea takes the bytes, jsonb and json parse them,
 * any other type's input function gets them as text.
 */
extern Datum ke_decode_whole(KeConverter *conv, const char *bytes, int32 len,
							 const char *subject);

/*
 * Headers as jsonb, {} when there are none.  Never raises for odd bytes: a
 * value that is not valid text becomes {"base64": "..."}, and in a name that
 * is not, each byte beyond ASCII becomes \xNN.
 */
extern Datum ke_decode_headers(KeMessage *msg);

/*
 * Bytes as text in the server's encoding, NUL-terminated and of that length;
 * NULL if they are not UTF-8, hold a NUL, or cannot be converted.
 */
extern char *ke_decode_headers_if_text(const char *bytes, int len,
									   int *text_len);

/* An object -> values of a row type, by names and paths of its fields. */
typedef struct KeDecoder KeDecoder;

/*
 * For the attributes of tupdesc whose want[] is true (all if want is NULL).
 * options, which is not kept, says how fields are called; NULL: as the
 * attributes.  Lives in parent, or in a child of it.
 */
extern KeDecoder *ke_decode_make(TupleDesc tupdesc, const bool *want,
								 const KeSubscriptionOptions *options,
								 bool is_key, MemoryContext parent);

/*
 * Of objects of this shape (NULL: none): which fields ke_decode_object looks
 * at, one element for each; NULL: all.  Holds until the next call.
 */
extern const bool *ke_decode_wanted(KeDecoder *decoder,
									const KeJsonShape *shape);

/*
 * Fill values, nulls and present (one element per attribute) from an object,
 * the node root of json; of repeated fields the last one counts, as in jsonb.
 * present[i] says for every attribute whether the object has such a field;
 * where it has not, or the attribute is not wanted, nulls[i] is true.  Datums
 * live in the current context.
 */
extern void ke_decode_object(KeDecoder *decoder, const KeJson *json,
							 int root, Datum *values, bool *nulls,
							 bool *present);

/*
 * Values that the object's writer did not have are left to the caller, as if
 * their fields were not there; without this they raise 22004.
 */
extern void ke_decode_keep_unavailable(KeDecoder *decoder);

/*
 * After ke_decode_object: set unavailable, one element per attribute, for
 * these values; returns how many there are.
 */
extern int	ke_decode_find_unavailable(const KeDecoder *decoder,
									   const KeJson *json, bool *unavailable);

/*
 * For PG_CATCH: raise the error again as one about this column (NULL: no
 * single one), unless it names one already.  It was raised while a value was
 * converted, which is what is wrong then.  context: where to work.
 */
extern void ke_decode_rethrow(const char *column, MemoryContext context)
			pg_attribute_noreturn();

/* The same for the column's default, which is code. */
extern void ke_decode_rethrow_default(const char *column,
									  MemoryContext context)
			pg_attribute_noreturn();

#endif							/* KE_DECODE_H */
