/*
 * session.c
 *	  A consumer's session: made once, reset between batches.
 *
 * The session belongs to the server's owner from its start; nothing here
 * ever switches from a more powerful role.  What DISCARD ALL does is done
 * after every batch, except that plans are kept, and in pieces: settings and
 * role are rolled back by xact.c with the transaction itself, LISTEN is
 * refused by PostgreSQL in background processes, and the rest is here.
 */
#include "postgres.h"
#include "core/compat.h"

#include "catalog/namespace.h"
#include "commands/prepare.h"
#include "commands/sequence.h"
#include "miscadmin.h"
#include "postmaster/bgworker.h"
#include "storage/lock.h"
#include "storage/proc.h"
#include "utils/guc.h"
#include "utils/portal.h"

#include "session/foreign_code.h"
#include "session/read_only.h"
#include "session/session.h"
#include "session/xact.h"

#define DEADLOCK_TIMEOUT_MS 100

/*
 * PGC_S_OVERRIDE makes the value the default too, which RESET ALL, SET TO
 * DEFAULT and a reload of the configuration files go back to.
 */
static void
fix_setting(const char *name, const char *value)
{
	SetConfigOption(name, value, PGC_SUSET, PGC_S_OVERRIDE);
}

static void
fix_setting_if_known(const char *name, const char *value)
{
	if (GetConfigOption(name, true, false) != NULL)
		fix_setting(name, value);
}

void
ke_session_connect(Oid database, Oid owner, bool synchronous_commit)
{
	const char *configured;

	ke_read_only_connecting();

	/* No flags: a role without LOGIN or CONNECT is a kill switch. */
	BackgroundWorkerInitializeConnectionByOid(database, owner, 0);

	configured = GetConfigOption("synchronous_commit", false, false);
	if (strcmp(configured, "off") != 0)
		ke_xact_set_durable_level(configured);

	if (OidIsValid(owner))
		ke_foreign_code_refuse();

	/* A role's own default role (ALTER ROLE ... SET role) is not its owner. */
	fix_setting("role", "none");
	ke_session_set_synchronous_commit(synchronous_commit);

	/*
	 * Timeouts meant for clients.  lock_timeout stays what the owner's
	 * sessions have, as its handlers are written for that; our own processes
	 * run no user code and rather wait.
	 */
	fix_setting("statement_timeout", "0");
	fix_setting("idle_in_transaction_session_timeout", "0");
	fix_setting("idle_session_timeout", "0");
	fix_setting_if_known("transaction_timeout", "0");
	if (!OidIsValid(owner))
		fix_setting("lock_timeout", "0");

	/*
	 * Several consumers may well write the same rows.  Who of them has to
	 * start again finds out sooner than after the second that is usual, and
	 * before a client's session would have to.
	 */
	if (OidIsValid(owner) && DeadlockTimeout > DEADLOCK_TIMEOUT_MS)
		fix_setting("deadlock_timeout",
					CppAsString2(DEADLOCK_TIMEOUT_MS));
}

void
ke_session_set_synchronous_commit(bool on)
{
	fix_setting("synchronous_commit", on ? ke_xact_durable_level() : "off");
}

void
ke_session_reset(void)
{
	PortalHashTableDeleteAll();
	DropAllPreparedStatements();
	LockReleaseAll(USER_LOCKMETHOD, true);
	ResetSequenceCaches();

	/*
	 * Deleting from catalogs needs a transaction.  The question that decides
	 * is asked of the transactions, as the namespace outlives its tables.
	 */
	if (ke_xact_left_temp() && ke_xact_begin())
	{
		ResetTempTableNamespace();
		ke_xact_commit();
		(void) ke_xact_left_temp();
	}
}
