/*
 * catalog.c
 *	  Servers and subscriptions as the catalogs have them now.
 *
 * Called by users' backends and by every process of ours, so privileges of
 * the session play no part in reading; what a subscription may do is judged
 * by subscription/checks, with the rights of its server's owner.
 */
#include "postgres.h"
#include "core/compat.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/reloptions.h"
#include "access/table.h"
#include "catalog/indexing.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_extension.h"
#include "catalog/pg_foreign_server.h"
#include "catalog/pg_foreign_table.h"
#include "catalog/pg_namespace.h"
#include "catalog/pg_type.h"
#include "catalog/pg_user_mapping.h"
#include "commands/defrem.h"
#include "commands/extension.h"
#include "common/hashfn.h"
#include "foreign/foreign.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/syscache.h"

#include "core/guc.h"
#include "core/registry_url.h"
#include "subscription/catalog.h"
#include "subscription/checks.h"
#include "subscription/extension.h"
#include "subscription/references.h"

/* ------------------------------------------------------------ servers */

/* The options of the user mapping of role for the server, and if any. */
static bool
mapping_options(Oid role, Oid server, List **options)
{
	HeapTuple	tuple;
	Datum		datum;
	bool		isnull;

	tuple = SearchSysCache2(USERMAPPINGUSERSERVER, ObjectIdGetDatum(role),
							ObjectIdGetDatum(server));
	if (!HeapTupleIsValid(tuple))
		return false;
	datum = SysCacheGetAttr(USERMAPPINGUSERSERVER, tuple,
							Anum_pg_user_mapping_umoptions, &isnull);
	*options = isnull ? NIL : untransformRelOptions(datum);
	ReleaseSysCache(tuple);
	return true;
}

/* A hash of options that does not depend on their order. */
static uint64
hash_options(List *options, uint64 seed)
{
	uint64		sum = 0;
	ListCell   *lc;

	foreach(lc, options)
	{
		DefElem    *option = lfirst_node(DefElem, lc);
		char	   *text;

		/* how many processes there are is no reason to restart any */
		if (strcmp(option->defname, "workers") == 0 ||
			strcmp(option->defname, "retry_workers") == 0)
			continue;
		text = psprintf("%s=%s", option->defname, defGetString(option));
		sum += hash_bytes_extended((unsigned char *) text, strlen(text),
								   seed);
	}
	return sum;
}

static uint64
fingerprint(const KeServer *server, List *options, List *mapping)
{
	return hash_options(options, 1) ^
		hash_combine64(hash_options(mapping, 2),
					   hash_bytes_extended((unsigned char *) server->name,
										   strlen(server->name),
										   server->owner));
}

/* The owner's mapping, else PUBLIC's, else an empty one of the owner. */
static void
load_mapping(KeServer *server, List **options)
{
	bool		own = mapping_options(server->owner, server->oid, options);
	bool		publics = !own &&
		mapping_options(InvalidOid, server->oid, options);
	char	   *owner = GetUserNameFromId(server->owner, true);

	ke_options_server_parse_mapping(*options, &server->mapping, NULL);
	server->mapping.exists = own || publics;
	if (publics)
		server->mapping.role = pstrdup("PUBLIC");
	else if (owner != NULL)
		server->mapping.role = pstrdup(quote_identifier(owner));
	server->mapping.server = pstrdup(quote_identifier(server->name));
}

static void
load_registry(KeServer *server)
{
	KeRegistry *registry;

	if (server->options.schema_registry_url == NULL)
		return;
	registry = palloc(sizeof(KeRegistry));
	registry->server = server->oid;
	registry->urls =
		ke_registry_url_split(server->options.schema_registry_url);
	registry->ids = server->options.schema_registry_id;
	server->registry = registry;
}

