/*
 * inspect.c
 *	  Whether a message may be processed: its headers, and the validator.
 */
#include "postgres.h"
#include "core/compat.h"

#include "catalog/pg_type.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

#include "handler/call.h"
#include "handler/inspect.h"

struct KeInspector
{
	const KeSubscription *sub;
	KeCall	   *call;			/* NULL: no validator */
	bool		returns_text;	/* its result is text, else boolean */
};

KeInspector *
ke_inspect_open(const KeSubscription *sub, MemoryContext parent)
{
	KeInspector *inspector;

	if (!OidIsValid(sub->validator) && sub->options.nrequired_headers == 0 &&
		sub->options.tombstones != KE_TOMBSTONES_DEAD_LETTER)
		return NULL;

	inspector = MemoryContextAllocZero(parent, sizeof(KeInspector));
	inspector->sub = sub;
	if (OidIsValid(sub->validator))
		inspector->call = ke_call_open("validator", sub->validator,
									   sub->validator_argument,
									   sub->validator_argument_type,
									   &sub->options, parent);
	return inspector;
}

void
ke_inspect_begin(KeInspector *inspector)
{
	if (inspector->call == NULL)
		return;
	ke_call_begin(inspector->call);
	inspector->returns_text =
		(get_func_rettype(inspector->sub->validator) == TEXTOID);
}

static bool
has_header(KeMessage *msg, const char *name)
{
	int			count;
	const KeHeader *headers = ke_message_headers(msg, &count);

	return ke_message_find_header(headers, count, name) != NULL;
}

static void
check_headers(const KeSubscription *sub, KeMessage *msg)
{
	for (int i = 0; i < sub->options.nrequired_headers; i++)
		if (!has_header(msg, sub->options.required_headers[i]))
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("message lacks required header \"%s\"",
							sub->options.required_headers[i])));
}

static void
refuse_tombstone(void)
{
	ereport(ERROR,
			(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
			 errmsg("message value is null, and option tombstones is dead_letter")));
}

/*
 * The validator's own words may quote the message, so this error does not
 * claim the domain whose texts logs and views show.
 */
static void
refuse_with(const char *validator, const char *reason)
{
	ereport_domain(ERROR, NULL,
				   (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					errmsg("validator %s rejected the message: %s", validator,
						   reason)));
}

/* NULL accepts, as in a CHECK constraint. */
static void
check_by_validator(KeInspector *inspector, KeMessage *msg)
{
	KeCall	   *call = inspector->call;
	Datum		result;
	bool		isnull;

	if (ke_call_run(call, &msg, 1, &result, &isnull) && !isnull)
	{
		if (inspector->returns_text)
			refuse_with(ke_call_name(call), TextDatumGetCString(result));
		if (!DatumGetBool(result))
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("validator %s rejected the message",
							ke_call_name(call))));
	}
	ke_call_forget(call);
}

void
ke_inspect_check(KeInspector *inspector, KeMessage *msg)
{
	check_headers(inspector->sub, msg);
	if (msg->value == NULL &&
		inspector->sub->options.tombstones == KE_TOMBSTONES_DEAD_LETTER)
		refuse_tombstone();
	if (inspector->call != NULL)
		check_by_validator(inspector, msg);
}

void
ke_inspect_close(KeInspector *inspector)
{
	if (inspector->call != NULL)
		ke_call_close(inspector->call);
	pfree(inspector);
}
