/*
 * asked.c
 *	  A question to the cluster that is on its way.
 *
 * One lock guards what threads and the process share, and is never held
 * across anything that may raise or wait for a broker.  A question belongs to
 * the process; one whose handle was closed, or that the library has lost,
 * belongs to its thread, which frees it.
 *
 * What the library is told to wait grows while nobody answers: when its own
 * time is over it closes the connection, which is right for one that is dead,
 * and wrong for one that is slow.
 */
#include "postgres.h"
#include "core/compat.h"

#include <limits.h>
#include <time.h>

#include "miscadmin.h"
#include "utils/timestamp.h"

#include "kafka/asked.h"
#include "kafka/thread.h"

/* How long the library waits for one answer, at first and at most. */
#define FIRST_PATIENCE_MS 10000
#define LAST_PATIENCE_MS 60000

/* After its time, the library has this long to say so. */
#define LOST_MS 5000

/* Between two calls for a connection that broke. */
#define RECONNECT_MS 100

/* How long a question may be taken up again. */
#define KEEP_MS 60000

/* Of one handle: threads at once, and answers that are kept. */
#define MAX_UNDER_WAY 16
#define MAX_KEPT 256

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed;	/* a question is done, or given up */
static bool ready = false;

static void
destroy(KeAsked *asked)
{
	free(asked->topic);
	free(asked->text);
	if (asked->list != NULL)
		rd_kafka_topic_partition_list_destroy(asked->list);
	if (asked->question != NULL)
		rd_kafka_topic_partition_list_destroy(asked->question);
	if (asked->refusal != NULL)
		rd_kafka_error_destroy(asked->refusal);
	if (asked->metadata != NULL)
		rd_kafka_metadata_destroy(asked->metadata);
	if (asked->event != NULL)
		rd_kafka_event_destroy(asked->event);
	free(asked);
}

/* ------------------------------------------------------------ the thread */

static int64
monotonic_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64) now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

/* Is it worth asking again?  The group's broker may just have changed. */
static bool
is_passing(int error)
{
	return error == RD_KAFKA_RESP_ERR__TRANSPORT ||
		error == RD_KAFKA_RESP_ERR_NOT_COORDINATOR ||
		error == RD_KAFKA_RESP_ERR_COORDINATOR_NOT_AVAILABLE ||
		error == RD_KAFKA_RESP_ERR_COORDINATOR_LOAD_IN_PROGRESS;
}

/* Call until there is an answer, or time is over; stores how long it took. */
static int
call_until_answered(KeAsked *asked)
{
	int64		started = monotonic_us();
	int64		deadline = started + (int64) asked->timeout_ms * 1000;

	for (;;)
	{
		int64		left = (deadline - monotonic_us()) / 1000;
		int			error;
		bool		wanted;

		error = asked->call(asked->rk, asked, (int) Max(left, 1));
		asked->took_us = monotonic_us() - started;
		if (!is_passing(error) || left <= RECONNECT_MS)
			return error;

		pthread_mutex_lock(&lock);
		asked->error = error;
		wanted = asked->handle != NULL;
		if (wanted)
			(void) ke_thread_wait(&changed, &lock, RECONNECT_MS);
		pthread_mutex_unlock(&lock);
		if (!wanted)
			return error;
	}
}

static void *
run(void *argument)
{
	KeAsked    *asked = argument;
	int			error = call_until_answered(asked);
	int		   *under_way = asked->under_way;

	pthread_mutex_lock(&lock);
	asked->error = error;
	asked->done = true;
	if (asked->handle == NULL)
	{
		/* What the library made goes before the library's handle does. */
		pthread_mutex_unlock(&lock);
		destroy(asked);
		pthread_mutex_lock(&lock);
	}
	(*under_way)--;
	pthread_cond_broadcast(&changed);
	pthread_mutex_unlock(&lock);
	return NULL;
}

/* ------------------------------------------------------------- the asker */

