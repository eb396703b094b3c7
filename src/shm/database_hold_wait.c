/*
 * database_hold_wait.c
 *	  Hold a database until its processes are gone.
 *
 * One of the few places that wait.
 */
#include "postgres.h"
#include "core/compat.h"

#include "miscadmin.h"
#include "pgstat.h"
#include "storage/latch.h"
#include "utils/timestamp.h"

#include "core/clock.h"
#include "shm/database_hold.h"
#include "shm/database_hold_wait.h"
#include "shm/roster.h"

void
ke_database_hold_wait(Oid database, int timeout_ms)
{
	KeMoment	deadline;
	long		pause = 1;

	if (!ke_database_hold_set(database) ||
		!ke_roster_database_is_busy(database))
		return;

	ke_database_hold_note_stopped(database);
	deadline = ke_clock_in(timeout_ms);
	ke_roster_stop_database(database);
	while (ke_roster_database_is_busy(database) &&
		   ke_clock_now() < deadline)
	{
		/* Nobody tells us; it takes some milliseconds as a rule. */
		(void) WaitLatch(MyLatch,
						 WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH,
						 pause, PG_WAIT_EXTENSION);
		ResetLatch(MyLatch);
		CHECK_FOR_INTERRUPTS();
		pause = Min(pause * 2, 50);
	}
}
