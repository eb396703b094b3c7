/*
 * read_only.h
 *	  Whether transactions of this session are still to be read-only.
 */
#ifndef KE_READ_ONLY_H
#define KE_READ_ONLY_H

/* Before the session connects. */
extern void ke_read_only_connecting(void);

/*
 * In a transaction that has just begun and is read-only, which it is not any
 * more if a session that began now would not make it so.
 */
extern void ke_read_only_look_again(void);

#endif							/* KE_READ_ONLY_H */
