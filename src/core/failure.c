/*
 * failure.c
 *	  An error that was caught, cut down to what may be kept and shown.
 *
 * The rule, in one place: PostgreSQL's messages, and those of users'
 * functions, may quote what was in the message from Kafka, so only their
 * SQLSTATE and the names of the objects concerned are shown.  The text is
 * shown for errors of this extension, which never quote payload; for KE*,
 * whose texts are meant for it; for those of the server itself about
 * resources and operation; and where the parser found a statement wrong that
 * stands in the function's source.  Even 42P01 may quote a value: nextval,
 * casts to regclass and dynamic statements take names from anywhere.
 */
#include "postgres.h"
#include "core/compat.h"

#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"
#include "utils/memutils.h"

#include "core/classify.h"
#include "core/failure.h"
#include "core/format.h"

typedef struct Condition
{
	int			sqlstate;
	const char *name;
} Condition;

/*
 * The conditions one meets when rows are inserted and functions called, by
 * the names that PostgreSQL's manual (appendix A) gives them.
 */
static const Condition conditions[] = {
	{ERRCODE_CARDINALITY_VIOLATION, "cardinality_violation"},
	{ERRCODE_DATA_EXCEPTION, "data_exception"},
	{ERRCODE_STRING_DATA_RIGHT_TRUNCATION, "string_data_right_truncation"},
	{ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE, "numeric_value_out_of_range"},
	{ERRCODE_NULL_VALUE_NOT_ALLOWED, "null_value_not_allowed"},
	{ERRCODE_INVALID_DATETIME_FORMAT, "invalid_datetime_format"},
	{ERRCODE_DATETIME_FIELD_OVERFLOW, "datetime_field_overflow"},
	{ERRCODE_DIVISION_BY_ZERO, "division_by_zero"},
	{ERRCODE_CHARACTER_NOT_IN_REPERTOIRE, "character_not_in_repertoire"},
	{ERRCODE_INVALID_PARAMETER_VALUE, "invalid_parameter_value"},
	{ERRCODE_INVALID_JSON_TEXT, "invalid_json_text"},
	{ERRCODE_INVALID_TEXT_REPRESENTATION, "invalid_text_representation"},
	{ERRCODE_INVALID_BINARY_REPRESENTATION, "invalid_binary_representation"},
	{ERRCODE_UNTRANSLATABLE_CHARACTER, "untranslatable_character"},
	{ERRCODE_RESTRICT_VIOLATION, "restrict_violation"},
	{ERRCODE_NOT_NULL_VIOLATION, "not_null_violation"},
	{ERRCODE_FOREIGN_KEY_VIOLATION, "foreign_key_violation"},
	{ERRCODE_UNIQUE_VIOLATION, "unique_violation"},
	{ERRCODE_CHECK_VIOLATION, "check_violation"},
	{ERRCODE_EXCLUSION_VIOLATION, "exclusion_violation"},
	{ERRCODE_INVALID_TRANSACTION_STATE, "invalid_transaction_state"},
	{ERRCODE_READ_ONLY_SQL_TRANSACTION, "read_only_sql_transaction"},
	{ERRCODE_INVALID_TRANSACTION_TERMINATION,
	"invalid_transaction_termination"},
	{ERRCODE_S_R_E_MODIFYING_SQL_DATA_NOT_PERMITTED,
	"modifying_sql_data_not_permitted"},
	{ERRCODE_T_R_SERIALIZATION_FAILURE, "serialization_failure"},
	{ERRCODE_T_R_DEADLOCK_DETECTED, "deadlock_detected"},
	{ERRCODE_INSUFFICIENT_PRIVILEGE, "insufficient_privilege"},
	{ERRCODE_SYNTAX_ERROR, "syntax_error"},
	{ERRCODE_DATATYPE_MISMATCH, "datatype_mismatch"},
	{ERRCODE_CANNOT_COERCE, "cannot_coerce"},
	{ERRCODE_WRONG_OBJECT_TYPE, "wrong_object_type"},
	{ERRCODE_GENERATED_ALWAYS, "generated_always"},
	{ERRCODE_UNDEFINED_COLUMN, "undefined_column"},
	{ERRCODE_UNDEFINED_FUNCTION, "undefined_function"},
	{ERRCODE_UNDEFINED_OBJECT, "undefined_object"},
	{ERRCODE_UNDEFINED_TABLE, "undefined_table"},
	{ERRCODE_AMBIGUOUS_COLUMN, "ambiguous_column"},
	{ERRCODE_AMBIGUOUS_FUNCTION, "ambiguous_function"},
	{ERRCODE_INVALID_COLUMN_REFERENCE, "invalid_column_reference"},
	{ERRCODE_WITH_CHECK_OPTION_VIOLATION, "with_check_option_violation"},
	{ERRCODE_FEATURE_NOT_SUPPORTED, "feature_not_supported"},
	{ERRCODE_DISK_FULL, "disk_full"},
	{ERRCODE_OUT_OF_MEMORY, "out_of_memory"},
	{ERRCODE_TOO_MANY_CONNECTIONS, "too_many_connections"},
	{ERRCODE_PROGRAM_LIMIT_EXCEEDED, "program_limit_exceeded"},
	{ERRCODE_STATEMENT_TOO_COMPLEX, "statement_too_complex"},
	{ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
	"object_not_in_prerequisite_state"},
	{ERRCODE_OBJECT_IN_USE, "object_in_use"},
	{ERRCODE_LOCK_NOT_AVAILABLE, "lock_not_available"},
	{ERRCODE_QUERY_CANCELED, "query_canceled"},
	{ERRCODE_ADMIN_SHUTDOWN, "admin_shutdown"},
	{ERRCODE_CANNOT_CONNECT_NOW, "cannot_connect_now"},
	{ERRCODE_IO_ERROR, "io_error"},
	{ERRCODE_UNDEFINED_FILE, "undefined_file"},
	{ERRCODE_RAISE_EXCEPTION, "raise_exception"},
	{ERRCODE_NO_DATA_FOUND, "no_data_found"},
	{ERRCODE_TOO_MANY_ROWS, "too_many_rows"},
	{ERRCODE_ASSERT_FAILURE, "assert_failure"},
	{ERRCODE_INTERNAL_ERROR, "internal_error"},
	{ERRCODE_DATA_CORRUPTED, "data_corrupted"},
	{ERRCODE_INDEX_CORRUPTED, "index_corrupted"},
	{KE_SQLSTATE_RETRY, "kafka_retry"},
	{KE_SQLSTATE_REJECT, "kafka_reject"},
	{KE_SQLSTATE_SKIP, "kafka_skip"}
};

