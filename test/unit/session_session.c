/*
 * session_session.c
 *	  Runs handlers in a background process, as a consumer does.
 *
 * unit_session(owner, steps) starts a process that connects through
 * ke_session_connect and performs the steps one after the other.  It returns
 * what the steps had to say, one line each, also if the process ended before
 * the last one.  The steps:
 *
 *	handler FUNCTION [TIMEOUT_MS]	what run calls from now on
 *	validator FUNCTION				what it asks first, from now on
 *	required NAME					a header that messages must have
 *	key TEXT, header NAME VALUE		of the messages that follow
 *	message TEXT, bytes HEX, tombstone	one more message of the next batch
 *	run								one batch: one transaction, and the reset
 *	abort							the same, but rolled back at its end
 *	durable STATEMENT				sql, committed durably
 *	sql STATEMENT					in a transaction of its own, no reset
 *	repeat N SIZE					N messages, in batches of SIZE, timed
 *	refusal							begin, expecting to be refused
 *	reset N							N resets of a clean session, timed
 */
#include "postgres.h"
#include "core/compat.h"

#include <sys/resource.h>

#include "catalog/pg_proc.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "postmaster/bgworker.h"
#include "storage/dsm.h"
#include "storage/ipc.h"
#include "tcop/tcopprot.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/regproc.h"
#include "utils/resowner.h"
#include "utils/syscache.h"

#include "core/failure.h"
#include "handler/handler.h"
#include "handler/inspect.h"
#include "session/session.h"
#include "session/xact.h"
#include "subscription/names.h"

#define MAX_MESSAGES 1000
#define MAX_HEADERS 8
#define TOPIC "events"

/* The segment between the two processes: steps, then what they said. */
typedef struct Shared
{
	Oid			owner;
	bool		done;
	int			nsteps;
	int			steps_size;		/* the steps, each with its NUL */
	int			said_size;
	char		data[FLEXIBLE_ARRAY_MEMBER];
} Shared;

#define SAID_MAX (256 * 1024)

typedef struct Session
{
	Shared	   *shared;
	KeSubscription sub;
	KeInspector *inspector;
	KeHandler  *handler;
	char	   *required;
	KeMessage	messages[MAX_MESSAGES];
	int			count;
	const char *key;
	KeHeader	headers[MAX_HEADERS];
	int			nheaders;
	int64		next_offset;
} Session;

PG_FUNCTION_INFO_V1(unit_session);
extern PGDLLEXPORT void unit_session_main(Datum main_arg);

static void say(Session *session,
				const char *fmt,...) pg_attribute_printf(2, 3);

static void
say(Session *session, const char *fmt,...)
{
	Shared	   *shared = session->shared;
	char	   *said = shared->data + shared->steps_size + shared->said_size;
	int			room = SAID_MAX - shared->said_size - 1;
	int			length;
	va_list		args;

	va_start(args, fmt);
	length = vsnprintf(said, room, fmt, args);
	va_end(args);
	if (length >= room)
		elog(FATAL, "too much to say");
	said[length] = '\n';
	shared->said_size += length + 1;
}

static void
begin(void)
{
	if (!ke_xact_begin())
		elog(FATAL, "could not begin: %s", ke_xact_refusal());
}

/* What a subscription knows about a function. */
static Oid
find_function(const char *name, KeArgument *argument, Oid *argument_type)
{
	Oid			function;
	HeapTuple	tuple;

	begin();
	function = DatumGetObjectId(DirectFunctionCall1(regprocedurein,
													CStringGetDatum(name)));
	tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(function));
	*argument_type = ((Form_pg_proc) GETSTRUCT(tuple))->proargtypes.values[0];
	ReleaseSysCache(tuple);
	*argument = ke_names_argument(*argument_type);
	ke_xact_commit();
	return function;
}

