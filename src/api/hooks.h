/*
 * hooks.h
 *	  Where PostgreSQL tells us about what users do.
 */
#ifndef KE_HOOKS_H
#define KE_HOOKS_H

/* From _PG_init under shared_preload_libraries. */
extern void ke_hooks_install(void);

/*
 * This transaction changes something the database's processes must look at
 * again, without changing an object the hooks watch: positions, say.  They
 * are told when it commits.
 */
extern void ke_hooks_note_change(void);

#endif							/* KE_HOOKS_H */
