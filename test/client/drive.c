/*
 * drive.c
 *	  What the drivers of src/kafka share: lists and options as SQL has them.
 */
#include "postgres.h"
#include "core/compat.h"

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "lib/stringinfo.h"
#include "utils/array.h"
#include "utils/builtins.h"

#include "drive.h"

PG_MODULE_MAGIC;

char **
drive_strings(Datum array, int *count)
{
	Datum	   *items;
	char	  **result;

	deconstruct_array(DatumGetArrayTypeP(array), TEXTOID, -1, false,
					  TYPALIGN_INT, &items, NULL, count);
	result = palloc((*count + 1) * sizeof(char *));
	for (int i = 0; i < *count; i++)
		result[i] = TextDatumGetCString(items[i]);
	return result;
}

KePartitionList *
drive_list(Datum array)
{
	int			count;
	char	  **items = drive_strings(array, &count);
	KePartitionList *list = ke_partition_list_make(count);

	for (int i = 0; i < count; i++)
	{
		char	   *topic = items[i];
		char	   *partition = strchr(topic, '/');
		char	   *offset = partition ? strchr(partition + 1, '/') : NULL;
		char	   *metadata = offset ? strchr(offset + 1, '/') : NULL;
		KeKafkaPartition *part;

		if (offset == NULL)
			elog(ERROR, "not a partition: %s", topic);
		*partition = '\0';
		part = ke_partition_list_add(list, topic, atoi(partition + 1),
								 strtoll(offset + 1, NULL, 10));
		if (metadata != NULL)
			part->metadata = metadata + 1;
	}
	return list;
}

static char *
show_partition(const KeKafkaPartition *part)
{
	StringInfoData buf;

	initStringInfo(&buf);
	appendStringInfo(&buf, "%s/%d/" INT64_FORMAT, part->topic,
					 part->partition, part->offset);
	if (part->metadata != NULL)
		appendStringInfo(&buf, "/%s", part->metadata);
	if (part->error != 0)
		appendStringInfo(&buf, "/%s", ke_client_error_name(part->error));
	return buf.data;
}

Datum
drive_list_datum(const KePartitionList *list)
{
	Datum	   *items = palloc((list->count + 1) * sizeof(Datum));

	for (int i = 0; i < list->count; i++)
		items[i] = CStringGetTextDatum(show_partition(&list->parts[i]));
	return PointerGetDatum(construct_array(items, list->count, TEXTOID, -1,
										   false, TYPALIGN_INT));
}

static void
apply_option(KeServerOptions *server, KeMappingOptions *mapping, char *name,
			 char *value)
{
	if (strcmp(name, "security_protocol") == 0)
		server->security_protocol = value;
	else if (strcmp(name, "sasl_mechanism") == 0)
		server->sasl_mechanism = value;
	else if (strcmp(name, "ssl_ca_pem") == 0)
		server->ssl_ca_pem = value;
	else if (strcmp(name, "username") == 0)
		mapping->username = value;
	else if (strcmp(name, "password") == 0)
		mapping->password = value;
	else if (strcmp(name, "session_timeout") == 0)
		server->session_timeout = atoi(value);
	else if (strcmp(name, "max_poll_interval") == 0)
		server->max_poll_interval = atoi(value);
	else
	{
		KeProperty *property = palloc(sizeof(KeProperty));

		property->name = name;
		property->value = value;
		server->properties = lappend(server->properties, property);
	}
}

void
drive_options(KeServerOptions *server, KeMappingOptions *mapping,
			  char *bootstrap, Datum options)
{
	int			count;
	char	  **items = drive_strings(options, &count);

	memset(server, 0, sizeof(*server));
	memset(mapping, 0, sizeof(*mapping));
	server->bootstrap_servers = bootstrap;
	server->security_protocol = "plaintext";
	server->session_timeout = 45000;
	server->heartbeat_interval = 1000;
	server->max_poll_interval = 300000;
	server->fetch_wait = 100;

	for (int i = 0; i < count; i++)
	{
		char	   *equals = strchr(items[i], '=');

		if (equals == NULL)
			elog(ERROR, "not an option: %s", items[i]);
		*equals = '\0';
		apply_option(server, mapping, items[i], equals + 1);
	}
}

Datum
drive_answer(int error, const KePartitionList *list)
{
	Datum		name;

	if (error == 0)
		return drive_list_datum(list);
	name = CStringGetTextDatum(ke_client_error_name(error));
	return PointerGetDatum(construct_array(&name, 1, TEXTOID, -1, false,
										   TYPALIGN_INT));
}
