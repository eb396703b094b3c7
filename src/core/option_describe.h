/*
 * option_describe.h
 *	  What options there are, for people.
 */
#ifndef KE_OPTION_DESCRIBE_H
#define KE_OPTION_DESCRIBE_H

#include "nodes/pg_list.h"

typedef struct KeOptionDescription
{
	const char *object;			/* "server", "user mapping", ... */
	const char *name;
	const char *type;
	const char *initial;		/* as one would write it, or NULL */
	const char *initial_production; /* with profile production */
	const char *allowed;		/* or NULL: any value of the type */
	bool		required;
	bool		superuser_only;
} KeOptionDescription;

/* All of them, in the order in which the documentation has them. */
extern List *ke_option_describe_all(void);

#endif							/* KE_OPTION_DESCRIBE_H */
