/*
 * registry.c
 *	  Asks schema registries, for all who need schemas; part of the manager.
 *
 * What consumers want (shm/schema_demand) is asked for, a few schemas at a
 * time, and written to kafka_events.schemas; then they are told.  A registry
 * that cannot be asked is asked again, later each time, while somebody still
 * wants something of it.
 */
#include "postgres.h"
#include "core/compat.h"

#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/memutils.h"

#include "cluster/http.h"
#include "cluster/registry.h"
#include "cluster/registry_lookup.h"
#include "core/throttle.h"
#include "session/attempt.h"
#include "shm/payload.h"
#include "shm/schema_demand.h"

/* Of all servers at once. */
#define LOOKUPS_MAX 8

/* Between two tries at a registry that cannot be asked. */
#define PAUSE_FIRST_MS 500
#define PAUSE_LAST_MS 10000

/* What nobody has come for. */
#define ANSWER_KEPT_MS 10000

/* One schema that is asked for, or that is to be asked for again. */
typedef struct Search
{
	KeSchemaWish wish;			/* id is not used with a subject */
	char	   *subject;		/* a session's question, or NULL */
	uint64		fingerprint;	/* of the server, as it was asked */
	KeLookup   *lookup;			/* NULL: it waits until try_at */
	KeMoment	try_at;
	int			pause_ms;
	bool		wanted;			/* scratch */
	KeMoment	since;			/* with a subject */
} Search;

static MemoryContext context = NULL;
static List *searches = NIL;	/* of Search, in context */

/* ----------------------------------------------------------------- begin */

static void
begin_lookup(Search *search, const KeServer *server)
{
	search->fingerprint = server->fingerprint;
	search->lookup = ke_registry_lookup_begin(server, &search->wish.id,
											  search->subject, context);
}

static void
stop_lookup(Search *search)
{
	if (search->lookup != NULL)
		ke_registry_lookup_free(search->lookup);
	search->lookup = NULL;
}

static void
remove_search(Search *search)
{
	stop_lookup(search);
	searches = list_delete_ptr(searches, search);
	if (search->subject != NULL)
		pfree(search->subject);
	pfree(search);
}

static Search *
make_search(Oid server, const char *subject)
{
	MemoryContext old;
	Search	   *search;

	if (context == NULL)
		context = AllocSetContextCreate(TopMemoryContext,
										"kafka_events registry",
										ALLOCSET_DEFAULT_SIZES);
	old = MemoryContextSwitchTo(context);
	search = palloc0(sizeof(Search));
	search->wish.server = server;
	search->subject = subject != NULL ? pstrdup(subject) : NULL;
	search->since = ke_clock_now();
	searches = lappend(searches, search);
	MemoryContextSwitchTo(old);
	return search;
}

static Search *
find_wish(const KeSchemaWish *wish)
{
	ListCell   *lc;

	foreach(lc, searches)
	{
		Search	   *search = (Search *) lfirst(lc);

		if (search->subject == NULL && search->wish.server == wish->server &&
			memcmp(&search->wish.id, &wish->id, sizeof(KeSchemaId)) == 0)
			return search;
	}
	return NULL;
}

static const KeServer *
find_server(List *servers, Oid oid)
{
	ListCell   *lc;

	foreach(lc, servers)
	{
		const KeServer *server = (KeServer *) lfirst(lc);

		if (server->oid == oid && server->registry != NULL)
			return server;
	}
	return NULL;
}

/* Searches for what is wanted, and for nothing else. */
static void
match_wishes(void)
{
	ListCell   *lc;

	foreach(lc, searches)
		((Search *) lfirst(lc))->wanted = false;
	foreach(lc, ke_schema_demand_wanted(MyDatabaseId))
	{
		KeSchemaWish *wish = (KeSchemaWish *) lfirst(lc);
		Search	   *search = find_wish(wish);

		if (search == NULL)
		{
			search = make_search(wish->server, NULL);
			search->wish = *wish;
		}
		search->wanted = true;
	}
	foreach(lc, list_copy(searches))
	{
		Search	   *search = (Search *) lfirst(lc);

		if (search->subject == NULL ? !search->wanted :
			ke_clock_passed(search->since, ke_clock_now(), ANSWER_KEPT_MS))
			remove_search(search);
	}
}

