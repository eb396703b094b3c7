/*
 * shmem.h
 *	  Asks for and initialises the shared memory of every file in shm/.
 */
#ifndef KE_SHMEM_H
#define KE_SHMEM_H

/* From _PG_init under shared_preload_libraries: installs the hooks. */
extern void ke_shmem_register(void);

#endif							/* KE_SHMEM_H */