static KeServer *
load_server(HeapTuple tuple)
{
	Form_pg_foreign_server form =
		(Form_pg_foreign_server) GETSTRUCT(tuple);
	KeServer   *server = (KeServer *) palloc0(sizeof(KeServer));
	List	   *options = NIL;
	List	   *mapping = NIL;
	Datum		datum;
	bool		isnull;

	server->oid = form->oid;
	server->owner = form->srvowner;
	server->name = pstrdup(NameStr(form->srvname));

	datum = SysCacheGetAttr(FOREIGNSERVEROID, tuple,
							Anum_pg_foreign_server_srvoptions, &isnull);
	if (!isnull)
		options = untransformRelOptions(datum);
	ke_options_server_parse(options, &server->options, NULL);

	/* required, but a superuser can take the wrapper its validator */
	if (server->options.bootstrap_servers == NULL)
		server->options.bootstrap_servers = "";
	if (server->options.service_name == NULL)
		server->options.service_name = "";

	load_mapping(server, &mapping);
	load_registry(server);

	server->fingerprint = fingerprint(server, options, mapping);
	return server;
}

KeServer *
ke_catalog_server(Oid serverid)
{
	Oid			wrapper = ke_extension_wrapper();
	HeapTuple	tuple;
	KeServer   *server = NULL;

	tuple = SearchSysCache1(FOREIGNSERVEROID, ObjectIdGetDatum(serverid));
	if (!HeapTupleIsValid(tuple))
		return NULL;
	if (OidIsValid(wrapper) &&
		((Form_pg_foreign_server) GETSTRUCT(tuple))->srvfdw == wrapper)
		server = load_server(tuple);
	ReleaseSysCache(tuple);
	return server;
}

/* pg_foreign_server has no index on the wrapper, and few rows. */
List *
ke_catalog_servers(void)
{
	Oid			wrapper = ke_extension_wrapper();
	Relation	catalog;
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple	tuple;
	List	   *servers = NIL;

	if (!OidIsValid(wrapper))
		return NIL;
	catalog = table_open(ForeignServerRelationId, AccessShareLock);
	ScanKeyInit(&key, Anum_pg_foreign_server_srvfdw, BTEqualStrategyNumber,
				F_OIDEQ, ObjectIdGetDatum(wrapper));
	scan = systable_beginscan(catalog, InvalidOid, false, NULL, 1, &key);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		Form_pg_foreign_server form =
			(Form_pg_foreign_server) GETSTRUCT(tuple);

		servers = lappend_oid(servers, form->oid);
	}
	systable_endscan(scan);
	table_close(catalog, AccessShareLock);
	list_sort(servers, list_oid_cmp);
	return servers;
}

List *
ke_catalog_every_server(void)
{
	List	   *servers = NIL;
	ListCell   *lc;

	foreach(lc, ke_catalog_servers())
	{
		KeServer   *server = ke_catalog_server(lfirst_oid(lc));

		if (server != NULL)
			servers = lappend(servers, server);
	}
	return servers;
}

/* The only server there is. */
static KeServer *
only_server(void)
{
	List	   *servers = ke_catalog_servers();
	StringInfoData names;
	ListCell   *lc;

	if (servers == NIL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("there is no server of foreign-data wrapper \"%s\"",
						KE_EXTENSION_NAME),
				 errhint("Make one with CREATE SERVER ... FOREIGN DATA WRAPPER %s OPTIONS (bootstrap_servers 'host:port', service_name 'name').",
						 KE_EXTENSION_NAME)));
	if (list_length(servers) == 1)
		return ke_catalog_server(linitial_oid(servers));

	initStringInfo(&names);
	foreach(lc, servers)
	{
		KeServer   *server = ke_catalog_server(lfirst_oid(lc));

		if (server != NULL)
			appendStringInfo(&names, "%s%s", names.len > 0 ? ", " : "",
							 quote_identifier(server->name));
	}
	ereport(ERROR,
			(errcode(ERRCODE_AMBIGUOUS_PARAMETER),
			 errmsg("there are several servers of foreign-data wrapper \"%s\"",
					KE_EXTENSION_NAME),
			 errdetail("They are: %s.", names.data),
			 errhint("Say which one with server => 'name', or set kafka_events.default_server for the session, a role or the database.")));
	return NULL;				/* keep compiler quiet */
}

static KeServer *
default_server(void)
{
	Oid			oid = get_foreign_server_oid(ke_guc_default_server, true);
	KeServer   *server = OidIsValid(oid) ? ke_catalog_server(oid) : NULL;

	if (server == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("there is no server \"%s\" of foreign-data wrapper \"%s\"",
						ke_guc_default_server, KE_EXTENSION_NAME),
				 errdetail("It is named by the setting kafka_events.default_server."),
				 errhint("Say which server with server => 'name', or change the setting.")));
	return server;
}