/* --------------------------------------------------------------- results */

static char *
from_utf8(char *text)
{
	return text == NULL ? NULL : pg_any_to_server(text, strlen(text),
												  PG_UTF8);
}

static List *
all_from_utf8(List *texts)
{
	List	   *converted = NIL;
	ListCell   *lc;

	foreach(lc, texts)
		converted = lappend(converted, from_utf8((char *) lfirst(lc)));
	return converted;
}

/* In a transaction. */
static void
store(void *argument)
{
	KeSchemaRow row = *(KeSchemaRow *) argument;

	row.type = from_utf8(row.type);
	row.subject = from_utf8(row.subject);
	row.name = from_utf8(row.name);
	row.fields = all_from_utf8(row.fields);
	row.text = from_utf8(row.text);
	row.reference_names = all_from_utf8(row.reference_names);
	row.references = all_from_utf8(row.references);
	ke_schemas_put(&row);
}

/* It did not work: again later, longer each time. */
static void
put_off(Search *search, const char *why)
{
	search->pause_ms = search->pause_ms == 0 ? PAUSE_FIRST_MS :
		Min(2 * search->pause_ms, PAUSE_LAST_MS);
	search->try_at = ke_clock_in(search->pause_ms);
	ke_schema_demand_answer(MyDatabaseId, &search->wish, KE_SCHEMA_WANTED,
							why);
	if (ke_throttle_allows(why))
		ereport(LOG,
				(errmsg("could not get %s: %s",
						ke_schema_id_describe(&search->wish.id), why)));
}

/* True: done with it. */
static bool
take_result(Search *search)
{
	KeLookupState state = ke_registry_lookup_step(search->lookup);
	KeSchemaRow row;
	KeFailure  *fail;
	bool		done = false;

	switch (state)
	{
		case KE_LOOKUP_RUNS:
			return false;
		case KE_LOOKUP_FOUND:
			row = *ke_registry_lookup_result(search->lookup);
			fail = ke_attempt_transaction(store, &row, false);
			if (fail != NULL)
			{
				put_off(search, psprintf("could not store it: %s",
										 ke_failure_describe(fail)));
				break;
			}
			ke_schema_demand_answer(MyDatabaseId, &search->wish,
									KE_SCHEMA_STORED, NULL);
			done = true;
			break;
		case KE_LOOKUP_UNKNOWN:
			ke_schema_demand_answer(MyDatabaseId, &search->wish,
									KE_SCHEMA_UNKNOWN, NULL);
			done = true;
			break;
		case KE_LOOKUP_FAILED:
			put_off(search, ke_registry_lookup_problem(search->lookup));
			break;
	}
	stop_lookup(search);
	return done;
}

/* ---------------------------------------------------------------- a step */

/* A server that was altered is asked again at once, as it is now. */
static void
follow_server(Search *search, const KeServer *server)
{
	if (search->fingerprint == 0 ||
		search->fingerprint == server->fingerprint)
		return;
	stop_lookup(search);
	search->fingerprint = server->fingerprint;
	search->try_at = 0;
	search->pause_ms = 0;
}

