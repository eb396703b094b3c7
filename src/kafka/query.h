/*
 * query.h
 *	  Questions to the cluster that wait for an answer.
 *
 * For files in kafka/ only.  All wait in slices of at most 500 ms and serve
 * interrupts between them, so they may raise; nothing of the library's is
 * held while they do.  They return 0 or the library's error code; a broker's
 * trouble is never raised.
 */
#ifndef KE_QUERY_H
#define KE_QUERY_H

#include "kafka/client.h"
#include "kafka/library.h"

#define KE_QUERY_SLICE_MS 500

/* Fills offset, metadata and error of each partition. */
extern int	ke_query_committed(rd_kafka_t * rk, KePartitionList *list,
							   int timeout_ms);

/*
 * list->offset in: a timestamp in ms, RD_KAFKA_OFFSET_BEGINNING or _END; out:
 * the offset, RD_KAFKA_OFFSET_END if no message is that young.
 */
extern int	ke_query_offsets(rd_kafka_t * rk, KePartitionList *list,
							 int timeout_ms);

/* The end is the last stable offset: our handles read committed. */
extern int	ke_query_watermarks(rd_kafka_t *rk, const char *topic,
								int32 partition, int64 *low, int64 *high,
								int timeout_ms);

/* palloc'd; NULL if no broker has told it in time. */
extern char *ke_query_cluster_id(rd_kafka_t *rk, int timeout_ms);

/* Topics as the cluster has them now; all when topic is NULL. */
extern int	ke_query_topics(rd_kafka_t *rk, const char *topic, List **topics,
							int timeout_ms);

/* How many brokers there are, and what a question to one of them takes. */
extern int	ke_query_brokers(rd_kafka_t *rk, int *brokers, int64 *latency_us,
							 int timeout_ms);

/* What is left of a wait that ends at deadline_ms, at most one slice. */
extern int64 ke_query_now_ms(void);
extern int	ke_query_slice(int64 deadline_ms);

#endif							/* KE_QUERY_H */
