/*
 * sink_rows.h
 *	  Messages as a relation that SQL statements of ours can select from.
 *
 * The relation is an ephemeral named one, like a trigger's transition table,
 * but its rows are made one by one while the statement reads them: nothing is
 * stored in between, and the message whose row is being written is known.
 */
#ifndef KE_SINK_ROWS_H
#define KE_SINK_ROWS_H

#include "executor/spi.h"

#include "sink/sink_table.h"

/* The relation's name; statements of ours select from it unqualified. */
#define KE_SINK_ROWS "kafka_events rows"

/* A row made before the statement runs. */
typedef struct KeSinkRow
{
	int			message;		/* index */
	bool		deletes;		/* only its key is filled */
	bool	   *keeps;			/* by attribute: the row keeps its value there,
								 * so there must be one; NULL: none */
	bool		moved;			/* it had another key before */
	Datum	   *new_key;		/* with deletes: by attribute, the key that the
								 * row has now; NULL: it is gone */
	Datum	   *values;
	bool	   *nulls;
	bool	   *present;		/* columns that are updated; NULL: all */
} KeSinkRow;

typedef struct KeSinkRows
{
	KeSinkTable *table;
	KeMessage **msgs;
	int			first;			/* rows are made of msgs[first ...] */
	int			count;
	KeSinkRow **made;			/* or these are taken; NULL: none */
	volatile int *at;
} KeSinkRows;

/*
 * Within SPI_connect: make the relation known to the statements that follow.
 * Its columns are those of table that can be written; count is for planning.
 */
extern void ke_sink_rows_register(KeSinkTable *table, int count);

/*
 * Run plan, which selects from the relation, with these rows; *at is the
 * message whose row is being written, and -1 before the first and after the
 * last.  Returns how many rows the statement wrote.
 */
extern int64 ke_sink_rows_execute(KeSinkRows *rows, SPIPlanPtr plan);

#endif							/* KE_SINK_ROWS_H */