/* FUNCTION [TIMEOUT_MS] */
static void
open_handler(Session *session, char *words)
{
	KeSubscription *sub = &session->sub;
	char	   *timeout = strrchr(words, ' ');

	sub->options.handler_timeout_ms = 30000;
	if (timeout != NULL)
	{
		*timeout = '\0';
		sub->options.handler_timeout_ms = atoi(timeout + 1);
	}
	sub->handler = find_function(words, &sub->handler_argument,
								 &sub->handler_argument_type);
	if (session->handler != NULL)
		ke_handler_close(session->handler);
	session->handler = ke_handler_open(sub, TopMemoryContext);
}

static void
reopen_inspector(Session *session)
{
	if (session->inspector != NULL)
		ke_inspect_close(session->inspector);
	session->inspector = ke_inspect_open(&session->sub, TopMemoryContext);
}

static void
open_validator(Session *session, const char *name)
{
	KeSubscription *sub = &session->sub;

	sub->validator = find_function(name, &sub->validator_argument,
								   &sub->validator_argument_type);
	reopen_inspector(session);
}

static void
require_header(Session *session, char *name)
{
	KeSubscriptionOptions *options = &session->sub.options;

	options->required_headers = &session->required;
	options->nrequired_headers = 1;
	session->required = name;
	reopen_inspector(session);
}

static void
add_message(Session *session, const char *value, int len)
{
	KeMessage  *msg = &session->messages[session->count++];

	memset(msg, 0, sizeof(*msg));
	msg->topic = TOPIC;
	msg->partition = 3;
	msg->offset = session->next_offset++;
	msg->timestamp_ms = INT64CONST(1700000000123);
	msg->key = session->key;
	msg->key_len = session->key ? strlen(session->key) : 0;
	msg->value = value;
	msg->value_len = len;
	msg->headers = session->headers;
	msg->nheaders = session->nheaders;
}

static void
add_header(Session *session, char *words)
{
	KeHeader   *header = &session->headers[session->nheaders++];
	char	   *value = strchr(words, ' ');

	header->name = words;
	header->value = NULL;
	header->value_len = 0;
	if (value != NULL)
	{
		*value = '\0';
		header->value = value + 1;
		header->value_len = strlen(value + 1);
	}
}

/* HEX may hold any bytes. */
static void
add_bytes(Session *session, const char *hex)
{
	char	   *bytes = palloc(strlen(hex));

	add_message(session, bytes, hex_decode(hex, strlen(hex), bytes));
}

static void
say_failure(Session *session, const char *where)
{
	bool		timed_out = ke_handler_timed_out();
	KeFailure  *fail = ke_failure_capture(TopMemoryContext);

	ke_xact_abort();
	say(session, "%s: %s%s%s%s%s: %s", where,
		unpack_sql_state(fail->sqlstate), fail->ours ? " ours" : "",
		timed_out ? " timed out" : "", fail->column_name ? " at " : "",
		fail->column_name ? fail->column_name : "", fail->message);
	if (ke_handler_current() != NULL || ke_handler_is_running())
		say(session, "a call is not over");
}

/* One batch, as consumer/batch has it. */
static void
run_batch(Session *session, bool commit, bool quiet)
{
	volatile int at = -1;
	volatile int called = 0;

	PG_TRY();
	{
		begin();
		if (session->inspector != NULL)
		{
			ke_inspect_begin(session->inspector);
			for (at = 0; at < session->count; at++)
				ke_inspect_check(session->inspector, &session->messages[at]);
			at = -1;
		}
		ke_handler_begin(session->handler);
		if (session->sub.handler_argument == KE_ARG_BATCH)
		{
			KeMessage  *msgs[MAX_MESSAGES];

			for (int i = 0; i < session->count; i++)
				msgs[i] = &session->messages[i];
			ke_handler_call_batch(session->handler, msgs, session->count);
			called = session->count;
		}
		else
			for (at = 0; at < session->count; at++)
				if (ke_handler_call(session->handler, &session->messages[at]))
					called++;
		at = -1;
		if (commit)
			ke_xact_commit();
		else
			ke_xact_abort();
		if (!quiet)
			say(session, "%d of %d called", called, session->count);
	}
	PG_CATCH();
	{
		/* not of the transaction's memory, which goes with it */
		char		where[32] = "failed";

		if (at >= 0)
			snprintf(where, sizeof(where), "failed at %d", at);
		say_failure(session, where);
	}
	PG_END_TRY();
	ke_session_reset();
	if (!quiet)
		session->count = 0;
}

