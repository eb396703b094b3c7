/*
 * avro_decode.c
 *	  Bytes that an Avro schema wrote into nodes, as if they were JSON.
 *
 * The bytes come from outside: nothing is read past the end, nesting is
 * bounded by check_stack_depth, and what a length or a count promises is
 * compared with the bytes that are left.  Nothing is allocated for a value
 * but its node, and its text where it has one that is not in the message.
 */
#include "postgres.h"
#include "core/compat.h"

#include <math.h>

#include "mb/pg_wchar.h"
#include "miscadmin.h"

#include "convert/avro_decode.h"
#include "convert/avro_program.h"
#include "convert/avro_reader.h"
#include "convert/avro_skip.h"
#include "convert/logical_fold.h"

/* Beside those of items that take no bytes. */
#define NODES_PER_BYTE 64

typedef KeAvroReader Reader;

static void decode(Reader *reader, const KeAvroType *type);
static void bad_text(Reader *reader, const char *text, int valid, int len)
			pg_attribute_noreturn();

static uint64
read_little_endian(Reader *reader, int size)
{
	const unsigned char *p = (const unsigned char *)
		ke_avro_reader_take(reader, size);
	uint64		value = 0;

	for (int i = size - 1; i >= 0; i--)
		value = value << BITS_PER_BYTE | p[i];
	return value;
}

/* ------------------------------------------------------------------ nodes */

static inline KeJsonNode *
add_node(Reader *reader, KeJsonKind kind)
{
	KeJson	   *json = reader->json;

	if (json->nnodes == json->allocated && json->nnodes >= reader->max_nodes)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("%s consists of too many values", json->subject),
				 errdetail("Its %d bytes make more than %d of them.",
						   (int) (reader->end - reader->start),
						   reader->max_nodes)));
	return ke_json_nodes_add(json, kind);
}

static inline void
add_word(Reader *reader, KeJsonKind kind, const char *word, int len)
{
	KeJsonNode *node = add_node(reader, kind);

	node->text = word;
	node->len = len;
}

static inline void
add_integer(Reader *reader, const KeAvroType *type, int64 value)
{
	KeJson	   *json = reader->json;
	KeJsonNode *node;

	if (type->logical.kind != KE_LOGICAL_NONE)
	{
		ke_logical_integer(json, &type->logical, value);
		return;
	}
	node = add_node(reader, KE_JSON_NUMBER);
	node->form = KE_JSON_FORM_INT;
	node->value.integer = value;
	if (!json->lazy)
		ke_json_nodes_print(json, json->nnodes - 1);
}

static void
add_float(Reader *reader, double value, KeJsonForm form)
{
	KeJson	   *json = reader->json;
	bool		finite = !isnan(value) && !isinf(value);
	KeJsonNode *node = add_node(reader, finite ? KE_JSON_NUMBER
								: KE_JSON_STRING);

	node->form = form;
	node->value.number = value;
	if (!json->lazy)
		ke_json_nodes_print(json, json->nnodes - 1);
}

static pg_noinline void
bad_text(Reader *reader, const char *text, int valid, int len)
{
	/* the text was read already */
	reader->p = (const unsigned char *) text + valid;
	ereport(ERROR,
			(errcode(ERRCODE_CHARACTER_NOT_IN_REPERTOIRE),
			 errmsg(valid < len && text[valid] == '\0' ?
					"%s has a string with a zero byte, which text cannot hold" :
					"%s has a string that is not valid UTF-8",
					reader->json->subject),
			 errdetail("It is %s.", ke_avro_reader_position(reader))));
}

#define BYTES(c) (UINT64CONST(0x0101010101010101) * (unsigned char) (c))

/* Whether all are ASCII and none is zero. */
static inline bool
is_plain(const char *text, int64 len)
{
	const char *end = text + len;
	uint64		word;

	for (; end - text >= sizeof(word); text += sizeof(word))
	{
		memcpy(&word, text, sizeof(word));
		if ((word | (word - BYTES(1))) & BYTES(0x80))
			return false;
	}
	for (; text < end; text++)
		if ((signed char) *text <= 0)
			return false;
	return true;
}

