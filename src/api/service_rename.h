/*
 * service_rename.h
 *	  ALTER SERVER ... OPTIONS (SET service_name ...).
 *
 * The name of a service is part of its consumer groups: with another one,
 * every topic begins anew.
 */
#ifndef KE_SERVICE_RENAME_H
#define KE_SERVICE_RENAME_H

#include "subscription/catalog.h"

/* Before: raises while the server consumes; warns of what stays behind. */
extern void ke_service_rename_check(const KeServer *server);

/* After: what begins at the end of its topic begins now. */
extern void ke_service_rename_begin(KeServer *server);

#endif							/* KE_SERVICE_RENAME_H */
