/*
 * circuit.c
 *	  The circuit breaker of each subscription, shared by its workers.
 *
 * A shared hash of fixed size behind an LWLock, which is taken exclusively
 * only to add and remove entries; each entry's breaker is guarded by its
 * spinlock.  When there is no place for one, that subscription has no
 * breaker, which is logged once.
 */
#include "postgres.h"
#include "core/compat.h"

#include "mb/pg_wchar.h"
#include "storage/lwlock.h"
#include "storage/shmem.h"
#include "storage/spin.h"
#include "utils/hsearch.h"

#include "core/guc.h"
#include "shm/circuit.h"

typedef struct CircuitKey
{
	Oid			database;
	Oid			subscription;
} CircuitKey;

typedef struct CircuitEntry
{
	CircuitKey	key;
	slock_t		mutex;			/* guards what follows */
	KeBreaker	breaker;
	char		failure[KE_REASON_LEN];
} CircuitEntry;

static HTAB *entries;
static LWLock *entries_lock;

void
ke_circuit_shmem_request(void)
{
	RequestAddinShmemSpace(hash_estimate_size(ke_guc_max_subscriptions,
											  sizeof(CircuitEntry)));
	RequestNamedLWLockTranche("kafka_events_circuits", 1);
}

void
ke_circuit_shmem_init(void)
{
	HASHCTL		ctl;

	ctl.keysize = sizeof(CircuitKey);
	ctl.entrysize = sizeof(CircuitEntry);
	entries = ShmemInitHash("kafka_events circuits",
							ke_guc_max_subscriptions,
							ke_guc_max_subscriptions,
							&ctl, HASH_ELEM | HASH_BLOBS);
	entries_lock = &GetNamedLWLockTranche("kafka_events_circuits")->lock;
}

/*
 * The entry, with the LWLock held in any case and, if there is one, its
 * spinlock too; NULL: there is none.  Nothing may raise until leave().
 */
static CircuitEntry *
enter(Oid database, Oid subscription)
{
	CircuitKey	key = {database, subscription};
	CircuitEntry *entry;

	LWLockAcquire(entries_lock, LW_SHARED);
	entry = hash_search(entries, &key, HASH_FIND, NULL);
	if (entry != NULL)
		SpinLockAcquire(&entry->mutex);
	return entry;
}

static void
leave(CircuitEntry *entry)
{
	if (entry != NULL)
		SpinLockRelease(&entry->mutex);
	LWLockRelease(entries_lock);
}

/* Make sure that there is an entry, unless there is no place. */
static void
add(const KeCircuit *circuit)
{
	static bool told = false;
	CircuitKey	key = {circuit->database, circuit->subscription};
	CircuitEntry *entry = NULL;
	bool		found;

	LWLockAcquire(entries_lock, LW_EXCLUSIVE);
	if (hash_get_num_entries(entries) < ke_guc_max_subscriptions)
		entry = hash_search(entries, &key, HASH_ENTER_NULL, &found);
	if (entry != NULL && !found)
	{
		SpinLockInit(&entry->mutex);
		memset(&entry->breaker, 0, sizeof(KeBreaker));
		entry->failure[0] = '\0';
	}
	LWLockRelease(entries_lock);

	if (entry != NULL || told)
		return;
	told = true;
	ereport(WARNING,
			(errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
			 errmsg("no place for the circuit breaker of topic \"%s\"",
					circuit->topic),
			 errdetail("Its failures are routed, however many there are."),
			 errhint("Raise kafka_events.max_subscriptions and restart the server.")));
}

/* The same worker after a restart is the same one. */
static int
who(const KeCircuit *circuit)
{
	return circuit->ordinal * (KE_ROLE_TASK + 1) + circuit->role;
}

/*
 * One LOG line when it opens, breaks or closes; tries, and that they failed,
 * are for debugging.  now is a copy.
 */
