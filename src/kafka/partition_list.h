/*
 * partition_list.h
 *	  Lists of partitions, ours and the library's.
 *
 * For files in kafka/ only.  None of these raises, except where palloc does.
 */
#ifndef KE_PARTITION_LIST_H
#define KE_PARTITION_LIST_H

#include "kafka/client.h"
#include "kafka/library.h"

/* A copy for the library; the caller destroys it. */
extern rd_kafka_topic_partition_list_t *
ke_partition_list_to_library(const KePartitionList *list);

/* A copy in the current context; the library's list stays. */
extern KePartitionList *
ke_partition_list_copy(const rd_kafka_topic_partition_list_t *from);

/*
 * Set offset, metadata and error of each element from the library's list of
 * the same partitions in the same order.
 */
extern void
ke_partition_list_answer(KePartitionList *list,
						 const rd_kafka_topic_partition_list_t *from);

#endif							/* KE_PARTITION_LIST_H */
