/*
 * handle.h
 *	  One client of the library: opened, served and destroyed.
 */
#ifndef KE_HANDLE_H
#define KE_HANDLE_H

#include "core/clock.h"
#include "kafka/client.h"
#include "kafka/library.h"
#include "kafka/tls.h"
#include "kafka/wakeup.h"

struct KeHandle
{
	rd_kafka_t *rk;				/* NULL: destroyed */
	rd_kafka_queue_t *queue;	/* whatever the library has to say */
	KeWakeup	wakeup;			/* readable when something is in queue */
	int			trouble;		/* newest error that says what is wrong */
	char		trouble_text[512];
	KeTls		tls;
	bool		old_for_scram;	/* a login may fail for the library's age */
	bool		by_token;		/* the library asks a token endpoint */
	KeMoment	no_token_at;	/* when it was last known to get none, or 0 */
	char		no_token_text[256];	/* why */

	/* asked.c's: questions on their way, and answers that are kept */
	struct KeAsked *asked;		/* newest first */
	int		   *under_way;		/* threads that use rk; malloc'd */
	int			patience_ms;	/* of the library with the next question */
	int			took_ms;		/* the newest answer */
	KeMoment	repeat_since;	/* ke_query_repeat's */
	bool		repeat_keep;
};

/*
 * Make a client of conf, which is consumed in any case.  Raises if the
 * library refuses.  From now on the process ends with _exit().
 */
extern void ke_handle_open(KeHandle *handle, rd_kafka_type_t type,
						   rd_kafka_conf_t *conf);

/* Every log event is to be shown, whoever else it is for. */
extern void ke_handle_hear_log(KeHandle *handle, rd_kafka_event_t *rkev);

/*
 * What an error event is about: its own error and text, or, where it only
 * says that no broker can be reached, those of the error that says why.  The
 * text lives until the event is destroyed or the next call.
 */
extern const char *ke_handle_explain(KeHandle *handle,
									 rd_kafka_event_t *rkev, int *error);

/*
 * Destroy a handle that never was a member of a group, within 10 s; raises
 * FATAL if that is not enough.  Where questions, or one for a token, may still
 * be on their way it is destroyed behind them, and nobody waits.
 */
extern void ke_handle_destroy(KeHandle *handle);

#endif							/* KE_HANDLE_H */
