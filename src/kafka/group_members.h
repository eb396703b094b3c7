/*
 * group_members.h
 *	  Who is in a consumer group, and which partitions they have.
 */
#ifndef KE_GROUP_MEMBERS_H
#define KE_GROUP_MEMBERS_H

#include "kafka/cluster.h"
#include "kafka/consumer.h"

typedef struct KeGroupMember
{
	char	   *id;				/* a static member's begins with its
								 * group.instance.id */
	char	   *client;			/* client.id: printable ASCII, cut short; so
								 * for the next */
	char	   *host;			/* as its broker sees it */
	KePartitionList *assigned;	/* without offsets */
} KeGroupMember;

/*
 * The group's members, as a list of KeGroupMember in the current context;
 * none if there is no such group, or if the Kafka user may not Describe it.
 * Waits at most timeout_ms, and no longer than a slice.  Returns 0 or
 * librdkafka's code.
 */
extern int	ke_group_members_list(KeHandle *handle, const char *group,
								  List **members, int timeout_ms);

/* Is it a process of the database that has this uuid? */
extern bool ke_group_members_is_of(const KeGroupMember *member,
								   const char *uuid);

#endif							/* KE_GROUP_MEMBERS_H */
