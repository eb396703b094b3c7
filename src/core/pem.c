/*
 * pem.c
 *	  Certificates and private keys in PEM text.
 *
 * OpenSSL is in every process already: PostgreSQL and librdkafka are linked
 * with it.  It reads here what librdkafka would read much later, in another
 * process, so that a mistake is refused where it is made.  Its queue of
 * errors, which PostgreSQL shares, is left empty.
 */
#include "postgres.h"
#include "core/compat.h"

#include "core/pem.h"
#include "utils/timestamp.h"

#ifdef USE_OPENSSL
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#endif

/* What an editor, or a secret store, makes of line ends. */
static const char *
layout_problem(const char *pem, const char *begin)
{
	const char *start = strstr(pem, begin);
	const char *end;

	if (start == NULL)
		return NULL;
	end = strstr(start, "-----END ");
	if (strstr(pem, "\\n") != NULL)
		return "must have line breaks where it has \\n now: write it as E'...', or with the lines themselves";
	if (end == NULL)
		return "must be complete PEM text: it has a line \"-----BEGIN\" without a line \"-----END\"";
	if (memchr(start, '\n', end - start) == NULL)
		return "must be PEM text with its line breaks: it is on one line";
	return NULL;
}

#ifdef USE_OPENSSL

typedef struct Password
{
	const char *text;			/* NULL: none */
	bool		asked;			/* so the key is encrypted */
} Password;

/* OpenSSL asks for the password; without us it would ask the terminal. */
static int
give_password(char *buf, int size, int rwflag, void *arg)
{
	Password   *password = (Password *) arg;
	int			length;

	password->asked = true;
	if (password->text == NULL)
		return -1;
	length = strlen(password->text);
	if (length > size)
		return -1;
	memcpy(buf, password->text, length);
	return length;
}

static EVP_PKEY *
read_key(const char *pem, Password *password)
{
	BIO		   *bio = BIO_new_mem_buf(pem, -1);
	EVP_PKEY   *key;

	if (bio == NULL)
		return NULL;
	key = PEM_read_bio_PrivateKey(bio, NULL, give_password, password);
	BIO_free(bio);
	ERR_clear_error();
	return key;
}

/* The first certificate, or NULL; *count is how many could be read. */
static X509 *
read_certificates(const char *pem, int *count)
{
	BIO		   *bio = BIO_new_mem_buf(pem, -1);
	Password	none = {NULL, false};
	X509	   *first = NULL;
	X509	   *next;

	*count = 0;
	if (bio == NULL)
		return NULL;
	while ((next = PEM_read_bio_X509(bio, NULL, give_password,
									 &none)) != NULL)
	{
		if ((*count)++ == 0)
			first = next;
		else
			X509_free(next);
	}
	BIO_free(bio);
	ERR_clear_error();
	return first;
}

static int
count_begins(const char *pem)
{
	int			count = 0;

	while ((pem = strstr(pem, "-----BEGIN CERTIFICATE-----")) != NULL)
	{
		count++;
		pem++;
	}
	return count;
}

static const char *
certificates_content_problem(const char *pem)
{
	int			count;
	X509	   *first = read_certificates(pem, &count);

	if (first != NULL)
		X509_free(first);
	if (count < count_begins(pem))
		return psprintf("must be PEM text with certificates, but certificate %d in it cannot be read",
						count + 1);
	return NULL;
}

static const char *
key_content_problem(const char *pem, const char *text)
{
	Password	password = {text, false};
	EVP_PKEY   *key = read_key(pem, &password);

	if (key != NULL)
	{
		EVP_PKEY_free(key);
		return NULL;
	}
	if (!password.asked)
		return "must be PEM text with a private key, but the key in it cannot be read";
	if (text == NULL)
		return "is encrypted: it needs option \"ssl_key_password\"";
	return "cannot be read with the password in option \"ssl_key_password\"";
}

bool
ke_pem_belong_together(const char *certificate, const char *key,
					   const char *password)
{
	Password	secret = {password, false};
	int			count;
	X509	   *cert = read_certificates(certificate, &count);
	EVP_PKEY   *pkey = read_key(key, &secret);
	bool		fits = true;

	if (cert != NULL && pkey != NULL)
		fits = X509_check_private_key(cert, pkey) == 1;
	ERR_clear_error();
	if (cert != NULL)
		X509_free(cert);
	if (pkey != NULL)
		EVP_PKEY_free(pkey);
	return fits;
}

static char *
show_time(const ASN1_TIME *when)
{
	BIO		   *bio = BIO_new(BIO_s_mem());
	char		text[64];
	int			length = 0;

	if (bio == NULL)
		return pstrdup("an unknown time");
	if (ASN1_TIME_print(bio, when) == 1)
		length = BIO_read(bio, text, sizeof(text));
	BIO_free(bio);
	ERR_clear_error();
	return pnstrdup(text, Max(length, 0));
}

char *
ke_pem_expired_at(const char *certificate, TimestampTz now)
{
	time_t		at = (time_t) timestamptz_to_time_t(now);
	int			count;
	X509	   *cert = read_certificates(certificate, &count);
	char	   *over = NULL;

	if (cert == NULL)
		return NULL;
	if (X509_cmp_time(X509_get0_notAfter(cert), &at) < 0)
		over = show_time(X509_get0_notAfter(cert));
	X509_free(cert);
	ERR_clear_error();
	return over;
}

#else							/* !USE_OPENSSL */

static const char *
certificates_content_problem(const char *pem)
{
	return NULL;
}

static const char *
key_content_problem(const char *pem, const char *text)
{
	return NULL;
}

bool
ke_pem_belong_together(const char *certificate, const char *key,
					   const char *password)
{
	return true;
}

char *
ke_pem_expired_at(const char *certificate, TimestampTz now)
{
	return NULL;
}

#endif							/* USE_OPENSSL */

const char *
ke_pem_certificates_problem(const char *pem)
{
	const char *problem = layout_problem(pem, "-----BEGIN CERTIFICATE-----");

	return problem != NULL ? problem : certificates_content_problem(pem);
}

const char *
ke_pem_key_problem(const char *pem, const char *password)
{
	const char *problem = layout_problem(pem, "-----BEGIN ");

	return problem != NULL ? problem : key_content_problem(pem, password);
}
