/*
 * partition_list.c
 *	  Lists of partitions, ours and the library's.
 */
#include "postgres.h"
#include "core/compat.h"

#include "kafka/partition_list.h"

KePartitionList *
ke_partition_list_make(int allocated)
{
	KePartitionList *list = palloc(sizeof(KePartitionList));

	list->count = 0;
	list->allocated = Max(allocated, 1);
	list->parts = palloc(list->allocated * sizeof(KeKafkaPartition));
	return list;
}

KeKafkaPartition *
ke_partition_list_add(KePartitionList *list, const char *topic,
					  int32 partition,
					  int64 offset)
{
	KeKafkaPartition *part;

	if (list->count == list->allocated)
	{
		list->allocated *= 2;
		list->parts = repalloc(list->parts,
							   list->allocated * sizeof(KeKafkaPartition));
	}
	part = &list->parts[list->count];
	part->topic = pstrdup(topic);
	part->partition = partition;
	part->offset = offset;
	part->metadata = NULL;
	part->error = 0;
	list->count++;
	return part;
}

void
ke_partition_list_free(KePartitionList *list)
{
	for (int i = 0; i < list->count; i++)
	{
		pfree(unconstify(char *, list->parts[i].topic));
		if (list->parts[i].metadata != NULL)
			pfree(list->parts[i].metadata);
	}
	pfree(list->parts);
	pfree(list);
}

rd_kafka_topic_partition_list_t *
ke_partition_list_to_library(const KePartitionList *list)
{
	rd_kafka_topic_partition_list_t *to;

	to = rd_kafka_topic_partition_list_new(list->count);
	for (int i = 0; i < list->count; i++)
	{
		const KeKafkaPartition *part = &list->parts[i];
		rd_kafka_topic_partition_t *elem;

		elem = rd_kafka_topic_partition_list_add(to, part->topic,
												 part->partition);
		elem->offset = part->offset;
		if (part->metadata != NULL)
		{
			/* The list frees it with the library's own allocator. */
			elem->metadata_size = strlen(part->metadata);
			elem->metadata = rd_kafka_mem_malloc(NULL, elem->metadata_size);
			memcpy(elem->metadata, part->metadata, elem->metadata_size);
		}
	}
	return to;
}

/* The library's metadata is not NUL-terminated. */
static void
answer(KeKafkaPartition *part, const rd_kafka_topic_partition_t *elem)
{
	part->offset = elem->offset;
	part->error = elem->err;
	part->metadata = NULL;
	if (elem->metadata_size > 0)
		part->metadata = pnstrdup(elem->metadata, elem->metadata_size);
}

KePartitionList *
ke_partition_list_copy(const rd_kafka_topic_partition_list_t *from)
{
	KePartitionList *list = ke_partition_list_make(from->cnt);

	for (int i = 0; i < from->cnt; i++)
	{
		const rd_kafka_topic_partition_t *elem = &from->elems[i];

		answer(ke_partition_list_add(list, elem->topic, elem->partition,
									 elem->offset),
			   elem);
	}
	return list;
}

void
ke_partition_list_answer(KePartitionList *list,
						 const rd_kafka_topic_partition_list_t *from)
{
	for (int i = 0; i < list->count; i++)
		answer(&list->parts[i], &from->elems[i]);
}