/* In a transaction of its own; says the first column of the first row. */
static void
run_sql(Session *session, const char *statement, bool durable)
{
	PG_TRY();
	{
		int			code;

		begin();
		SPI_connect();
		code = SPI_execute(statement, false, 1);
		if (code == SPI_OK_SELECT && SPI_processed > 0)
		{
			char	   *value = SPI_getvalue(SPI_tuptable->vals[0],
											 SPI_tuptable->tupdesc, 1);

			say(session, "%s", value ? value : "(null)");
		}
		SPI_finish();
		if (durable)
			ke_xact_require_durable();
		ke_xact_commit();
	}
	PG_CATCH();
	{
		say_failure(session, statement);
	}
	PG_END_TRY();
}

static void
expect_refusal(Session *session)
{
	if (ke_xact_begin())
		elog(FATAL, "began");
	say(session, "%s", ke_xact_refusal());
}

/* Of the processor, as the machine may have other things to do. */
static double
cpu_us(void)
{
	struct rusage usage;

	getrusage(RUSAGE_SELF, &usage);
	return (usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1e6 +
		usage.ru_utime.tv_usec + usage.ru_stime.tv_usec;
}

/* N SIZE: the last message, N times, in batches of SIZE. */
static void
repeat_batches(Session *session, char *words)
{
	KeMessage	msg = session->messages[session->count - 1];
	int			n = atoi(words);
	int			size = atoi(strchr(words, ' '));
	double		started = cpu_us();
	double		us;

	for (session->count = 0; session->count < size; session->count++)
		session->messages[session->count] = msg;
	for (int i = 0; i < n; i += size)
		run_batch(session, true, true);
	us = (cpu_us() - started) / n;
	say(session, "%.3f us each, %.1f k/s", us, 1000 / us);
	session->count = 0;
}

static void
time_reset(Session *session, const char *words)
{
	int			n = atoi(words);
	double		started = cpu_us();

	for (int i = 0; i < n; i++)
		ke_session_reset();
	say(session, "%.3f us each", (cpu_us() - started) / n);
}

static void
perform(Session *session, char *step)
{
	char	   *words = strchr(step, ' ');

	if (words != NULL)
		*words++ = '\0';
	if (strcmp(step, "handler") == 0)
		open_handler(session, words);
	else if (strcmp(step, "validator") == 0)
		open_validator(session, words);
	else if (strcmp(step, "required") == 0)
		require_header(session, words);
	else if (strcmp(step, "key") == 0)
		session->key = words;
	else if (strcmp(step, "header") == 0)
		add_header(session, words);
	else if (strcmp(step, "message") == 0)
		add_message(session, words ? words : "", words ? strlen(words) : 0);
	else if (strcmp(step, "bytes") == 0)
		add_bytes(session, words);
	else if (strcmp(step, "tombstone") == 0)
		add_message(session, NULL, 0);
	else if (strcmp(step, "run") == 0)
		run_batch(session, true, false);
	else if (strcmp(step, "abort") == 0)
		run_batch(session, false, false);
	else if (strcmp(step, "durable") == 0)
		run_sql(session, words, true);
	else if (strcmp(step, "sql") == 0)
		run_sql(session, words, false);
	else if (strcmp(step, "repeat") == 0)
		repeat_batches(session, words);
	else if (strcmp(step, "refusal") == 0)
		expect_refusal(session);
	else if (strcmp(step, "reset") == 0)
		time_reset(session, words);
	else
		elog(FATAL, "no such step: %s", step);
}

void
unit_session_main(Datum main_arg)
{
	dsm_segment *segment;
	Session    *session;
	Oid			database;
	char	   *step;

	pqsignal(SIGINT, StatementCancelHandler);
	pqsignal(SIGTERM, die);
	BackgroundWorkerUnblockSignals();
	CurrentResourceOwner = ResourceOwnerCreate(NULL, "unit_session");
	segment = dsm_attach(DatumGetUInt32(main_arg));
	if (segment == NULL)
		proc_exit(1);
	dsm_pin_mapping(segment);
	session = MemoryContextAllocZero(TopMemoryContext, sizeof(Session));
	session->shared = dsm_segment_address(segment);
	memcpy(&database, MyBgworkerEntry->bgw_extra, sizeof(Oid));

	ke_session_connect(database, session->shared->owner, false);
	step = MemoryContextAlloc(TopMemoryContext, session->shared->steps_size);
	memcpy(step, session->shared->data, session->shared->steps_size);
	for (int i = 0; i < session->shared->nsteps; i++)
	{
		char	   *next = step + strlen(step) + 1;

		MemoryContextSwitchTo(TopMemoryContext);
		perform(session, step);
		step = next;
	}
	session->shared->done = true;
	proc_exit(0);
}

/* The process, from the library that this function is in. */
static BackgroundWorkerHandle *
start_process(FunctionCallInfo fcinfo, dsm_segment *segment)
{
	BackgroundWorker worker = {0};
	BackgroundWorkerHandle *handle;
	HeapTuple	tuple;
	Datum		library;
	bool		isnull;

	tuple = SearchSysCache1(PROCOID,
							ObjectIdGetDatum(fcinfo->flinfo->fn_oid));
	library = SysCacheGetAttr(PROCOID, tuple, Anum_pg_proc_probin, &isnull);
	strlcpy(worker.bgw_library_name, TextDatumGetCString(library),
			sizeof(worker.bgw_library_name));
	ReleaseSysCache(tuple);

	worker.bgw_flags = BGWORKER_SHMEM_ACCESS |
		BGWORKER_BACKEND_DATABASE_CONNECTION;
	worker.bgw_start_time = BgWorkerStart_RecoveryFinished;
	worker.bgw_restart_time = BGW_NEVER_RESTART;
	strlcpy(worker.bgw_name, "unit_session", BGW_MAXLEN);
	strlcpy(worker.bgw_function_name, "unit_session_main", BGW_MAXLEN);
	worker.bgw_main_arg = UInt32GetDatum(dsm_segment_handle(segment));
	memcpy(worker.bgw_extra, &MyDatabaseId, sizeof(Oid));
	worker.bgw_notify_pid = MyProcPid;
	if (!RegisterDynamicBackgroundWorker(&worker, &handle))
		elog(ERROR, "no worker slot");
	return handle;
}

static void
put_line(ReturnSetInfo *rsinfo, const char *line, int length)
{
	text	   *copy = cstring_to_text_with_len(line, length);
	Datum		value = PointerGetDatum(copy);
	bool		isnull = false;

	tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, &value, &isnull);
}

