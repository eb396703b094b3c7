/*
 * ready.h
 *	  Whether the library was preloaded, and so has its shared memory.
 */
#ifndef KE_READY_H
#define KE_READY_H

/* True once shared memory is there: the library was preloaded. */
extern bool ke_ready(void);

/* Raises with the setting to change as a hint when it was not preloaded. */
extern void ke_ready_require(void);

/*
 * For functions that change something: raises likewise, and on a standby and
 * in a read-only transaction; command is what errors call the function.
 */
extern void ke_ready_require_writable(const char *command);

/* The same, for those that change nothing that a transaction would. */
extern void ke_ready_require_primary(const char *command);

/* From shmem.c, when every file has what it asked for. */
extern void ke_ready_set(void);

#endif							/* KE_READY_H */
