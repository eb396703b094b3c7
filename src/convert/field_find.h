/*
 * field_find.h
 *	  Which field of an object each column's value is.
 */
#ifndef KE_FIELD_FIND_H
#define KE_FIELD_FIND_H

#include "convert/field_map.h"

/*
 * Put into found the node of each attribute's value, or -1 (found is all -1
 * before the first time); of fields that come repeatedly, the last one's.
 * Raises 22023 where root is not an object but has to be one.
 */
extern void ke_field_find_nodes(KeFieldMap *map, const KeJson *json, int root,
								int *found);

/*
 * Of objects of this shape: for each field whether ke_field_find_nodes looks
 * at its value.  NULL: at all of them, or nobody can tell.  Holds until the
 * next call for another shape.
 */
extern const bool *ke_field_find_wanted(KeFieldMap *map,
										const KeJsonShape *shape);

/*
 * Write the name that field_names => 'snake_case' makes of a field's to dst,
 * which has room for twice as many bytes; returns its length.
 */
extern int	ke_field_find_snake_case(const char *name, int len, char *dst);

#endif							/* KE_FIELD_FIND_H */
