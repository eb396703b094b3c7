/*
 * type_watch.h
 *	  Whether types have changed that something was derived from.
 *
 * What PostgreSQL keeps in an FmgrInfo about composite types that are nested
 * in another type (in json_populate_record, in input functions) is not told
 * of ALTER TYPE; neither is a default that comes from a domain.  Who keeps
 * such things watches the types and begins anew.
 */
#ifndef KE_TYPE_WATCH_H
#define KE_TYPE_WATCH_H

typedef struct KeTypeWatch KeTypeWatch;

/* Lives in context, and ends with it; nothing is watched yet. */
extern KeTypeWatch *ke_type_watch_make(MemoryContext context);

/*
 * Watch this type and all that it is made of: elements, attributes, what is
 * under domains and ranges.  Types that are PostgreSQL's own do not change.
 * In a transaction.
 */
extern void ke_type_watch_add(KeTypeWatch *watch, Oid type);

/* Has one of them changed since it was added, as far as this process knows? */
extern bool ke_type_watch_is_stale(const KeTypeWatch *watch);

#endif							/* KE_TYPE_WATCH_H */
