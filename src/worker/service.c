/*
 * service.c
 *	  One server of ours, as the manager runs it.
 *
 * The processes of a role are numbered from 0.  How many of each should run
 * is decided anew in every round, from the configuration, what is known of
 * the cluster and what has turned out to be needed; the rest is the
 * children's state machine.
 */
#include "postgres.h"
#include "core/compat.h"

#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "cluster/survey.h"
#include "core/clock.h"
#include "core/throttle.h"
#include "kafka/client.h"
#include "shm/cluster_contact.h"
#include "shm/role_demand.h"
#include "shm/schema_demand.h"
#include "shm/schema_use.h"
#include "shm/task.h"
#include "worker/child.h"
#include "worker/service.h"

/* What is outside of PostgreSQL may come and go within so long. */
#define PASSING_MS 3000

/* What an ALTER means to running processes: they are started again. */
typedef enum Alteration
{
	UNALTERED,
	ALTERED,					/* ... in the same place of the group */
	MOVED						/* ... under another name, or in another way:
								 * leave the group */
} Alteration;

KeService *
ke_service_make(Oid server)
{
	KeService  *service = palloc0(sizeof(KeService));

	service->context = CurrentMemoryContext;
	service->oid = server;
	service->watch = ke_watch_make();
	return service;
}

void
ke_service_adopt(KeService *service, const KeSlotReport *report)
{
	MemoryContext old = MemoryContextSwitchTo(service->context);
	KeChild    *child;

	child = ke_child_adopt(report, "process of a former manager");
	child->renew = child->state != KE_CHILD_DOWN;
	service->children = lappend(service->children, child);
	MemoryContextSwitchTo(old);
}

void
ke_service_configure(KeService *service, KeServer *server,
					 List *subscriptions)
{
	/* A new one may need topics for its copies, or be in another's group. */
	if (list_length(subscriptions) > service->nsubscriptions)
	{
		service->watch->next_look = 0;
		service->watch->looked = false;
	}
	if (server != NULL)
		service->nsubscriptions = list_length(subscriptions);

	/* Another service has other groups. */
	if (server != NULL && service->fingerprint != server->fingerprint)
	{
		service->watch->next_look = service->watch->whole_due = 0;
		service->watch->looked = false;
		service->watch->owner[0] = '\0';
	}
	service->server = server;
	service->subscriptions = subscriptions;
}

/* ----------------------------------------------------------- what to run */

/* Why none of the subscriptions can run; NULL if one can, or there is none. */
static const char *
find_breakage(const KeService *service)
{
	const char *breakage = NULL;
	ListCell   *lc;

	foreach(lc, service->subscriptions)
	{
		breakage = ((KeSubscription *) lfirst(lc))->broken;
		if (breakage == NULL)
			break;
	}
	return breakage;
}

/* Why the server does nothing at all, or NULL if it should. */
static const char *
find_obstacle(const KeService *service, const KeWatchFacts *facts,
			  const char *obstacle)
{
	if (obstacle != NULL)
		return obstacle;
	if (facts->identity == KE_IDENTITY_FOREIGN ||
		(facts->identity == KE_IDENTITY_NONE &&
		 service->subscriptions != NIL))
		return "identity not confirmed: call kafka_identity_confirm";
	if (service->watch->blocked)
		return service->watch->reason;
	return NULL;
}

/* Not more members than partitions, where the library needs that. */
static int
limit_members(int workers, int partitions)
{
	if (ke_client_takes_spare_members())
		return workers;
	return Min(workers, Max(partitions, 1));
}

static KeChild *
find_child(const KeService *service, KeRole role, int ordinal)
{
	ListCell   *lc;

	foreach(lc, service->children)
	{
		KeChild    *child = (KeChild *) lfirst(lc);

		if (child->who.role == role && child->who.ordinal == ordinal)
			return child;
	}
	return NULL;
}

/* How many processes of a role, if nothing is in their way. */
static int
wanted_processes(const KeService *service, KeRole role)
{
	const KeServerOptions *options = &service->server->options;

	if (role != KE_ROLE_MAIN &&
		!ke_role_demand_has(MyDatabaseId, service->oid, role))
		return 0;
	if (role == KE_ROLE_RELAY)
		return 1;
	if (service->subscriptions == NIL)
		return 0;

	/* Who joins a group that is another database's disturbs that. */
	if (!service->watch->looked &&
		find_child(service, role, 0) == NULL)
		return 0;
	if (role == KE_ROLE_MAIN)
		return limit_members(options->workers, service->watch->partitions);
	return limit_members(options->retry_workers,
						 service->watch->retry_partitions);
}

