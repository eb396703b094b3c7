/*
 * cluster_report.c
 *	  What questions about a cluster and its topics ask for, and find.
 */
#include "postgres.h"
#include "core/compat.h"

#include "shm/cluster_report.h"
#include "shm/payload.h"

StringInfo
ke_findings_put_topics(const List *topics)
{
	StringInfo	payload = makeStringInfo();
	const ListCell *lc;

	ke_payload_put_int(payload, list_length(topics));
	foreach(lc, topics)
	{
		const KeTopicFinding *topic = (KeTopicFinding *) lfirst(lc);

		ke_payload_put_string(payload, topic->name);
		ke_payload_put_int(payload, topic->partitions);
		ke_payload_put_int(payload, topic->replication_factor);
	}
	return payload;
}

List *
ke_findings_get_topics(StringInfo payload)
{
	List	   *topics = NIL;
	int			count = ke_payload_get_int(payload);

	for (int i = 0; i < count; i++)
	{
		KeTopicFinding *topic = palloc(sizeof(KeTopicFinding));

		topic->name = ke_payload_get_string(payload);
		topic->partitions = ke_payload_get_int(payload);
		topic->replication_factor = ke_payload_get_int(payload);
		topics = lappend(topics, topic);
	}
	return topics;
}

StringInfo
ke_findings_put_health(const KeHealthFindings *health)
{
	StringInfo	payload = makeStringInfo();
	ListCell   *lc;

	ke_payload_put_int(payload, health->brokers);
	ke_payload_put_int64(payload, health->latency_us);
	ke_payload_put_int(payload, list_length(health->problems));
	foreach(lc, health->problems)
		ke_payload_put_string(payload, (char *) lfirst(lc));
	return payload;
}

KeHealthFindings *
ke_findings_get_health(StringInfo payload)
{
	KeHealthFindings *health = palloc0(sizeof(KeHealthFindings));
	int			count;

	health->brokers = ke_payload_get_int(payload);
	health->latency_us = ke_payload_get_int64(payload);
	count = ke_payload_get_int(payload);
	for (int i = 0; i < count; i++)
		health->problems = lappend(health->problems,
								   ke_payload_get_string(payload));
	return health;
}

static void
put_settings(StringInfo payload, const List *settings)
{
	const ListCell *lc;

	ke_payload_put_int(payload, list_length(settings));
	foreach(lc, settings)
	{
		const KeTopicSetting *setting = (KeTopicSetting *) lfirst(lc);

		ke_payload_put_string(payload, setting->name);
		ke_payload_put_string(payload, setting->value);
	}
}

StringInfo
ke_findings_put_settings(const List *settings)
{
	StringInfo	payload = makeStringInfo();

	put_settings(payload, settings);
	return payload;
}

List *
ke_findings_get_settings(StringInfo payload)
{
	List	   *settings = NIL;
	int			count = ke_payload_get_int(payload);

	for (int i = 0; i < count; i++)
	{
		KeTopicSetting *setting = palloc(sizeof(KeTopicSetting));

		setting->name = ke_payload_get_string(payload);
		setting->value = ke_payload_get_string(payload);
		settings = lappend(settings, setting);
	}
	return settings;
}

StringInfo
ke_findings_put_wish(const KeTopicWish *wish)
{
	StringInfo	payload = makeStringInfo();

	ke_payload_put_int(payload, wish->partitions);
	ke_payload_put_int(payload, wish->replication_factor);
	put_settings(payload, wish->settings);
	return payload;
}

KeTopicWish *
ke_findings_get_wish(StringInfo payload)
{
	KeTopicWish *wish = palloc0(sizeof(KeTopicWish));

	wish->partitions = ke_payload_get_int(payload);
	wish->replication_factor = ke_payload_get_int(payload);
	wish->settings = ke_findings_get_settings(payload);
	return wish;
}
