/*
 * inquiry.h
 *	  Questions of users' backends that the manager has not answered yet.
 */
#ifndef KE_INQUIRY_H
#define KE_INQUIRY_H

#include "worker/service.h"

/*
 * Take new questions to this database, try to answer those that are due.
 * services: of KeService.  Returns when the next try is due.
 */
extern TimestampTz ke_inquiry_serve(List *services, TimestampTz now);

#endif							/* KE_INQUIRY_H */
