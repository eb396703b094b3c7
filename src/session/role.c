/*
 * role.c
 *	  The role that a session of ours runs as.
 */
#include "postgres.h"
#include "core/compat.h"

#include "miscadmin.h"
#include "utils/guc.h"

#include "session/role.h"

void
ke_role_restore(void)
{
	Oid			owner = GetAuthenticatedUserId();

	if (likely(GetUserId() == owner && GetSessionUserId() == owner))
		return;

	/* NULL: what RESET does. */
	SetConfigOption("session_authorization", NULL, PGC_SUSET, PGC_S_SESSION);
	SetConfigOption("role", "none", PGC_SUSET, PGC_S_SESSION);
}
