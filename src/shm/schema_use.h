/*
 * schema_use.h
 *	  How many values and keys were read by each schema.
 *
 * Since PostgreSQL was started; what kafka_schemas shows.
 */
#ifndef KE_SCHEMA_USE_H
#define KE_SCHEMA_USE_H

#include "core/schema_id.h"

extern void ke_schema_use_shmem_request(void);
extern void ke_schema_use_shmem_init(void);

/* Raises nothing: for a transaction's callbacks, too. */
extern void ke_schema_use_add(Oid database, Oid server, const KeSchemaId *id,
							  uint64 count);

extern uint64 ke_schema_use_get(Oid database, Oid server,
								const KeSchemaId *id);

/* The server (InvalidOid: each of the database) is gone. */
extern void ke_schema_use_forget(Oid database, Oid server);

#endif							/* KE_SCHEMA_USE_H */
