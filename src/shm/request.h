/*
 * request.h
 *	  Questions of users' backends to their database's manager.
 *
 * A fixed slot in shared memory and one DSM segment with a shm_mq per
 * request: question and answer may be of any size, and each side sees the
 * other's end or death by the queue being detached.  Privileges are checked
 * by the asking backend before it asks.
 */
#ifndef KE_REQUEST_H
#define KE_REQUEST_H

#include "datatype/timestamp.h"
#include "lib/stringinfo.h"

#include "core/clock.h"

#define KE_TOPIC_LEN 250		/* 249 characters and a NUL */

typedef enum KeQuestionKind
{
	KE_ASK_TOPIC,				/* does it exist, how many partitions */
	KE_ASK_EARLIEST,			/* first offset of every partition */
	KE_ASK_LATEST,				/* end of every partition */
	KE_ASK_TIME,				/* first offset at or after a time */
	KE_ASK_TOPICS,				/* all topics: payload of shm/cluster_report */
	KE_ASK_HEALTH,				/* how the cluster is: likewise */
	KE_ASK_CONFIG,				/* properties of a topic; both ways */
	KE_ASK_CREATE,				/* make a topic; both ways */
	KE_ASK_OWNERS,				/* whose the main group is: likewise */
	KE_ASK_DLQ,					/* both ends, and the admin group's position */
	KE_ASK_SCHEMA				/* the latest schema of the subject that topic
								 * holds: payload of cluster/registry */
} KeQuestionKind;

typedef struct KeQuestion
{
	KeQuestionKind kind;
	Oid			server;
	int64		timestamp_ms;	/* KE_ASK_TIME */
	char		topic[KE_TOPIC_LEN];
	StringInfo	payload;		/* what else there is to say, or NULL */
	KeMoment	answer_by;		/* for the manager, set by ke_request_ask */
} KeQuestion;

typedef struct KeAnswer
{
	bool		answered;		/* false: text says why nobody did */
	bool		topic_exists;
	int			partitions;
	int64	   *offsets;		/* one per partition, where asked */
	int64	   *lows;			/* KE_ASK_DLQ: offsets are the ends, */
	int64	   *positions;		/* and a negative position is none; */
	char	  **metadata;		/* of the positions, or NULL */
	char	   *cluster_id;
	bool		created;		/* KE_ASK_CREATE: it was not there */
	StringInfo	payload;		/* or NULL */
	char	   *text;			/* also why the cluster will not */
	char	   *hint;			/* or NULL */
} KeAnswer;

extern void ke_request_shmem_request(void);
extern void ke_request_shmem_init(void);

/*
 * Ask the manager of this database; waits until it runs (its server may have
 * been made a moment ago), at most timeout_ms, and serves interrupts.  Never
 * raises for a missing answer.  There is none, at once, when the server was
 * made or altered by the caller's own transaction: the manager cannot see it
 * yet.  Result in the current context; needs a transaction.
 */
extern KeAnswer *ke_request_ask(const KeQuestion *question, int timeout_ms);

/* Why ke_request_ask would not wait for an answer, or NULL; for shm/task. */
extern const KeAnswer *ke_request_refusal(Oid server);

/* ---- for the manager, outside of transactions ---- */

typedef struct KeRequest KeRequest;

/* The next question to this database that still waits; NULL: none. */
extern KeRequest *ke_request_take(Oid database);

/* Its payload is to be read from the start after each call. */
extern const KeQuestion *ke_request_question(const KeRequest *request);

/* False when whoever asked does not wait any more. */
extern bool ke_request_is_wanted(KeRequest *request);

/*
 * Send the answer.  False: it does not fit into the queue at once, call it
 * again, with any answer, when the other side has read (it sets our latch).
 * True: sent, or nobody wants it; the request is gone.
 */
extern bool ke_request_reply(KeRequest *request, const KeAnswer *answer);

#endif							/* KE_REQUEST_H */
