/*
 * monitor.h
 *	  What the functions that show how things are have in common.
 */
#ifndef KE_MONITOR_H
#define KE_MONITOR_H

#include "shm/lag.h"
#include "shm/roster.h"
#include "subscription/catalog.h"

/* Why there is nobody who could ask a cluster, or NULL. */
extern const char *ke_monitor_obstacle(void);

/*
 * Why the server's consumers do not run, as far as settings and processes
 * go; empty: nothing is known.  Needs shared memory.
 */
extern char *ke_monitor_server_reason(const KeServer *server);

/* Running, and its queue was served in the last 60 s. */
extern bool ke_monitor_is_serving(const KeSlotReport *report);

/* The same, and its cluster has answered in the last 60 s, where known. */
extern bool ke_monitor_is_healthy(const KeSlotReport *report);

/* "<service>-main-0"; NULL for nobody. */
extern char *ke_monitor_consumer(const KeServer *server, KeRole role,
								 int ordinal);

/* The report of one process, among count; NULL: it has no slot. */
extern const KeSlotReport *ke_monitor_find(const KeSlotReport *reports,
										   int count, Oid server,
										   KeRole role, int ordinal);

/* The last thing that went wrong with a process, or why there is none. */
extern const char *ke_monitor_process_error(const KeServer *server,
											KeRole role,
											const KeSlotReport *report);

/*
 * What is the matter with a process now, or NULL; report NULL: it has no
 * slot.  Needs a transaction.
 */
extern const char *ke_monitor_process_trouble(const KeServer *server,
											  KeRole role,
											  const KeSlotReport *report);

/*
 * How many processes of a role (main, retry or relay) a server should have,
 * given whether it has any subscription.  Needs shared memory.
 */
extern int	ke_monitor_expected(const KeServer *server, KeRole role,
								bool subscribed);

/*
 * All entries of this database's lag, with what is on record of them, and
 * with the lock that an owner waits for.  Needs a transaction.
 */
extern KeLagRow *ke_monitor_partitions(int *count);

/*
 * Messages from the position to the end; -1: not known, as nobody has heard
 * of the end lately.
 */
extern int64 ke_monitor_lag(const KeLagRow *lag);

/* Of all the subscription's partitions; -1: of one of them it is not known. */
extern int64 ke_monitor_lag_of(const KeLagRow *rows, int count,
							   Oid subscription);

#endif							/* KE_MONITOR_H */
