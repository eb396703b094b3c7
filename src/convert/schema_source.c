/*
 * schema_source.c
 *	  Where documents get the schemas that messages were written with.
 */
#include "postgres.h"
#include "core/compat.h"

#include "convert/schema_source.h"

static KeSchemaFind source = NULL;

void
ke_schema_source_set(KeSchemaFind find)
{
	source = find;
}

const KeSchema *
ke_schema_source_find(const KeRegistry *registry, const KeSchemaId *id,
					  const char *subject)
{
	if (source == NULL)
		elog(ERROR, "no source of schemas is set");
	return source(registry, id, subject);
}
