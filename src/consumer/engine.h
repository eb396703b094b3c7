/*
 * engine.h
 *	  What one consumer process works with: its partitions, and per
 *	  subscription a stage where messages wait for their batch.
 *
 * Everything lives in engine->context, on the main thread; nothing in here is
 * shared memory.  Outside of transactions the current context is
 * engine->scratch, which the main loop resets in each round.
 */
#ifndef KE_ENGINE_H
#define KE_ENGINE_H

#include "consumer/contention.h"
#include "consumer/retry_chain.h"
#include "convert/split.h"
#include "core/clock.h"
#include "core/failure.h"
#include "core/message.h"
#include "core/pace.h"
#include "core/schema_id.h"
#include "handler/handler.h"
#include "handler/inspect.h"
#include "handler/table_router.h"
#include "kafka/consumer.h"
#include "shm/circuit.h"
#include "shm/lag.h"
#include "sink/sink.h"
#include "state/identity.h"
#include "state/positions.h"
#include "subscription/catalog.h"

typedef struct KeStage KeStage;

/*
 * One of the partitions that were fetched together sends more than the
 * library takes.  Each is fetched alone, to see which.
 */
typedef enum KeFetchTrial
{
	KE_FETCH_FREE,				/* no trial is under way */
	KE_FETCH_WAITS,				/* not fetched until it is its turn */
	KE_FETCH_ALONE,				/* it alone is fetched */
	KE_FETCH_PASSED				/* not fetched until all had their turn */
} KeFetchTrial;

/*
 * An assigned partition.
 *
 * STARTING: not fetched; its start is still to be decided (start_at says when
 * to try again, reason why).  RUNNING: fetched and processed.  PAUSED: its
 * subscription is paused, broken or gone.  STOPPED: a message or the log is
 * in the way, reason says which; kafka_consumer_resume or seek go on.
 */
typedef struct KePartition
{
	KeStage    *stage;			/* NULL: no subscription for the topic */
	const char *topic;			/* in engine->context */
	int32		partition;
	KePartitionStatus status;
	KePosition	pos;			/* the row as we wrote it last */
	bool		has_row;		/* pos is in the table and ours */
	bool		fetching;		/* not paused in the library */
	bool		decided;		/* STARTING: only Kafka's commit is missing */
	bool		verifying;		/* next message is pos's last: compare it */
	int64		fetch_from;		/* where fetching starts */
	int64		start;			/* where the partition was first started */
	int64		sent;			/* last offset sent to Kafka, or -1 */
	int64		end;			/* end of partition not stored yet, or -1 */
	int			careful;		/* messages still to run alone */
	int64		probed;			/* before this offset none is tried; probe.c */
	int			probes;			/* how many were */
	KeRetryChains *chains;		/* its parked messages; see ordered.c */
	bool		held;			/* not fetched: it waits for one of them */
	bool		restarted;		/* by this process, which has not ended */
	bool		contested;		/* see ke_lag_is_contested */
	KeMoment	owned_in;		/* see KeLagRow */
	KeMoment	start_at;
	KeFetchTrial trial;			/* fetch_trouble.c's */
	bool		heard;			/* it delivered something, lately */
	KeMoment	heard_at;		/* when that was last noticed; 0: never */
	bool		awaits;			/* not fetched until a schema is known;
								 * schema_wait.c's, as the next two */
	KeSchemaId	awaited;
	char		awaits_reason[KE_REASON_LEN];
	bool		counted;		/* scratch of ke_progress_collect */
	char		reason[KE_REASON_LEN];
	char		fault[KE_REASON_LEN];	/* RUNNING, but why it delivers
										 * nothing; empty: nothing is known */
} KePartition;

/* How often a message was run alone that is to be run again. */
typedef struct KeRepeats
{
	int32		partition;
	int64		offset;
	int			count;			/* 0: nobody's */
} KeRepeats;

#define KE_STAGE_REPEATS 8

