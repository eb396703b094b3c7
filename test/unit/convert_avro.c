/*
 * convert_avro.c
 *	  Avro data decoded, as jsonb, as JSON text and as columns.
 */
#include "postgres.h"
#include "core/compat.h"

#include "access/htup_details.h"
#include "catalog/pg_type.h"
#include "common/pg_prng.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/resowner.h"
#include "utils/typcache.h"

#include "access/xact.h"

#include "convert/avro_decode.h"
#include "convert/avro_describe.h"
#include "convert/convert.h"
#include "convert/decode.h"
#include "convert/json_write.h"
#include "convert/jsonb_build.h"

PG_FUNCTION_INFO_V1(unit_avro);
PG_FUNCTION_INFO_V1(unit_avro_text);
PG_FUNCTION_INFO_V1(unit_avro_column);
PG_FUNCTION_INFO_V1(unit_avro_rows);
PG_FUNCTION_INFO_V1(unit_avro_fields);
PG_FUNCTION_INFO_V1(unit_avro_describe);
PG_FUNCTION_INFO_V1(unit_avro_damage);

static KeAvroSchema *
parse(text *schema, ArrayType *references)
{
	KeAvroReference *list = NULL;
	Datum	   *texts = NULL;
	int			count = 0;

	if (references != NULL)
		deconstruct_array(references, TEXTOID, -1, false, TYPALIGN_INT, &texts,
						  NULL, &count);
	list = palloc0(Max(count, 1) * sizeof(KeAvroReference));
	for (int i = 0; i < count; i++)
	{
		list[i].text = VARDATA_ANY(DatumGetPointer(texts[i]));
		list[i].len = VARSIZE_ANY_EXHDR(DatumGetPointer(texts[i]));
	}
	return ke_avro_schema_parse(VARDATA_ANY(schema),
								VARSIZE_ANY_EXHDR(schema), list, count,
								CurrentMemoryContext);
}

/*
 * Decode arguments 0 and 1, schema and data, with the references of argument
 * 2; argument 3: bytes without a length; argument 4: lazily.
 */
static KeJson *
decode(FunctionCallInfo fcinfo)
{
	KeJson	   *json = palloc(sizeof(KeJson));
	bytea	   *data = PG_GETARG_BYTEA_PP(1);
	KeAvroSchema *schema = parse(PG_GETARG_TEXT_PP(0),
								 PG_GETARG_ARRAYTYPE_P(2));

	ke_json_scan_init(json, "message value", CurrentMemoryContext);
	ke_avro_decode(schema, VARDATA_ANY(data), VARSIZE_ANY_EXHDR(data),
				   (PG_GETARG_BOOL(3) ? KE_AVRO_BARE : 0) |
				   (PG_GETARG_BOOL(4) ? KE_AVRO_LAZY : 0), NULL, json);
	return json;
}

Datum
unit_avro(PG_FUNCTION_ARGS)
{
	PG_RETURN_DATUM(ke_jsonb_build(decode(fcinfo), 0));
}

Datum
unit_avro_text(PG_FUNCTION_ARGS)
{
	StringInfoData out;

	initStringInfo(&out);
	ke_json_write(&out, decode(fcinfo), 0);
	PG_RETURN_TEXT_P(cstring_to_text_with_len(out.data, out.len));
}

/* As a column of this type (argument 5), printed; argument 6: its typmod. */
Datum
unit_avro_column(PG_FUNCTION_ARGS)
{
	KeJson	   *json = decode(fcinfo);
	Oid			type = PG_GETARG_OID(5);
	KeConverter conv;
	Oid			output;
	bool		varlena;
	bool		isnull;
	Datum		datum;

	ke_convert_init(&conv, "v", type, PG_GETARG_INT32(6),
					NULL, CurrentMemoryContext);
	datum = ke_convert_json(&conv, json, 0, &isnull);
	if (isnull)
		PG_RETURN_NULL();
	getTypeOutputInfo(type, &output, &varlena);
	PG_RETURN_TEXT_P(cstring_to_text(OidOutputFunctionCall(output, datum)));
}

/* A row of desc, as text. */
static char *
row_text(TupleDesc desc, Datum *values, bool *nulls)
{
	HeapTuple	tuple = heap_form_tuple(desc, values, nulls);

	return OidOutputFunctionCall(F_RECORD_OUT,
								 HeapTupleGetDatum(tuple));
}

/*
 * Messages one after the other through one decoder of a row type: elements of
 * argument 1, data, by the schemas that are elements of argument 0.  A line
 * for each.
 */
