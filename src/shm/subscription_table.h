/*
 * subscription_table.h
 *	  A shared hash of fixed size with an entry per subscription.
 */
#ifndef KE_SUBSCRIPTION_TABLE_H
#define KE_SUBSCRIPTION_TABLE_H

#include "nodes/pg_list.h"
#include "storage/lwlock.h"
#include "storage/spin.h"
#include "utils/hsearch.h"

/* What each entry begins with. */
typedef struct KeSubscriptionEntry
{
	Oid			database;
	Oid			subscription;
	slock_t		mutex;			/* guards the rest of the entry */
} KeSubscriptionEntry;

typedef struct KeSubscriptionTable
{
	const char *name;			/* of the memory and of its lock */
	Size		entry_size;
	HTAB	   *entries;
	LWLock	   *lock;			/* exclusively to add and remove entries */
} KeSubscriptionTable;

extern void ke_subscription_table_request(const KeSubscriptionTable *table);
extern void ke_subscription_table_init(KeSubscriptionTable *table);

/*
 * The entry, with the table's lock held in any case and, if there is one, its
 * spinlock too; NULL: there is none.  Nothing may raise until leave.
 */
extern void *ke_subscription_table_enter(const KeSubscriptionTable *table,
										 Oid database, Oid subscription);
extern void ke_subscription_table_leave(const KeSubscriptionTable *table,
										void *entry);

/* Make sure that there is an entry, at first all zero; false: no place. */
extern bool ke_subscription_table_add(const KeSubscriptionTable *table,
									  Oid database, Oid subscription);

/* Forget all subscriptions of a database but these (a list of Oid). */
extern void ke_subscription_table_keep(const KeSubscriptionTable *table,
									   Oid database,
									   const List *subscriptions);

#endif							/* KE_SUBSCRIPTION_TABLE_H */
