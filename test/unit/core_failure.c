/*
 * core_failure.c
 *	  What is kept and shown of an error, and of a message.
 */
#include "postgres.h"
#include "core/compat.h"

#include "access/xact.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/resowner.h"

#include "core/failure.h"
#include "core/message.h"

PG_FUNCTION_INFO_V1(unit_failure);
PG_FUNCTION_INFO_V1(unit_failure_delay);
PG_FUNCTION_INFO_V1(unit_failure_make);
PG_FUNCTION_INFO_V1(unit_raise_ours);
PG_FUNCTION_INFO_V1(unit_fingerprint);

/* Run a statement that fails: what is kept of it; NULL if it does not. */
static KeFailure *
failure_of(const char *statement)
{
	MemoryContext context = CurrentMemoryContext;
	ResourceOwner owner = CurrentResourceOwner;
	KeFailure  *volatile fail = NULL;

	BeginInternalSubTransaction(NULL);
	PG_TRY();
	{
		SPI_connect();
		SPI_execute(statement, false, 0);
		SPI_finish();
		ReleaseCurrentSubTransaction();
	}
	PG_CATCH();
	{
		fail = ke_failure_capture(context);
		RollbackAndReleaseCurrentSubTransaction();
	}
	PG_END_TRY();
	MemoryContextSwitchTo(context);
	CurrentResourceOwner = owner;
	return fail;
}

/*
 * The description of the failure, or with whole the message, detail and
 * hint that were kept.
 */
Datum
unit_failure(PG_FUNCTION_ARGS)
{
	KeFailure  *fail = failure_of(text_to_cstring(PG_GETARG_TEXT_PP(0)));
	char	   *result;

	if (fail == NULL)
		PG_RETURN_NULL();
	ke_failure_compare_source(fail, text_to_cstring(PG_GETARG_TEXT_PP(2)));
	if (PG_GETARG_BOOL(1))
		result = psprintf("%s|%s|%s|%s", fail->ours ? "ours" : "",
						  fail->message,
						  fail->detail != NULL ? fail->detail : "",
						  fail->hint != NULL ? fail->hint : "");
	else
		result = ke_failure_describe(fail);
	PG_RETURN_TEXT_P(cstring_to_text(result));
}

/* The delay that the failed statement asked for, in ms. */
Datum
unit_failure_delay(PG_FUNCTION_ARGS)
{
	KeFailure  *fail = failure_of(text_to_cstring(PG_GETARG_TEXT_PP(0)));

	PG_RETURN_INT64(fail->retry_delay_ms);
}

Datum
unit_failure_make(PG_FUNCTION_ARGS)
{
	KeFailure  *fail;
	char	   *sqlstate = text_to_cstring(PG_GETARG_TEXT_PP(0));

	fail = ke_failure_make(CurrentMemoryContext,
						   MAKE_SQLSTATE(sqlstate[0], sqlstate[1],
										 sqlstate[2], sqlstate[3],
										 sqlstate[4]),
						   "%s", text_to_cstring(PG_GETARG_TEXT_PP(1)));
	PG_RETURN_TEXT_P(cstring_to_text(ke_failure_describe(fail)));
}

/* An error as the extension raises it. */
Datum
unit_raise_ours(PG_FUNCTION_ARGS)
{
	ereport(ERROR,
			(errcode(ERRCODE_DATA_EXCEPTION),
			 errmsg("message cannot be used"),
			 errdetail("Its value is not JSON."),
			 errhint("Take the value as bytea.")));
	PG_RETURN_VOID();
}

Datum
unit_fingerprint(PG_FUNCTION_ARGS)
{
	KeMessage	msg = {0};

	if (!PG_ARGISNULL(0))
	{
		bytea	   *key = PG_GETARG_BYTEA_PP(0);

		msg.key = VARDATA_ANY(key);
		msg.key_len = VARSIZE_ANY_EXHDR(key);
	}
	if (!PG_ARGISNULL(1))
	{
		bytea	   *value = PG_GETARG_BYTEA_PP(1);

		msg.value = VARDATA_ANY(value);
		msg.value_len = VARSIZE_ANY_EXHDR(value);
	}
	PG_RETURN_INT32(ke_message_fingerprint(&msg));
}
