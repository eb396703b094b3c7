/*
 * message.h
 *	  One Kafka message, as every layer sees it.
 *
 * A message borrows its bytes from the library that fetched it: topic, key,
 * value and headers stay valid until ke_message_release().  Nothing in here
 * is NUL-terminated except topic and the headers' names.
 */
#ifndef KE_MESSAGE_H
#define KE_MESSAGE_H

#include "datatype/timestamp.h"

typedef struct KeHeader
{
	const char *name;
	const char *value;			/* NULL when the header is null */
	int32		value_len;
} KeHeader;

/* What its timestamp means, as the topic is configured. */
typedef enum KeTimestampType
{
	KE_TIMESTAMP_NONE,
	KE_TIMESTAMP_CREATE,		/* when it was produced */
	KE_TIMESTAMP_APPEND			/* when the broker stored it */
} KeTimestampType;

/* Why a message is not to run. */
typedef enum KeMessageDrop
{
	KE_DROP_NOT,				/* it is */
	KE_DROP_ORPHAN,				/* sent by a history that was left */
	KE_DROP_REPEATED			/* it came before, in another place */
} KeMessageDrop;

typedef struct KeMessage KeMessage;

/* What the fetching side knows how to do; filled by kafka/. */
typedef struct KeMessageOps
{
	void		(*load_headers) (KeMessage *msg);
	void		(*release) (KeMessage *msg);
} KeMessageOps;

struct KeMessage
{
	const char *topic;
	int32		partition;
	int64		offset;
	int64		timestamp_ms;	/* -1: none */
	KeTimestampType timestamp_type;
	int32		element;		/* of the message that it was in, from 1 on;
								 * 0: it is whole */
	const char *key;			/* NULL: no key */
	const char *value;			/* NULL: a tombstone */
	int32		key_len;
	int32		value_len;
	int32		attempt;		/* 0: first delivery */
	bool		returned;		/* a dead letter that was sent back */
	bool		left;			/* its last write was about no row */
	KeMessageDrop drop;			/* set for those only */
	int32		nheaders;		/* -1: not loaded yet */
	KeHeader   *headers;
	const KeMessageOps *ops;
	void	   *origin;			/* the library's object behind it */
	void	   *holder;			/* what owns origin, and goes with it */
};

/* Headers in wire order, repeats included; valid as long as the message. */
static inline const KeHeader *
ke_message_headers(KeMessage *msg, int *count)
{
	if (msg->nheaders < 0)
		msg->ops->load_headers(msg);
	*count = msg->nheaders;
	return msg->headers;
}

/* The last one of that name, or NULL. */
static inline const KeHeader *
ke_message_find_header(const KeHeader *headers, int count, const char *name)
{
	for (int i = count - 1; i >= 0; i--)
		if (strcmp(headers[i].name, name) == 0)
			return &headers[i];
	return NULL;
}

static inline void
ke_message_release(KeMessage *msg)
{
	if (msg->origin != NULL)
		msg->ops->release(msg);
	msg->origin = NULL;
}

extern int32 ke_message_fingerprint(const KeMessage *msg);

/*
 * Its time, or false if it has none.  What PostgreSQL cannot hold becomes
 * infinity: producers may write any number.
 */
extern bool ke_message_timestamp(const KeMessage *msg, TimestampTz *time);

/*
 * Which one it is, for people, and the trace it belongs to if it names one;
 * in the current context.
 */
extern char *ke_message_describe(KeMessage *msg);

#endif							/* KE_MESSAGE_H */
