/*
 * lag.h
 *	  One entry per partition of a group: what kafka_consumer_lag shows.
 *
 * Written by the consumer that owns the partition, by the manager while
 * nobody does, read by any backend.  Where the partition ends, the manager
 * asks in any case: a consumer hears of it only with what it fetches.
 * Partition -1 stands for the topic as a whole: the manager says there that
 * it does not exist.
 */
#ifndef KE_LAG_H
#define KE_LAG_H

#include "core/clock.h"
#include "shm/reason.h"
#include "shm/slot.h"

typedef enum KePartitionStatus
{
	KE_PARTITION_STARTING,
	KE_PARTITION_RUNNING,
	KE_PARTITION_PAUSED,
	KE_PARTITION_STOPPED,
	KE_PARTITION_UNASSIGNED
} KePartitionStatus;

#define KE_LAG_TOPIC (-1)		/* the partition of a whole topic's entry */

typedef struct KeLagRow
{
	Oid			database;
	Oid			server;
	Oid			subscription;
	int32		partition;
	KeRole		role;
	int			ordinal;		/* the owner's; -1: nobody */
	int64		position;		/* -1: unknown, so for the next three */
	int64		committed;
	int64		end;
	int64		last_stable;
	KeMoment	heard_at;		/* when the owner last fetched; 0: never */
	int64		asked_end;		/* what the manager was told it ends at */
	KeMoment	asked_at;		/* when that was; 0: never */
	KePartitionStatus status;
	KeMoment	owned_in;		/* ke_slot_stay_in_group's answer when a
								 * consumer of ours last started it; 0: none
								 * has */
	bool		strangers;		/* since then a member had it that is none of
								 * ours */
	char		reason[KE_REASON_LEN];
} KeLagRow;

extern void ke_lag_shmem_request(void);
extern void ke_lag_shmem_init(void);

/*
 * Insert or replace the entry with this row's key.  What the manager was told
 * of its end stays.
 */
extern void ke_lag_publish(const KeLagRow *row);

/*
 * The same, unless somebody owns the partition; owned_in stays, and strangers
 * once it is set.
 */
extern void ke_lag_publish_unowned(const KeLagRow *row);

/* What the entry's partition ended at just now, if there is the entry. */
extern void ke_lag_note_end(const KeLagRow *row, int64 end);

/* Mark as unassigned if the caller's ordinal still owns it. */
extern void ke_lag_release(Oid database, Oid subscription, int32 partition,
						   KeRole role, int ordinal);

/* The same for all partitions a process owns. */
extern void ke_lag_release_all(const KeIdentityOfProcess *who);

/* Forget one entry. */
extern void ke_lag_remove(Oid database, Oid subscription, int32 partition,
						  KeRole role);

/*
 * What is wrong with a subscription's topic, or topics, as a whole; NULL:
 * nothing.
 */
extern void ke_lag_publish_topic(Oid database, Oid server, Oid subscription,
								 const char *reason);

/* Forget what belongs to a subscription or, with InvalidOid, a database. */
extern void ke_lag_forget(Oid database, Oid subscription);

/*
 * Was the partition given to a member of the group that is none of ours, or
 * to one of ours, since the group was last empty (in_group_since)?  What is
 * committed there then, and not by us, is no reset from outside.
 */
extern bool ke_lag_is_contested(Oid database, Oid subscription,
								int32 partition, KeRole role,
								KeMoment in_group_since);

/* Copies of all entries of a database; palloc'd. */
extern KeLagRow *ke_lag_rows(Oid database, int *count);

#endif							/* KE_LAG_H */
