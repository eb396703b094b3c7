/*
 * retry_headers_read.c
 *	  Reads the headers of retry copies, and of messages that get them.
 *
 * See core/header_read for what counts as a header.
 */
#include "postgres.h"
#include "core/compat.h"

#include "utils/datetime.h"

#include "core/header_names.h"
#include "core/header_read.h"
#include "core/retry.h"
#include "core/retry_headers.h"

/* A due time may be this much later than the clock of the broker allows. */
#define CLOCKS_DIFFER_MS INT64CONST(86400000)

/* ------------------------------------------------------------------ values */

/* So many digits at *text, which moves on; -1 if there are fewer. */
static int
digits(const char **text, int count)
{
	int			value = 0;

	for (; count > 0; count--)
	{
		if (**text < '0' || **text > '9')
			return -1;
		value = 10 * value + (*(*text)++ - '0');
	}
	return value;
}

/* One of the characters at *text, which moves on. */
static bool
one_of(const char **text, const char *characters)
{
	if (**text == '\0' || strchr(characters, **text) == NULL)
		return false;
	(*text)++;
	return true;
}

/* ".678", of any length, in ms; 0 if there is none, -1 if it is wrong. */
static int
fraction(const char **text)
{
	int			ms = 0;
	int			weight = 100;

	if (!one_of(text, "."))
		return 0;
	if (**text < '0' || **text > '9')
		return -1;
	for (; **text >= '0' && **text <= '9'; (*text)++)
	{
		ms += weight * (**text - '0');
		weight /= 10;
	}
	return ms;
}

/* "Z" or "+01:00", in minutes; false if it is neither. */
static bool
zone(const char **text, int *minutes)
{
	bool		west = **text == '-';
	int			hour;
	int			minute;

	*minutes = 0;
	if (one_of(text, "Z"))
		return true;
	if (!one_of(text, "+-"))
		return false;
	hour = digits(text, 2);
	(void) one_of(text, ":");
	minute = digits(text, 2);
	if (hour < 0 || hour > 14 || minute < 0 || minute > 59)
		return false;
	*minutes = (hour * 60 + minute) * (west ? -1 : 1);
	return true;
}

/*
 * A time in ISO 8601, or in milliseconds since 1970 as older systems write
 * it.
 */
static bool
parse_time(const char *text, int64 *ms)
{
	int			year = digits(&text, 4);
	int			month = one_of(&text, "-") ? digits(&text, 2) : -1;
	int			day = one_of(&text, "-") ? digits(&text, 2) : -1;
	int			hour = one_of(&text, "T ") ? digits(&text, 2) : -1;
	int			minute = one_of(&text, ":") ? digits(&text, 2) : -1;
	int			second = one_of(&text, ":") ? digits(&text, 2) : -1;
	int			thousandths = fraction(&text);
	int			east;

	if (year < 1970 || month < 1 || month > 12 || day < 1 ||
		day > day_tab[isleap(year)][month - 1] || hour < 0 || hour > 23 ||
		minute < 0 || minute > 59 || second < 0 || second > 60 ||
		thousandths < 0 || !zone(&text, &east) || *text != '\0')
		return false;
	*ms = (int64) (date2j(year, month, day) - UNIX_EPOCH_JDATE) * 86400;
	*ms = (*ms + hour * 3600 + (minute - east) * 60 + second) * 1000;
	*ms += thousandths;
	return true;
}

/* ---------------------------------------------------------------- a source */

static const char *
type_name(KeTimestampType type)
{
	switch (type)
	{
		case KE_TIMESTAMP_NONE:
			break;
		case KE_TIMESTAMP_CREATE:
			return "CreateTime";
		case KE_TIMESTAMP_APPEND:
			return "LogAppendTime";
	}
	return NULL;
}

void
ke_retry_headers_read_message_id(KeMessage *msg, KeOrigin *origin)
{
	const KeHeader *header = ke_header_read_find(msg, KE_COPY_MESSAGE_ID);
	bool		known = origin->original_topic != NULL &&
	origin->original_partition >= 0 && origin->original_offset >= 0;

	if (header != NULL)
	{
		char	   *copy = palloc(header->value_len + 1);

		memcpy(copy, header->value, header->value_len);
		copy[header->value_len] = '\0';
		origin->message_id = copy;
		origin->message_id_len = header->value_len;
		return;
	}
	origin->message_id =
		psprintf("%s-%d-" INT64_FORMAT,
				 known ? origin->original_topic : msg->topic,
				 known ? origin->original_partition : msg->partition,
				 known ? origin->original_offset : msg->offset);
	origin->message_id_len = strlen(origin->message_id);
}

void
ke_retry_headers_read_source(KeMessage *msg, KeOrigin *origin)
{
	memset(origin, 0, sizeof(KeOrigin));
	origin->original_topic = msg->topic;
	origin->original_partition = msg->partition;
	origin->original_offset = msg->offset;
	origin->original_timestamp = msg->timestamp_ms;
	origin->original_timestamp_type = type_name(msg->timestamp_type);
	ke_retry_headers_read_message_id(msg, origin);
}

/* ------------------------------------------------------------------ a copy */

static void
complain(const char **problem, const char *name, const char *what)
{
	if (*problem == NULL)
		*problem = psprintf("retry message cannot be used: its header %s %s",
							name, what);
}

