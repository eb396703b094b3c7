/*
 * oidc.h
 *	  Logins by a token that an OpenID Connect token endpoint gives.
 *
 * What is wrong with the options that librdkafka would take as they are, to
 * fail with them later.  Each returns "must ..." or NULL.
 */
#ifndef KE_OIDC_H
#define KE_OIDC_H

#include "core/options.h"

extern const char *ke_oidc_check_endpoint(const char *value);
extern const char *ke_oidc_check_scope(const char *value);
extern const char *ke_oidc_check_extensions(const char *value);

/* What no single option of a user mapping can break. */
extern void ke_oidc_check_together(List *options, List **problems);

/* What to do instead of a mechanism that we do not have, or NULL. */
extern const char *ke_oidc_instead_of(const char *mechanism);

/* Is that the mechanism? */
static inline bool
ke_oidc_is_used(const KeServerOptions *server)
{
	return strncmp(server->security_protocol, "sasl", 4) == 0 &&
		server->sasl_mechanism != NULL &&
		strcmp(server->sasl_mechanism, "OAUTHBEARER") == 0;
}

#endif							/* KE_OIDC_H */
