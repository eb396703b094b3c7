/*
 * schema_use.c
 *	  How many values and keys were read by each schema.
 *
 * A shared hash behind one LWLock, written once per transaction and schema.
 * When it is full, further schemas are not counted.
 */
#include "postgres.h"
#include "core/compat.h"

#include "storage/lwlock.h"
#include "storage/shmem.h"
#include "utils/hsearch.h"

#include "core/guc.h"
#include "shm/schema_use.h"

/* So many schemas for each subscription. */
#define SCHEMAS_EACH 4

typedef struct UseKey
{
	Oid			database;
	Oid			server;
	KeSchemaId	id;
} UseKey;

typedef struct Use
{
	UseKey		key;
	uint64		count;			/* guarded by uses_lock */
} Use;

static HTAB *uses;
static LWLock *uses_lock;

static int
max_uses(void)
{
	return SCHEMAS_EACH * ke_guc_max_subscriptions;
}

void
ke_schema_use_shmem_request(void)
{
	RequestAddinShmemSpace(hash_estimate_size(max_uses(), sizeof(Use)));
	RequestNamedLWLockTranche("kafka_events_schema_uses", 1);
}

void
ke_schema_use_shmem_init(void)
{
	HASHCTL		ctl;

	ctl.keysize = sizeof(UseKey);
	ctl.entrysize = sizeof(Use);
	uses = ke_shmem_init_hash("kafka_events schema uses", max_uses(), &ctl,
							  HASH_ELEM | HASH_BLOBS);
	uses_lock = &GetNamedLWLockTranche("kafka_events_schema_uses")->lock;
}

static UseKey
key_of(Oid database, Oid server, const KeSchemaId *id)
{
	UseKey		key;

	memset(&key, 0, sizeof(UseKey));
	key.database = database;
	key.server = server;
	key.id = *id;
	return key;
}

void
ke_schema_use_add(Oid database, Oid server, const KeSchemaId *id,
				  uint64 count)
{
	UseKey		key = key_of(database, server, id);
	bool		found = true;
	Use		   *use;

	LWLockAcquire(uses_lock, LW_EXCLUSIVE);
	use = hash_search(uses, &key, HASH_FIND, NULL);
	if (use == NULL && hash_get_num_entries(uses) < max_uses())
		use = hash_search(uses, &key, HASH_ENTER_NULL, &found);
	if (use != NULL)
		use->count = (found ? use->count : 0) + count;
	LWLockRelease(uses_lock);
}

uint64
ke_schema_use_get(Oid database, Oid server, const KeSchemaId *id)
{
	UseKey		key = key_of(database, server, id);
	uint64		count = 0;
	Use		   *use;

	LWLockAcquire(uses_lock, LW_SHARED);
	use = hash_search(uses, &key, HASH_FIND, NULL);
	if (use != NULL)
		count = use->count;
	LWLockRelease(uses_lock);
	return count;
}

void
ke_schema_use_forget(Oid database, Oid server)
{
	HASH_SEQ_STATUS seq;
	Use		   *use;

	LWLockAcquire(uses_lock, LW_EXCLUSIVE);
	hash_seq_init(&seq, uses);
	while ((use = hash_seq_search(&seq)) != NULL)
	{
		if (use->key.database == database &&
			(!OidIsValid(server) || use->key.server == server))
			hash_search(uses, &use->key, HASH_REMOVE, NULL);
	}
	LWLockRelease(uses_lock);
}
