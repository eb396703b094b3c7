/*
 * http.h
 *	  Questions by HTTP that nobody waits for: libcurl's multi interface.
 *
 * For the manager, on its main thread.  A transfer is begun, then its sockets
 * are waited for along with everything else, ke_http_step carries it on, and
 * some round later it is over.  Only http and https, no redirects, no proxy
 * (the environment's variables mean nothing here), nothing compressed.
 */
#ifndef KE_HTTP_H
#define KE_HTTP_H

#include "core/clock.h"

/* Longest answer that is taken. */
#define KE_HTTP_MAX_BODY (16 * 1024 * 1024)

/* All strings are copied. */
typedef struct KeHttpQuestion
{
	const char *url;
	const char *username;		/* NULL: none; so for the next three */
	const char *password;
	const char *token;
	const char *ca_pem;			/* NULL: the system's authorities */
} KeHttpQuestion;

typedef struct KeHttp KeHttp;

/* Begin; raises if libcurl has no memory. */
extern KeHttp *ke_http_begin(const KeHttpQuestion *question);

/* Is it over, one way or the other? */
extern bool ke_http_is_over(const KeHttp *http);

/*
 * Of one that is over: the status, 0 if there was no answer.  Then problem
 * says why, for people, and otherwise there are the body (with a NUL behind
 * it) and its content type (or an empty string).
 */
extern int	ke_http_status(const KeHttp *http);
extern const char *ke_http_problem(const KeHttp *http);
extern const char *ke_http_body(const KeHttp *http, int *len);
extern const char *ke_http_content_type(const KeHttp *http);

/* Over or not; it is gone then. */
extern void ke_http_free(KeHttp *http);

/* Carry all on; returns when to call again, if no socket is ready before. */
extern KeMoment ke_http_step(KeMoment now);

/* What to wait for. */
typedef struct KeHttpSocket
{
	int			fd;
	bool		readable;		/* either, or both */
	bool		writable;
} KeHttpSocket;

/* *version is another number when any of them has changed. */
extern int	ke_http_sockets(const KeHttpSocket **sockets, uint64 *version);

#endif							/* KE_HTTP_H */
