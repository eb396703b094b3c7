/*
 * literal.h
 *	  Reads what a user wrote for an interval or an array, without raising.
 *
 * PostgreSQL's input functions report the first error and stop; options are
 * to be reported all at once, and a worker must not stumble over one.
 */
#ifndef KE_LITERAL_H
#define KE_LITERAL_H

/*
 * An interval in any of the forms the type interval takes, as milliseconds:
 * a month counts 30 days, as when intervals are compared; fractions of a
 * millisecond are cut off.  False if it is none, or out of range.
 */
extern bool ke_literal_interval(const char *text, int64 *ms);

/*
 * A one-dimensional array of text: '{a,"b c"}'.  NULL is no element of it.
 * Items are allocated in the current context.
 */
extern bool ke_literal_text_array(const char *text, char ***items,
								  int *nitems);

/* Milliseconds in their largest whole unit: "30 s", "1 day". */
extern char *ke_literal_show_interval(int64 ms);

#endif							/* KE_LITERAL_H */
