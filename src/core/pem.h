/*
 * pem.h
 *	  Certificates and private keys in PEM text.
 *
 * Where PostgreSQL was built without OpenSSL nothing is known about them:
 * every check is content, and no certificate expires.
 */
#ifndef KE_PEM_H
#define KE_PEM_H

#include "datatype/timestamp.h"

/* What is wrong with the text of certificates ("must be ..."), or NULL. */
extern const char *ke_pem_certificates_problem(const char *pem);

/* The same of a private key; password may be NULL. */
extern const char *ke_pem_key_problem(const char *pem, const char *password);

/* Is the key the first certificate's?  True where either cannot be read. */
extern bool ke_pem_belong_together(const char *certificate, const char *key,
								   const char *password);

/*
 * When the first certificate ends, in UTC and as OpenSSL writes a time; NULL
 * if it is not over at that time, or cannot be read.
 */
extern char *ke_pem_expired_at(const char *certificate, TimestampTz now);

#endif							/* KE_PEM_H */
