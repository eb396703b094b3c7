/*
 * fitness.c
 *	  Whether the cluster lets a server do what it will have to do.
 *
 * Rights are asked about one client after the other, each with a part of the
 * time there is.  Whatever cannot be found out is a finding, too.
 */
#include "postgres.h"
#include "core/compat.h"

#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "cluster/fitness.h"
#include "core/clock.h"
#include "core/literal.h"
#include "core/unix_time.h"
#include "kafka/rights.h"
#include "kafka/topic_admin.h"
#include "kafka/transaction.h"
#include "shm/cluster_report.h"

/* One answer may take so long, or what is left. */
#define ANSWER_MS 5000

typedef struct Look
{
	const KeServer *server;
	List	   *subscriptions;
	KeCluster  *cluster;
	KeTask	   *task;
	KeMoment	deadline;
	char	   *client;
	char	  **present;		/* topics that are there, sorted */
	int			npresent;
} Look;

static int
time_left(const Look *look)
{
	long		left = ke_clock_left(ke_clock_now(), look->deadline);

	return (int) Max(Min(left, ANSWER_MS), 1);
}

static void
report(Look *look, KeFitnessKind kind, char *text, char *hint)
{
	KeFitnessReport finding;

	finding.kind = kind;
	finding.text = text;
	finding.hint = hint;
	(void) ke_task_work_reply(look->task,
							  ke_cluster_report_put_fitness(&finding));
}

/* ---------------------------------------------------------------- rights */

/* A right that is missing, and the command that gives it. */
static void
miss(Look *look, const char *operation, const char *kind, const char *name,
	 const char *option, const char *pattern)
{
	report(look, KE_FITNESS_RIGHT,
		   psprintf("the Kafka user needs %s on %s \"%s\"", operation, kind,
					name),
		   psprintf("kafka-acls.sh --add --allow-principal User:... --operation %s %s %s%s",
					operation, option, name, pattern));
}

static void
report_silence(Look *look, const char *what, int error)
{
	const char *hint = ke_client_error_hint(error);

	report(look, KE_FITNESS_RIGHT,
		   psprintf("%s could not be asked about: %s", what,
					ke_client_error_name(error)),
		   hint != NULL ? pstrdup(hint) : NULL);
}

static void
look_at_reading(Look *look, const char *role, List *topics)
{
	const KeServer *server = look->server;
	char	   *group = psprintf("%s-%s", server->options.service_name, role);
	bool		group_is_missing;
	List	   *missing;
	ListCell   *lc;
	int			error;

	if (topics == NIL)
		return;
	error = ke_rights_read(&server->options, &server->mapping, look->client,
						   group, topics, time_left(look), &group_is_missing,
						   &missing);
	if (error != 0)
		report_silence(look, psprintf("rights on group \"%s\"", group),
					   error);
	if (group_is_missing)
		miss(look, "Read", "group", group, "--group", "");
	foreach(lc, missing)
		miss(look, "Read", "topic", (char *) lfirst(lc), "--topic", "");
}

static void
look_at_writing(Look *look, List *topics)
{
	const KeServer *server = look->server;
	List	   *missing;
	ListCell   *lc;
	int			error;

	if (topics == NIL)
		return;
	error = ke_rights_write(&server->options, &server->mapping, look->client,
							topics, time_left(look), &missing);
	if (error != 0)
		report_silence(look, "rights to write retry copies and dead letters",
					   error);
	foreach(lc, missing)
		miss(look, "Write", "topic", (char *) lfirst(lc), "--topic", "");
}

/* Nothing is made; the broker says whether it would be. */
static void
look_at_creating(Look *look, List *topics)
{
	ListCell   *lc;

	foreach(lc, topics)
	{
		KeNewTopic	topic = {
			.name = (char *) lfirst(lc),
			.partitions = 1,
			.replication_factor = -1
		};
		int			error;

		error = ke_topic_admin_may_create(ke_cluster_handle(look->cluster),
										  &topic, time_left(look));
		if (error == 0)
			continue;
		if (ke_client_hint_for(KE_PURPOSE_CREATE, error) != NULL &&
			ke_client_is_refusal(error))
			miss(look, "Create", "topic", topic.name, "--topic", "");
		else
			report_silence(look, psprintf("the right to create topic \"%s\"",
										  topic.name), error);
		return;					/* the others are of the same kind */
	}
}

/*
 * With an id that no run has.  True if it was given a place in the log of
 * transactions.  needed: somebody will have to.
 */
static bool
look_at_transactions(Look *look, bool needed)
{
	const KeServer *server = look->server;
	char	   *prefix = ke_catalog_admin_group(server);
	KeProducer *producer;
	KeTrouble	trouble;
	volatile KeTransactionResult result = KE_TRANSACTION_RENEW;

	producer =
		ke_producer_open_transactional(&server->options, &server->mapping,
									   look->client,
									   psprintf("%s-check", prefix));
	PG_TRY();
	{
		result = ke_transaction_init(producer, time_left(look), &trouble);
	}
	PG_FINALLY();
	{
		ke_producer_close(producer);
	}
	PG_END_TRY();

	if (result == KE_TRANSACTION_DONE || !needed)
		return result == KE_TRANSACTION_DONE;
	if (result == KE_TRANSACTION_REFUSED)
		miss(look, "Write", "transactional ids that begin with", prefix,
			 "--transactional-id", " --resource-pattern-type prefixed");
	else
		report(look, KE_FITNESS_RIGHT,
			   psprintf("transactions, which kafka_dlq_reprocess needs, could not be begun: %s",
						trouble.text), NULL);
	return false;
}

