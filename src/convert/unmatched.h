/*
 * unmatched.h
 *	  Messages none of whose fields is wanted: they succeed, and leave a row
 *	  of defaults or NULLs.
 *
 * Counted by whoever takes messages apart, for what it writes or calls.  Of
 * the first one it is kept what was seen, and what was wanted: names only,
 * bounded, and only those that look like names.
 */
#ifndef KE_UNMATCHED_H
#define KE_UNMATCHED_H

#include "convert/json_scan.h"

#define KE_UNMATCHED_NAMES_LEN 160

/* Names in double quotes, with commas in between. */
typedef struct KeUnmatchedNames
{
	char		text[KE_UNMATCHED_NAMES_LEN];
	int			len;
	int			more;			/* that did not fit in, or are no names */
} KeUnmatchedNames;

typedef struct KeUnmatched
{
	int64		count;
	KeUnmatchedNames fields;	/* of the first one */
	KeUnmatchedNames wanted;
} KeUnmatched;

/* Nothing counted, nothing seen. */
extern void ke_unmatched_reset(KeUnmatched *unmatched);

/*
 * One more: the object that is the node root of json.  True for the first
 * one, whose wanted names the caller then adds.
 */
extern bool ke_unmatched_note(KeUnmatched *unmatched, const KeJson *json,
							  int root);
extern void ke_unmatched_want(KeUnmatched *unmatched, const char *name);

/* "its fields: "userId"; columns: "userid"", in the current context. */
extern char *ke_unmatched_describe(const KeUnmatched *unmatched,
								   const char *wanted_are);

#endif							/* KE_UNMATCHED_H */