Datum
unit_session(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	Datum	   *steps;
	int			nsteps;
	Size		size = offsetof(Shared, data) + SAID_MAX;
	dsm_segment *segment;
	Shared	   *shared;
	char	   *line;

	deconstruct_array(PG_GETARG_ARRAYTYPE_P(1), TEXTOID, -1, false,
					  TYPALIGN_INT, &steps, NULL, &nsteps);
	for (int i = 0; i < nsteps; i++)
		size += strlen(TextDatumGetCString(steps[i])) + 1;

	segment = dsm_create(size, 0);
	shared = dsm_segment_address(segment);
	memset(shared, 0, size);
	shared->owner = PG_GETARG_OID(0);
	shared->nsteps = nsteps;
	for (int i = 0; i < nsteps; i++)
	{
		char	   *step = TextDatumGetCString(steps[i]);

		strcpy(shared->data + shared->steps_size, step);
		shared->steps_size += strlen(step) + 1;
	}
	WaitForBackgroundWorkerShutdown(start_process(fcinfo, segment));

	InitMaterializedSRF(fcinfo, MAT_SRF_USE_EXPECTED_DESC);
	line = shared->data + shared->steps_size;
	for (char *end; (end = strchr(line, '\n')) != NULL; line = end + 1)
		put_line(rsinfo, line, end - line);
	if (!shared->done)
		put_line(rsinfo, "the process ended", strlen("the process ended"));
	dsm_detach(segment);
	return (Datum) 0;
}
