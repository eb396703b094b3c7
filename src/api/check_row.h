/*
 * check_row.h
 *	  The rows of kafka_production_check, and what they say.
 */
#ifndef KE_CHECK_ROW_H
#define KE_CHECK_ROW_H

#include "nodes/pg_list.h"

#include "api/production_check.h"

/* A check on its way to its rows: one for each finding, or one in all. */
typedef struct KeCheckRow
{
	const char *name;
	List	   *findings;		/* of KeCheckFinding; NIL: nothing is wrong */
} KeCheckRow;

extern void ke_check_row_begin(KeCheckRow *check, const char *name);

/* Something is wrong; hint: what to do, or NULL. */
extern void ke_check_row_fail(KeCheckRow *check, const char *hint,
							  const char *fmt,...) pg_attribute_printf(3, 4);

/* The check's rows; fine: what its only one says if nothing is wrong. */
extern void ke_check_row_emit(KeProductionCheck *inspection,
							  KeCheckRow *check,
							  const char *fine);

/* The statement that gives the server another value of an option. */
extern char *ke_check_row_alter(const KeServer *server,
								const char *option,
								const char *value);

#endif							/* KE_CHECK_ROW_H */
