/*
 * argument.c
 *	  Messages as the argument of a handler or a validator.
 *
 * Row types are looked at again for every argument: they may gain a column
 * while we run, and a row must fit the description its readers will use.
 * That costs a hash look-up; all that is derived is kept until the type
 * cache's identifier of the description changes, or a type inside does.  Only
 * heap_form_tuple() makes rows: what a row says of its type's version differs
 * between minor releases.
 *
 * The array of a batch grows element by element in memory that is kept:
 * allocating some MB for every batch would cost more than the rest of the
 * call.
 */
#include "postgres.h"
#include "core/compat.h"

#include "access/htup_details.h"
#include "catalog/pg_type.h"
#include "funcapi.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"
#include "utils/typcache.h"

#include "convert/decode.h"
#include "convert/document.h"
#include "convert/field_map.h"
#include "convert/type_watch.h"
#include "handler/argument.h"

#define MESSAGE_COLUMNS 8

/* Memory that is kept from batch to batch. */
#define KEEP_ARRAY ((Size) 8 * 1024 * 1024)
#define KEEP_ELEMENT ((Size) 16 * 1024)

struct KeArgumentMaker
{
	KeArgument	kind;
	Oid			type;			/* of the argument */
	MemoryContext context;		/* of this struct */
	const KeSubscriptionOptions *options;	/* NULL: the defaults */
	KeDocument *document;

	bool		looked_up;
	bool		is_domain;
	Oid			row_type;		/* behind domains and the array; or none */
	void	   *domain;			/* domain_check's */

	uint64		row_identifier; /* of the type cache; 0: nothing below */
	MemoryContext row_context;	/* all below */
	KeTypeWatch *types;			/* of the attributes */
	TupleDesc	row;
	KeDecoder  *decoder;		/* KE_ARG_COMPOSITE */
	Datum	   *values;
	bool	   *nulls;
	bool	   *present;
	KeUnmatched unmatched;		/* KE_ARG_COMPOSITE; kept over all changes */
	Oid		   *domains;		/* of the attributes; InvalidOid: none */
	void	  **domain_states;	/* domain_check's */

	MemoryContext element_context;	/* what one element is made from */
	ArrayType  *array;			/* of the batch; its memory is used again */
	Size		array_room;
	Size		array_size;
};

KeArgumentMaker *
ke_argument_open(KeArgument kind, Oid type,
				 const KeSubscriptionOptions *options, MemoryContext parent)
{
	MemoryContext context;
	KeArgumentMaker *maker;

	context = AllocSetContextCreate(parent, "kafka_events argument",
									ALLOCSET_SMALL_SIZES);
	maker = MemoryContextAllocZero(context, sizeof(KeArgumentMaker));
	maker->kind = kind;
	maker->type = type;
	maker->context = context;
	maker->options = options;
	maker->document = ke_document_open(options, KE_DOCUMENT_VALUE, context);
	maker->row_context = AllocSetContextCreate(context,
											   "kafka_events row type",
											   ALLOCSET_SMALL_SIZES);
	return maker;
}

void
ke_argument_close(KeArgumentMaker *maker)
{
	MemoryContextDelete(maker->context);
}

static void
look_up(KeArgumentMaker *maker)
{
	Oid			base = getBaseType(maker->type);

	maker->is_domain = (base != maker->type);
	switch (maker->kind)
	{
		case KE_ARG_NONE:
		case KE_ARG_JSONB:
		case KE_ARG_JSON:
		case KE_ARG_TEXT:
		case KE_ARG_BYTEA:
			maker->row_type = InvalidOid;
			break;
		case KE_ARG_COMPOSITE:
		case KE_ARG_MESSAGE:
			maker->row_type = base;
			break;
		case KE_ARG_BATCH:
			maker->row_type = get_element_type(base);
			break;
	}
	maker->looked_up = true;
}

/* kafka_message belongs to the extension, but ALTER TYPE is possible. */
static void
check_message_type(TupleDesc row)
{
	static const Oid types[MESSAGE_COLUMNS] = {
		TEXTOID, INT4OID, INT8OID, TIMESTAMPTZOID,
		BYTEAOID, BYTEAOID, JSONBOID, INT4OID
	};
	bool		fits = (row->natts == MESSAGE_COLUMNS);

	for (int i = 0; fits && i < MESSAGE_COLUMNS; i++)
		fits = (!TupleDescAttr(row, i)->attisdropped &&
				TupleDescAttr(row, i)->atttypid == types[i]);
	if (!fits)
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("type %s is not as the extension made it",
						format_type_be(row->tdtypeid))));
}

