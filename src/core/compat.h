/*
 * compat.h
 *	  The only place that knows PostgreSQL's versions.
 *
 * Every file includes postgres.h first and this file when it needs a name
 * that differs between PostgreSQL 15, 17 and 18.
 */
#ifndef KE_COMPAT_H
#define KE_COMPAT_H

#if PG_VERSION_NUM < 150000
#error "kafka_events needs PostgreSQL 15 or later"
#endif

#endif							/* KE_COMPAT_H */
