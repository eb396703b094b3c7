/*
 * cluster_report.c
 *	  What questions about a cluster and its topics ask for, and find.
 */
#include "postgres.h"
#include "core/compat.h"

#include "shm/cluster_report.h"
#include "shm/payload.h"

StringInfo
ke_cluster_report_put_topics(const List *topics)
{
	StringInfo	payload = makeStringInfo();
	const ListCell *lc;

	ke_payload_put_int(payload, list_length(topics));
	foreach(lc, topics)
	{
		const KeTopicReport *topic = (KeTopicReport *) lfirst(lc);

		ke_payload_put_string(payload, topic->name);
		ke_payload_put_int(payload, topic->partitions);
		ke_payload_put_int(payload, topic->replication_factor);
	}
	return payload;
}

List *
ke_cluster_report_get_topics(StringInfo payload)
{
	List	   *topics = NIL;
	int			count = ke_payload_get_int(payload);

	for (int i = 0; i < count; i++)
	{
		KeTopicReport *topic = palloc(sizeof(KeTopicReport));

		topic->name = ke_payload_get_string(payload);
		topic->partitions = ke_payload_get_int(payload);
		topic->replication_factor = ke_payload_get_int(payload);
		topics = lappend(topics, topic);
	}
	return topics;
}

StringInfo
ke_cluster_report_put_health(const KeHealthReport *health)
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

KeHealthReport *
ke_cluster_report_get_health(StringInfo payload)
{
	KeHealthReport *health = palloc0(sizeof(KeHealthReport));
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
ke_cluster_report_put_settings(const List *settings)
{
	StringInfo	payload = makeStringInfo();

	put_settings(payload, settings);
	return payload;
}

List *
ke_cluster_report_get_settings(StringInfo payload)
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
ke_cluster_report_put_new_topic(const KeTopicRequest *request)
{
	StringInfo	payload = makeStringInfo();

	ke_payload_put_int(payload, request->partitions);
	ke_payload_put_int(payload, request->replication_factor);
	put_settings(payload, request->settings);
	return payload;
}

KeTopicRequest *
ke_cluster_report_get_new_topic(StringInfo payload)
{
	KeTopicRequest *request = palloc0(sizeof(KeTopicRequest));

	request->partitions = ke_payload_get_int(payload);
	request->replication_factor = ke_payload_get_int(payload);
	request->settings = ke_cluster_report_get_settings(payload);
	return request;
}

StringInfo
ke_cluster_report_put_owners(const List *owners)
{
	StringInfo	payload = makeStringInfo();
	const ListCell *lc;

	ke_payload_put_int(payload, list_length(owners));
	foreach(lc, owners)
	{
		const KeOwnerReport *owner = (KeOwnerReport *) lfirst(lc);

		ke_payload_put_int(payload, owner->partition);
		ke_payload_put_int64(payload, owner->offset);
		ke_payload_put_string(payload, owner->uuid);
		ke_payload_put_string(payload, owner->database);
		ke_payload_put_string(payload, owner->host);
	}
	return payload;
}

List *
ke_cluster_report_get_owners(StringInfo payload)
{
	List	   *owners = NIL;
	int			count = ke_payload_get_int(payload);

	for (int i = 0; i < count; i++)
	{
		KeOwnerReport *owner = palloc(sizeof(KeOwnerReport));

		owner->partition = ke_payload_get_int(payload);
		owner->offset = ke_payload_get_int64(payload);
		owner->uuid = ke_payload_get_string(payload);
		owner->database = ke_payload_get_string(payload);
		owner->host = ke_payload_get_string(payload);
		owners = lappend(owners, owner);
	}
	return owners;
}

StringInfo
ke_cluster_report_put_fitness(const KeFitnessReport *report)
{
	StringInfo	payload = makeStringInfo();

	ke_payload_put_int(payload, report->kind);
	ke_payload_put_string(payload, report->text);
	ke_payload_put_string(payload, report->hint);
	return payload;
}

KeFitnessReport *
ke_cluster_report_get_fitness(StringInfo payload)
{
	KeFitnessReport *report = palloc(sizeof(KeFitnessReport));

	report->kind = (KeFitnessKind) ke_payload_get_int(payload);
	report->text = ke_payload_get_string(payload);
	report->hint = ke_payload_get_string(payload);
	return report;
}
