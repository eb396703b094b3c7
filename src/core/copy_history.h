/*
 * copy_history.h
 *	  The history of a database that a copy belongs to.
 *
 * After recovery to an earlier time, or failover to a standby that lags
 * behind, the database does again what it has forgotten, copies included.
 * Those that the forgotten history had sent are still in Kafka.  So each copy
 * says which history let it go, and where in that: the end of the commit that
 * did, which was flushed before the copy was sent.
 *
 * Numbers of timelines are given again, where no archive tells that they were
 * in use.  So each timeline that a database sends copies on gets a random
 * number of our own besides, which is a row of the database: a restored
 * database that does not have it never lived that history.
 */
#ifndef KE_COPY_HISTORY_H
#define KE_COPY_HISTORY_H

#include "access/xlogdefs.h"

/* Room for what ke_copy_history_format writes. */
#define KE_COPY_HISTORY_LEN 128

/* What a copy says. */
typedef struct KeCopyHistory
{
	uint64		system;			/* identifier of the database system */
	Oid			database;
	TimeLineID	timeline;
	uint64		number;			/* ours, of this timeline */
	XLogRecPtr	lsn;			/* the end of the commit */
} KeCopyHistory;

/* A timeline that the database has lived on. */
typedef struct KeTimeline
{
	TimeLineID	timeline;
	XLogRecPtr	end;			/* invalid: it goes on */
} KeTimeline;

/* A number on record: see above. */
typedef struct KeHistoryNumber
{
	uint64		number;
	XLogRecPtr	begun;			/* where in its timeline it was given */
} KeHistoryNumber;

/* What a database knows of its own past. */
typedef struct KePast
{
	uint64		system;
	Oid			database;
	KeTimeline *timelines;
	int			ntimelines;		/* 0: not known */
	KeHistoryNumber *numbers;	/* the oldest first */
	int			nnumbers;
} KePast;

typedef enum KeCopyFate
{
	KE_COPY_ELSEWHERE,			/* of another database, or it is not known */
	KE_COPY_KEPT,				/* this database has sent it */
	KE_COPY_ORPHAN				/* it never has, or has forgotten it */
} KeCopyFate;

/* buf has KE_COPY_HISTORY_LEN bytes. */
extern void ke_copy_history_format(const KeCopyHistory *history, char *buf);

/* False: it is not of the form that we write.  Anybody may have written it. */
extern bool ke_copy_history_parse(const char *value, int32 len,
								  KeCopyHistory *history);

extern KeCopyFate ke_copy_history_judge(const KePast *past,
										const KeCopyHistory *history);

#endif							/* KE_COPY_HISTORY_H */