/* The next string, checked and in the server's encoding. */
static inline const char *
read_text(Reader *reader, int32 *len)
{
	int64		size = ke_avro_reader_integer(reader);
	const char *text = ke_avro_reader_take(reader, size);
	char	   *server;

	if (!is_plain(text, size))
	{
		int			valid = pg_encoding_verifymbstr(PG_UTF8, text, (int) size);

		if (valid != size)
			bad_text(reader, text, valid, (int) size);
	}
	*len = (int32) size;
	if (reader->is_utf8 || size == 0)
		return text;
	server = pg_any_to_server(text, *len, PG_UTF8);
	if (server != text)
		*len = strlen(server);
	return server;
}

static void
decode_string(Reader *reader, const KeAvroType *type)
{
	int32		len;
	const char *text = read_text(reader, &len);

	if (type->logical.kind == KE_LOGICAL_NONE)
		add_word(reader, KE_JSON_STRING, text, len);
	else
		ke_logical_string(reader->json, &type->logical, text, len);
}

static void
decode_bytes(Reader *reader, const KeAvroType *type, int64 len)
{
	const char *bytes = ke_avro_reader_take(reader, len);

	if (len == 0 && type->logical.kind == KE_LOGICAL_DECIMAL)
		ke_avro_reader_damaged(reader, "A decimal has no bytes,");
	ke_logical_bytes(reader->json, &type->logical, bytes, (int32) len);
}

static void
decode_boolean(Reader *reader)
{
	if (ke_avro_reader_boolean(reader))
		add_word(reader, KE_JSON_TRUE, "true", 4);
	else
		add_word(reader, KE_JSON_FALSE, "false", 5);
}

static void
decode_enum(Reader *reader, const KeAvroType *type)
{
	const KeAvroText *symbol = ke_avro_reader_symbol(reader, type);

	add_word(reader, KE_JSON_STRING, symbol->text, symbol->len);
}

static inline void
end_node(Reader *reader, int index, int count)
{
	KeJsonNode *node = &reader->json->nodes[index];

	node->count = count;
	node->next = reader->json->nnodes;
}

static void
decode_record(Reader *reader, const KeAvroType *type)
{
	KeJson	   *json = reader->json;
	int			index = json->nnodes;
	const char *outer = json->field;

	check_stack_depth();
	(void) add_node(reader, KE_JSON_OBJECT);
	for (int i = 0; i < type->count; i++)
	{
		const KeAvroMember *member = &type->in.fields[i];

		json->field = member->name.text;
		add_word(reader, KE_JSON_STRING, member->name.text, member->name.len);
		decode(reader, member->type);
	}
	json->field = outer;
	end_node(reader, index, type->count);
	if (type->logical.kind != KE_LOGICAL_NONE)
		ke_logical_fold(json, &type->logical, index);
}

static void
decode_array(Reader *reader, const KeAvroType *type)
{
	const KeAvroType *items = type->in.items;
	int			index = reader->json->nnodes;
	int			total = 0;
	int64		count;
	int64		size;

	check_stack_depth();
	(void) add_node(reader, KE_JSON_ARRAY);
	while ((count = ke_avro_reader_count(reader, &size)) > 0)
	{
		CHECK_FOR_INTERRUPTS();
		ke_avro_reader_check_count(reader, count, items->empty);
		for (int64 i = 0; i < count; i++)
			decode(reader, items);
		total += (int) count;
	}
	end_node(reader, index, total);
}

static void
decode_map(Reader *reader, const KeAvroType *type)
{
	int			index = reader->json->nnodes;
	int			total = 0;
	int64		count;
	int64		size;

	check_stack_depth();
	(void) add_node(reader, KE_JSON_OBJECT);
	while ((count = ke_avro_reader_count(reader, &size)) > 0)
	{
		CHECK_FOR_INTERRUPTS();
		ke_avro_reader_check_count(reader, count, false);
		for (int64 i = 0; i < count; i++)
		{
			int32		len;
			const char *key = read_text(reader, &len);

			add_word(reader, KE_JSON_STRING, key, len);
			decode(reader, type->in.items);
		}
		total += (int) count;
	}
	end_node(reader, index, total);
}

