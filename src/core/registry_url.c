/*
 * registry_url.c
 *	  Where a schema registry is: a list of URLs that are tried in turn.
 *
 * A URL has no name and password in it: every user can read a server's
 * options.
 */
#include "postgres.h"
#include "core/compat.h"

#include <ctype.h>

#include "common/string.h"

#include "core/registry_url.h"

#define PLAIN "http://"
#define SECURE "https://"

#define URL_MAX_LEN 1000

#define RULE \
	"must be a list of http://host:port/path or https://host:port/path separated by commas"

/* Where Apicurio has its own API, and the one that is like Confluent's. */
#define APICURIO_API "/apis/registry/v2"
#define CONFLUENT_API "/apis/ccompat/"
#define CONFLUENT_API_NEWEST "/apis/ccompat/v7"

/* Behind the scheme, or NULL if it is none that we know. */
static const char *
skip_scheme(const char *url)
{
	if (pg_strncasecmp(url, PLAIN, strlen(PLAIN)) == 0)
		return url + strlen(PLAIN);
	if (pg_strncasecmp(url, SECURE, strlen(SECURE)) == 0)
		return url + strlen(SECURE);
	return NULL;
}

static bool
is_host_character(char c)
{
	return isalnum((unsigned char) c) || c == '.' || c == '-' || c == '_';
}

/* Behind the host, or p itself if there is none. */
static const char *
skip_host(const char *p)
{
	if (*p == '[')
	{
		size_t		len = strspn(p + 1, "0123456789abcdefABCDEF:.");

		return len > 0 && p[1 + len] == ']' ? p + len + 2 : p;
	}
	while (is_host_character(*p))
		p++;
	return p;
}

/* What is wrong with one URL, or NULL. */
static const char *
check_one(const char *url)
{
	const char *host = skip_scheme(url);
	const char *p;

	if (host == NULL)
		return RULE;
	if (strlen(url) > URL_MAX_LEN)
		return "must not contain a URL of more than 1000 characters";
	p = host + strcspn(host, "/");
	if (memchr(host, '@', p - host) != NULL)
		return "must not contain a name or password: give them to the user mapping as schema_registry_username and schema_registry_password";
	p = skip_host(host);
	if (p == host)
		return RULE;
	if (*p == ':')
	{
		char	   *end;
		int			port;

		if (!isdigit((unsigned char) p[1]))
			return RULE;
		errno = 0;
		port = strtoint(p + 1, &end, 10);
		if (errno != 0 || port < 1 || port > 65535)
			return RULE;
		p = end;
	}
	if (*p != '\0' && *p != '/')
		return RULE;
	for (; *p != '\0'; p++)
	{
		if (*p <= ' ' || *p > '~' || strchr("?#\"<>\\^`{|}", *p) != NULL)
			return RULE;
	}
	return NULL;
}

List *
ke_registry_url_split(const char *value)
{
	List	   *urls = NIL;
	char	   *rest = pstrdup(value);

	for (;;)
	{
		char	   *end = strchr(rest, ',');
		int			len;

		if (end != NULL)
			*end = '\0';
		while (*rest == ' ')
			rest++;
		len = strlen(rest);
		while (len > 0 && (rest[len - 1] == ' ' || rest[len - 1] == '/'))
			rest[--len] = '\0';
		urls = lappend(urls, rest);
		if (end == NULL)
			return urls;
		rest = end + 1;
	}
}

const char *
ke_registry_url_check(const char *value)
{
	ListCell   *lc;

	foreach(lc, ke_registry_url_split(value))
	{
		const char *rule = check_one((char *) lfirst(lc));

		if (rule != NULL)
			return rule;
	}
	return NULL;
}

bool
ke_registry_url_is_secure(const char *value, bool each)
{
	ListCell   *lc;

	foreach(lc, ke_registry_url_split(value))
	{
		bool		secure = pg_strncasecmp((char *) lfirst(lc), SECURE,
											strlen(SECURE)) == 0;

		if (secure != each)
			return secure;
	}
	return each;
}

char *
ke_registry_url_of_apicurio(const char *url)
{
	const char *api = strstr(url, CONFLUENT_API);

	if (api != NULL)
		return psprintf("%.*s" APICURIO_API, (int) (api - url), url);
	if (strstr(url, "/apis/registry/") != NULL)
		return pstrdup(url);
	return psprintf("%s" APICURIO_API, url);
}

char *
ke_registry_url_of_confluent(const char *url, KeRegistryId ids)
{
	const char *api = strstr(url, "/apis/registry/");

	if (api != NULL)
		return psprintf("%.*s" CONFLUENT_API_NEWEST, (int) (api - url), url);
	if (ids == KE_REGISTRY_ID_CONFLUENT || strstr(url, CONFLUENT_API) != NULL)
		return pstrdup(url);
	return psprintf("%s" CONFLUENT_API_NEWEST, url);
}
