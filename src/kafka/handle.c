/*
 * handle.c
 *	  One client of the library: opened, served and destroyed.
 *
 * The library runs threads of its own.  They must never run PostgreSQL code:
 * all signals are blocked in them, and the two callbacks do no more than
 * store a number.  They must not be there when the process calls exit():
 * threads that use TLS crash while OpenSSL's exit handlers run, and a crash
 * restarts the whole server.
 *
 * The library's own way to end them, rd_kafka_destroy(), cannot be trusted
 * with a member of a group.  It waits for ever for a rebalance event to be
 * answered, whatever its flags; before librdkafka 2.3.0 it aborts the process
 * when the member has joined but was not assigned anything yet.  So a process
 * with a living handle ends with _exit(), which ends all threads at once and
 * runs no exit handlers.  That is done as the last thing in proc_exit, after
 * the process has left shared memory, and with the code it would have had, so
 * that the postmaster takes it for an ordinary end.
 */
#include "postgres.h"
#include "core/compat.h"

#include <ctype.h>
#include <pthread.h>
#include <unistd.h>

#include "storage/ipc.h"

#include "kafka/asked.h"
#include "kafka/handle.h"
#include "kafka/thread.h"

#define DESTROY_SECONDS 10

/*
 * The library's main thread sleeps until its next timer in whole
 * milliseconds, rounded down, and asks the clock over and over in the last
 * one: most of what an idle client costs.  A sleep that may last this much
 * longer hardly ever ends in that last one.  Nothing but timeouts is delayed.
 */
#define THREAD_SLACK_NS 10000000UL

/* After a failure a token is asked for every 10 s, or takes 40 s to fail. */
#define NO_TOKEN_MS 60000

static bool exit_registered = false;
static int	living = 0;			/* handles, with threads of the library */

/*
 * on_proc_exit callback.  It runs late: callbacks run in reverse order, and
 * a process opens its handle before it runs any user code.
 */
static void
end_at_once(int code, Datum arg)
{
	if (living > 0)
		_exit(code);
}

/*
 * One of two callbacks, the other is kafka/tls's: for what the library has to
 * say before its log queue is there.  It may be called by any of its threads,
 * so it does nothing.
 */
static void
swallow_log(const rd_kafka_t *rk, int level, const char *fac, const char *buf)
{
}

/* Raises with conf destroyed, as everything in ke_handle_open does. */
static void
open_wakeup(KeWakeup *wakeup, rd_kafka_conf_t *conf)
{
	PG_TRY();
	{
		ke_wakeup_open(wakeup);
	}
	PG_CATCH();
	{
		rd_kafka_conf_destroy(conf);
		PG_RE_THROW();
	}
	PG_END_TRY();
}

/* What the library tells us about; the rest of it never happens. */
static void
set_events(rd_kafka_conf_t *conf, rd_kafka_type_t type)
{
	int			events = RD_KAFKA_EVENT_ERROR | RD_KAFKA_EVENT_LOG;

	if (type == RD_KAFKA_CONSUMER)
		events |= RD_KAFKA_EVENT_REBALANCE | RD_KAFKA_EVENT_OFFSET_COMMIT |
			RD_KAFKA_EVENT_STATS;
	else
		events |= RD_KAFKA_EVENT_DR;
	rd_kafka_conf_set_events(conf, events);
}

/* The one queue that everything comes out of. */
static rd_kafka_queue_t *
get_queue(rd_kafka_t *rk, rd_kafka_type_t type)
{
	if (type == RD_KAFKA_PRODUCER)
		return rd_kafka_queue_get_main(rk);
	rd_kafka_poll_set_consumer(rk);
	return rd_kafka_queue_get_consumer(rk);
}

/* What there is to know of the login when it fails. */
static void
note_mechanism(KeHandle *handle, const rd_kafka_conf_t *conf)
{
	char		mechanism[64];
	size_t		size = sizeof(mechanism);

	if (rd_kafka_conf_get(conf, "sasl.mechanism", mechanism,
						  &size) != RD_KAFKA_CONF_OK)
		mechanism[0] = '\0';
	handle->old_for_scram = !ke_client_can_log_in(mechanism);
	handle->by_token = strcmp(mechanism, "OAUTHBEARER") == 0;
	handle->no_token_at = 0;
}

