/*
 * production_check_topics.h
 *	  The inside of kafka_production_check that is about topics: what its files
 *	  share.
 */
#ifndef KE_PRODUCTION_CHECK_TOPICS_H
#define KE_PRODUCTION_CHECK_TOPICS_H

#include "api/check_row.h"
#include "api/production_check.h"
#include "shm/cluster_report.h"

/* Properties of a topic. */
typedef struct KeCheckSettings
{
	List	   *values;			/* of char *, in the order of their names */
	const char *problem;		/* why they are not known, or NULL */
	const char *hint;			/* or NULL */
} KeCheckSettings;

/* A topic for retry copies or dead letters. */
typedef struct KeCheckCopies
{
	const KeSubscription *sub;
	bool		dead;
	char	   *name;
	const KeTopicReport *found; /* NULL: it is not there */
	KeCheckSettings settings;	/* where problem is NULL, the next are known */
	const char *policy;
	int64		retention_ms;	/* negative: for ever; so for bytes */
	int64		retention_bytes;
	int64		message_bytes;	/* the largest batch it takes, and that of */
	int64		source_bytes;	/* the source; 0: not known */
	int			min_insync;		/* replicas */
} KeCheckCopies;

/* production_check_ask.c */

/* What is left for the next question, in ms. */
extern int	ke_production_check_ask_time(const KeProductionCheck *inspection);

/* NULL: nobody answers, and nobody is asked any more. */
extern KeAnswer *ke_production_check_ask(KeProductionCheck *inspection,
										 KeQuestion *question);

/* Nobody has: fail for that. */
extern void ke_production_check_ask_failed(const KeProductionCheck *inspection,
										   KeCheckRow *check);

/* Properties of these names, of char *; false: into says why not. */
extern bool ke_production_check_ask_settings(KeProductionCheck *inspection,
											 const char *topic, List *names,
											 KeCheckSettings *into);

/* production_check_copies.c: what is in them, and how long it stays. */
extern void ke_production_check_copies_owner(KeProductionCheck *inspection,
											 const KeCheckCopies *topic,
											 KeCheckRow *check);
extern void ke_production_check_copies_letters(KeProductionCheck *inspection,
											   const KeCheckCopies *topic,
											   KeCheckRow *check);
extern void ke_production_check_copies_retries(KeProductionCheck *inspection,
											   const KeCheckCopies *topic,
											   KeCheckRow *check);

#endif							/* KE_PRODUCTION_CHECK_TOPICS_H */
