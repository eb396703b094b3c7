/*
 * registry.h
 *	  Asks schema registries, for all who need schemas; part of the manager.
 */
#ifndef KE_REGISTRY_H
#define KE_REGISTRY_H

#include "core/clock.h"
#include "shm/request.h"
#include "subscription/catalog.h"

/*
 * Start what is wanted, and take what was answered.  Outside of transactions,
 * on the manager's round context.  servers: of KeServer, as they are now.
 * Returns when to call again, if no socket is ready before.
 */
extern KeMoment ke_registry_step(List *servers, KeMoment now);

/*
 * The latest schema of a subject, for a session that asks.  NULL: not yet,
 * call again.  The payload has id, type, text and the number of the schemas
 * it refers to, then the name and the text of each, all in UTF-8;
 * topic_exists is false when the registry does not know the subject.
 */
extern KeAnswer *ke_registry_latest(const KeServer *server,
									const char *subject);

#endif							/* KE_REGISTRY_H */
