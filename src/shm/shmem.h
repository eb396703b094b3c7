/*
 * shmem.h
 *	  Asks for and initialises the shared memory of every file in shm/.
 */
#ifndef KE_SHMEM_H
#define KE_SHMEM_H

/* From _PG_init under shared_preload_libraries: installs the hooks. */
extern void ke_shmem_register(void);

/* True once shared memory is there: the library was preloaded. */
extern bool ke_ready(void);

/* Raises with the setting to change as a hint when it was not preloaded. */
extern void ke_ready_require(void);

#endif							/* KE_SHMEM_H */
