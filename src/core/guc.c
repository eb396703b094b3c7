/*
 * guc.c
 *	  The settings of the extension.
 *
 * What belongs to one Kafka cluster is an option of its foreign server, not a
 * setting: a setting is for the whole PostgreSQL server or for one session.
 */
#include "postgres.h"
#include "core/compat.h"

#include "utils/guc.h"

#include "core/guc.h"
#include "core/testing.h"

bool		ke_guc_enabled = true;
int			ke_guc_max_workers = 32;
int			ke_guc_max_subscriptions = 256;
int			ke_guc_request_timeout = 30000;
int			ke_guc_max_parked_retries = 100000;
char	   *ke_guc_default_server = "";

void
ke_guc_define(void)
{
	DefineCustomBoolVariable("kafka_events.enabled",
							 "Consumes and publishes Kafka messages.",
							 "Off stops every process of kafka_events but its launcher, in all databases.",
							 &ke_guc_enabled,
							 true,
							 PGC_SIGHUP,
							 0,
							 NULL, NULL, NULL);
	DefineCustomIntVariable("kafka_events.max_workers",
							"Sets the maximum number of processes of kafka_events.",
							"Each also needs one of max_worker_processes.",
							&ke_guc_max_workers,
							32, 1, 1024,
							PGC_POSTMASTER,
							0,
							NULL, NULL, NULL);
	DefineCustomIntVariable("kafka_events.max_subscriptions",
							"Sets the maximum number of subscriptions whose state is kept in shared memory.",
							"It counts the subscriptions of all databases.",
							&ke_guc_max_subscriptions,
							256, 1, 65536,
							PGC_POSTMASTER,
							0,
							NULL, NULL, NULL);
	DefineCustomIntVariable("kafka_events.request_timeout",
							"Sets how long a function waits for an answer about the Kafka cluster.",
							NULL,
							&ke_guc_request_timeout,
							30000, 100, 3600000,
							PGC_USERSET,
							GUC_UNIT_MS,
							NULL, NULL, NULL);
	DefineCustomIntVariable("kafka_events.max_parked_retries",
							"Sets how many messages of a subscription may wait in the database to be run again.",
							"When there are more, no further ones are fetched until some of them have run.",
							&ke_guc_max_parked_retries,
							100000, 1, PG_INT32_MAX,
							PGC_SIGHUP,
							0,
							NULL, NULL, NULL);

	DefineCustomStringVariable("kafka_events.default_server",
							   "Names the server that functions mean if they are not told one.",
							   "Empty: the only one there is.",
							   &ke_guc_default_server,
							   "",
							   PGC_USERSET,
							   GUC_IS_NAME,
							   NULL, NULL, NULL);

#ifdef KE_TESTING
	ke_testing_define();
#endif
	MarkGUCPrefixReserved("kafka_events");
}
