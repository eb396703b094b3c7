/*
 * thread.c
 *	  Threads of ours, which call the library and nothing else.
 *
 * They must never run PostgreSQL code, so all signals are blocked in them,
 * and what they share with the process is allocated with malloc().
 */
#include "postgres.h"
#include "core/compat.h"

#ifdef __linux__
#include <sys/prctl.h>
#endif
#include <time.h>

#include "kafka/thread.h"

sigset_t
ke_thread_block_signals(void)
{
	sigset_t	all;
	sigset_t	before;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	return before;
}

void
ke_thread_restore_signals(sigset_t before)
{
	pthread_sigmask(SIG_SETMASK, &before, NULL);
}

unsigned long
ke_thread_set_slack(unsigned long ns)
{
	unsigned long before = 0;

#ifdef PR_SET_TIMERSLACK
	before = prctl(PR_GET_TIMERSLACK, 0, 0, 0, 0);
	(void) prctl(PR_SET_TIMERSLACK, ns, 0, 0, 0);
#endif
	return before;
}

bool
ke_thread_start(pthread_t *thread, void *(*run) (void *), void *argument)
{
	sigset_t	before = ke_thread_block_signals();
	int			err = pthread_create(thread, NULL, run, argument);

	ke_thread_restore_signals(before);
	return err == 0;
}

void
ke_thread_init_condition(pthread_cond_t *condition)
{
	pthread_condattr_t attr;

	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(condition, &attr);
	pthread_condattr_destroy(&attr);
}

bool
ke_thread_wait(pthread_cond_t *condition, pthread_mutex_t *lock, int ms)
{
	struct timespec deadline;

	clock_gettime(CLOCK_MONOTONIC, &deadline);
	deadline.tv_sec += ms / 1000;
	deadline.tv_nsec += (long) (ms % 1000) * 1000000L;
	if (deadline.tv_nsec >= 1000000000L)
	{
		deadline.tv_sec++;
		deadline.tv_nsec -= 1000000000L;
	}
	return pthread_cond_timedwait(condition, lock, &deadline) == 0;
}
