/*
 * extension.h
 *	  The extension itself as the catalogs have it, and its objects.
 *
 * All functions need a transaction.  An object that is not there is
 * InvalidOid, a text NULL.
 */
#ifndef KE_EXTENSION_H
#define KE_EXTENSION_H

/* Of the extension, its foreign-data wrapper and its private schema. */
#define KE_EXTENSION_NAME "kafka_events"

/* Of this library, and of the SQL objects that it installs. */
#define KE_EXTENSION_VERSION "1.1"

extern Oid	ke_extension(void);
extern Oid	ke_extension_wrapper(void); /* the foreign-data wrapper */
extern Oid	ke_extension_schema(void);	/* schema kafka_events */
extern Oid	ke_extension_private_table(const char *name);	/* in it */
extern Oid	ke_extension_message_type(void);	/* kafka_message */
extern char *ke_extension_version(void);	/* of the objects here */

/*
 * Can this library work with SQL objects of that version?  And which those
 * are, for people: "1.0, 1.1".
 */
extern bool ke_extension_is_served(const char *version);
extern const char *ke_extension_served(void);

/*
 * Keep the extension from being dropped or updated until the transaction
 * ends: taken before any other lock, so that nobody waits for DROP EXTENSION
 * while it waits for him.  Raises if it is gone.
 */
extern void ke_extension_lock(void);

#endif							/* KE_EXTENSION_H */
