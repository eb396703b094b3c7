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
#include "shm/task.h"
#include "state/dlq_records.h"
#include "state/identity.h"
#include "subscription/catalog.h"

typedef struct KeDesk
{
	MemoryContext context;		/* all that lasts as long as the process */
	MemoryContext work;			/* what lasts as long as a task */
	NameData	name;			/* of the server, for pg_stat_activity */
	KeServer   *server;			/* as the clients were opened for */
	KePositionKey key;			/* this cluster, the admin group; in work */
	char		uuid[KE_UUID_LEN];	/* empty: this database has none */
	KeCluster  *cluster;		/* NULL: not open yet, as the next */
	KeConsumer *reader;			/* reads committed, never joins its group */
	KeKafkaList *assigned;		/* to reader, in context; NULL: nothing */
} KeDesk;

/* The letters of a topic, as they are when the task begins. */
typedef struct KeDlq
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
} KeDlq;

/* Letters to be read, to not included. */
typedef struct KeLetterRange
{
	int32		partition;
	int64		from;
	int64		to;
} KeLetterRange;

typedef struct KeLetters KeLetters;

/*
 * desk.c: read the server anew.  False if it is not the one the clients were
 * opened for: the process is to be started again.
 */
extern KeDesk *ke_desk_make(void);
extern bool ke_desk_is_current(KeDesk *desk, Oid server);
extern void ke_desk_open(KeDesk *desk, const KeTaskOrder *order);

/* Run work in a transaction; raises what it raises. */
extern void ke_desk_transact(void (*work) (void *argument), void *argument,
							 bool durable);

/* Raise that Kafka does not answer what was asked for. */
extern void ke_desk_refuse(KeDesk *desk, int error,
						   const char *doing) pg_attribute_noreturn();

/* dlq.c: raises if there is no such topic. */
extern KeDlq *ke_dlq_look(KeDesk *desk, const KeTaskOrder *order);
extern const KeDlqLetter *ke_dlq_letter(const KeDlq *dlq, int32 partition,
										int64 offset);
extern bool ke_dlq_is_pending(const KeDlq *dlq, int32 partition,
							  int64 offset);

/* Whose letter is it?  Those that do not say are an older system's, ours. */
extern bool ke_dlq_is_ours(const KeDesk *desk, KeMessage *msg);

/*
 * Ranges, of KeLetterRange *, that hold what failed behind the position of
 * partition, and what lies ahead of it.
 */
extern List *ke_dlq_failed_ranges(const KeDlq *dlq, int32 partition);
extern List *ke_dlq_new_ranges(const KeDlq *dlq, int32 partition);

/* letters.c: read the ranges, of KeLetterRange *, in their order. */
extern KeLetters *ke_letters_open(KeDesk *desk, const KeTask *task,
								  const char *topic, List *ranges);

/* False: no more, or nobody waits for them.  The caller releases msg. */
extern bool ke_letters_next(KeLetters *letters, KeMessage *msg);
extern void ke_letters_close(KeLetters *letters);

/* browse.c */
extern void ke_browse_run(KeDesk *desk, KeTask *task);

/* reprocess.c */
extern void ke_reprocess_run(KeDesk *desk, KeTask *task);

/*
 * Of all DLQ topics that need it: settle what a run has left behind that did
 * not come to its end, and commit positions again before Kafka forgets them.
 */
extern void ke_reprocess_upkeep(KeDesk *desk, Oid server,
								bool (*should_stop) (void));

#endif							/* KE_TASK_CONTEXT_H */
