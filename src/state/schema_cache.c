/*
 * schema_cache.c
 *	  The schemas that this process has, compiled once.
 *
 * Documents use what they were given until the end of the transaction, so
 * everything is thrown away then, or before anything was used: after
 * kafka_schema_forget, and when there is too much.  A schema that cannot be
 * compiled is kept, too, as the error that it is.
 */
#include "postgres.h"
#include "core/compat.h"

#include "access/xact.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/hsearch.h"
#include "utils/inval.h"
#include "utils/memutils.h"

#include "core/failure.h"
#include "shm/ready.h"
#include "shm/schema_demand.h"
#include "shm/schema_use.h"
#include "state/schema_cache.h"
#include "state/schemas.h"

/* More than a process keeps. */
#define MAX_ENTRIES 2000
#define MAX_BYTES ((Size) 256 * 1024 * 1024)

typedef struct EntryKey
{
	Oid			server;
	KeSchemaId	id;
} EntryKey;

typedef struct Entry
{
	EntryKey	key;
	KeSchema	schema;
	KeFailure  *fail;			/* why it cannot be compiled, or NULL */
	uint64		used;			/* in this transaction */
	struct Entry *next_used;	/* while used */
} Entry;

static MemoryContext context = NULL;	/* of all entries */
static HTAB *entries = NULL;
static Entry *used_entries = NULL;	/* in this transaction */
static Entry *recent[2];		/* most messages ask for the same: one schema
								 * of the value, one of the key */
static bool stale = false;		/* something was forgotten */
static Oid	watched = InvalidOid;	/* kafka_events.schemas */

/* ---------------------------------------------------------- its lifetime */

static void
throw_away(void)
{
	if (context != NULL)
		MemoryContextDelete(context);
	context = NULL;
	entries = NULL;
	used_entries = NULL;
	recent[0] = recent[1] = NULL;
	stale = false;
}

/* Only consumers count, and what they have committed. */
static void
count_uses(bool committed)
{
	committed &= MyBackendType == B_BG_WORKER;
	for (Entry *entry = used_entries; entry != NULL; entry = entry->next_used)
	{
		if (committed)
			ke_schema_use_add(MyDatabaseId, entry->key.server,
							  &entry->key.id, entry->used);
		entry->used = 0;
	}
	used_entries = NULL;
}

static void
note_invalidation(Datum argument, Oid relid)
{
	if (relid == InvalidOid || relid == watched)
		stale = true;
}

static void
end_transaction(XactEvent event, void *argument)
{
	if (entries == NULL ||
		(event != XACT_EVENT_COMMIT && event != XACT_EVENT_ABORT &&
		 event != XACT_EVENT_PREPARE))
		return;
	count_uses(event == XACT_EVENT_COMMIT);
	if (stale || hash_get_num_entries(entries) > MAX_ENTRIES ||
		MemoryContextMemAllocated(context, true) > MAX_BYTES)
		throw_away();
}