Datum
unit_avro_rows(PG_FUNCTION_ARGS)
{
	TupleDesc	desc = lookup_rowtype_tupdesc_copy(PG_GETARG_OID(2), -1);
	KeDecoder  *decoder = ke_decode_make(desc, NULL, NULL, false,
										 CurrentMemoryContext);
	Datum	   *values = palloc(desc->natts * sizeof(Datum));
	bool	   *nulls = palloc(desc->natts * sizeof(bool));
	bool	   *present = palloc(desc->natts * sizeof(bool));
	KeAvroSchema **schemas;
	Datum	   *texts;
	Datum	   *data;
	int			count;
	StringInfoData out;
	KeJson		json;

	BlessTupleDesc(desc);
	deconstruct_array(PG_GETARG_ARRAYTYPE_P(0), TEXTOID, -1, false,
					  TYPALIGN_INT, &texts, NULL, &count);
	deconstruct_array(PG_GETARG_ARRAYTYPE_P(1), BYTEAOID, -1, false,
					  TYPALIGN_INT, &data, NULL, &count);
	schemas = palloc0(count * sizeof(KeAvroSchema *));
	ke_json_scan_init(&json, "message value", CurrentMemoryContext);
	initStringInfo(&out);
	for (int i = 0; i < count; i++)
	{
		text	   *schema = DatumGetTextPP(texts[i]);

		/* an equal text is the same schema */
		for (int j = 0; j < i && schemas[i] == NULL; j++)
			if (datumIsEqual(texts[i], texts[j], false, -1))
				schemas[i] = schemas[j];
		if (schemas[i] == NULL)
			schemas[i] = parse(schema, NULL);
		ke_avro_decode(schemas[i], VARDATA_ANY(DatumGetPointer(data[i])),
					   VARSIZE_ANY_EXHDR(DatumGetPointer(data[i])),
					   KE_AVRO_LAZY,
					   ke_decode_wanted(decoder,
										ke_avro_schema_shape(schemas[i])),
					   &json);
		ke_decode_object(decoder, &json, 0, values, nulls, present);
		appendStringInfo(&out, "%s%s present:", i > 0 ? "\n" : "",
						 row_text(desc, values, nulls));
		for (int j = 0; j < desc->natts; j++)
			appendStringInfoString(&out, present[j] ? " yes" : " no");
	}
	PG_RETURN_TEXT_P(cstring_to_text_with_len(out.data, out.len));
}

/*
 * The object that a record is, of which each field was read while all others
 * were passed over; NULL: the schema is no record.
 */
Datum
unit_avro_fields(PG_FUNCTION_ARGS)
{
	KeAvroSchema *schema = parse(PG_GETARG_TEXT_PP(0), NULL);
	bytea	   *data = PG_GETARG_BYTEA_PP(1);
	const KeJsonShape *shape = ke_avro_schema_shape(schema);
	bool	   *wanted;
	StringInfoData out;
	KeJson		json;

	if (shape == NULL)
		PG_RETURN_NULL();
	wanted = palloc0(Max(shape->count, 1));
	ke_json_scan_init(&json, "message value", CurrentMemoryContext);
	initStringInfo(&out);
	appendStringInfoChar(&out, '{');
	for (int i = 0; i < shape->count; i++)
	{
		wanted[i] = true;
		ke_avro_decode(schema, VARDATA_ANY(data), VARSIZE_ANY_EXHDR(data),
					   KE_AVRO_LAZY, wanted, &json);
		wanted[i] = false;
		if (json.nodes[0].count != 1 || json.nodes[2].next != json.nnodes)
			elog(ERROR, "another field than %d was read", i);
		if (i > 0)
			appendStringInfoChar(&out, ',');
		ke_json_write(&out, &json, 1);
		appendStringInfoChar(&out, ':');
		ke_json_write(&out, &json, json.members[i]);
	}
	appendStringInfoChar(&out, '}');
	PG_RETURN_TEXT_P(cstring_to_text_with_len(out.data, out.len));
}

/* The name, and the fields with their types: a definition of columns. */
Datum
unit_avro_describe(PG_FUNCTION_ARGS)
{
	KeAvroSchema *schema = parse(PG_GETARG_TEXT_PP(0),
								 PG_GETARG_ARRAYTYPE_P(1));
	StringInfoData out;

	initStringInfo(&out);
	appendStringInfoString(&out, ke_avro_describe_name(schema));
	for (int i = 0; i < ke_avro_describe_count(schema); i++)
	{
		KeAvroField field = ke_avro_describe_field(schema, i);

		appendStringInfo(&out, "%s%s %s%s", i == 0 ? ": " : ", ", field.name,
						 field.sql_type, field.nullable ? "" : " NOT NULL");
	}
	ke_avro_schema_free(schema);
	PG_RETURN_TEXT_P(cstring_to_text_with_len(out.data, out.len));
}

