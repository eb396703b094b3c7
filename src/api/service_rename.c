/*
 * service_rename.c
 *	  ALTER SERVER ... OPTIONS (SET service_name ...).
 */
#include "postgres.h"
#include "core/compat.h"

#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "api/service_rename.h"
#include "api/subscription_define.h"
#include "shm/ready.h"
#include "shm/roster.h"
#include "state/identity.h"
#include "state/positions.h"
#include "state/retries.h"

/*
 * The name of the service is part of its groups, and so of every position:
 * nobody may be at work with those of the former name.  A process that has
 * not been given any yet is started again before it is.
 */
static void
require_idle(const KeServer *server)
{
	int			count = 0;
	KeSlotReport *reports = ke_ready() ?
		ke_roster_reports(MyDatabaseId, &count) : NULL;

	for (int i = 0; i < count; i++)
	{
		if (reports[i].who.server != server->oid ||
			reports[i].phase != KE_PHASE_ATTACHED ||
			reports[i].status == KE_STATUS_STARTING ||
			(reports[i].who.role != KE_ROLE_MAIN &&
			 reports[i].who.role != KE_ROLE_RETRY))
			continue;
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_IN_USE),
				 errmsg("cannot change service_name of server \"%s\" while it consumes",
						server->name),
				 errdetail("The name of the service is part of its consumer groups, and so of every position. Process %d is a member of one.",
						   reports[i].pid),
				 errhint("Stop consuming first: ALTER SERVER %s OPTIONS (SET workers '0', SET retry_workers '0'), or ADD if they are not set; under the new name, every topic begins as its start_from says.",
						 quote_identifier(server->name))));
	}
}

/* Messages that wait for their retry wait in a group, too. */
static void
warn_of_retries(const KeServer *server)
{
	static const KeRole roles[] = {KE_ROLE_MAIN, KE_ROLE_RETRY};
	const char *service = server->options.service_name;
	KePositionKey key = {.cluster_id = ke_identity_cluster(service)};

	for (int i = 0; i < lengthof(roles) && key.cluster_id != NULL; i++)
	{
		key.group_id = psprintf("%s-%s", service,
								ke_slot_role_name(roles[i]));
		if (!ke_retries_exist(&key))
			continue;
		ereport(WARNING,
				(errmsg("messages of service \"%s\" that wait for their retry stay behind: see view kafka_retries",
						service),
				 errhint("They run when the server has that service_name again.")));
		return;
	}
}

void
ke_service_rename_check(const KeServer *server)
{
	require_idle(server);
	warn_of_retries(server);
}

void
ke_service_rename_begin(KeServer *server)
{
	ListCell   *lc;

	foreach(lc, ke_catalog_subscriptions(server))
	{
		KeSubscription *sub = (KeSubscription *) lfirst(lc);

		if (sub->options.start_from == KE_START_LATEST &&
			!ke_subscription_define_was_consumed(server, sub->topic))
			ke_positions_start_request(ke_catalog_main_group(server),
									   sub->topic, GetCurrentTimestamp());
	}
}