static void
decode(Reader *reader, const KeAvroType *type)
{
	uint32		bits32;
	uint64		bits64;
	float4		single;
	float8		number;

	while (type->op == KE_AVRO_UNION)
		type = ke_avro_reader_branch(reader, type);
	switch (type->op)
	{
		case KE_AVRO_NULL:
			add_word(reader, KE_JSON_NULL, "null", 4);
			break;
		case KE_AVRO_BOOLEAN:
			decode_boolean(reader);
			break;
		case KE_AVRO_INT:
			add_integer(reader, type, ke_avro_reader_int(reader));
			break;
		case KE_AVRO_LONG:
			add_integer(reader, type, ke_avro_reader_integer(reader));
			break;
		case KE_AVRO_FLOAT:
			bits32 = (uint32) read_little_endian(reader, sizeof(float4));
			memcpy(&single, &bits32, sizeof(single));
			add_float(reader, single, KE_JSON_FORM_FLOAT4);
			break;
		case KE_AVRO_DOUBLE:
			bits64 = read_little_endian(reader, sizeof(float8));
			memcpy(&number, &bits64, sizeof(number));
			add_float(reader, number, KE_JSON_FORM_FLOAT8);
			break;
		case KE_AVRO_BYTES:
			decode_bytes(reader, type, ke_avro_reader_integer(reader));
			break;
		case KE_AVRO_STRING:
			decode_string(reader, type);
			break;
		case KE_AVRO_FIXED:
			decode_bytes(reader, type, type->count);
			break;
		case KE_AVRO_ENUM:
			decode_enum(reader, type);
			break;
		case KE_AVRO_ARRAY:
			decode_array(reader, type);
			break;
		case KE_AVRO_MAP:
			decode_map(reader, type);
			break;
		case KE_AVRO_UNION:
			pg_unreachable();
		case KE_AVRO_RECORD:
			decode_record(reader, type);
			break;
	}
}

/* A record, of whose fields only some may be wanted. */
static void
decode_root(Reader *reader, const KeAvroSchema *schema, const bool *wanted)
{
	const KeAvroType *root = schema->root;
	KeJson	   *json = reader->json;
	int		   *members = ke_json_nodes_aligned(json,
												root->count * sizeof(int));
	int			count = 0;

	(void) add_node(reader, KE_JSON_OBJECT);
	for (int i = 0; i < root->count; i++)
	{
		const KeAvroMember *member = &root->in.fields[i];

		json->field = member->name.text;
		members[i] = -1;
		if (wanted != NULL && !wanted[i])
		{
			ke_avro_skip(reader, member->type);
			continue;
		}
		add_word(reader, KE_JSON_STRING, member->name.text, member->name.len);
		members[i] = json->nnodes;
		decode(reader, member->type);
		count++;
	}
	json->field = NULL;
	end_node(reader, 0, count);
	json->shape = schema->shape;
	json->members = members;
}

void
ke_avro_decode(const KeAvroSchema *schema, const char *bytes, int32 len,
			   int flags, const bool *wanted, KeJson *json)
{
	const KeAvroType *root = schema->root;
	Reader		reader = {
		.p = (const unsigned char *) bytes,
		.start = (const unsigned char *) bytes,
		.end = (const unsigned char *) bytes + len,
		.json = json,
		.max_nodes = (int) Min((int64) len * NODES_PER_BYTE +
							   KE_AVRO_READER_FREE_ITEMS, PG_INT32_MAX),
		.is_utf8 = GetDatabaseEncoding() == PG_UTF8
	};

	ke_json_nodes_reset(json);
	json->unescape = true;
	json->lazy = (flags & KE_AVRO_LAZY) != 0;
	if ((flags & KE_AVRO_BARE) != 0 && root->op == KE_AVRO_BYTES &&
		root->logical.kind == KE_LOGICAL_NONE)
		decode_bytes(&reader, root, len);
	else if (schema->shape != NULL)
		decode_root(&reader, schema, wanted);
	else
		decode(&reader, root);
	if (reader.p < reader.end)
		ke_avro_reader_damaged(&reader, "It goes on behind the value,");
}
