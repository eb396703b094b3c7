/*
 * sink_fuzz.c
 *	  Our decoders against PostgreSQL's own, on random bytes.
 *
 * Both must give the same bytes, or an error with the same SQLSTATE.
 */
#include "postgres.h"
#include "core/compat.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "funcapi.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/fmgrprotos.h"
#include "utils/json.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/resowner.h"
#include "utils/typcache.h"

#include "convert/decode.h"
#include "convert/document.h"
#include "sink_random.h"

PG_FUNCTION_INFO_V1(unit_fuzz_value);
PG_FUNCTION_INFO_V1(unit_fuzz_row);
PG_FUNCTION_INFO_V1(unit_decode);

static const char subject[] = "message value";

/* One run of one decoder. */
typedef struct Run
{
	void		(*decode) (struct Run *run);
	const char *bytes;
	int32		len;
	KeDocument *document;
	KeDecoder  *decoder;
	TupleDesc	row;
	SPIPlanPtr	plan;
	int			sqlstate;		/* 0: it gave values */
	Datum	   *values;
	bool	   *nulls;
} Run;

static void
ours_jsonb(Run *run)
{
	run->values[0] = ke_decode_jsonb(run->bytes, run->len, subject);
}

static void
ours_json(Run *run)
{
	run->values[0] = ke_decode_json(run->bytes, run->len, subject);
}

static char *
server_cstring(Run *run)
{
	char	   *text = pg_any_to_server(run->bytes, run->len, PG_UTF8);

	return text == run->bytes ? pnstrdup(text, run->len) : text;
}

static void
theirs_jsonb(Run *run)
{
	run->values[0] = DirectFunctionCall1(jsonb_in,
										 CStringGetDatum(server_cstring(run)));
}

static void
theirs_json(Run *run)
{
	run->values[0] = DirectFunctionCall1(json_in,
										 CStringGetDatum(server_cstring(run)));
}

static void
ours_row(Run *run)
{
	bool	   *present = palloc(run->row->natts * sizeof(bool));

	KeMessage	msg = {.value = run->bytes, .value_len = run->len};
	int			root;

	(void) ke_document_read(run->document, &msg);
	root = ke_document_scan(run->document);
	ke_decode_object(run->decoder, &run->document->json, root, run->values,
					 run->nulls, present);
}

