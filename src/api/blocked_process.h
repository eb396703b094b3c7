/*
 * blocked_process.h
 *	  Which lock another process waits for, and who holds it.
 */
#ifndef KE_BLOCKED_PROCESS_H
#define KE_BLOCKED_PROCESS_H

/*
 * "waits for a lock on table "t" held by pid 1", palloc'd; NULL: the process
 * does not wait for any, or has not for a second.  Needs a transaction, for
 * the table's name.
 */
extern char *ke_blocked_process_describe(int pid);

#endif							/* KE_BLOCKED_PROCESS_H */
