/*
 * table_create.c
 *	  kafka_table_create: a table that fits a topic.
 *
 * The registry is asked by the manager, as any cluster is; the table is made
 * by the caller, with the caller's privileges.
 */
#include "postgres.h"
#include "core/compat.h"

#include "catalog/namespace.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "lib/stringinfo.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/varlena.h"

#include "api/fcinfo.h"
#include "api/subscription_ddl.h"
#include "convert/avro_describe.h"
#include "core/guc.h"
#include "core/schema_id.h"
#include "shm/payload.h"
#include "shm/ready.h"
#include "shm/request.h"

PG_FUNCTION_INFO_V1(kafka_table_create);

#define ARG_NAME 0
#define ARG_TOPIC 1
#define ARG_SERVER 2

/* Of a table for row_format envelope. */
#define ENVELOPE_COLUMNS \
	"topic pg_catalog.text NOT NULL, " \
	"partition pg_catalog.int4 NOT NULL, " \
	"\"offset\" pg_catalog.int8 NOT NULL, " \
	"\"timestamp\" pg_catalog.timestamptz, " \
	"key pg_catalog.text, " \
	"value pg_catalog.jsonb, " \
	"headers pg_catalog.jsonb, " \
	"PRIMARY KEY (topic, partition, \"offset\")"

/* The name as it is written in SQL, in the schema where it will be. */
static RangeVar *
resolve_name(text *argument)
{
	RangeVar   *name =
		makeRangeVarFromNameList(textToQualifiedNameList(argument));

	if (name->catalogname != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("table name \"%s\" must not name a database",
						text_to_cstring(argument))));
	if (name->schemaname == NULL)
		name->schemaname =
			get_namespace_name(RangeVarGetCreationNamespace(name));
	return name;
}

/* ---------------------------------------------------------- the registry */

static KeAvroSchema *
compile(KeAnswer *answer, const char *subject)
{
	StringInfo	payload = answer->payload;
	KeAvroReference *references;
	char	   *type;
	char	   *text;
	int			count;

	(void) ke_payload_get_string(payload);	/* its id */
	type = ke_payload_get_string(payload);
	text = ke_payload_get_string(payload);
	count = ke_payload_get_int(payload);
	references = palloc0((count + 1) * sizeof(KeAvroReference));
	for (int i = 0; i < count; i++)
	{
		char	   *name = ke_payload_get_string(payload);
		char	   *one = ke_payload_get_string(payload);

		references[i].name = *name != '\0' ? name : NULL;
		references[i].text = one;
		references[i].len = strlen(one);
	}
	if (ke_schema_id_type(type) != KE_SCHEMA_AVRO)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("cannot make a table of subject \"%s\": its schema is of type %s, not AVRO",
						subject, type)));
	return ke_avro_schema_parse(text, strlen(text), references, count,
								CurrentMemoryContext);
}

/* The latest schema of a subject; NULL: the registry does not know it. */
static KeAvroSchema *
ask_schema(const KeServer *server, const char *subject)
{
	KeQuestion	question = {.kind = KE_ASK_SCHEMA,.server = server->oid};
	KeAnswer   *answer;

	strlcpy(question.topic, subject, sizeof(question.topic));
	answer = ke_request_ask(&question, ke_guc_request_timeout);
	if (!answer->answered)
		ereport(ERROR,
				(errcode(ERRCODE_CONNECTION_FAILURE),
				 errmsg("could not get the schema of subject \"%s\" on server \"%s\": %s",
						subject, server->name, answer->text),
				 answer->hint ? errhint("%s", answer->hint) : 0));
	if (!answer->topic_exists)
		return NULL;
	return compile(answer, subject);
}

static bool
has_field(const KeAvroSchema *schema, const char *name)
{
	for (int i = 0; i < ke_avro_describe_count(schema); i++)
	{
		if (strcmp(ke_avro_describe_field(schema, i).name, name) == 0)
			return true;
	}
	return false;
}

/* A key that consists of fields of the value is the primary key. */
static void
append_primary_key(StringInfo sql, const KeAvroSchema *key,
				   const KeAvroSchema *value)
{
	int			count = key != NULL ? ke_avro_describe_count(key) : -1;

	if (count <= 0)
		return;
	for (int i = 0; i < count; i++)
	{
		if (!has_field(value, ke_avro_describe_field(key, i).name))
			return;
	}
	appendStringInfoString(sql, ", PRIMARY KEY (");
	for (int i = 0; i < count; i++)
	{
		KeAvroField field = ke_avro_describe_field(key, i);

		appendStringInfo(sql, "%s%s", i > 0 ? ", " : "",
						 quote_identifier(field.name));
	}
	appendStringInfoChar(sql, ')');
}

static char *
columns_of_topic(const KeServer *server, const char *topic)
{
	char	   *subject = psprintf("%s-value", topic);
	KeAvroSchema *value = ask_schema(server, subject);
	StringInfoData sql;

	if (value == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("the schema registry of server \"%s\" has no subject \"%s\"",
						server->name, subject),
				 errhint("Writers register a topic's schema with its first message, by default under the topic's name and -value.")));
	if (ke_avro_describe_count(value) <= 0)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("cannot make a table of subject \"%s\": its schema is no record with fields",
						subject)));
	initStringInfo(&sql);
	for (int i = 0; i < ke_avro_describe_count(value); i++)
	{
		KeAvroField field = ke_avro_describe_field(value, i);

		appendStringInfo(&sql, "%s%s %s", i > 0 ? ", " : "",
						 quote_identifier(field.name), field.sql_type);
	}
	append_primary_key(&sql, ask_schema(server, psprintf("%s-key", topic)),
					   value);
	return sql.data;
}

/* ---------------------------------------------------------- the function */

Datum
kafka_table_create(PG_FUNCTION_ARGS)
{
	char	   *topic = ke_fcinfo_text(fcinfo, ARG_TOPIC);
	const char *columns = ENVELOPE_COLUMNS;
	RangeVar   *name;
	int			result;

	if (PG_ARGISNULL(ARG_NAME))
		PG_RETURN_NULL();
	name = resolve_name(PG_GETARG_TEXT_PP(ARG_NAME));
	if (topic != NULL)
	{
		char	   *server = ke_fcinfo_name(fcinfo, ARG_SERVER);

		ke_ready_require();
		columns = columns_of_topic(ke_subscription_ddl_server(server), topic);
	}
	SPI_connect();
	result = SPI_execute(psprintf("CREATE TABLE %s (%s)",
								  quote_qualified_identifier(name->schemaname,
															 name->relname),
								  columns), false, 0);
	if (result != SPI_OK_UTILITY)
		elog(ERROR, "SPI_execute returned %s", SPI_result_code_string(result));
	SPI_finish();
	PG_RETURN_OID(RangeVarGetRelid(name, NoLock, false));
}
