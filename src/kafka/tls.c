/*
 * tls.c
 *	  Why a TLS handshake failed, told apart further than the library does.
 *
 * The library says of every certificate that OpenSSL refuses one and the same
 * sentence, and of a client certificate that the broker refuses only the
 * number of an alert.  The reason of the former is seen by a callback, which
 * runs in the library's threads: it must not do more than store a number, and
 * must pass OpenSSL's verdict on as it is.
 */
#include "postgres.h"
#include "core/compat.h"

#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "core/pem.h"
#include "kafka/tls.h"

/*
 * Verdicts of OpenSSL (X509_V_ERR_...), whose numbers are part of its
 * interface; the library's header passes them on without their names.
 */
#define NOT_YET_VALID			9
#define HAS_EXPIRED				10
#define SELF_SIGNED				18
#define SELF_SIGNED_IN_CHAIN	19
#define NO_ISSUER				20
#define NO_LEAF_SIGNATURE		21
#define NO_ISSUER_AT_ALL		2
#define HOSTNAME_MISMATCH		62
#define IP_ADDRESS_MISMATCH		64

/* Called by threads of the library, for each certificate of a chain. */
static int
note_verdict(rd_kafka_t *rk, const char *broker_name, int32_t broker_id,
			 int *x509_error, int depth, const char *buf, size_t size,
			 char *errstr, size_t errstr_size, void *opaque)
{
	pg_atomic_uint32 *verdict = (pg_atomic_uint32 *) opaque;

	if (*x509_error == 0)
		return 1;
	pg_atomic_write_u32(verdict, (uint32) *x509_error);
	return 0;
}

/* The client's certificate, if the configuration has one. */
static char *
copy_certificate(const rd_kafka_conf_t *conf)
{
	static const char *const name = "ssl.certificate.pem";
	size_t		size = 0;
	char	   *pem;

	if (rd_kafka_conf_get(conf, name, NULL, &size) != RD_KAFKA_CONF_OK ||
		size <= 1)
		return NULL;
	pem = MemoryContextAllocZero(TopMemoryContext, size);
	if (rd_kafka_conf_get(conf, name, pem, &size) == RD_KAFKA_CONF_OK)
		return pem;
	pfree(pem);
	return NULL;
}

void
ke_tls_watch(KeTls *tls, rd_kafka_conf_t *conf)
{
	tls->certificate = copy_certificate(conf);
	tls->verdict = malloc(sizeof(pg_atomic_uint32));
	if (tls->verdict == NULL)
		return;
	pg_atomic_init_u32(tls->verdict, 0);
	rd_kafka_conf_set_opaque(conf, tls->verdict);

	/* a library without TLS says that it has none; nothing is lost then */
	(void) rd_kafka_conf_set_ssl_cert_verify_cb(conf, note_verdict);
}

void
ke_tls_forget(KeTls *tls, bool ended)
{
	if (ended)
		free(tls->verdict);
	tls->verdict = NULL;
	if (tls->certificate != NULL)
		pfree(tls->certificate);
	tls->certificate = NULL;
}

static int
error_of(uint32 verdict)
{
	switch (verdict)
	{
		case HAS_EXPIRED:
			return KE_CLIENT_BROKER_EXPIRED;
		case NOT_YET_VALID:
			return KE_CLIENT_BROKER_NOT_YET_VALID;
		case HOSTNAME_MISMATCH:
		case IP_ADDRESS_MISMATCH:
			return KE_CLIENT_BROKER_OTHER_HOST;
		case SELF_SIGNED:
		case SELF_SIGNED_IN_CHAIN:
		case NO_ISSUER:
		case NO_ISSUER_AT_ALL:
		case NO_LEAF_SIGNATURE:
			return KE_CLIENT_BROKER_OTHER_CA;
		default:
			return KE_CLIENT_BROKER_UNTRUSTED;
	}
}

/* The number of the alert that the broker sent, or -1. */
static int
find_alert(const char *text)
{
	static const char *const prefix = "SSL alert number ";
	const char *found = strstr(text, prefix);

	return found == NULL ? -1 : atoi(found + strlen(prefix));
}

/* Alerts that say that the other side wants another certificate of us. */
static bool
is_about_certificate(int alert)
{
	return (alert >= 42 && alert <= 46) || alert == 48 || alert == 49 ||
		alert == 116;
}

static int
judge_client(const KeTls *tls, char **detail)
{
	char	   *over;

	if (tls->certificate == NULL)
		return KE_CLIENT_CERTIFICATE_MISSING;
	over = ke_pem_expired_at(tls->certificate, GetCurrentTimestamp());
	if (over == NULL)
		return KE_CLIENT_CERTIFICATE_REFUSED;
	*detail = psprintf(" (%s)", over);
	return KE_CLIENT_CERTIFICATE_EXPIRED;
}

/* Behind "ssl://host:port/bootstrap", which the library begins with. */
static int
prefix_length(const char *text)
{
	const char *end;

	if (strncmp(text, "ssl://", 6) != 0 && strncmp(text, "sasl_ssl://", 11) != 0)
		return 0;
	end = strstr(text, ": ");
	return end == NULL ? 0 : end - text + 2;
}

int
ke_tls_explain(const KeTls *tls, int error, char *text, size_t size)
{
	uint32		verdict = tls->verdict != NULL ?
		pg_atomic_read_u32(tls->verdict) : 0;
	char	   *detail = "";
	char	   *explained;
	int			better = error;

	if (is_about_certificate(find_alert(text)))
		better = judge_client(tls, &detail);
	else if (strstr(text, "certificate verify failed") != NULL && verdict != 0)
		better = error_of(verdict);
	else if (error != RD_KAFKA_RESP_ERR__SSL)
		return error;
	else if (strstr(text, "unexpected eof") != NULL ||
			 strstr(text, "wrong version number") != NULL ||
			 strstr(text, "packet length too long") != NULL)
		better = KE_CLIENT_NO_TLS;
	if (better == error)
		return error;

	explained = psprintf("%.*s%s%s", prefix_length(text), text,
						 ke_client_error_name(better), detail);
	strlcpy(text, explained, size);
	return better;
}
