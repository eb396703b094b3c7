/*
 * avro_schema.c
 *	  The text of an Avro schema, compiled for reading what it wrote.
 *
 * jansson parses the text, nested 2048 levels deep at most.  Its memory is not
 * PostgreSQL's: it is given back in a PG_FINALLY.  Its json_object() must not
 * be called: PostgreSQL has a function of that name, which would be found
 * first.  Named types may use each
 * other in circles, so the compiled types are a graph; only a record that has
 * to contain itself is refused.
 */
#include "postgres.h"
#include "core/compat.h"

#include <jansson.h>

#include "common/hashfn.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"

#include "convert/avro_logical.h"
#include "convert/avro_program.h"

/* Names of types, whole ones and what follows their last dot. */
typedef struct NameEntry
{
	const char *name;			/* key */
	KeAvroType *type;			/* NULL: several have this last part */
	int			text;			/* number of the text that defines it */
} NameEntry;

typedef struct Compiler
{
	HTAB	   *names;
	HTAB	   *last_parts;
	List	   *records;
	int			ntypes;
	int			text;			/* number of the text that is compiled */
} Compiler;

static KeAvroType *compile(Compiler *compiler, json_t *schema,
						   const char *space);

static void
refuse(const char *detail)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("cannot read the Avro schema"),
			 errdetail_internal("%s", detail)));
}

static void
refuse_size(const char *detail)
{
	ereport(ERROR,
			(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
			 errmsg("the Avro schema is too large"),
			 errdetail_internal("%s", detail)));
}

/* ----------------------------------------------------------------- names */

static uint32
hash_name(const void *key, Size keysize)
{
	const char *name = *(const char *const *) key;

	return hash_bytes((const unsigned char *) name, strlen(name));
}

static int
match_name(const void *a, const void *b, Size keysize)
{
	return strcmp(*(const char *const *) a, *(const char *const *) b);
}

static HTAB *
make_names(const char *what)
{
	HASHCTL		control = {
		.keysize = sizeof(char *),
		.entrysize = sizeof(NameEntry),
		.hash = hash_name,
		.match = match_name,
		.hcxt = CurrentMemoryContext
	};

	return hash_create(what, 64, &control, HASH_ELEM | HASH_FUNCTION |
					   HASH_COMPARE | HASH_CONTEXT);
}

/* A JSON string in the server's encoding. */
static char *
server_text(json_t *string)
{
	const char *text = json_string_value(string);
	size_t		len = json_string_length(string);
	char	   *result;

	if (strlen(text) != len)
		refuse("A name in it contains the character \\u0000.");
	result = pg_any_to_server(text, (int) len, PG_UTF8);
	return result == text ? pstrdup(text) : result;
}

static const char *
last_part(const char *name)
{
	const char *dot = strrchr(name, '.');

	return dot == NULL ? name : dot + 1;
}

/* The name with its namespace, unless it brings one. */
static char *
full_name(char *name, const char *space)
{
	if (strchr(name, '.') != NULL || space == NULL || space[0] == '\0')
		return name;
	return psprintf("%s.%s", space, name);
}

static void
register_name(Compiler *compiler, const char *name, KeAvroType *type)
{
	const char *last = last_part(name);
	bool		found;
	NameEntry  *entry = hash_search(compiler->names, &name, HASH_ENTER,
									&found);

	if (found && entry->text == compiler->text)
		refuse(psprintf("It defines type \"%.200s\" twice.", name));
	entry->type = type;
	entry->text = compiler->text;
	entry = hash_search(compiler->last_parts, &last, HASH_ENTER, &found);
	if (found && entry->type != NULL &&
		strcmp(entry->type->name, name) != 0)
		entry->type = NULL;
	else
		entry->type = type;
}

static KeAvroType *
find_name(HTAB *names, const char *name)
{
	NameEntry  *entry = hash_search(names, &name, HASH_FIND, NULL);

	return entry == NULL ? NULL : entry->type;
}

/* A type by its name; with references, writers leave out the namespace. */
static KeAvroType *
resolve(Compiler *compiler, char *name, const char *space)
{
	KeAvroType *type = find_name(compiler->names, full_name(name, space));

	if (type == NULL)
		type = find_name(compiler->names, name);
	if (type == NULL && strchr(name, '.') == NULL)
		type = find_name(compiler->last_parts, name);
	if (type == NULL)
		refuse(psprintf("It uses type \"%.200s\", which neither it nor a reference defines.",
						name));
	return type;
}