static bool
is_equal_list(const rd_kafka_topic_partition_list_t *one,
			  const rd_kafka_topic_partition_list_t *other)
{
	if (one == NULL || other == NULL)
		return one == other;
	if (one->cnt != other->cnt)
		return false;
	for (int i = 0; i < one->cnt; i++)
	{
		const rd_kafka_topic_partition_t *a = &one->elems[i];
		const rd_kafka_topic_partition_t *b = &other->elems[i];

		if (a->partition != b->partition || a->offset != b->offset ||
			strcmp(a->topic, b->topic) != 0)
			return false;
	}
	return true;
}

/* asked->list is the thread's, and may hold the answer. */
static bool
is_same_question(const KeAsked *asked, KeAskedCall call, const char *topic,
				 const rd_kafka_topic_partition_list_t *list)
{
	return asked->call == call &&
		(asked->topic == NULL) == (topic == NULL) &&
		(topic == NULL || strcmp(asked->topic, topic) == 0) &&
		is_equal_list(asked->question, list);
}

/* May the thread's fields be read?  Then they stay what they are. */
static bool
is_done(KeAsked *asked)
{
	bool		done;

	pthread_mutex_lock(&lock);
	done = asked->done;
	pthread_mutex_unlock(&lock);
	return done;
}

/* Free it, or leave that to its thread. */
static void
let_go(KeAsked *asked)
{
	bool		done;

	pthread_mutex_lock(&lock);
	done = asked->done;
	asked->handle = NULL;
	pthread_mutex_unlock(&lock);
	if (done)
		destroy(asked);
}

/* Has it answered for good, or will it never answer? */
static bool
is_spent(KeAsked *asked, KeMoment now)
{
	if (!is_done(asked))
		return now >= asked->lost_at;
	return (asked->used && !asked->keep) ||
		ke_clock_passed(asked->asked_at, now, KEEP_MS);
}

void
ke_asked_sweep(KeHandle *handle)
{
	KeMoment	now = ke_clock_now();
	KeAsked   **link = &handle->asked;
	int			kept = 0;

	while (*link != NULL)
	{
		KeAsked    *asked = *link;

		if (is_spent(asked, now) || (is_done(asked) && ++kept > MAX_KEPT))
		{
			*link = asked->next;
			let_go(asked);
		}
		else
			link = &asked->next;
	}
}

/*
 * An equal question that may be taken up.  One that is answered before one
 * that is under way: who asks again and again must not wait for the newest.
 */
static KeAsked *
find(KeHandle *handle, KeAskedCall call, const char *topic,
	 const rd_kafka_topic_partition_list_t *list)
{
	KeAsked    *found = NULL;
	KeAsked    *asked;

	if (handle->repeat_since == 0)
		return NULL;
	for (asked = handle->asked; asked != NULL; asked = asked->next)
	{
		if (asked->asked_at < handle->repeat_since ||
			(asked->used && !asked->keep) ||
			!is_same_question(asked, call, topic, list))
			continue;
		if (is_done(asked))
			return asked;
		if (found == NULL)
			found = asked;
	}
	return found;
}

/* NULL when there is no memory; takes list over in any case. */
static KeAsked *
make(KeHandle *handle, KeAskedCall call, const char *topic,
	 rd_kafka_topic_partition_list_t *list)
{
	KeAsked    *asked = calloc(1, sizeof(KeAsked));

	if (asked == NULL)
	{
		if (list != NULL)
			rd_kafka_topic_partition_list_destroy(list);
		return NULL;
	}
	asked->call = call;
	asked->list = list;
	if (list != NULL)
		asked->question = rd_kafka_topic_partition_list_copy(list);
	asked->topic = topic != NULL ? strdup(topic) : NULL;
	asked->keep = handle->repeat_keep;
	asked->handle = handle;
	asked->rk = handle->rk;
	asked->under_way = handle->under_way;
	return asked;
}

static void
start(KeHandle *handle, KeAsked *asked, int timeout_ms)
{
	pthread_t	thread;

	handle->patience_ms = Max(handle->patience_ms, FIRST_PATIENCE_MS);
	asked->timeout_ms = Max(timeout_ms, handle->patience_ms);
	asked->asked_at = ke_clock_now();
	asked->lost_at = TimestampTzPlusMilliseconds(asked->asked_at,
												  asked->timeout_ms + LOST_MS);

	pthread_mutex_lock(&lock);
	(*handle->under_way)++;
	pthread_mutex_unlock(&lock);
	if (ke_thread_start(&thread, run, asked))
	{
		pthread_detach(thread);
		return;
	}
	pthread_mutex_lock(&lock);
	(*handle->under_way)--;
	asked->error = RD_KAFKA_RESP_ERR__CRIT_SYS_RESOURCE;
	asked->done = true;
	pthread_mutex_unlock(&lock);
}

