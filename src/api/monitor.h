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
extern bool ke_monitor_is_healthy(const KeSlotReport *report);

/* "<service>-main-0"; NULL for nobody. */
extern char *ke_monitor_consumer(const KeServer *server, KeRole role,
								 int ordinal);

/* The report of one process, among count; NULL: it has no slot. */
extern const KeSlotReport *ke_monitor_find(const KeSlotReport *reports,
										   int count, Oid server,
										   KeRole role, int ordinal);

/* What a process says is wrong, or why there is none; may be empty. */
extern const char *ke_monitor_process_error(const KeServer *server,
											KeRole role,
											const KeSlotReport *report);

/*
 * How many processes of a role (main, retry or relay) a server should have,
 * given whether it has any subscription.  Needs shared memory.
 */
extern int	ke_monitor_expected(const KeServer *server, KeRole role,
								bool subscribed);

/* All entries of this database's lag, with what is on record of them. */
extern KeLagRow *ke_monitor_partitions(int *count);

/* Messages from the position to the end; -1: not known. */
extern int64 ke_monitor_lag(const KeLagRow *lag);

#endif							/* KE_MONITOR_H */
