/*
 * schemas.c
 *	  What schema registries have said: table kafka_events.schemas.
 *
 * Only the manager inserts, and one manager at a time.
 */
#include "postgres.h"
#include "core/compat.h"

#include "access/skey.h"
#include "access/stratnum.h"
#include "catalog/pg_type.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/inval.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "state/private_table.h"
#include "state/schemas.h"
#include "subscription/extension.h"

/* Columns of kafka_events.schemas, from 0. */
enum
{
	SCHEMA_URL,
	SCHEMA_KIND,
	SCHEMA_ID,
	SCHEMA_TYPE,
	SCHEMA_SUBJECT,
	SCHEMA_NAME,
	SCHEMA_FIELDS,
	SCHEMA_TEXT,
	SCHEMA_REFERENCE_NAMES,
	SCHEMA_REFERENCES,
	SCHEMA_FIRST_SEEN_AT
};

static void
set_key(ScanKeyData *key, int column, const char *value)
{
	ScanKeyInit(key, column + 1, BTEqualStrategyNumber, F_TEXTEQ,
				CStringGetTextDatum(value));
}

static char *
get_text(const KePrivateTable *table, int column)
{
	if (table->slot->tts_isnull[column])
		return NULL;
	return TextDatumGetCString(table->slot->tts_values[column]);
}

static List *
get_texts(const KePrivateTable *table, int column)
{
	Datum	   *elements;
	int			count;
	List	   *texts = NIL;

	deconstruct_array(DatumGetArrayTypeP(table->slot->tts_values[column]),
					  TEXTOID, -1, false, TYPALIGN_INT, &elements, NULL,
					  &count);
	for (int i = 0; i < count; i++)
		texts = lappend(texts, TextDatumGetCString(elements[i]));
	return texts;
}

static KeSchemaRow *
read_row(const KePrivateTable *table, bool whole)
{
	KeSchemaRow *row = palloc0(sizeof(KeSchemaRow));

	row->url = get_text(table, SCHEMA_URL);
	row->kind = get_text(table, SCHEMA_KIND);
	row->id = get_text(table, SCHEMA_ID);
	row->type = get_text(table, SCHEMA_TYPE);
	row->subject = get_text(table, SCHEMA_SUBJECT);
	row->name = get_text(table, SCHEMA_NAME);
	row->fields = get_texts(table, SCHEMA_FIELDS);
	row->first_seen_at =
		DatumGetTimestampTz(table->slot->tts_values[SCHEMA_FIRST_SEEN_AT]);
	if (whole)
	{
		row->text = get_text(table, SCHEMA_TEXT);
		row->reference_names = get_texts(table, SCHEMA_REFERENCE_NAMES);
		row->references = get_texts(table, SCHEMA_REFERENCES);
	}
	return row;
}

static void
set_keys(ScanKeyData *keys, const char *url, const char *kind, const char *id)
{
	set_key(&keys[0], SCHEMA_URL, url);
	set_key(&keys[1], SCHEMA_KIND, kind);
	set_key(&keys[2], SCHEMA_ID, id);
}

KeSchemaRow *
ke_schemas_get(const char *url, const KeSchemaId *id)
{
	Snapshot	now = RegisterSnapshot(GetLatestSnapshot());
	char		text[KE_SCHEMA_ID_LEN];
	KePrivateTable table;
	ScanKeyData keys[3];
	KeSchemaRow *row = NULL;

	ke_schema_id_format(id, text);
	set_keys(keys, url, ke_schema_id_kind_name(id->kind), text);
	ke_private_table_open(&table, "schemas", AccessShareLock);
	if (ke_private_table_find(&table, keys, 3, now))
		row = read_row(&table, true);
	ke_private_table_close(&table);
	UnregisterSnapshot(now);
	return row;
}

