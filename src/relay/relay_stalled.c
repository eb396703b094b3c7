/*
 * relay_stalled.c
 *	  Why brokers do not take for now what was sent to them.
 *
 * The library sends it again and again, and does not tell what brokers say to
 * that.  So when the oldest row has been under way for a while, its topic is
 * looked at.
 */
#include "postgres.h"
#include "core/compat.h"

#include "kafka/topic_admin.h"
#include "relay/relay.h"

#define STALLED_MS 5000
#define LOOK_INTERVAL_MS 5000
#define ASK_MS 500

#define MIN_INSYNC "min.insync.replicas"

/* The same row as at the last look; rows under way have numbers. */
static bool
is_stalled(KeRelay *relay, KeMoment now)
{
	const KeRelayWindow *window = &relay->window;

	if (window->head == window->tail ||
		ke_relay_window_row(window, window->head)->state != KE_ROW_SENT)
		relay->stalled_since = 0;
	else if (relay->stalled_since == 0 ||
			 relay->stalled_row != window->head)
	{
		relay->stalled_row = window->head;
		relay->stalled_since = now;
	}
	return relay->stalled_since != 0 &&
		ke_clock_passed(relay->stalled_since, now, STALLED_MS);
}

/* Who may not see how a topic is configured is told what else there is. */
static char *
explain_replicas(const KeTopicInfo *topic, const char *wanted)
{
	if (wanted != NULL && topic->in_sync < atoi(wanted))
		return psprintf("topic \"%s\" takes no messages: %d of %d replicas are in sync, and its " MIN_INSYNC " is %s",
						topic->name, topic->in_sync,
						topic->replication_factor, wanted);
	if (wanted == NULL && topic->in_sync < topic->replication_factor)
		return psprintf("topic \"%s\" takes no messages: %d of %d replicas are in sync, which may be fewer than its " MIN_INSYNC,
						topic->name, topic->in_sync,
						topic->replication_factor);
	return NULL;
}

/* What the cluster says of the topic. */
static char *
explain(KeRelay *relay, const char *name)
{
	KeTopicConfig config = {.name = MIN_INSYNC};
	KeTopicInfo topic;
	char	   *text;

	/* What was asked at the last look may have been answered since. */
	ke_producer_repeat(relay->strict, relay->stalled_since);
	if (ke_producer_topic(relay->strict, name, &topic, ASK_MS) != 0 ||
		topic.error != 0)
		return psprintf("no broker tells about topic \"%s\"", name);
	if (topic.leaderless > 0)
		return psprintf("%d of %d partitions of topic \"%s\" have no leader: their brokers are down",
						topic.leaderless, topic.partitions, name);
	(void) ke_topic_admin_describe(ke_producer_handle(relay->strict), name,
								   &config, 1, ASK_MS);
	text = explain_replicas(&topic, config.value);
	if (text != NULL)
		return text;
	return psprintf("brokers do not acknowledge messages to topic \"%s\"",
					name);
}

void
ke_relay_stalled_look(KeRelay *relay, KeMoment now)
{
	const KeRelayRow *row;

	if (!is_stalled(relay, now))
	{
		ke_relay_trouble_set(relay, &relay->stall, "");
		return;
	}
	if (now < relay->stalled_look_at)
		return;
	row = ke_relay_window_row(&relay->window, relay->window.head);
	ke_relay_trouble_set(relay, &relay->stall,
						 explain(relay, row->record.topic));
	relay->stalled_look_at = ke_clock_in(LOOK_INTERVAL_MS);
}
