/*
 * wakeup.h
 *	  A pipe that the library's threads write to when an event waits.
 */
#ifndef KE_WAKEUP_H
#define KE_WAKEUP_H

typedef struct KeWakeup
{
	int			read_fd;		/* for the wait event set; -1: closed */
	int			write_fd;		/* for the library */
} KeWakeup;

/* Both ends non-blocking and closed on exec; raises if there are no fds. */
extern void ke_wakeup_open(KeWakeup *wakeup);

/* Empty it, so that the next write makes it readable again. */
extern void ke_wakeup_drain(KeWakeup *wakeup);

/* Quiet when closed already. */
extern void ke_wakeup_close(KeWakeup *wakeup);

#endif							/* KE_WAKEUP_H */
