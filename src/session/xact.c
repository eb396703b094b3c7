/*
 * xact.c
 *	  The only place where transactions begin and end in our processes.
 *
 * One message per transaction is a normal way to work, so what happens here
 * happens up to a hundred thousand times per second: no catalog is read
 * unless something says that it changed.
 *
 * Settings: a transaction opens a nest level of its own (as a function with
 * a SET clause does), which is rolled back once the commit is recorded.
 * Whatever user code has SET, locally or not, is gone afterwards, for the
 * price of one branch when there was nothing.  It happens that late because
 * deferred triggers and the commit itself (synchronous_commit) still have to
 * see what the handler has set.
 */
#include "postgres.h"
#include "core/compat.h"

#include "access/xact.h"
#include "catalog/pg_extension.h"
#include "jit/jit.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "storage/lmgr.h"
#include "storage/lwlock.h"
#include "utils/guc.h"
#include "utils/inval.h"
#include "utils/memutils.h"
#include "utils/portal.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"

#include "session/guard.h"
#include "session/read_only.h"
#include "session/xact.h"
#include "subscription/catalog.h"
#include "subscription/extension.h"

/*
 * The wrapper's syscache tells that the extension was dropped.  An update of
 * the extension may leave the wrapper alone; that is seen within a second.
 */
#define LOOK_AGAIN_US USECS_PER_SEC

static bool callbacks_registered = false;
static Oid	extension = InvalidOid; /* as last seen */
static bool extension_doubtful = true;
static TimestampTz extension_seen_at = 0;
static char refusal[NAMEDATALEN + 128];

static int	settings_level = 0; /* 0: no transaction of ours is open */
static bool left_temp = false;
static bool durable = false;	/* this transaction's commit is to be */
static bool refused = false;
static const char *durable_level = "on";
static MemoryContext callers_context = NULL;	/* NULL likewise */

static void
wrapper_changed(Datum arg, int cacheid, uint32 hashvalue)
{
	extension_doubtful = true;
}

/*
 * At XACT_EVENT_COMMIT the commit is on record, nothing can fail any more,
 * and guc.c has not yet made the transaction's settings the session's.
 */
static void
transaction_ends(XactEvent event, void *arg)
{
	if (settings_level == 0)
		return;
	if (event == XACT_EVENT_COMMIT)
	{
		AtEOXact_GUC(false, settings_level);
		if (MyXactFlags & XACT_FLAGS_ACCESSEDTEMPNAMESPACE)
			left_temp = true;
		settings_level = 0;
	}
	else if (event == XACT_EVENT_ABORT)
		settings_level = 0;
}

static bool
version_is_known(void)
{
	char	   *version = ke_extension_version();

	if (ke_extension_is_served(version))
		return true;
	snprintf(refusal, sizeof(refusal),
			 "extension kafka_events has version %s, this library serves %s",
			 version ? version : "(none)", ke_extension_served());
	return false;
}

/*
 * Lock the extension object, and be sure that what was locked is there: the
 * lock may have been waited for, until a DROP EXTENSION was through.
 */
static bool
lock_extension(void)
{
	TimestampTz now = GetCurrentTransactionStartTimestamp();

	if (now < extension_seen_at || now - extension_seen_at > LOOK_AGAIN_US)
		extension_doubtful = true;
	if (!OidIsValid(extension))
		extension = ke_extension();

	while (OidIsValid(extension))
	{
		Oid			locked = extension;

		LockDatabaseObject(ExtensionRelationId, locked, 0, AccessShareLock);
		if (!extension_doubtful)
			return true;

		extension = ke_extension();
		if (extension == locked)
		{
			if (!version_is_known())
				return false;
			extension_doubtful = false;
			extension_seen_at = now;
			return true;
		}
	}
	strlcpy(refusal, "extension kafka_events is not installed",
			sizeof(refusal));
	return false;
}

