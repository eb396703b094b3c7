/*
 * relay.h
 *	  The inside of a relay: what its files share.
 *
 * For this folder only; worker/relay_process sees relay_cycle.h.
 *
 * A relay lives in one context and works in another one that is reset in each
 * round.  Its server's options never change under it: then the process ends.
 */
#ifndef KE_RELAY_H
#define KE_RELAY_H

#include "core/clock.h"
#include "core/copy_history.h"
#include "relay/relay_cycle.h"
#include "relay/relay_window.h"
#include "subscription/catalog.h"
#include "utils/hsearch.h"

typedef struct KeRelayTopic
{
	char		name[KE_KAFKA_TOPIC_LEN];	/* the key */
	int			partitions;		/* 0: ask */
	KeMoment	asked_at;		/* 0: never */
	KeMoment	missing_since;	/* 0: it is not */
	char	   *refusal;		/* why nothing can be sent to it, or NULL */
	bool		absent;			/* refusal only until the topic is made */
	bool		forbidden;		/* it is there, but takes nothing from us */
	Size		too_large;		/* a row of that size was refused; 0: none */
	bool		needs_keys;		/* a record without a key was */
} KeRelayTopic;

struct KeRelay
{
	KeRelaySetting setting;
	MemoryContext context;
	KeServer   *server;
	char	   *client_id;
	KeOutboxReader *reader;
	KeProducer *strict;			/* NULL: not open */
	KeProducer *single;			/* for rows sent alone; NULL: not open */
	bool		single_has_stopped;
	HTAB	   *topics;			/* of KeRelayTopic */

	KeRelayWindow window;
	uint64		next;			/* number of the next row to be sent */
	int			under_way;		/* rows sent, report not seen */
	bool		only;			/* the last row sent is to be the only one */
	int			hopeless;		/* rows to be parked */
	bool		connected;		/* to the service's cluster */
	bool		taken;			/* an interval is open */
	KeCopyHistory place;		/* of the commit that opened it, */
	char		history[KE_COPY_HISTORY_LEN];	/* as copies carry it */
	bool		read;			/* all of it is in the window, or done */
	bool		woken;			/* there may be a next one */

	/* Something was not taken: nothing is sent until all reports are in. */
	bool		recovering;
	bool		closing;		/* ... nor afterwards */
	KeMoment	recall_at;
	bool		progress;		/* since the last time */

	KeMoment	taken_at;		/* what it has was committed before */
	KeMoment	not_before;		/* of the next try */
	int			backoff_ms;
	KeMoment	take_at;		/* without being woken */
	KeMoment	wanted_at;		/* if woken */
	KeMoment	rest_until;		/* even if woken */
	KeMoment	save_at;
	KeMoment	tidy_at;
	KeMoment	look_at;		/* for topics that copies wait for */
	List	   *waiting;		/* of KeOutboxWaiting, for a moment */
	char		trouble[512];	/* what keeps it from publishing, or empty */
	char		stall[512];		/* why brokers do not take what is under way,
								 * or empty; relay_stalled.c's, as the next */
	uint64		stalled_row;	/* the oldest row, and since when it is */
	KeMoment	stalled_since;
	KeMoment	stalled_look_at;
	char		absence[512];	/* which topic copies wait for, or empty */
	bool		trouble_is_new; /* to whoever asks for it */
	bool		trouble_is_unsaved;
};

/* relay_topics.c: may a row be sent, and to which partition? */
typedef enum KeRelayVerdict
{
	KE_RELAY_SEND,
	KE_RELAY_ALONE,				/* send, but alone: others like it failed */
	KE_RELAY_WAIT,				/* later; trouble says why */
	KE_RELAY_NEVER				/* reason says why */
} KeRelayVerdict;

extern void ke_relay_topics_init(KeRelay *relay);
extern KeRelayVerdict ke_relay_topics_judge(KeRelay *relay,
											const KeRelayRow *row,
											int32 *partition,
											KeMoment now, char **reason,
											bool *absent);

/* What a report says about the row's topic. */
extern void ke_relay_topics_doubt(KeRelay *relay, const KeRelayRow *row);
extern void ke_relay_topics_forbid(KeRelay *relay, const KeRelayRow *row,
								   const char *reason);
extern void ke_relay_topics_learn(KeRelay *relay, const KeRelayRow *row,
								  bool too_large);
extern void ke_relay_topics_unlearn(KeRelay *relay, const KeRelayRow *row);

/* Topics may have been made: what was missing may be there. */
extern void ke_relay_topics_reconsider(KeRelay *relay);

/* relay_send.c: from the window to brokers, and their reports */
extern void ke_relay_send(KeRelay *relay, KeMoment now);
extern void ke_relay_send_serve(KeRelay *relay, KeMoment now);
extern void ke_relay_send_open_strict(KeRelay *relay);

/* relay_stalled.c: find out why no report comes, if none has for a while. */
extern void ke_relay_stalled_look(KeRelay *relay, KeMoment now);

/* relay_trouble.c: said once, forgotten when a row goes through. */
extern void ke_relay_trouble(KeRelay *relay, const char *fmt,...)
			pg_attribute_printf(2, 3);
extern void ke_relay_trouble_clear(KeRelay *relay);

/* Likewise for what does not end with a row: stall or absence, "" to clear. */
extern void ke_relay_trouble_set(KeRelay *relay, char (*what)[512],
								 const char *text);

/* What is wrong, the worst first; NULL: nothing. */
extern const char *ke_relay_trouble_text(const KeRelay *relay);

#endif							/* KE_RELAY_H */
