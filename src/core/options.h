/*
 * options.h
 *	  What the options of servers, user mappings and subscriptions mean.
 *
 * Pure: works on lists of DefElem and returns structs; no catalog, no shared
 * memory, so that pg_restore and sessions without the preload can check
 * options too.  Problems are collected and raised together by the validator.
 */
#ifndef KE_OPTIONS_H
#define KE_OPTIONS_H

#include "nodes/parsenodes.h"

#include "core/column_path.h"

typedef enum KeRowFormat
{
	KE_ROW_FIELDS,
	KE_ROW_ENVELOPE
} KeRowFormat;

typedef enum KeOnConflict
{
	KE_CONFLICT_ERROR,
	KE_CONFLICT_IGNORE,
	KE_CONFLICT_UPDATE
} KeOnConflict;

typedef enum KeOrdering
{
	KE_ORDER_NONE,
	KE_ORDER_KEY,
	KE_ORDER_PARTITION
} KeOrdering;

typedef enum KeStartFrom
{
	KE_START_EARLIEST,
	KE_START_LATEST
} KeStartFrom;

typedef enum KeRetryStrategy
{
	KE_RETRY_EXPONENTIAL,
	KE_RETRY_LINEAR,
	KE_RETRY_FIXED
} KeRetryStrategy;

/* What a field's name is to the name of its column. */
typedef enum KeFieldNames
{
	KE_NAMES_EXACT,
	KE_NAMES_SNAKE_CASE			/* userId goes to user_id */
} KeFieldNames;

/* How a message's value or key is written. */
typedef enum KeFormat
{
	KE_FORMAT_PLAIN,			/* JSON; a key: text */
	KE_FORMAT_REGISTRY			/* what the schema registry says */
} KeFormat;

/* What the number before a value means to the schema registry. */
typedef enum KeRegistryId
{
	KE_REGISTRY_ID_CONFLUENT,	/* an id of Confluent's API */
	KE_REGISTRY_ID_CONTENT,		/* Apicurio's contentId */
	KE_REGISTRY_ID_GLOBAL		/* Apicurio's globalId */
} KeRegistryId;

/* The schema registry of a server. */
typedef struct KeRegistry
{
	Oid			server;
	List	   *urls;			/* of char *, tried in turn */
	KeRegistryId ids;
} KeRegistry;

/* What a bare number counts that goes into a date or time. */
typedef enum KeTimestampUnit
{
	KE_UNIT_NONE,				/* nobody knows: it is refused */
	KE_UNIT_S,
	KE_UNIT_MS,
	KE_UNIT_US,
	KE_UNIT_NS
} KeTimestampUnit;

/* How bytes are written in JSON text. */
typedef enum KeBytesEncoding
{
	KE_BYTES_TEXT,				/* as bytea's input function reads them */
	KE_BYTES_BASE64,
	KE_BYTES_HEX
} KeBytesEncoding;

/* What becomes of a message without a value. */
typedef enum KeTombstones
{
	KE_TOMBSTONES_DELETE,		/* the row of its key is deleted */
	KE_TOMBSTONES_IGNORE,		/* nothing */
	KE_TOMBSTONES_DEAD_LETTER,
	KE_TOMBSTONES_BY_FORMAT		/* not said: row_format and on_conflict do */
} KeTombstones;

/* What on_conflict update gives a row that is there. */
typedef enum KeUpdateColumns
{
	KE_UPDATE_ALL,
	KE_UPDATE_PRESENT			/* what the message has */
} KeUpdateColumns;

/* A field for a column that only PostgreSQL writes. */
typedef enum KeGeneratedColumns
{
	KE_GENERATED_ERROR,
	KE_GENERATED_IGNORE
} KeGeneratedColumns;

/* How messages that hold several values are taken apart. */
typedef enum KeSplit
{
	KE_SPLIT_NONE,				/* a message is one value */
	KE_SPLIT_ARRAY,				/* a JSON array of them */
	KE_SPLIT_LINES				/* one in each line */
} KeSplit;

/* What values, and their keys, are wrapped in. */
typedef enum KeUnwrapKind
{
	KE_UNWRAP_KIND_NONE,
	KE_UNWRAP_KIND_CONNECT,
	KE_UNWRAP_KIND_DEBEZIUM,
	KE_UNWRAP_KIND_CLOUDEVENTS
} KeUnwrapKind;

/* A librdkafka property given as a server option ("linger.ms"). */
typedef struct KeProperty
{
	char	   *name;
	char	   *value;
} KeProperty;

typedef struct KeServerOptions
{
	char	   *bootstrap_servers;
	char	   *service_name;
	bool		production;
	char	   *security_protocol;
	char	   *sasl_mechanism; /* upper case, or NULL */
	char	   *ssl_ca_pem;		/* or NULL */
	char	   *ssl_ca_file;	/* or NULL */
	int			workers;
	int			retry_workers;
	bool		shared;
	bool		consumer_protocol;	/* KIP-848; the brokers then have a session
									 * timeout and heartbeats of their own */
	int			session_timeout;	/* ms, as the next three */
	int			heartbeat_interval;
	int			max_poll_interval;
	int			fetch_wait;
	char	   *compression;
	bool		synchronous_commit;
	char	   *retry_suffix;
	char	   *dlq_suffix;
	bool		create_topics;
	int			topic_partitions;
	int			topic_replication_factor;
	int64		dlq_retention_ms;
	char	   *schema_registry_url;	/* or NULL */
	char	   *schema_registry_ca_pem; /* or NULL */
	KeRegistryId schema_registry_id;
	List	   *properties;		/* of KeProperty */
} KeServerOptions;

