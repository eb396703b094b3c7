/*
 * subscription_table.c
 *	  A shared hash of fixed size with an entry per subscription.
 */
#include "postgres.h"
#include "core/compat.h"

#include "miscadmin.h"
#include "storage/ipc.h"
#include "storage/shmem.h"

#include "core/guc.h"
#include "shm/subscription_table.h"

#define KEY_SIZE offsetof(KeSubscriptionEntry, mutex)

void
ke_subscription_table_request(const KeSubscriptionTable *table)
{
	RequestAddinShmemSpace(hash_estimate_size(ke_guc_max_subscriptions,
											  table->entry_size));
	RequestNamedLWLockTranche(table->name, 1);
}

void
ke_subscription_table_init(KeSubscriptionTable *table)
{
	HASHCTL		ctl;

	ctl.keysize = KEY_SIZE;
	ctl.entrysize = table->entry_size;
	table->entries = ke_shmem_init_hash(table->name,
										ke_guc_max_subscriptions, &ctl,
										HASH_ELEM | HASH_BLOBS);
	table->lock = &GetNamedLWLockTranche(table->name)->lock;
}

void *
ke_subscription_table_enter(const KeSubscriptionTable *table,
							Oid database, Oid subscription)
{
	KeSubscriptionEntry key = {.database = database,
	.subscription = subscription};
	KeSubscriptionEntry *entry;

	LWLockAcquire(table->lock, LW_SHARED);
	entry = hash_search(table->entries, &key, HASH_FIND, NULL);
	if (entry != NULL)
		SpinLockAcquire(&entry->mutex);
	return entry;
}

void
ke_subscription_table_leave(const KeSubscriptionTable *table, void *entry)
{
	if (entry != NULL)
		SpinLockRelease(&((KeSubscriptionEntry *) entry)->mutex);
	LWLockRelease(table->lock);
}

bool
ke_subscription_table_add(const KeSubscriptionTable *table,
						  Oid database, Oid subscription)
{
	KeSubscriptionEntry key = {.database = database,
	.subscription = subscription};
	KeSubscriptionEntry *entry;
	bool		found;

	LWLockAcquire(table->lock, LW_EXCLUSIVE);
	entry = hash_search(table->entries, &key, HASH_FIND, NULL);
	if (entry == NULL &&
		hash_get_num_entries(table->entries) < ke_guc_max_subscriptions)
	{
		entry = hash_search(table->entries, &key, HASH_ENTER_NULL, &found);
		if (entry != NULL)
		{
			memset((char *) entry + KEY_SIZE, 0,
				   table->entry_size - KEY_SIZE);
			SpinLockInit(&entry->mutex);
		}
	}
	LWLockRelease(table->lock);
	return entry != NULL;
}

void
ke_subscription_table_keep(const KeSubscriptionTable *table,
						   Oid database, const List *subscriptions)
{
	HASH_SEQ_STATUS seq;
	KeSubscriptionEntry *entry;

	LWLockAcquire(table->lock, LW_EXCLUSIVE);
	hash_seq_init(&seq, table->entries);
	while ((entry = hash_seq_search(&seq)) != NULL)
	{
		if (entry->database == database &&
			!list_member_oid(subscriptions, entry->subscription))
			hash_search(table->entries, entry, HASH_REMOVE, NULL);
	}
	LWLockRelease(table->lock);
}
