/*
 * changes.c
 *	  Whether something in the catalogs changed that user code depends on.
 */
#include "postgres.h"
#include "core/compat.h"

#include "utils/inval.h"
#include "utils/syscache.h"

#include "session/changes.h"

/* Changes that can make an error of class 42 or the like go away. */
static const int watched[] = {
	PROCOID, NAMESPACEOID, TYPEOID, OPEROID, CASTSOURCETARGET,
	AUTHOID, AUTHMEMMEMROLE
};

static uint64 changes = 0;

static void
object_changed(Datum arg, int cacheid, uint32 hashvalue)
{
	changes++;
}

static void
relation_changed(Datum arg, Oid relid)
{
	changes++;
}

uint64
ke_changes_count(void)
{
	static bool watching = false;
	int			i;

	if (!watching)
	{
		for (i = 0; i < lengthof(watched); i++)
			CacheRegisterSyscacheCallback(watched[i], object_changed,
										  (Datum) 0);
		CacheRegisterRelcacheCallback(relation_changed, (Datum) 0);
		watching = true;
	}
	return changes;
}
