/*
 * inspect.h
 *	  Whether a message may be processed: its headers, that it has a value
 *	  where it must, and the validator.
 *
 * Comes before rows and handler, in the same transaction.  What is refused
 * raises an error of class 22, which the message can never recover from.
 */
#ifndef KE_INSPECT_H
#define KE_INSPECT_H

#include "core/message.h"
#include "subscription/catalog.h"

typedef struct KeInspector KeInspector;

/*
 * NULL if the subscription inspects nothing.  Lives in parent and refers to
 * sub; needs no transaction.
 */
extern KeInspector *ke_inspect_open(const KeSubscription *sub,
									MemoryContext parent);

/* Once per transaction, before the first check. */
extern void ke_inspect_begin(KeInspector *inspector);

/* Returns if the message may be processed. */
extern void ke_inspect_check(KeInspector *inspector, KeMessage *msg);

extern void ke_inspect_close(KeInspector *inspector);

#endif							/* KE_INSPECT_H */