/* ------------------------------------------------------------- children */

/* Who runs a user's code is a session of the owner, and nobody else is. */
static Oid
session_role(const KeService *service, KeRole role)
{
	if (role == KE_ROLE_MAIN || role == KE_ROLE_RETRY)
		return service->server->owner;
	return InvalidOid;
}

/* Have a process run, with what is in the catalogs now. */
static void
want_child(KeService *service, const KeWatchFacts *facts, KeRole role,
		   int ordinal, Alteration alteration)
{
	KeIdentityOfProcess who = {
		.role = role,
		.database = facts->database,
		.server = service->oid,
		.owner = session_role(service, role),
		.ordinal = ordinal,
		.incarnation = facts->incarnation
	};
	char	   *name = psprintf("%s-%s-%d",
								service->server->options.service_name,
								ke_slot_role_name(who.role), ordinal);
	KeChild    *child = find_child(service, role, ordinal);

	if (child == NULL)
	{
		MemoryContext old = MemoryContextSwitchTo(service->context);

		child = ke_child_make(&who, name);
		service->children = lappend(service->children, child);
		MemoryContextSwitchTo(old);
	}
	child->who = who;
	ke_child_rename(child, name);
	child->wanted = true;
	if (alteration == UNALTERED || child->state == KE_CHILD_DOWN)
		return;
	child->renew = true;
	child->leave = alteration == MOVED;
	ke_child_hurry(child);
}

/* Those of a role that are numbered from or higher. */
static void
unwant_children(KeService *service, KeRole role, int from, bool leave)
{
	ListCell   *lc;

	foreach(lc, service->children)
	{
		KeChild    *child = (KeChild *) lfirst(lc);

		if (child->who.role != role || child->who.ordinal < from)
			continue;
		if (child->wanted)
			child->leave = leave;
		child->wanted = false;
	}
}

static void
unwant_all(KeService *service, bool leave)
{
	unwant_children(service, KE_ROLE_MAIN, 0, leave);
	unwant_children(service, KE_ROLE_RETRY, 0, leave);
	unwant_children(service, KE_ROLE_RELAY, 0, leave);
	unwant_children(service, KE_ROLE_TASK, 0, leave);
}

/* Have so many processes of a role run; returns how many. */
static int
want_processes(KeService *service, const KeWatchFacts *facts, KeRole role,
			   const char *obstacle, bool leave, Alteration alteration)
{
	int			wanted = 0;

	if (obstacle == NULL)
		wanted = wanted_processes(service, role);
	for (int i = 0; i < wanted; i++)
		want_child(service, facts, role, i, alteration);
	unwant_children(service, role, wanted, leave || obstacle == NULL);
	return wanted;
}

/*
 * Task processes: one for each kind of task that somebody waits for, or that
 * has to be done in any case.  They end by themselves when nobody does any
 * more.
 */
static void
want_tasks(KeService *service, const KeWatchFacts *facts,
		   const char *obstacle, Alteration alteration)
{
	if (obstacle != NULL)
		unwant_children(service, KE_ROLE_TASK, 0, true);
	for (int kind = 0; kind < KE_TASK_KINDS; kind++)
	{
		bool		asked = ke_task_is_asked_for(MyDatabaseId, service->oid,
												 (KeTaskKind) kind);

		if (kind == KE_TASK_REPROCESS && service->upkeep)
			asked = true;
		if (!asked)
			continue;
		if (obstacle != NULL)
			ke_task_refuse(MyDatabaseId, service->oid, (KeTaskKind) kind,
						   obstacle);
		else if (kind == KE_TASK_REPROCESS && service->watch->owner[0] != '\0')
			ke_task_refuse(MyDatabaseId, service->oid, (KeTaskKind) kind,
						   service->watch->owner);
		else
			want_child(service, facts, KE_ROLE_TASK, kind, alteration);
	}
	service->upkeep = false;	/* until the tables are read again */
}

