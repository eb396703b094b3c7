/*
 * cluster_report.h
 *	  What questions about a cluster and its topics ask for, and find.
 *
 * Each is a payload of shm/request: put makes the bytes, in the current
 * context, and get reads them.
 */
#ifndef KE_CLUSTER_REPORT_H
#define KE_CLUSTER_REPORT_H

#include "lib/stringinfo.h"
#include "nodes/pg_list.h"

/* KE_ASK_TOPICS: a list of these */
typedef struct KeTopicFinding
{
	char	   *name;
	int			partitions;
	int			replication_factor;
} KeTopicFinding;

extern StringInfo ke_findings_put_topics(const List *topics);
extern List *ke_findings_get_topics(StringInfo payload);

/* KE_ASK_HEALTH */
typedef struct KeHealthFindings
{
	int			brokers;
	int64		latency_us;		/* of a question to one of them */
	List	   *problems;		/* of char *, as sentences without period */
} KeHealthFindings;

extern StringInfo ke_findings_put_health(const KeHealthFindings *health);
extern KeHealthFindings *ke_findings_get_health(StringInfo payload);

/* A property of a topic. */
typedef struct KeTopicSetting
{
	char	   *name;
	char	   *value;			/* NULL: not known */
} KeTopicSetting;

/* KE_ASK_CONFIG: a list of these, both ways. */
extern StringInfo ke_findings_put_settings(const List *settings);
extern List *ke_findings_get_settings(StringInfo payload);

/* KE_ASK_CREATE: what the topic should be like. */
typedef struct KeTopicWish
{
	int			partitions;		/* -1: the broker's default; so for the next */
	int			replication_factor;
	List	   *settings;		/* of KeTopicSetting */
} KeTopicWish;

extern StringInfo ke_findings_put_wish(const KeTopicWish *wish);
extern KeTopicWish *ke_findings_get_wish(StringInfo payload);

#endif							/* KE_CLUSTER_REPORT_H */
