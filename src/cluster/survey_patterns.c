/*
 * survey_patterns.c
 *	  The part of a look at a server's cluster that is about patterns: topics
 *	  that match get a subscription of their own.
 *
 * One question, about all topics, stands for those about each subscribed one.
 * What is new is subscribed under the server's lock, which users take to
 * subscribe: whoever subscribes the topic himself at the same time is not in
 * the way, or comes first.  The manager does not wait for that lock.
 *
 * A topic that is there when its pattern is looked at for the first time
 * starts where the pattern's option start_from says; one that comes later, at
 * its beginning, as messages may have come before it was noticed.
 */
#include "postgres.h"
#include "core/compat.h"

#include "catalog/pg_foreign_server.h"
#include "common/hashfn.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "utils/inval.h"
#include "utils/memutils.h"

#include "cluster/survey.h"
#include "cluster/survey_ask.h"
#include "core/topic_pattern.h"
#include "session/attempt.h"
#include "shm/roster.h"
#include "state/positions.h"
#include "subscription/checks.h"
#include "subscription/members.h"

/* So many new topics are named in one line of the log. */
#define NAMES_LOGGED 5

/* As much of a topic's name leaves room for the reason. */
#define SHOWN_LEN 40

/* A topic that is to be subscribed. */
typedef struct Match
{
	KeSubscription *pattern;
	const char *topic;
	char	   *problem;		/* why it cannot be; or NULL */
	bool		made;
} Match;

/* What a transaction makes. */
typedef struct Making
{
	KeSurvey   *survey;
	List	   *matches;		/* of Match */
	bool		first;			/* of patterns that are new, perhaps */
	bool		locked;			/* somebody else has the server's lock */
} Making;

/* What the views were told of a pattern; in watch->context. */
typedef struct Note
{
	Oid			pattern;
	char	   *text;
} Note;

/* ----------------------------------------------------------------- asking */

static uint64
hash_text(const char *text, uint64 seed)
{
	return hash_bytes_extended((const unsigned char *) text, strlen(text),
							   seed);
}

static uint64
hash_patterns(List *patterns)
{
	uint64		sum = list_length(patterns);
	ListCell   *lc;

	foreach(lc, patterns)
	{
		const KeSubscription *pattern = (KeSubscription *) lfirst(lc);

		sum += hash_text(pattern->options.topics, pattern->oid);
	}
	return sum;
}

void
ke_survey_patterns_set(KeWatch *watch, List *patterns)
{
	watch->patterns = patterns;
	if (patterns != NIL && hash_patterns(patterns) != watch->patterns_done)
		watch->next_look = 0;
}

void
ke_survey_patterns_due(KeWatch *watch)
{
	watch->patterns_done = 0;
	if (watch->patterns != NIL)
		watch->next_look = 0;
}

static int
by_name(const void *a, const void *b)
{
	return strcmp((*(KeTopicInfo *const *) a)->name,
				  (*(KeTopicInfo *const *) b)->name);
}

void
ke_survey_patterns_ask(KeSurvey *survey)
{
	KeWatch    *watch = survey->watch;
	List	   *topics = NIL;
	ListCell   *lc;
	int			error;

	if (watch->patterns == NIL ||
		(survey->brief &&
		 hash_patterns(watch->patterns) == watch->patterns_done))
		return;
	error = ke_cluster_topics(watch->cluster, NULL, &topics,
							  ke_survey_ask_patience(survey));
	if (ke_survey_ask_note(survey, error) != 0)
		return;
	survey->listed = palloc((list_length(topics) + 1) * sizeof(KeTopicInfo *));
	foreach(lc, topics)
		survey->listed[survey->nlisted++] = (KeTopicInfo *) lfirst(lc);
	qsort(survey->listed, survey->nlisted, sizeof(KeTopicInfo *), by_name);
}

