/*
 * position_work.h
 *	  Which topic's messages this process is at work on.
 *
 * A transaction that moves the position of the message it processes could
 * never commit, and would be repeated for ever.
 */
#ifndef KE_POSITION_WORK_H
#define KE_POSITION_WORK_H

/* Until the next call; NULL: none.  Both live until then. */
extern void ke_position_work_set(const char *group_id, const char *topic);

/* Raises if it is this one. */
extern void ke_position_work_refuse(const char *group_id, const char *topic);

#endif							/* KE_POSITION_WORK_H */
