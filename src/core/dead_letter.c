/*
 * dead_letter.c
 *	  What a dead letter says about itself, whoever has written it.
 *
 * Spring's numbers are binary, the high byte first, and its texts of any
 * length; Connect's are all text.
 */
#include "postgres.h"
#include "core/compat.h"

#include "core/dead_letter.h"
#include "core/header_names.h"
#include "core/header_read.h"

/* Spring writes this one into both kinds of its letters. */
#define SPRING_GROUP "kafka_dlt-original-consumer-group"

/* Spring: the attempt, if the listener's container tells it. */
#define SPRING_ATTEMPT "kafka_deliveryAttempt"

/* Spring: that a key or value could not be read, as a serialized object. */
#define SPRING_UNREADABLE "springDeserializerException"

/* The headers of one kind of Spring's letters; the texts are alternatives. */
typedef struct Spring
{
	const char *topic;
	const char *partition;
	const char *offset;
	const char *timestamp;
	const char *timestamp_type;
	const char *reasons[5];		/* the first one that is not empty counts */
} Spring;

static const Spring spring_dlt = {
	"kafka_dlt-original-topic", "kafka_dlt-original-partition",
	"kafka_dlt-original-offset", "kafka_dlt-original-timestamp",
	"kafka_dlt-original-timestamp-type",
	{
		"kafka_dlt-exception-message", "kafka_dlt-key-exception-message",
		"kafka_dlt-exception-cause-fqcn", "kafka_dlt-exception-fqcn",
		"kafka_dlt-key-exception-fqcn"
	}
};

static const Spring spring_retry = {
	"kafka_original-topic", "kafka_original-partition",
	"kafka_original-offset", "kafka_original-timestamp",
	"kafka_original-timestamp-type",
	{
		"kafka_exception-message", "kafka_key-exception-message",
		"kafka_exception-cause-fqcn", "kafka_exception-fqcn",
		"kafka_key-exception-fqcn"
	}
};

static bool
has_prefix(const char *name, const char *prefix)
{
	return strncmp(name, prefix, strlen(prefix)) == 0;
}

/* ---------------------------------------------------------- who wrote it? */

/* An identifier of the message may be the application's own. */
static bool
is_ours(const char *name)
{
	return has_prefix(name, "x-dlq-") || has_prefix(name, "x-retry-") ||
		(ke_retry_headers_is_ours(name) &&
		 strcmp(name, KE_COPY_MESSAGE_ID) != 0);
}

static bool
is_spring_retry(const char *name)
{
	return has_prefix(name, "kafka_original-") ||
		has_prefix(name, "kafka_exception-") ||
		has_prefix(name, "kafka_key-exception-") ||
		has_prefix(name, "retry_topic-");
}

static KeDeadLetterWriter
writer_of(const char *name)
{
	switch (name[0])
	{
		case 'x':
			return is_ours(name) ? KE_WRITER_OURS : KE_WRITER_UNKNOWN;
		case 'k':
		case 'r':
			if (has_prefix(name, "kafka_dlt-") &&
				strcmp(name, SPRING_GROUP) != 0)
				return KE_WRITER_SPRING;
			return is_spring_retry(name) ? KE_WRITER_SPRING_RETRY :
				KE_WRITER_UNKNOWN;
		case '_':
			return has_prefix(name, "__connect.errors.") ?
				KE_WRITER_CONNECT : KE_WRITER_UNKNOWN;
	}
	return KE_WRITER_UNKNOWN;
}

KeDeadLetterWriter
ke_dead_letter_writer(KeMessage *msg)
{
	KeDeadLetterWriter writer = KE_WRITER_UNKNOWN;
	int			count;
	const KeHeader *headers = ke_message_headers(msg, &count);

	for (int i = count - 1; i >= 0 && writer == KE_WRITER_UNKNOWN; i--)
		writer = writer_of(headers[i].name);
	return writer;
}

bool
ke_dead_letter_is_foreign(KeDeadLetterWriter writer)
{
	switch (writer)
	{
		case KE_WRITER_UNKNOWN:
		case KE_WRITER_OURS:
			return false;
		case KE_WRITER_SPRING:
		case KE_WRITER_SPRING_RETRY:
		case KE_WRITER_CONNECT:
			return true;
	}
	pg_unreachable();
}

