/*
 * schemas.h
 *	  What schema registries have said: table kafka_events.schemas.
 *
 * A schema never changes under the URL and id it was found by, so a row is
 * written once and stays until a user has it forgotten.  All functions need a
 * transaction.
 */
#ifndef KE_SCHEMAS_H
#define KE_SCHEMAS_H

#include "datatype/timestamp.h"
#include "nodes/pg_list.h"

#include "core/schema_id.h"

/* Text is in the server's encoding. */
typedef struct KeSchemaRow
{
	char	   *url;			/* of the registry that said it */
	char	   *kind;			/* see ke_schema_id_kind_name */
	char	   *id;
	char	   *type;			/* "AVRO" */
	char	   *subject;		/* NULL: not known; so for the next one */
	char	   *name;
	List	   *fields;			/* of char *: names of the first ones */
	char	   *text;
	List	   *reference_names;	/* of char *, "" for none; what others use
									 * comes before them */
	List	   *references;		/* of char *: their texts */
	TimestampTz first_seen_at;	/* set by ke_schemas_put */
} KeSchemaRow;

/* A list of char * as text[]. */
extern Datum ke_schemas_texts(const List *texts);

/* In the current context, or NULL: it is not there. */
extern KeSchemaRow *ke_schemas_get(const char *url, const KeSchemaId *id);

/* Does nothing if the row is there. */
extern void ke_schemas_put(const KeSchemaRow *row);

/* All rows, without text and references, in the key's order. */
extern List *ke_schemas_list(void);

/*
 * Delete the rows of a URL, or the one with this id there; every process
 * forgets what it has in memory.  Returns how many.
 */
extern int64 ke_schemas_forget(const char *url, const char *id);

/* The table, InvalidOid if there is none: for who watches it. */
extern Oid	ke_schemas_table(void);

#endif							/* KE_SCHEMAS_H */
