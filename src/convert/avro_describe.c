/*
 * avro_describe.c
 *	  What an Avro schema says of itself, for people and for new tables.
 */
#include "postgres.h"
#include "core/compat.h"

#include "convert/avro_describe.h"
#include "convert/avro_program.h"

/* Precisions that a column of type numeric may declare. */
#define MAX_PRECISION 1000

const char *
ke_avro_describe_name(const KeAvroSchema *schema)
{
	const KeAvroType *root = schema->root;

	return root->name != NULL ? root->name : ke_avro_schema_op_name(root->op);
}

/*
 * The type that a union is when it is not null; the union itself where that
 * is more than one.
 */
static const KeAvroType *
without_null(const KeAvroType *type, bool *nullable)
{
	const KeAvroType *only = NULL;
	int			others = 0;

	*nullable = type->op == KE_AVRO_NULL;
	if (type->op != KE_AVRO_UNION)
		return type;
	for (int i = 0; i < type->count; i++)
	{
		if (type->in.branches[i]->op == KE_AVRO_NULL)
			*nullable = true;
		else
		{
			only = type->in.branches[i];
			others++;
		}
	}
	return others == 1 ? only : type;
}

/* The type of a record's field, if it has one of that name and of this op. */
static const KeAvroType *
field_type(const KeAvroType *record, const char *name, KeAvroOp op)
{
	for (int i = 0; i < record->count; i++)
	{
		const KeAvroMember *member = &record->in.fields[i];
		bool		nullable;
		const KeAvroType *type = without_null(member->type, &nullable);

		if (strcmp(member->name.text, name) == 0 && type->op == op)
			return type;
	}
	return NULL;
}

/* The record that rows are made of, or NULL. */
static const KeAvroType *
row_of(const KeAvroSchema *schema)
{
	const KeAvroType *root = schema->root;
	const KeAvroType *after;

	if (root->op != KE_AVRO_RECORD)
		return NULL;
	after = field_type(root, "after", KE_AVRO_RECORD);
	if (after != NULL && field_type(root, "op", KE_AVRO_STRING) != NULL &&
		field_type(root, "source", KE_AVRO_RECORD) != NULL)
		return after;
	return root;
}

int
ke_avro_describe_count(const KeAvroSchema *schema)
{
	const KeAvroType *row = row_of(schema);

	return row == NULL ? -1 : row->count;
}

static char *
numeric_type(const KeAvroType *type)
{
	int32		scale = type->logical.scale;

	if (type->precision < 1 || type->precision > MAX_PRECISION || scale < 0 ||
		scale > type->precision)
		return pstrdup("numeric");
	return psprintf("numeric(%d,%d)", type->precision, scale);
}

static char *type_of(const KeAvroType *type);

/* An array of simple values is one in PostgreSQL too. */
static char *
array_type(const KeAvroType *type)
{
	bool		nullable;
	const KeAvroType *items = without_null(type->in.items, &nullable);

	if (items->sql_type == NULL &&
		(items->op >= KE_AVRO_ARRAY || items->op == KE_AVRO_NULL))
		return pstrdup("jsonb");
	return psprintf("%s[]", type_of(items));
}

static char *
type_of(const KeAvroType *type)
{
	if (type->logical.kind == KE_LOGICAL_DECIMAL)
		return numeric_type(type);
	if (type->sql_type != NULL)
		return pstrdup(type->sql_type);
	switch (type->op)
	{
		case KE_AVRO_BOOLEAN:
			return pstrdup("boolean");
		case KE_AVRO_INT:
			return pstrdup("integer");
		case KE_AVRO_LONG:
			return pstrdup("bigint");
		case KE_AVRO_FLOAT:
			return pstrdup("real");
		case KE_AVRO_DOUBLE:
			return pstrdup("double precision");
		case KE_AVRO_BYTES:
		case KE_AVRO_FIXED:
			return pstrdup("bytea");
		case KE_AVRO_NULL:
		case KE_AVRO_STRING:
		case KE_AVRO_ENUM:
			return pstrdup("text");
		case KE_AVRO_ARRAY:
			return array_type(type);
		case KE_AVRO_MAP:
		case KE_AVRO_UNION:
		case KE_AVRO_RECORD:
			return pstrdup("jsonb");
	}
	pg_unreachable();
}

KeAvroField
ke_avro_describe_field(const KeAvroSchema *schema, int nth)
{
	const KeAvroMember *member = &row_of(schema)->in.fields[nth];
	KeAvroField field = {.name = member->name.text};

	field.sql_type = type_of(without_null(member->type,
														&field.nullable));
	return field;
}