static const char *
condition_name(int sqlstate)
{
	int			i;

	for (i = 0; i < lengthof(conditions); i++)
	{
		if (conditions[i].sqlstate == sqlstate)
			return conditions[i].name;
	}
	return NULL;
}

/* Longer texts are cut: a line of the log, or a field of a view. */
#define TEXT_MAX 400

/* Of the server itself: texts about resources and operation. */
static const char *const harmless_states[] = {
	"53", "25006", "54001", "55P03", "57"
};

/* Of I/O, only what speaks of the server's own files. */
static const char *const storage_files[] = {
	"md.c", "fd.c", "xlog.c", "slru.c", "buffile.c", "dfmgr.c"
};

/* They pass on what another server says. */
static const char *const foreign_files[] = {
	"dblink.c", "connection.c"
};

static bool
is_one_of(const char *file, const char *const *files, int count)
{
	const char *slash;
	int			i;

	if (file == NULL)
		return false;
	slash = strrchr(file, '/');
	if (slash != NULL)
		file = slash + 1;
	for (i = 0; i < count; i++)
		if (strcmp(file, files[i]) == 0)
			return true;
	return false;
}

/* Does PostgreSQL itself say something about how it is? */
static bool
is_of_server(const ErrorData *edata)
{
	const char *state = unpack_sql_state(edata->sqlerrcode);
	int			i;

	/* RAISE has the domain of its language */
	if (edata->domain == NULL ||
		strcmp(edata->domain, PG_TEXTDOMAIN("postgres")) != 0 ||
		is_one_of(edata->filename, foreign_files, lengthof(foreign_files)))
		return false;
	for (i = 0; i < lengthof(harmless_states); i++)
		if (strncmp(state, harmless_states[i],
					strlen(harmless_states[i])) == 0)
			return true;
	return strncmp(state, "58", 2) == 0 &&
		is_one_of(edata->filename, storage_files, lengthof(storage_files));
}

/* May the primary message be shown, or could it quote payload? */
static bool
text_is_safe(const KeFailure *fail)
{
	return fail->ours || fail->harmless ||
		strncmp(unpack_sql_state(fail->sqlstate), "KE", 2) == 0;
}

static char *
copy_string(MemoryContext context, const char *string)
{
	return string == NULL ? NULL : MemoryContextStrdup(context, string);
}

/* What kafka_retry asked for; nobody else's detail is believed. */
static int64
requested_delay(const KeFailure *fail)
{
	long long	ms;

	if (fail->sqlstate != KE_SQLSTATE_RETRY || fail->detail == NULL ||
		sscanf(fail->detail, KE_FAILURE_DELAY_DETAIL, &ms) != 1)
		return -1;
	return ms;
}