/* Whoever waits for a task process that cannot be started now is told so. */
static void
refuse_tasks(KeService *service)
{
	ListCell   *lc;

	foreach(lc, service->children)
	{
		KeChild    *child = (KeChild *) lfirst(lc);

		if (child->who.role != KE_ROLE_TASK || child->trouble == NULL)
			continue;
		ke_task_refuse(MyDatabaseId, service->oid,
					   (KeTaskKind) child->who.ordinal, child->trouble);
		child->wanted = false;
	}
}

static KeMoment
step_children(KeService *service, KeMoment now)
{
	KeMoment	due = DT_NOEND;
	ListCell   *lc;

	foreach(lc, service->children)
	{
		KeChild    *child = (KeChild *) lfirst(lc);

		ke_child_step(child, now);
		due = Min(due, ke_child_due(child));
		if (ke_child_is_over(child))
		{
			service->children = foreach_delete_current(service->children, lc);
			ke_child_free(child);
		}
	}
	return due;
}

/* ---------------------------------------------------------------- reasons */

/* A child that could not be started says why. */
static const char *
childrens_trouble(const KeService *service)
{
	ListCell   *lc;

	foreach(lc, service->children)
	{
		const KeChild *child = (KeChild *) lfirst(lc);

		if (child->wanted && child->trouble != NULL)
			return child->trouble;
	}
	return NULL;
}

/*
 * What a process says is the matter now, that the manager itself does not
 * see: a connection that is refused, another assignor in the group.
 */
static char *
processes_trouble(const KeService *service)
{
	ListCell   *lc;

	foreach(lc, service->children)
	{
		const KeChild *child = (KeChild *) lfirst(lc);
		KeSlotReport report;

		if (!child->wanted || child->state != KE_CHILD_UP)
			continue;
		ke_roster_look(child->slot, &report);
		if (report.trouble[0] != '\0')
			return pstrdup(report.trouble);
	}
	return NULL;
}

/* Tell the views. */
static void
set_reason(KeService *service, const char *reason)
{
	if (reason == NULL)
		reason = "";
	if (strcmp(service->reason, reason) == 0)
		return;

	if (service->reason[0] == '\0')
		service->reason_since = ke_clock_now();
	strlcpy(service->reason, reason, sizeof(service->reason));
	service->reason_logged = false;
	ke_reason_set(MyDatabaseId, service->oid, service->reason);
}

/*
 * Tell the log, once.  What blocks is a decision of ours; the rest is
 * something outside, which may pass within a moment.
 */
static void
log_reason(KeService *service, bool blocking)
{
	const char *name = service->server->name;

	if (service->reason[0] == '\0')
		service->silence_logged = false;
	if (service->reason[0] == '\0' && service->complained)
	{
		service->complained = false;
		ereport(LOG,
				(errmsg("server \"%s\": nothing is the matter any more",
						name)));
	}
	if (service->reason[0] == '\0' || service->reason_logged ||
		(!blocking && !ke_clock_passed(service->reason_since, ke_clock_now(),
									   PASSING_MS)))
		return;
	service->reason_logged = true;
	if (service->watch->silent && service->silence_logged)
		return;					/* the words change, the matter does not */
	service->silence_logged |= service->watch->silent;
	if (!ke_throttle_allows(psprintf("%s: %s", name, service->reason)))
		return;
	if (blocking)
		ereport(LOG,
				(errmsg("server \"%s\" does not consume: %s", name,
						service->reason)));
	else
	{
		service->complained = true;
		ereport(WARNING,
				(errcode(ERRCODE_FDW_ERROR),
				 errmsg("server \"%s\": %s", name, service->reason)));
	}
}

/* Why nothing runs, or what else there is to say about the server. */
static void
tell_reason(KeService *service, const char *obstacle)
{
	const KeWatch *watch = service->watch;
	const char *reason = obstacle;
	bool		logged = false;

	if (reason == NULL)
	{
		reason = childrens_trouble(service);
		logged = reason != NULL;	/* by the child */
	}
	if (reason == NULL && watch->reason[0] != '\0')
		reason = watch->reason;
	if (reason == NULL && !watch->trouble_is_silence &&
		watch->trouble[0] != '\0')
		reason = watch->trouble;
	if (reason == NULL)
		reason = processes_trouble(service);
	if (reason == NULL && watch->trouble[0] != '\0')
		reason = watch->trouble;
	set_reason(service, reason);
	service->reason_logged |= logged;
	log_reason(service, obstacle != NULL);
}