KeServer *
ke_catalog_server_by_name(const char *name)
{
	KeServer   *server;

	if (name == NULL && ke_guc_default_server[0] != '\0')
		return default_server();
	if (name == NULL)
		return only_server();

	server = ke_catalog_server(get_foreign_server_oid(name, false));
	if (server == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("server \"%s\" is not of foreign-data wrapper \"%s\"",
						name, KE_EXTENSION_NAME)));
	return server;
}

char *
ke_catalog_main_group(const KeServer *server)
{
	return psprintf("%s-main", server->options.service_name);
}

char *
ke_catalog_admin_group(const KeServer *server)
{
	return psprintf("%s-admin", server->options.service_name);
}

/* ------------------------------------------------------ subscriptions */

/* Server and options of a foreign table; false if it is gone. */
static bool
table_options(Oid relid, Oid *server, List **options)
{
	HeapTuple	tuple = SearchSysCache1(FOREIGNTABLEREL,
										ObjectIdGetDatum(relid));
	Datum		datum;
	bool		isnull;

	if (!HeapTupleIsValid(tuple))
		return false;
	if (server != NULL)
		*server = ((Form_pg_foreign_table) GETSTRUCT(tuple))->ftserver;
	datum = SysCacheGetAttr(FOREIGNTABLEREL, tuple,
							Anum_pg_foreign_table_ftoptions, &isnull);
	*options = isnull ? NIL : untransformRelOptions(datum);
	ReleaseSysCache(tuple);
	return true;
}

static char *
option_text(List *options, const char *name)
{
	DefElem    *option = ke_options_find(options, name);

	return option != NULL ? defGetString(option) : NULL;
}

/* The foreign table's subscription, without what its options name. */
static KeSubscription *
read_options(KeServer *server, Oid relid, List *options)
{
	KeSubscription *sub = (KeSubscription *) palloc0(sizeof(KeSubscription));

	sub->oid = relid;
	if (option_text(options, "pattern") != NULL)
		sub->pattern = ke_references_pattern(relid, server->oid, &options);
	sub->server = server->oid;
	ke_options_subscription_parse(options, server->options.production,
								  &sub->options, NULL);
	sub->options.registry = server->registry;
	return sub;
}

KeSubscription *
ke_catalog_read(KeServer *server, Oid relid, bool text_decides,
				List **problems)
{
	KeSubscription *sub;
	HeapTuple	tuple;
	Oid			table_server;
	List	   *options;

	if (!table_options(relid, &table_server, &options) ||
		table_server != server->oid)
		return NULL;
	tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(relid));
	if (!HeapTupleIsValid(tuple))
		return NULL;
	sub = read_options(server, relid, options);
	sub->owner = ((Form_pg_class) GETSTRUCT(tuple))->relowner;
	if (sub->options.topics != NULL)
		sub->topic = sub->options.topics;
	else if (sub->options.topic != NULL)
		sub->topic = sub->options.topic;
	else
		sub->topic =
			pstrdup(NameStr(((Form_pg_class) GETSTRUCT(tuple))->relname));
	ReleaseSysCache(tuple);

	ke_references_resolve(sub, text_decides, problems);
	return sub;
}

/* The foreign tables on a server; pg_foreign_table has no index on it. */
static List *
foreign_tables(Oid server)
{
	Relation	catalog = table_open(ForeignTableRelationId, AccessShareLock);
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple	tuple;
	List	   *tables = NIL;

	ScanKeyInit(&key, Anum_pg_foreign_table_ftserver, BTEqualStrategyNumber,
				F_OIDEQ, ObjectIdGetDatum(server));
	scan = systable_beginscan(catalog, InvalidOid, false, NULL, 1, &key);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		Form_pg_foreign_table form =
			(Form_pg_foreign_table) GETSTRUCT(tuple);

		tables = lappend_oid(tables, form->ftrelid);
	}
	systable_endscan(scan);
	table_close(catalog, AccessShareLock);
	return tables;
}

static int
by_topic(const ListCell *a, const ListCell *b)
{
	const KeSubscription *first = (const KeSubscription *) lfirst(a);
	const KeSubscription *second = (const KeSubscription *) lfirst(b);
	int			order = strcmp(first->topic, second->topic);

	/* of one topic, what a user has made himself comes first */
	if (order == 0)
		order = (int) OidIsValid(first->pattern) -
			(int) OidIsValid(second->pattern);
	if (order == 0)
		order = first->oid < second->oid ? -1 : 1;
	return order;
}

