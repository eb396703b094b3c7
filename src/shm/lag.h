/*
 * lag.h
 *	  One entry per partition of a group: what kafka_consumer_lag shows.
 *
 * Written by the consumer that owns the partition, read by any backend.
 */
#ifndef KE_LAG_H
#define KE_LAG_H

#include "shm/slot.h"

typedef enum KePartitionStatus
{
	KE_PARTITION_STARTING,
	KE_PARTITION_RUNNING,
	KE_PARTITION_PAUSED,
	KE_PARTITION_STOPPED,
	KE_PARTITION_UNASSIGNED
} KePartitionStatus;

#define KE_REASON_LEN 256

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
	KePartitionStatus status;
	char		reason[KE_REASON_LEN];
} KeLagRow;

/* Insert or replace the entry with this row's key. */
extern void ke_lag_publish(const KeLagRow *row);

/* Mark as unassigned if the caller's ordinal still owns it. */
extern void ke_lag_release(Oid database, Oid subscription, int32 partition,
						   KeRole role, int ordinal);

/* Forget what belongs to a subscription or, with InvalidOid, a database. */
extern void ke_lag_forget(Oid database, Oid subscription);

/* Copies of all entries of a database; palloc'd. */
extern KeLagRow *ke_lag_rows(Oid database, int *count);

#endif							/* KE_LAG_H */
