/*
 * rights.h
 *	  What the Kafka user may do, by asking the brokers.
 *
 * ACLs can be listed only by who may describe the cluster, and do not say who
 * is asking.  So each question is a request that needs the right and cannot
 * have an effect: brokers look at rights first, and refuse it for another
 * reason when these are there.
 *
 * Calls wait in slices with CHECK_FOR_INTERRUPTS between, return 0 or
 * librdkafka's code when nobody has answered, and never raise for a broker's
 * trouble.
 */
#ifndef KE_RIGHTS_H
#define KE_RIGHTS_H

#include "nodes/pg_list.h"

#include "kafka/client.h"

/*
 * To read topics, of char *, as a member of group_id: *missing gets those
 * that may not be read; with *group_is_missing none could be asked about.
 */
extern int	ke_rights_read(const KeServerOptions *server,
						   const KeMappingOptions *mapping,
						   const char *client_id, const char *group_id,
						   List *topics, int timeout_ms,
						   bool *group_is_missing, List **missing);

/*
 * To write to topics, of char *; one that is not there is not missing.  A
 * broker that is not Apache Kafka's might take the message that this is asked
 * with: it has no value, and a header that makes it another service's copy.
 */
extern int	ke_rights_write(const KeServerOptions *server,
							const KeMappingOptions *mapping,
							const char *client_id, List *topics,
							int timeout_ms, List **missing);

#endif							/* KE_RIGHTS_H */
