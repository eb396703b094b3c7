/*
 * dlq_functions.h
 *	  Which topic's dead letters a function is about.
 */
#ifndef KE_DLQ_FUNCTIONS_H
#define KE_DLQ_FUNCTIONS_H

#include "fmgr.h"

#include "subscription/catalog.h"

/*
 * The DLQ topic of a source topic, or the topic itself: one that ends as those
 * of this server do, or is not subscribed and has no such topic, as another
 * system's.  Raises if it cannot be.
 */
extern char *ke_dlq_functions_topic(KeServer *server, const char *topic);

/* The source topic of a DLQ topic; NULL: its name does not say it. */
extern char *ke_dlq_functions_source(const KeServer *server,
									 const char *dlq_topic);

/* An argument from 0 on, or KE_TASK_ANY where none is given. */
extern int64 ke_dlq_functions_count(FunctionCallInfo fcinfo, int n,
									const char *name, bool is_bigint);

#endif							/* KE_DLQ_FUNCTIONS_H */