void
ke_handle_open(KeHandle *handle, rd_kafka_type_t type, rd_kafka_conf_t *conf)
{
	char		reason[512];
	sigset_t	before;
	unsigned long slack;

	if (!exit_registered)
	{
		on_proc_exit(end_at_once, 0);
		exit_registered = true;
	}
	open_wakeup(&handle->wakeup, conf);

	rd_kafka_conf_set_log_cb(conf, swallow_log);
	set_events(conf, type);
	ke_tls_watch(&handle->tls, conf);
	note_mechanism(handle, conf);

	before = ke_thread_block_signals();
	slack = ke_thread_set_slack(THREAD_SLACK_NS);
	handle->rk = rd_kafka_new(type, conf, reason, sizeof(reason));
	(void) ke_thread_set_slack(slack);
	ke_thread_restore_signals(before);
	if (handle->rk == NULL)
	{
		rd_kafka_conf_destroy(conf);
		ke_wakeup_close(&handle->wakeup);
		ke_tls_forget(&handle->tls, true);
		ereport(ERROR,
				(errcode(ERRCODE_FDW_UNABLE_TO_ESTABLISH_CONNECTION),
				 errmsg("could not create Kafka client: %s", reason)));
	}
	living++;

	handle->queue = get_queue(handle->rk, type);
	rd_kafka_set_log_queue(handle->rk, handle->queue);
	rd_kafka_queue_io_event_enable(handle->queue, handle->wakeup.write_fd,
								   "", 1);
}

static bool
is_login_refused(int error)
{
	return error == RD_KAFKA_RESP_ERR__AUTHENTICATION ||
		error == RD_KAFKA_RESP_ERR_SASL_AUTHENTICATION_FAILED;
}

/*
 * The library tells as an error only what is new about its requests for
 * tokens, but logs each that fails.
 */
void
ke_handle_hear_log(KeHandle *handle, rd_kafka_event_t *rkev)
{
	const char *facility;
	const char *text;
	int			level;

	if (handle->by_token &&
		rd_kafka_event_log(rkev, &facility, &text, &level) == 0 &&
		strcmp(facility, "OIDC") == 0 && handle->no_token_at != 0)
		handle->no_token_at = ke_clock_now();
}

static void
note_token_failure(KeHandle *handle)
{
	if (!handle->by_token ||
		strstr(handle->trouble_text, "acquire SASL OAUTHBEARER") == NULL)
		return;
	handle->no_token_at = ke_clock_now();
	strlcpy(handle->no_token_text, handle->trouble_text,
			sizeof(handle->no_token_text));
}

/* What a refused login is about, further than the library tells. */
static int
judge_login(const KeHandle *handle)
{
	if (handle->old_for_scram)
		return KE_CLIENT_OLD_FOR_SCRAM;
	return handle->by_token ? KE_CLIENT_TOKEN_REFUSED : handle->trouble;
}

/*
 * While there is no new token the old one is used, to its end and beyond:
 * that brokers then refuse it and hang up is not what is the matter.
 */
static bool
lacks_token(const KeHandle *handle)
{
	return handle->no_token_at != 0 &&
		!ke_clock_passed(handle->no_token_at, ke_clock_now(), NO_TOKEN_MS) &&
		(handle->trouble == KE_CLIENT_TOKEN_REFUSED ||
		 ke_client_is_silence(handle->trouble));
}

/*
 * Could no connection be made to an address that brokers have told?  The text
 * begins with the broker's name then, which ends with its number, or is that
 * of the group's coordinator.
 */
static bool
is_about_advertised(const char *text)
{
	const char *end = strstr(text, ": ");
	const char *number = end;

	if (end == NULL ||
		(strstr(end, ": Connect to ") == NULL &&
		 strstr(end, ": Failed to resolve ") == NULL &&
		 strstr(end, ": Connection setup timed out") == NULL))
		return false;
	if (strncmp(text, "GroupCoordinator: ", strlen("GroupCoordinator: ")) == 0)
		return true;
	while (number > text && isdigit((unsigned char) number[-1]))
		number--;
	return number < end && number > text && number[-1] == '/';
}

/*
 * Copy an error's text without its end, which counts milliseconds and
 * repetitions: what stays the matter is to read the same each time.
 */
static void
copy_text(char *to, const char *from, Size size)
{
	char	   *end;

	strlcpy(to, from, size);
	end = strstr(to, " (after ");
	if (end != NULL)
		*end = '\0';
}