bool
ke_xact_begin(void)
{
	if (!callbacks_registered)
	{
		CacheRegisterSyscacheCallback(FOREIGNDATAWRAPPEROID, wrapper_changed,
									  (Datum) 0);
		RegisterXactCallback(transaction_ends, NULL);
		callbacks_registered = true;
	}

	callers_context = CurrentMemoryContext;
	durable = refused = false;
	SetCurrentStatementStartTimestamp();
	pgstat_report_activity(STATE_RUNNING, NULL);
	StartTransactionCommand();

	if (!lock_extension())
	{
		ke_xact_abort();
		refused = true;
		return false;
	}

	/*
	 * Our own writes would go through, as they do not come by the executor:
	 * but positions that move where effects are forbidden would be a loss.
	 */
	if (XactReadOnly)
		ke_read_only_look_again();
	if (XactReadOnly)
		ereport(ERROR,
				(errcode(ERRCODE_READ_ONLY_SQL_TRANSACTION),
				 errmsg("transactions of role \"%s\" are read-only",
						GetUserNameFromId(GetUserId(), false)),
				 errhint("Set default_transaction_read_only to off for this role in this database.")));

	settings_level = NewGUCNestLevel();
	PushActiveSnapshot(GetTransactionSnapshot());
	return true;
}

bool
ke_xact_is_open(void)
{
	return settings_level != 0;
}

void
ke_xact_begin_shared(void)
{
	callers_context = CurrentMemoryContext;
	durable = false;
	SetCurrentStatementStartTimestamp();
	StartTransactionCommand();
	PushActiveSnapshot(GetTransactionSnapshot());
}

const char *
ke_xact_refusal(void)
{
	return refusal;
}

bool
ke_xact_was_refused(void)
{
	return refused;
}

static void
transaction_ended(void)
{
	MemoryContextSwitchTo(callers_context);
	callers_context = NULL;
	pgstat_report_stat(false);
	pgstat_report_activity(STATE_IDLE, NULL);
}

void
ke_xact_require_durable(void)
{
	durable = true;
}

/*
 * Without a guard: a stop may cancel user code, but not the wait for a
 * standby, after which the commit would pass for durable.
 */
static void
commit_durable(void)
{
	(void) set_config_option("synchronous_commit",
							 durable_level, PGC_USERSET, PGC_S_SESSION,
							 GUC_ACTION_LOCAL, true, 0, false);
	PopActiveSnapshot();
	CommitTransactionCommand();
	transaction_ended();
}

void
ke_xact_commit(void)
{
	if (durable)
	{
		commit_durable();
		return;
	}

	/* Deferred triggers are user code. */
	ke_guard_enter(0);
	PopActiveSnapshot();
	CommitTransactionCommand();
	ke_guard_stop();
	transaction_ended();
}

void
ke_xact_set_durable_level(const char *level)
{
	durable_level = MemoryContextStrdup(TopMemoryContext, level);
}

const char *
ke_xact_durable_level(void)
{
	return durable_level;
}

void
ke_xact_run(void (*work) (void *argument), void *argument, bool need_durable)
{
	if (!ke_xact_begin())
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("%s", ke_xact_refusal())));
	if (need_durable)
		ke_xact_require_durable();
	work(argument);
	ke_xact_commit();
}

/*
 * What PostgresMain does after an error, as far as it concerns a process
 * without a client.  Interrupts are held: a cancel that arrives now has
 * nothing left to cancel.
 */
void
ke_xact_abort(void)
{
	HOLD_INTERRUPTS();
	ke_guard_stop();
	if (!IsTransactionState())
		LWLockReleaseAll();
	AbortCurrentTransaction();
	PortalErrorCleanup();
	jit_reset_after_error();
	FlushErrorState();
	if (callers_context != NULL)
		transaction_ended();
	else
		MemoryContextSwitchTo(TopMemoryContext);
	RESUME_INTERRUPTS();
}

bool
ke_xact_left_temp(void)
{
	bool		left = left_temp;

	left_temp = false;
	return left;
}
