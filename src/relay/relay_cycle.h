/*
 * relay_cycle.h
 *	  What a relay does: one server's outbox, published in order.
 *
 * Take an interval of the outbox and make it durable, read rows into a
 * window, send them, wait for what becomes of each, store how far everything
 * is done; what no broker will ever take is sent alone and then parked.
 * Nothing here waits but for answers of brokers, half a second at a time,
 * and no transaction is open while a broker is waited for.
 */
#ifndef KE_RELAY_CYCLE_H
#define KE_RELAY_CYCLE_H

#include "datatype/timestamp.h"
#include "core/clock.h"
#include "state/identity.h"

typedef struct KeRelay KeRelay;

/* What the process that runs it lends. */
typedef struct KeRelaySetting
{
	Oid			server;
	void		(*forget_fd) (void);	/* the fd waited for is to be closed */
} KeRelaySetting;

/* What the catalogs say. */
typedef struct KeRelayFacts
{
	bool		server_is_there;
	uint64		fingerprint;	/* of the server, as the next */
	NameData	name;
	KeIdentityState identity;
} KeRelayFacts;

/* In parent; connects to nothing yet. */
extern KeRelay *ke_relay_make(const KeRelaySetting *setting,
							  MemoryContext parent);

/* Read the catalogs; returns what went wrong, or NULL. */
extern char *ke_relay_read(KeRelay *relay, KeRelayFacts *facts);

/* There may be something new in the outbox. */
extern void ke_relay_wake(KeRelay *relay);

/* Somebody has made a topic, or changed what we may. */
extern void ke_relay_reconsider(KeRelay *relay);

/*
 * Do what can be done now.  Returns how many rows were published; *reason is
 * set when the process should end.
 */
extern int64 ke_relay_step(KeRelay *relay, char **reason);

/* What to sleep on, and until when. */
extern int	ke_relay_fd(KeRelay *relay);
extern void ke_relay_drain_fd(KeRelay *relay);
extern KeMoment ke_relay_due(const KeRelay *relay);

/* Is everything published that was there at the last look? */
extern bool ke_relay_is_idle(const KeRelay *relay);

/* What is wrong, or NULL; returns true once for each change of it. */
extern bool ke_relay_take_trouble(KeRelay *relay, const char **trouble);

/* Why brokers have not taken for long what was sent to them, or NULL. */
extern const char *ke_relay_stall(const KeRelay *relay);

/*
 * Send nothing more; go on with ke_relay_step until it is quiet, so that less
 * is sent again by the next process.
 */
extern void ke_relay_wind_up(KeRelay *relay);
extern bool ke_relay_is_quiet(const KeRelay *relay);

#endif							/* KE_RELAY_CYCLE_H */
