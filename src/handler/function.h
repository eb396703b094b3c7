/*
 * function.h
 *	  A user's function of one argument, looked up once and called often.
 *
 * The look-up lasts until PostgreSQL says that the function changed (owner,
 * privileges, SECURITY DEFINER, SET, body); then it is made anew before the
 * next call.  Whoever calls is in a transaction and inside a guard.
 */
#ifndef KE_FUNCTION_H
#define KE_FUNCTION_H

typedef struct KeFunction KeFunction;

/* Lives in parent; needs no transaction. */
extern KeFunction *ke_function_open(Oid function, Oid argument_type,
									MemoryContext parent);

/*
 * Once per transaction: the user still may execute it, and a superuser's
 * function still is a superuser's.  Raises if not.
 */
extern void ke_function_begin(KeFunction *function);

extern bool ke_function_is_strict(KeFunction *function);

/* With its argument's type; NULL as long as it was not looked up. */
extern const char *ke_function_name(const KeFunction *function);

/* Its text as pg_proc has it, for languages that have one; likewise. */
extern const char *ke_function_source(const KeFunction *function);

/*
 * Call it with a snapshot of its own; the result lives in the current
 * context.  A STRICT function must not be called with NULL.
 */
extern Datum ke_function_call(KeFunction *function, Datum argument,
							  bool argument_null, bool *result_null);

/* After an error: nothing that the function kept is trusted any more. */
extern void ke_function_failed(KeFunction *function);

extern void ke_function_close(KeFunction *function);

#endif							/* KE_FUNCTION_H */
