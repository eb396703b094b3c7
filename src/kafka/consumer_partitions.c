/*
 * consumer_partitions.c
 *	  What a member of a group knows of its partitions, without asking.
 *
 * Every fetch response brings low, high and last stable offset.  The library
 * hands out the first two at any time, the third one only in its statistics,
 * which come as an event each 5 s (some kB, or 1 kB for each partition).  The
 * end of a partition is reported at the last stable offset, too.
 *
 * The tables live as long as the consumer; entries of partitions that went to
 * other members stay, a few dozen bytes each.
 */
#include "postgres.h"
#include "core/compat.h"

#include "utils/builtins.h"
#include "utils/jsonb.h"
#include "utils/memutils.h"
#include "utils/numeric.h"

#include "kafka/consumer_internal.h"

void
ke_consumer_partitions_make(KeConsumer *consumer)
{
	HASHCTL		ctl;

	ctl.hcxt = TopMemoryContext;
	ctl.keysize = sizeof(KeTopicName);
	ctl.entrysize = sizeof(KeTopicName);
	consumer->topics = hash_create("Kafka topics", 32, &ctl,
								   HASH_ELEM | HASH_STRINGS | HASH_CONTEXT);

	ctl.keysize = sizeof(KeConsumerPartitionKey);
	ctl.entrysize = sizeof(KeConsumerPartition);
	consumer->partitions = hash_create("Kafka partitions", 64, &ctl,
									   HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
}

const char *
ke_consumer_partitions_topic(KeConsumer *consumer, const char *name)
{
	KeTopicName *entry;

	entry = hash_search(consumer->topics, name, HASH_ENTER, NULL);
	return entry->name;
}

KeConsumerPartition *
ke_consumer_partitions_find(KeConsumer *consumer, const char *topic,
							int32 partition)
{
	KeConsumerPartitionKey key;
	KeConsumerPartition *entry;
	bool		found;

	/* Padding is part of the key. */
	memset(&key, 0, sizeof(key));
	key.topic = ke_consumer_partitions_topic(consumer, topic);
	key.partition = partition;
	entry = hash_search(consumer->partitions, &key, HASH_ENTER, &found);
	if (!found)
	{
		entry->last_stable = -1;
		entry->paused = false;
	}
	return entry;
}

void
ke_consumer_partitions_known_end(KeConsumer *consumer, const char *topic,
								 int32 partition, int64 *high,
								 int64 *last_stable)
{
	int64		low;

	*last_stable = ke_consumer_partitions_find(consumer, topic,
											   partition)->last_stable;
	if (rd_kafka_get_watermark_offsets(consumer->handle.rk, topic, partition,
									   &low, high) != 0 || *high < 0)
		*high = -1;
}

/* A member of a JSON object that is an object itself, or NULL. */
static JsonbContainer *
member_object(JsonbContainer *object, const char *name)
{
	JsonbValue	value;

	if (getKeyJsonValueFromContainer(object, name, strlen(name),
									 &value) == NULL ||
		value.type != jbvBinary)
		return NULL;
	return value.val.binary.data;
}

/* A member of a JSON object that is a whole number, or -1. */
static int64
member_number(JsonbContainer *object, const char *name)
{
	JsonbValue	value;
	Datum		number;

	if (getKeyJsonValueFromContainer(object, name, strlen(name),
									 &value) == NULL ||
		value.type != jbvNumeric)
		return -1;
	number = NumericGetDatum(value.val.numeric);
	return DatumGetInt64(DirectFunctionCall1(numeric_int8, number));
}

/* Each value of an object that is an object itself, in turn; NULL: the end. */
static JsonbContainer *
next_object(JsonbIterator **it, char **name)
{
	JsonbIteratorToken token;
	JsonbValue	value;

	while ((token = JsonbIteratorNext(it, &value, true)) != WJB_DONE)
	{
		if (token == WJB_KEY)
			*name = pnstrdup(value.val.string.val, value.val.string.len);
		else if (token == WJB_VALUE && value.type == jbvBinary)
			return value.val.binary.data;
	}
	return NULL;
}

static void
learn_topic(KeConsumer *consumer, const char *name, JsonbContainer *topic)
{
	JsonbContainer *partitions = member_object(topic, "partitions");
	JsonbContainer *partition;
	JsonbIterator *it;
	char	   *ignored;

	if (partitions == NULL)
		return;
	it = JsonbIteratorInit(partitions);
	while ((partition = next_object(&it, &ignored)) != NULL)
	{
		int64		number = member_number(partition, "partition");
		int64		last_stable = member_number(partition, "ls_offset");

		if (number >= 0 && last_stable >= 0)
			ke_consumer_partitions_find(consumer, name,
										(int32) number)->last_stable =
											last_stable;
	}
}

void
ke_consumer_partitions_learn(KeConsumer *consumer, const char *json)
{
	MemoryContext work;
	MemoryContext caller;
	Jsonb	   *root;
	JsonbContainer *topics;

	work = AllocSetContextCreate(CurrentMemoryContext, "Kafka statistics",
								 ALLOCSET_DEFAULT_SIZES);
	caller = MemoryContextSwitchTo(work);

	root = DatumGetJsonbP(DirectFunctionCall1(jsonb_in,
											  CStringGetDatum(json)));
	topics = member_object(&root->root, "topics");
	if (topics != NULL)
	{
		JsonbIterator *it = JsonbIteratorInit(topics);
		JsonbContainer *topic;
		char	   *name;

		while ((topic = next_object(&it, &name)) != NULL)
			learn_topic(consumer, name, topic);
	}

	MemoryContextSwitchTo(caller);
	MemoryContextDelete(work);
}