/* ------------------------------------------------------------------- step */

/* Has what processes were started for changed? */
static Alteration
note_alteration(KeService *service)
{
	KeServer   *server = service->server;
	bool		altered = service->running &&
		service->fingerprint != server->fingerprint;
	bool		moved = strcmp(NameStr(service->name), server->name) != 0 ||
		service->consumer_protocol != server->options.consumer_protocol;

	service->fingerprint = server->fingerprint;
	namestrcpy(&service->name, server->name);
	service->consumer_protocol = server->options.consumer_protocol;
	if (!altered)
		return UNALTERED;
	ereport(LOG,
			(errmsg("server \"%s\" was altered: its processes are started again",
					server->name)));
	return moved ? MOVED : ALTERED;
}

/*
 * Partitions of a role lie about, though every consumer is well.  As long as
 * one is not, nothing is done: with it comes a new round of the group.
 */
static void
rejoin(KeService *service, KeRole role, int wanted, KeMoment now)
{
	KeGroupWatch *watch = &service->watch->groups[role == KE_ROLE_RETRY];

	if (!watch->rejoin || wanted == 0)
		return;
	for (int i = 0; i < wanted; i++)
	{
		KeChild    *child = find_child(service, role, i);
		KeSlotReport report;

		if (child->state != KE_CHILD_UP)
			return;
		ke_roster_look(child->slot, &report);
		if (report.status != KE_STATUS_RUNNING)
			return;
	}
	ereport(LOG,
			(errmsg("partitions of server \"%s\" have no owner or deliver nothing: its %s consumers join the group again",
					service->server->name, ke_slot_role_name(role))));
	for (int i = 0; i < wanted; i++)
		ke_roster_ask_rejoin(find_child(service, role, i)->slot);
	ke_survey_unowned_rejoined(watch, now);
}

KeMoment
ke_service_step(KeService *service, const KeWatchFacts *facts,
				const char *obstacle, KeMoment now)
{
	int			consumers;
	int			retriers;
	int			others;
	bool		leave = false;
	Alteration	alteration;
	KeMoment	due;

	if (service->server == NULL)
	{
		unwant_all(service, true);
		return step_children(service, now);
	}

	obstacle = find_obstacle(service, facts, obstacle);
	alteration = note_alteration(service);
	others = want_processes(service, facts, KE_ROLE_RELAY, obstacle, false,
							alteration);
	want_tasks(service, facts, obstacle, alteration);
	if (obstacle == NULL && service->watch->owner[0] != '\0')
	{
		obstacle = service->watch->owner;
		leave = true;
	}
	if (obstacle == NULL)
		obstacle = find_breakage(service);
	consumers = want_processes(service, facts, KE_ROLE_MAIN, obstacle, leave,
							   alteration);
	retriers = want_processes(service, facts, KE_ROLE_RETRY, obstacle, leave,
							  alteration);
	service->running = consumers + retriers + others > 0;
	due = step_children(service, now);
	refuse_tasks(service);
	rejoin(service, KE_ROLE_MAIN, consumers, now);
	rejoin(service, KE_ROLE_RETRY, retriers, now);

	tell_reason(service, obstacle);
	return due;
}

KeMoment
ke_service_stop(KeService *service, KeMoment now)
{
	unwant_all(service, false);
	return step_children(service, now);
}

bool
ke_service_has_processes(const KeService *service)
{
	return service->children != NIL;
}

bool
ke_service_is_over(const KeService *service)
{
	return service->server == NULL && service->children == NIL;
}

bool
ke_service_has_orphans(const KeService *service)
{
	ListCell   *lc;

	foreach(lc, service->children)
	{
		const KeChild *child = (KeChild *) lfirst(lc);

		if (child->state != KE_CHILD_DOWN && child->handle == NULL)
			return true;
	}
	return false;
}

void
ke_service_free(KeService *service)
{
	Assert(ke_service_is_over(service));

	ke_reason_set(MyDatabaseId, service->oid, NULL);
	ke_cluster_contact_forget(MyDatabaseId, service->oid);
	ke_role_demand_forget(MyDatabaseId, service->oid);
	ke_schema_demand_forget(MyDatabaseId, service->oid);
	ke_schema_use_forget(MyDatabaseId, service->oid);
	ke_watch_free(service->watch);
	pfree(service);
}
