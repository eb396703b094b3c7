/*
 * message.c
 *	  What can be computed from a message alone.
 */
#include "postgres.h"
#include "core/compat.h"

#include "port/pg_crc32c.h"

#include "core/message.h"
#include "core/trace.h"
#include "core/unix_time.h"

/*
 * CRC-32C over key and value, each with its length, so that moving a byte
 * from one to the other changes the sum.
 */
int32
ke_message_fingerprint(const KeMessage *msg)
{
	pg_crc32c	crc;

	INIT_CRC32C(crc);
	COMP_CRC32C(crc, &msg->key_len, sizeof(msg->key_len));
	if (msg->key_len > 0)
		COMP_CRC32C(crc, msg->key, msg->key_len);
	COMP_CRC32C(crc, &msg->value_len, sizeof(msg->value_len));
	if (msg->value_len > 0)
		COMP_CRC32C(crc, msg->value, msg->value_len);
	FIN_CRC32C(crc);
	return (int32) crc;
}

bool
ke_message_timestamp(const KeMessage *msg, TimestampTz *time)
{
	int64		ms = msg->timestamp_ms;

	if (ms < 0)
		return false;
	if (ms >= END_TIMESTAMP / 1000)
		*time = DT_NOEND;
	else
		*time = ms * 1000 - KE_UNIX_EPOCH_DISTANCE_US;
	return true;
}

char *
ke_message_describe(KeMessage *msg)
{
	int			count;
	const KeHeader *headers = ke_message_headers(msg, &count);

	return psprintf("message at offset %lld of partition %d of topic \"%s\"%s",
					(long long) msg->offset, msg->partition, msg->topic,
					ke_trace_mention(headers, count));
}
