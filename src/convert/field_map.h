/*
 * field_map.h
 *	  Which field of an object each column's value is.
 *
 * By the column's own name, by a name that field_names makes of the field's,
 * or by the path that column_map gives it.  All of it is compiled into one
 * tree of places, so a message is gone through once, whatever the paths.
 */
#ifndef KE_FIELD_MAP_H
#define KE_FIELD_MAP_H

#include "access/tupdesc.h"

#include "convert/json_scan.h"
#include "core/options.h"

typedef struct KeFieldMap KeFieldMap;

/*
 * For the attributes of tupdesc.  options, which is not kept, says how fields
 * are called; NULL: as the columns.  Of a key, a column that has a path may
 * have its own name too.  Lives in parent.
 */
extern KeFieldMap *ke_field_map_make(TupleDesc tupdesc,
									 const KeSubscriptionOptions *options,
									 bool is_key, MemoryContext parent);

/* Raise 42703 if column_map has a column that tupdesc has not. */
extern void ke_field_map_check(TupleDesc tupdesc,
							   const KeSubscriptionOptions *options);

#endif							/* KE_FIELD_MAP_H */
