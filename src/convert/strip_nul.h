/*
 * strip_nul.h
 *	  NULs out of text, which PostgreSQL's types cannot hold.
 */
#ifndef KE_STRIP_NUL_H
#define KE_STRIP_NUL_H

/*
 * The bytes without NULs and without the JSON escape \u0000: bytes itself if
 * there are none, else a copy in the current context and its length.
 */
extern const char *ke_strip_nul(const char *bytes, int32 *len);

#endif							/* KE_STRIP_NUL_H */
