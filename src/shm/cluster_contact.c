/*
 * cluster_contact.c
 *	  When the brokers of a server's cluster last answered the manager.
 *
 * A shared hash behind one LWLock, written some times a minute for each
 * server.  When it is full, nothing is known of further servers.
 */
#include "postgres.h"
#include "core/compat.h"

#include "miscadmin.h"
#include "storage/lwlock.h"
#include "storage/shmem.h"
#include "utils/hsearch.h"

#include "core/guc.h"
#include "shm/cluster_contact.h"

typedef struct ContactKey
{
	Oid			database;
	Oid			server;
} ContactKey;

typedef struct Contact
{
	ContactKey	key;
	KeClusterContact contact;	/* guarded by contacts_lock */
} Contact;

static HTAB *contacts;
static LWLock *contacts_lock;

/* One server for each subscription is the most that can be looked at. */
static int
max_contacts(void)
{
	return ke_guc_max_subscriptions;
}

void
ke_cluster_contact_shmem_request(void)
{
	RequestAddinShmemSpace(hash_estimate_size(max_contacts(),
											  sizeof(Contact)));
	RequestNamedLWLockTranche("kafka_events_contacts", 1);
}

void
ke_cluster_contact_shmem_init(void)
{
	HASHCTL		ctl;

	ctl.keysize = sizeof(ContactKey);
	ctl.entrysize = sizeof(Contact);
	contacts = ke_shmem_init_hash("kafka_events contacts", max_contacts(),
								  &ctl, HASH_ELEM | HASH_BLOBS);
	contacts_lock = &GetNamedLWLockTranche("kafka_events_contacts")->lock;
}

void
ke_cluster_contact_note(Oid database, Oid server, bool answered)
{
	ContactKey	key = {database, server};
	KeMoment	now = ke_clock_now();
	Contact    *contact;
	bool		found = true;

	LWLockAcquire(contacts_lock, LW_EXCLUSIVE);
	contact = hash_search(contacts, &key, HASH_FIND, NULL);
	if (contact == NULL && hash_get_num_entries(contacts) < max_contacts())
		contact = hash_search(contacts, &key, HASH_ENTER_NULL, &found);
	if (contact != NULL)
	{
		if (!found)
		{
			contact->contact.since = now;
			contact->contact.answered_at = 0;
		}
		if (answered)
			contact->contact.answered_at = now;
	}
	LWLockRelease(contacts_lock);
}

bool
ke_cluster_contact_get(Oid database, Oid server, KeClusterContact *contact)
{
	ContactKey	key = {database, server};
	Contact    *found;

	LWLockAcquire(contacts_lock, LW_SHARED);
	found = hash_search(contacts, &key, HASH_FIND, NULL);
	if (found != NULL)
		*contact = found->contact;
	LWLockRelease(contacts_lock);

	return found != NULL;
}

int64
ke_cluster_contact_silent_us(const KeClusterContact *contact)
{
	KeMoment	last = Max(contact->since, contact->answered_at);

	return Max(ke_clock_now() - last, 0);
}

void
ke_cluster_contact_forget(Oid database, Oid server)
{
	HASH_SEQ_STATUS seq;
	Contact    *contact;

	LWLockAcquire(contacts_lock, LW_EXCLUSIVE);
	hash_seq_init(&seq, contacts);
	while ((contact = hash_seq_search(&seq)) != NULL)
	{
		if (contact->key.database == database &&
			(!OidIsValid(server) || contact->key.server == server))
			hash_search(contacts, &contact->key, HASH_REMOVE, NULL);
	}
	LWLockRelease(contacts_lock);
}
