/*
 * group_members.c
 *	  Who is in a consumer group, and which partitions they have.
 *
 * rd_kafka_list_groups() is the library's oldest way to ask, and the only one
 * used: it shares nothing with the admin calls for groups, whose bookkeeping
 * of answers can abort the process (librdkafka #4605).  What comes after its
 * timeout, the library drops.  Kafka does not tell the members of a group
 * with the newer protocol (KIP-848) in this way: it then seems to have none.
 */
#include "postgres.h"
#include "core/compat.h"

#include "miscadmin.h"
#include "nodes/pg_list.h"
#include "port/pg_bswap.h"

#include "kafka/group_members.h"
#include "kafka/handle.h"
#include "kafka/query.h"

/* What is shown of a name that anybody may choose. */
#define SHOWN_LEN 40

/* A member's assignment, as bytes; read from front to end. */
typedef struct Bytes
{
	const char *data;
	int			left;
	bool		bad;			/* it ended too early */
} Bytes;

/* The next len bytes, or NULL. */
static const char *
take(Bytes *bytes, int len)
{
	const char *taken = bytes->data;

	if (bytes->bad || len < 0 || len > bytes->left)
	{
		bytes->bad = true;
		return NULL;
	}
	bytes->data += len;
	bytes->left -= len;
	return taken;
}

static int
take_int16(Bytes *bytes)
{
	const char *taken = take(bytes, sizeof(uint16));
	uint16		value;

	if (taken == NULL)
		return 0;
	memcpy(&value, taken, sizeof(value));
	return (int16) pg_ntoh16(value);
}

static int32
take_int32(Bytes *bytes)
{
	const char *taken = take(bytes, sizeof(uint32));
	uint32		value;

	if (taken == NULL)
		return 0;
	memcpy(&value, taken, sizeof(value));
	return (int32) pg_ntoh32(value);
}

/* The consumers' format: version, then topics, each with its partitions. */
static KePartitionList *
read_assignment(const void *data, int len)
{
	Bytes		bytes = {.data = data,.left = len};
	KePartitionList *list = ke_partition_list_make(16);
	int			topics;

	if (len == 0)
		return list;
	(void) take_int16(&bytes);
	topics = take_int32(&bytes);
	while (topics-- > 0 && !bytes.bad)
	{
		int			name_len = take_int16(&bytes);
		const char *name = take(&bytes, name_len);
		int			partitions = take_int32(&bytes);

		while (partitions-- > 0 && !bytes.bad)
		{
			int32		partition = take_int32(&bytes);

			if (!bytes.bad)
				ke_partition_list_add(list, pnstrdup(name, name_len),
									  partition, KE_KAFKA_NONE);
		}
	}
	return list;
}

static char *
shown(const char *name)
{
	char	   *copy = pnstrdup(name, SHOWN_LEN);

	for (char *c = copy; *c != '\0'; c++)
	{
		if (*c < ' ' || *c > '~' || *c == '"')
			*c = '?';
	}
	return copy;
}

static KeGroupMember *
describe(const struct rd_kafka_group_member_info *info)
{
	KeGroupMember *member = palloc(sizeof(KeGroupMember));
	const char *host = info->client_host;

	member->id = pstrdup(info->member_id);
	member->client = shown(info->client_id);
	member->host = shown(*host == '/' ? host + 1 : host);
	member->assigned = read_assignment(info->member_assignment,
									   info->member_assignment_size);
	return member;
}

static List *
describe_all(const struct rd_kafka_group_list *groups)
{
	List	   *members = NIL;

	for (int i = 0; i < groups->group_cnt; i++)
	{
		for (int m = 0; m < groups->groups[i].member_cnt; m++)
			members = lappend(members,
							  describe(&groups->groups[i].members[m]));
	}
	return members;
}

int
ke_group_members_list(KeHandle *handle, const char *group, List **members,
					  int timeout_ms)
{
	const struct rd_kafka_group_list *groups = NULL;
	rd_kafka_resp_err_t err;

	*members = NIL;
	CHECK_FOR_INTERRUPTS();
	err = rd_kafka_list_groups(handle->rk, group, &groups,
							   ke_query_slice(ke_query_now_ms() +
											  timeout_ms));

	/* The group's own broker has answered, another one has not. */
	if (err == RD_KAFKA_RESP_ERR__PARTIAL && groups != NULL)
		err = RD_KAFKA_RESP_ERR_NO_ERROR;
	if (err != RD_KAFKA_RESP_ERR_NO_ERROR)
		return err;

	PG_TRY();
	{
		*members = describe_all(groups);
	}
	PG_FINALLY();
	{
		rd_kafka_group_list_destroy(groups);
	}
	PG_END_TRY();
	return 0;
}

bool
ke_group_members_is_of(const KeGroupMember *member, const char *uuid)
{
	return strncmp(member->id, uuid, strlen(uuid)) == 0 &&
		member->id[strlen(uuid)] == '-';
}