static void
tell(const KeCircuit *circuit, KeBreakerState before, const KeBreaker *now,
	 const char *description)
{
	int			level = before == KE_BREAKER_CLOSED ? LOG : DEBUG1;

	if (now->state == before)
		return;
	switch (now->state)
	{
		case KE_BREAKER_CLOSED:
			ereport(LOG,
					(errmsg("circuit breaker of topic \"%s\" closed",
							circuit->topic)));
			break;
		case KE_BREAKER_OPEN:
			ereport(level,
					(errmsg("circuit breaker of topic \"%s\" opened after %d failures in a row, the last one: %s",
							circuit->topic, now->failures, description)));
			break;
		case KE_BREAKER_BROKEN:
			if (before == KE_BREAKER_HALF_OPEN)
				level = LOG;
			ereport(level,
					(errmsg("topic \"%s\" stopped because messages in a row cannot be processed as things are, the last one: %s",
							circuit->topic, description)));
			break;
		case KE_BREAKER_HALF_OPEN:
		case KE_BREAKER_MENDING:
			ereport(DEBUG1,
					(errmsg("circuit breaker of topic \"%s\" lets one message through",
							circuit->topic)));
			break;
	}
}

KeBreakerTurn
ke_circuit_ask(const KeCircuit *circuit, TimestampTz now)
{
	KeBreakerTurn turn = {KE_BREAKER_RUN, -1, 0};
	KeBreaker	after = {0};
	KeBreakerState before = KE_BREAKER_CLOSED;
	CircuitEntry *entry = enter(circuit->database, circuit->subscription);

	if (entry != NULL)
	{
		before = entry->breaker.state;
		turn = ke_breaker_ask(&entry->breaker, &circuit->settings,
							  who(circuit), now);
		after = entry->breaker;
	}
	leave(entry);
	tell(circuit, before, &after, "");
	return turn;
}

void
ke_circuit_succeeded(const KeCircuit *circuit)
{
	KeBreaker	after = {0};
	KeBreakerState before = KE_BREAKER_CLOSED;
	CircuitEntry *entry = enter(circuit->database, circuit->subscription);

	if (entry != NULL)
	{
		before = entry->breaker.state;
		ke_breaker_succeeded(&entry->breaker, who(circuit));
		after = entry->breaker;
	}
	leave(entry);
	tell(circuit, before, &after, "");
}

bool
ke_circuit_failed(const KeCircuit *circuit, const KeBreakerFailure *failure,
				  const char *description, TimestampTz now)
{
	KeBreaker	after = {0};
	KeBreakerState before = KE_BREAKER_CLOSED;
	bool		routed = true;
	CircuitEntry *entry;
	int			len = pg_mbcliplen(description, strlen(description),
								   KE_REASON_LEN - 1);

	add(circuit);
	entry = enter(circuit->database, circuit->subscription);
	if (entry != NULL)
	{
		before = entry->breaker.state;
		routed = ke_breaker_failed(&entry->breaker, &circuit->settings,
								   who(circuit), failure, now);
		memcpy(entry->failure, description, len);
		entry->failure[len] = '\0';
		after = entry->breaker;
	}
	leave(entry);
	tell(circuit, before, &after, description);
	return routed;
}

void
ke_circuit_changed(Oid database, Oid subscription, TimestampTz now)
{
	CircuitEntry *entry = enter(database, subscription);

	if (entry != NULL)
		ke_breaker_changed(&entry->breaker, now);
	leave(entry);
}

bool
ke_circuit_reset(Oid database, Oid subscription)
{
	CircuitEntry *entry = enter(database, subscription);
	bool		was_closed = true;

	if (entry != NULL)
	{
		was_closed = entry->breaker.state == KE_BREAKER_CLOSED;
		ke_breaker_reset(&entry->breaker);
	}
	leave(entry);
	return !was_closed;
}

void
ke_circuit_look(Oid database, Oid subscription, KeCircuitReport *report)
{
	CircuitEntry *entry = enter(database, subscription);

	memset(report, 0, sizeof(KeCircuitReport));
	report->subscription = subscription;
	if (entry != NULL)
	{
		report->breaker = entry->breaker;
		strlcpy(report->failure, entry->failure, sizeof(report->failure));
	}
	leave(entry);
}

void
ke_circuit_forget_others(Oid database, List *subscriptions)
{
	HASH_SEQ_STATUS seq;
	CircuitEntry *entry;

	LWLockAcquire(entries_lock, LW_EXCLUSIVE);
	hash_seq_init(&seq, entries);
	while ((entry = hash_seq_search(&seq)) != NULL)
	{
		if (entry->key.database == database &&
			!list_member_oid(subscriptions, entry->key.subscription))
			hash_search(entries, &entry->key, HASH_REMOVE, NULL);
	}
	LWLockRelease(entries_lock);
}
