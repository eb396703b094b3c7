/*
 * schema_id.c
 *	  What names a schema in a schema registry.
 */
#include "postgres.h"
#include "core/compat.h"

#include <ctype.h>

#include "core/schema_id.h"

static const char *const kinds[] = {"confluent", "content", "global", "guid"};

const char *
ke_schema_id_kind_name(KeSchemaIdKind kind)
{
	return kinds[kind];
}

void
ke_schema_id_parse(const char *kind, const char *text, KeSchemaId *id)
{
	int			at = 0;

	memset(id, 0, sizeof(KeSchemaId));
	for (int i = 0; i < lengthof(kinds); i++)
	{
		if (strcmp(kind, kinds[i]) == 0)
			id->kind = (KeSchemaIdKind) i;
	}
	if (id->kind != KE_SCHEMA_ID_GUID)
	{
		id->number = strtoll(text, NULL, 10);
		return;
	}
	for (; *text != '\0' && at < 2 * KE_SCHEMA_GUID_LEN; text++)
	{
		uint8		digit = isdigit((unsigned char) *text) ? *text - '0' :
			*text - 'a' + 10;

		if (*text == '-')
			continue;
		id->guid[at / 2] |= at % 2 == 0 ? digit << 4 : digit;
		at++;
	}
}

KeSchemaType
ke_schema_id_type(const char *word)
{
	if (pg_strcasecmp(word, "AVRO") == 0)
		return KE_SCHEMA_AVRO;
	if (pg_strcasecmp(word, "JSON") == 0)
		return KE_SCHEMA_JSON;
	if (pg_strcasecmp(word, "PROTOBUF") == 0)
		return KE_SCHEMA_PROTOBUF;
	return KE_SCHEMA_OTHER;
}

void
ke_schema_id_format(const KeSchemaId *id, char *buf)
{
	static const char digits[] = "0123456789abcdef";

	if (id->kind != KE_SCHEMA_ID_GUID)
	{
		snprintf(buf, KE_SCHEMA_ID_LEN, INT64_FORMAT, id->number);
		return;
	}
	for (int i = 0; i < KE_SCHEMA_GUID_LEN; i++)
	{
		if (i == 4 || i == 6 || i == 8 || i == 10)
			*buf++ = '-';
		*buf++ = digits[id->guid[i] >> 4];
		*buf++ = digits[id->guid[i] & 0x0F];
	}
	*buf = '\0';
}

char *
ke_schema_id_describe(const KeSchemaId *id)
{
	char		text[KE_SCHEMA_ID_LEN];

	ke_schema_id_format(id, text);
	switch (id->kind)
	{
		case KE_SCHEMA_ID_CONFLUENT:
			return psprintf("schema id %s", text);
		case KE_SCHEMA_ID_CONTENT:
			return psprintf("schema with contentId %s", text);
		case KE_SCHEMA_ID_GLOBAL:
			return psprintf("schema with globalId %s", text);
		case KE_SCHEMA_ID_GUID:
			return psprintf("schema with GUID %s", text);
	}
	pg_unreachable();
}
