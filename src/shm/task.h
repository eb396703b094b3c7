/*
 * task.h
 *	  Long requests of users' backends to a task process of their server.
 *
 * A fixed slot in shared memory and one DSM segment with a shm_mq per
 * request: replies are streamed, so they may be of any number and size, and
 * each side sees the other's end or death by the queue being detached.
 * Privileges are checked by the asking backend before it asks.
 */
#ifndef KE_TASK_H
#define KE_TASK_H

#include "datatype/timestamp.h"
#include "lib/stringinfo.h"

#include "shm/request.h"

/* Each kind has a process of its own: nobody browses behind a long run. */
typedef enum KeTaskKind
{
	KE_TASK_REPROCESS,
	KE_TASK_BROWSE
} KeTaskKind;

#define KE_TASK_KINDS (KE_TASK_BROWSE + 1)

typedef enum KeTaskTarget
{
	KE_TARGET_ORIGINAL,
	KE_TARGET_RETRY,
	KE_TARGET_DISCARD
} KeTaskTarget;

#define KE_TASK_ANY (-1)		/* partition, offset or limit not given */

typedef struct KeTaskOrder
{
	KeTaskKind	kind;
	Oid			server;
	char		topic[KE_TOPIC_LEN];	/* the DLQ topic, unless any_topic */
	int32		partition;
	int64		offset;			/* BROWSE: the first; REPROCESS: the only */
	int64		max_messages;
	bool		pending_only;	/* BROWSE, as the next */
	bool		foreign_only;	/* of other services, among the newest */
	bool		fitness;		/* no messages, but cluster/fitness */
	bool		orphans_only;	/* with pending_only: what is no more pending,
								 * as a history that was left had sent it; the
								 * place of each, and nothing else */
	bool		any_topic;		/* messages, and not dead letters; then offset
								 * or from_ms may be given */
	int64		from_ms;		/* since 1970 */
	KeTaskTarget target;		/* REPROCESS, as the next */
	bool		target_given;	/* the user has said it */
	char		to_topic[KE_TOPIC_LEN]; /* for all letters; empty: none */
	int			timeout_ms;		/* how long no broker need answer */
} KeTaskOrder;

/* How far a run is: for kafka_dlq_progress. */
typedef struct KeTaskProgress
{
	int64		total;			/* messages to look at; -1: not known yet */
	int64		done;
	int64		successful;
	int64		failed;
} KeTaskProgress;

/* A request of this database, copied out of shared memory. */
typedef struct KeTaskReport
{
	KeTaskOrder order;
	KeTaskProgress progress;
	bool		taken;			/* false: it waits */
	int			pid;			/* who asked */
	TimestampTz asked_at;
} KeTaskReport;

extern void ke_task_shmem_request(void);
extern void ke_task_shmem_init(void);

/* ---- for the asking backend ---- */

typedef void (*KeTaskVisit) (StringInfo reply, void *argument);

/* Why an order was not carried out, or not to its end. */
typedef struct KeTaskFailure
{
	int			sqlstate;
	char	   *text;
	char	   *detail;			/* or NULL, as the next */
	char	   *hint;
} KeTaskFailure;

/*
 * Have the order carried out; visit sees each reply, which is only valid
 * during the call.  Raises what the task says is wrong, or that it died.
 * Serves interrupts: whatever is raised meanwhile ends the request.
 */
extern void ke_task_run(const KeTaskOrder *order, KeTaskVisit visit,
						void *argument);

/* The same, but for what the task says is wrong: NULL, or why. */
extern KeTaskFailure *ke_task_try(const KeTaskOrder *order, KeTaskVisit visit,
								  void *argument);

/* Copies of this database's requests of one kind; palloc'd. */
extern KeTaskReport *ke_task_reports(Oid database, KeTaskKind kind,
									 int *count);

/* ---- for the manager ---- */

/* Does anybody wait for such a process?  For that process, too. */
extern bool ke_task_is_asked_for(Oid database, Oid server, KeTaskKind kind);

/* There is no process that could take those that wait, and why. */
extern void ke_task_refuse(Oid database, Oid server, KeTaskKind kind,
						   const char *reason);

/* ---- for the task process, outside of transactions ---- */

typedef struct KeTask KeTask;

/* The next order that waits, in the order they came; NULL: none. */
extern KeTask *ke_task_work_take(Oid database, Oid server, KeTaskKind kind,
								 bool (*should_stop) (void));
extern const KeTaskOrder *ke_task_work_order(const KeTask *task);

/* False: whoever asked does not wait any more, or we should stop. */
extern bool ke_task_work_is_wanted(const KeTask *task);

/* Stream a reply, waiting for room; false as above. */
extern bool ke_task_work_reply(KeTask *task, const StringInfoData *reply);
extern void ke_task_work_report(KeTask *task, const KeTaskProgress *progress);

/*
 * The last reply: all is done, or what is wrong.  The task is gone.
 */
extern void ke_task_work_finish(KeTask *task);
extern void ke_task_work_fail(KeTask *task, int sqlstate, const char *text,
							  const char *detail, const char *hint);

#endif							/* KE_TASK_H */
