/*
 * changes.h
 *	  Whether something in the catalogs changed that user code depends on.
 */
#ifndef KE_CHANGES_H
#define KE_CHANGES_H

/*
 * Counts changes of functions, relations, types, schemas, privileges and the
 * like, as far as this process has learned of them: which it does when a
 * transaction begins.  What it changes itself counts too.
 */
extern uint64 ke_changes_count(void);

#endif							/* KE_CHANGES_H */
