/*
 * handle.h
 *	  One client of the library, from birth to burial.
 *
 * For files in kafka/ only, as every header here that includes rdkafka.h.
 */
#ifndef KE_HANDLE_H
#define KE_HANDLE_H

#include "lib/ilist.h"

#include "kafka/library.h"
#include "kafka/wakeup.h"

typedef struct KeHandle
{
	dlist_node	node;			/* in the list of living handles */
	rd_kafka_t *rk;				/* NULL: closed */
	rd_kafka_queue_t *queue;	/* whatever the library has to say */
	KeWakeup	wakeup;			/* readable when something is in queue */
} KeHandle;

/*
 * Make a consumer of conf, which is consumed in any case; *handle must live
 * as long as the process.  Raises if the library refuses.
 */
extern void ke_handle_open(KeHandle *handle, rd_kafka_conf_t *conf);

/*
 * Destroy it without any last words to the group, at most 10 s; raises FATAL
 * if that is not enough.  Quiet when closed already.
 */
extern void ke_handle_close(KeHandle *handle);

#endif							/* KE_HANDLE_H */
