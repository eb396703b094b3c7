/*
 * avro_logical.h
 *	  What the attributes of an Avro type say of its meaning.
 */
#ifndef KE_AVRO_LOGICAL_H
#define KE_AVRO_LOGICAL_H

#include <jansson.h>

#include "convert/avro_program.h"

/*
 * Set the type's meaning from logicalType, connect.name, connect.type and
 * connect.parameters of the object that declares it.  What does not fit the
 * type is ignored, as Avro wants it; a decimal whose scale no numeric has
 * raises 22023.
 */
extern void ke_avro_logical_set(KeAvroType *type, json_t *schema);

#endif							/* KE_AVRO_LOGICAL_H */
