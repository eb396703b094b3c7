/*
 * visible.c
 *	  Whose servers a user may look at: members of pg_monitor at all, members
 *	  of a server's owner at that one.
 *
 * Everybody may call the functions that show something.  Each of them takes
 * its servers from here, so that a row of somebody else's is never made.
 * Views over private tables say the same in their own WHERE, and are security
 * barriers.
 */
#include "postgres.h"
#include "core/compat.h"

#include "catalog/pg_authid.h"
#include "miscadmin.h"
#include "utils/acl.h"

#include "api/visible.h"
#include "subscription/extension.h"

bool
ke_visible_is(const KeServer *server)
{
	return has_privs_of_role(GetUserId(), ROLE_PG_MONITOR) ||
		has_privs_of_role(GetUserId(), server->owner);
}

List *
ke_visible_servers(void)
{
	List	   *servers = NIL;
	ListCell   *lc;

	foreach(lc, ke_catalog_every_server())
	{
		KeServer   *server = (KeServer *) lfirst(lc);

		if (ke_visible_is(server))
			servers = lappend(servers, server);
	}
	return servers;
}

KeServer *
ke_visible_server_by_name(const char *name)
{
	KeServer   *server = ke_catalog_server_by_name(name);

	if (!ke_visible_is(server))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("permission denied to look at server \"%s\"",
						server->name),
				 errhint("You must be a member of role \"%s\" or of pg_monitor.",
						 GetUserNameFromId(server->owner, false))));
	return server;
}

KeServer *
ke_visible_own_server(const char *name, const char *what)
{
	KeServer   *server;

	ke_extension_lock();
	server = ke_catalog_server_by_name(name);
	if (!has_privs_of_role(GetUserId(), server->owner))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("permission denied for %s of server \"%s\"",
						what, server->name),
				 errhint("You must be a member of role \"%s\".",
						 GetUserNameFromId(server->owner, false))));
	return server;
}
