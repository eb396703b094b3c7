/*
 * thread.h
 *	  Threads of ours, which call the library and nothing else.
 */
#ifndef KE_THREAD_H
#define KE_THREAD_H

#include <pthread.h>
#include <signal.h>

/* Threads started between these two, by whomever, see no signals. */
extern sigset_t ke_thread_block_signals(void);
extern void ke_thread_restore_signals(sigset_t before);

/*
 * How late timeouts of this thread, and of threads it starts from now on, may
 * be; 0: the system's default.  Returns what it was.  Only Linux knows it.
 */
extern unsigned long ke_thread_set_slack(unsigned long ns);

/* Start one that sees no signals; false when the system refuses. */
extern bool ke_thread_start(pthread_t *thread, void *(*run) (void *),
							void *argument);

/* A condition whose timeouts do not depend on the wall clock. */
extern void ke_thread_init_condition(pthread_cond_t *condition);

/* Wait for it; false when ms have passed. */
extern bool ke_thread_wait(pthread_cond_t *condition, pthread_mutex_t *lock,
						   int ms);

#endif							/* KE_THREAD_H */