static void
find_domains(KeArgumentMaker *maker)
{
	TupleDesc	row = maker->row;

	maker->domains = palloc0(sizeof(Oid) * row->natts);
	maker->domain_states = palloc0(sizeof(void *) * row->natts);
	for (int i = 0; i < row->natts; i++)
	{
		Form_pg_attribute attribute = TupleDescAttr(row, i);

		if (!attribute->attisdropped &&
			get_typtype(attribute->atttypid) == TYPTYPE_DOMAIN)
			maker->domains[i] = attribute->atttypid;
	}
}

/* Columns of column_map may be those of the target table instead. */
static KeDecoder *
make_decoder(KeArgumentMaker *maker)
{
	const KeSubscriptionOptions *options = maker->options;

	if (options != NULL && options->into_table == NULL &&
		options->route == NULL)
		ke_field_map_check(maker->row, options);
	return ke_decode_make(maker->row, NULL, options, false,
						  maker->row_context);
}

static void
look_at_row_type(KeArgumentMaker *maker)
{
	TypeCacheEntry *type;
	uint64		identifier;
	MemoryContext old;

	type = lookup_type_cache(maker->row_type, TYPECACHE_TUPDESC);
	if (type->tupDesc == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("type %s is not composite",
						format_type_be(maker->row_type))));
	identifier = type->tupDesc_identifier;
	if (maker->row_identifier == identifier &&
		!ke_type_watch_is_stale(maker->types))
		return;

	maker->row_identifier = 0;
	maker->document->columns = NULL;
	MemoryContextReset(maker->row_context);
	old = MemoryContextSwitchTo(maker->row_context);
	maker->row = CreateTupleDescCopy(type->tupDesc);
	maker->types = ke_type_watch_make(maker->row_context);
	ke_type_watch_add(maker->types, maker->row_type);
	if (maker->kind == KE_ARG_COMPOSITE)
		maker->document->columns = maker->decoder = make_decoder(maker);
	else
		check_message_type(maker->row);
	maker->values = palloc0(sizeof(Datum) * maker->row->natts);
	maker->nulls = palloc0(sizeof(bool) * maker->row->natts);
	maker->present = palloc0(sizeof(bool) * maker->row->natts);
	find_domains(maker);
	MemoryContextSwitchTo(old);
	maker->row_identifier = identifier;
}

static Datum
bytea_or_null(const char *bytes, int32 len, bool *isnull)
{
	*isnull = (bytes == NULL);
	return *isnull ? (Datum) 0 : ke_decode_bytea(bytes, len);
}

/* A kafka_message; its type has been looked at. */
static Datum
make_message(KeArgumentMaker *maker, KeMessage *msg)
{
	Datum	   *values;
	bool	   *nulls;
	TimestampTz time = 0;

	values = maker->values;
	nulls = maker->nulls;
	values[0] = CStringGetTextDatum(msg->topic);
	values[1] = Int32GetDatum(msg->partition);
	values[2] = Int64GetDatum(msg->offset);
	nulls[3] = !ke_message_timestamp(msg, &time);
	values[3] = TimestampTzGetDatum(time);
	values[4] = bytea_or_null(msg->key, msg->key_len, &nulls[4]);
	values[5] = bytea_or_null(msg->value, msg->value_len, &nulls[5]);
	values[6] = ke_decode_headers(msg);
	values[7] = Int32GetDatum(msg->attempt);
	return HeapTupleGetDatum(heap_form_tuple(maker->row, values, nulls));
}

/* May this field, which the object does not have, be NULL? */
static void
check_missing(KeArgumentMaker *maker, int i)
{
	MemoryContext context = CurrentMemoryContext;

	PG_TRY();
	{
		domain_check((Datum) 0, true, maker->domains[i],
					 &maker->domain_states[i], maker->row_context);
	}
	PG_CATCH();
	{
		ke_decode_rethrow(NameStr(TupleDescAttr(maker->row, i)->attname),
						  context);
	}
	PG_END_TRY();
}

/* None of the message's fields is an attribute. */
static void
note_unmatched(KeArgumentMaker *maker)
{
	if (!ke_unmatched_note(&maker->unmatched, &maker->document->json,
						   maker->document->root))
		return;
	for (int i = 0; i < maker->row->natts; i++)
		if (!TupleDescAttr(maker->row, i)->attisdropped)
			ke_unmatched_want(&maker->unmatched,
							  NameStr(TupleDescAttr(maker->row, i)->attname));
}

/*
 * A row of the user's type, which was looked at before the value was read.
 * The decoder checks the domains of the fields it finds; the others are NULL,
 * which a domain may forbid.
 */
static Datum
make_row(KeArgumentMaker *maker)
{
	bool		matched = false;
	int			root;

	root = ke_document_scan(maker->document);
	ke_decode_object(maker->decoder, &maker->document->json, root,
					 maker->values, maker->nulls, maker->present);
	for (int i = 0; i < maker->row->natts; i++)
	{
		matched |= maker->present[i];
		if (!maker->present[i] && OidIsValid(maker->domains[i]))
			check_missing(maker, i);
	}
	if (!matched)
		note_unmatched(maker);
	return HeapTupleGetDatum(heap_form_tuple(maker->row, maker->values,
											 maker->nulls));
}

