/*
 * trust.h
 *	  Whether a superuser's consumers would run only what superusers made.
 *
 * Consumers are sessions of the server's owner.  Where that is a superuser,
 * everything that can make code run in them has to belong to superusers:
 * functions, tables, and what hangs on a table.  Only catalogs are read.
 */
#ifndef KE_TRUST_H
#define KE_TRUST_H

#include "subscription/catalog.h"

/* What there is to say against it; quiet for servers of others. */
extern void ke_trust_check(KeServer *server, KeSubscription *sub,
						   List **problems);

/* Only the table, with all that runs when a superuser writes into it. */
extern void ke_trust_check_table(Oid table, List **problems);

#endif							/* KE_TRUST_H */
