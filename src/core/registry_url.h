/*
 * registry_url.h
 *	  Where a schema registry is: a list of URLs that are tried in turn.
 */
#ifndef KE_REGISTRY_URL_H
#define KE_REGISTRY_URL_H

#include "core/options.h"

/* What is wrong with the list ("must be ..."), or NULL. */
extern const char *ke_registry_url_check(const char *value);

/* Does each of the URLs, or one of them, begin with https://? */
extern bool ke_registry_url_is_secure(const char *value, bool each);

/*
 * The URLs of a checked list, as char * in the current context: without
 * blanks around them and slashes at their ends.
 */
extern List *ke_registry_url_split(const char *value);

/*
 * The base of Apicurio's own API at a URL: of a URL for its API of
 * Confluent's kind the one beside it.  In the current context.
 */
extern char *ke_registry_url_of_apicurio(const char *url);

/* The base of the API of Confluent's kind there, likewise. */
extern char *ke_registry_url_of_confluent(const char *url, KeRegistryId ids);

#endif							/* KE_REGISTRY_URL_H */
