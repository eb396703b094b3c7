/*
 * type_watch.c
 *	  Whether types have changed that something was derived from.
 *
 * A change of a type's row in pg_type, of a domain's default for instance,
 * is a syscache invalidation; one of a composite type's attributes is a
 * relcache invalidation of the relation behind it.  What is watched is known
 * when it is added, so callbacks only compare.
 */
#include "postgres.h"
#include "core/compat.h"

#include "access/htup_details.h"
#include "access/transam.h"
#include "catalog/pg_attribute.h"
#include "catalog/pg_type.h"
#include "lib/ilist.h"
#include "miscadmin.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

#include "convert/type_watch.h"

typedef struct WatchedType
{
	Oid			type;
	uint32		hash;			/* of its row in the syscache */
	Oid			relation;		/* of a composite type, or InvalidOid */
} WatchedType;

struct KeTypeWatch
{
	dlist_node	node;			/* in watches */
	MemoryContext context;		/* this struct and all it points to */
	MemoryContextCallback forget;
	WatchedType *types;
	int			count;
	int			allocated;
	bool		stale;
};

static dlist_head watches = DLIST_STATIC_INIT(watches);
static bool callbacks_registered = false;

static void
type_changed(Datum arg, int cacheid, uint32 hashvalue)
{
	dlist_iter	iter;

	dlist_foreach(iter, &watches)
	{
		KeTypeWatch *watch = dlist_container(KeTypeWatch, node, iter.cur);

		for (int i = 0; i < watch->count; i++)
			if (hashvalue == 0 || watch->types[i].hash == hashvalue)
				watch->stale = true;
	}
}

static void
relation_changed(Datum arg, Oid relid)
{
	dlist_iter	iter;

	dlist_foreach(iter, &watches)
	{
		KeTypeWatch *watch = dlist_container(KeTypeWatch, node, iter.cur);

		for (int i = 0; i < watch->count; i++)
			if (OidIsValid(watch->types[i].relation) &&
				(!OidIsValid(relid) || watch->types[i].relation == relid))
				watch->stale = true;
	}
}

static void
forget(void *arg)
{
	dlist_delete(&((KeTypeWatch *) arg)->node);
}

KeTypeWatch *
ke_type_watch_make(MemoryContext context)
{
	KeTypeWatch *watch = MemoryContextAllocZero(context, sizeof(KeTypeWatch));

	if (!callbacks_registered)
	{
		CacheRegisterSyscacheCallback(TYPEOID, type_changed, (Datum) 0);
		CacheRegisterRelcacheCallback(relation_changed, (Datum) 0);
		callbacks_registered = true;
	}
	watch->context = context;
	dlist_push_tail(&watches, &watch->node);
	watch->forget.func = forget;
	watch->forget.arg = watch;
	MemoryContextRegisterResetCallback(context, &watch->forget);
	return watch;
}

static bool
is_watched(const KeTypeWatch *watch, Oid type)
{
	for (int i = 0; i < watch->count; i++)
		if (watch->types[i].type == type)
			return true;
	return false;
}

static void
append(KeTypeWatch *watch, WatchedType type)
{
	if (watch->types == NULL)
	{
		watch->allocated = 8;
		watch->types = MemoryContextAlloc(watch->context, watch->allocated *
										  sizeof(WatchedType));
	}
	else if (watch->count == watch->allocated)
	{
		watch->allocated *= 2;
		watch->types = repalloc(watch->types, watch->allocated *
								sizeof(WatchedType));
	}
	watch->types[watch->count++] = type;
}

static void
add_attributes(KeTypeWatch *watch, Oid relation)
{
	HeapTuple	tuple;

	for (AttrNumber i = 1;
		 HeapTupleIsValid(tuple = SearchSysCache2(ATTNUM,
												  ObjectIdGetDatum(relation),
												  Int16GetDatum(i)));
		 i++)
	{
		Oid			type = ((Form_pg_attribute) GETSTRUCT(tuple))->atttypid;

		ReleaseSysCache(tuple);
		if (OidIsValid(type))	/* else it was dropped */
			ke_type_watch_add(watch, type);
	}
}

void
ke_type_watch_add(KeTypeWatch *watch, Oid type)
{
	WatchedType it = {.type = type};
	HeapTuple	tuple;
	FormData_pg_type form;

	check_stack_depth();
	if (type < FirstGenbkiObjectId || is_watched(watch, type))
		return;
	it.hash = GetSysCacheHashValue1(TYPEOID, ObjectIdGetDatum(type));
	tuple = SearchSysCache1(TYPEOID, ObjectIdGetDatum(type));
	if (!HeapTupleIsValid(tuple))
		return;
	memcpy(&form, GETSTRUCT(tuple), sizeof(form));
	ReleaseSysCache(tuple);
	if (form.typtype == TYPTYPE_COMPOSITE)
		it.relation = form.typrelid;
	append(watch, it);

	if (OidIsValid(form.typelem))
		ke_type_watch_add(watch, form.typelem);
	switch (form.typtype)
	{
		case TYPTYPE_DOMAIN:
			ke_type_watch_add(watch, form.typbasetype);
			break;
		case TYPTYPE_COMPOSITE:
			add_attributes(watch, form.typrelid);
			break;
		case TYPTYPE_RANGE:
			ke_type_watch_add(watch, get_range_subtype(type));
			break;
		case TYPTYPE_MULTIRANGE:
			ke_type_watch_add(watch, get_multirange_range(type));
			break;
	}
}

bool
ke_type_watch_is_stale(const KeTypeWatch *watch)
{
	return watch->stale;
}
