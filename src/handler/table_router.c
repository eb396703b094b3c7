/*
 * table_router.c
 *	  Rows into the table that a user's function tells for each message.
 */
#include "postgres.h"
#include "core/compat.h"

#include "lib/ilist.h"
#include "miscadmin.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"

#include "handler/call.h"
#include "handler/table_router.h"
#include "subscription/checks.h"
#include "subscription/names.h"
#include "subscription/trust.h"

/* So many tables stay open; those that were not written to longest go. */
#define KEPT_TABLES 100

/* A table that was told. */
typedef struct Target
{
	Oid			table;			/* hash key */
	dlist_node	node;			/* in targets */
	KeSubscription *sub;		/* with this table */
	KeSink	   *sink;			/* NULL: it could not be opened */
	int			first;			/* message of this write; -1: none */
} Target;

struct KeTableRouter
{
	MemoryContext context;		/* of this struct and all below */
	const KeSubscription *sub;
	KeCall	   *call;
	HTAB	   *by_table;		/* of Target */
	dlist_head	targets;		/* likewise; written to last, first */
	int			ntargets;

	/* Of the messages asked for last */
	Oid		   *told;			/* InvalidOid: no row */
	int			room;
	int			ntold;
	int			skipped;		/* of the last write */
};

KeTableRouter *
ke_table_router_open(const KeSubscription *sub, MemoryContext parent)
{
	MemoryContext context = AllocSetContextCreate(parent,
												  "kafka_events routes",
												  ALLOCSET_SMALL_SIZES);
	KeTableRouter *router = MemoryContextAllocZero(context,
												   sizeof(KeTableRouter));
	HASHCTL		control = {
		.keysize = sizeof(Oid),
		.entrysize = sizeof(Target),
		.hcxt = context
	};

	router->context = context;
	router->sub = sub;
	router->call = ke_call_open("route", sub->route, sub->route_argument,
								sub->route_argument_type, &sub->options,
								context);
	router->by_table = hash_create("kafka_events routes", KEPT_TABLES,
								   &control,
								   HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	dlist_init(&router->targets);
	return router;
}

static void
forget(KeTableRouter *router, Target *target)
{
	if (target->sink != NULL)
		ke_sink_close(target->sink);
	pfree(target->sub);
	dlist_delete(&target->node);
	router->ntargets--;
	(void) hash_search(router->by_table, &target->table, HASH_REMOVE, NULL);
}

void
ke_table_router_begin(KeTableRouter *router)
{
	while (router->ntargets > KEPT_TABLES)
		forget(router, dlist_tail_element(Target, node, &router->targets));
	ke_call_begin(router->call);
}

static void
make_room(KeTableRouter *router)
{
	router->room = Max(2 * router->room, 1024);
	if (router->told == NULL)
		router->told = MemoryContextAlloc(router->context,
										  router->room * sizeof(Oid));
	else
		router->told = repalloc(router->told, router->room * sizeof(Oid));
}

void
ke_table_router_ask(KeTableRouter *router, KeMessage *msg, int i)
{
	Datum		result;
	bool		isnull;

	if (i == router->room)
		make_room(router);
	router->ntold = i + 1;
	router->told[i] = InvalidOid;
	if (ke_call_run(router->call, &msg, 1, &result, &isnull) && !isnull)
	{
		router->told[i] = DatumGetObjectId(result);
		if (!OidIsValid(router->told[i]))
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("route %s returned \"-\", which is no table",
							ke_call_name(router->call)),
					 errhint("NULL means that no row is to be written.")));
	}
	ke_call_forget(router->call);
}

