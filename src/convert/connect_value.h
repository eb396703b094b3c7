/*
 * connect_value.h
 *	  Values that Kafka Connect's JsonConverter wrote, by their schema.
 */
#ifndef KE_CONNECT_VALUE_H
#define KE_CONNECT_VALUE_H

#include "convert/connect_schema.h"

/*
 * Append the value at node of json, which type describes, to out, as
 * avro_decode.h tells for each type.  Nodes may point to what json's do.
 * Raises 22023 for what the schema did not write, and as logical.h tells.
 */
extern void ke_connect_value_append(KeJson *out, const KeConnectType *type,
									const KeJson *json, int node);

/* The member of an object, or -1. */
extern int	ke_connect_value_member(const KeJson *json, int object,
									const char *name);

/* Append the value at node of json as it is. */
extern void ke_connect_value_copy(KeJson *out, const KeJson *json, int node);

/*
 * The bytes that a string node tells in base64, in out's scratch memory, and
 * how many; NULL if it is none.
 */
extern const char *ke_connect_value_bytes(KeJson *out,
										  const KeJsonNode *node,
										  int32 *len);

/* Append a string of base64 that stands for these bytes. */
extern void ke_connect_value_append_bytes(KeJson *out, const KeJsonNode *node,
										  const char *bytes, int32 len);

#endif							/* KE_CONNECT_VALUE_H */
