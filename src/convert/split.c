/*
 * split.c
 *	  A message that holds several objects, as one message for each of them.
 *
 * Works on the bytes as they came: all that is looked for is ASCII, and no
 * byte of a longer character in UTF-8 is.
 */
#include "postgres.h"
#include "core/compat.h"

#include "convert/split.h"

KeSplitter *
ke_split_open(const KeSubscriptionOptions *options, MemoryContext parent)
{
	KeSplitter *splitter;

	if (options->split == KE_SPLIT_NONE)
		return NULL;
	splitter = MemoryContextAllocZero(parent, sizeof(KeSplitter));
	splitter->by = options->split;
	return splitter;
}

void
ke_split_begin(KeSplitter *splitter)
{
	splitter->next = NULL;
	splitter->element = 0;
	splitter->count = 0;
}

const char *
ke_split_noun(KeSplit by)
{
	return by == KE_SPLIT_LINES ? "line" : "element";
}

static bool
is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static const char *
skip_blanks(const char *p, const char *end)
{
	while (p < end && is_blank(*p))
		p++;
	return p;
}

static void
refuse(const char *what)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_TEXT_REPRESENTATION),
			 errmsg("message value is not a JSON array: %s", what),
			 errhint("Option split is array, so every message with a value must be one.")));
}

/* Behind the value at p: at the comma or bracket that ends it, or at end. */
static const char *
find_end_of_value(const char *p, const char *end)
{
	int			depth = 0;

	for (; p < end; p++)
	{
		switch (*p)
		{
			case '"':
				for (p++; p < end && *p != '"'; p++)
					if (*p == '\\')
						p++;
				break;
			case '[':
			case '{':
				depth++;
				break;
			case ']':
			case '}':
				if (depth-- == 0)
					return p;
				break;
			case ',':
				if (depth == 0)
					return p;
				break;
		}
	}
	return end;
}

/*
 * The next element from p on, which is at the array's first bracket or at a
 * comma or the last bracket; true if there is one, and then *next is behind
 * it.
 */
static bool
take_value(const KeMessage *msg, const char *p, KeMessage *element,
		   const char **next, int number)
{
	const char *end = msg->value + msg->value_len;
	const char *stop;

	if (p == msg->value)
	{
		p = skip_blanks(p, end);
		if (p == end || *p != '[')
			refuse("it does not begin with a bracket");
		p = skip_blanks(p + 1, end);
		if (p < end && *p == ']' && skip_blanks(p + 1, end) == end)
			return false;		/* the empty array */
	}
	else if (*p == ']')
	{
		if (skip_blanks(p + 1, end) < end)
			refuse("something follows the bracket that ends it");
		return false;
	}
	else
		p = skip_blanks(p + 1, end);

	stop = find_end_of_value(p, end);
	if (stop >= end || *stop == '}')
		refuse("it does not end with a bracket");
	*next = stop;
	while (stop > p && is_blank(stop[-1]))
		stop--;
	if (stop == p)
		refuse(psprintf("element %d is missing", number));
	element->value = p;
	element->value_len = stop - p;
	return true;
}

/* Likewise the next line that is not blank; *number counts all lines. */
static bool
take_line(const KeMessage *msg, const char *p, KeMessage *element,
		  const char **next, int *number)
{
	const char *end = msg->value + msg->value_len;

	while (p < end)
	{
		const char *stop = memchr(p, '\n', end - p);
		const char *behind = stop == NULL ? end : stop + 1;

		if (stop == NULL)
			stop = end;
		while (stop > p && is_blank(stop[-1]))
			stop--;
		if (stop > p)
		{
			element->value = p;
			element->value_len = stop - p;
			*next = behind;
			return true;
		}
		(*number)++;
		p = behind;
	}
	return false;
}

/* Put the message's next element behind those taken; false: it has no more. */
static bool
take(KeSplitter *splitter, KeMessage *msg, int place)
{
	KeMessage  *element = &splitter->elements[splitter->count];
	const char *from = splitter->next;
	bool		found = false;
	int			count;

	if (msg->value == NULL && from != NULL)
		return false;
	(void) ke_message_headers(msg, &count); /* for all its elements */
	*element = *msg;
	element->origin = NULL;		/* the message owns it */
	element->left = false;
	splitter->element++;
	if (msg->value == NULL)
	{
		splitter->element = 0;
		splitter->next = "";
		found = true;
	}
	else if (from == NULL)
		from = msg->value;
	if (!found)
		found = splitter->by == KE_SPLIT_LINES ?
			take_line(msg, from, element, &splitter->next,
					  &splitter->element) :
			take_value(msg, from, element, &splitter->next,
					   splitter->element);
	if (!found)
		return false;
	element->element = splitter->element;
	splitter->msgs[splitter->count] = element;
	splitter->places[splitter->count++] = place;
	return true;
}

int
ke_split_take(KeSplitter *splitter, KeMessage **msgs, int from, int upto,
			  volatile int *at)
{
	splitter->count = 0;
	while (from < upto)
	{
		if (splitter->count == KE_SPLIT_MAX)
			break;
		*at = from;
		if (take(splitter, msgs[from], from))
			continue;
		splitter->next = NULL;
		splitter->element = 0;
		from++;
	}
	*at = -1;
	return from;
}
