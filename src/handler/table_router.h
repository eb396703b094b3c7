/*
 * table_router.h
 *	  Rows into the table that a user's function tells for each message.
 *
 * First the function is called for all messages of a write, then their rows
 * are written, so what it tells should depend on the message alone.  A table
 * is opened when it is first told, and kept: what a sink says of changes of
 * its table holds for each of them.
 *
 * Rows of one table are written in the order of their messages.  Where
 * nothing could see the difference, those of each table are written together;
 * else (triggers, foreign keys, ...) all rows are in the order of messages.
 */
#ifndef KE_TABLE_ROUTER_H
#define KE_TABLE_ROUTER_H

#include "convert/unmatched.h"
#include "core/message.h"
#include "sink/sink.h"
#include "subscription/catalog.h"

typedef struct KeTableRouter KeTableRouter;

/*
 * Lives in parent, and ends with it at the latest; needs no transaction.  It
 * refers to sub.
 */
extern KeTableRouter *ke_table_router_open(const KeSubscription *sub,
										   MemoryContext parent);

/* Once per transaction, before the first message. */
extern void ke_table_router_begin(KeTableRouter *router);

/*
 * Call the function for a message; i is its index in the write that comes,
 * from 0 on without a gap.  Errors of the function propagate.
 */
extern void ke_table_router_ask(KeTableRouter *router, KeMessage *msg, int i);

/*
 * Inside a guard, with the messages that were asked for last: as
 * ke_sink_write, and 22023 for what is no table that these rows can go to.
 */
extern int64 ke_table_router_write(KeTableRouter *router, KeMessage **msgs,
								   int count, volatile int *at);

/* Of the last write, the messages without a row, and without a handler. */
extern int	ke_table_router_skipped(const KeTableRouter *router);

/*
 * Inside a guard, with one message that was asked for: the sink of its table,
 * or NULL.  Raises as writing does.
 */
extern KeSink *ke_table_router_sink(KeTableRouter *router);

/* What its sinks have counted since it was last reset; likewise. */
extern KeUnmatched *ke_table_router_unmatched(KeTableRouter *router);
extern int64 ke_table_router_stripped(KeTableRouter *router);
extern void ke_table_router_reset_counts(KeTableRouter *router);

/* The function's text, as ke_handler_source. */
extern const char *ke_table_router_source(const KeTableRouter *router);

/* After the transaction ended, either way. */
extern void ke_table_router_end(KeTableRouter *router);

extern void ke_table_router_close(KeTableRouter *router);

#endif							/* KE_TABLE_ROUTER_H */
