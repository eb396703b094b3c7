/*
 * service.h
 *	  One server of ours, as the manager runs it: which processes, and if
 *	  none, why.
 *
 * A service outlives its foreign server until its processes are gone.
 */
#ifndef KE_SERVICE_H
#define KE_SERVICE_H

#include "cluster/watch.h"
#include "core/clock.h"
#include "shm/roster.h"
#include "subscription/catalog.h"

typedef struct KeService
{
	MemoryContext context;		/* where it lives, with watch and children */
	Oid			oid;			/* the foreign server */
	KeServer   *server;			/* NULL: dropped; in the configuration */
	List	   *subscriptions;	/* likewise */
	int			nsubscriptions; /* as last read */
	KeWatch    *watch;
	List	   *children;		/* of KeChild */
	uint64		fingerprint;	/* what the processes were started for */
	NameData	name;			/* likewise */
	bool		consumer_protocol;	/* likewise */
	bool		running;		/* processes were wanted, last time */
	bool		upkeep;			/* dead letters are to be looked after */
	char		reason[KE_REASON_LEN];	/* why not, as the views have it */
	KeMoment	reason_since;	/* since when there is any */
	bool		reason_logged;	/* this one */
	bool		complained;		/* one of those since then */
	bool		silence_logged; /* that nobody answers, since then */
} KeService;

/* In the current context, as everything the service will ever hold. */
extern KeService *ke_service_make(Oid server);

/* A process that a former manager started: it is stopped first. */
extern void ke_service_adopt(KeService *service, const KeSlotReport *report);

/* The catalogs were read again; server NULL: it is not there any more. */
extern void ke_service_configure(KeService *service, KeServer *server,
								 List *subscriptions);

/*
 * Decide what should run, given why nothing may (NULL: it may), and do what
 * is due.  Returns when something is due next.
 */
extern KeMoment ke_service_step(KeService *service,
								   const KeWatchFacts *facts,
								   const char *obstacle, KeMoment now);

/* The same to stop everything. */
extern KeMoment ke_service_stop(KeService *service, KeMoment now);

/* No server and no process any more. */
extern bool ke_service_is_over(const KeService *service);
extern bool ke_service_has_processes(const KeService *service);
extern bool ke_service_has_orphans(const KeService *service);

extern void ke_service_free(KeService *service);

#endif							/* KE_SERVICE_H */
