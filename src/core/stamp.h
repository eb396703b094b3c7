/*
 * stamp.h
 *	  The metadata we commit to Kafka beside every offset.
 *
 *	  ke1;u=<database uuid>;i=<incarnation>;c=<cluster id>;s=<start offset>;
 *	  o=<committed offset>;t=<timeline>;d=<database>;h=<host>
 *
 * It tells our commits from those of tools and of other databases, and names
 * those: d and h are for people, %-encoded, and need not be there.
 */
#ifndef KE_STAMP_H
#define KE_STAMP_H

typedef struct KeStamp
{
	char		uuid[37];
	uint64		incarnation;	/* the manager's, written as 16 hex digits */
	char		cluster[64];
	int64		start;			/* where the partition was first started */
	int64		committed;		/* the offset, unless a tool moved that */
	uint32		timeline;
	char		database[64];	/* its name, printable ASCII; '' if unknown */
	char		host[64];		/* likewise, of its PostgreSQL server */
} KeStamp;

/* False when metadata is NULL or not one of our stamps. */
extern bool ke_stamp_parse(const char *metadata, KeStamp *stamp);

/* In the current context; what of a name is no printable ASCII becomes '?'. */
extern char *ke_stamp_format(const KeStamp *stamp);

/* "database \"shop\" on host ...", for messages. */
extern char *ke_stamp_whose(const char *uuid, const char *database,
							const char *host);

#endif							/* KE_STAMP_H */
