/*
 * registry_answer.c
 *	  What a schema registry says, out of the bytes of its answers.
 *
 * jansson's objects are given back before anything is returned; memory that
 * runs out in between is all that could leave one behind.
 */
#include "postgres.h"
#include "core/compat.h"

#include <jansson.h>

#include "cluster/registry_answer.h"
#include "mb/pg_wchar.h"

#define FIELDS_MAX 1000
#define MESSAGE_MAX 120

/* error_code: no such schema, subject, version. */
static const int unknown_codes[] = {40403, 40401, 40402};

/* Apicurio's words for it. */
static const char *const unknown_names[] = {
	"ArtifactNotFoundException", "ContentNotFoundException",
	"VersionNotFoundException"
};

static json_t *
load(const char *body, int len)
{
	return json_loadb(body, len, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
}

/* A member that is a string without NUL, or NULL. */
static char *
get_string(const json_t *object, const char *name)
{
	const json_t *member = json_object_get(object, name);

	if (!json_is_string(member) ||
		strlen(json_string_value(member)) != json_string_length(member))
		return NULL;
	return pstrdup(json_string_value(member));
}

/* A member that is a number or a string, as text, or NULL. */
static char *
get_number_text(const json_t *object, const char *name)
{
	const json_t *member = json_object_get(object, name);

	if (json_is_integer(member))
		return psprintf("%lld", (long long) json_integer_value(member));
	return get_string(object, name);
}

/* False: it is not a list of references. */
static bool
read_references(const json_t *list, List **references)
{
	size_t		i;
	const json_t *one;

	*references = NIL;
	if (list == NULL || json_is_null(list))
		return true;
	if (!json_is_array(list))
		return false;
	json_array_foreach(list, i, one)
	{
		KeRegistryReference *reference = palloc0(sizeof(KeRegistryReference));

		reference->name = get_string(one, "name");
		reference->group = get_string(one, "groupId");
		reference->subject = get_string(one, "subject");
		if (reference->subject == NULL)
			reference->subject = get_string(one, "artifactId");
		reference->version = get_number_text(one, "version");
		if (reference->subject == NULL || reference->version == NULL)
			return false;
		*references = lappend(*references, reference);
	}
	return true;
}

bool
ke_registry_answer_schema(const char *body, int len, KeRegistrySchema *schema)
{
	json_t	   *json = load(body, len);
	bool		complete;

	memset(schema, 0, sizeof(KeRegistrySchema));
	if (json == NULL)
		return false;
	schema->id = json_integer_value(json_object_get(json, "id"));
	schema->subject = get_string(json, "subject");
	schema->text = get_string(json, "schema");
	schema->type = get_string(json, "schemaType");
	if (schema->type == NULL)
		schema->type = pstrdup("AVRO");
	complete = schema->text != NULL &&
		read_references(json_object_get(json, "references"),
						&schema->references);
	json_decref(json);
	return complete;
}

bool
ke_registry_answer_references(const char *body, int len, List **references)
{
	json_t	   *json = load(body, len);
	bool		complete = json != NULL && read_references(json, references);

	json_decref(json);
	return complete;
}

char *
ke_registry_answer_subject(const char *body, int len)
{
	json_t	   *json = load(body, len);
	char	   *subject = get_string(json_array_get(json, 0), "subject");

	json_decref(json);
	return subject;
}

bool
ke_registry_answer_is_unknown(int status, const char *body, int len)
{
	json_t	   *json;
	json_int_t	code;
	const char *name;
	bool		unknown = false;

	if (status != 404)
		return false;
	json = load(body, len);
	code = json_integer_value(json_object_get(json, "error_code"));
	name = json_string_value(json_object_get(json, "name"));
	for (int i = 0; i < lengthof(unknown_codes); i++)
		unknown |= code == unknown_codes[i];
	for (int i = 0; i < lengthof(unknown_names) && name != NULL; i++)
		unknown |= strcmp(name, unknown_names[i]) == 0;
	json_decref(json);
	return unknown;
}

char *
ke_registry_answer_message(const char *body, int len)
{
	json_t	   *json = load(body, len);
	char	   *message = get_string(json, "message");

	json_decref(json);
	if (message == NULL)
		return NULL;
	len = strlen(message);
	if (len > MESSAGE_MAX)
		message[pg_encoding_mbcliplen(PG_UTF8, message, len,
									  MESSAGE_MAX)] = '\0';
	for (char *p = message; *p != '\0'; p++)
	{
		if ((unsigned char) *p < ' ')
			*p = ' ';
	}
	return message;
}

/* Does a JSON value look like a schema of Avro's? */
static bool
is_avro(const json_t *json)
{
	static const char *const words[] = {
		"record", "error", "enum", "fixed", "map", "bytes", "int", "long",
		"float", "double"
	};
	const char *type = json_string_value(json_object_get(json, "type"));

	if (!json_is_object(json))
		return json_is_string(json) || json_is_array(json);
	for (int i = 0; i < lengthof(words) && type != NULL; i++)
	{
		if (strcmp(type, words[i]) == 0)
			return true;
	}
	return false;
}

const char *
ke_registry_answer_guess_type(const char *content_type, const char *text,
							  int len)
{
	json_t	   *json;
	const char *type;

	if (strstr(content_type, "protobuf") != NULL)
		return "PROTOBUF";
	json = load(text, len);
	if (json == NULL)
		return "PROTOBUF";
	type = is_avro(json) ? "AVRO" : "JSON";
	json_decref(json);
	return type;
}

/* ---------------------------------------------------------- for people */

static char *
avro_name(const json_t *json)
{
	const char *name = json_string_value(json_object_get(json, "name"));
	const char *space = json_string_value(json_object_get(json, "namespace"));

	if (name == NULL)
		return NULL;
	if (space == NULL || *space == '\0' || strchr(name, '.') != NULL)
		return pstrdup(name);
	return psprintf("%s.%s", space, name);
}

char *
ke_registry_answer_describe(const char *type, const char *text, List **fields)
{
	bool		avro = strcmp(type, "AVRO") == 0;
	json_t	   *json = load(text, strlen(text));
	char	   *name = NULL;
	const json_t *one;

	*fields = NIL;
	if (avro)
	{
		size_t		i;

		name = avro_name(json);
		json_array_foreach(json_object_get(json, "fields"), i, one)
		{
			char	   *field = get_string(one, "name");

			if (field != NULL && list_length(*fields) < FIELDS_MAX)
				*fields = lappend(*fields, field);
		}
	}
	else if (strcmp(type, "JSON") == 0)
	{
		json_t	   *properties = json_object_get(json, "properties");
		const char *key;
		json_t	   *value;

		name = get_string(json, "title");
		json_object_foreach(properties, key, value)
		{
			if (list_length(*fields) < FIELDS_MAX)
				*fields = lappend(*fields, pstrdup(key));
		}
	}
	json_decref(json);
	return name;
}
