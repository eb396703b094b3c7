/*
 * histories.h
 *	  Which history this database lives in: rows of kafka_events.histories,
 *	  and the history files of PostgreSQL's timelines.
 *
 * All functions need a transaction.
 */
#ifndef KE_HISTORIES_H
#define KE_HISTORIES_H

#include "core/copy_history.h"
#include "core/message.h"

/*
 * The history that the database lives in now, but for the lsn.  Writes a row
 * with the first call on a timeline: what is sent in the name of the history
 * must wait until the transaction is durable.
 */
extern void ke_histories_current(KeCopyHistory *history);

/* Everything known of the past; in the current context. */
extern KePast *ke_histories_past(void);

#endif							/* KE_HISTORIES_H */
