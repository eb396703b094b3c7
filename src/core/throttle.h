/*
 * throttle.h
 *	  The same line of the log at most once a minute.
 */
#ifndef KE_THROTTLE_H
#define KE_THROTTLE_H

/*
 * May this process write the line now?  It may not, if it was told that it
 * may write one with the same text less than a minute ago.  The text need
 * not be the line, only stand for it.  Allocates nothing, raises nothing.
 */
extern bool ke_throttle_allows(const char *text);

/* The same, taking texts that differ in their digits alone for equal. */
extern bool ke_throttle_allows_kind(const char *text);

/* What both are made from: now is a time in ms that only goes forward. */
extern bool ke_throttle_allows_at(const char *text, bool kind, int64 now_ms);

#endif							/* KE_THROTTLE_H */