const char *
ke_handle_explain(KeHandle *handle, rd_kafka_event_t *rkev, int *error)
{
	int			code = rd_kafka_event_error(rkev);

	if (code != RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN)
	{
		copy_text(handle->trouble_text, rd_kafka_event_error_string(rkev),
				  sizeof(handle->trouble_text));
		handle->trouble = ke_tls_explain(&handle->tls, code,
										 handle->trouble_text,
										 sizeof(handle->trouble_text));
		if (is_about_advertised(handle->trouble_text))
			handle->trouble = KE_CLIENT_ADVERTISED;
		if (is_login_refused(code) &&
			strstr(handle->trouble_text, "Unsupported SASL mechanism") == NULL)
			handle->trouble = judge_login(handle);
		note_token_failure(handle);
		if (lacks_token(handle))
		{
			handle->trouble = KE_CLIENT_NO_TOKEN;
			strlcpy(handle->trouble_text, handle->no_token_text,
					sizeof(handle->trouble_text));
		}
	}
	if (code == RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN && handle->trouble == 0)
	{
		*error = code;
		return rd_kafka_event_error_string(rkev);
	}
	*error = handle->trouble;
	return handle->trouble_text;
}

/* Shared with the thread that destroys; never freed if it does not return. */
typedef struct Destruction
{
	rd_kafka_t *rk;
	int		   *under_way;		/* questions that still use rk, or NULL */
	pthread_mutex_t lock;
	pthread_cond_t finished;
	bool		alone;			/* nobody waits: the thread frees it */
	bool		done;			/* guarded by lock */
} Destruction;

static void
free_destruction(Destruction *destruction)
{
	pthread_cond_destroy(&destruction->finished);
	pthread_mutex_destroy(&destruction->lock);
	free(destruction);
}

static void *
destroy_in_thread(void *argument)
{
	Destruction *destruction = argument;

	ke_asked_finish(destruction->under_way);
	rd_kafka_destroy_flags(destruction->rk,
						   RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE);
	if (destruction->alone)
	{
		free_destruction(destruction);
		return NULL;
	}

	pthread_mutex_lock(&destruction->lock);
	destruction->done = true;
	pthread_cond_signal(&destruction->finished);
	pthread_mutex_unlock(&destruction->lock);
	return NULL;
}

/* True when the thread has done its work. */
static bool
wait_for_destruction(Destruction *destruction)
{
	bool		in_time = true;
	bool		done;

	pthread_mutex_lock(&destruction->lock);
	while (!destruction->done && in_time)
		in_time = ke_thread_wait(&destruction->finished, &destruction->lock,
								 DESTROY_SECONDS * 1000);
	done = destruction->done;
	pthread_mutex_unlock(&destruction->lock);
	return done;
}

/*
 * True when rk is gone; false when that takes too long.  later: it goes when
 * the library's threads have come back, and the process ends as with a living
 * one.
 */
static bool
destroy_in_time(rd_kafka_t *rk, int *under_way, bool later)
{
	Destruction *destruction = malloc(sizeof(Destruction));
	pthread_t	thread;

	if (destruction == NULL)
		return false;
	destruction->rk = rk;
	destruction->under_way = under_way;
	destruction->alone = later;
	destruction->done = false;
	pthread_mutex_init(&destruction->lock, NULL);
	ke_thread_init_condition(&destruction->finished);

	if (!ke_thread_start(&thread, destroy_in_thread, destruction))
		return false;
	if (later)
	{
		pthread_detach(thread);
		return true;
	}
	if (!wait_for_destruction(destruction))
		return false;

	pthread_join(thread, NULL);
	free_destruction(destruction);
	return true;
}

void
ke_handle_destroy(KeHandle *handle)
{
	rd_kafka_t *rk = handle->rk;
	int		   *under_way = ke_asked_close(handle);
	bool		later;

	/* a token endpoint may hold its answer back for 20 s, several times */
	later = handle->by_token || ke_asked_is_busy(under_way);
	handle->rk = NULL;
	rd_kafka_queue_io_event_enable(handle->queue, -1, NULL, 0);
	rd_kafka_queue_destroy(handle->queue);
	if (!destroy_in_time(rk, under_way, later))
		ereport(FATAL,
				(errcode(ERRCODE_FDW_ERROR),
				 errmsg("could not close Kafka client within %d s",
						DESTROY_SECONDS)));
	if (!later)
		living--;
	ke_wakeup_close(&handle->wakeup);
	ke_tls_forget(&handle->tls, !later);
}
