/*
 * schema_demand.c
 *	  Schemas that consumers need and the manager asks the registry for.
 *
 * A shared hash behind one LWLock, touched only for schemas that a process
 * sees for the first time.  When it is full, who comes later asks again.
 */
#include "postgres.h"
#include "core/compat.h"

#include "port/atomics.h"
#include "storage/lwlock.h"
#include "storage/shmem.h"
#include "utils/hsearch.h"

#include "core/clock.h"
#include "core/guc.h"
#include "shm/roster.h"
#include "shm/schema_demand.h"

/* So long one answer serves all who ask. */
#define UNKNOWN_MS 2000

/* What nobody asks for in that time is not needed. */
#define FORGET_MS 60000

typedef struct DemandKey
{
	Oid			database;
	Oid			server;
	KeSchemaId	id;
} DemandKey;

typedef struct Demand
{
	DemandKey	key;
	KeSchemaState state;		/* this and the rest: demands_lock */
	KeMoment	wanted_at;		/* last */
	KeMoment	answered_at;
	char		reason[KE_REASON_LEN];
} Demand;

static HTAB *demands;
static pg_atomic_uint64 *answers;
static LWLock *demands_lock;

static int
max_demands(void)
{
	return ke_guc_max_subscriptions;
}

void
ke_schema_demand_shmem_request(void)
{
	RequestAddinShmemSpace(add_size(MAXALIGN(sizeof(pg_atomic_uint64)),
									hash_estimate_size(max_demands(),
													   sizeof(Demand))));
	RequestNamedLWLockTranche("kafka_events_schemas", 1);
}

void
ke_schema_demand_shmem_init(void)
{
	HASHCTL		ctl;
	bool		found;

	ctl.keysize = sizeof(DemandKey);
	ctl.entrysize = sizeof(Demand);
	demands = ke_shmem_init_hash("kafka_events schemas", max_demands(), &ctl,
								 HASH_ELEM | HASH_BLOBS);
	answers = ShmemInitStruct("kafka_events schema answers",
							  sizeof(pg_atomic_uint64), &found);
	if (!found)
		pg_atomic_init_u64(answers, 0);
	demands_lock = &GetNamedLWLockTranche("kafka_events_schemas")->lock;
}

static DemandKey
key_of(Oid database, Oid server, const KeSchemaId *id)
{
	DemandKey	key;

	memset(&key, 0, sizeof(DemandKey));
	key.database = database;
	key.server = server;
	key.id = *id;
	return key;
}

KeSchemaState
ke_schema_demand_look(Oid database, Oid server, const KeSchemaId *id)
{
	DemandKey	key = key_of(database, server, id);
	KeSchemaState state = KE_SCHEMA_NOT_ASKED;
	Demand	   *demand;

	LWLockAcquire(demands_lock, LW_SHARED);
	demand = hash_search(demands, &key, HASH_FIND, NULL);
	if (demand != NULL)
		state = demand->state;
	if (state == KE_SCHEMA_UNKNOWN &&
		ke_clock_passed(demand->answered_at, ke_clock_now(), UNKNOWN_MS))
		state = KE_SCHEMA_NOT_ASKED;
	LWLockRelease(demands_lock);

	return state;
}

void
ke_schema_demand_want(Oid database, Oid server, const KeSchemaId *id,
					  char *reason)
{
	DemandKey	key = key_of(database, server, id);
	bool		found = false;
	bool		wake = false;
	Demand	   *demand;

	LWLockAcquire(demands_lock, LW_EXCLUSIVE);
	demand = hash_search(demands, &key, HASH_FIND, &found);
	if (!found && hash_get_num_entries(demands) < max_demands())
		demand = hash_search(demands, &key, HASH_ENTER_NULL, &found);
	if (demand == NULL)
		strlcpy(reason, "too many schemas are asked for at once",
				KE_REASON_LEN);
	else
	{
		if (!found || demand->state != KE_SCHEMA_WANTED)
		{
			demand->state = KE_SCHEMA_WANTED;
			demand->answered_at = 0;
			demand->reason[0] = '\0';
			wake = true;
		}
		demand->wanted_at = ke_clock_now();
		strlcpy(reason, demand->reason, KE_REASON_LEN);
	}
	LWLockRelease(demands_lock);

	if (wake)
		ke_slot_wake_manager(database);
}

uint64
ke_schema_demand_answers(void)
{
	return pg_atomic_read_u64(answers);
}

static bool
has_demands(void)
{
	bool		has;

	LWLockAcquire(demands_lock, LW_SHARED);
	has = hash_get_num_entries(demands) > 0;
	LWLockRelease(demands_lock);
	return has;
}

List *
ke_schema_demand_wanted(Oid database)
{
	KeMoment	now = ke_clock_now();
	List	   *wishes = NIL;
	KeSchemaWish *found;
	int			count = 0;
	HASH_SEQ_STATUS seq;
	Demand	   *demand;

	if (!has_demands())
		return NIL;
	found = palloc0(max_demands() * sizeof(KeSchemaWish));
	LWLockAcquire(demands_lock, LW_EXCLUSIVE);
	hash_seq_init(&seq, demands);
	while ((demand = hash_seq_search(&seq)) != NULL)
	{
		if (demand->key.database != database)
			continue;
		if (ke_clock_passed(Max(demand->wanted_at, demand->answered_at), now,
							FORGET_MS))
			hash_search(demands, &demand->key, HASH_REMOVE, NULL);
		else if (demand->state == KE_SCHEMA_WANTED)
		{
			found[count].server = demand->key.server;
			found[count++].id = demand->key.id;
		}
	}
	LWLockRelease(demands_lock);

	for (int i = 0; i < count; i++)
		wishes = lappend(wishes, &found[i]);
	return wishes;
}

void
ke_schema_demand_answer(Oid database, const KeSchemaWish *wish,
						KeSchemaState state, const char *reason)
{
	DemandKey	key = key_of(database, wish->server, &wish->id);
	Demand	   *demand;

	LWLockAcquire(demands_lock, LW_EXCLUSIVE);
	demand = hash_search(demands, &key, HASH_FIND, NULL);
	if (demand != NULL)
	{
		demand->state = state;
		demand->answered_at = ke_clock_now();
		strlcpy(demand->reason, reason != NULL ? reason : "", KE_REASON_LEN);
	}
	LWLockRelease(demands_lock);

	pg_atomic_fetch_add_u64(answers, 1);
	ke_roster_wake(database, wish->server, KE_ROLE_MAIN);
	ke_roster_wake(database, wish->server, KE_ROLE_RETRY);
}

void
ke_schema_demand_forget(Oid database, Oid server)
{
	HASH_SEQ_STATUS seq;
	Demand	   *demand;

	LWLockAcquire(demands_lock, LW_EXCLUSIVE);
	hash_seq_init(&seq, demands);
	while ((demand = hash_seq_search(&seq)) != NULL)
	{
		if (demand->key.database == database &&
			(!OidIsValid(server) || demand->key.server == server))
			hash_search(demands, &demand->key, HASH_REMOVE, NULL);
	}
	LWLockRelease(demands_lock);
}