static void
theirs_row(Run *run)
{
	Datum		json = CStringGetTextDatum(server_cstring(run));
	MemoryContext caller = CurrentMemoryContext;
	MemoryContext old;

	SPI_connect();
	if (SPI_execute_plan(run->plan, &json, NULL, true, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not call json_populate_record");
	old = MemoryContextSwitchTo(caller);
	heap_deform_tuple(heap_copytuple(SPI_tuptable->vals[0]),
					  SPI_tuptable->tupdesc, run->values, run->nulls);
	MemoryContextSwitchTo(old);
	SPI_finish();
}

static void
try(Run *run)
{
	MemoryContext context = CurrentMemoryContext;
	ResourceOwner owner = CurrentResourceOwner;

	run->values = palloc0(run->row->natts * sizeof(Datum));
	run->nulls = palloc0(run->row->natts * sizeof(bool));
	run->sqlstate = 0;
	BeginInternalSubTransaction(NULL);
	MemoryContextSwitchTo(context);
	PG_TRY();
	{
		run->decode(run);
		ReleaseCurrentSubTransaction();
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(context);
		run->sqlstate = CopyErrorData()->sqlerrcode;
		FlushErrorState();
		RollbackAndReleaseCurrentSubTransaction();
	}
	PG_END_TRY();
	MemoryContextSwitchTo(context);
	CurrentResourceOwner = owner;
}

/* The first column that differs; -1: none does. */
static int
first_difference(const Run *a, const Run *b)
{
	for (int i = 0; i < a->row->natts; i++)
	{
		Form_pg_attribute att = TupleDescAttr(a->row, i);

		if (a->nulls[i] != b->nulls[i])
			return i;
		if (!a->nulls[i] &&
			!datum_image_eq(a->values[i], b->values[i], att->attbyval,
							att->attlen))
			return i;
	}
	return -1;
}

/*
 * Text with two things wrong may fail with the other one: PostgreSQL reads a
 * row's JSON twice, first without its escapes, and looks at numbers on the
 * way, where we scan all of it first.  Other encodings add more such cases.
 */
static bool
is_alike(const Run *ours, const Run *theirs)
{
	if (ours->sqlstate == theirs->sqlstate)
		return true;
	if (GetDatabaseEncoding() != PG_UTF8 && theirs->sqlstate != 0)
		return ours->sqlstate != 0;
	if (ours->decoder != NULL &&
		ours->sqlstate == ERRCODE_UNTRANSLATABLE_CHARACTER)
		return theirs->sqlstate == ERRCODE_INVALID_TEXT_REPRESENTATION;
	return ours->sqlstate == ERRCODE_INVALID_TEXT_REPRESENTATION &&
		theirs->sqlstate == ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE &&
		ours->decoder == NULL;
}

static void
compare(Run *ours, Run *theirs, int seed, int number)
{
	int			column;

	if (!is_alike(ours, theirs))
		elog(ERROR, "case %d of seed %d: ours %s, theirs %s: %s", number,
			 seed, unpack_sql_state(ours->sqlstate),
			 pstrdup(unpack_sql_state(theirs->sqlstate)),
			 pnstrdup(ours->bytes, ours->len));
	if (ours->sqlstate != 0)
		return;
	column = first_difference(ours, theirs);
	if (column >= 0)
		elog(ERROR, "case %d of seed %d: column %s differs: %s", number,
			 seed, NameStr(TupleDescAttr(ours->row, column)->attname),
			 pnstrdup(ours->bytes, ours->len));
}

/*
 * Run n cases; returns how many ended in an error.  From case spoil on (-1:
 * never), our results are made wrong, to see that it is noticed.
 */
static int
fuzz(Run *ours, Run *theirs, const char **names, int nnames, int seed, int n,
	 int spoil)
{
	pg_prng_state state;
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext,
												  "fuzz",
												  ALLOCSET_DEFAULT_SIZES);
	int			errors = 0;

	pg_prng_seed(&state, seed);
	for (int i = 0; i < n; i++)
	{
		MemoryContext old = MemoryContextSwitchTo(context);
		StringInfoData text;

		initStringInfo(&text);
		if (names != NULL)
			unit_random_object(&state, &text, names, nnames);
		else
			unit_random_json(&state, &text, 4);
		unit_random_damage(&state, &text);
		ours->bytes = theirs->bytes = text.data;
		ours->len = theirs->len = text.len;
		try(ours);
		try(theirs);
		if (spoil >= 0 && i >= spoil && ours->sqlstate == 0)
			ours->nulls[0] = !ours->nulls[0];
		compare(ours, theirs, seed, i);
		errors += ours->sqlstate != 0;
		MemoryContextSwitchTo(old);
		MemoryContextReset(context);
		CHECK_FOR_INTERRUPTS();
	}
	MemoryContextDelete(context);
	return errors;
}

/* kind jsonb or json, seed, number of cases, the first one to spoil. */
Datum
unit_fuzz_value(PG_FUNCTION_ARGS)
{
	bool		is_json = strcmp(text_to_cstring(PG_GETARG_TEXT_PP(0)),
								 "json") == 0;
	TupleDesc	row = CreateTemplateTupleDesc(1);
	Run			ours = {0};
	Run			theirs = {0};

	TupleDescInitEntry(row, 1, "value", is_json ? JSONOID : JSONBOID, -1, 0);
	ours.row = theirs.row = row;
	ours.decode = is_json ? ours_json : ours_jsonb;
	theirs.decode = is_json ? theirs_json : theirs_jsonb;
	PG_RETURN_INT32(fuzz(&ours, &theirs, NULL, 0, PG_GETARG_INT32(1),
						 PG_GETARG_INT32(2), PG_GETARG_INT32(3)));
}

/* A composite type, seed, number of cases, the first one to spoil. */
Datum
unit_fuzz_row(PG_FUNCTION_ARGS)
{
	Oid			type = PG_GETARG_OID(0);
	TupleDesc	row = lookup_rowtype_tupdesc_copy(type, -1);
	const char **names = palloc(row->natts * sizeof(char *));
	Oid			argument = TEXTOID;
	Run			ours = {0};
	Run			theirs = {0};
	int			errors;
	char	   *sql;

	for (int i = 0; i < row->natts; i++)
		names[i] = NameStr(TupleDescAttr(row, i)->attname);
	ours.row = theirs.row = row;
	ours.decode = ours_row;
	ours.document = ke_document_open(NULL, KE_DOCUMENT_VALUE,
									 CurrentMemoryContext);
	ours.decoder = ke_decode_make(row, NULL, NULL, false,
								  CurrentMemoryContext);
	theirs.decode = theirs_row;
	sql = psprintf("SELECT (json_populate_record(NULL::%s, $1::json)).*",
				   format_type_be(type));
	SPI_connect();
	theirs.plan = SPI_prepare(sql, 1, &argument);
	SPI_keepplan(theirs.plan);
	SPI_finish();
	errors = fuzz(&ours, &theirs, names, row->natts, PG_GETARG_INT32(1),
				  PG_GETARG_INT32(2), PG_GETARG_INT32(3));
	SPI_freeplan(theirs.plan);
	PG_RETURN_INT32(errors);
}

/* One value as the type of the second argument's name. */
Datum
unit_decode(PG_FUNCTION_ARGS)
{
	bytea	   *bytes = PG_GETARG_BYTEA_PP(0);
	char	   *type = text_to_cstring(PG_GETARG_TEXT_PP(1));
	const char *value = VARDATA_ANY(bytes);
	int32		len = VARSIZE_ANY_EXHDR(bytes);
	Datum		datum;

	if (strcmp(type, "jsonb") == 0)
	{
		datum = DirectFunctionCall1(jsonb_out,
									ke_decode_jsonb(value, len, subject));
		PG_RETURN_TEXT_P(cstring_to_text(DatumGetCString(datum)));
	}
	if (strcmp(type, "json") == 0)
		PG_RETURN_DATUM(ke_decode_json(value, len, subject));
	PG_RETURN_DATUM(ke_decode_text(value, len, subject));
}
