/*
 * avro_describe.h
 *	  What an Avro schema says of itself, for people and for new tables.
 */
#ifndef KE_AVRO_DESCRIBE_H
#define KE_AVRO_DESCRIBE_H

#include "convert/avro_schema.h"

typedef struct KeAvroField
{
	const char *name;			/* in the server's encoding */
	bool		nullable;
	char	   *sql_type;		/* what a column for it is declared as, such as
								 * "numeric(10,2)"; in the current context */
} KeAvroField;

/* The full name of the type, "bytes" and so on where it has none. */
extern const char *ke_avro_describe_name(const KeAvroSchema *schema);

/*
 * The fields of a record; -1 where the schema is none.  Of a change event of
 * Debezium they are those of the row after the change.
 */
extern int	ke_avro_describe_count(const KeAvroSchema *schema);

/* The nth field (from 0) of a record. */
extern KeAvroField ke_avro_describe_field(const KeAvroSchema *schema,
										  int nth);

#endif							/* KE_AVRO_DESCRIBE_H */
