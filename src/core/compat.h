/*
 * compat.h
 *	  The only place that knows PostgreSQL's versions.
 *
 * Every .c file includes postgres.h and then this file, for the names that
 * differ between PostgreSQL 15, 17 and 18, and for the domain of its errors.
 */
#ifndef KE_COMPAT_H
#define KE_COMPAT_H

#if PG_VERSION_NUM < 150000
#error "kafka_events needs PostgreSQL 15 or later"
#endif

/* 16: which indexes an update concerns is more than yes or no. */
#if PG_VERSION_NUM < 160000
#define TU_UpdateIndexes bool
#define TU_None false
#endif

/* 18: a deferrable primary key must be asked for. */
#if PG_VERSION_NUM >= 180000
#define ke_primary_key_index(rel) RelationGetPrimaryKeyIndex(rel, false)
#else
#define ke_primary_key_index(rel) RelationGetPrimaryKeyIndex(rel)
#endif

/*
 * Errors raised by this extension carry its own domain: that is how
 * core/failure knows the messages that quote no payload.
 */
#undef TEXTDOMAIN
#define TEXTDOMAIN "kafka_events"

#endif							/* KE_COMPAT_H */
