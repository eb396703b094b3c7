/*
 * outbox_xids.h
 *	  What a snapshot sees, as a set of transactions that can be stored.
 */
#ifndef KE_OUTBOX_XIDS_H
#define KE_OUTBOX_XIDS_H

#include "utils/snapshot.h"

/* Transactions before xmax that are not running. */
typedef struct KeXids
{
	char	   *text;			/* as pg_snapshot's input and output */
	uint64		xmax;
	int			nrunning;
	uint64	   *running;		/* ascending */
} KeXids;

/* In the current context.  A NULL text: no transaction at all. */
extern KeXids *ke_xids_parse(const char *text);
extern KeXids *ke_xids_of_snapshot(Snapshot snapshot);

extern bool ke_xids_have(const KeXids *xids, uint64 xid);

/* Of type pg_snapshot, and back. */
extern Datum ke_xids_datum(const char *text);
extern char *ke_xids_text(Datum datum);

#endif							/* KE_OUTBOX_XIDS_H */
