/*
 * sink.c
 *	  Writes messages into a subscription's target table.
 */
#include "postgres.h"
#include "core/compat.h"

#include "db/sink.h"

struct KeSink
{
	Oid			relid;
	bool		reference;
};

KeSink *
ke_sink_open(const KeSubscription *sub, MemoryContext parent)
{
	KeSink	   *sink = MemoryContextAllocZero(parent, sizeof(KeSink));

	sink->relid = sub->into_table;
	return sink;
}

int64
ke_sink_write(KeSink *sink, KeMessage **msgs, int count, volatile int *at)
{
	ereport(ERROR,
			(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
			 errmsg("cannot write into tables yet")));
}

void
ke_sink_end(KeSink *sink)
{
}

void
ke_sink_close(KeSink *sink)
{
	pfree(sink);
}

void
ke_sink_use_reference(KeSink *sink, bool reference)
{
	sink->reference = reference;
}
