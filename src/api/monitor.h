/*
 * monitor.h
 *	  What the views about processes and those about subscriptions share.
 */
#ifndef KE_MONITOR_H
#define KE_MONITOR_H

#include "db/catalog.h"

/*
 * Why the server's consumers do not run, as far as settings and processes
 * go; empty: nothing is known.  Needs shared memory.
 */
extern char *ke_monitor_server_reason(const KeServer *server);

#endif							/* KE_MONITOR_H */
