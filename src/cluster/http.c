/*
 * http.c
 *	  Questions by HTTP that nobody waits for: libcurl's multi interface.
 *
 * No callback of libcurl's may raise an error: it would jump over libcurl's
 * frames.  So they take memory from malloc, and report that there is none.
 * Threads that libcurl makes (it looks up names in one) get no signals.
 *
 * The only file that includes curl.h.
 */
#include "postgres.h"
#include "core/compat.h"

#include <curl/curl.h>
#include <signal.h>

#include "core/clock.h"
#include "cluster/http.h"

#define CONNECT_TIMEOUT_MS 3000L
#define TIMEOUT_MS 15000L

/* Of all transfers; libcurl has one or two for each. */
#define MAX_SOCKETS 64

struct KeHttp
{
	CURL	   *easy;
	struct curl_slist *headers;
	bool		over;
	bool		too_long;
	int			status;
	char	   *body;			/* malloc'd, or NULL */
	size_t		len;
	size_t		allocated;
	char		content_type[128];
	char		problem[CURL_ERROR_SIZE];
};

static CURLM *multi = NULL;

/* What libcurl wants to be waited for; kept by note_socket. */
static KeHttpSocket sockets[MAX_SOCKETS];
static int	nsockets = 0;
static uint64 sockets_version = 0;

static KeMoment timer_at = DT_NOEND;

/* ------------------------------------------------------------- callbacks */

static int
note_socket(CURL *easy, curl_socket_t fd, int what, void *data, void *socketp)
{
	int			i;

	for (i = 0; i < nsockets && sockets[i].fd != fd; i++)
		;
	sockets_version++;
	if (what == CURL_POLL_REMOVE)
	{
		if (i < nsockets)
			sockets[i] = sockets[--nsockets];
		return 0;
	}
	if (i == MAX_SOCKETS)
		return -1;
	if (i == nsockets)
		nsockets++;
	sockets[i].fd = fd;
	sockets[i].readable = (what & CURL_POLL_IN) != 0;
	sockets[i].writable = (what & CURL_POLL_OUT) != 0;
	return 0;
}

static int
note_timer(CURLM *handle, long ms, void *data)
{
	timer_at = ms < 0 ? DT_NOEND : ke_clock_in(ms);
	return 0;
}

/* Another number than it was given ends the transfer. */
static size_t
take_body(char *bytes, size_t size, size_t count, void *data)
{
	KeHttp	   *http = (KeHttp *) data;
	size_t		more = size * count;

	if (more > KE_HTTP_MAX_BODY - http->len)
	{
		http->too_long = true;
		return 0;
	}
	if (http->len + more >= http->allocated)
	{
		size_t		wanted = Max(2 * http->allocated, http->len + more + 1);
		char	   *larger;

		wanted = Max(wanted, 4096);
		larger = realloc(http->body, wanted);
		if (larger == NULL)
			return 0;
		http->body = larger;
		http->allocated = wanted;
	}
	memcpy(http->body + http->len, bytes, more);
	http->len += more;
	http->body[http->len] = '\0';
	return more;
}

/* ------------------------------------------------------- without signals */

static sigset_t saved_signals;

static void
block_signals(void)
{
	sigset_t	all;

	sigfillset(&all);
	(void) pthread_sigmask(SIG_SETMASK, &all, &saved_signals);
}

static void
restore_signals(void)
{
	(void) pthread_sigmask(SIG_SETMASK, &saved_signals, NULL);
}

/* ----------------------------------------------------------------- begin */

static void
out_of_memory(void)
{
	ereport(ERROR,
			(errcode(ERRCODE_OUT_OF_MEMORY),
			 errmsg("out of memory"),
			 errdetail("libcurl could not be set up.")));
}

static void
open_multi(void)
{
	if (multi != NULL)
		return;
	if (curl_global_init(CURL_GLOBAL_DEFAULT) != 0)
		out_of_memory();
	multi = curl_multi_init();
	if (multi == NULL)
		out_of_memory();
	(void) curl_multi_setopt(multi, CURLMOPT_SOCKETFUNCTION, note_socket);
	(void) curl_multi_setopt(multi, CURLMOPT_TIMERFUNCTION, note_timer);
	(void) curl_multi_setopt(multi, CURLMOPT_MAX_TOTAL_CONNECTIONS, 16L);
	(void) curl_multi_setopt(multi, CURLMOPT_MAXCONNECTS, 8L);
}

/* False: an option was not taken, which has no other cause than memory. */
static bool
set_security(KeHttp *http, const KeHttpQuestion *question)
{
	CURL	   *easy = http->easy;
	CURLcode	failed = CURLE_OK;

	failed |= curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
	failed |= curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
	failed |= curl_easy_setopt(easy, CURLOPT_PROXY, "");
	failed |= curl_easy_setopt(easy, CURLOPT_NETRC,
							   (long) CURL_NETRC_IGNORED);
	failed |= curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, 1L);
	failed |= curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, 2L);
	failed |= curl_easy_setopt(easy, CURLOPT_SSLVERSION,
							   (long) CURL_SSLVERSION_TLSv1_2);
	if (question->ca_pem != NULL)
	{
		struct curl_blob blob = {
			.data = unconstify(char *, question->ca_pem),
			.len = strlen(question->ca_pem),
			.flags = CURL_BLOB_COPY
		};

		failed |= curl_easy_setopt(easy, CURLOPT_CAINFO_BLOB, &blob);
		failed |= curl_easy_setopt(easy, CURLOPT_CAPATH, NULL);
	}
	if (question->token != NULL)
	{
		failed |= curl_easy_setopt(easy, CURLOPT_HTTPAUTH,
								   (long) CURLAUTH_BEARER);
		failed |= curl_easy_setopt(easy, CURLOPT_XOAUTH2_BEARER,
								   question->token);
	}
	else if (question->username != NULL)
	{
		failed |= curl_easy_setopt(easy, CURLOPT_HTTPAUTH,
								   (long) CURLAUTH_BASIC);
		failed |= curl_easy_setopt(easy, CURLOPT_USERNAME,
								   question->username);
		failed |= curl_easy_setopt(easy, CURLOPT_PASSWORD,
								   question->password);
	}
	return failed == CURLE_OK;
}