/* What ke_failure_blame_data was told, or 0. */
static int	blamed_state = 0;

void
ke_failure_blame_data(int sqlstate)
{
	blamed_state = sqlstate;
}

KeFailure *
ke_failure_capture(MemoryContext context)
{
	MemoryContext caller = MemoryContextSwitchTo(context);
	ErrorData  *edata;
	KeFailure  *fail;

	edata = CopyErrorData();
	FlushErrorState();

	fail = palloc0(sizeof(KeFailure));
	fail->sqlstate = edata->sqlerrcode;
	fail->ours = edata->domain != NULL &&
		strcmp(edata->domain, TEXTDOMAIN) == 0;
	fail->of_data = blamed_state != 0 && blamed_state == fail->sqlstate;
	blamed_state = 0;
	fail->harmless = is_of_server(edata);
	fail->message = copy_string(context, edata->message);
	if (edata->internalpos > 0)
		fail->query = copy_string(context, edata->internalquery);
	if (fail->ours)
	{
		fail->detail = copy_string(context, edata->detail);
		fail->hint = copy_string(context, edata->hint);
	}
	fail->schema_name = copy_string(context, edata->schema_name);
	fail->table_name = copy_string(context, edata->table_name);
	fail->column_name = copy_string(context, edata->column_name);
	fail->datatype_name = copy_string(context, edata->datatype_name);
	fail->constraint_name = copy_string(context, edata->constraint_name);
	fail->retry_delay_ms = requested_delay(fail);

	FreeErrorData(edata);
	MemoryContextSwitchTo(caller);
	return fail;
}

/* As PL/pgSQL has PERFORM. */
#define PERFORM_AS " SELECT"

void
ke_failure_compare_source(KeFailure *fail, const char *source)
{
	const char *query = fail->query;

	if (query == NULL || source == NULL)
		return;
	if (strncmp(query, PERFORM_AS, strlen(PERFORM_AS)) == 0)
		query += strlen(PERFORM_AS);
	if (*query != '\0' && strstr(source, query) != NULL)
		fail->harmless = true;
}

KeFailure *
ke_failure_make(MemoryContext context, int sqlstate, const char *fmt,...)
{
	MemoryContext caller = MemoryContextSwitchTo(context);
	KeFailure  *fail = palloc0(sizeof(KeFailure));
	va_list		args;

	fail->sqlstate = sqlstate;
	fail->ours = true;
	fail->retry_delay_ms = -1;
	va_start(args, fmt);
	fail->message = ke_format(fmt, args);
	va_end(args);
	MemoryContextSwitchTo(caller);
	return fail;
}

/*
 * Append text, or as much as one wants to read of it, with line ends and
 * other control characters as blanks.
 */
static void
append_on_one_line(StringInfo buf, const char *text)
{
	int			len = strlen(text);
	int			shown = len <= TEXT_MAX ? len :
		pg_mbcliplen(text, len, TEXT_MAX);
	int			i;

	for (i = 0; i < shown; i++)
		appendStringInfoChar(buf, (unsigned char) text[i] < ' ' ? ' ' :
							 text[i]);
	if (shown < len)
		appendStringInfoString(buf, "...");
}

static void
append_name(StringInfo buf, const char *kind, const char *name)
{
	if (name == NULL)
		return;
	appendStringInfo(buf, ", %s \"", kind);
	append_on_one_line(buf, name);
	appendStringInfoChar(buf, '"');
}

/* A message has no period of its own; details and hints end with one. */
static void
append_sentence(StringInfo buf, const char *sentence)
{
	if (sentence == NULL)
		return;
	appendStringInfoString(buf, buf->data[buf->len - 1] == '.' ? " " : ". ");
	append_on_one_line(buf, sentence);
}

char *
ke_failure_describe(const KeFailure *fail)
{
	StringInfoData buf;
	const char *condition;

	if (fail == NULL)
		return NULL;
	condition = condition_name(fail->sqlstate);
	initStringInfo(&buf);
	appendStringInfoString(&buf, unpack_sql_state(fail->sqlstate));
	if (condition != NULL)
		appendStringInfo(&buf, " (%s)", condition);

	if (fail->message != NULL && text_is_safe(fail))
	{
		appendStringInfoString(&buf, ": ");
		append_on_one_line(&buf, fail->message);
	}
	append_name(&buf, "schema", fail->schema_name);
	append_name(&buf, "table", fail->table_name);
	append_name(&buf, "column", fail->column_name);
	append_name(&buf, "type", fail->datatype_name);
	append_name(&buf, "constraint", fail->constraint_name);
	append_sentence(&buf, fail->detail);
	append_sentence(&buf, fail->hint);
	return buf.data;
}
