/*
 * reprocess_target.c
 *	  The topics that dead letters may be sent to, and what is known of them.
 *
 * Where a letter says it is from is data: whoever may write into the dead
 * letter topic chooses it, and must not choose where the rights of this
 * server write.  So letters go only to topics that the server's
 * subscriptions name, to the one whose letters are asked for, and to the one
 * that the user has named for all of them; never to one of Kafka's own.
 */
#include "postgres.h"
#include "core/compat.h"

#include "dlq/reprocess_run.h"
#include "kafka/topic_admin.h"
#include "session/xact.h"

/* In a transaction; the list lives as long as the task. */
static void
read_subscriptions(void *argument)
{
	KeReprocessRun *run = (KeReprocessRun *) argument;
	MemoryContext old = MemoryContextSwitchTo(run->taskctx->work);

	run->subscriptions = ke_catalog_subscriptions(run->taskctx->server);
	MemoryContextSwitchTo(old);
}

/* "<topic><suffix>" == name? */
static bool
is_with_suffix(const char *name, const char *topic, const char *suffix)
{
	Size		len = strlen(topic);

	return strncmp(name, topic, len) == 0 && strcmp(name + len, suffix) == 0;
}

static char *
find_source(const KeReprocessRun *run)
{
	const char *topic = run->order->topic;
	const char *suffix = run->taskctx->server->options.dlq_suffix;
	int			len = (int) strlen(topic) - (int) strlen(suffix);

	if (len > 0 && strcmp(topic + len, suffix) == 0)
		return MemoryContextStrdup(run->taskctx->work,
								   pnstrdup(topic, len));
	return NULL;
}

void
ke_reprocess_target_prepare(KeReprocessRun *run)
{
	ke_xact_run(read_subscriptions, run, false);
	run->source = find_source(run);
}

bool
ke_reprocess_target_is_known(const KeReprocessRun *run, const char *topic)
{
	const char *suffix = run->taskctx->server->options.retry_suffix;
	ListCell   *lc;

	/* Its letters would come back to it. */
	if (strcmp(topic, run->order->topic) == 0)
		return false;
	if (run->source != NULL && strcmp(topic, run->source) == 0)
		return true;
	foreach(lc, run->subscriptions)
	{
		const KeSubscription *sub = (KeSubscription *) lfirst(lc);

		if (strcmp(topic, sub->topic) == 0 ||
			(ke_options_subscription_retries_by_topic(&sub->options) &&
			 is_with_suffix(topic, sub->topic, suffix)))
			return true;
	}
	return false;
}

bool
ke_reprocess_target_is_retried(const KeReprocessRun *run, const char *topic)
{
	ListCell   *lc;

	foreach(lc, run->subscriptions)
	{
		const KeSubscription *sub = (KeSubscription *) lfirst(lc);

		if (strcmp(topic, sub->topic) == 0)
			return ke_options_subscription_retries_by_topic(&sub->options);
	}
	return false;
}

static bool
is_compacted(KeReprocessRun *run, const char *topic)
{
	KeTopicConfig config = {.name = "cleanup.policy"};

	/* Who may write to it need not be allowed to see how it is made. */
	if (ke_topic_admin_describe(ke_cluster_handle(run->taskctx->cluster),
								topic,
								&config, 1, run->order->timeout_ms) != 0)
		return false;
	return config.value != NULL && strstr(config.value, "compact") != NULL;
}

/* Do letters for it have to be spared that would replace newer messages? */
static bool
spares_compacted(const KeReprocessRun *run)
{
	return run->order->target == KE_TARGET_ORIGINAL &&
		!run->order->target_given && run->order->to_topic[0] == '\0';
}

/*
 * The producer is the one to ask: a topic that it does not know yet costs the
 * first letter for it a whole second.
 */
static KeReprocessTarget *
ask_for(KeReprocessRun *run, const char *topic)
{
	KeReprocessTarget *target = palloc0(sizeof(KeReprocessTarget));
	KeTopicInfo info;
	int			error;

	error = ke_producer_topic(run->producer, topic, &info,
							  run->order->timeout_ms);
	if (error != 0)
		ke_task_context_refuse(run->taskctx, error,
							   psprintf("ask Kafka for topic \"%s\"", topic));
	target->name = pstrdup(topic);
	target->partitions = info.partitions;
	if (info.error != 0)
		target->refusal = psprintf("topic \"%s\": %s", topic,
								   ke_client_error_name(info.error));
	else if (spares_compacted(run) && is_compacted(run, topic))
	{
		target->compacted = true;
		target->refusal = psprintf("topic \"%s\" is compacted: an old message would replace the newer ones of its key; if that is wanted, say target => 'original'",
								   topic);
	}
	return target;
}

KeReprocessTarget *
ke_reprocess_target_find(KeReprocessRun *run, const char *topic)
{
	MemoryContext old;
	KeReprocessTarget *target;
	ListCell   *lc;

	foreach(lc, run->targets)
	{
		target = (KeReprocessTarget *) lfirst(lc);
		if (strcmp(target->name, topic) == 0)
			return target;
	}
	old = MemoryContextSwitchTo(run->taskctx->work);
	target = ask_for(run, topic);
	run->targets = lappend(run->targets, target);
	MemoryContextSwitchTo(old);
	return target;
}

void
ke_reprocess_target_teach(KeReprocessRun *run)
{
	ListCell   *lc;

	foreach(lc, run->targets)
	{
		KeTopicInfo info;

		(void) ke_producer_topic(run->producer,
								 ((KeReprocessTarget *) lfirst(lc))->name,
								 &info, run->order->timeout_ms);
	}
}

void
ke_reprocess_target_bar(KeReprocessRun *run, const char *topic, int error)
{
	KeReprocessTarget *target = ke_reprocess_target_find(run, topic);
	const char *hint = ke_producer_error_hint(error);
	MemoryContext old = MemoryContextSwitchTo(run->taskctx->work);

	target->refusal = psprintf(hint != NULL ?
							   "topic \"%s\" is refused by the broker: %s (%s)" :
							   "topic \"%s\" is refused by the broker: %s",
							   topic, ke_client_error_name(error), hint);
	MemoryContextSwitchTo(old);
}

/*
 * What would be refused of each letter is refused at once, before any of them
 * counts as failed.
 */
void
ke_reprocess_target_check_source(KeReprocessRun *run)
{
	const KeReprocessTarget *target;

	if (run->source == NULL || !spares_compacted(run) ||
		ke_options_topic_problem(run->source) != NULL)
		return;
	target = ke_reprocess_target_find(run, run->source);
	if (target->compacted)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("topic \"%s\" is compacted", run->source),
				 errdetail("An old message would replace the newer ones of its key."),
				 errhint("If that is wanted, say target => 'original'.")));
}