/* ----------------------------------------------------------------- types */

static const char *const op_names[] = {
	[KE_AVRO_NULL] = "null",
	[KE_AVRO_BOOLEAN] = "boolean",
	[KE_AVRO_INT] = "int",
	[KE_AVRO_LONG] = "long",
	[KE_AVRO_FLOAT] = "float",
	[KE_AVRO_DOUBLE] = "double",
	[KE_AVRO_BYTES] = "bytes",
	[KE_AVRO_STRING] = "string",
	[KE_AVRO_FIXED] = "fixed",
	[KE_AVRO_ENUM] = "enum",
	[KE_AVRO_ARRAY] = "array",
	[KE_AVRO_MAP] = "map",
	[KE_AVRO_UNION] = "union",
	[KE_AVRO_RECORD] = "record"
};

const char *
ke_avro_schema_op_name(KeAvroOp op)
{
	return op_names[op];
}

static KeAvroType *
add_type(Compiler *compiler, KeAvroOp op)
{
	KeAvroType *type = palloc0(sizeof(KeAvroType));

	if (++compiler->ntypes > KE_AVRO_SCHEMA_MAX_TYPES)
		refuse_size(psprintf("It has more than %d types.",
							 KE_AVRO_SCHEMA_MAX_TYPES));
	type->op = op;
	type->empty = op == KE_AVRO_NULL;
	return type;
}

/* NULL unless it is the name of a primitive type. */
static KeAvroType *
compile_primitive(Compiler *compiler, const char *name)
{
	for (KeAvroOp op = KE_AVRO_NULL; op <= KE_AVRO_STRING; op++)
		if (strcmp(op_names[op], name) == 0)
			return add_type(compiler, op);
	return NULL;
}

/* A string that a schema must have. */
static char *
attribute(json_t *schema, const char *name, const char *of)
{
	json_t	   *value = json_object_get(schema, name);

	if (!json_is_string(value))
		refuse(psprintf("It has %s without \"%s\".", of, name));
	return server_text(value);
}

static KeAvroType *
add_named(Compiler *compiler, KeAvroOp op, json_t *schema, const char *space,
		  const char *of)
{
	KeAvroType *type = add_type(compiler, op);
	char	   *name = attribute(schema, "name", of);
	json_t	   *own = json_object_get(schema, "namespace");

	if (json_is_string(own))
		space = server_text(own);
	type->name = full_name(name, space);
	register_name(compiler, type->name, type);
	return type;
}

/* The namespace of a full name, for the names in it. */
static char *
space_of(const char *name)
{
	return pnstrdup(name, last_part(name) == name ? 0
					: last_part(name) - 1 - name);
}

static KeAvroType *
compile_record(Compiler *compiler, json_t *schema, const char *space)
{
	KeAvroType *type = add_named(compiler, KE_AVRO_RECORD, schema, space,
								 "a record");
	json_t	   *fields = json_object_get(schema, "fields");

	if (!json_is_array(fields))
		refuse(psprintf("Record \"%.200s\" has no fields.", type->name));
	compiler->records = lappend(compiler->records, type);
	space = space_of(type->name);
	type->count = (int32) json_array_size(fields);
	type->in.fields = palloc0(Max(type->count, 1) * sizeof(KeAvroMember));
	for (int i = 0; i < type->count; i++)
	{
		json_t	   *field = json_array_get(fields, i);
		KeAvroMember *member = &type->in.fields[i];
		char	   *name;

		if (!json_is_object(field))
			refuse(psprintf("Record \"%.200s\" has a field that is no object.",
							type->name));
		name = attribute(field, "name", "a field");
		member->name.text = name;
		member->name.len = strlen(name);
		if (json_object_get(field, "type") == NULL)
			refuse(psprintf("Field \"%.200s\" has no type.", name));
		member->type = compile(compiler, json_object_get(field, "type"),
							   space);
	}
	return type;
}

static KeAvroType *
compile_enum(Compiler *compiler, json_t *schema, const char *space)
{
	KeAvroType *type = add_named(compiler, KE_AVRO_ENUM, schema, space,
								 "an enum");
	json_t	   *symbols = json_object_get(schema, "symbols");

	if (!json_is_array(symbols))
		refuse(psprintf("Enum \"%.200s\" has no symbols.", type->name));
	type->count = (int32) json_array_size(symbols);
	type->in.symbols = palloc0(Max(type->count, 1) * sizeof(KeAvroText));
	for (int i = 0; i < type->count; i++)
	{
		json_t	   *symbol = json_array_get(symbols, i);
		char	   *text;

		if (!json_is_string(symbol))
			refuse(psprintf("Enum \"%.200s\" has a symbol that is no string.",
							type->name));
		text = server_text(symbol);
		type->in.symbols[i].text = text;
		type->in.symbols[i].len = strlen(text);
	}
	return type;
}

