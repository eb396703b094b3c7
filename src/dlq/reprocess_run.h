/*
 * reprocess_run.h
 *	  The inside of a run that moves dead letters, for reprocess*.c.
 *
 * A run first fences whoever ran before (reprocess_fence.c), then reads
 * letters, decides about each (reprocess_decide.c), and moves them in chunks,
 * each in one Kafka transaction together with the admin group's position
 * (reprocess_chunk.c).
 *
 * What the position cannot say is on record in the database, which commits
 * apart from Kafka.  So each Kafka transaction also writes a number, the
 * marker, into the metadata of the position it moves.  A record that depends
 * on a transaction is written before it, with its marker; whether that has
 * committed, the position's metadata tells for ever after.
 */
#ifndef KE_REPROCESS_RUN_H
#define KE_REPROCESS_RUN_H

#include "portability/instr_time.h"

#include "core/clock.h"
#include "core/dlq_reply.h"
#include "dlq/task_context.h"
#include "kafka/transaction.h"
#include "state/offset_metadata.h"

typedef enum KeReprocessDecision
{
	KE_REPROCESS_PASS,			/* not ours, or not pending: left alone */
	KE_REPROCESS_ORPHAN,		/* likewise, but told */
	KE_REPROCESS_SEND,
	KE_REPROCESS_DISCARD,
	KE_REPROCESS_FAIL			/* stays pending */
} KeReprocessDecision;

typedef struct KeReprocessMove
{
	KeMessage	msg;
	KeReprocessDecision decision;
	const char *topic;			/* SEND: where to */
	int32		partition;		/* likewise; -1: by key */
	KeHeader   *headers;
	int			nheaders;
	const char *error;			/* FAIL */
} KeReprocessMove;

/* A topic that letters are to be sent to. */
typedef struct KeReprocessTarget
{
	char	   *name;
	int			partitions;
	bool		compacted;		/* and letters must not go to such a one */
	char	   *refusal;		/* why none can be sent; NULL: they can */
} KeReprocessTarget;

/*
 * Each chunk costs some milliseconds at the coordinator, and is through long
 * before its transaction times out.  What has to be told or put on record
 * letter by letter comes in smaller ones.
 */
#define KE_CHUNK_MESSAGES 10000
#define KE_SMALL_CHUNK_MESSAGES 1000
#define KE_CHUNK_BYTES (16 * 1024 * 1024)

typedef struct KeReprocessRun
{
	KeTaskContext *taskctx;
	KeTask	   *task;			/* NULL: upkeep, nobody waits */
	const KeTaskOrder *order;
	bool		(*should_stop) (void);
	KeProducer *producer;
	bool		reused;			/* it is the run before's, and nobody knows
								 * yet whether it is fenced */
	bool		stale;			/* it is: the run is to begin anew */
	bool		told_orphans;
	KeDlqTopic *dlq;
	int64	   *markers;		/* the last one of each partition */
	KeCopyHistory history;		/* up to what is on record */
	const char *source;			/* the topic whose letters they are; NULL: the
								 * topic's name does not say it */
	List	   *subscriptions;	/* the server's, of KeSubscription */
	List	   *targets;		/* of KeReprocessTarget, those looked at */

	/* the chunk, all of one partition; its memory is in chunk_context */
	MemoryContext chunk_context;
	int32		partition;
	bool		recorded;		/* letters behind the position, or a single
								 * one: the position stays */
	int64		next;			/* where the position goes otherwise */
	KeReprocessMove moves[KE_CHUNK_MESSAGES];
	int			nmoves;
	Size		bytes;

	/* what is told */
	KeDlqReplyTotals totals;
	int			told;			/* letters that were not failures */
	KeMoment	told_at;
} KeReprocessRun;

/* Part of a chunk, to be moved in one transaction. */
typedef struct KeReprocessPart
{
	KeReprocessRun *run;
	KeReprocessMove *moves;
	int			count;
	int64		next;			/* where the position goes */
	int64		marker;
	int64		position;		/* where it is until then */

	/* its last try */
	instr_time	begun;			/* before the transaction was */
	bool		is_sent;		/* all letters: they are not to blame */
	KeReprocessMove *refused;	/* by the broker, perhaps with neighbours */
	KeTrouble	trouble;		/* its, or the transaction's */
} KeReprocessPart;

extern bool ke_reprocess_fence_is_wanted(const KeReprocessRun *run);

/* reprocess_fence.c: only we move letters of the topic from now on. */
extern void ke_reprocess_fence(KeReprocessRun *run);

/* The same again; true if the transaction with this marker had committed. */
extern bool ke_reprocess_fence_renew(KeReprocessRun *run, int64 marker);

/*
 * Has anybody else moved the position of run->partition?  Raises if Kafka
 * does not say.
 */
extern bool ke_reprocess_fence_was_passed(KeReprocessRun *run);
extern void ke_reprocess_fence_close(KeReprocessRun *run);

/*
 * The run has ended well: the next one of these letters need not connect.  If
 * somebody else has taken over until then, its first transaction is refused.
 */
extern void ke_reprocess_fence_keep(KeReprocessRun *run);
extern void ke_reprocess_fence_raise(KeReprocessRun *run,
									 KeTransactionResult verdict,
									 const KeTrouble *trouble)
			pg_attribute_noreturn();

/*
 * reprocess_target.c: prepare reads what is subscribed.  A topic that is not
 * known gets no letter because the letter says so; one that is not retried
 * has a retry topic that nobody reads.
 */
extern void ke_reprocess_target_prepare(KeReprocessRun *run);
extern bool ke_reprocess_target_is_known(const KeReprocessRun *run,
										 const char *topic);
extern bool ke_reprocess_target_is_retried(const KeReprocessRun *run,
										   const char *topic);

/* As it was when it was first looked at in this run; raises if nobody says. */
extern KeReprocessTarget *ke_reprocess_target_find(KeReprocessRun *run,
												   const char *topic);

/* The producer is new: tell it of the topics that are known. */
extern void ke_reprocess_target_teach(KeReprocessRun *run);

/* A broker takes nothing for it: later letters fail at once. */
extern void ke_reprocess_target_bar(KeReprocessRun *run, const char *topic,
									int error);

/* Raises if no letter may go back where all of them are from. */
extern void ke_reprocess_target_check_source(KeReprocessRun *run);

/* reprocess_decide.c: the decision lives in the current context. */
extern void ke_reprocess_decide(KeReprocessRun *run, KeReprocessMove *move);

/* reprocess_records.c: of a KeReprocessPart, in a transaction. */
extern void ke_reprocess_records_prepare(void *argument);
extern void ke_reprocess_records_restore(void *argument);
extern void ke_reprocess_records_complete(void *argument);

/*
 * reprocess_chunk.c.  False: nobody waits any more, and nothing of the rest is
 * moved.
 */
extern bool ke_reprocess_chunk_move(KeReprocessRun *run);

/* The position of run->partition, where it is, so that Kafka keeps it. */
extern bool ke_reprocess_chunk_commit_position(KeReprocessRun *run);

/* reprocess_report.c: of moves that are through, then of the whole run. */
extern void ke_reprocess_report(KeReprocessRun *run,
								const KeReprocessMove *moves, int count);
extern void ke_reprocess_report_orphan(KeReprocessRun *run,
									   const KeReprocessMove *move);
extern void ke_reprocess_report_totals(KeReprocessRun *run, bool final);

#endif							/* KE_REPROCESS_RUN_H */