/* A subscription, with the messages that wait for their batch in order. */
struct KeStage
{
	KeSubscription *sub;		/* in engine->config, as the next three */
	const char *topic;			/* what is fetched: it, or its retry topic */
	KeInspector *inspector;		/* NULL: none; so for the next two */
	KeHandler  *handler;
	KeSink	   *sink;
	KeTableRouter *router;		/* with neither, no rows are written */
	KeSplitter *splitter;		/* NULL: messages stay whole */
	KeMessage  *msgs;			/* [head, head + count) are waiting */
	KeMessage **refs;			/* room for pointers to them, for the batch */
	KePartition **parts;		/* whose message it is */
	int			head;
	int			count;
	int			allocated;
	Size		bytes;
	int			settled;		/* messages at the head that are not run any
								 * more; see settlement.h */
	KePace		pace;
	int			phantoms;		/* batches that failed for no message */
	bool		crowded;		/* its partitions wait in the library */
	KeCircuit	circuit;
	KeContention contention;
	bool		probing;		/* messages behind the first one were tried */
	int32		probed_partition;	/* whose was the last of them */
	uint64		changes;		/* in the catalogs, when last looked at */
	const char *halted;			/* why nothing of it runs now, or NULL */
	KeMoment	not_before;		/* trouble: when to try again */
	int			backoff_ms;
	char		trouble[KE_REASON_LEN]; /* of the database, if backoff_ms */
	bool		mismatches;		/* messages had none of the fields taken */
	bool		keys_looked_at; /* of the first messages, for the views */
	bool		rows_are_shared;	/* by partitions, as that look has found */
	bool		keys_differ;	/* messages of one row have different keys */
	int			repeats;		/* tries of the same messages together */
	KeRepeats	alone[KE_STAGE_REPEATS];
	int			last_alone;		/* the newest of them */
	double		message_ms;		/* what one takes, lately */

	/* only in retry consumers */
	KeMoment	due_at;			/* the next look for parked messages */
	TimestampTz looked_at;		/* the wall clock at the last one; 0: none */
	int			parked;			/* how many there are, about; -1: not known */
	KeMoment	room_at;		/* full: when to look for room for more */
};

typedef struct KeEngine
{
	MemoryContext context;
	MemoryContext config;		/* server, subscriptions: replaced together */
	MemoryContext scratch;		/* reset in each round of the main loop */
	KeConsumer *consumer;
	KeServer   *server;
	Oid			database;
	KeRole		role;
	int			ordinal;
	uint64		incarnation;
	char		uuid[37];
	char		database_name[NAMEDATALEN]; /* for people, as the next one */
	char		host[64];
	List	   *taken_over;		/* of char *, in config: uuids of databases
								 * whose positions are ours now */
	KePositionKey key;
	List	   *stages;			/* of KeStage */
	KePartition **parts;
	int			nparts;
	int			parts_allocated;
	KePartition *last_found;
	KeMoment	in_group_since;	/* see ke_slot_stay_in_group; 0: not in it */
	KeMoment	commit_at;		/* when Kafka's commit is due; 0: nothing */
	KeMoment	trial_at;		/* fetch_trouble.c: when the next step of a
								 * trial is due; 0: none is under way */
	int			too_big_for;	/* likewise: receive.message.max.bytes */
	KeMoment	schemas_at;		/* schema_wait.c: when to look again for
								 * schemas that partitions wait for; 0: none
								 * does */
	uint64		schema_answers; /* likewise: as of the last look */
	KePosition	runner;			/* retry consumers: see retry_due.c */
	bool		has_runner;
	int			runner_careful; /* parked messages still to be announced */
	KeMoment	forget_at;		/* when old copies are forgotten next */
	bool		extension_gone;
	bool		(*should_stop) (void);	/* the process was asked to end */
} KeEngine;

/* What the catalogs say, read in one transaction. */
typedef struct KeConfiguration
{
	MemoryContext context;		/* of the rest */
	KeServer   *server;			/* NULL: it was dropped */
	List	   *subscriptions;	/* of KeSubscription */
	KeIdentityState identity;
	pg_uuid_t	uuid;
	char	   *cluster_id;		/* the manager's finding; NULL: none yet */
	List	   *taken_over;		/* see KeEngine */
	char	   *database_name;
} KeConfiguration;

/*
 * configuration.c: what is to be done.  adopt makes the stages fit; the
 * configuration before goes away.
 */
extern bool ke_configuration_read(KeEngine *engine, Oid server,
								  KeConfiguration *into, KeFailure **fail);
extern void ke_configuration_adopt(KeEngine *engine, KeConfiguration *from);

/* stage.c: messages waiting */

/* Does it write rows, into one table or several? */
static inline bool
ke_stage_writes_rows(const KeStage *stage)
{
	return stage->sink != NULL || stage->router != NULL;
}

extern KeStage *ke_stage_make(KeEngine *engine, KeSubscription *sub);
extern void ke_stage_replace(KeEngine *engine, KeStage *stage,
							 KeSubscription *sub);
extern void ke_stage_close(KeEngine *engine, KeStage *stage);
extern void ke_stage_push(KeStage *stage, KePartition *part,
						  const KeMessage *msg);
