/*
 * avro_schema.h
 *	  The text of an Avro schema, compiled for reading what it wrote.
 *
 * Data is read with the schema it was written with, so aliases, defaults,
 * doc and order mean nothing here.  Besides Avro's own logical types, those
 * are known that Kafka Connect and Debezium tell by connect.name alone
 * (avro_decode.h lists what each becomes).
 */
#ifndef KE_AVRO_SCHEMA_H
#define KE_AVRO_SCHEMA_H

#include "convert/json_nodes.h"

/* A compiled schema: it never changes, and serves any number of values. */
typedef struct KeAvroSchema KeAvroSchema;

/*
 * A text whose named types the schema uses, as a registry lists it.  Those
 * that it uses itself come before it.  The name (the reference's, NULL: none)
 * serves where the text defines a type without one.
 */
typedef struct KeAvroReference
{
	const char *name;
	const char *text;			/* UTF-8, as the registry gave it */
	int32		len;
} KeAvroReference;

/* Bounds on a schema. */
#define KE_AVRO_SCHEMA_MAX_TEXT (32 * 1024 * 1024)	/* with references */
#define KE_AVRO_SCHEMA_MAX_TYPES 1000000
#define KE_AVRO_SCHEMA_MAX_BRANCHES 10000

/*
 * Compile a schema.  The result lives in a new child of context; deleting that
 * context, or ke_avro_schema_free, ends it.  Raises 22023 for what is no
 * schema, or cannot be read, and 54000 or 54001 for what is beyond the bounds;
 * details name types and fields.
 */
extern KeAvroSchema *ke_avro_schema_parse(const char *text, int32 len,
										  const KeAvroReference *references,
										  int nreferences,
										  MemoryContext context);
extern void ke_avro_schema_free(KeAvroSchema *schema);

/* What all values of a record look like; NULL: the schema is no record. */
extern const KeJsonShape *ke_avro_schema_shape(const KeAvroSchema *schema);

#endif							/* KE_AVRO_SCHEMA_H */
