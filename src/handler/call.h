/*
 * call.h
 *	  Messages into calls of a user's function: argument, guard, function.
 *
 * Inside a batch's transaction, as the server's owner, without
 * subtransactions.  Errors of the function propagate.
 */
#ifndef KE_CALL_H
#define KE_CALL_H

#include "convert/unmatched.h"
#include "core/message.h"
#include "subscription/catalog.h"

typedef struct KeCall KeCall;

/*
 * role says what the function is to the subscription, for error contexts.
 * Lives in parent; needs no transaction.
 */
extern KeCall *ke_call_open(const char *role, Oid function, KeArgument kind,
							Oid argument_type,
							const KeSubscriptionOptions *options,
							MemoryContext parent);

/* Once per transaction, before the first call. */
extern void ke_call_begin(KeCall *call);

/*
 * Call it with one message, or with all of them (KE_ARG_BATCH).  Returns
 * false when a tombstone was passed over, by a STRICT function or the option
 * tombstones.  The result lives until it is forgotten, which is due after
 * every call.
 */
extern bool ke_call_run(KeCall *call, KeMessage **msgs, int count,
						Datum *result, bool *isnull);
extern void ke_call_forget(KeCall *call);

/* The function's name with its argument's type, once a call was begun. */
extern const char *ke_call_name(const KeCall *call);

/* What the function consists of, or NULL; likewise. */
extern const char *ke_call_source(const KeCall *call);

/* As ke_argument_unmatched. */
extern KeUnmatched *ke_call_unmatched(KeCall *call);

/* Messages that NULs were taken out of, since the caller last set it to 0. */
extern int64 *ke_call_stripped(KeCall *call);

/* The one message that a function was called for and now works on, or NULL. */
extern KeMessage *ke_call_current(void);

extern void ke_call_close(KeCall *call);

#endif							/* KE_CALL_H */
