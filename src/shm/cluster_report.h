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
typedef struct KeTopicReport
{
	char	   *name;
	int			partitions;
	int			replication_factor;
} KeTopicReport;

extern StringInfo ke_cluster_report_put_topics(const List *topics);
extern List *ke_cluster_report_get_topics(StringInfo payload);

/* KE_ASK_HEALTH */
typedef struct KeHealthReport
{
	int			brokers;
	int64		latency_us;		/* of a question to one of them */
	List	   *problems;		/* of char *, as sentences without period */
} KeHealthReport;

extern StringInfo ke_cluster_report_put_health(const KeHealthReport *health);
extern KeHealthReport *ke_cluster_report_get_health(StringInfo payload);

/* A property of a topic. */
typedef struct KeTopicSetting
{
	char	   *name;
	char	   *value;			/* NULL: not known */
} KeTopicSetting;

/* KE_ASK_CONFIG: a list of these, both ways. */
extern StringInfo ke_cluster_report_put_settings(const List *settings);
extern List *ke_cluster_report_get_settings(StringInfo payload);

/* KE_ASK_CREATE: what the topic should be like. */
typedef struct KeTopicRequest
{
	int			partitions;		/* -1: the broker's default; so for the next */
	int			replication_factor;
	List	   *settings;		/* of KeTopicSetting */
} KeTopicRequest;

extern StringInfo
			ke_cluster_report_put_new_topic(const KeTopicRequest *request);
extern KeTopicRequest *ke_cluster_report_get_new_topic(StringInfo payload);

/* KE_ASK_OWNERS: a list of these, one for each partition with a commit */
typedef struct KeOwnerReport
{
	int32		partition;
	int64		offset;
	char	   *uuid;			/* NULL: a tool's, or another consumer's */
	char	   *database;		/* for people; NULL likewise, so the next */
	char	   *host;
} KeOwnerReport;

extern StringInfo ke_cluster_report_put_owners(const List *owners);
extern List *ke_cluster_report_get_owners(StringInfo payload);

/* What a task process says of a server's fitness, one at a time. */
typedef enum KeFitnessKind
{
	KE_FITNESS_RIGHT,			/* a missing one */
	KE_FITNESS_CLOCK			/* the brokers' clocks; wrong, or not known */
} KeFitnessKind;

typedef struct KeFitnessReport
{
	KeFitnessKind kind;
	char	   *text;
	char	   *hint;			/* or NULL */
} KeFitnessReport;

extern StringInfo
			ke_cluster_report_put_fitness(const KeFitnessReport *report);
extern KeFitnessReport *ke_cluster_report_get_fitness(StringInfo payload);

#endif							/* KE_CLUSTER_REPORT_H */
