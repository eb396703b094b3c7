/*
 * clock.c
 *	  A wall clock that a test can set, for all processes that preload it.
 *
 * The file that KE_CLOCK names holds a long: the seconds that the wall clock
 * is ahead.  Waits of librdkafka until a time of that clock end when it says
 * so, as the kernel has it: a clock that is set back makes them longer.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <threads.h>
#include <time.h>
#include <unistd.h>

#define STEP_NS 100000000L		/* between two looks at the clock */
#define SECOND_NS 1000000000L

static long
ahead(void)
{
	static volatile long *shared;

	if (!shared)
	{
		int			fd = open(getenv("KE_CLOCK"), O_RDONLY);
		void	   *map = fd < 0 ? MAP_FAILED :
			mmap(NULL, sizeof(long), PROT_READ, MAP_SHARED, fd, 0);

		if (map == MAP_FAILED)
			abort();
		close(fd);
		shared = map;
	}
	return *shared;
}

int
clock_gettime(clockid_t clock, struct timespec *now)
{
	static int	(*real) (clockid_t, struct timespec *);
	int			result;

	if (!real)
		real = dlsym(RTLD_NEXT, "clock_gettime");
	result = real(clock, now);
	if (result == 0 &&
		(clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE))
		now->tv_sec += ahead();
	return result;
}

int
gettimeofday(struct timeval *restrict tv, void *restrict zone)
{
	struct timespec now;

	(void) zone;
	clock_gettime(CLOCK_REALTIME, &now);
	tv->tv_sec = now.tv_sec;
	tv->tv_usec = now.tv_nsec / 1000;
	return 0;
}

time_t
time(time_t *result)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	if (result)
		*result = now.tv_sec;
	return now.tv_sec;
}

int
timespec_get(struct timespec *now, int base)
{
	clock_gettime(CLOCK_REALTIME, now);
	return base;
}

static int
is_before(const struct timespec *one, const struct timespec *other)
{
	return one->tv_sec < other->tv_sec ||
		(one->tv_sec == other->tv_sec && one->tv_nsec < other->tv_nsec);
}

int
cnd_timedwait(cnd_t *restrict condition, mtx_t *restrict mutex,
			  const struct timespec *restrict until)
{
	static int	(*real) (cnd_t *, mtx_t *, const struct timespec *);

	if (!real)
		real = dlsym(RTLD_NEXT, "cnd_timedwait");
	for (;;)
	{
		struct timespec now;
		struct timespec next;
		int			result;

		clock_gettime(CLOCK_REALTIME, &now);
		if (!is_before(&now, until))
			return thrd_timedout;

		/* The real one compares with the real clock. */
		next = now;
		next.tv_nsec += STEP_NS;
		if (next.tv_nsec >= SECOND_NS)
		{
			next.tv_sec++;
			next.tv_nsec -= SECOND_NS;
		}
		if (is_before(until, &next))
			next = *until;
		next.tv_sec -= ahead();
		result = real(condition, mutex, &next);
		if (result != thrd_timedout)
			return result;
	}
}
