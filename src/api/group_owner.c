/*
 * group_owner.c
 *	  Whose commits a server's main group has, as a session asks for it.
 */
#include "postgres.h"
#include "core/compat.h"

#include "api/group_owner.h"
#include "core/stamp.h"
#include "shm/cluster_report.h"
#include "shm/reason.h"
#include "state/identity.h"
#include "state/takeovers.h"

/* Add a partition to what its database has. */
static List *
add(List *owners, const KeOwnerReport *report)
{
	KeGroupOwner *owner = NULL;
	ListCell   *lc;

	foreach(lc, owners)
	{
		owner = (KeGroupOwner *) lfirst(lc);
		if (strcmp(owner->uuid, report->uuid) == 0)
			break;
		owner = NULL;
	}
	if (owner == NULL)
	{
		owner = palloc0(sizeof(KeGroupOwner));
		owner->uuid = report->uuid;
		owner->name = ke_stamp_whose(report->uuid, report->database,
									 report->host);
		owner->least = owner->most = report->offset;
		owners = lappend(owners, owner);
	}
	owner->partitions++;
	owner->least = Min(owner->least, report->offset);
	owner->most = Max(owner->most, report->offset);
	return owners;
}

List *
ke_group_owner_ask(const KeServer *server, const char *topic, int timeout_ms,
				   bool *ours, KeAnswer **problem)
{
	KeQuestion	question = {.kind = KE_ASK_OWNERS,.server = server->oid};
	KeAnswer   *answer;
	pg_uuid_t	id;
	char		uuid[KE_UUID_LEN] = "";
	List	   *owners = NIL;
	ListCell   *lc;

	*ours = false;
	*problem = NULL;
	strlcpy(question.topic, topic, sizeof(question.topic));
	answer = ke_request_ask(&question, timeout_ms);
	if (!answer->answered)
		*problem = answer;
	if (answer->payload == NULL)
		return NIL;

	if (ke_identity_read(&id) == KE_IDENTITY_OURS)
		ke_identity_format(&id, uuid);
	foreach(lc, ke_cluster_report_get_owners(answer->payload))
	{
		const KeOwnerReport *report = (KeOwnerReport *) lfirst(lc);

		if (report->uuid == NULL)
			continue;
		if (strcmp(report->uuid, uuid) == 0)
			*ours = true;
		else
			owners = add(owners, report);
	}
	return owners;
}

void
ke_group_owner_warn(const KeServer *server, const char *topic, int timeout_ms)
{
	bool		ours;
	KeAnswer   *problem;
	List	   *owners;
	ListCell   *lc;

	if (server->options.shared)
		return;
	owners = ke_group_owner_ask(server, topic, timeout_ms, &ours, &problem);
	if (ours)
		return;
	foreach(lc, owners)
	{
		const KeGroupOwner *owner = (KeGroupOwner *) lfirst(lc);
		List	   *taken = ke_takeovers_list(server->options.service_name);
		ListCell   *lc2;

		foreach(lc2, taken)
		{
			if (strcmp((char *) lfirst(lc2), owner->uuid) == 0)
				return;
		}
		ereport(WARNING,
				(errmsg("topic \"%s\" is not consumed: group \"%s\" belongs to %s",
						topic, ke_catalog_main_group(server), owner->name),
				 errhint("Give server \"%s\" another service_name; or, if that database is to stop consuming, call kafka_identity_confirm('take over'); or let both set the server option shared.",
						 server->name)));
		return;
	}
}