KeTopicInfo *
ke_survey_patterns_listed(const KeSurvey *survey, const char *name)
{
	KeTopicInfo key = {.name = unconstify(char *, name)};
	KeTopicInfo *wanted = &key;
	KeTopicInfo **found;

	if (survey->listed == NULL)
		return NULL;
	found = bsearch(&wanted, survey->listed, survey->nlisted,
					sizeof(KeTopicInfo *), by_name);
	return found != NULL ? *found : NULL;
}

/* --------------------------------------------------------------- matching */

/* In a list that is sorted by topic. */
static bool
is_subscribed(List *subscriptions, const char *topic)
{
	int			low = 0;
	int			high = list_length(subscriptions);

	while (low < high)
	{
		int			middle = (low + high) / 2;
		int			order =
			strcmp(((KeSubscription *) list_nth(subscriptions, middle))->topic,
				   topic);

		if (order == 0)
			return true;
		if (order < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return false;
}

/* Names of topics that a pattern may take. */
static List *
free_topics(const KeSurvey *survey)
{
	List	   *names = NIL;

	for (int i = 0; i < survey->nlisted; i++)
	{
		const KeTopicInfo *topic = survey->listed[i];

		if (topic->error == 0 &&
			ke_members_may_be(&survey->server->options, topic->name) &&
			!is_subscribed(survey->subscriptions, topic->name))
			names = lappend(names, topic->name);
	}
	return names;
}

static uint64
hash_names(List *names, uint64 seed)
{
	ListCell   *lc;

	foreach(lc, names)
		seed = hash_text((const char *) lfirst(lc), seed);
	return seed;
}

static Match *
match(const KeSurvey *survey, KeSubscription *pattern, const char *topic)
{
	Match	   *found = palloc0(sizeof(Match));
	KeSubscriptionOptions options = pattern->options;
	List	   *problems = NIL;

	options.topics = NULL;
	ke_options_subscription_check(&survey->server->options, topic, &options,
								  &problems);
	found->pattern = pattern;
	found->topic = topic;
	if (problems != NIL)
		found->problem = ke_checks_first(problems);
	return found;
}

/* Of several patterns that a topic matches, the first one has it. */
static List *
find_matches(const KeSurvey *survey, List *names)
{
	List	   *matches = NIL;
	List	   *regexes = NIL;
	ListCell   *lc;
	ListCell   *lc2;
	ListCell   *lc3;

	foreach(lc, survey->watch->patterns)
	{
		KeSubscription *pattern = (KeSubscription *) lfirst(lc);

		regexes = lappend(regexes,
						  ke_topic_pattern_compile(pattern->options.topics));
	}
	foreach(lc, names)
	{
		const char *name = (const char *) lfirst(lc);

		forboth(lc2, survey->watch->patterns, lc3, regexes)
		{
			if (lfirst(lc3) == NULL ||
				!ke_topic_pattern_matches(lfirst(lc3), name))
				continue;
			matches = lappend(matches, match(survey, lfirst(lc2), name));
			break;
		}
	}
	return matches;
}

/* ----------------------------------------------------------------- making */

static bool
lock_server(Oid server)
{
	LOCKTAG		tag;

	SET_LOCKTAG_OBJECT(tag, MyDatabaseId, ForeignServerRelationId, server, 0);
	if (LockAcquire(&tag, ShareUpdateExclusiveLock, false, true) ==
		LOCKACQUIRE_NOT_AVAIL)
		return false;
	AcceptInvalidationMessages();
	return true;
}

/* The same one, if it is there still. */
static const KeSubscription *
find_pattern(List *patterns, const KeSubscription *wanted)
{
	ListCell   *lc;

	foreach(lc, patterns)
	{
		const KeSubscription *pattern = (KeSubscription *) lfirst(lc);

		if (pattern->oid == wanted->oid &&
			strcmp(pattern->options.topics, wanted->options.topics) == 0)
			return pattern;
	}
	return NULL;
}

/* Positions that are there already stay: it goes on from them. */
static void
request_start(const KeSurvey *survey, const KeSubscription *pattern,
			  const char *topic)
{
	KePositionKey key = {survey->watch->cluster_id, survey->group};
	TimestampTz requested_at;

	if (pattern->options.start_from == KE_START_LATEST &&
		ke_positions_start_pending(survey->group,
								   ke_members_start(pattern->oid),
								   &requested_at) &&
		ke_positions_list(&key, topic) == NIL)
		ke_positions_start_request(survey->group, topic, requested_at);
}

static void
make(void *argument)
{
	Making	   *making = (Making *) argument;
	KeSurvey   *survey = making->survey;
	KeServer   *server;
	List	   *subscriptions;
	List	   *patterns;
	ListCell   *lc;

	making->locked = !lock_server(survey->server->oid);
	if (making->locked)
		return;
	server = ke_catalog_server(survey->server->oid);
	if (server == NULL)
		return;
	patterns = ke_catalog_patterns(server);
	subscriptions = ke_catalog_subscriptions(server);
	foreach(lc, making->matches)
	{
		Match	   *it = (Match *) lfirst(lc);
		const KeSubscription *pattern = find_pattern(patterns, it->pattern);

		if (it->problem != NULL || pattern == NULL ||
			is_subscribed(subscriptions, it->topic))
			continue;
		(void) ke_members_make(server, pattern, it->topic);
		ke_positions_start_done(survey->group, it->topic);
		request_start(survey, pattern, it->topic);
		it->made = true;
	}
	if (making->first)
		foreach(lc, patterns)
			ke_positions_start_done(survey->group,
									ke_members_start(((KeSubscription *)
													  lfirst(lc))->oid));
}

/* All of them; if that fails, each by itself, so that none holds up others. */
static bool
make_all(Making *making)
{
	Making		single = *making;
	KeFailure  *fail = ke_attempt_transaction(make, making, false);
	ListCell   *lc;

	if (fail == NULL)
		return !making->locked;
	single.first = false;
	foreach(lc, making->matches)
	{
		Match	   *it = (Match *) lfirst(lc);

		it->made = false;
		if (it->problem != NULL)
			continue;
		single.matches = list_make1(it);
		fail = ke_attempt_transaction(make, &single, false);
		if (fail != NULL)
		{
			it->made = false;
			it->problem = ke_failure_describe(fail);
		}
	}

	/* that the first look is over, alone */
	single.matches = NIL;
	single.first = making->first;
	return ke_attempt_transaction(make, &single, false) == NULL &&
		!single.locked;
}

/* ---------------------------------------------------------------- telling */

static Note *
note_of(KeWatch *watch, Oid pattern)
{
	MemoryContext old;
	Note	   *note;
	ListCell   *lc;

	foreach(lc, watch->pattern_notes)
	{
		note = (Note *) lfirst(lc);
		if (note->pattern == pattern)
			return note;
	}
	old = MemoryContextSwitchTo(watch->context);
	note = palloc0(sizeof(Note));
	note->pattern = pattern;
	watch->pattern_notes = lappend(watch->pattern_notes, note);
	MemoryContextSwitchTo(old);
	return note;
}

/* Tell the views what is the matter with a pattern, and the log once. */
static void
tell(const KeSurvey *survey, const KeSubscription *pattern, const char *text)
{
	Note	   *note = note_of(survey->watch, pattern->oid);

	ke_lag_publish_topic(survey->facts->database, survey->server->oid,
						 pattern->oid, text);
	if (text != NULL && (note->text == NULL || strcmp(note->text, text) != 0))
		ereport(LOG,
				(errmsg("server \"%s\": %s", survey->server->name, text)));
	if (note->text != NULL)
		pfree(note->text);
	note->text = text == NULL ? NULL :
		MemoryContextStrdup(survey->watch->context, text);
}

/* What the log says of topics that are consumed from now on. */
static void
log_made(const KeSurvey *survey, const KeSubscription *pattern, List *matches)
{
	StringInfoData names;
	int			made = 0;
	ListCell   *lc;

	initStringInfo(&names);
	foreach(lc, matches)
	{
		const Match *it = (Match *) lfirst(lc);

		if (it->pattern != pattern || !it->made)
			continue;
		if (made++ < NAMES_LOGGED)
			appendStringInfo(&names, "%s\"%s\"", made > 1 ? ", " : "",
							 it->topic);
	}
	if (made > 0)
		ereport(LOG,
				(errmsg("server \"%s\": %d topics that match \"%s\" are subscribed now: %s%s",
						survey->server->name, made, pattern->topic,
						names.data, made > NAMES_LOGGED ? ", ..." : "")));
}

static void
tell_of_pattern(const KeSurvey *survey, const KeSubscription *pattern,
				List *matches)
{
	char	   *text = NULL;
	int			topics = pattern->members;
	int			failed = 0;
	ListCell   *lc;

	foreach(lc, matches)
	{
		const Match *it = (Match *) lfirst(lc);

		if (it->pattern != pattern)
			continue;
		topics++;
		if (it->problem != NULL && failed++ == 0)
			text = psprintf("cannot subscribe topic \"%.*s%s\": %s",
							SHOWN_LEN, it->topic,
							strlen(it->topic) > SHOWN_LEN ? "..." : "",
							it->problem);
	}
	if (failed > 1)
		text = psprintf("%s; %d more", text, failed - 1);
	if (topics == 0)
		text = psprintf("no topic that the server's login may describe matches \"%s\"",
						pattern->topic);
	tell(survey, pattern, text);
	log_made(survey, pattern, matches);
}

/* Returns whether all is as it should be. */
static bool
tell_all(const KeSurvey *survey, List *matches)
{
	bool		made = false;
	bool		failed = false;
	ListCell   *lc;

	foreach(lc, survey->watch->patterns)
		tell_of_pattern(survey, (KeSubscription *) lfirst(lc), matches);
	foreach(lc, matches)
	{
		made |= ((Match *) lfirst(lc))->made;
		failed |= ((Match *) lfirst(lc))->problem != NULL;
	}
	if (made)
		ke_roster_config_changed(survey->facts->database);
	return !failed;
}

/* Of patterns that are no more. */
static void
forget_notes(KeWatch *watch)
{
	ListCell   *lc;
	ListCell   *lc2;

	foreach(lc, watch->pattern_notes)
	{
		Note	   *note = (Note *) lfirst(lc);
		bool		known = false;

		foreach(lc2, watch->patterns)
			known |= ((KeSubscription *) lfirst(lc2))->oid == note->pattern;
		if (known)
			continue;
		if (note->text != NULL)
			pfree(note->text);
		pfree(note);
		watch->pattern_notes = foreach_delete_current(watch->pattern_notes,
													  lc);
	}
}

bool
ke_survey_patterns(KeSurvey *survey)
{
	KeWatch    *watch = survey->watch;
	uint64		patterns = hash_patterns(watch->patterns);
	Making		making = {.survey = survey};
	uint64		seen;
	List	   *names;

	if (survey->listed == NULL || survey->facts->identity != KE_IDENTITY_OURS)
		return false;
	names = free_topics(survey);
	seen = hash_names(names, patterns);
	making.first = patterns != watch->patterns_done;
	if (!making.first && seen == watch->patterns_seen)
		return false;
	making.matches = find_matches(survey, names);
	watch->patterns_seen = 0;
	if ((making.matches != NIL || making.first) && !make_all(&making))
		return true;
	watch->patterns_done = patterns;
	if (tell_all(survey, making.matches))
		watch->patterns_seen = seen;
	forget_notes(watch);
	return false;
}
