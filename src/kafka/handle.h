/*
 * handle.h
 *	  One client of the library: opened, served and destroyed.
 */
#ifndef KE_HANDLE_H
#define KE_HANDLE_H

#include "kafka/client.h"
#include "kafka/library.h"
#include "kafka/wakeup.h"

struct KeHandle
{
	rd_kafka_t *rk;				/* NULL: destroyed */
	rd_kafka_queue_t *queue;	/* whatever the library has to say */
	KeWakeup	wakeup;			/* readable when something is in queue */
	int			trouble;		/* newest error that says what is wrong */
	char		trouble_text[512];
};

/*
 * Make a client of conf, which is consumed in any case.  Raises if the
 * library refuses.  From now on the process ends with _exit().
 */
extern void ke_handle_open(KeHandle *handle, rd_kafka_type_t type,
						   rd_kafka_conf_t *conf);

/*
 * What an error event is about: its own error and text, or, where it only
 * says that no broker can be reached, those of the error that says why.  The
 * text lives until the event is destroyed or the next call.
 */
extern const char *ke_handle_explain(KeHandle *handle,
									 rd_kafka_event_t *rkev, int *error);

/*
 * Destroy a handle that never was a member of a group, within 10 s; raises
 * FATAL if that is not enough.
 */
extern void ke_handle_destroy(KeHandle *handle);

#endif							/* KE_HANDLE_H */