static void
read_original(KeMessage *msg, KeOrigin *origin, const char **problem)
{
	int64		partition;

	if (!ke_header_read_text(msg, KE_COPY_ORIGINAL_TOPIC,
							 &origin->original_topic))
		complain(problem, KE_COPY_ORIGINAL_TOPIC, "is not valid text");
	if (!ke_header_read_number(msg, KE_COPY_ORIGINAL_PARTITION, PG_INT32_MAX,
							   &partition))
		complain(problem, KE_COPY_ORIGINAL_PARTITION, "is no partition");
	origin->original_partition = (int32) partition;
	if (!ke_header_read_number(msg, KE_COPY_ORIGINAL_OFFSET, PG_INT64_MAX,
							   &origin->original_offset))
		complain(problem, KE_COPY_ORIGINAL_OFFSET, "is no offset");
	if (!ke_header_read_number(msg, KE_COPY_ORIGINAL_TIMESTAMP, PG_INT64_MAX,
							   &origin->original_timestamp))
		complain(problem, KE_COPY_ORIGINAL_TIMESTAMP,
				 "is no time in milliseconds");
	if (!ke_header_read_text(msg, KE_COPY_ORIGINAL_TIMESTAMP_TYPE,
				   &origin->original_timestamp_type))
		complain(problem, KE_COPY_ORIGINAL_TIMESTAMP_TYPE,
				 "is not valid text");
}

static void
read_attempt(KeMessage *msg, int max_attempt, KeOrigin *origin,
			 const char **problem)
{
	int64		attempt;

	if (!ke_header_read_number(msg, KE_COPY_ATTEMPT, PG_INT32_MAX, &attempt))
		complain(problem, KE_COPY_ATTEMPT, "is no number");
	else if (attempt < 0)
		complain(problem, KE_COPY_ATTEMPT, "is missing");
	else if (attempt == 0)
		complain(problem, KE_COPY_ATTEMPT, "is 0, but the first is 1");
	else if (attempt > max_attempt)
		complain(problem, KE_COPY_ATTEMPT,
				 psprintf("is " INT64_FORMAT ", but max_retries is %d",
						  attempt, max_attempt));
	origin->attempt = (int) Max(attempt, 0);
}

/* No copy of ours is due later than the longest delay after it was sent. */
static void
read_due(KeMessage *msg, KeOrigin *origin, const char **problem)
{
	const char *text;

	if (!ke_header_read_text(msg, KE_COPY_DUE, &text))
		complain(problem, KE_COPY_DUE, "is not valid text");
	else if (text != NULL &&
			 !ke_header_read_parse_number(text, PG_INT64_MAX,
										  &origin->due_ms) &&
			 !parse_time(text, &origin->due_ms))
		complain(problem, KE_COPY_DUE, "is no time");
	else if (msg->timestamp_ms >= 0 &&
			 origin->due_ms - msg->timestamp_ms >
			 KE_RETRY_DELAY_MAX_MS + CLOCKS_DIFFER_MS)
		complain(problem, KE_COPY_DUE, "is too far in the future");
	if (!ke_header_read_number(msg, KE_COPY_DELAY, PG_INT64_MAX,
							   &origin->delay_ms))
		origin->delay_ms = -1;
}

KeCopyOwner
ke_retry_headers_read(KeMessage *msg, const char *service, int max_attempt,
					  KeOrigin *origin, const char **problem)
{
	const KeHeader *theirs = ke_header_read_find(msg, KE_COPY_SERVICE);

	*problem = NULL;
	memset(origin, 0, sizeof(KeOrigin));
	if (theirs != NULL && (theirs->value_len != strlen(service) ||
						   memcmp(theirs->value, service,
								  theirs->value_len) != 0))
		return KE_COPY_FOREIGN;
	origin->service = theirs != NULL ? pstrdup(service) : NULL;

	read_original(msg, origin, problem);
	ke_retry_headers_read_message_id(msg, origin);
	read_attempt(msg, max_attempt, origin, problem);
	read_due(msg, origin, problem);
	if (!ke_header_read_text(msg, KE_COPY_ID, &origin->copy_id))
		complain(problem, KE_COPY_ID, "is not valid text");
	return *problem == NULL ? KE_COPY_OURS : KE_COPY_INVALID;
}

bool
ke_retry_headers_read_history(KeMessage *msg, KeCopyHistory *history)
{
	const KeHeader *header = ke_header_read_find(msg, KE_COPY_HISTORY);

	return header != NULL &&
		ke_copy_history_parse(header->value, header->value_len, history);
}

/* ----------------------------------------------------------- a dead letter */

void
ke_retry_headers_read_dead(KeMessage *msg, KeDeadLetter *letter)
{
	const char *problem = NULL;
	const char *text;
	int64		attempts;

	memset(letter, 0, sizeof(KeDeadLetter));
	read_original(msg, &letter->origin, &problem);
	ke_retry_headers_read_message_id(msg, &letter->origin);
	(void) ke_header_read_text(msg, KE_COPY_SERVICE, &letter->origin.service);
	(void) ke_header_read_text(msg, KE_COPY_ID, &letter->origin.copy_id);
	(void) ke_header_read_text(msg, KE_COPY_HISTORY, &letter->origin.history);
	(void) ke_header_read_text(msg, KE_COPY_SQLSTATE, &letter->sqlstate);
	letter->reason = ke_header_read_long_text(msg, KE_COPY_REASON);
	(void) ke_header_read_number(msg, KE_COPY_ATTEMPTS, PG_INT32_MAX,
								 &attempts);
	letter->attempts = (int) attempts;
	letter->time_ms = -1;
	if (ke_header_read_text(msg, KE_COPY_TIME, &text) && text != NULL &&
		!ke_header_read_parse_number(text, PG_INT64_MAX, &letter->time_ms) &&
		!parse_time(text, &letter->time_ms))
		letter->time_ms = -1;
}
