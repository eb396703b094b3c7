/*
 * framing.c
 *	  Which schema a message's value or key was written with.
 */
#include "postgres.h"
#include "core/compat.h"

#include "port/pg_bswap.h"

#include "core/framing.h"

#define MAGIC_LEN 1
#define SHORT_ID_LEN ((int32) sizeof(uint32))
#define LONG_ID_LEN ((int32) sizeof(uint64))

StaticAssertDecl(MAGIC_LEN + sizeof(uint32) == KE_FRAMING_LEN,
				 "the usual framing is a byte and an id");

/* The first byte of Confluent's header. */
#define MAGIC_ID 0
#define MAGIC_GUID 1

static const char *const names[2][4] = {
	{"__value_schema_id", "apicurio.value.globalId",
	"apicurio.value.contentId", "apicurio.value.encoding"},
	{"__key_schema_id", "apicurio.key.globalId",
	"apicurio.key.contentId", "apicurio.key.encoding"}
};

/* Places in names. */
enum
{
	HEADER_CONFLUENT,
	HEADER_GLOBAL,
	HEADER_CONTENT,
	HEADER_ENCODING
};

static uint32
get_short(const char *bytes)
{
	uint32		number;

	memcpy(&number, bytes, sizeof(number));
	return pg_ntoh32(number);
}

static uint64
get_long(const char *bytes)
{
	uint64		number;

	memcpy(&number, bytes, sizeof(number));
	return pg_ntoh64(number);
}

static void
set_number(KeFraming *framing, KeSchemaIdKind kind, uint64 number)
{
	framing->id.kind = kind;
	framing->id.number = (int64) number;
}

static KeSchemaIdKind
kind_of(KeRegistryId ids)
{
	switch (ids)
	{
		case KE_REGISTRY_ID_CONFLUENT:
			return KE_SCHEMA_ID_CONFLUENT;
		case KE_REGISTRY_ID_CONTENT:
			return KE_SCHEMA_ID_CONTENT;
		case KE_REGISTRY_ID_GLOBAL:
			return KE_SCHEMA_ID_GLOBAL;
	}
	pg_unreachable();
}

/* Confluent's header; false: it is none. */
static bool
read_confluent_header(const KeHeader *header, KeRegistryId ids,
					  KeFraming *framing)
{
	if (header->value == NULL)
		return false;
	if (header->value_len == MAGIC_LEN + SHORT_ID_LEN &&
		header->value[0] == MAGIC_ID)
	{
		set_number(framing, kind_of(ids), get_short(header->value + 1));
		return true;
	}
	/* behind the GUID a message of Protobuf has indexes */
	if (header->value_len < MAGIC_LEN + KE_SCHEMA_GUID_LEN ||
		header->value[0] != MAGIC_GUID)
		return false;
	framing->id.kind = KE_SCHEMA_ID_GUID;
	memcpy(framing->id.guid, header->value + 1, KE_SCHEMA_GUID_LEN);
	return true;
}

static bool
says_json(const KeHeader *header)
{
	return header->value != NULL && header->value_len == 4 &&
		pg_strncasecmp(header->value, "JSON", 4) == 0;
}

/*
 * True: a header of the message has the id, or was meant to, and then
 * *problem is set.  Of repeated ones the last counts.
 */
static bool
read_headers(KeMessage *msg, bool of_key, KeRegistryId ids,
			 KeFraming *framing, const char **problem)
{
	int			count;
	const KeHeader *headers = ke_message_headers(msg, &count);
	const char *const *ours = names[of_key];
	bool		found = false;

	for (int i = 0; i < count; i++)
	{
		const KeHeader *header = &headers[i];
		bool		whole = header->value != NULL &&
			header->value_len == LONG_ID_LEN;
		bool		fits = true;

		if (header->name[0] != 'a' && header->name[0] != '_')
			continue;
		if (strcmp(header->name, ours[HEADER_CONFLUENT]) == 0)
			fits = read_confluent_header(header, ids, framing);
		else if (strcmp(header->name, ours[HEADER_GLOBAL]) == 0)
		{
			if ((fits = whole))
				set_number(framing, KE_SCHEMA_ID_GLOBAL,
						   get_long(header->value));
		}
		else if (strcmp(header->name, ours[HEADER_CONTENT]) == 0)
		{
			if ((fits = whole))
				set_number(framing, KE_SCHEMA_ID_CONTENT,
						   get_long(header->value));
		}
		else
		{
			if (strcmp(header->name, ours[HEADER_ENCODING]) == 0)
				framing->is_json = says_json(header);
			continue;
		}
		found = true;
		if (!fits)
			*problem = psprintf("has a header \"%s\" that holds no schema id",
								header->name);
	}
	return found;
}

/* The id before the bytes. */
static bool
read_prefix(const char *bytes, int32 len, KeRegistryId ids,
			KeFraming *framing, const char **problem)
{
	uint32		number;

	if (len < MAGIC_LEN + SHORT_ID_LEN || bytes[0] != MAGIC_ID)
	{
		*problem = "has no schema id: it does not begin with a byte 0 and the number of a schema";
		return false;
	}
	number = get_short(bytes + MAGIC_LEN);
	framing->skip = MAGIC_LEN + SHORT_ID_LEN;
	if (number == 0 && ids == KE_REGISTRY_ID_CONFLUENT)
	{
		*problem = "has schema id 0, or Apicurio's eight bytes of an id, which need server option schema_registry_id";
		return false;
	}
	if (number == 0 && len >= MAGIC_LEN + LONG_ID_LEN)
	{
		/* no registry counts from 0 */
		set_number(framing, kind_of(ids), get_long(bytes + MAGIC_LEN));
		framing->skip = MAGIC_LEN + LONG_ID_LEN;
	}
	else
		set_number(framing, kind_of(ids), number);
	return true;
}

bool
ke_framing_read(KeMessage *msg, bool of_key, KeRegistryId ids,
				KeFraming *framing, const char **problem)
{
	const char *bytes = of_key ? msg->key : msg->value;
	int32		len = of_key ? msg->key_len : msg->value_len;

	memset(framing, 0, sizeof(KeFraming));
	*problem = NULL;
	if (read_headers(msg, of_key, ids, framing, problem))
		return *problem == NULL;
	if (bytes == NULL)
		len = 0;
	return read_prefix(bytes, len, ids, framing, problem);
}
