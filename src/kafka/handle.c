/*
 * handle.c
 *	  One client of the library, from birth to burial.
 *
 * The library runs threads of its own.  They must never run PostgreSQL code:
 * all signals are blocked in them, and there are no callbacks.  They must be
 * gone before the process calls exit(): threads that use TLS crash while
 * OpenSSL's exit handlers run, and a crash restarts the whole server.
 *
 * rd_kafka_destroy() can wait for ever, even on clean paths, so it is always
 * RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE (which neither waits for rebalance
 * events nor leaves the group) in a thread of its own, and after 10 s we give
 * up: the process ends with _exit(), which runs no exit handlers.  That is
 * done at the end of proc_exit, after the process has left shared memory, so
 * that the postmaster takes it for an ordinary end.
 */
#include "postgres.h"
#include "core/compat.h"

#include <pthread.h>
#include <signal.h>
#include <time.h>
#include <unistd.h>

#include "storage/ipc.h"

#include "kafka/handle.h"

#define BURIAL_SECONDS 10

/* Shared with the thread that destroys; never freed if it does not return. */
typedef struct Burial
{
	rd_kafka_t *rk;
	pthread_mutex_t lock;
	pthread_cond_t finished;
	bool		done;			/* guarded by lock */
} Burial;

static dlist_head living = DLIST_STATIC_INIT(living);
static bool exit_registered = false;
static bool gave_up = false;	/* a thread still tries to destroy a handle */

/* Threads started now see no signals; returns what the caller had. */
static sigset_t
block_signals(void)
{
	sigset_t	all;
	sigset_t	before;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	return before;
}

static void
restore_signals(sigset_t before)
{
	pthread_sigmask(SIG_SETMASK, &before, NULL);
}

static void *
bury(void *arg)
{
	Burial	   *burial = arg;

	rd_kafka_destroy_flags(burial->rk, RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE);

	pthread_mutex_lock(&burial->lock);
	burial->done = true;
	pthread_cond_signal(&burial->finished);
	pthread_mutex_unlock(&burial->lock);
	return NULL;
}

/* A condition whose timeouts do not depend on the wall clock. */
static void
init_burial(Burial *burial, rd_kafka_t *rk)
{
	pthread_condattr_t attr;

	burial->rk = rk;
	burial->done = false;
	pthread_mutex_init(&burial->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&burial->finished, &attr);
	pthread_condattr_destroy(&attr);
}

/* True when rk is gone; false when its destruction takes too long. */
static bool
destroy_in_time(rd_kafka_t *rk)
{
	Burial	   *burial;
	pthread_t	thread;
	sigset_t	before;
	struct timespec deadline;
	int			err;
	bool		done;

	burial = malloc(sizeof(Burial));
	if (burial == NULL)
		return false;
	init_burial(burial, rk);

	before = block_signals();
	err = pthread_create(&thread, NULL, bury, burial);
	restore_signals(before);
	if (err != 0)
		return false;

	clock_gettime(CLOCK_MONOTONIC, &deadline);
	deadline.tv_sec += BURIAL_SECONDS;

	pthread_mutex_lock(&burial->lock);
	while (!burial->done && err == 0)
		err = pthread_cond_timedwait(&burial->finished, &burial->lock,
									 &deadline);
	done = burial->done;
	pthread_mutex_unlock(&burial->lock);

	if (!done)
		return false;
	pthread_join(thread, NULL);
	pthread_cond_destroy(&burial->finished);
	pthread_mutex_destroy(&burial->lock);
	free(burial);
	return true;
}

/* As ke_handle_close, but only sets gave_up when time is over. */
static void
destroy(KeHandle *handle)
{
	rd_kafka_t *rk = handle->rk;

	/* Whatever happens, nobody tries it a second time. */
	dlist_delete(&handle->node);
	handle->rk = NULL;

	rd_kafka_queue_io_event_enable(handle->queue, -1, NULL, 0);
	rd_kafka_queue_destroy(handle->queue);
	if (destroy_in_time(rk))
		ke_wakeup_close(&handle->wakeup);
	else
		gave_up = true;
}

/* on_proc_exit callback: no thread of the library survives this. */
static void
destroy_all(int code, Datum arg)
{
	while (!dlist_is_empty(&living) && !gave_up)
		destroy(dlist_head_element(KeHandle, node, &living));

	if (gave_up)
		_exit(1);
}

/*
 * The only callback we set: for what the library has to say before its log
 * queue is there.  It may be called by any of its threads, so it does nothing.
 */
static void
swallow_log(const rd_kafka_t *rk, int level, const char *fac, const char *buf)
{
}

void
ke_handle_open(KeHandle *handle, rd_kafka_conf_t *conf)
{
	char		reason[512];
	sigset_t	before;

	if (!exit_registered)
	{
		on_proc_exit(destroy_all, 0);
		exit_registered = true;
	}

	PG_TRY();
	{
		ke_wakeup_open(&handle->wakeup);
	}
	PG_CATCH();
	{
		rd_kafka_conf_destroy(conf);
		PG_RE_THROW();
	}
	PG_END_TRY();

	rd_kafka_conf_set_log_cb(conf, swallow_log);
	rd_kafka_conf_set_events(conf, RD_KAFKA_EVENT_REBALANCE |
							 RD_KAFKA_EVENT_OFFSET_COMMIT |
							 RD_KAFKA_EVENT_ERROR |
							 RD_KAFKA_EVENT_STATS |
							 RD_KAFKA_EVENT_LOG);

	before = block_signals();
	handle->rk = rd_kafka_new(RD_KAFKA_CONSUMER, conf,
							  reason, sizeof(reason));
	restore_signals(before);
	if (handle->rk == NULL)
	{
		rd_kafka_conf_destroy(conf);
		ke_wakeup_close(&handle->wakeup);
		ereport(ERROR,
				(errcode(ERRCODE_FDW_UNABLE_TO_ESTABLISH_CONNECTION),
				 errmsg("could not create Kafka client: %s", reason)));
	}

	rd_kafka_poll_set_consumer(handle->rk);
	handle->queue = rd_kafka_queue_get_consumer(handle->rk);
	rd_kafka_set_log_queue(handle->rk, handle->queue);
	rd_kafka_queue_io_event_enable(handle->queue, handle->wakeup.write_fd,
								   "", 1);
	dlist_push_head(&living, &handle->node);
}

void
ke_handle_close(KeHandle *handle)
{
	if (handle->rk == NULL)
		return;
	destroy(handle);
	if (gave_up)
		ereport(FATAL,
				(errcode(ERRCODE_FDW_ERROR),
				 errmsg("could not close Kafka client within %d s",
						BURIAL_SECONDS)));
}
