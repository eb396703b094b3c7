/*
 * nested.h
 *	  What is inside of arrays and rows, for json_populate_record to read.
 *
 * That function gives every element to its type's input function.  Dates,
 * times and bytea are not always written as those read them: here such values
 * are rewritten, at any depth.
 */
#ifndef KE_NESTED_H
#define KE_NESTED_H

#include "lib/stringinfo.h"

#include "convert/json_nodes.h"
#include "core/options.h"

typedef struct KeNested KeNested;

/*
 * For the type; NULL if nothing in it needs to be rewritten.  options, which
 * is not kept, as for ke_convert_init.  Lives in context.
 */
extern KeNested *ke_nested_make(Oid type, const KeSubscriptionOptions *options,
								MemoryContext context);

/* As ke_json_write, but with such values rewritten. */
extern void ke_nested_write(StringInfo out, const KeNested *nested,
							const KeJson *json, int node);

#endif							/* KE_NESTED_H */