static Datum
make_value(KeArgumentMaker *maker)
{
	switch (maker->kind)
	{
		case KE_ARG_JSONB:
			return ke_document_jsonb(maker->document);
		case KE_ARG_JSON:
			return ke_document_json(maker->document);
		case KE_ARG_TEXT:
			return ke_document_text(maker->document);
		case KE_ARG_BYTEA:
			return ke_document_bytea(maker->document);
		case KE_ARG_COMPOSITE:
			return make_row(maker);
		case KE_ARG_NONE:
		case KE_ARG_MESSAGE:
		case KE_ARG_BATCH:
			break;
	}
	elog(ERROR, "unexpected kind of argument: %d", (int) maker->kind);
}

Datum
ke_argument_make(KeArgumentMaker *maker, KeMessage *msg, bool *isnull,
				 bool *skip)
{
	Datum		value = (Datum) 0;

	if (!maker->looked_up)
		look_up(maker);

	*isnull = *skip = false;
	if (maker->kind == KE_ARG_MESSAGE)
	{
		look_at_row_type(maker);
		value = make_message(maker, msg);
	}
	else
	{
		KeDocumentOp op;

		if (maker->kind == KE_ARG_COMPOSITE)
			look_at_row_type(maker);
		op = ke_document_read(maker->document, msg);
		*skip = op == KE_DOCUMENT_SKIP;
		if (op == KE_DOCUMENT_WHOLE)
			value = make_value(maker);
		else
			*isnull = true;
		if (*skip)
			return value;
	}

	if (maker->is_domain)
		domain_check(value, *isnull, maker->type, &maker->domain,
					 maker->context);
	return value;
}

/* Make room for an array of this size; doubles, so that it seldom moves. */
static void
make_room(KeArgumentMaker *maker, Size size)
{
	Size		room = Max(maker->array_room, KEEP_ELEMENT);

	if (!AllocSizeIsValid(size))
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("batch of messages does not fit into one array")));
	while (room < size)
		room = Min(room * 2, MaxAllocSize);
	if (room == maker->array_room)
		return;
	if (maker->array == NULL)
		maker->array = MemoryContextAlloc(maker->context, room);
	else
		maker->array = repalloc(maker->array, room);
	maker->array_room = room;
}

static void
append_message(KeArgumentMaker *maker, KeMessage *msg)
{
	MemoryContext old = MemoryContextSwitchTo(maker->element_context);
	Datum		element = make_message(maker, msg);
	Size		length = VARSIZE(DatumGetPointer(element));
	Size		size = MAXALIGN(length);
	char	   *place;

	make_room(maker, maker->array_size + size);
	place = (char *) maker->array + maker->array_size;
	memcpy(place, DatumGetPointer(element), length);
	memset(place + length, 0, size - length);
	maker->array_size += size;

	MemoryContextSwitchTo(old);
	MemoryContextReset(maker->element_context);
}

Datum
ke_argument_make_batch(KeArgumentMaker *maker, KeMessage **msgs, int count)
{
	ArrayType  *array;

	if (!maker->looked_up)
		look_up(maker);
	if (maker->element_context == NULL)
		maker->element_context =
			AllocSetContextCreate(maker->context, "kafka_events element",
								  KEEP_ELEMENT, KEEP_ELEMENT,
								  ALLOCSET_DEFAULT_MAXSIZE);

	look_at_row_type(maker);
	maker->array_size = ARR_OVERHEAD_NONULLS(1);
	make_room(maker, maker->array_size);
	for (int i = 0; i < count; i++)
		append_message(maker, msgs[i]);

	array = maker->array;
	memset(array, 0, ARR_OVERHEAD_NONULLS(1));
	SET_VARSIZE(array, maker->array_size);
	array->ndim = 1;
	array->elemtype = maker->row_type;
	ARR_DIMS(array)[0] = count;
	ARR_LBOUND(array)[0] = 1;
	if (maker->is_domain)
		domain_check(PointerGetDatum(array), false, maker->type,
					 &maker->domain, maker->context);
	return PointerGetDatum(array);
}

int64 *
ke_argument_stripped(KeArgumentMaker *maker)
{
	return &maker->document->stripped;
}

KeUnmatched *
ke_argument_unmatched(KeArgumentMaker *maker)
{
	return &maker->unmatched;
}

void
ke_argument_trim(KeArgumentMaker *maker)
{
	if (maker->array_room <= KEEP_ARRAY)
		return;
	pfree(maker->array);
	maker->array = NULL;
	maker->array_room = 0;
}
