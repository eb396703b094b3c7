/*
 * guc.h
 *	  The settings of the extension.
 */
#ifndef KE_GUC_H
#define KE_GUC_H

extern bool ke_guc_enabled;			/* kafka_events.enabled, sighup */
extern int	ke_guc_max_workers;		/* kafka_events.max_workers, postmaster */
extern int	ke_guc_max_subscriptions;	/* postmaster */
extern int	ke_guc_request_timeout;	/* kafka_events.request_timeout, ms */
extern char *ke_guc_default_server;	/* for sessions; '': the only one */
extern int	ke_guc_max_parked_retries;	/* of a subscription, sighup */

/* Called once from _PG_init while shared_preload_libraries are loaded. */
extern void ke_guc_define(void);

#endif							/* KE_GUC_H */
