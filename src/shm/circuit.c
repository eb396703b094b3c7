/*
 * circuit.c
 *	  The circuit breaker of each subscription, shared by its workers.
 *
 * When there is no place for one, that subscription has no breaker, which is
 * logged once.
 */
#include "postgres.h"
#include "core/compat.h"

#include "mb/pg_wchar.h"

#include "core/clock.h"
#include "shm/circuit.h"
#include "shm/subscription_table.h"

typedef struct CircuitEntry
{
	KeSubscriptionEntry head;
	KeBreaker	breaker;
	char		failure[KE_REASON_LEN];
} CircuitEntry;

static KeSubscriptionTable table = {
	.name = "kafka_events_circuits",
	.entry_size = sizeof(CircuitEntry)
};

void
ke_circuit_shmem_request(void)
{
	ke_subscription_table_request(&table);
}

void
ke_circuit_shmem_init(void)
{
	ke_subscription_table_init(&table);
}

static CircuitEntry *
enter(Oid database, Oid subscription)
{
	return ke_subscription_table_enter(&table, database, subscription);
}

static void
leave(CircuitEntry *entry)
{
	ke_subscription_table_leave(&table, entry);
}

/* Make sure that there is an entry, unless there is no place. */
static void
add(const KeCircuit *circuit)
{
	static bool told = false;

	if (ke_subscription_table_add(&table, circuit->database,
								  circuit->subscription) || told)
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
ke_circuit_ask(const KeCircuit *circuit, KeMoment now)
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
				  const char *description, KeMoment now)
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

bool
ke_circuit_would_break(const KeCircuit *circuit,
					   const KeBreakerFailure *failure)
{
	CircuitEntry *entry = enter(circuit->database, circuit->subscription);
	bool		result = entry != NULL &&
		ke_breaker_would_break(&entry->breaker, failure);

	leave(entry);
	return result;
}

void
ke_circuit_proved(const KeCircuit *circuit, int sqlstate)
{
	KeBreaker	after = {0};
	KeBreakerState before = KE_BREAKER_CLOSED;
	CircuitEntry *entry = enter(circuit->database, circuit->subscription);

	if (entry != NULL)
	{
		before = entry->breaker.state;
		ke_breaker_proved(&entry->breaker, sqlstate);
		after = entry->breaker;
	}
	leave(entry);
	tell(circuit, before, &after, "");
}

void
ke_circuit_changed(Oid database, Oid subscription, KeMoment now)
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
ke_circuit_forget_others(Oid database, const List *subscriptions)
{
	ke_subscription_table_keep(&table, database, subscriptions);
}