static bool
set_transfer(KeHttp *http, const KeHttpQuestion *question)
{
	CURL	   *easy = http->easy;
	CURLcode	failed = CURLE_OK;

	http->headers =
		curl_slist_append(NULL, "Accept: application/vnd.schemaregistry.v1+json, application/json, */*");
	failed |= curl_easy_setopt(easy, CURLOPT_HTTPHEADER, http->headers);
	failed |= curl_easy_setopt(easy, CURLOPT_URL, question->url);
	failed |= curl_easy_setopt(easy, CURLOPT_USERAGENT, "kafka_events");
	failed |= curl_easy_setopt(easy, CURLOPT_HTTP_VERSION,
							   (long) CURL_HTTP_VERSION_1_1);
	failed |= curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
	failed |= curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS,
							   CONNECT_TIMEOUT_MS);
	failed |= curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, TIMEOUT_MS);
	failed |= curl_easy_setopt(easy, CURLOPT_TCP_KEEPALIVE, 1L);
	failed |= curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, http->problem);
	failed |= curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, take_body);
	failed |= curl_easy_setopt(easy, CURLOPT_WRITEDATA, http);
	failed |= curl_easy_setopt(easy, CURLOPT_PRIVATE, http);
	return failed == CURLE_OK && http->headers != NULL;
}

KeHttp *
ke_http_begin(const KeHttpQuestion *question)
{
	KeHttp	   *http;
	CURLMcode	added;

	open_multi();
	http = calloc(1, sizeof(KeHttp));
	if (http == NULL)
		out_of_memory();
	http->easy = curl_easy_init();
	if (http->easy == NULL || !set_security(http, question) ||
		!set_transfer(http, question))
	{
		ke_http_free(http);
		out_of_memory();
	}
	block_signals();
	added = curl_multi_add_handle(multi, http->easy);
	restore_signals();
	if (added != CURLM_OK)
	{
		ke_http_free(http);
		out_of_memory();
	}
	return http;
}

void
ke_http_free(KeHttp *http)
{
	if (http->easy != NULL)
	{
		block_signals();
		(void) curl_multi_remove_handle(multi, http->easy);
		curl_easy_cleanup(http->easy);
		restore_signals();
	}
	curl_slist_free_all(http->headers);
	free(http->body);
	free(http);
}

/* ------------------------------------------------------------------ over */

/* Why there is no answer, in words of ours where libcurl's are not enough. */
static void
explain(KeHttp *http, CURLcode code)
{
	if (http->too_long)
		strlcpy(http->problem, "the answer is longer than 16 MB",
				sizeof(http->problem));
	else if (code == CURLE_OPERATION_TIMEDOUT)
		strlcpy(http->problem, "it does not answer in time",
				sizeof(http->problem));
	else if (http->problem[0] == '\0')
		strlcpy(http->problem, curl_easy_strerror(code),
				sizeof(http->problem));
}

static void
finish(KeHttp *http, CURLcode code)
{
	long		status = 0;
	char	   *type = NULL;

	http->over = true;
	if (code != CURLE_OK)
	{
		explain(http, code);
		return;
	}
	(void) curl_easy_getinfo(http->easy, CURLINFO_RESPONSE_CODE, &status);
	(void) curl_easy_getinfo(http->easy, CURLINFO_CONTENT_TYPE, &type);
	http->status = (int) status;
	strlcpy(http->content_type, type != NULL ? type : "",
			sizeof(http->content_type));
}

static void
collect_finished(void)
{
	CURLMsg    *msg;
	int			left;

	while ((msg = curl_multi_info_read(multi, &left)) != NULL)
	{
		char	   *http = NULL;

		if (msg->msg != CURLMSG_DONE)
			continue;
		(void) curl_easy_getinfo(msg->easy_handle, CURLINFO_PRIVATE, &http);
		finish((KeHttp *) http, msg->data.result);
	}
}

KeMoment
ke_http_step(KeMoment now)
{
	KeHttpSocket copies[MAX_SOCKETS];
	int			count = nsockets;
	int			running;

	if (multi == NULL)
		return DT_NOEND;
	memcpy(copies, sockets, sizeof(copies));
	block_signals();
	if (timer_at <= now)
	{
		timer_at = DT_NOEND;
		(void) curl_multi_socket_action(multi, CURL_SOCKET_TIMEOUT, 0,
										&running);
	}
	/* without a hint which is ready: libcurl looks for itself */
	for (int i = 0; i < count; i++)
		(void) curl_multi_socket_action(multi, copies[i].fd, 0, &running);
	collect_finished();
	restore_signals();
	return timer_at;
}

int
ke_http_sockets(const KeHttpSocket **list, uint64 *version)
{
	*list = sockets;
	*version = sockets_version;
	return nsockets;
}

bool
ke_http_is_over(const KeHttp *http)
{
	return http->over;
}

int
ke_http_status(const KeHttp *http)
{
	return http->status;
}

const char *
ke_http_problem(const KeHttp *http)
{
	return http->problem;
}

const char *
ke_http_body(const KeHttp *http, int *len)
{
	*len = (int) http->len;
	return http->body != NULL ? http->body : "";
}

const char *
ke_http_content_type(const KeHttp *http)
{
	return http->content_type;
}
