/*
 * tls.h
 *	  Why a TLS handshake failed, told apart further than the library does.
 */
#ifndef KE_TLS_H
#define KE_TLS_H

#include "port/atomics.h"

#include "kafka/client.h"
#include "kafka/library.h"

typedef struct KeTls
{
	/*
	 * OpenSSL's newest refusal, written by the library's threads; 0: none.
	 * malloc'd, as these may outlive the handle; NULL: memory was short.
	 */
	pg_atomic_uint32 *verdict;
	char	   *certificate;	/* the client's, PEM, or NULL; palloc'd */
} KeTls;

/*
 * Before the handle is made; call ke_tls_forget() when it is destroyed, and
 * say whether the library's threads have ended by then.
 */
extern void ke_tls_watch(KeTls *tls, rd_kafka_conf_t *conf);
extern void ke_tls_forget(KeTls *tls, bool ended);

/*
 * An error's text may tell of TLS.  Returns another error, one of
 * KeClientError, and writes what it says to text; or returns the same error
 * and leaves the text alone.
 */
extern int	ke_tls_explain(const KeTls *tls, int error, char *text,
						   size_t size);

#endif							/* KE_TLS_H */
