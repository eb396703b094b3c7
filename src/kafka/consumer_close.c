/*
 * consumer_close.c
 *	  A member of a consumer group leaves it.
 *
 * The library's own way to end a member cannot be trusted (see handle.c), so
 * what is waited for here is waited for with a limit, and the process ends
 * soon after.  Nothing here raises: part of it runs while the process exits.
 */
#include "postgres.h"
#include "core/compat.h"

#include "storage/ipc.h"

#include "kafka/consumer_internal.h"
#include "kafka/query.h"

/*
 * How long ke_consumer_close waits at most for the group to let go.  The other
 * members join again within a heartbeat_interval, unless they are busy.
 */
#define LEAVE_MS 3500
#define LEAVE_SLICE_MS 20

/* Likewise in a process that ends because of an error. */
#define EXIT_LEAVE_MS 1500

static bool
is_member(KeConsumer *consumer)
{
	char	   *id = rd_kafka_memberid(consumer->handle.rk);
	bool		result = id != NULL && id[0] != '\0';

	if (id != NULL)
		rd_kafka_mem_free(consumer->handle.rk, id);
	return result;
}

/*
 * Answer whatever rebalance event waits for an answer: an assignment of
 * nothing is taken by an ASSIGN and harmless otherwise, giving up everything
 * likewise by a REVOKE.
 */
static void
give_up_everything(KeConsumer *consumer)
{
	rd_kafka_topic_partition_list_t *nothing;
	rd_kafka_topic_partition_list_t *everything = NULL;
	rd_kafka_t *rk = consumer->handle.rk;

	nothing = rd_kafka_topic_partition_list_new(0);
	rd_kafka_error_destroy(rd_kafka_incremental_assign(rk, nothing));
	rd_kafka_topic_partition_list_destroy(nothing);

	if (rd_kafka_assignment(rk, &everything) != RD_KAFKA_RESP_ERR_NO_ERROR)
		return;
	rd_kafka_error_destroy(rd_kafka_incremental_unassign(rk, everything));
	rd_kafka_topic_partition_list_destroy(everything);
}

/*
 * Wait until the coordinator has heard that we leave: it answers one
 * connection's requests in order, so any answer to a later one will do.  It
 * does so only when the group has joined, if we are just joining again.
 */
static void
confirm_leave(KeConsumer *consumer, int64 deadline)
{
	rd_kafka_topic_partition_list_t *any;
	int64		left = deadline - ke_query_now_ms();

	any = rd_kafka_topic_partition_list_new(1);
	rd_kafka_topic_partition_list_add(any, "any", 0);
	(void) rd_kafka_committed(consumer->handle.rk, any,
							  (int) Max(left, LEAVE_SLICE_MS));
	rd_kafka_topic_partition_list_destroy(any);
}

/* Serve the queue until we are a member, or are none, or time is up. */
static void
await_membership(KeConsumer *consumer, bool wanted, int64 deadline)
{
	while (is_member(consumer) != wanted && ke_query_slice(deadline) > 0)
	{
		rd_kafka_event_t *rkev;

		rkev = rd_kafka_queue_poll(consumer->handle.queue, LEAVE_SLICE_MS);
		if (rd_kafka_event_type(rkev) == RD_KAFKA_EVENT_REBALANCE)
			give_up_everything(consumer);
		rd_kafka_event_destroy(rkev);
	}
}

/*
 * A static member leaves only by unsubscribing; closing keeps its place.  The
 * member's id is taken from it when the request to leave is sent.  Who has
 * just asked to join has no id yet, and would stay as a member that is dead:
 * the whole group would wait for it until its session_timeout.  So we wait
 * for the group to join; but it may itself wait for a dead member that long,
 * and so do we not.
 */
static void
leave_group(KeConsumer *consumer)
{
	int64		deadline = ke_query_now_ms() + LEAVE_MS;

	if (consumer->rebalancing)
		give_up_everything(consumer);
	if (consumer->subscribed)
		await_membership(consumer, true, deadline);
	if (!is_member(consumer))
		return;
	rd_kafka_unsubscribe(consumer->handle.rk);
	await_membership(consumer, false, deadline);
	if (!is_member(consumer))
		confirm_leave(consumer, deadline);
}

/*
 * KIP-848's way to leave.  The queue is another one than ours, which the
 * library would tie to itself.
 */
static void
leave_by_closing(KeConsumer *consumer, int64 deadline)
{
	rd_kafka_t *rk = consumer->handle.rk;
	rd_kafka_queue_t *queue;
	rd_kafka_error_t *error;

	if (consumer->closed || !consumer->subscribed)
		return;
	consumer->closed = true;
	if (consumer->rebalancing)
		give_up_everything(consumer);
	queue = rd_kafka_queue_new(rk);
	error = rd_kafka_consumer_close_queue(rk, queue);
	while (error == NULL && !rd_kafka_consumer_closed(rk) &&
		   ke_query_slice(deadline) > 0)
	{
		rd_kafka_event_t *rkev = rd_kafka_queue_poll(queue, LEAVE_SLICE_MS);

		if (rd_kafka_event_type(rkev) == RD_KAFKA_EVENT_REBALANCE)
			give_up_everything(consumer);
		rd_kafka_event_destroy(rkev);
	}
	if (error != NULL)
		rd_kafka_error_destroy(error);
	rd_kafka_queue_destroy(queue);
}

/*
 * on_proc_exit callback: a member of KIP-848's protocol has no place that is
 * kept for it, so whatever it ends of, others are to have its partitions.
 */
static void
leave_at_exit(int code, Datum arg)
{
	leave_by_closing((KeConsumer *) DatumGetPointer(arg),
					 ke_query_now_ms() + EXIT_LEAVE_MS);
}

void
ke_consumer_close_at_exit(KeConsumer *consumer)
{
	on_proc_exit(leave_at_exit, PointerGetDatum(consumer));
}

void
ke_consumer_close(KeConsumer *consumer, bool leave)
{
	if (consumer->consumer_protocol)
		leave_by_closing(consumer, ke_query_now_ms() + LEAVE_MS);
	else if (leave)
		leave_group(consumer);
}
