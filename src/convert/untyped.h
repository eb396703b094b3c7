/*
 * untyped.h
 *	  Values of change events that came without a schema, for columns whose
 *	  type tells what they must be.
 *
 * Debezium writes numbers for dates and times, and base64 for numeric, bytea
 * and bit.  Without a schema nothing says which unit or encoding that is: such
 * a value is refused, with the connector's setting that makes it plain.
 */
#ifndef KE_UNTYPED_H
#define KE_UNTYPED_H

#include "convert/json_scan.h"
#include "core/options.h"

/* May values for this type, which is no domain, need it? */
extern bool ke_untyped_concerns(Oid type);

/*
 * The value at node of json, which is not null, as a column of that type takes
 * it: node 0 of the result, which holds until the next call.  Raises 22023 for
 * what cannot be told.
 */
extern const KeJson *ke_untyped_tell(Oid type, int32 typmod, bool is_hstore,
									 const KeJson *json, int node);

/*
 * For bit varying: refuse bits, which a schema told, whose number is not
 * sure.  Zeros that lead were left out, or added.
 */
extern void ke_untyped_check_bits(const KeJsonNode *node);

/* Refuse a null that stands for a value which its writer did not have. */
extern void ke_untyped_check_null(const KeJson *json, const KeJsonNode *node);

/*
 * Must text for this type be refused, with a schema too?  Such is bytea of
 * change events: the connector may have written hex or base64, and a schema
 * calls both a string.
 */
extern bool ke_untyped_refuses_text(Oid type,
									const KeSubscriptionOptions *options);
extern void ke_untyped_refuse_text(void) pg_attribute_noreturn();

#endif							/* KE_UNTYPED_H */
