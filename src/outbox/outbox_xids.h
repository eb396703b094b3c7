/*
 * outbox_xids.h
 *	  What a snapshot sees, as a set of transactions that can be stored.
 */
#ifndef KE_OUTBOX_XIDS_H
#define KE_OUTBOX_XIDS_H

#include "utils/snapshot.h"

/* Transactions before xmax that are not running. */
typedef struct KeOutboxXids
{
	char	   *text;			/* as pg_snapshot's input and output */
	uint64		xmax;
	int			nrunning;
	uint64	   *running;		/* ascending */
} KeOutboxXids;

/* In the current context.  A NULL text: no transaction at all. */
extern KeOutboxXids *ke_outbox_xids_parse(const char *text);
extern KeOutboxXids *ke_outbox_xids_of_snapshot(Snapshot snapshot);

extern bool ke_outbox_xids_have(const KeOutboxXids *xids, uint64 xid);

/* Of type pg_snapshot, and back. */
extern Datum ke_outbox_xids_datum(const char *text);
extern char *ke_outbox_xids_text(Datum datum);

#endif							/* KE_OUTBOX_XIDS_H */
