/*
 * schema_source.h
 *	  Where documents get the schemas that messages were written with.
 *
 * Who keeps schemas is on a floor above; it gives its function here once.
 */
#ifndef KE_SCHEMA_SOURCE_H
#define KE_SCHEMA_SOURCE_H

#include "convert/avro_schema.h"
#include "core/options.h"
#include "core/schema_id.h"

/* A schema, ready to be used until the transaction ends. */
typedef struct KeSchema
{
	KeSchemaType type;
	const char *type_name;		/* the registry's word */
	KeAvroSchema *avro;			/* with KE_SCHEMA_AVRO */
} KeSchema;

/*
 * In a transaction.  Raises P0002 where the registry does not know the id,
 * 08006 where it is not known yet what the schema is, and what compiling it
 * raises.  subject: what errors are about ("message value").
 */
typedef const KeSchema *(*KeSchemaFind) (const KeRegistry *registry,
										 const KeSchemaId *id,
										 const char *subject);

extern void ke_schema_source_set(KeSchemaFind find);
extern const KeSchema *ke_schema_source_find(const KeRegistry *registry,
											 const KeSchemaId *id,
											 const char *subject);

#endif							/* KE_SCHEMA_SOURCE_H */