/*
 * A session without our hooks can make a second foreign table for a topic:
 * each message would be processed twice.
 */
static void
break_repeated(List *subs)
{
	KeSubscription *previous = NULL;
	ListCell   *lc;

	foreach(lc, subs)
	{
		KeSubscription *sub = (KeSubscription *) lfirst(lc);

		if (previous != NULL && strcmp(previous->topic, sub->topic) == 0)
		{
			if (sub->broken == NULL)
				sub->broken = "Another subscription of the server has the same topic";
		}
		else
			previous = sub;
	}
}

/* Subscriptions of topics, or patterns of them, judged. */
static List *
read_all(KeServer *server, bool patterns)
{
	List	   *subs = NIL;
	ListCell   *lc;

	foreach(lc, foreign_tables(server->oid))
	{
		Oid			relid = lfirst_oid(lc);
		List	   *options;
		List	   *problems = NIL;
		KeSubscription *sub;

		if (!table_options(relid, NULL, &options) ||
			(ke_options_find(options, "topics") != NULL) != patterns)
			continue;
		sub = ke_catalog_read(server, relid, false, &problems);
		if (sub == NULL)
			continue;
		ke_checks_subscription(server, sub, &problems);
		if (problems != NIL)
			sub->broken = ke_checks_first(problems);
		subs = lappend(subs, sub);
	}
	list_sort(subs, by_topic);
	return subs;
}

List *
ke_catalog_subscriptions(KeServer *server)
{
	List	   *subs = read_all(server, false);

	break_repeated(subs);
	return subs;
}

List *
ke_catalog_patterns(KeServer *server)
{
	List	   *patterns = read_all(server, true);
	ListCell   *lc;

	foreach(lc, patterns)
	{
		KeSubscription *pattern = (KeSubscription *) lfirst(lc);

		pattern->members = list_length(ke_references_members(pattern->oid));
	}
	return patterns;
}

List *
ke_catalog_patterns_and_topics(KeServer *server)
{
	return list_concat(ke_catalog_patterns(server),
					   ke_catalog_subscriptions(server));
}

bool
ke_catalog_has_subscriptions(Oid except)
{
	ListCell   *lc;

	foreach(lc, ke_catalog_servers())
		if (list_difference_oid(foreign_tables(lfirst_oid(lc)),
								list_make1_oid(except)) != NIL)
			return true;
	return false;
}

/* The table, but for except, of a topic, or with a regular expression. */
static Oid
find_table(const KeServer *server, const char *text, bool pattern, Oid except)
{
	ListCell   *lc;

	foreach(lc, foreign_tables(server->oid))
	{
		Oid			relid = lfirst_oid(lc);
		List	   *options;
		char	   *found;

		if (relid == except || !table_options(relid, NULL, &options))
			continue;
		found = option_text(options, "topics");
		if ((found != NULL) != pattern)
			continue;
		if (!pattern)
			found = option_text(options, "topic");
		if (found == NULL)
			found = get_rel_name(relid);
		if (found != NULL && strcmp(found, text) == 0)
			return relid;
	}
	return InvalidOid;
}

Oid
ke_catalog_find(const KeServer *server, const char *topic, Oid except)
{
	return find_table(server, topic, false, except);
}

Oid
ke_catalog_find_pattern(const KeServer *server, const char *topics,
						Oid except)
{
	return find_table(server, topics, true, except);
}

/* Renaming is also followed at once by api/ddl, where it is loaded. */
bool
ke_catalog_refresh(KeServer *server)
{
	bool		changed = false;
	ListCell   *lc;

	foreach(lc, foreign_tables(server->oid))
	{
		List	   *problems = NIL;
		KeSubscription *sub = ke_catalog_read(server, lfirst_oid(lc), false,
											  &problems);

		if (sub == NULL || problems != NIL)
			continue;
		ke_references_lock(sub, &problems);
		if (problems != NIL)
			continue;
		if (ke_references_record(sub))
			changed = true;
		if (ke_references_rewrite(sub))
			changed = true;
	}
	return changed;
}
