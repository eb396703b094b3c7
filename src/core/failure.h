/*
 * failure.h
 *	  An error that was caught, cut down to what may be kept and shown.
 *
 * PostgreSQL's own messages quote values ("Failing row contains ..."), so
 * views and log lines get a description without them: SQLSTATE, constraint,
 * column and the like, and the message's text only where it cannot quote
 * payload; failure.c has the rule.
 */
#ifndef KE_FAILURE_H
#define KE_FAILURE_H

typedef struct KeFailure
{
	int			sqlstate;
	bool		ours;			/* raised by this extension */
	bool		of_data;		/* while a value was converted */
	bool		harmless;		/* the message quotes nothing but code */
	char	   *message;		/* primary message, may quote payload */
	char	   *detail;			/* only for errors of ours, else NULL */
	char	   *hint;			/* only for errors of ours, else NULL */
	char	   *query;			/* that the parser found wrong, or NULL */
	char	   *schema_name;	/* NULL when the error names none */
	char	   *table_name;
	char	   *column_name;
	char	   *datatype_name;
	char	   *constraint_name;
	int64		retry_delay_ms; /* asked for by kafka_retry; -1: by nobody */
} KeFailure;

/*
 * The DETAIL of kafka_retry with a delay: all that an error can carry of it,
 * through every handler of exceptions that raises it again.
 */
#define KE_FAILURE_DELAY_DETAIL "The next attempt begins after %lld ms."

/*
 * The error being handled, copied into context; the error state is flushed.
 * Call it in PG_CATCH, before the transaction is aborted.
 */
extern KeFailure *ke_failure_capture(MemoryContext context);

/*
 * The error with this SQLSTATE, which is about to be raised again, is a
 * value's fault: the next ke_failure_capture says so of it.
 */
extern void ke_failure_blame_data(int sqlstate);

/*
 * The source of the function that ran: where the parser found a piece of it
 * wrong, the message names what stands there, so it is harmless.
 */
extern void ke_failure_compare_source(KeFailure *fail, const char *source);

/* A failure of our own making, without an error having been raised. */
extern KeFailure *ke_failure_make(MemoryContext context, int sqlstate,
								  const char *fmt,...)
			pg_attribute_printf(3, 4);

/*
 * One line for views and logs, without any payload, in the current context;
 * NULL for NULL.
 */
extern char *ke_failure_describe(const KeFailure *fail);

#endif							/* KE_FAILURE_H */