/* May another thread be started? */
static bool
has_room(KeHandle *handle)
{
	bool		room;

	if (handle->under_way == NULL)
		handle->under_way = calloc(1, sizeof(int));
	if (handle->under_way == NULL)
		return false;
	pthread_mutex_lock(&lock);
	room = *handle->under_way < MAX_UNDER_WAY;
	pthread_mutex_unlock(&lock);
	return room;
}

KeAsked *
ke_asked_send(KeHandle *handle, KeAskedCall call, const char *topic,
			  rd_kafka_topic_partition_list_t *list, int timeout_ms)
{
	KeAsked    *asked;

	if (!ready)
	{
		ke_thread_init_condition(&changed);
		ready = true;
	}
	asked = find(handle, call, topic, list);
	if (asked != NULL || !has_room(handle))
	{
		if (list != NULL)
			rd_kafka_topic_partition_list_destroy(list);
		return asked;
	}
	asked = make(handle, call, topic, list);
	if (asked == NULL)
		return NULL;
	asked->next = handle->asked;
	handle->asked = asked;
	start(handle, asked, timeout_ms);
	return asked;
}

/* An answer, or none, says how long the next question may take. */
static void
learn(KeHandle *handle, const KeAsked *asked)
{
	if (asked->error == RD_KAFKA_RESP_ERR__TIMED_OUT)
		handle->patience_ms = Min(asked->timeout_ms * 2, LAST_PATIENCE_MS);
	else if (asked->error == 0)
	{
		handle->took_ms = (int) Min(asked->took_us / 1000, INT_MAX);
		if (handle->took_ms < FIRST_PATIENCE_MS / 2)
			handle->patience_ms = FIRST_PATIENCE_MS;
	}
}

int
ke_asked_wait(KeAsked *asked, KeMoment deadline)
{
	if (asked == NULL)
		return RD_KAFKA_RESP_ERR__TIMED_OUT;

	for (;;)
	{
		long		left = ke_clock_left(ke_clock_now(), deadline);
		bool		done;
		int			error;

		pthread_mutex_lock(&lock);
		if (!asked->done && left > 0)
			(void) ke_thread_wait(&changed, &lock,
								  (int) Min(left, KE_ASKED_SLICE_MS));
		done = asked->done;
		error = asked->error;
		pthread_mutex_unlock(&lock);

		if (done)
		{
			if (!asked->used)
				learn(asked->handle, asked);
			asked->used = true;
			if (ke_client_is_silence(error))
				asked->keep = false;
			return error;
		}
		if (left == 0)
			return error != 0 ? error : RD_KAFKA_RESP_ERR__TIMED_OUT;
		CHECK_FOR_INTERRUPTS();
	}
}

void
ke_asked_forget(KeHandle *handle)
{
	while (handle->asked != NULL)
	{
		KeAsked    *asked = handle->asked;

		handle->asked = asked->next;
		let_go(asked);
	}
}

/* ------------------------------------------------- the end of the handle */

int *
ke_asked_close(KeHandle *handle)
{
	int		   *under_way = handle->under_way;

	ke_asked_forget(handle);
	handle->under_way = NULL;
	return under_way;
}

void
ke_asked_finish(int *under_way)
{
	if (under_way == NULL)
		return;
	pthread_mutex_lock(&lock);
	while (*under_way > 0)
		pthread_cond_wait(&changed, &lock);
	pthread_mutex_unlock(&lock);
	free(under_way);
}

bool
ke_asked_is_busy(const int *under_way)
{
	bool		busy;

	if (under_way == NULL)
		return false;
	pthread_mutex_lock(&lock);
	busy = *under_way > 0;
	pthread_mutex_unlock(&lock);
	return busy;
}
