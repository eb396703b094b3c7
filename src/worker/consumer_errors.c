/*
 * consumer_errors.c
 *	  What a consumer process makes of the library's errors: a reason in the
 *	  views for as long as it holds, and lines in the log, not too many.
 */
#include "postgres.h"
#include "core/compat.h"

#include "storage/ipc.h"

#include "core/clock.h"
#include "core/throttle.h"
#include "worker/consumer_errors.h"
#include "worker/runtime.h"

/* A new handle may take more than a second to its first connection. */
#define CLUSTER_ID_MS 2000

/* The library repeats at least twice a minute what still is the matter. */
#define TROUBLE_MS 45000

static bool joined = false;		/* the group's last word was an assignment */
static KeMoment trouble_until = 0;	/* 0: there is none */

/*
 * librdkafka's words, at the level they deserve; never more than LOG, and not
 * the same again and again.  What is for debugging comes only if the server's
 * option "debug" asks for it.
 */
void
ke_consumer_errors_log(const KeConsumerEvent *event)
{
	int			level = event->severity <= 4 || event->severity >= 7 ?
		LOG : DEBUG1;

	if (level == LOG && event->severity < 7 &&
		!ke_throttle_allows_kind(event->text))
		return;
	ereport(level,
			(errmsg_internal("librdkafka: %s", event->text)));
}

/* Something is the matter, and may pass by itself. */
static void
set_trouble(const char *reason)
{
	ke_slot_set_error(reason);
	ke_slot_set_trouble(reason);
}

/* What the library has told meanwhile becomes why, if it is an error. */
static void
serve_errors(KeEngine *engine, char **why, const char **hint)
{
	KeConsumerEvent event;

	while (ke_consumer_poll(engine->consumer, 0, &event))
	{
		if (event.kind == KE_CONSUMER_LOG)
			ke_consumer_errors_log(&event);
		if (event.kind != KE_CONSUMER_ERROR)
			continue;
		*why = event.text;
		*hint = ke_client_error_hint(event.error);
	}
}

/* Which cluster it is; waits for as long as no broker answers. */
char *
ke_consumer_errors_wait(KeEngine *engine, const KeServerOptions *options)
{
	char	   *why = "no answer";
	const char *hint = NULL;
	char	   *cluster_id;

	while ((cluster_id = ke_consumer_cluster_id(engine->consumer,
												CLUSTER_ID_MS)) == NULL)
	{
		serve_errors(engine, &why, &hint);
		set_trouble(ke_client_describe_silence(options->bootstrap_servers,
											   why, hint));
		(void) ke_runtime_wait(-1, 1000);
		if (ke_runtime_should_stop())
			proc_exit(0);
	}
	ke_slot_set_trouble(NULL);
	return cluster_id;
}

/*
 * The library reports what may pass by itself once, or each time that it
 * tries.  Outside of the group it is taken for what keeps us out; inside, for
 * what is the matter until it is not heard of any more.  That connections are
 * lost is the manager's to tell then, who asks brokers all the time.
 */
void
ke_consumer_errors_note(KeEngine *engine, const KeConsumerEvent *event)
{
	const char *hint = ke_client_error_hint(event->error);
	char	   *text = event->text;

	if (event->too_big_for > 0)
		ke_fetch_trouble_too_big(engine, event->too_big_for);
	if (hint != NULL)
		text = psprintf("%s: %s", event->text, hint);
	ke_slot_set_error(text);
	ereport(DEBUG1,
			(errmsg_internal("consumer error: %s", event->text)));
	if (event->too_big_for > 0 ||
		(joined && ke_client_is_silence(event->error)))
		return;
	ke_slot_set_trouble(text);
	trouble_until = !joined ? PG_INT64_MAX : ke_clock_in(TROUBLE_MS);
}

static void
clear_trouble(void)
{
	trouble_until = 0;
	ke_slot_set_trouble(NULL);
}

void
ke_consumer_errors_joined(bool now_joined)
{
	joined = now_joined;
	if (joined && trouble_until != 0)
		clear_trouble();
}

void
ke_consumer_errors_expire(void)
{
	if (trouble_until != 0 && ke_clock_now() >= trouble_until)
		clear_trouble();
}
