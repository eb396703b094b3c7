/*
 * group_owner.h
 *	  Whose commits a server's main group has, as a session asks for it.
 */
#ifndef KE_GROUP_OWNER_H
#define KE_GROUP_OWNER_H

#include "shm/request.h"
#include "subscription/catalog.h"

/* Another database that has committed positions of a topic. */
typedef struct KeGroupOwner
{
	char	   *uuid;
	char	   *name;			/* ke_stamp_whose's */
	int			partitions;
	int64		least;			/* of its positions, and the greatest */
	int64		most;
} KeGroupOwner;

/*
 * Ask the cluster: a list of KeGroupOwner, and whether this database has
 * committed there, too.  No answer: *problem says why.
 */
extern List *ke_group_owner_ask(const KeServer *server, const char *topic,
								int timeout_ms, bool *ours,
								KeAnswer **problem);

/*
 * Warn if all positions of the topic are another database's, which servers
 * that are shared do not mind; quiet if nobody answers.
 */
extern void ke_group_owner_warn(const KeServer *server, const char *topic,
								int timeout_ms);

#endif							/* KE_GROUP_OWNER_H */
