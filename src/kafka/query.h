/*
 * query.h
 *	  Questions to the cluster that wait for an answer.
 *
 * For files in kafka/ only.  All wait in slices of at most 500 ms and serve
 * interrupts between them, so they may raise.  They return 0 or the library's
 * error code; a broker's trouble is never raised.  With no timeout at all
 * they only look whether the answer to an earlier call has come.
 */
#ifndef KE_QUERY_H
#define KE_QUERY_H

#include "core/clock.h"
#include "kafka/client.h"
#include "kafka/handle.h"
#include "kafka/library.h"

#define KE_QUERY_SLICE_MS 500

/*
 * From now on a question that was put to this handle before, but not before
 * since, is not put again: its answer is waited for, or used when it has
 * come.  With keep, an answer may be used again and again, so that a sequence
 * of questions that nobody could wait for is repeated from the start; without
 * it, once.  A since of 0, as in a new handle: everything is asked anew.
 */
extern void ke_query_repeat(KeHandle *handle, KeMoment since, bool keep);

/* Fills offset, metadata and error of each partition. */
extern int	ke_query_committed(KeHandle *handle, KePartitionList *list,
							   int timeout_ms);

/*
 * list->offset in: a timestamp in ms, RD_KAFKA_OFFSET_BEGINNING or _END; out:
 * the offset, RD_KAFKA_OFFSET_END if no message is that young.
 */
extern int	ke_query_offsets(KeHandle *handle, KePartitionList *list,
							 int timeout_ms);

/* The end is the last stable offset: our handles read committed. */
extern int	ke_query_watermarks(KeHandle *handle, const char *topic,
								int32 partition, int64 *low, int64 *high,
								int timeout_ms);

/* palloc'd; NULL if no broker has told it in time. */
extern char *ke_query_cluster_id(KeHandle *handle, int timeout_ms);

/* Topics as the cluster has them now; all when topic is NULL. */
extern int	ke_query_topics(KeHandle *handle, const char *topic,
							List **topics, int timeout_ms);

/* How many brokers there are, and what a question to one of them takes. */
extern int	ke_query_brokers(KeHandle *handle, int *brokers,
							 int64 *latency_us, int timeout_ms);

/* What is left of a wait that ends at deadline_ms, at most one slice. */
extern int64 ke_query_now_ms(void);
extern int	ke_query_slice(int64 deadline_ms);

#endif							/* KE_QUERY_H */
