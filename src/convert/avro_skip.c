/*
 * avro_skip.c
 *	  Pass over a value that nobody wants.
 */
#include "postgres.h"
#include "core/compat.h"

#include "miscadmin.h"

#include "convert/avro_skip.h"

/* An array's items, or a map's keys and values. */
static void
skip_items(KeAvroReader *reader, const KeAvroType *type)
{
	const KeAvroType *items = type->in.items;
	bool		is_map = type->op == KE_AVRO_MAP;
	int64		count;
	int64		size;

	check_stack_depth();
	while ((count = ke_avro_reader_count(reader, &size)) > 0)
	{
		CHECK_FOR_INTERRUPTS();
		ke_avro_reader_check_count(reader, count, items->empty && !is_map);
		if (size >= 0)
			(void) ke_avro_reader_take(reader, size);
		if (size >= 0 || (items->empty && !is_map))
			continue;
		for (int64 i = 0; i < count; i++)
		{
			if (is_map)
				(void) ke_avro_reader_take(reader,
										   ke_avro_reader_integer(reader));
			ke_avro_skip(reader, items);
		}
	}
}

static void
skip_fields(KeAvroReader *reader, const KeAvroType *type)
{
	check_stack_depth();
	for (int i = 0; i < type->count; i++)
		ke_avro_skip(reader, type->in.fields[i].type);
}

/* Every step takes a byte at least, so a few bytes make no long way. */
void
ke_avro_skip(KeAvroReader *reader, const KeAvroType *type)
{
	if (type->empty)
		return;
	while (type->op == KE_AVRO_UNION)
		type = ke_avro_reader_branch(reader, type);
	switch (type->op)
	{
		case KE_AVRO_NULL:
			break;
		case KE_AVRO_BOOLEAN:
			(void) ke_avro_reader_boolean(reader);
			break;
		case KE_AVRO_INT:
			(void) ke_avro_reader_int(reader);
			break;
		case KE_AVRO_LONG:
			(void) ke_avro_reader_integer(reader);
			break;
		case KE_AVRO_FLOAT:
			(void) ke_avro_reader_take(reader, sizeof(float4));
			break;
		case KE_AVRO_DOUBLE:
			(void) ke_avro_reader_take(reader, sizeof(float8));
			break;
		case KE_AVRO_BYTES:
		case KE_AVRO_STRING:
			(void) ke_avro_reader_take(reader,
									   ke_avro_reader_integer(reader));
			break;
		case KE_AVRO_FIXED:
			(void) ke_avro_reader_take(reader, type->count);
			break;
		case KE_AVRO_ENUM:
			(void) ke_avro_reader_symbol(reader, type);
			break;
		case KE_AVRO_ARRAY:
		case KE_AVRO_MAP:
			skip_items(reader, type);
			break;
		case KE_AVRO_UNION:
			pg_unreachable();
		case KE_AVRO_RECORD:
			skip_fields(reader, type);
			break;
	}
}
