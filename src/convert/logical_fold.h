/*
 * logical_fold.h
 *	  Objects that stand for one value: Debezium's numbers of any scale and
 *	  its shapes.
 */
#ifndef KE_LOGICAL_FOLD_H
#define KE_LOGICAL_FOLD_H

#include "convert/logical.h"

/*
 * The last value of json, which starts at the node index, is an object with
 * the members that its kind has, numbers and bytes with their forms: replace
 * it by the value.  Leaves it as it is where its members are others.
 */
extern void ke_logical_fold(KeJson *json, const KeLogical *logical,
							int index);

#endif							/* KE_LOGICAL_FOLD_H */
