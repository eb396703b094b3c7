/*
 * trace.c
 *	  The trace that a message belongs to, as the W3C's Trace Context has it.
 */
#include "postgres.h"
#include "core/compat.h"

#include "core/trace.h"

/* version-trace-parent-flags, where each field has so many digits */
#define VERSION_LEN 2
#define PARENT_LEN 16
#define FLAGS_LEN 2
#define TRACE_AT (VERSION_LEN + 1)
#define PARENT_AT (TRACE_AT + KE_TRACE_ID_LEN + 1)
#define FLAGS_AT (PARENT_AT + PARENT_LEN + 1)
#define WHOLE_LEN (FLAGS_AT + FLAGS_LEN)

/* 512 is what everybody should pass on, and 32 entries of 512 the most. */
#define STATE_MAX (32 * 512)

static const KeHeader *
find(const KeHeader *headers, int count, const char *name)
{
	const KeHeader *header = ke_message_find_header(headers, count, name);

	return header != NULL && header->value != NULL ? header : NULL;
}

/* Digits of a field; capitals are not allowed. */
static bool
is_hex(const char *digits, int len)
{
	for (int i = 0; i < len; i++)
		if (digits[i] == '\0' ||
			strchr("0123456789abcdef", digits[i]) == NULL)
			return false;
	return true;
}

/* An identifier: not all of it is 0. */
static bool
is_id(const char *digits, int len)
{
	if (!is_hex(digits, len))
		return false;
	for (int i = 0; i < len; i++)
		if (digits[i] != '0')
			return true;
	return false;
}

/* Later versions may have more fields behind those of version 00. */
static bool
is_parent(const KeHeader *header)
{
	const char *text = header->value;
	int			len = header->value_len;

	if (len < WHOLE_LEN || !is_hex(text, VERSION_LEN) ||
		strncmp(text, "ff", VERSION_LEN) == 0)
		return false;
	if (len > WHOLE_LEN &&
		(strncmp(text, "00", VERSION_LEN) == 0 || text[WHOLE_LEN] != '-'))
		return false;
	return text[TRACE_AT - 1] == '-' && text[PARENT_AT - 1] == '-' &&
		text[FLAGS_AT - 1] == '-' &&
		is_id(text + TRACE_AT, KE_TRACE_ID_LEN) &&
		is_id(text + PARENT_AT, PARENT_LEN) &&
		is_hex(text + FLAGS_AT, FLAGS_LEN);
}

/* Whose it is reads it closely; it is a line of text, and not a large one. */
static bool
is_state(const KeHeader *header)
{
	if (header->value_len == 0 || header->value_len > STATE_MAX)
		return false;
	for (int i = 0; i < header->value_len; i++)
		if (header->value[i] != '\t' &&
			(header->value[i] < ' ' || header->value[i] > '~'))
			return false;
	return true;
}

bool
ke_trace_read(const KeHeader *headers, int count, KeTrace *trace)
{
	trace->parent = find(headers, count, KE_TRACE_PARENT);
	if (trace->parent == NULL || !is_parent(trace->parent))
		return false;
	memcpy(trace->id, trace->parent->value + TRACE_AT, KE_TRACE_ID_LEN);
	trace->id[KE_TRACE_ID_LEN] = '\0';
	trace->state = find(headers, count, KE_TRACE_STATE);
	if (trace->state != NULL && !is_state(trace->state))
		trace->state = NULL;
	return true;
}

char *
ke_trace_mention(const KeHeader *headers, int count)
{
	KeTrace		trace;

	if (!ke_trace_read(headers, count, &trace))
		return "";
	return psprintf(", trace %s", trace.id);
}
