/*
 * argument.h
 *	  Messages as the argument of a handler or a validator.
 *
 * Needs a transaction with an active snapshot: domains run their checks,
 * which may be user code, so the caller is inside a guard as well.
 */
#ifndef KE_ARGUMENT_H
#define KE_ARGUMENT_H

#include "convert/unmatched.h"
#include "core/message.h"
#include "subscription/catalog.h"

typedef struct KeArgumentMaker KeArgumentMaker;

/*
 * Lives in parent; needs no transaction.  options say what values are like;
 * NULL for the defaults.  They are not copied.
 */
extern KeArgumentMaker *ke_argument_open(KeArgument kind, Oid type,
										 const KeSubscriptionOptions *options,
										 MemoryContext parent);

/*
 * One message, in the current context, valid as long as the message.  A
 * tombstone, or a change event that deletes, is NULL, unless the argument is
 * kafka_message.  *skip: the message is about no row, and nobody is called.
 */
extern Datum ke_argument_make(KeArgumentMaker *maker, KeMessage *msg,
							  bool *isnull, bool *skip);

/* All of them as one array (KE_ARG_BATCH only), valid until the next. */
extern Datum ke_argument_make_batch(KeArgumentMaker *maker, KeMessage **msgs,
									int count);

/*
 * Messages that had a field for no attribute of the row type, since the
 * caller last reset it.
 */
extern KeUnmatched *ke_argument_unmatched(KeArgumentMaker *maker);

/* Messages that NULs were taken out of, since the caller last set it to 0. */
extern int64 *ke_argument_stripped(KeArgumentMaker *maker);

/* The last array is done with; if it was a large one, free it. */
extern void ke_argument_trim(KeArgumentMaker *maker);

extern void ke_argument_close(KeArgumentMaker *maker);

#endif							/* KE_ARGUMENT_H */
