/*
 * asked.h
 *	  A question to the cluster that is on its way.
 *
 * For files in kafka/ only.  The library's calls wait until there is an
 * answer, or throw away what comes later; so a thread of ours makes the call,
 * and whoever asks waits for that thread as long as he likes, serves
 * interrupts meanwhile, and may come back for the answer.
 */
#ifndef KE_ASKED_H
#define KE_ASKED_H

#include "core/clock.h"
#include "kafka/handle.h"

typedef struct KeAsked KeAsked;

/*
 * Makes the call and stores the answer in asked; returns the library's error
 * code.  Runs in a thread: nothing of PostgreSQL's may be used.
 */
typedef int (*KeAskedCall) (rd_kafka_t * rk, KeAsked *asked, int timeout_ms);

struct KeAsked
{
	/* what the thread reads, the same from before it starts */
	KeAskedCall call;
	rd_kafka_t *rk;
	char	   *topic;			/* malloc'd, or NULL */
	int			timeout_ms;
	int		   *under_way;		/* the handle's count; guarded by the lock */

	/* the answer: the thread's until it is done, then the asker's */
	rd_kafka_topic_partition_list_t *list;	/* both ways, or NULL */
	const rd_kafka_metadata_t *metadata;
	rd_kafka_event_t *event;
	rd_kafka_error_t *refusal;
	char	   *text;			/* malloc'd */
	int64		latency_us;		/* of a second question, where asked */
	int64		took_us;

	/* guarded by the lock in asked.c */
	KeHandle   *handle;			/* NULL: let go, the thread frees all this */
	bool		done;
	int			error;			/* until then: that of the newest try */

	/* the asker's */
	KeAsked    *next;
	rd_kafka_topic_partition_list_t *question;	/* list, as it was asked */
	KeMoment	asked_at;
	KeMoment	lost_at;		/* the library must have given up by then */
	bool		keep;			/* may answer more than one question */
	bool		used;			/* it has answered one */
};

/* Whoever waits serves interrupts this often. */
#define KE_ASKED_SLICE_MS 500

/* Free what is of no more use; before the first of several questions. */
extern void ke_asked_sweep(KeHandle *handle);

/*
 * Ask, or take up an equal question that may be: see ke_query_repeat.  Takes
 * list over.  NULL: too many are under way already.
 */
extern KeAsked *ke_asked_send(KeHandle *handle, KeAskedCall call,
							  const char *topic,
							  rd_kafka_topic_partition_list_t *list,
							  int timeout_ms);

/*
 * Wait for the answer; serves interrupts, so may raise.  The error of the
 * question; RD_KAFKA_RESP_ERR__TIMED_OUT, also for NULL, when there is none
 * yet.  The answer stays asked's, until ke_asked_sweep.
 */
extern int	ke_asked_wait(KeAsked *asked, KeMoment deadline);

/* Something was changed: answers so far may not be true any more. */
extern void ke_asked_forget(KeHandle *handle);

/*
 * For handle.c.  Let go of all questions: the count of those whose threads
 * still use the library's handle, or NULL if there never was one; are there
 * any; and, in a thread, wait until there are none and free the count.
 */
extern int *ke_asked_close(KeHandle *handle);
extern bool ke_asked_is_busy(const int *under_way);
extern void ke_asked_finish(int *under_way);

#endif							/* KE_ASKED_H */
