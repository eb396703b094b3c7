/*
 * requests.h
 *	  Questions of users' backends that the manager has not answered yet.
 */
#ifndef KE_REQUESTS_H
#define KE_REQUESTS_H

#include "core/clock.h"
#include "worker/service.h"

/*
 * Take new questions to this database, try to answer those that are due.
 * services: of KeService.  Returns when the next try is due.
 */
extern KeMoment ke_requests_serve(List *services, KeMoment now);

#endif							/* KE_REQUESTS_H */