static void
open_entries(void)
{
	HASHCTL		ctl;

	if (entries != NULL)
		return;
	context = AllocSetContextCreate(TopMemoryContext, "kafka_events schemas",
									ALLOCSET_DEFAULT_SIZES);
	memset(&ctl, 0, sizeof(ctl));
	ctl.keysize = sizeof(EntryKey);
	ctl.entrysize = sizeof(Entry);
	ctl.hcxt = context;
	entries = hash_create("kafka_events schemas", 64, &ctl,
						  HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
}

/* --------------------------------------------------------------- entries */

static EntryKey
key_of(const KeRegistry *registry, const KeSchemaId *id)
{
	EntryKey	key;

	memset(&key, 0, sizeof(EntryKey));
	key.server = registry->server;
	key.id = *id;
	return key;
}

static inline bool
is_entry(const Entry *entry, const KeRegistry *registry,
		 const KeSchemaId *id)
{
	return entry != NULL && entry->key.server == registry->server &&
		memcmp(&entry->key.id, id, sizeof(KeSchemaId)) == 0;
}

static Entry *
find(const KeRegistry *registry, const KeSchemaId *id)
{
	EntryKey	key;
	Entry	   *entry;

	if (stale && used_entries == NULL)
		throw_away();
	for (int i = 0; i < lengthof(recent); i++)
		if (is_entry(recent[i], registry, id))
			return recent[i];
	if (entries == NULL)
		return NULL;
	key = key_of(registry, id);
	entry = hash_search(entries, &key, HASH_FIND, NULL);
	if (entry != NULL)
	{
		recent[1] = recent[0];
		recent[0] = entry;
	}
	return entry;
}

bool
ke_schema_cache_has(const KeRegistry *registry, const KeSchemaId *id)
{
	return find(registry, id) != NULL;
}

static char *
to_utf8(char *text)
{
	return pg_server_to_any(text, strlen(text), PG_UTF8);
}

static KeAvroSchema *
compile_avro(const KeSchemaRow *row)
{
	int			count = list_length(row->references);
	KeAvroReference *references = palloc0((count + 1) *
										  sizeof(KeAvroReference));
	char	   *text = to_utf8(row->text);

	for (int i = 0; i < count; i++)
	{
		char	   *name = to_utf8(list_nth(row->reference_names, i));
		char	   *one = to_utf8(list_nth(row->references, i));

		references[i].name = *name != '\0' ? name : NULL;
		references[i].text = one;
		references[i].len = strlen(one);
	}
	return ke_avro_schema_parse(text, strlen(text), references, count,
								context);
}

/*
 * Compiling takes no lock and touches no table, so what it raises can be
 * caught here, and the transaction goes on.
 */
static Entry *
add(const KeRegistry *registry, const KeSchemaId *id, const KeSchemaRow *row)
{
	MemoryContext caller = CurrentMemoryContext;
	EntryKey	key = key_of(registry, id);
	KeSchema	schema = {.type = ke_schema_id_type(row->type)};
	KeFailure  *volatile fail = NULL;
	Entry	   *entry;
	bool		found;

	open_entries();
	schema.type_name = MemoryContextStrdup(context, row->type);
	if (schema.type == KE_SCHEMA_AVRO)
	{
		PG_TRY();
		{
			schema.avro = compile_avro(row);
		}
		PG_CATCH();
		{
			if (geterrcode() == ERRCODE_QUERY_CANCELED ||
				geterrcode() == ERRCODE_OUT_OF_MEMORY)
				PG_RE_THROW();
			MemoryContextSwitchTo(caller);
			fail = ke_failure_capture(context);
		}
		PG_END_TRY();
	}
	entry = hash_search(entries, &key, HASH_ENTER, &found);
	entry->schema = schema;
	entry->fail = fail;
	entry->used = 0;
	return entry;
}

/* --------------------------------------------------------------- finding */

/* From memory or from the table, where any of the URLs may have said it. */
static Entry *
find_or_read(const KeRegistry *registry, const KeSchemaId *id)
{
	Entry	   *entry = find(registry, id);
	ListCell   *lc;

	if (entry != NULL)
		return entry;
	watched = ke_schemas_table();
	foreach(lc, registry->urls)
	{
		KeSchemaRow *row = ke_schemas_get((char *) lfirst(lc), id);

		if (row != NULL)
			return add(registry, id, row);
	}
	return NULL;
}

KeSchemaAvailability
ke_schema_cache_load(const KeRegistry *registry, const KeSchemaId *id,
					 char **reason)
{
	char		why[KE_REASON_LEN];
	char	   *what;

	if (find_or_read(registry, id) != NULL)
		return KE_SCHEMA_HERE;
	if (!ke_ready())
		strlcpy(why, "the library is not preloaded", sizeof(why));
	else
	{
		if (ke_schema_demand_look(MyDatabaseId, registry->server, id) ==
			KE_SCHEMA_UNKNOWN)
			return KE_SCHEMA_NOWHERE;
		ke_schema_demand_want(MyDatabaseId, registry->server, id, why);
	}
	what = ke_schema_id_describe(id);
	if (why[0] != '\0')
		*reason = psprintf("waits for %s: %s", what, why);
	else
		*reason = psprintf("waits for %s of schema registry %s", what,
						   (char *) linitial(registry->urls));
	return KE_SCHEMA_COMES;
}

static const KeSchema *
find_schema(const KeRegistry *registry, const KeSchemaId *id,
			const char *subject)
{
	Entry	   *entry = find(registry, id);
	char	   *reason = NULL;

	if (entry == NULL)
	{
		switch (ke_schema_cache_load(registry, id, &reason))
		{
			case KE_SCHEMA_HERE:
				entry = find(registry, id);
				break;
			case KE_SCHEMA_NOWHERE:
				ereport(ERROR,
						(errcode(ERRCODE_NO_DATA_FOUND),
						 errmsg("%s was written with %s, which the schema registry does not know",
								subject, ke_schema_id_describe(id)),
						 errhint("Is option \"schema_registry_url\" the registry of who writes, and option \"schema_registry_id\" right?")));
				break;
			case KE_SCHEMA_COMES:
				ereport(ERROR,
						(errcode(ERRCODE_CONNECTION_FAILURE),
						 errmsg("%s %s", subject, reason)));
				break;
		}
	}
	if (entry->fail != NULL)
		ereport(ERROR,
				(errcode(entry->fail->sqlstate),
				 errmsg("%s cannot be read with %s: %s", subject,
						ke_schema_id_describe(id), entry->fail->message),
				 entry->fail->detail != NULL ?
				 errdetail_internal("%s", entry->fail->detail) : 0));
	if (entry->used++ == 0)
	{
		entry->next_used = used_entries;
		used_entries = entry;
	}
	return &entry->schema;
}

void
ke_schema_cache_init(void)
{
	static bool done = false;

	if (done)
		return;
	done = true;
	ke_schema_source_set(find_schema);
	CacheRegisterRelcacheCallback(note_invalidation, (Datum) 0);
	RegisterXactCallback(end_transaction, NULL);
}
