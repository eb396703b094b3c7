/*
 * format.h
 *	  psprintf() for functions that take a format themselves.
 */
#ifndef KE_FORMAT_H
#define KE_FORMAT_H

/* In the current context. */
extern char *ke_format(const char *fmt, va_list args)
			pg_attribute_printf(1, 0);

#endif							/* KE_FORMAT_H */
