/*
 * handler.h
 *	  Calls a subscription's function with one message, or with a batch.
 *
 * Called inside a batch's transaction, as the server's owner, without
 * subtransactions.  Errors of the function propagate.  The cached function
 * look-up is dropped by a syscache callback; privileges and, for a
 * superuser's server, the function's owner are checked once per transaction.
 */
#ifndef KE_HANDLER_H
#define KE_HANDLER_H

#include "convert/unmatched.h"
#include "core/message.h"
#include "subscription/catalog.h"

typedef struct KeHandler KeHandler;

/* Lives in parent; needs no transaction until ke_handler_begin. */
extern KeHandler *ke_handler_open(const KeSubscription *sub,
								  MemoryContext parent);

/* Once per transaction, before the first call. */
extern void ke_handler_begin(KeHandler *handler);

/*
 * Call it for one message (every kind but KE_ARG_BATCH).  Returns false when
 * a tombstone was passed over, by a STRICT function or the option tombstones.
 */
extern bool ke_handler_call(KeHandler *handler, KeMessage *msg);

/* Call it once for all of them (KE_ARG_BATCH only). */
extern void ke_handler_call_batch(KeHandler *handler, KeMessage **msgs,
								  int count);

/*
 * True when the error now being handled came from our own handler_timeout
 * and not from somebody's cancel.
 */
extern bool ke_handler_timed_out(void);

/* True while user code runs: SIGTERM must then cancel it. */
extern bool ke_handler_is_running(void);

/* The message whose handler runs, or NULL; for kafka_current_message(). */
extern KeMessage *ke_handler_current(void);

/*
 * Messages that had a field for no attribute of the argument's row type,
 * since the caller last reset it; no other kind of argument counts any.
 */
extern KeUnmatched *ke_handler_unmatched(KeHandler *handler);

/* Messages that NULs were taken out of, since the caller last set it to 0. */
extern int64 *ke_handler_stripped(KeHandler *handler);

/* The function's text, once it was begun; NULL where it has none. */
extern const char *ke_handler_source(const KeHandler *handler);

/* A kafka_message datum for msg, in the current context. */
extern Datum ke_handler_message_datum(KeMessage *msg);

extern void ke_handler_close(KeHandler *handler);

#endif							/* KE_HANDLER_H */
