/*
 * request.h
 *	  Questions of users' backends to their database's manager.
 *
 * A fixed slot in shared memory and one DSM segment with a shm_mq per
 * request: the reply may be of any size, and each side sees the other's end
 * or death by the queue being detached.  Privileges are checked by the
 * asking backend before it asks.
 */
#ifndef KE_REQUEST_H
#define KE_REQUEST_H

#include "datatype/timestamp.h"

#define KE_TOPIC_LEN 250		/* 249 characters and a NUL */

typedef enum KeQuestionKind
{
	KE_ASK_TOPIC,				/* does it exist, how many partitions */
	KE_ASK_EARLIEST,			/* first offset of every partition */
	KE_ASK_LATEST,				/* end of every partition */
	KE_ASK_TIME					/* first offset at or after a time */
} KeQuestionKind;

typedef struct KeQuestion
{
	KeQuestionKind kind;
	Oid			server;
	int64		timestamp_ms;	/* KE_ASK_TIME */
	char		topic[KE_TOPIC_LEN];
} KeQuestion;

typedef struct KeAnswer
{
	bool		answered;		/* false: text says why there is no answer */
	bool		topic_exists;
	int			partitions;
	int64	   *offsets;		/* one per partition, where asked */
	char	   *cluster_id;
	char	   *text;
	char	   *hint;			/* or NULL */
} KeAnswer;

/*
 * Ask the manager of this database; waits until it runs (its server may have
 * been made a moment ago), at most timeout_ms, and serves interrupts.  Never
 * raises for a missing answer.  Result in the current context.
 */
extern KeAnswer *ke_request_ask(const KeQuestion *question, int timeout_ms);

#endif							/* KE_REQUEST_H */
