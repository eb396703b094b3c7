/*
 * testing.c
 *	  Crash points and the negative control, in test builds only.
 */
#include "postgres.h"
#include "core/compat.h"

#include "core/testing.h"

#ifdef KE_TESTING

#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include "utils/guc.h"

#define MARKER "kafka_events.crashed"

bool		ke_testing_fence = true;

static char *crash_point;

void
ke_testing_define(void)
{
	DefineCustomStringVariable("kafka_events.test_crash_point",
							   "Names the point at which a process kills itself.",
							   NULL, &crash_point, "", PGC_SIGHUP, 0,
							   NULL, NULL, NULL);
	DefineCustomBoolVariable("kafka_events.test_fence",
							 "Compares before it sets a position.",
							 NULL, &ke_testing_fence, true, PGC_SIGHUP, 0,
							 NULL, NULL, NULL);
}

void
ke_testing_crash(const char *point)
{
	Size		len = strlen(point);
	bool		freeze;
	int			marker;

	if (crash_point == NULL || strncmp(crash_point, point, len) != 0)
		return;
	freeze = strcmp(crash_point + len, " freeze") == 0;
	if (crash_point[len] != '\0' && !freeze)
		return;
	marker = open(MARKER, O_CREAT | O_EXCL | O_WRONLY, 0600);
	if (marker < 0)
		return;
	(void) !write(marker, crash_point, strlen(crash_point));
	close(marker);
	kill(getpid(), freeze ? SIGSTOP : SIGKILL);
}

#endif
