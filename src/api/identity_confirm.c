/*
 * identity_confirm.c
 *	  Which database this is towards Kafka, and what it may go on with.
 */
#include "postgres.h"
#include "core/compat.h"

#include "fmgr.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/uuid.h"

#include "api/group_owner.h"
#include "api/hooks.h"
#include "core/guc.h"
#include "outbox/outbox_adopt.h"
#include "outbox/outbox_read.h"
#include "shm/ready.h"
#include "state/dlq_records.h"
#include "state/identity.h"
#include "state/positions.h"
#include "state/takeovers.h"
#include "subscription/extension.h"

PG_FUNCTION_INFO_V1(kafka_identity_confirm);

/* Everything that is another database's in one topic. */
static int
take_over_topic(const KeServer *server, const char *topic)
{
	bool		ours;
	KeAnswer   *problem;
	List	   *owners = ke_group_owner_ask(server, topic,
											ke_guc_request_timeout, &ours,
											&problem);
	ListCell   *lc;

	if (problem != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_CONNECTION_FAILURE),
				 errmsg("could not ask server \"%s\" whose positions topic \"%s\" has: %s",
						server->name, topic, problem->text),
				 problem->hint ? errhint("%s", problem->hint) : 0));
	foreach(lc, owners)
	{
		const KeGroupOwner *owner = (KeGroupOwner *) lfirst(lc);

		(void) ke_takeovers_add(server->options.service_name, owner->uuid);
		ereport(NOTICE,
				(errmsg("topic \"%s\" of server \"%s\" goes on where group \"%s\" stands: %d partitions were %s's, from offset %lld to %lld",
						topic, server->name, ke_catalog_main_group(server),
						owner->partitions, owner->name,
						(long long) owner->least, (long long) owner->most)));
	}
	return list_length(owners);
}

static void
take_over(void)
{
	pg_uuid_t	uuid;
	int			taken = 0;
	ListCell   *lc;
	ListCell   *lc2;

	if (ke_identity_read(&uuid) == KE_IDENTITY_FOREIGN)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("the identity of this database towards Kafka is not confirmed"),
				 errdetail("It was copied, restored or upgraded from another one."),
				 errhint("Call kafka_identity_confirm('continue') if that one no longer runs; it needs no more. Call kafka_identity_confirm('new') first if it does, and is to stop consuming.")));
	foreach(lc, ke_catalog_servers())
	{
		KeServer   *server = ke_catalog_server(lfirst_oid(lc));

		if (server == NULL || server->options.shared)
			continue;
		foreach(lc2, ke_catalog_subscriptions(server))
			taken += take_over_topic(server,
									 ((KeSubscription *) lfirst(lc2))->topic);
	}
	if (taken == 0)
		ereport(NOTICE,
				(errmsg("no topic of this database's subscriptions has positions of another database")));
}

static void
check_action(const char *action)
{
	if (strcmp(action, "continue") == 0 || strcmp(action, "new") == 0 ||
		strcmp(action, "take over") == 0)
		return;
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("action must be 'continue', 'new' or 'take over', not \"%s\"",
					action),
			 errhint("Use 'continue' when the database this one was copied from no longer runs, 'new' when it does. Use 'take over' to go on in consumer groups that are another database's.")));
}

Datum
kafka_identity_confirm(PG_FUNCTION_ARGS)
{
	char	   *action = text_to_cstring(PG_GETARG_TEXT_PP(0));
	pg_uuid_t  *uuid = (pg_uuid_t *) palloc(sizeof(pg_uuid_t));
	bool		as_new = strcmp(action, "new") == 0;

	ke_ready_require_writable("kafka_identity_confirm()");
	ke_extension_lock();
	check_action(action);
	if (strcmp(action, "take over") == 0)
		take_over();
	ke_outbox_adopt();
	if (as_new)
		ke_outbox_tidy_forget_foreign();
	ke_identity_confirm(as_new, uuid);
	ke_outbox_adopt_note_servers();
	if (as_new)
	{
		ke_positions_clear();
		ke_takeovers_forget(NULL);
		ke_dlq_records_clear();
	}
	ke_hooks_note_change();
	PG_RETURN_UUID_P(uuid);
}
