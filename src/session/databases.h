/*
 * databases.h
 *	  The databases of this PostgreSQL server, for the launcher.
 *
 * All functions need a transaction; one without a database will do.
 */
#ifndef KE_DATABASES_H
#define KE_DATABASES_H

#include "nodes/pg_list.h"

typedef struct KeDatabase
{
	Oid			oid;
	char	   *name;
} KeDatabase;

/* All that can be connected to: a list of KeDatabase *. */
extern List *ke_databases_list(void);

/* One of them, NULL if it is gone or cannot be connected to. */
extern KeDatabase *ke_databases_find(Oid database);

#endif							/* KE_DATABASES_H */
