/*
 * header_names.h
 *	  The names of the headers we write.
 */
#ifndef KE_HEADER_NAMES_H
#define KE_HEADER_NAMES_H

/* on both kinds of copies */
#define KE_COPY_MESSAGE_ID "x-message-id"
#define KE_COPY_ORIGINAL_TOPIC "x-original-topic"
#define KE_COPY_ORIGINAL_PARTITION "x-original-partition"
#define KE_COPY_ORIGINAL_OFFSET "x-original-offset"
#define KE_COPY_ORIGINAL_TIMESTAMP "x-original-timestamp"
#define KE_COPY_ORIGINAL_TIMESTAMP_TYPE "x-original-timestamp-type"
#define KE_COPY_SERVICE "x-service"
#define KE_COPY_ID "x-copy-id"
#define KE_COPY_HISTORY "x-copy-history"	/* added as it is sent */

/* on retry copies */
#define KE_COPY_ATTEMPT "x-retry-attempt"
#define KE_COPY_DELAY "x-retry-delay"
#define KE_COPY_DUE "x-retry-at"

/* on dead letters */
#define KE_COPY_ATTEMPTS "x-retry-attempts"
#define KE_COPY_REASON "x-dlq-reason"
#define KE_COPY_TIME "x-dlq-timestamp"
#define KE_COPY_SQLSTATE "x-dlq-sqlstate"
#define KE_COPY_HANDLER "x-dlq-handler"

/* How many of them a copy has at most. */
#define KE_COPY_HEADERS 14

/* Is it one of these? */
extern bool ke_retry_headers_is_ours(const char *name);

#endif							/* KE_HEADER_NAMES_H */
