/*
 * subscription_define.h
 *	  Turns a foreign table that was just made or altered into a
 *	  subscription: owner, checks, recorded dependencies.
 */
#ifndef KE_SUBSCRIPTION_DEFINE_H
#define KE_SUBSCRIPTION_DEFINE_H

#include "subscription/catalog.h"

typedef enum KeSubscriptionKnown
{
	KE_ADOPT_CREATED,
	KE_ADOPT_ALTERED
} KeSubscriptionKnown;

/*
 * Needs the table's and the server's locks.  Raises what is wrong with it,
 * all at once; while a dump is being restored, nothing but its shape.
 */
extern void ke_subscription_define(Oid relid, KeSubscriptionKnown how);

/* Has this transaction made the relation, or changed it? */
extern bool ke_subscription_define_is_new(Oid relid);

/* Raise the problems of a subscription, if any, unless restoring. */
extern void ke_subscription_define_report(KeSubscription *sub, List *problems);

/* The name of a subscription in messages, as 'subscription "topic"'. */
extern char *ke_subscription_define_name(const char *topic);

/* Raise if it is unclear which database this is towards Kafka. */
extern void ke_subscription_define_require_identity(void);

/* Are there positions of the topic, so that it goes on from them? */
extern bool ke_subscription_define_was_consumed(KeServer *server,
												const char *topic);

/* Is there another subscription of its topic, or pattern like it? */
extern bool ke_subscription_define_is_second(KeServer *server,
											 const KeSubscription *sub,
											 bool pattern);

/* Raise: there is a subscription of this topic. */
extern void ke_subscription_define_refuse_second(KeServer *server,
												 const char *topic)
			pg_attribute_noreturn();

/* Raise: a thing of this name is no subscription. */
extern void ke_subscription_define_refuse_stranger(const char *name)
			pg_attribute_noreturn();

#endif							/* KE_SUBSCRIPTION_DEFINE_H */
