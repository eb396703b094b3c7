/*
 * format.h
 *	  psprintf() for functions that take a format themselves.
 */
#ifndef KE_FORMAT_H
#define KE_FORMAT_H

#include "lib/stringinfo.h"

/* In the current context. */
extern char *ke_format(const char *fmt, va_list args)
			pg_attribute_printf(1, 0);

/* One more of several sentences: "this; that". */
extern void ke_format_add(StringInfo sentences, const char *fmt, va_list args)
			pg_attribute_printf(2, 0);

#endif							/* KE_FORMAT_H */
