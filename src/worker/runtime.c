/*
 * runtime.c
 *	  What every process of ours does the same way: start, wait, stop.
 *
 * The signal handlers set flags and the latch and no more.  They may read
 * what handler/handler and the lock manager say about this process: single
 * words.
 */
#include "postgres.h"
#include "core/compat.h"

#include <signal.h>

#include "access/xact.h"
#include "libpq/pqsignal.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "postmaster/bgworker.h"
#include "postmaster/interrupt.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "storage/proc.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "core/clock.h"
#include "core/failure.h"
#include "handler/handler.h"
#include "worker/runtime.h"

/* The net under missed wake-ups. */
#define MAX_SLEEP_MS 1000L

/* A clock that is set back by less delays nothing for long. */
#define SET_BACK_US (5 * USECS_PER_SEC)

static emit_log_hook_type prev_emit_log_hook = NULL;

/* When SIGTERM came first; 0: not yet. */
static volatile KeMoment terminated_at = 0;

/* The foreign server that this process works for; empty: for all, or none. */
static char served[NAMEDATALEN] = "";

/* What end_if_set_back found at its last look; is there anything to lose? */
static int64 ahead_us = 0;
static bool has_client = false;

/* Latch, postmaster death, wait_fd and watched; made again as they change. */
static WaitEventSet *wait_set = NULL;
static int	wait_fd = PGINVALID_SOCKET;

/* What else is waited for; wait_set was made for wait_version of it. */
static KeRuntimeSocket watched[KE_RUNTIME_SOCKETS];
static int	nwatched = 0;
static uint64 watched_version = 0;
static uint64 wait_version = 0;

/* What a stop must not wait for. */
static bool
is_interruptible(void)
{
	return ke_handler_is_running() ||
		(MyProc != NULL && MyProc->waitStatus == PROC_WAIT_STATUS_WAITING);
}

static void
handle_sigterm(SIGNAL_ARGS)
{
	int			save_errno = errno;
	KeMoment	now = ke_clock_now();

	if (terminated_at == 0)
	{
		terminated_at = now;
		ke_slot_note_terminating();
		if (is_interruptible())
		{
			QueryCancelPending = true;
			InterruptPending = true;
		}
	}
	else if (now - terminated_at >= KE_RUNTIME_PATIENCE_MS * INT64CONST(1000))
	{
		ProcDiePending = true;
		InterruptPending = true;
	}
	SetLatch(MyLatch);

	errno = save_errno;
}

static void
handle_sigint(SIGNAL_ARGS)
{
	int			save_errno = errno;

	if (ke_handler_is_running())
	{
		QueryCancelPending = true;
		InterruptPending = true;
	}
	SetLatch(MyLatch);

	errno = save_errno;
}

/*
 * An error that ends the process is what the views show about it: PostgreSQL
 * reports it just before the process exits, when nobody of ours has control.
 */
static void
remember_error(ErrorData *edata)
{
	if (edata->elevel == FATAL)
		ke_slot_set_error(edata->message);
	else if (edata->elevel == ERROR)
	{
		KeFailure	fail = {0};

		fail.sqlstate = edata->sqlerrcode;
		fail.ours = edata->domain != NULL &&
			strcmp(edata->domain, TEXTDOMAIN) == 0;
		fail.message = edata->message;
		fail.table_name = edata->table_name;
		fail.constraint_name = edata->constraint_name;
		ke_slot_set_error(ke_failure_describe(&fail));
	}

	if (prev_emit_log_hook)
		prev_emit_log_hook(edata);
}

/* How far the wall clock is ahead of the one that only goes forward. */
static int64
wall_ahead_us(void)
{
	return GetCurrentTimestamp() - ke_clock_now();
}

/*
 * Threads of the library wait until times of the wall clock: one that is set
 * back makes them sleep for all of that time, and nothing wakes some of them.
 * Another process has another client, whose threads do not.
 */
static void
end_if_set_back(void)
{
	int64		before_us = ahead_us;

	ahead_us = wall_ahead_us();
	if (has_client && before_us - ahead_us > SET_BACK_US)
		ereport(FATAL,
				(errcode(ERRCODE_CONNECTION_FAILURE),
				 errmsg("the clock was set back by " INT64_FORMAT " s: the process starts again, as its Kafka client would wait for all of that time",
						(before_us - ahead_us) / USECS_PER_SEC)));
}