static Target *
find(KeTableRouter *router, Oid table)
{
	Target	   *target = hash_search(router->by_table, &table, HASH_FIND,
									 NULL);
	KeSubscription *sub;

	if (target != NULL)
	{
		dlist_move_head(&router->targets, &target->node);
		return target;
	}
	sub = MemoryContextAlloc(router->context, sizeof(KeSubscription));
	*sub = *router->sub;
	sub->into_table = table;
	target = hash_search(router->by_table, &table, HASH_ENTER, NULL);
	target->sub = sub;
	target->sink = NULL;
	target->first = -1;
	dlist_push_head(&router->targets, &target->node);
	router->ntargets++;
	return target;
}

/*
 * Writing would refuse most of this too, as a fault of the subscription's; but
 * other messages may have a table that is right.
 */
static void
check(KeTableRouter *router, const KeSubscription *sub)
{
	List	   *problems = NIL;

	ke_checks_table(GetUserId(), sub, &problems);
	if (problems == NIL && superuser_arg(GetUserId()))
		ke_trust_check_table(sub->into_table, &problems);
	if (problems == NIL)
		return;
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("route %s returned %s, which rows cannot go to: %s",
					ke_call_name(router->call),
					ke_names_of_table(sub->into_table),
					ke_checks_first(problems))));
}

/* The table's sink, ready to be written to. */
static KeSink *
sink_of(KeTableRouter *router, Target *target)
{
	if (target->sink == NULL || !ke_sink_is_current(target->sink))
		check(router, target->sub);
	if (target->sink == NULL)
		target->sink = ke_sink_open(target->sub, router->context);
	return target->sink;
}

/* The tables of these messages, each once, in the order of their OIDs. */
static int
by_table(const ListCell *a, const ListCell *b)
{
	Oid			left = ((const Target *) lfirst(a))->table;
	Oid			right = ((const Target *) lfirst(b))->table;

	return left < right ? -1 : left > right;
}

static List *
list_targets(KeTableRouter *router, KeMessage **msgs, int count)
{
	List	   *targets = NIL;
	Target	   *target = NULL;
	ListCell   *lc;

	for (int i = 0; i < count; i++)
	{
		if (!OidIsValid(router->told[i]))
		{
			if (OidIsValid(router->sub->handler))
				continue;
			msgs[i]->left = true;
			router->skipped++;
			continue;
		}
		if (target == NULL || target->table != router->told[i])
			target = find(router, router->told[i]);
		if (target->first >= 0)
			continue;
		target->first = i;
		targets = lappend(targets, target);
	}
	list_sort(targets, by_table);
	foreach(lc, targets)
		((Target *) lfirst(lc))->first = -1;
	return targets;
}

/* The index of the first message for this table, from this one on. */
static int
first_for(const KeTableRouter *router, Oid table, int from)
{
	while (from < router->ntold && router->told[from] != table)
		from++;
	return from;
}

/* Messages of one table; places are their indexes, *at one of these. */
static int64
write_together(KeTableRouter *router, Target *target, KeMessage **msgs,
			   const int *places, int count, volatile int *at)
{
	volatile int within = -1;
	int64		written = 0;

	PG_TRY();
	{
		written = ke_sink_write(target->sink, msgs, count, &within);
	}
	PG_CATCH();
	{
		if (count == 1)
			within = 0;
		*at = within < 0 ? -1 : places[within];
		PG_RE_THROW();
	}
	PG_END_TRY();
	router->skipped += ke_sink_skipped(target->sink);
	return written;
}

/*
 * The next messages for this table, from *from on: all of them, or those up
 * to the next one for another; *from is then behind them.
 */
static int64
write_some(KeTableRouter *router, Target *target, KeMessage **msgs,
		   bool all, int *from, volatile int *at)
{
	KeMessage **some = palloc(router->ntold * sizeof(KeMessage *));
	int		   *places = palloc(router->ntold * sizeof(int));
	int			count = 0;
	int			i;
	int64		written;

	for (i = *from; i < router->ntold; i++)
	{
		if (router->told[i] == target->table)
		{
			places[count] = i;
			some[count++] = msgs[i];
		}
		else if (!all && OidIsValid(router->told[i]))
			break;
	}
	*from = i;
	written = write_together(router, target, some, places, count, at);
	pfree(some);
	pfree(places);
	return written;
}

