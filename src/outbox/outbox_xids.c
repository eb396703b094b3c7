/*
 * outbox_xids.c
 *	  What a snapshot sees, as a set of transactions that can be stored.
 *
 * Of type pg_snapshot only its text form is public.  It knows top-level
 * transactions only, and so do the outbox's rows.
 */
#include "postgres.h"
#include "core/compat.h"

#include "access/transam.h"
#include "fmgr.h"
#include "utils/fmgroids.h"
#include "utils/snapmgr.h"

#include "outbox/outbox_xids.h"

/* Counted first: there may be as many as there are connections. */
static int
count_elements(const char *list)
{
	int			count = *list != '\0' ? 1 : 0;

	for (const char *p = list; *p != '\0'; p++)
		count += *p == ',' ? 1 : 0;
	return count;
}

/* text is xmin:xmax:xid,xid,... */
KeOutboxXids *
ke_outbox_xids_parse(const char *text)
{
	KeOutboxXids *xids = (KeOutboxXids *) palloc0(sizeof(KeOutboxXids));
	char	   *rest;

	xids->xmax = FirstNormalTransactionId;
	if (text == NULL)
		return xids;
	xids->text = pstrdup(text);
	(void) strtou64(text, &rest, 10);
	xids->xmax = strtou64(rest + 1, &rest, 10);
	rest++;
	xids->running = (uint64 *) palloc((count_elements(rest) + 1) *
									  sizeof(uint64));
	while (*rest != '\0')
	{
		xids->running[xids->nrunning++] = strtou64(rest, &rest, 10);
		if (*rest == ',')
			rest++;
	}
	return xids;
}

KeOutboxXids *
ke_outbox_xids_of_snapshot(Snapshot snapshot)
{
	Datum		datum;

	PushActiveSnapshot(snapshot);
	datum = OidFunctionCall0(F_PG_CURRENT_SNAPSHOT);
	PopActiveSnapshot();
	return ke_outbox_xids_parse(ke_outbox_xids_text(datum));
}

static int
compare_xids(const void *a, const void *b)
{
	uint64		left = *(const uint64 *) a;
	uint64		right = *(const uint64 *) b;

	return left < right ? -1 : left > right ? 1 : 0;
}

bool
ke_outbox_xids_have(const KeOutboxXids *xids, uint64 xid)
{
	return xid < xids->xmax &&
		(xids->nrunning == 0 ||
		 bsearch(&xid, xids->running, xids->nrunning, sizeof(uint64),
				 compare_xids) == NULL);
}

Datum
ke_outbox_xids_datum(const char *text)
{
	return OidFunctionCall1(F_PG_SNAPSHOT_IN, CStringGetDatum(text));
}

char *
ke_outbox_xids_text(Datum datum)
{
	return DatumGetCString(OidFunctionCall1(F_PG_SNAPSHOT_OUT, datum));
}
