/*
 * schema_demand.h
 *	  Schemas that consumers need and the manager asks the registry for.
 *
 * One entry for each schema that is neither in the process's memory nor in
 * kafka_events.schemas:
 *
 *	  WANTED ----> STORED	the manager has written it to the table
 *		   ^  \--> UNKNOWN	the registry does not know the id
 *		   |		  |
 *		   +----------+		asked for again, some time later
 *
 * An entry that nobody asks for is forgotten after a minute.
 */
#ifndef KE_SCHEMA_DEMAND_H
#define KE_SCHEMA_DEMAND_H

#include "nodes/pg_list.h"

#include "core/schema_id.h"
#include "shm/reason.h"

typedef enum KeSchemaState
{
	KE_SCHEMA_NOT_ASKED,		/* there is no entry */
	KE_SCHEMA_WANTED,
	KE_SCHEMA_STORED,
	KE_SCHEMA_UNKNOWN
} KeSchemaState;

/* What the manager is to ask for. */
typedef struct KeSchemaWish
{
	Oid			server;
	KeSchemaId	id;
} KeSchemaWish;

extern void ke_schema_demand_shmem_request(void);
extern void ke_schema_demand_shmem_init(void);

/* What became of it so far. */
extern KeSchemaState ke_schema_demand_look(Oid database, Oid server,
										   const KeSchemaId *id);

/*
 * Want it, also if it was stored before, and wake the manager.  reason (of
 * KE_REASON_LEN bytes) tells why it is not there yet, as far as is known.
 */
extern void ke_schema_demand_want(Oid database, Oid server,
								  const KeSchemaId *id, char *reason);

/* Another number whenever something was answered. */
extern uint64 ke_schema_demand_answers(void);

/* ---- for the manager */

/* List of KeSchemaWish, in the current context. */
extern List *ke_schema_demand_wanted(Oid database);

/* Of a wish that is still there.  reason: with KE_SCHEMA_WANTED. */
extern void ke_schema_demand_answer(Oid database, const KeSchemaWish *wish,
									KeSchemaState state, const char *reason);

/* The server (InvalidOid: each of the database) wants nothing any more. */
extern void ke_schema_demand_forget(Oid database, Oid server);

#endif							/* KE_SCHEMA_DEMAND_H */