/* Open all tables; can no row see another's? */
static bool
open_all(KeTableRouter *router, List *targets, volatile int *at)
{
	bool		independent = true;
	ListCell   *lc;

	foreach(lc, targets)
	{
		Target	   *target = lfirst(lc);

		*at = first_for(router, target->table, 0);
		if (!ke_sink_minds_itself(sink_of(router, target)))
			independent = false;
	}
	*at = -1;
	return independent;
}

int64
ke_table_router_write(KeTableRouter *router, KeMessage **msgs, int count,
					  volatile int *at)
{
	List	   *targets;
	int64		written = 0;
	int			from = 0;
	ListCell   *lc;

	Assert(count == router->ntold);
	router->skipped = 0;
	targets = list_targets(router, msgs, count);
	if (open_all(router, targets, at) || list_length(targets) == 1)
	{
		foreach(lc, targets)
		{
			from = 0;
			written += write_some(router, lfirst(lc), msgs, true, &from, at);
		}
	}
	else
	{
		while (from < count)
		{
			if (OidIsValid(router->told[from]))
				written += write_some(router,
									  find(router, router->told[from]), msgs,
									  false, &from, at);
			else
				from++;
		}
	}
	list_free(targets);
	*at = -1;
	return written;
}

int
ke_table_router_skipped(const KeTableRouter *router)
{
	return router->skipped;
}

KeSink *
ke_table_router_sink(KeTableRouter *router)
{
	Assert(router->ntold == 1);
	if (!OidIsValid(router->told[0]))
		return NULL;
	return sink_of(router, find(router, router->told[0]));
}

/* The first that has counted any stands for all of them. */
KeUnmatched *
ke_table_router_unmatched(KeTableRouter *router)
{
	static KeUnmatched none;
	KeUnmatched *first = NULL;
	dlist_iter	iter;

	dlist_foreach(iter, &router->targets)
	{
		Target	   *target = dlist_container(Target, node, iter.cur);
		KeUnmatched *unmatched;

		if (target->sink == NULL)
			continue;
		unmatched = ke_sink_unmatched(target->sink);
		if (unmatched->count == 0)
			continue;
		if (first == NULL)
			first = unmatched;
		else
		{
			first->count += unmatched->count;
			ke_unmatched_reset(unmatched);
		}
	}
	if (first != NULL)
		return first;
	ke_unmatched_reset(&none);
	return &none;
}

int64
ke_table_router_stripped(KeTableRouter *router)
{
	int64		stripped = 0;
	dlist_iter	iter;

	dlist_foreach(iter, &router->targets)
	{
		Target	   *target = dlist_container(Target, node, iter.cur);

		if (target->sink != NULL)
			stripped += *ke_sink_stripped(target->sink);
	}
	return stripped;
}

void
ke_table_router_reset_counts(KeTableRouter *router)
{
	dlist_iter	iter;

	dlist_foreach(iter, &router->targets)
	{
		Target	   *target = dlist_container(Target, node, iter.cur);

		if (target->sink == NULL)
			continue;
		ke_unmatched_reset(ke_sink_unmatched(target->sink));
		*ke_sink_stripped(target->sink) = 0;
	}
}

const char *
ke_table_router_source(const KeTableRouter *router)
{
	return ke_call_source(router->call);
}

void
ke_table_router_end(KeTableRouter *router)
{
	dlist_iter	iter;

	dlist_foreach(iter, &router->targets)
	{
		Target	   *target = dlist_container(Target, node, iter.cur);

		target->first = -1;
		if (target->sink != NULL)
			ke_sink_end(target->sink);
	}
}

void
ke_table_router_close(KeTableRouter *router)
{
	MemoryContextDelete(router->context);
}
