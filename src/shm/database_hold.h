/*
 * database_hold.h
 *	  A hold on a database: nobody starts a process of ours in it.
 *
 * DROP DATABASE and the like need a database without sessions.  The backend
 * that runs one sets a hold, which lasts until its transaction ends or it
 * dies.
 */
#ifndef KE_DATABASE_HOLD_H
#define KE_DATABASE_HOLD_H

extern void ke_database_hold_shmem_request(void);
extern void ke_database_hold_shmem_init(void);

/*
 * Hold the database until the transaction ends.  False: too many statements
 * hold one now.
 */
extern bool ke_database_hold_set(Oid database);

/* Processes were stopped for the hold; they run again when it ends. */
extern void ke_database_hold_note_stopped(Oid database);

/* Callers hold the slots' lock, which comes before ours. */
extern bool ke_database_hold_is_held(Oid database);

#endif							/* KE_DATABASE_HOLD_H */
