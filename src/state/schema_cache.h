/*
 * schema_cache.h
 *	  The schemas that this process has, compiled once.
 *
 * What is not in memory is looked for in kafka_events.schemas; what is not
 * there either, the manager is told to ask the registry for (shm/
 * schema_demand).  Nothing in here waits.
 */
#ifndef KE_SCHEMA_CACHE_H
#define KE_SCHEMA_CACHE_H

#include "convert/schema_source.h"

typedef enum KeSchemaAvailability
{
	KE_SCHEMA_HERE,				/* ke_schema_source_find has it */
	KE_SCHEMA_NOWHERE,			/* the registry does not know it, and
								 * ke_schema_source_find says so */
	KE_SCHEMA_COMES				/* not known yet */
} KeSchemaAvailability;

/* Once per process, and no harm if more often. */
extern void ke_schema_cache_init(void);

/* Needs no transaction. */
extern bool ke_schema_cache_has(const KeRegistry *registry,
								const KeSchemaId *id);

/*
 * In a transaction.  With KE_SCHEMA_COMES it has been asked for, and *reason
 * says in the current context what is waited for and why.
 */
extern KeSchemaAvailability ke_schema_cache_load(const KeRegistry *registry,
												 const KeSchemaId *id,
												 char **reason);

#endif							/* KE_SCHEMA_CACHE_H */
