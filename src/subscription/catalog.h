/*
 * catalog.h
 *	  Servers and subscriptions as the catalogs have them now.
 *
 * All functions need a transaction.  Results are allocated in the current
 * context and are copies: they stay when the transaction ends, if the
 * context does.
 */
#ifndef KE_CATALOG_H
#define KE_CATALOG_H

#include "core/options.h"

typedef struct KeServer
{
	Oid			oid;
	Oid			owner;
	char	   *name;
	KeServerOptions options;
	KeMappingOptions mapping;	/* the owner's, else PUBLIC's, else empty */
	KeRegistry *registry;		/* or NULL */
	uint64		fingerprint;	/* changes whenever a worker must restart */
} KeServer;

/* What a handler's only argument is. */
typedef enum KeArgument
{
	KE_ARG_NONE,				/* no handler */
	KE_ARG_JSONB,
	KE_ARG_JSON,
	KE_ARG_TEXT,
	KE_ARG_BYTEA,
	KE_ARG_COMPOSITE,			/* any other composite or row type */
	KE_ARG_MESSAGE,				/* kafka_message */
	KE_ARG_BATCH				/* kafka_message[] */
} KeArgument;

typedef struct KeSubscription
{
	Oid			oid;			/* the foreign table */
	Oid			server;
	Oid			owner;
	char	   *topic;			/* of a pattern: its regular expression */
	Oid			pattern;		/* what made it and has its options, or
								 * InvalidOid */
	int			members;		/* of a pattern, where its server's were
								 * listed */
	Oid			handler;		/* InvalidOid: none; so for the others */
	KeArgument	handler_argument;
	Oid			handler_argument_type;
	Oid			validator;
	KeArgument	validator_argument; /* KE_ARG_JSONB or KE_ARG_MESSAGE */
	Oid			validator_argument_type;
	Oid			route;
	KeArgument	route_argument;
	Oid			route_argument_type;
	Oid			into_table;
	KeSubscriptionOptions options;
	char	   *broken;			/* why it cannot run, or NULL */
} KeSubscription;

/* One server, by oid; NULL if there is none, or it is not of our wrapper. */
extern KeServer *ke_catalog_server(Oid serverid);

/* Server by name, or the only one if name is NULL; raises with a hint. */
extern KeServer *ke_catalog_server_by_name(const char *name);

/* The consumer group of the main workers: "<service>-main". */
extern char *ke_catalog_main_group(const KeServer *server);

/* The group without members that dead letters are moved for. */
extern char *ke_catalog_admin_group(const KeServer *server);

/* All servers of our wrapper: a list of Oid. */
extern List *ke_catalog_servers(void);

/* The same, as KeServer *. */
extern List *ke_catalog_every_server(void);

/*
 * All subscriptions of one server by which a topic is consumed, as
 * KeSubscription *, sorted by topic: no patterns, but what these have made.
 * Names are resolved through the recorded dependencies; what is wrong with
 * one (no privilege, a superuser's server with somebody else's function, ...)
 * is said in its broken and raises nothing.
 */
extern List *ke_catalog_subscriptions(KeServer *server);

/*
 * Likewise its patterns, sorted by their regular expressions: their
 * options.topics is one, and the topics that match have subscriptions.
 */
extern List *ke_catalog_patterns(KeServer *server);

/* Both, the patterns first. */
extern List *ke_catalog_patterns_and_topics(KeServer *server);

/* Has any server of ours a foreign table, other than except? */
extern bool ke_catalog_has_subscriptions(Oid except);

/* The foreign table, other than except, that has a topic; or InvalidOid. */
extern Oid	ke_catalog_find(const KeServer *server, const char *topic,
							Oid except);

/* The pattern, other than except, with this regular expression. */
extern Oid	ke_catalog_find_pattern(const KeServer *server,
									const char *topics, Oid except);

/*
 * One foreign table of the server as it stands, without judging it: what a
 * name does not resolve to makes a problem, if these are wanted.  NULL if it
 * is gone or another server's.  text_decides: as for ke_references_resolve.
 */
extern KeSubscription *ke_catalog_read(KeServer *server, Oid relid,
									   bool text_decides, List **problems);

/*
 * Bring recorded dependencies and option texts of the server's subscriptions
 * up to date: after a restore nothing is recorded, and a rename in a session
 * without our hooks leaves the old text.  True if anything changed.
 */
extern bool ke_catalog_refresh(KeServer *server);

#endif							/* KE_CATALOG_H */
