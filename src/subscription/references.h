/*
 * references.h
 *	  The objects a subscription refers to: recorded, resolved, renamed.
 *
 * Handler, validator, route and target table are recorded as dependencies of
 * the foreign table: those OIDs decide.  The text in the options is what a
 * dump carries; it decides only while nothing is recorded (after a restore)
 * and where an ALTER has just changed it.
 */
#ifndef KE_REFERENCES_H
#define KE_REFERENCES_H

#include "subscription/catalog.h"

/*
 * Fill in sub's handler, validator, route, into_table and their arguments,
 * from its option text and its recorded dependencies (none if sub->oid is
 * invalid).  With text_decides a text that differs from every recorded name
 * is looked up, with the session's search path; otherwise the recorded
 * objects win.  What cannot be found is left invalid and makes a problem.
 */
extern void ke_references_resolve(KeSubscription *sub, bool text_decides,
								  List **problems);

/*
 * Keep sub's objects from being dropped, renamed or given away until the
 * transaction ends.  One that is gone by then becomes invalid, and a problem.
 */
extern void ke_references_lock(KeSubscription *sub, List **problems);

/* Make the recorded dependencies those of sub; true if that changed any. */
extern bool ke_references_record(const KeSubscription *sub);

/*
 * Rewrite the option text to the names that sub's objects have now; true if
 * any differed.  Takes ShareUpdateExclusiveLock on the foreign table then.
 */
extern bool ke_references_rewrite(const KeSubscription *sub);

/*
 * The pattern of the server that has made a topic's subscription: the one
 * that is recorded, else, after a restore, the one that its option names; or
 * InvalidOid.  Its options, but for which topics, are added to those that the
 * subscription has itself.
 */
extern Oid	ke_references_pattern(Oid subscription, Oid server,
								  List **options);

/* What a pattern has made: a list of Oid. */
extern List *ke_references_members(Oid pattern);

/* Record it, so that nobody drops the one without the other; or forget it. */
extern void ke_references_link(Oid subscription, Oid pattern);
extern void ke_references_unlink(Oid subscription);

/* The foreign tables that depend on an object by a recorded dependency. */
extern List *ke_references_dependents(Oid class_id, Oid object_id);

#endif							/* KE_REFERENCES_H */