extern void ke_stage_discard(KeStage *stage, int count);
extern void ke_stage_drop(KeStage *stage, KePartition *part);
extern void ke_stage_drop_from(KeStage *stage, KePartition *part, int from);
extern void ke_stage_bring_forward(KeStage *stage, int32 after);
extern bool ke_stage_is_ready(const KeStage *stage);
extern bool ke_stage_is_full(const KeStage *stage);
extern void ke_stage_wait_for_database(KeStage *stage,
									   const KeFailure *fail);
extern void ke_stage_note_speed(KeStage *stage, int count,
								int64 microseconds);

/* partition.c: one partition is held, stopped, released and shown */
extern KePartition *ke_partition_find(KeEngine *engine, const char *topic,
									  int32 partition);
extern const char *ke_partition_obstacle(const KeStage *stage);
extern void ke_partition_enter(KePartition *part);
extern void ke_partition_hold(KeEngine *engine, KePartition *part);
extern void ke_partition_stop_fetching(KeEngine *engine, KePartition *part);
extern void ke_partition_stop(KeEngine *engine, KePartition *part,
							  const char *reason);
extern void ke_partition_restart(KeEngine *engine, KePartition *part,
								 const char *reason);
extern void ke_partition_release(KeEngine *engine, List *parts);
extern void ke_partition_hold_back(KeEngine *engine, KeStage *stage);
extern void ke_partition_let_go_on(KeEngine *engine, KeStage *stage);
extern void ke_partition_halt(KeEngine *engine, KeStage *stage,
							  const char *reason);
extern void ke_partition_wait_for_breaker(KeEngine *engine, KeStage *stage,
										  KeMoment ask_at);
extern void ke_partition_publish(KeEngine *engine);

/* rebalance.c: partitions come and go */
extern void ke_rebalance_stay(KeEngine *engine);
extern void ke_rebalance_lost(KeEngine *engine, KePartitionList *list);
extern void ke_rebalance_assigned(KeEngine *engine, KePartitionList *list);
extern void ke_rebalance_revoked(KeEngine *engine, KePartitionList *list);
extern void ke_rebalance_attach(KeEngine *engine);
extern void ke_rebalance_detach(KeEngine *engine, KeStage *stage);
extern void ke_rebalance_recheck(KeEngine *engine);
extern void ke_rebalance_release(KeEngine *engine);

/* partition_start.c: from assigned to fetched */
extern void ke_partition_start_decide(KeEngine *engine, KeMoment now);
extern void ke_partition_start_finish(KeEngine *engine, KeMoment now,
									  bool in_library);

/* receive.c: what the queue delivers */
extern KeStage *ke_receive_message(KeEngine *engine, KeMessage *msg);
extern void ke_receive_end(KeEngine *engine, const KeKafkaPartition *end);
extern void ke_receive_partition_error(KeEngine *engine,
									   const KeConsumerEvent *event);

/* fetch_trouble.c: partitions that cannot be fetched */
extern void ke_fetch_trouble_note(KeEngine *engine, KePartition *part,
								  const KeConsumerEvent *event);
extern void ke_fetch_trouble_over(KeEngine *engine, KePartition *part);
extern void ke_fetch_trouble_too_big(KeEngine *engine, int limit);
extern void ke_fetch_trouble_step(KeEngine *engine, KeMoment now);

/* Must the partition not be fetched, while others are tried? */
static inline bool
ke_fetch_trouble_holds(const KePartition *part)
{
	return part->trial == KE_FETCH_WAITS || part->trial == KE_FETCH_PASSED;
}

/* offset_commit.c: Kafka's copy of the positions */
extern void ke_offset_commit_answered(KeEngine *engine, KePartitionList *list);
extern void ke_offset_commit_send(KeEngine *engine, KeMoment now);
extern bool ke_offset_commit_wait(KeEngine *engine, int timeout_ms);
extern char *ke_offset_commit_stamp(KeEngine *engine, const KePartition *part,
									int64 offset);

/* batch.c: messages into effects */
typedef enum KeBatchOutcome
{
	KE_BATCH_PROGRESS,			/* something was committed or set aside */
	KE_BATCH_WAIT,				/* the database is in trouble: not_before */
	KE_BATCH_CANCELLED			/* asked to stop in the middle of it */
} KeBatchOutcome;

extern KeBatchOutcome ke_batch_run(KeEngine *engine, KeStage *stage);
extern void ke_batch_ends(KeEngine *engine);

/* transact.c: a transaction of our own that may fail */
typedef void (*KeWork) (KeEngine *engine, void *argument);

extern bool ke_transact(KeEngine *engine, KeWork work, void *argument,
						bool durable, KeFailure **fail);

#endif							/* KE_ENGINE_H */