static KeAvroType *
compile_fixed(Compiler *compiler, json_t *schema, const char *space)
{
	KeAvroType *type = add_named(compiler, KE_AVRO_FIXED, schema, space,
								 "a fixed");
	json_t	   *size = json_object_get(schema, "size");
	double		value = json_is_number(size) ? json_number_value(size) : -1;

	if (!(value >= 0 && value <= PG_INT32_MAX))
		refuse(psprintf("Fixed \"%.200s\" has no size, or one that is out of range.",
						type->name));
	type->count = (int32) value;
	type->empty = type->count == 0;
	return type;
}

static KeAvroType *
compile_items(Compiler *compiler, KeAvroOp op, json_t *schema,
			  const char *name, const char *space)
{
	KeAvroType *type = add_type(compiler, op);
	json_t	   *items = json_object_get(schema, name);

	if (items == NULL)
		refuse(psprintf("It has an array or map without \"%s\".", name));
	type->in.items = compile(compiler, items, space);
	return type;
}

static KeAvroType *
compile_union(Compiler *compiler, json_t *schema, const char *space)
{
	KeAvroType *type = add_type(compiler, KE_AVRO_UNION);
	size_t		count = json_array_size(schema);

	if (count > KE_AVRO_SCHEMA_MAX_BRANCHES)
		refuse_size(psprintf("It has a union of %zu types, and %d are allowed.",
							 count, KE_AVRO_SCHEMA_MAX_BRANCHES));
	type->count = (int32) count;
	type->in.branches = palloc0(Max(count, 1) * sizeof(KeAvroType *));
	for (int i = 0; i < type->count; i++)
		type->in.branches[i] = compile(compiler, json_array_get(schema, i),
									   space);
	return type;
}

/* An object whose type is a string: of a complex type, or of any. */
static KeAvroType *
compile_object(Compiler *compiler, json_t *schema, char *kind,
			   const char *space)
{
	if (strcmp(kind, "record") == 0 || strcmp(kind, "error") == 0)
		return compile_record(compiler, schema, space);
	if (strcmp(kind, "enum") == 0)
		return compile_enum(compiler, schema, space);
	if (strcmp(kind, "fixed") == 0)
		return compile_fixed(compiler, schema, space);
	if (strcmp(kind, "array") == 0)
		return compile_items(compiler, KE_AVRO_ARRAY, schema, "items", space);
	if (strcmp(kind, "map") == 0)
		return compile_items(compiler, KE_AVRO_MAP, schema, "values", space);
	return NULL;
}

static KeAvroType *
compile(Compiler *compiler, json_t *schema, const char *space)
{
	json_t	   *kind = schema;
	KeAvroType *type;
	char	   *name;

	check_stack_depth();
	if (json_is_array(schema))
		return compile_union(compiler, schema, space);
	if (json_is_object(schema))
		kind = json_object_get(schema, "type");
	if (kind != schema && (json_is_object(kind) || json_is_array(kind)))
		return compile(compiler, kind, space);
	if (!json_is_string(kind))
		refuse("It has a type that is neither a name nor an object nor a union.");

	name = server_text(kind);
	type = compile_primitive(compiler, name);
	if (type == NULL && kind != schema)
		type = compile_object(compiler, schema, name, space);
	if (type == NULL)
		return resolve(compiler, name, space);
	if (kind != schema)
		ke_avro_logical_set(type, schema);
	return type;
}

/* ----------------------------------------------------------------- whole */

/*
 * Find out whether a value of the record may take no bytes.  Records that
 * only they themselves can end are refused on the way.
 */
static void
measure(KeAvroType *type)
{
	check_stack_depth();
	if (type->mark == KE_AVRO_DONE)
		return;
	if (type->mark == KE_AVRO_OPEN)
		refuse(psprintf("Record \"%.200s\" contains itself, so that no value of it has an end.",
						type->name));
	type->mark = KE_AVRO_OPEN;
	type->empty = true;
	for (int i = 0; i < type->count; i++)
	{
		KeAvroType *field = unconstify(KeAvroType *, type->in.fields[i].type);

		if (field->op == KE_AVRO_RECORD)
			measure(field);
		type->empty = type->empty && field->empty;
	}
	type->mark = KE_AVRO_DONE;
}

