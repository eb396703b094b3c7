/*
 * answers.h
 *	  Answers questions of users' backends by asking the Kafka cluster.
 */
#ifndef KE_ANSWERS_H
#define KE_ANSWERS_H

#include "cluster/watch.h"
#include "shm/request.h"
#include "subscription/catalog.h"

/*
 * Try to answer within timeout_ms, or a little longer; the watch's cluster is
 * open.  Returns NULL if no broker has answered: trying again may help;
 * *problem then says what is wrong, as an answer to give when time is up.
 * Both are in the current context.
 */
extern KeAnswer *ke_answers_try(KeWatch *watch, const KeServer *server,
								const KeQuestion *question, int timeout_ms,
								KeAnswer **problem);

/* An answer that says why there is none. */
extern KeAnswer *ke_answers_refuse(const char *text, const char *hint);

#endif							/* KE_ANSWERS_H */
