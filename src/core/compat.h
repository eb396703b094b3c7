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

/*
 * Errors raised by this extension carry its own domain: that is how
 * core/failure knows the messages that quote no payload.
 */
#undef TEXTDOMAIN
#define TEXTDOMAIN "kafka_events"

#endif							/* KE_COMPAT_H */
