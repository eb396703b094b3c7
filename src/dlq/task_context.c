/*
 * task_context.c
 *	  What a task process works with: its server, and its clients of Kafka.
 *
 * Clients are opened by the first task and live as long as the process.  They
 * are made for the server as it was then; when it is altered the process
 * ends, and what waits is for the next one.
 */
#include "postgres.h"
#include "core/compat.h"

#include "utils/builtins.h"
#include "utils/memutils.h"

#include "dlq/task_context.h"
#include "session/xact.h"

/*
 * A reader that is not assigned anything asks for nothing, so this costs
 * brokers little; but what it is assigned next has to wait until the last
 * question is answered, and so has the end of a partition.
 */
#define READER_FETCH_WAIT_MS 10

/* What one transaction reads. */
typedef struct Reading
{
	Oid			oid;
	MemoryContext context;
	KeServer   *server;			/* NULL: it was dropped */
	KeIdentityState identity;
	pg_uuid_t	uuid;
	KePast	   *past;
	char	   *cluster_id;		/* the one on record; NULL: none */
} Reading;

static void
read_server(void *argument)
{
	Reading    *reading = (Reading *) argument;
	MemoryContext old = MemoryContextSwitchTo(reading->context);

	reading->server = ke_catalog_server(reading->oid);
	reading->identity = ke_identity_read(&reading->uuid);
	reading->past = ke_histories_past();
	if (reading->server != NULL)
		reading->cluster_id =
			ke_identity_cluster(reading->server->options.service_name);
	MemoryContextSwitchTo(old);
}

KeTaskContext *
ke_task_context_make(void)
{
	MemoryContext context = AllocSetContextCreate(TopMemoryContext,
												  "kafka_events task",
												  ALLOCSET_DEFAULT_SIZES);
	KeTaskContext *taskctx = MemoryContextAllocZero(context,
													sizeof(KeTaskContext));

	taskctx->context = context;
	taskctx->work = AllocSetContextCreate(context, "kafka_events task work",
										  ALLOCSET_DEFAULT_SIZES);
	return taskctx;
}

bool
ke_task_context_is_current(KeTaskContext *taskctx, Oid server)
{
	Reading		reading = {.oid = server, .context = taskctx->work};

	ke_xact_run(read_server, &reading, false);
	if (reading.server != NULL)
		namestrcpy(&taskctx->name, reading.server->name);
	return reading.server != NULL &&
		(taskctx->server == NULL ||
		 taskctx->server->fingerprint == reading.server->fingerprint);
}

void
ke_task_context_refuse(KeTaskContext *taskctx, int error, const char *doing)
{
	const char *hint;
	char	   *why = ke_cluster_explain(taskctx->cluster, error, &hint);

	ereport(ERROR,
			(errcode(ERRCODE_CONNECTION_FAILURE),
			 errmsg("could not %s: %s", doing, why),
			 hint != NULL ? errhint("%s", hint) : 0));
}

/* Whose identity, and whose cluster, is it? */
static void
adopt(KeTaskContext *taskctx, const Reading *reading, char *cluster_id)
{
	if (reading->identity == KE_IDENTITY_FOREIGN)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("the identity of this database towards Kafka is not confirmed"),
				 errhint("Call kafka_identity_confirm().")));
	if (reading->cluster_id != NULL &&
		strcmp(reading->cluster_id, cluster_id) != 0)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("server \"%s\" is connected to another cluster than before",
						reading->server->name)));
	if (reading->identity == KE_IDENTITY_OURS)
		ke_identity_format(&reading->uuid, taskctx->uuid);
	taskctx->past = reading->past;
	taskctx->key.cluster_id = cluster_id;
	taskctx->key.group_id = ke_catalog_admin_group(taskctx->server);
}

static void
open_clients(KeTaskContext *taskctx)
{
	const KeServer *server = taskctx->server;
	char	   *group = ke_catalog_admin_group(server);
	char	   *client = psprintf("%.20s-task", server->options.service_name);
	KeMembership nobody = {
		.group_id = group,
		.client_id = client,
		.fetch_wait = READER_FETCH_WAIT_MS
	};

	if (taskctx->cluster == NULL)
		taskctx->cluster = ke_cluster_open(&server->options, &server->mapping,
										   group, client, true);
	if (taskctx->reader == NULL)
		taskctx->reader = ke_consumer_open(&server->options, &server->mapping,
										   &nobody);
}

void
ke_task_context_open(KeTaskContext *taskctx, const KeTaskOrder *order)
{
	Reading		reading = {
		.oid = order->server,
		.context = taskctx->server == NULL ? taskctx->context : taskctx->work
	};
	const KeServerOptions *options;
	char	   *cluster_id;

	ke_xact_run(read_server, &reading, false);
	if (reading.server == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("the server was dropped just now")));
	if (taskctx->server == NULL)
		taskctx->server = reading.server;
	options = &taskctx->server->options;
	open_clients(taskctx);

	cluster_id = ke_cluster_id(taskctx->cluster, order->timeout_ms);
	if (cluster_id == NULL)
		ke_task_context_refuse(taskctx, KE_KAFKA_TIMED_OUT,
							   psprintf("reach Kafka at \"%s\"",
										options->bootstrap_servers));
	adopt(taskctx, &reading, cluster_id);
}