/* ---------------------------------------------------------------- clocks */

/* written_ms: since when there is a message of a broker's own; 0: never. */
static void
look_at_clock(Look *look, int64 written_ms)
{
	KeFitnessClock clock;
	int64		off_ms;

	if (written_ms == 0)
	{
		report(look, KE_FITNESS_CLOCK,
			   "the brokers' clock is not known: it is read off a transaction, and none could be begun",
			   NULL);
		return;
	}
	clock = ke_fitness_clock(look->cluster, written_ms, time_left(look));
	off_ms = clock.ahead_ms > 0 ? clock.ahead_ms : -clock.ahead_ms;
	if (clock.error != 0)
		report(look, KE_FITNESS_CLOCK,
			   psprintf("the brokers' clock is not known: %s",
						ke_client_error_name(clock.error)),
			   pstrdup("To let it be compared: kafka-acls.sh --add --allow-principal User:... --operation Describe --topic __transaction_state"));
	else if (clock.ahead_ms != 0)
		report(look, KE_FITNESS_CLOCK,
			   psprintf("the brokers' clock is about %s %s this server's",
						ke_literal_show_interval(off_ms - off_ms % 1000),
						clock.ahead_ms > 0 ? "ahead of" : "behind"),
			   pstrdup("Let all of them follow the same time server (timedatectl, chronyc tracking)."));
}

/* ------------------------------------------------------------------- all */

static int
compare_names(const void *a, const void *b)
{
	return strcmp(*(char *const *) a, *(char *const *) b);
}

/* What is there; false if the cluster does not tell. */
static bool
find_topics(Look *look)
{
	List	   *topics;
	ListCell   *lc;
	int			error = ke_cluster_topics(look->cluster, NULL, &topics,
										  time_left(look));

	if (error != 0)
	{
		report_silence(look, "rights", error);
		return false;
	}
	look->present = palloc(Max(list_length(topics), 1) * sizeof(char *));
	foreach(lc, topics)
	{
		const KeTopicInfo *topic = (const KeTopicInfo *) lfirst(lc);

		if (topic->error == 0)
			look->present[look->npresent++] = topic->name;
	}
	qsort(look->present, look->npresent, sizeof(char *), compare_names);
	return true;
}

static bool
is_present(const Look *look, const char *topic)
{
	return bsearch(&topic, look->present, look->npresent, sizeof(char *),
				   compare_names) != NULL;
}

/* Which topics there is something to ask about. */
typedef struct Topics
{
	List	   *sources;		/* of char *, as all of these */
	List	   *retries;
	List	   *letters;
	List	   *written;		/* the last two together, */
	List	   *made;			/* and those of them that are to be made */
} Topics;

static void
add_copies(const Look *look, Topics *topics, const KeSubscription *sub,
		   List **to, const char *suffix)
{
	char	   *name = psprintf("%s%s", sub->topic, suffix);

	*to = lappend(*to, name);
	topics->written = lappend(topics->written, name);
	if (look->server->options.create_topics && !is_present(look, name))
		topics->made = lappend(topics->made, name);
}

static void
sort_topics(const Look *look, Topics *topics)
{
	const KeServerOptions *options = &look->server->options;
	ListCell   *lc;

	foreach(lc, look->subscriptions)
	{
		const KeSubscription *sub = (const KeSubscription *) lfirst(lc);

		topics->sources = lappend(topics->sources, sub->topic);
		if (ke_options_subscription_retries_by_topic(&sub->options))
			add_copies(look, topics, sub, &topics->retries,
					   options->retry_suffix);
		if (sub->options.dlq)
			add_copies(look, topics, sub, &topics->letters,
					   options->dlq_suffix);
	}
}

void
ke_fitness_look(const KeServer *server, List *subscriptions,
				KeCluster *cluster, KeTask *task)
{
	Look		look = {
		.server = server,
		.subscriptions = subscriptions,
		.cluster = cluster,
		.task = task,
		.deadline = ke_clock_in(ke_task_work_order(task)->timeout_ms),
		.client = psprintf("%.20s-task", server->options.service_name)
	};
	Topics		topics = {0};
	int64		now_ms;

	if (!find_topics(&look))
		return;
	sort_topics(&look, &topics);
	look_at_reading(&look, "main", topics.sources);
	look_at_reading(&look, "retry", topics.retries);
	look_at_reading(&look, "admin", topics.letters);
	look_at_writing(&look, topics.written);
	look_at_creating(&look, topics.made);

	now_ms = ke_unix_ms(GetCurrentTimestamp());
	look_at_clock(&look, look_at_transactions(&look, topics.letters != NIL) ?
				  now_ms : 0);
}
