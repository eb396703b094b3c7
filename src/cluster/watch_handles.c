/*
 * watch_handles.c
 *	  The manager's two handles of a server's Kafka cluster.
 */
#include "postgres.h"
#include "core/compat.h"

#include "cluster/watch_handles.h"
#include "session/attempt.h"

void
ke_watch_handles_forget(List **topics)
{
	ListCell   *lc;

	foreach(lc, *topics)
		pfree(((KeTopicInfo *) lfirst(lc))->name);
	list_free_deep(*topics);
	*topics = NIL;
}

void
ke_watch_handles_close(KeWatch *watch)
{
	if (watch->cluster != NULL)
		ke_cluster_close(watch->cluster);
	watch->cluster = NULL;
	if (watch->admin != NULL)
		ke_cluster_close(watch->admin);
	watch->admin = NULL;
	if (watch->cluster_id != NULL)
		pfree(watch->cluster_id);
	watch->cluster_id = NULL;

	/* Another cluster, or other options, may have other ones. */
	ke_watch_handles_forget(&watch->copy_topics);
	ke_watch_handles_forget(&watch->topics);
	watch->retry_partitions = -1;
	watch->whole_due = 0;
}

typedef struct Opening
{
	KeWatch    *watch;
	KeServer   *server;
} Opening;

static void
open_cluster(void *argument)
{
	Opening    *opening = (Opening *) argument;
	KeServer   *server = opening->server;
	char	   *client = psprintf("%.20s-manager",
								  server->options.service_name);

	opening->watch->cluster =
		ke_cluster_open(&server->options, &server->mapping,
						ke_catalog_main_group(server), client, true);
	opening->watch->fingerprint = server->fingerprint;
}

KeCluster *
ke_watch_handles_cluster(KeWatch *watch, KeServer *server)
{
	if (watch->cluster != NULL && watch->fingerprint != server->fingerprint)
	{
		ke_watch_handles_close(watch);
		watch->blocked = false;
		watch->reason[0] = '\0';
	}
	if (watch->cluster == NULL)
	{
		Opening		opening = {watch, server};
		char	   *problem = ke_failure_describe(ke_attempt(open_cluster,
															 &opening));

		if (problem != NULL)
			strlcpy(watch->reason, problem, sizeof(watch->reason));
	}
	if (watch->cluster != NULL)
		ke_cluster_repeat(watch->cluster, watch->asking_since);
	return watch->cluster;
}

static void
open_admin(void *argument)
{
	Opening    *opening = (Opening *) argument;
	KeServer   *server = opening->server;
	char	   *client = psprintf("%.20s-manager",
								  server->options.service_name);

	opening->watch->admin =
		ke_cluster_open(&server->options, &server->mapping,
						ke_catalog_admin_group(server), client, false);
}

KeCluster *
ke_watch_handles_admin(KeWatch *watch, KeServer *server)
{
	Opening		opening = {watch, server};
	char	   *problem;

	/* The other one is renewed when the server has changed. */
	if (ke_watch_handles_cluster(watch, server) != NULL &&
		watch->admin == NULL)
	{
		problem = ke_failure_describe(ke_attempt(open_admin, &opening));
		if (problem != NULL)
			strlcpy(watch->reason, problem, sizeof(watch->reason));
	}
	if (watch->admin != NULL)
		ke_cluster_repeat(watch->admin, watch->asking_since);
	return watch->admin;
}
