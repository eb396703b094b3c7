/*
 * registry_lookup.h
 *	  One schema, asked of a schema registry together with what it uses.
 *
 * Each step asks one thing: the schema, then every schema it refers to, then
 * the subject it is registered for.  When a URL cannot be asked, it begins
 * again with the next one.
 */
#ifndef KE_REGISTRY_LOOKUP_H
#define KE_REGISTRY_LOOKUP_H

#include "core/schema_id.h"
#include "state/schemas.h"
#include "subscription/catalog.h"

typedef enum KeLookupState
{
	KE_LOOKUP_RUNS,
	KE_LOOKUP_FOUND,
	KE_LOOKUP_UNKNOWN,			/* the registry says that there is none */
	KE_LOOKUP_FAILED			/* no URL could be asked */
} KeLookupState;

typedef struct KeLookup KeLookup;

/*
 * Begin.  subject: look for its latest schema, and id is not used; else
 * NULL.  The server is copied.
 */
extern KeLookup *ke_registry_lookup_begin(const KeServer *server,
										  const KeSchemaId *id,
										  const char *subject,
										  MemoryContext parent);

/* Go on, if an answer is there. */
extern KeLookupState ke_registry_lookup_step(KeLookup *lookup);

/*
 * With KE_LOOKUP_FOUND: what was found, in UTF-8, as long as the lookup.  Of
 * a subject's latest schema kind and id are those of Confluent's API.
 */
extern const KeSchemaRow *ke_registry_lookup_result(const KeLookup *lookup);

/* With KE_LOOKUP_FAILED: which registry, and why. */
extern const char *ke_registry_lookup_problem(const KeLookup *lookup);

extern void ke_registry_lookup_free(KeLookup *lookup);

#endif							/* KE_REGISTRY_LOOKUP_H */