typedef struct KeMappingOptions
{
	char	   *username;		/* each NULL when not given */
	char	   *password;
	char	   *ssl_certificate_pem;
	char	   *ssl_key_pem;
	char	   *ssl_key_password;
	char	   *oidc_client_id;
	char	   *oidc_client_secret;
	char	   *oidc_token_endpoint;
	char	   *oidc_scope;
	char	   *oidc_extensions;
	char	   *oidc_ca_pem;
	char	   *schema_registry_username;
	char	   *schema_registry_password;
	char	   *schema_registry_token;

	/* filled in by subscription/catalog, for errors; else NULL */
	bool		exists;
	char	   *role;			/* whose it is, or should be; quoted */
	char	   *server;			/* that it is for; likewise */
} KeMappingOptions;

/*
 * Options as written, with defaults filled in.  handler, validator, route and
 * into_table are still text here; subscription/catalog resolves them.
 */
typedef struct KeSubscriptionOptions
{
	char	   *topic;			/* NULL: the table's name */
	char	   *topics;			/* a regular expression: it is a pattern, and
								 * consumes nothing itself; or NULL */
	char	   *pattern;		/* the pattern's table that made it; or NULL */
	char	   *handler;
	char	   *into_table;
	char	   *route;
	KeRowFormat row_format;
	KeOnConflict on_conflict;
	KeOrdering	ordering;
	char	   *validator;
	char	  **required_headers;
	int			nrequired_headers;
	KeStartFrom start_from;
	int			batch_size;
	int			handler_timeout_ms;
	int			max_retries;
	KeRetryStrategy retry_strategy;
	int			initial_delay_ms;
	int			max_delay_ms;
	double		multiplier;
	bool		dlq;
	int			breaker_threshold;
	int			breaker_timeout_ms;
	KeColumnPath *column_map;
	int			ncolumn_map;
	KeFieldNames field_names;
	KeTimestampUnit timestamp_unit;
	KeBytesEncoding bytes_encoding;
	bool		strip_nul;
	KeTombstones tombstones;
	KeUpdateColumns update_columns;
	char	   *update_if;		/* a column, or NULL */
	KeGeneratedColumns generated_columns;
	KeUnwrapKind unwrap;
	KeSplit		split;
	bool		paused;			/* set by kafka_consumer_pause */
	KeFormat	value_format;
	KeFormat	key_format;

	/* filled in by subscription/catalog; NULL: the server has none */
	const KeRegistry *registry;
} KeSubscriptionOptions;

/*
 * Parse complete lists (as stored in the catalogs) into structs allocated in
 * the current context.  With problems == NULL the list is trusted to have
 * been checked, and what is wrong all the same is ignored; otherwise every
 * broken rule is appended as one char *: a sentence without its period, then
 * perhaps hints, each a sentence on a line of its own.
 */
extern void ke_options_server_parse(List *options, KeServerOptions *out,
									List **problems);
extern void ke_options_server_parse_mapping(List *options,
											KeMappingOptions *out,
											List **problems);
extern void ke_options_subscription_parse(List *options, bool production,
										  KeSubscriptionOptions *out,
										  List **problems);

/*
 * The rules between a subscription and its server.  They are not part of
 * parsing because whoever checks a foreign table's options does not always
 * know the server.  topic is the one that holds: the option or the table's
 * name.
 */
extern void ke_options_subscription_check(const KeServerOptions *server,
										  const char *topic,
										  const KeSubscriptionOptions *sub,
										  List **problems);

/* The DefElem of this name in a list, or NULL. */
extern DefElem *ke_options_find(List *options, const char *name);

/* Append a broken rule, with a hint or NULL, as described above. */
extern void ke_options_problem(List **problems, const char *hint,
							   const char *fmt,...) pg_attribute_printf(3, 4);

/* One ERROR that lists all problems; returns quietly when there are none. */
extern void ke_options_report(const char *object, List *problems);

/* Do its retries wait in a topic?  Else they wait in the database. */
extern bool
ke_options_subscription_retries_by_topic(const KeSubscriptionOptions *sub);

/* Is it a stock name, such as "service" or "app"? */
extern bool ke_options_server_is_stock_name(const char *service_name);

/*
 * Why Kafka would refuse this as a topic's name, as the end of a sentence
 * that begins with it ("must not be empty"), or NULL if it would not.
 */
extern const char *ke_options_topic_problem(const char *topic);

/* Is it one of Kafka's own topics, which clients must not write to? */
extern bool ke_options_topic_is_internal(const char *topic);

extern const char *ke_options_subscription_row_format_name(KeRowFormat value);
extern const char *
ke_options_subscription_on_conflict_name(KeOnConflict value);
extern const char *ke_options_subscription_ordering_name(KeOrdering value);
extern const char *ke_options_subscription_start_from_name(KeStartFrom value);
extern const char *
ke_options_subscription_retry_strategy_name(KeRetryStrategy value);
extern const char *
ke_options_subscription_field_names_name(KeFieldNames value);
extern const char *ke_options_subscription_value_format_name(KeFormat value);
extern const char *ke_options_subscription_key_format_name(KeFormat value);
extern const char *
ke_options_subscription_timestamp_unit_name(KeTimestampUnit value);
extern const char *
ke_options_subscription_bytes_encoding_name(KeBytesEncoding value);

/* NULL where nothing is said. */
extern const char *
ke_options_subscription_tombstones_name(KeTombstones value);
extern const char *
ke_options_subscription_update_columns_name(KeUpdateColumns value);
extern const char *
ke_options_subscription_generated_columns_name(KeGeneratedColumns value);
extern const char *ke_options_subscription_unwrap_name(KeUnwrapKind value);
extern const char *ke_options_subscription_split_name(KeSplit value);

#endif							/* KE_OPTIONS_H */