static void
run_searches(List *servers, KeMoment now, KeMoment *due)
{
	int			running = 0;
	ListCell   *lc;

	foreach(lc, searches)
		running += ((Search *) lfirst(lc))->lookup != NULL;
	foreach(lc, list_copy(searches))
	{
		Search	   *search = (Search *) lfirst(lc);
		const KeServer *server = find_server(servers, search->wish.server);

		if (search->subject != NULL)
			continue;
		if (server == NULL)
		{
			remove_search(search);
			continue;
		}
		follow_server(search, server);
		if (search->lookup != NULL)
		{
			bool		done = take_result(search);

			if (search->lookup == NULL)
			{
				running--;
				*due = now;		/* others may begin */
			}
			if (done)
			{
				remove_search(search);
				continue;
			}
		}
		if (running >= LOOKUPS_MAX || search->lookup != NULL)
			continue;
		if (search->try_at <= now)
		{
			begin_lookup(search, server);
			running++;
			*due = now;
		}
		else
			*due = Min(*due, search->try_at);
	}
}

/* What one step does, for ke_attempt. */
typedef struct Stepping
{
	List	   *servers;
	KeMoment	now;
	KeMoment	due;
} Stepping;

static void
step(void *argument)
{
	Stepping   *stepping = (Stepping *) argument;

	(void) ke_http_step(stepping->now);
	match_wishes();
	if (searches == NIL)
		return;
	run_searches(stepping->servers, stepping->now, &stepping->due);
	stepping->due = ke_clock_earlier(stepping->due,
									 ke_http_step(ke_clock_now()));
}

KeMoment
ke_registry_step(List *servers, KeMoment now)
{
	Stepping	stepping = {servers, now, DT_NOEND};
	KeFailure  *fail = ke_attempt(step, &stepping);

	if (fail == NULL)
		return stepping.due;
	if (ke_throttle_allows("schema registry"))
		ereport(LOG,
				(errmsg("could not ask schema registries: %s",
						ke_failure_describe(fail))));
	return ke_clock_in(PAUSE_FIRST_MS);
}

/* --------------------------------------------------- sessions' questions */

static Search *
find_subject(Oid server, const char *subject)
{
	ListCell   *lc;

	foreach(lc, searches)
	{
		Search	   *search = (Search *) lfirst(lc);

		if (search->subject != NULL && search->wish.server == server &&
			strcmp(search->subject, subject) == 0)
			return search;
	}
	return NULL;
}

static KeAnswer *
refuse(const char *text)
{
	KeAnswer   *answer = palloc0(sizeof(KeAnswer));

	answer->text = pstrdup(text);
	return answer;
}

static KeAnswer *
answer_found(const KeSchemaRow *row)
{
	KeAnswer   *answer = palloc0(sizeof(KeAnswer));
	StringInfo	payload = makeStringInfo();
	ListCell   *lc;
	ListCell   *lc2;

	ke_payload_put_string(payload, row->id);
	ke_payload_put_string(payload, row->type);
	ke_payload_put_string(payload, row->text);
	ke_payload_put_int(payload, list_length(row->references));
	forboth(lc, row->reference_names, lc2, row->references)
	{
		ke_payload_put_string(payload, (char *) lfirst(lc));
		ke_payload_put_string(payload, (char *) lfirst(lc2));
	}
	answer->answered = true;
	answer->topic_exists = true;
	answer->payload = payload;
	return answer;
}

KeAnswer *
ke_registry_latest(const KeServer *server, const char *subject)
{
	Search	   *search = find_subject(server->oid, subject);
	KeAnswer   *answer = NULL;

	if (search == NULL)
	{
		search = make_search(server->oid, subject);
		begin_lookup(search, server);
		return NULL;
	}
	(void) ke_http_step(ke_clock_now());
	switch (ke_registry_lookup_step(search->lookup))
	{
		case KE_LOOKUP_RUNS:
			return NULL;
		case KE_LOOKUP_FOUND:
			answer = answer_found(ke_registry_lookup_result(search->lookup));
			break;
		case KE_LOOKUP_UNKNOWN:
			answer = palloc0(sizeof(KeAnswer));
			answer->answered = true;
			break;
		case KE_LOOKUP_FAILED:
			answer = refuse(ke_registry_lookup_problem(search->lookup));
			break;
	}
	remove_search(search);
	return answer;
}
