/*
 * launcher.c
 *	  Finds databases with a server of ours and keeps their managers running.
 *
 * Connected to no database, it cannot see whether one has a server of ours:
 * it starts a manager there, which ends at once if there is nothing to do.
 * It does so for every database once at its start, one after the other, and
 * then for those that somebody told it about.
 */
#include "postgres.h"
#include "core/compat.h"

#include "miscadmin.h"
#include "storage/ipc.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "core/clock.h"
#include "core/guc.h"
#include "session/databases.h"
#include "session/session.h"
#include "session/xact.h"
#include "shm/circuit.h"
#include "shm/cluster_contact.h"
#include "shm/lag.h"
#include "shm/metrics.h"
#include "shm/reason.h"
#include "shm/role_demand.h"
#include "shm/schema_demand.h"
#include "shm/schema_use.h"
#include "shm/roster.h"
#include "worker/child.h"
#include "worker/launcher.h"
#include "worker/runtime.h"

/* A manager that finds nothing to do needs some milliseconds. */
#define PROBE_MS 2000

typedef struct Database
{
	Oid			oid;
	KeChild    *manager;
	bool		told;			/* of a change since the last start */
	bool		complained;		/* the database's reason is ours */
} Database;

/* Those whose manager runs, or should, or has left processes behind. */
static List *databases = NIL;

/* Everything that lasts longer than a round. */
static MemoryContext launcher_context;

static Database *
find_database(Oid oid)
{
	ListCell   *lc;

	foreach(lc, databases)
	{
		Database   *database = (Database *) lfirst(lc);

		if (database->oid == oid)
			return database;
	}
	return NULL;
}

static Database *
add_database(Oid oid, KeChild *manager)
{
	Database   *database = palloc0(sizeof(Database));

	database->oid = oid;
	database->manager = manager;
	database->told = false;
	databases = lappend(databases, database);
	return database;
}

/* Until somebody tells the database's name. */
static char *
anonymous(Oid oid)
{
	return psprintf("manager of database %u", oid);
}

/* A manager for the database, not wanted yet. */
static Database *
make_database(Oid oid, const char *name)
{
	KeIdentityOfProcess who = {.role = KE_ROLE_MANAGER,.database = oid};

	return add_database(oid, ke_child_make(&who, name));
}

/* Managers that a former launcher started, and what managers left behind. */
static void
adopt(void)
{
	KeSlotReport *reports;
	int			count;

	reports = ke_roster_reports(InvalidOid, &count);
	for (int i = 0; i < count; i++)
	{
		KeChild    *manager;

		if (reports[i].who.role != KE_ROLE_MANAGER)
			continue;
		manager = ke_child_adopt(&reports[i],
								 anonymous(reports[i].who.database));
		manager->wanted = true;
		add_database(reports[i].who.database, manager);
	}
	for (int i = 0; i < count; i++)
	{
		Oid			oid = reports[i].who.database;

		if (find_database(oid) == NULL)
			make_database(oid, anonymous(oid));
	}
	pfree(reports);
}

/* Have a manager look at the database, if it is there. */
static void
probe(Oid oid, const char *name)
{
	Database   *database = find_database(oid);
	char	   *title = psprintf("manager of database \"%s\"", name);

	if (database == NULL)
		database = make_database(oid, title);
	ke_child_rename(database->manager, title);
	pfree(title);
	database->told = true;
	database->manager->wanted = true;
	ke_child_hurry(database->manager);
}

/* The database is gone, or cannot be connected to. */
static void
give_up(Oid oid)
{
	Database   *database = find_database(oid);

	if (database != NULL)
		database->told = database->manager->wanted = false;
}

/* Look at the databases that somebody told us about (all: at every one). */
static void
take_notes(bool all)
{
	List	   *told = NIL;
	ListCell   *lc;
	Oid			oid;

	while (ke_roster_next_database(&oid))
	{
		if (OidIsValid(oid))
			told = list_append_unique_oid(told, oid);
		else
			all = true;
	}
	if ((!all && told == NIL) || !ke_guc_enabled)
		return;

	ke_xact_begin_shared();
	if (all)
	{
		foreach(lc, ke_databases_list())
		{
			KeDatabase *found = (KeDatabase *) lfirst(lc);
			MemoryContext old = MemoryContextSwitchTo(launcher_context);

			probe(found->oid, found->name);
			MemoryContextSwitchTo(old);
		}
	}
	foreach(lc, told)
	{
		KeDatabase *found = ke_databases_find(lfirst_oid(lc));
		MemoryContext old = MemoryContextSwitchTo(launcher_context);

		if (found != NULL)
			probe(found->oid, found->name);
		else
			give_up(lfirst_oid(lc));
		MemoryContextSwitchTo(old);
	}
	ke_xact_commit();
}

/* A database may have gone since its manager ran. */
static bool
still_exists(Oid oid)
{
	bool		exists;

	ke_xact_begin_shared();
	exists = ke_databases_find(oid) != NULL;
	ke_xact_commit();

	return exists;
}