Datum
ke_schemas_texts(const List *texts)
{
	Datum	   *elements = palloc((list_length(texts) + 1) * sizeof(Datum));
	int			count = 0;
	ListCell   *lc;

	foreach(lc, texts)
		elements[count++] = CStringGetTextDatum((char *) lfirst(lc));
	return PointerGetDatum(construct_array(elements, count, TEXTOID, -1,
										   false, TYPALIGN_INT));
}

static void
set_text(KePrivateTable *table, int column, const char *text)
{
	table->slot->tts_isnull[column] = text == NULL;
	if (text != NULL)
		table->slot->tts_values[column] = CStringGetTextDatum(text);
}

static void
fill(KePrivateTable *table, const KeSchemaRow *row)
{
	Datum	   *values = table->slot->tts_values;

	ke_private_table_blank(table);
	set_text(table, SCHEMA_URL, row->url);
	set_text(table, SCHEMA_KIND, row->kind);
	set_text(table, SCHEMA_ID, row->id);
	set_text(table, SCHEMA_TYPE, row->type);
	set_text(table, SCHEMA_SUBJECT, row->subject);
	set_text(table, SCHEMA_NAME, row->name);
	values[SCHEMA_FIELDS] = ke_schemas_texts(row->fields);
	set_text(table, SCHEMA_TEXT, row->text);
	values[SCHEMA_REFERENCE_NAMES] = ke_schemas_texts(row->reference_names);
	values[SCHEMA_REFERENCES] = ke_schemas_texts(row->references);
	values[SCHEMA_FIRST_SEEN_AT] = TimestampTzGetDatum(GetCurrentTimestamp());
}

void
ke_schemas_put(const KeSchemaRow *row)
{
	KePrivateTable table;
	ScanKeyData keys[3];
	Snapshot	now;

	set_keys(keys, row->url, row->kind, row->id);
	ke_private_table_open(&table, "schemas", ShareRowExclusiveLock);
	now = RegisterSnapshot(GetLatestSnapshot());
	if (!ke_private_table_find(&table, keys, 3, now))
	{
		fill(&table, row);
		ke_private_table_insert(&table);
	}
	UnregisterSnapshot(now);
	ke_private_table_close(&table);
}

static void
add_row(KePrivateTable *table, void *argument)
{
	List	  **rows = (List **) argument;

	*rows = lappend(*rows, read_row(table, false));
}

List *
ke_schemas_list(void)
{
	Snapshot	now = RegisterSnapshot(GetLatestSnapshot());
	KePrivateTable table;
	List	   *rows = NIL;

	ke_private_table_open(&table, "schemas", AccessShareLock);
	ke_private_table_each(&table, NULL, 0, now, add_row, &rows);
	ke_private_table_close(&table);
	UnregisterSnapshot(now);
	return rows;
}

/* What is deleted, and by which snapshot. */
typedef struct Deletion
{
	Snapshot	now;
	const char *id;				/* NULL: all of the URL */
	int64		count;
} Deletion;

static void
delete_row(KePrivateTable *table, void *argument)
{
	Deletion   *deletion = (Deletion *) argument;

	if (deletion->id != NULL &&
		strcmp(get_text(table, SCHEMA_ID), deletion->id) != 0)
		return;
	if (ke_private_table_delete(table, &table->slot->tts_tid, deletion->now))
		deletion->count++;
}

int64
ke_schemas_forget(const char *url, const char *id)
{
	KePrivateTable table;
	ScanKeyData key;
	Deletion	deletion = {.id = id};

	set_key(&key, SCHEMA_URL, url);
	ke_private_table_open(&table, "schemas", ShareRowExclusiveLock);
	deletion.now = RegisterSnapshot(GetLatestSnapshot());
	ke_private_table_each(&table, &key, 1, deletion.now, delete_row,
						  &deletion);
	CacheInvalidateRelcache(table.rel);
	UnregisterSnapshot(deletion.now);
	ke_private_table_close(&table);
	return deletion.count;
}

Oid
ke_schemas_table(void)
{
	return ke_extension_private_table("schemas");
}