const KeIdentityOfProcess *
ke_runtime_attach(Datum main_arg)
{
	const KeIdentityOfProcess *who;

	pqsignal(SIGTERM, handle_sigterm);
	pqsignal(SIGINT, handle_sigint);
	pqsignal(SIGHUP, SignalHandlerForConfigReload);
	BackgroundWorkerUnblockSignals();

	who = ke_slot_attach(main_arg);
	if (who == NULL)
		proc_exit(0);

	has_client = who->role != KE_ROLE_LAUNCHER;
	ahead_us = wall_ahead_us();

	prev_emit_log_hook = emit_log_hook;
	emit_log_hook = remember_error;

	/* What the parent calls this process. */
	SetConfigOption("application_name", MyBgworkerEntry->bgw_extra,
					PGC_USERSET, PGC_S_OVERRIDE);

	return who;
}

static void
make_wait_set(int fd)
{
	if (wait_set != NULL)
		FreeWaitEventSet(wait_set);
	wait_set = ke_create_wait_event_set(3 + nwatched);
	AddWaitEventToSet(wait_set, WL_LATCH_SET, PGINVALID_SOCKET, MyLatch, NULL);
	AddWaitEventToSet(wait_set, WL_EXIT_ON_PM_DEATH, PGINVALID_SOCKET, NULL,
					  NULL);
	if (fd != PGINVALID_SOCKET)
		AddWaitEventToSet(wait_set, WL_SOCKET_READABLE, fd, NULL, NULL);
	for (int i = 0; i < nwatched; i++)
		AddWaitEventToSet(wait_set,
						  (watched[i].readable ? WL_SOCKET_READABLE : 0) |
						  (watched[i].writable ? WL_SOCKET_WRITEABLE : 0),
						  watched[i].fd, NULL, NULL);
	wait_fd = fd;
	wait_version = watched_version;
}

void
ke_runtime_watch(const KeRuntimeSocket *sockets, int count, uint64 version)
{
	if (version == watched_version)
		return;
	nwatched = Min(count, KE_RUNTIME_SOCKETS);
	memcpy(watched, sockets, nwatched * sizeof(KeRuntimeSocket));
	watched_version = version;
}

void
ke_runtime_forget_fd(void)
{
	if (wait_fd != PGINVALID_SOCKET)
		make_wait_set(PGINVALID_SOCKET);
}

KeWake
ke_runtime_wait(int fd, long timeout_ms)
{
	WaitEvent	events[2];
	int			nevents;
	KeWake		wake = KE_WAKE_TIMEOUT;

	if (wait_set == NULL || fd != wait_fd || wait_version != watched_version)
		make_wait_set(fd);

	nevents = WaitEventSetWait(wait_set,
							   Max(Min(timeout_ms, MAX_SLEEP_MS), 0),
							   events, lengthof(events), PG_WAIT_EXTENSION);
	for (int i = 0; i < nevents; i++)
	{
		if ((events[i].events & WL_SOCKET_MASK) != 0)
			wake = KE_WAKE_FD;
		else if (wake != KE_WAKE_FD)
			wake = KE_WAKE_LATCH;
	}
	ResetLatch(MyLatch);

	/*
	 * What the last transactions counted and were too quick to report.  Not
	 * forced, it would wait for a transaction that ends a second later.
	 */
	if (nevents == 0 && !IsTransactionState())
		(void) pgstat_report_stat(true);

	/* A cancel that came when the handler had just ended is for nobody. */
	if (!ke_handler_is_running())
		QueryCancelPending = false;
	CHECK_FOR_INTERRUPTS();

	end_if_set_back();

	if (ConfigReloadPending)
	{
		ConfigReloadPending = false;
		ProcessConfigFile(PGC_SIGHUP);
	}

	return wake;
}

void
ke_runtime_sleep_until(KeMoment then)
{
	long		ms = MAX_SLEEP_MS;

	if (then != DT_NOEND)
		ms = ke_clock_left(ke_clock_now(), then);
	(void) ke_runtime_wait(PGINVALID_SOCKET, ms);
}

bool
ke_runtime_should_stop(void)
{
	bool		leave;

	return terminated_at != 0 || ke_slot_stop_requested(&leave);
}

bool
ke_runtime_stop_is_planned(bool *leave)
{
	return ke_slot_stop_requested(leave);
}

void
ke_runtime_serves(const char *server)
{
	strlcpy(served, server, sizeof(served));
}

void
ke_runtime_activity(const char *fmt,...)
{
	char		text[256 + NAMEDATALEN];
	int			len = 0;
	va_list		args;

	if (served[0] != '\0')
		len = snprintf(text, sizeof(text), "server \"%s\": ", served);
	va_start(args, fmt);
	vsnprintf(text + len, sizeof(text) - len, fmt, args);
	va_end(args);

	pgstat_report_activity(IsTransactionState() ? STATE_RUNNING : STATE_IDLE,
						   text);
}
