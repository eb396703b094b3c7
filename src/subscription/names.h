/*
 * names.h
 *	  Names of functions and tables in option text, read and written.
 */
#ifndef KE_NAMES_H
#define KE_NAMES_H

#include "subscription/catalog.h"

typedef enum KeFunctionUse
{
	KE_USE_HANDLER,
	KE_USE_VALIDATOR,
	KE_USE_ROUTE
} KeFunctionUse;

/*
 * What 'f', 's.f' or 's.f(type)', or 't' or 's.t', means here and now, with
 * the session's privileges on schemas and, if use_path, its search path: only
 * the session of who wrote the name has the right one.  InvalidOid and one
 * more problem if that is nothing, or several functions that fit.
 */
extern Oid	ke_names_find_function(const char *text, KeFunctionUse use,
								   bool use_path, List **problems);
extern Oid	ke_names_find_table(const char *text, bool use_path,
								List **problems);

/* What it is then, at the start of a sentence. */
extern const char *ke_names_use(KeFunctionUse use);

/* Why function cannot be used so, as "takes 2 arguments"; NULL: it can. */
extern char *ke_names_unfit(Oid function, KeFunctionUse use);

/* What an argument of this type gets; KE_ARG_NONE: no handler can take it. */
extern KeArgument ke_names_argument(Oid type);

/*
 * Names as a dump needs them: always with the schema, functions with (type).
 * The number of what was dropped meanwhile.
 */
extern char *ke_names_of_function(Oid function);
extern char *ke_names_of_table(Oid table);

#endif							/* KE_NAMES_H */
