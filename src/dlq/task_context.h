/*
 * task_context.h
 *	  What a task process works with: its server, its clients of Kafka, and
 *	  the dead letters of one topic.
 *
 * Everything here runs outside of transactions, raises what is wrong for the
 * user who asked, and waits in slices in which it looks whether anybody still
 * waits for the answer.
 */
#ifndef KE_TASK_CONTEXT_H
#define KE_TASK_CONTEXT_H

#include "core/message.h"
#include "kafka/cluster.h"
#include "kafka/consumer.h"
#include "kafka/producer.h"
#include "shm/task.h"
#include "state/dlq_records.h"
#include "state/histories.h"
#include "state/identity.h"
#include "subscription/catalog.h"

typedef struct KeTaskContext
{
	MemoryContext context;		/* all that lasts as long as the process */
	MemoryContext work;			/* what lasts as long as a task */
	NameData	name;			/* of the server, for pg_stat_activity */
	KeServer   *server;			/* as the clients were opened for */
	KePositionKey key;			/* this cluster, the admin group; in work */
	char		uuid[KE_UUID_LEN];	/* empty: this database has none */
	KeCluster  *cluster;		/* NULL: not open yet, as the next */
	KeConsumer *reader;			/* reads committed, never joins its group */
	KePast	   *past;			/* of this database; as the task began */
	KePartitionList *assigned;	/* to reader, in context; NULL: nothing */
	KeProducer *producer;		/* of the run before, which has ended well;
								 * NULL: none */
	char		producer_topic[KE_TOPIC_LEN];	/* whose letters it moved */
} KeTaskContext;

/* The letters of a topic, as they are when the task begins. */
typedef struct KeDlqTopic
{
	const char *topic;
	int			partitions;
	int64	   *lows;			/* one per partition, so for the next two */
	int64	   *highs;			/* the end of what is committed */
	int64	   *positions;		/* the admin group's, at least low */
	bool	   *forgotten;		/* Kafka has no position, the mirror has */
	char	  **metadata;		/* of the position in Kafka, or NULL */
	KeDlqLetter *letters;		/* of the table, by partition and offset */
	int			nletters;
} KeDlqTopic;

/* Letters to be read, to not included. */
typedef struct KeDlqReadRange
{
	int32		partition;
	int64		from;
	int64		to;
} KeDlqReadRange;

typedef struct KeDlqReader KeDlqReader;

/*
 * task_context.c: read the server anew.  False if it is not the one the
 * clients were opened for: the process is to be started again.
 */
extern KeTaskContext *ke_task_context_make(void);
extern bool ke_task_context_is_current(KeTaskContext *taskctx, Oid server);
extern void ke_task_context_open(KeTaskContext *taskctx,
								 const KeTaskOrder *order);

/* Raise that Kafka does not answer what was asked for. */
extern void ke_task_context_refuse(KeTaskContext *taskctx, int error,
								   const char *doing) pg_attribute_noreturn();

/* dlq_topic.c: raises if there is no such topic. */
extern KeDlqTopic *ke_dlq_topic_look(KeTaskContext *taskctx,
									 const KeTaskOrder *order);
extern const KeDlqLetter *ke_dlq_topic_letter(const KeDlqTopic *dlq,
											  int32 partition,
											  int64 offset);
extern bool ke_dlq_topic_is_pending(const KeDlqTopic *dlq, int32 partition,
									int64 offset);

/*
 * Whose letter is it?  Those that do not say are an older system's, ours, and
 * so are those of Spring and Connect: what they keep of another service's is
 * from before.
 */
extern bool ke_dlq_topic_is_ours(const KeTaskContext *taskctx, KeMessage *msg);

/*
 * Was it sent by a history that this database has left?  Then the message
 * behind it was read again, and has a letter of its own if it is one still.
 */
extern bool ke_dlq_topic_is_orphan(const KeTaskContext *taskctx,
								   KeMessage *msg);

/*
 * Ranges, of KeDlqReadRange *, that hold what failed behind the position of
 * partition, and what lies ahead of it.
 */
extern List *ke_dlq_topic_failed_ranges(const KeDlqTopic *dlq,
										int32 partition);
extern List *ke_dlq_topic_new_ranges(const KeDlqTopic *dlq, int32 partition);

/* dlq_reader.c: read the ranges, of KeDlqReadRange *, in their order. */
extern KeDlqReader *ke_dlq_reader_open(KeTaskContext *taskctx,
									   const KeTask *task,
									   const char *topic, List *ranges);

/* False: no more, or nobody waits for them.  The caller releases msg. */
extern bool ke_dlq_reader_next(KeDlqReader *letters, KeMessage *msg);
extern void ke_dlq_reader_close(KeDlqReader *letters);

/* Send a message to whoever asked; false: nobody waits any more. */
extern bool ke_dlq_reader_show(KeTask *task, KeMessage *msg);

/* dlq_browse.c */
extern void ke_dlq_browse(KeTaskContext *taskctx, KeTask *task);

/* topic_browse.c: messages of any topic. */
extern void ke_topic_browse(KeTaskContext *taskctx, KeTask *task);

/*
 * How many partitions the order's topic has, and for each the first offset at
 * or after a time (also KE_KAFKA_BEGINNING, KE_KAFKA_END).  Both raise if
 * there is no such topic or partition, or the cluster does not say.
 */
extern int	ke_topic_browse_partitions(KeTaskContext *taskctx,
									   const KeTaskOrder *order);
extern int64 *ke_topic_browse_offsets(KeTaskContext *taskctx,
									  const KeTaskOrder *order,
									  int partitions, int64 time_ms);

/* reprocess.c */
extern void ke_reprocess_run(KeTaskContext *taskctx, KeTask *task);

/*
 * Of all DLQ topics that need it: settle what a run has left behind that did
 * not come to its end, and commit positions again before Kafka forgets them.
 */
extern void ke_reprocess_upkeep(KeTaskContext *taskctx, Oid server,
								bool (*should_stop) (void));

#endif							/* KE_TASK_CONTEXT_H */
