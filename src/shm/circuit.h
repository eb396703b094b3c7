/*
 * circuit.h
 *	  The circuit breaker of each subscription, shared by its workers.
 *
 * An entry is made by the first failure and forgotten with the subscription;
 * it outlives the workers, whose failures count together.  Nobody is woken:
 * a worker that waits for one asks again when the answer said, and in each
 * of its rounds.
 */
#ifndef KE_CIRCUIT_H
#define KE_CIRCUIT_H

#include "core/breaker.h"
#include "nodes/pg_list.h"
#include "core/clock.h"
#include "shm/reason.h"
#include "shm/slot.h"

/* Whose breaker, and who asks. */
typedef struct KeCircuit
{
	Oid			database;
	Oid			subscription;
	const char *topic;			/* for log lines */
	KeRole		role;
	int			ordinal;
	KeBreakerSettings settings;
} KeCircuit;

typedef struct KeCircuitReport
{
	Oid			subscription;
	KeBreaker	breaker;
	char		failure[KE_REASON_LEN]; /* the last one, without payload */
} KeCircuitReport;

extern void ke_circuit_shmem_request(void);
extern void ke_circuit_shmem_init(void);

/* See core/breaker.h for these; state changes are logged. */
extern KeBreakerTurn ke_circuit_ask(const KeCircuit *circuit,
									KeMoment now);
extern void ke_circuit_succeeded(const KeCircuit *circuit);
extern bool ke_circuit_failed(const KeCircuit *circuit,
							  const KeBreakerFailure *failure,
							  const char *description, KeMoment now);
extern bool ke_circuit_would_break(const KeCircuit *circuit,
								   const KeBreakerFailure *failure);
extern void ke_circuit_proved(const KeCircuit *circuit, int sqlstate);
extern void ke_circuit_changed(Oid database, Oid subscription,
							   KeMoment now);

/* Close it; false if it was closed already. */
extern bool ke_circuit_reset(Oid database, Oid subscription);

/* What is known of it; all zero if nothing is. */
extern void ke_circuit_look(Oid database, Oid subscription,
							KeCircuitReport *report);

/* Forget all subscriptions of a database but these (a list of Oid). */
extern void ke_circuit_forget_others(Oid database, const List *subscriptions);

#endif							/* KE_CIRCUIT_H */
