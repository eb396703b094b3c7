/*
 * role_demand.c
 *	  Which servers need a relay, or retry consumers.
 *
 * A shared hash behind one LWLock, read once per transaction that appends to
 * an outbox and written once per server.  When it is full, every server needs
 * everything: a process too many is better than a message that stays behind.
 */
#include "postgres.h"
#include "core/compat.h"

#include "storage/lwlock.h"
#include "storage/shmem.h"
#include "utils/hsearch.h"

#include "core/guc.h"
#include "shm/role_demand.h"

typedef struct NeedKey
{
	Oid			database;
	Oid			server;
	int			role;
} NeedKey;

typedef struct Need
{
	NeedKey		key;
} Need;

static HTAB *needs;
static bool *overflowed;		/* guarded by needs_lock, as needs is */
static LWLock *needs_lock;

/* Two for each server. */
static int
max_needs(void)
{
	return 2 * ke_guc_max_subscriptions;
}

void
ke_role_demand_shmem_request(void)
{
	RequestAddinShmemSpace(add_size(MAXALIGN(sizeof(bool)),
									hash_estimate_size(max_needs(),
													   sizeof(Need))));
	RequestNamedLWLockTranche("kafka_events_needs", 1);
}

void
ke_role_demand_shmem_init(void)
{
	HASHCTL		ctl;
	bool		found;

	ctl.keysize = sizeof(NeedKey);
	ctl.entrysize = sizeof(Need);
	needs = ke_shmem_init_hash("kafka_events needs", max_needs(), &ctl,
							   HASH_ELEM | HASH_BLOBS);
	overflowed = ShmemInitStruct("kafka_events needs overflowed",
								 sizeof(bool), &found);
	if (!found)
		*overflowed = false;
	needs_lock = &GetNamedLWLockTranche("kafka_events_needs")->lock;
}

bool
ke_role_demand_has(Oid database, Oid server, KeRole role)
{
	NeedKey		key = {database, server, role};
	bool		found;

	LWLockAcquire(needs_lock, LW_SHARED);
	found = *overflowed ||
		hash_search(needs, &key, HASH_FIND, NULL) != NULL;
	LWLockRelease(needs_lock);

	return found;
}

void
ke_role_demand_set(Oid database, Oid server, KeRole role)
{
	NeedKey		key = {database, server, role};

	Assert(role == KE_ROLE_RETRY || role == KE_ROLE_RELAY);

	if (ke_role_demand_has(database, server, role))
		return;

	LWLockAcquire(needs_lock, LW_EXCLUSIVE);
	if (hash_get_num_entries(needs) >= max_needs() ||
		hash_search(needs, &key, HASH_ENTER_NULL, NULL) == NULL)
		*overflowed = true;
	LWLockRelease(needs_lock);

	ke_slot_wake_manager(database);
}

void
ke_role_demand_forget(Oid database, Oid server)
{
	HASH_SEQ_STATUS seq;
	Need	   *need;

	LWLockAcquire(needs_lock, LW_EXCLUSIVE);
	hash_seq_init(&seq, needs);
	while ((need = hash_seq_search(&seq)) != NULL)
	{
		if (need->key.database == database &&
			(!OidIsValid(server) || need->key.server == server))
			hash_search(needs, &need->key, HASH_REMOVE, NULL);
	}
	LWLockRelease(needs_lock);
}
