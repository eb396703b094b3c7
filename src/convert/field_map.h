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

/*
 * Put into found the node of each attribute's value, or -1 (found is all -1
 * before the first time); of fields that come repeatedly, the last one's.
 * Raises 22023 where root is not an object
 * but has to be one.
 */
extern void ke_field_map_find(KeFieldMap *map, const KeJson *json, int root,
							  int *found);

/* Raise 42703 if column_map has a column that tupdesc has not. */
extern void ke_field_map_check(TupleDesc tupdesc,
							   const KeSubscriptionOptions *options);

/*
 * Write the name that field_names => 'snake_case' makes of a field's to dst,
 * which has room for twice as many bytes; returns its length.
 */
extern int	ke_field_map_snake_case(const char *name, int len, char *dst);

#endif							/* KE_FIELD_MAP_H */
