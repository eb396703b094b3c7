/*
 * reprocess_run.h
 *	  The inside of a run that moves dead letters: for fence.c, fate.c,
 *	  chunk.c and reprocess.c.
 *
 * A run first fences whoever ran before (fence.c), then reads letters, decides
 * about each (fate.c), and moves them in chunks, each in one Kafka transaction
 * together with the admin group's position (chunk.c).
 *
 * What the position cannot say is on record in the database, which commits
 * apart from Kafka.  So each Kafka transaction also writes a number, the
 * marker, into the metadata of the position it moves.  A record that depends
 * on a transaction is written before it, with its marker; whether that has
 * committed, the position's metadata tells for ever after.
 */
#ifndef KE_REPROCESS_RUN_H
#define KE_REPROCESS_RUN_H

#include "core/dlq_reply.h"
#include "dlq/task_context.h"
#include "kafka/transaction.h"

typedef enum KeFate
{
	KE_FATE_PASS,				/* not ours, or not pending: left alone */
	KE_FATE_SEND,
	KE_FATE_DISCARD,
	KE_FATE_FAIL				/* stays pending */
} KeFate;

typedef struct KeMove
{
	KeMessage	msg;
	KeFate		fate;
	const char *topic;			/* SEND: where to */
	int32		partition;		/* likewise; -1: by key */
	KeHeader   *headers;
	int			nheaders;
	const char *error;			/* FAIL */
} KeMove;

#define KE_CHUNK_MESSAGES 1000
#define KE_CHUNK_BYTES (16 * 1024 * 1024)

typedef struct KeRun
{
	KeDesk	   *desk;
	KeTask	   *task;			/* NULL: upkeep, nobody waits */
	const KeTaskOrder *order;
	bool		(*should_stop) (void);
	KeProducer *producer;
	bool		singly;			/* a letter was refused: see chunk.c */
	KeDlq	   *dlq;
	int64	   *markers;		/* the last one of each partition */
	List	   *targets;		/* topics that were looked at */

	/* the chunk, all of one partition; its memory is in chunk_context */
	MemoryContext chunk_context;
	int32		partition;
	bool		recorded;		/* letters behind the position, or a single
								 * one: the position stays */
	int64		next;			/* where the position goes otherwise */
	KeMove		moves[KE_CHUNK_MESSAGES];
	int			nmoves;
	Size		bytes;

	/* what is told */
	KeLetterTotals totals;
	int			told;			/* letters that were not failures */
	TimestampTz told_at;
} KeRun;

extern bool ke_run_is_wanted(const KeRun *run);

/* fence.c: only we move letters of the topic from now on. */
extern void ke_run_fence(KeRun *run);

/* The same again; true if the transaction with this marker had committed. */
extern bool ke_run_renew(KeRun *run, int64 marker);
extern void ke_run_close(KeRun *run);
extern void ke_run_raise(KeRun *run, KeVerdict verdict,
						 const KeTrouble *trouble) pg_attribute_noreturn();

/* fate.c: the decision lives in the current context. */
extern void ke_run_decide(KeRun *run, KeMove *move);

/* chunk.c: false: nobody waits any more, and nothing of the rest is moved. */
extern bool ke_run_move_chunk(KeRun *run);

/* The position of run->partition, where it is, so that Kafka keeps it. */
extern bool ke_run_commit_position(KeRun *run);

/* reprocess.c: of moves that are through. */
extern void ke_run_tell(KeRun *run, const KeMove *moves, int count);

/* marker.c: a database's marker in the metadata of a position; 0: none. */
extern int64 ke_marker_get(const char *metadata, const char *uuid);
extern char *ke_marker_put(const char *metadata, const char *uuid,
						   int64 marker);

#endif							/* KE_REPROCESS_RUN_H */