const char *
ke_dead_letter_topic_header(KeDeadLetterWriter writer)
{
	switch (writer)
	{
		case KE_WRITER_UNKNOWN:
		case KE_WRITER_OURS:
			return KE_COPY_ORIGINAL_TOPIC;
		case KE_WRITER_SPRING:
			return spring_dlt.topic;
		case KE_WRITER_SPRING_RETRY:
			return spring_retry.topic;
		case KE_WRITER_CONNECT:
			return "__connect.errors.topic";
	}
	pg_unreachable();
}

bool
ke_dead_letter_is_past(KeDeadLetterWriter writer, const char *name)
{
	switch (writer)
	{
		case KE_WRITER_UNKNOWN:
		case KE_WRITER_OURS:
			return has_prefix(name, "x-dlq-") || has_prefix(name, "x-retry-");
		case KE_WRITER_SPRING:
			if (has_prefix(name, "kafka_dlt-"))
				return true;
			break;
		case KE_WRITER_SPRING_RETRY:
			if (is_spring_retry(name) || strcmp(name, SPRING_GROUP) == 0)
				return true;
			break;
		case KE_WRITER_CONNECT:
			return has_prefix(name, "__connect.errors.");
	}
	return strcmp(name, SPRING_ATTEMPT) == 0 ||
		has_prefix(name, SPRING_UNREADABLE);
}

/* ----------------------------------------------------------- what it says */

static void
begin(KeDeadLetter *letter)
{
	memset(letter, 0, sizeof(KeDeadLetter));
	letter->origin.original_partition = -1;
	letter->origin.original_offset = -1;
	letter->origin.original_timestamp = -1;
	letter->attempts = -1;
	letter->time_ms = -1;
}

/* The first of the headers that says something. */
static const char *
first_text(KeMessage *msg, const char *const *names, int count)
{
	for (int i = 0; i < count; i++)
	{
		const char *text = ke_header_read_long_text(msg, names[i]);

		if (text != NULL && text[0] != '\0')
			return text;
	}
	return NULL;
}

static void
read_spring(KeMessage *msg, const Spring *spring, KeDeadLetter *letter)
{
	KeOrigin   *origin = &letter->origin;

	begin(letter);
	(void) ke_header_read_text(msg, spring->topic, &origin->original_topic);
	origin->original_partition = (int32)
		ke_header_read_binary(msg, spring->partition, sizeof(int32));
	origin->original_offset =
		ke_header_read_binary(msg, spring->offset, sizeof(int64));
	origin->original_timestamp =
		ke_header_read_binary(msg, spring->timestamp, sizeof(int64));
	(void) ke_header_read_text(msg, spring->timestamp_type,
							   &origin->original_timestamp_type);
	letter->reason = first_text(msg, spring->reasons,
								lengthof(spring->reasons));
	letter->attempts = (int)
		ke_header_read_binary(msg, "retry_topic-attempts", sizeof(int32));
	if (letter->attempts < 0)
		letter->attempts = (int)
			ke_header_read_binary(msg, SPRING_ATTEMPT, sizeof(int32));
}

static void
read_connect(KeMessage *msg, KeDeadLetter *letter)
{
	static const char *const reasons[] = {
		"__connect.errors.exception.message",
		"__connect.errors.exception.class.name"
	};
	KeOrigin   *origin = &letter->origin;
	int64		partition;

	begin(letter);
	(void) ke_header_read_text(msg, "__connect.errors.topic",
							   &origin->original_topic);
	(void) ke_header_read_number(msg, "__connect.errors.partition",
								 PG_INT32_MAX, &partition);
	origin->original_partition = (int32) partition;
	(void) ke_header_read_number(msg, "__connect.errors.offset",
								 PG_INT64_MAX, &origin->original_offset);
	letter->reason = first_text(msg, reasons, lengthof(reasons));
}

void
ke_dead_letter_read(KeMessage *msg, KeDeadLetterWriter writer,
					KeDeadLetter *letter)
{
	switch (writer)
	{
		case KE_WRITER_UNKNOWN:
		case KE_WRITER_OURS:
			ke_retry_headers_read_dead(msg, letter);
			return;
		case KE_WRITER_SPRING:
			read_spring(msg, &spring_dlt, letter);
			break;
		case KE_WRITER_SPRING_RETRY:
			read_spring(msg, &spring_retry, letter);
			break;
		case KE_WRITER_CONNECT:
			read_connect(msg, letter);
			break;
	}
	ke_retry_headers_read_message_id(msg, &letter->origin);
}

bool
ke_dead_letter_read_history(KeMessage *msg, KeCopyHistory *history)
{
	return !ke_dead_letter_is_foreign(ke_dead_letter_writer(msg)) &&
		ke_retry_headers_read_history(msg, history);
}
