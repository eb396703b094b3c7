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

/*
 * The server called name, or the only one; raises unless the current user is
 * a member of its owner, naming what of it is asked for.  Keeps the extension
 * from being dropped.
 */
extern KeServer *ke_visible_own_server(const char *name, const char *what);

#endif							/* KE_VISIBLE_H */
