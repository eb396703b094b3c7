/*
 * runtime.h
 *	  What every process of ours does the same way: start, wait, stop.
 *
 * With shm/request, shm/task and shm/database_hold_wait the only place that
 * waits.  SIGTERM asks for a clean stop, and cancels user code that runs or a
 * wait for a lock; a second one, 3 s later, ends the process at its next check
 * for interrupts.  SIGINT cancels the current handler, SIGHUP reads the
 * configuration files again.
 */
#ifndef KE_RUNTIME_H
#define KE_RUNTIME_H

#include "core/clock.h"
#include "shm/slot.h"

/* After SIGTERM, a process that has not ended gets another one. */
#define KE_RUNTIME_PATIENCE_MS 3000

/*
 * First thing in a process's main function: take over the slot the parent
 * reserved (main_arg), install signal handlers, arrange that the slot is
 * given back at exit.  Does not connect to a database.  Exits quietly when
 * the slot is no longer meant for it.
 */
extern const KeIdentityOfProcess *ke_runtime_attach(Datum main_arg);

typedef enum KeWake
{
	KE_WAKE_TIMEOUT,
	KE_WAKE_LATCH,
	KE_WAKE_FD
} KeWake;

/*
 * Sleep until latch, fd (or -1) or timeout, 1 s at most; dies with the
 * postmaster; serves SIGHUP and CHECK_FOR_INTERRUPTS.
 */
extern KeWake ke_runtime_wait(int fd, long timeout_ms);

/* The same without an fd, until then or 1 s. */
extern void ke_runtime_sleep_until(KeMoment then);

/* A socket that the process waits for in every wait from then on. */
typedef struct KeRuntimeSocket
{
	int			fd;
	bool		readable;		/* either, or both */
	bool		writable;
} KeRuntimeSocket;

#define KE_RUNTIME_SOCKETS 64

/* These, and no others any more; version differs when they do. */
extern void ke_runtime_watch(const KeRuntimeSocket *sockets, int count,
							 uint64 version);

/* The fd is about to be closed: forget it. */
extern void ke_runtime_forget_fd(void);

/* True when this process should end: the parent, or SIGTERM, said so. */
extern bool ke_runtime_should_stop(void);

/*
 * True if the stop was asked for by our parent, so leaving is planned; then
 * *leave says whether to leave the consumer group as well.
 */
extern bool ke_runtime_stop_is_planned(bool *leave);

/* For pg_stat_activity: what this process does now, and for which server. */
extern void ke_runtime_serves(const char *server);
extern void ke_runtime_activity(const char *fmt,...) pg_attribute_printf(1, 2);

#endif							/* KE_RUNTIME_H */
