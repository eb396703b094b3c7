/*
 * database_hold.h
 *	  A hold on a database: nobody starts a process of ours in it.
 *
 * DROP DATABASE and its kin need a database without sessions.  The backend
 * that runs one sets a hold, which lasts until its transaction ends or it
 * dies, and asks the database's processes to stop.
 */
#ifndef KE_DATABASE_HOLD_H
#define KE_DATABASE_HOLD_H

extern void ke_database_hold_shmem_request(void);
extern void ke_database_hold_shmem_init(void);

/*
 * Hold the database, stop its processes, and wait until they are gone, at
 * most timeout_ms.  Serves interrupts.  The hold stays in any case.
 */
extern void ke_database_hold_wait(Oid database, int timeout_ms);

/* Callers hold the slots' lock, which comes before ours. */
extern bool ke_database_hold_is_held(Oid database);

#endif							/* KE_DATABASE_HOLD_H */