/* Change, lose, add or repeat some bytes. */
static int
damage(pg_prng_state *state, char *bytes, int len, int room)
{
	int			times = 1 + pg_prng_uint64_range(state, 0, 3);

	for (int i = 0; i < times; i++)
	{
		int			at = (int) pg_prng_uint64_range(state, 0, Max(len - 1, 0));

		switch (pg_prng_uint64_range(state, 0, 4))
		{
			case 0:
				len = at;
				break;
			case 1:
				if (len < room)
				{
					memmove(bytes + at + 1, bytes + at, len - at);
					bytes[at] = (char) pg_prng_uint32(state);
					len++;
				}
				break;
			case 2:
				if (len > 0)
				{
					memmove(bytes + at, bytes + at + 1, len - at - 1);
					len--;
				}
				break;
			default:
				if (len > 0)
					bytes[at] = (char) pg_prng_uint32(state);
				break;
		}
	}
	return len;
}

/* One message, in a subtransaction; the SQLSTATE of its error or 0. */
static int
try_decode(const KeAvroSchema *schema, const char *bytes, int len,
		   const bool *wanted, KeJson *json)
{
	MemoryContext context = CurrentMemoryContext;
	ResourceOwner owner = CurrentResourceOwner;
	volatile int sqlstate = 0;

	BeginInternalSubTransaction(NULL);
	PG_TRY();
	{
		/* as text: jsonb refuses more */
		StringInfoData out;

		ke_avro_decode(schema, bytes, len, KE_AVRO_LAZY, wanted, json);
		initStringInfo(&out);
		ke_json_write(&out, json, 0);
		ReleaseCurrentSubTransaction();
	}
	PG_CATCH();
	{
		ErrorData  *error;

		MemoryContextSwitchTo(context);
		error = CopyErrorData();
		FlushErrorState();
		RollbackAndReleaseCurrentSubTransaction();
		sqlstate = error->sqlerrcode;
		FreeErrorData(error);
	}
	PG_END_TRY();
	MemoryContextSwitchTo(context);
	CurrentResourceOwner = owner;
	return sqlstate;
}

static void
check_sqlstate(int sqlstate, int nth)
{
	if (sqlstate != 0 &&
		ERRCODE_TO_CATEGORY(sqlstate) != ERRCODE_DATA_EXCEPTION &&
		ERRCODE_TO_CATEGORY(sqlstate) != ERRCODE_PROGRAM_LIMIT_EXCEEDED)
		elog(ERROR, "SQLSTATE %s at damage %d", unpack_sql_state(sqlstate),
			 nth);
}

/* Every other field. */
static bool *
want_some(const KeAvroSchema *schema)
{
	const KeJsonShape *shape = ke_avro_schema_shape(schema);
	bool	   *wanted;

	if (shape == NULL)
		return NULL;
	wanted = palloc0(Max(shape->count, 1));
	for (int i = 0; i < shape->count; i += 2)
		wanted[i] = true;
	return wanted;
}

/*
 * Damage data n times, decode it, all of it and some of its fields, and return
 * how often that raised.  Errors other than those of bad data are raised; the
 * message is in memory of just its size, so that valgrind sees what is read
 * behind it.
 */
Datum
unit_avro_damage(PG_FUNCTION_ARGS)
{
	KeAvroSchema *schema = parse(PG_GETARG_TEXT_PP(0),
								 PG_GETARG_ARRAYTYPE_P(2));
	bytea	   *data = PG_GETARG_BYTEA_PP(1);
	int			len = VARSIZE_ANY_EXHDR(data);
	int			room = len + 8;
	int			n = PG_GETARG_INT32(4);
	char	   *bytes = palloc(room);
	bool	   *some = want_some(schema);
	pg_prng_state state;
	KeJson		json;
	int			raised = 0;

	pg_prng_seed(&state, PG_GETARG_INT32(3));
	ke_json_scan_init(&json, "message value", CurrentMemoryContext);
	for (int i = 0; i < n; i++)
	{
		int			damaged;
		char	   *exact;
		int			sqlstate;

		memcpy(bytes, VARDATA_ANY(data), len);
		damaged = damage(&state, bytes, len, room);
		exact = malloc(Max(damaged, 1));
		memcpy(exact, bytes, damaged);
		sqlstate = try_decode(schema, exact, damaged, NULL, &json);
		check_sqlstate(sqlstate, i);
		if (sqlstate != 0)
			raised++;
		if (some != NULL)
			check_sqlstate(try_decode(schema, exact, damaged, some, &json),
						   i);
		free(exact);
	}
	PG_RETURN_INT32(raised);
}
