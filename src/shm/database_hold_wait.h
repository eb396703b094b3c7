/*
 * database_hold_wait.h
 *	  Hold a database until its processes are gone.
 */
#ifndef KE_DATABASE_HOLD_WAIT_H
#define KE_DATABASE_HOLD_WAIT_H

/*
 * Hold the database, stop its processes, and wait until they are gone, at
 * most timeout_ms.  Serves interrupts.  The hold stays in any case.
 */
extern void ke_database_hold_wait(Oid database, int timeout_ms);

#endif							/* KE_DATABASE_HOLD_WAIT_H */
