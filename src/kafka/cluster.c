/*
 * cluster.c
 *	  The manager's handle on a cluster: questions, no group membership.
 *
 * A consumer that never subscribes: it has a group's id, so that committed
 * offsets can be asked for, and joins nothing.  The library's calls for
 * administering consumer groups are never used: several of its versions
 * crash in them.
 */
#include "postgres.h"
#include "core/compat.h"

#include "utils/memutils.h"

#include "kafka/cluster.h"
#include "kafka/config.h"
#include "kafka/handle.h"
#include "kafka/query.h"

struct KeCluster
{
	KeHandle	handle;
};

KeCluster *
ke_cluster_open(const KeServerOptions *server,
				const KeMappingOptions *mapping, const char *group_id,
				const char *client_id, bool stable)
{
	KeSetting	settings[] = {
		{"group.id", group_id},
		{"enable.auto.commit", "false"},
		{"isolation.level", stable ? "read_committed" : "read_uncommitted"},
		{NULL, NULL}
	};
	KeCluster  *cluster;

	ke_client_check_library();

	cluster = MemoryContextAllocZero(TopMemoryContext, sizeof(KeCluster));
	ke_handle_open(&cluster->handle, RD_KAFKA_CONSUMER,
				   ke_config_make(RD_KAFKA_CONSUMER, server, mapping,
								  client_id, settings));
	return cluster;
}

KeHandle *
ke_cluster_handle(KeCluster *cluster)
{
	return &cluster->handle;
}

void
ke_cluster_repeat(KeCluster *cluster, KeMoment since)
{
	ke_query_repeat(&cluster->handle, since, true);
}

int
ke_cluster_took_ms(const KeCluster *cluster)
{
	return cluster->handle.took_ms;
}

char *
ke_cluster_id(KeCluster *cluster, int timeout_ms)
{
	return ke_query_cluster_id(&cluster->handle, timeout_ms);
}

/* A broker has answered: what was wrong before is so no more. */
static int
note_answer(KeCluster *cluster, int error)
{
	if (error == 0)
	{
		(void) ke_cluster_serve(cluster);
		cluster->handle.trouble = 0;
	}
	return error;
}

int
ke_cluster_topics(KeCluster *cluster, const char *topic, List **topics,
				  int timeout_ms)
{
	return note_answer(cluster,
					   ke_query_topics(&cluster->handle, topic, topics,
									   timeout_ms));
}

int
ke_cluster_ping(KeCluster *cluster, int *brokers, int64 *latency_us,
				int timeout_ms)
{
	return note_answer(cluster,
					   ke_query_brokers(&cluster->handle, brokers,
										latency_us, timeout_ms));
}

int
ke_cluster_offsets_for_time(KeCluster *cluster, KePartitionList *list,
							int timeout_ms)
{
	int64		deadline = ke_query_now_ms() + timeout_ms;
	KePartitionList *ends = ke_partition_list_make(list->count);
	int			err;
	int			next = 0;

	err = ke_query_offsets(&cluster->handle, list, timeout_ms);
	if (err != 0)
		return err;

	/* No message is that young: the end, which takes another question. */
	for (int i = 0; i < list->count; i++)
	{
		const KeKafkaPartition *part = &list->parts[i];

		if (part->error == 0 && part->offset == RD_KAFKA_OFFSET_END)
			ke_partition_list_add(ends, part->topic, part->partition,
								  RD_KAFKA_OFFSET_END);
	}
	err = ke_query_offsets(&cluster->handle, ends,
						   (int) Max(deadline - ke_query_now_ms(), 0));
	if (err != 0)
		return err;

	for (int i = 0; i < list->count; i++)
	{
		KeKafkaPartition *part = &list->parts[i];

		if (part->error == 0 && part->offset == RD_KAFKA_OFFSET_END)
		{
			part->offset = ends->parts[next].offset;
			part->error = ends->parts[next].error;
			next++;
		}
	}
	return 0;
}

int
ke_cluster_committed(KeCluster *cluster, KePartitionList *list, int timeout_ms)
{
	return ke_query_committed(&cluster->handle, list, timeout_ms);
}

char *
ke_cluster_serve(KeCluster *cluster)
{
	rd_kafka_event_t *rkev;
	char		newest[512];
	int			error;

	newest[0] = '\0';
	ke_wakeup_drain(&cluster->handle.wakeup);
	while ((rkev = rd_kafka_queue_poll(cluster->handle.queue, 0)) != NULL)
	{
		if (rd_kafka_event_type(rkev) == RD_KAFKA_EVENT_ERROR)
			strlcpy(newest, ke_handle_explain(&cluster->handle, rkev,
											  &error),
					sizeof(newest));
		else if (rd_kafka_event_type(rkev) == RD_KAFKA_EVENT_LOG)
			ke_handle_hear_log(&cluster->handle, rkev);
		rd_kafka_event_destroy(rkev);
	}
	return newest[0] != '\0' ? pstrdup(newest) : NULL;
}

char *
ke_cluster_explain(KeCluster *cluster, int error, const char **hint)
{
	const KeHandle *handle = &cluster->handle;

	(void) ke_cluster_serve(cluster);
	if (!ke_client_is_silence(error) || handle->trouble == 0)
	{
		*hint = ke_client_error_hint(error);
		return pstrdup(ke_client_error_name(error));
	}
	*hint = ke_client_error_hint(handle->trouble);
	return pstrdup(handle->trouble_text);
}

bool
ke_cluster_is_silent(const KeCluster *cluster)
{
	return cluster->handle.trouble == 0 ||
		ke_client_is_silence(cluster->handle.trouble);
}

void
ke_cluster_close(KeCluster *cluster)
{
	ke_handle_destroy(&cluster->handle);
	pfree(cluster);
}
