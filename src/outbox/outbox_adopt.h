/*
 * outbox_adopt.h
 *	  The outbox after pg_upgrade, which gives servers other oids.
 *
 * Both need a transaction.
 */
#ifndef KE_OUTBOX_ADOPT_H
#define KE_OUTBOX_ADOPT_H

/*
 * Write down which server has which oid: to be called when one was made or
 * renamed, and when an identity was confirmed.  Does nothing in a database
 * whose identity is to be confirmed; there the old oids are still needed.
 */
extern void ke_outbox_adopt_note_servers(void);

/*
 * Give what the outbox has from before this database got another identity to
 * the servers that have the names now, if their oids are not what they were.
 * To be called before the identity is confirmed.
 */
extern void ke_outbox_adopt(void);

#endif							/* KE_OUTBOX_ADOPT_H */