/* To be given back, whatever happens, with json_decref. */
static json_t *
parse_json(const char *text, int32 len)
{
	json_error_t error;
	size_t		flags = JSON_ALLOW_NUL | JSON_DECODE_ANY;
	json_t	   *json = json_loadb(text, len, flags, &error);

	if (json == NULL && json_error_code(&error) == json_error_numeric_overflow)
		json = json_loadb(text, len, flags | JSON_DECODE_INT_AS_REAL, &error);
	if (json == NULL && json_error_code(&error) == json_error_stack_overflow)
		ereport(ERROR,
				(errcode(ERRCODE_STATEMENT_TOO_COMPLEX),
				 errmsg("the Avro schema is nested too deeply"),
				 errdetail("The JSON parser goes 2048 levels deep.")));
	if (json == NULL && json_error_code(&error) == json_error_out_of_memory)
		ereport(ERROR,
				(errcode(ERRCODE_OUT_OF_MEMORY),
				 errmsg("out of memory")));
	if (json == NULL)
		refuse(psprintf("It is not valid JSON, or has numbers or characters that are out of range (line %d, column %d).",
						error.line, error.column));
	return json;
}

static KeAvroType *
compile_text(Compiler *compiler, const char *text, int32 len)
{
	json_t	   *volatile json = parse_json(text, len);
	KeAvroType *volatile type = NULL;

	compiler->text++;
	PG_TRY();
	{
		type = compile(compiler, json, NULL);
	}
	PG_FINALLY();
	{
		json_decref(json);
	}
	PG_END_TRY();
	return type;
}

static const KeAvroType *
compile_all(const char *text, int32 len, const KeAvroReference *references,
			int nreferences)
{
	Compiler	compiler = {0};
	int64		total = len;
	KeAvroType *root;
	ListCell   *cell;

	for (int i = 0; i < nreferences; i++)
		total += references[i].len;
	if (total > KE_AVRO_SCHEMA_MAX_TEXT)
		refuse_size(psprintf("It has " INT64_FORMAT " bytes with its references, and %d are allowed.",
							 total, KE_AVRO_SCHEMA_MAX_TEXT));

	compiler.names = make_names("Avro types");
	compiler.last_parts = make_names("last parts of Avro types");
	for (int i = 0; i < nreferences; i++)
	{
		KeAvroType *type = compile_text(&compiler, references[i].text,
										references[i].len);

		if (type->name == NULL && references[i].name != NULL)
		{
			type->name = pstrdup(references[i].name);
			register_name(&compiler, type->name, type);
		}
	}
	root = compile_text(&compiler, text, len);
	foreach(cell, compiler.records)
		measure(lfirst(cell));
	hash_destroy(compiler.names);
	hash_destroy(compiler.last_parts);
	return root;
}

static const KeJsonShape *
make_shape(const KeAvroType *root)
{
	static uint64 last_id = 0;
	KeJsonShape *shape;

	if (root->op != KE_AVRO_RECORD || root->logical.kind != KE_LOGICAL_NONE)
		return NULL;
	shape = palloc0(sizeof(KeJsonShape));
	shape->id = ++last_id;
	shape->count = root->count;
	shape->names = palloc(Max(root->count, 1) * sizeof(KeJsonName));
	for (int i = 0; i < root->count; i++)
	{
		shape->names[i].text = root->in.fields[i].name.text;
		shape->names[i].len = root->in.fields[i].name.len;
	}
	return shape;
}

KeAvroSchema *
ke_avro_schema_parse(const char *text, int32 len,
					 const KeAvroReference *references, int nreferences,
					 MemoryContext context)
{
	MemoryContext own = AllocSetContextCreate(CurrentMemoryContext,
											  "kafka_events Avro schema",
											  ALLOCSET_SMALL_SIZES);
	MemoryContext old = MemoryContextSwitchTo(own);
	KeAvroSchema *schema = palloc0(sizeof(KeAvroSchema));

	schema->context = own;
	schema->root = compile_all(text, len, references, nreferences);
	schema->shape = make_shape(schema->root);
	MemoryContextSwitchTo(old);
	MemoryContextSetParent(own, context);
	return schema;
}

void
ke_avro_schema_free(KeAvroSchema *schema)
{
	MemoryContextDelete(schema->context);
}

const KeJsonShape *
ke_avro_schema_shape(const KeAvroSchema *schema)
{
	return schema->shape;
}
