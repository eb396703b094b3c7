/*
 * requests.h
 *	  Questions of users' backends that the manager has not answered yet.
 */
#ifndef KE_REQUESTS_H
#define KE_REQUESTS_H

#include "worker/service.h"

/*
 * Take new questions to this database, try to answer those that are due.
 * services: of KeService.  Returns when the next try is due.
 */
extern TimestampTz ke_requests_serve(List *services, TimestampTz now);

#endif							/* KE_REQUESTS_H */
