/*
 * checks.h
 *	  Whether a subscription may run: its objects, and its owner's rights.
 *
 * The same checks serve the statements that make and change a subscription,
 * which raise all problems at once, and the workers, for which the first one
 * is the reason why it is broken.
 */
#ifndef KE_CHECKS_H
#define KE_CHECKS_H

#include "subscription/catalog.h"

/* Everything there is to say against it; sub's objects are resolved. */
extern void ke_checks_subscription(KeServer *server, KeSubscription *sub,
								   List **problems);

/*
 * What is there to say against writing rows into sub's table, of whichever
 * kind it is, as its options have it and with the rights of owner.
 */
extern void ke_checks_table(Oid owner, const KeSubscription *sub,
							List **problems);

/* The owner can log in and connect to this database. */
extern void ke_checks_owner(KeServer *server, List **problems);

/* The first problem as one line, without its hints. */
extern char *ke_checks_first(List *problems);

#endif							/* KE_CHECKS_H */
