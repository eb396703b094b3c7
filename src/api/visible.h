/*
 * visible.h
 *	  Whose servers a user may look at.
 */
#ifndef KE_VISIBLE_H
#define KE_VISIBLE_H

#include "subscription/catalog.h"

/* May the current user see how this server is? */
extern bool ke_visible_is(const KeServer *server);

/* Every server that the current user may see, as KeServer *. */
extern List *ke_visible_servers(void);

/*
 * One of them by name, or the only one if name is NULL; raises if there is
 * none, or it is not to be seen.
 */
extern KeServer *ke_visible_server_by_name(const char *name);

#endif							/* KE_VISIBLE_H */