/*
 * Stop what a manager that will not come back has left behind.  True: there
 * is something left to wait for.
 */
static bool
sweep(Oid oid)
{
	KeSlotReport *reports;
	int			count;
	bool		busy = false;

	reports = ke_roster_reports(oid, &count);
	for (int i = 0; i < count; i++)
	{
		if (reports[i].who.role == KE_ROLE_MANAGER)
			continue;
		if (reports[i].phase == KE_PHASE_EMPTY)
			ke_roster_free(reports[i].index);
		else
		{
			ke_roster_ask_stop(reports[i].index, false);
			busy = true;
		}
	}
	pfree(reports);

	return busy;
}

/*
 * Is a manager finding out whether it has anything to do?  One that takes
 * long, as somebody holds the lock on the extension, keeps nobody waiting.
 */
static bool
is_probing(const KeChild *manager, KeMoment now)
{
	KeSlotReport report;

	if (TimestampDifferenceExceeds(manager->since, now, PROBE_MS))
		return false;

	switch (manager->state)
	{
		case KE_CHILD_DOWN:
		case KE_CHILD_STOPPING:
			return false;
		case KE_CHILD_STARTING:
			return true;
		case KE_CHILD_UP:
			ke_roster_look(manager->slot, &report);
			return report.status == KE_STATUS_STARTING;
	}
	pg_unreachable();
}

static bool
any_is_probing(KeMoment now)
{
	ListCell   *lc;

	foreach(lc, databases)
	{
		if (is_probing(((Database *) lfirst(lc))->manager, now))
			return true;
	}
	return false;
}

/* A manager that runs tells its own reasons: only ours is taken back. */
static void
tell_trouble(Database *database)
{
	const char *trouble = database->manager->trouble;

	if (trouble != NULL || database->complained)
		ke_reason_set(database->oid, InvalidOid, trouble);
	database->complained = trouble != NULL;
}

/*
 * One database's turn; returns when it wants the next one.  A manager that
 * found nothing to do may not have known of a change that we were told about
 * before it was gone.
 */
static KeMoment
step(Database *database, KeMoment now)
{
	KeChild    *manager = database->manager;

	if (!ke_guc_enabled)
		database->told = manager->wanted = false;

	if (manager->state == KE_CHILD_DOWN && manager->wanted &&
		manager->not_before <= now)
	{
		/* One at a time: there may be many databases, and few slots. */
		if (any_is_probing(now))
			return DT_NOEND;
		manager->wanted = still_exists(database->oid);
		database->told = false;
	}
	ke_child_step(manager, now);
	manager->wanted |= database->told;
	tell_trouble(database);

	return ke_child_due(manager);
}

/* Every database's turn; returns when the next is due. */
static KeMoment
step_all(KeMoment now)
{
	KeMoment	due = DT_NOEND;
	ListCell   *lc;

	foreach(lc, databases)
	{
		Database   *database = (Database *) lfirst(lc);

		due = ke_clock_earlier(due, step(database, now));
		if (!ke_child_is_over(database->manager) || sweep(database->oid))
			continue;
		databases = foreach_delete_current(databases, lc);
		ke_child_free(database->manager);
		ke_reason_forget(database->oid);
		ke_cluster_contact_forget(database->oid, InvalidOid);
		ke_role_demand_forget(database->oid, InvalidOid);
		ke_schema_demand_forget(database->oid, InvalidOid);
		ke_schema_use_forget(database->oid, InvalidOid);
		if (ke_guc_enabled)
		{
			ke_lag_forget(database->oid, InvalidOid);
			ke_metrics_forget_others(database->oid, NIL);
			ke_circuit_forget_others(database->oid, NIL);
		}
		pfree(database);
	}
	return due;
}

void
ke_launcher_main(Datum main_arg)
{
	MemoryContext round;
	bool		was_enabled = false;

	ke_runtime_attach(main_arg);
	ke_session_connect(InvalidOid, InvalidOid, false);
	ke_slot_set_status(KE_STATUS_RUNNING);
	ke_runtime_activity("waiting for databases with a Kafka server");

	launcher_context = AllocSetContextCreate(TopMemoryContext,
											 "kafka_events launcher",
											 ALLOCSET_SMALL_SIZES);
	round = AllocSetContextCreate(TopMemoryContext,
								  "kafka_events launcher round",
								  ALLOCSET_SMALL_SIZES);
	MemoryContextSwitchTo(launcher_context);
	adopt();

	while (!ke_runtime_should_stop())
	{
		KeMoment	due;

		MemoryContextSwitchTo(round);
		take_notes(ke_guc_enabled && !was_enabled);
		was_enabled = ke_guc_enabled;

		MemoryContextSwitchTo(launcher_context);
		due = step_all(ke_clock_now());
		MemoryContextReset(round);

		ke_runtime_sleep_until(due);
	}

	/* Not 0: the postmaster would never start it again. */
	proc_exit(1);
}
