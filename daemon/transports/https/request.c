/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/transports/https/request.h"

#include "daemon/transports/https/failure.h"
#include "daemon/transports/https/pool-private.h"

#include <gnutls/gnutls.h>
#include <string.h>

/* Larger than any answer: a message from the hub has 64 KiB. Source: iot-hub-protocol.md, 7.1. */
#define ANSWER_BYTES_MAX (512 * 1024)
/* Likewise; with all the answers 100 before it, of which curl would take any number. */
#define HEADERS_BYTES_MAX (128 * 1024)

#define AUTHORIZATION "Authorization: "

/* Headers that curl would add, and nobody reads. */
static const char *const unwanted[] = {"Accept:", "Content-Type:", "Expect:"};

static void
free_headers(SpokeRequest *request)
{
    for (struct curl_slist *node = request->headers; node != NULL; node = node->next)
        if (g_str_has_prefix(node->data, AUTHORIZATION))
            spoke_secret_wipe(node->data, strlen(node->data));
    g_clear_pointer(&request->headers, curl_slist_free_all);
}

void
spoke_request_free(SpokeRequest *request)
{
    if (request->easy != NULL)
        spoke_pool_give_easy(request->pool, request->easy);
    free_headers(request);
    g_clear_pointer(&request->body, g_byte_array_unref);
    g_free(request->detail);
    g_free(request);
}

static size_t
on_answer(char *data, size_t size, size_t n, void *user_data)
{
    SpokeRequest *request = user_data;

    if (request->body->len + size * n > ANSWER_BYTES_MAX)
        return 0; /* which ends it */
    g_byte_array_append(request->body, (const guint8 *)data, (guint)(size * n));
    return size * n;
}

static size_t
on_header(char *data, size_t size, size_t n, void *user_data)
{
    SpokeRequest *request = user_data;

    request->headers_bytes += size * n;
    return request->headers_bytes <= HEADERS_BYTES_MAX ? size * n : 0;
}

static gboolean
has_header(SpokeRequest *request, const char *start)
{
    for (const struct curl_slist *node = request->headers; node != NULL; node = node->next)
        if (g_str_has_prefix(node->data, start))
            return TRUE;
    return FALSE;
}

gboolean
spoke_request_prepare(SpokeRequest *request)
{
    request->easy = spoke_pool_take_easy(request->pool);
    request->body = g_byte_array_new();
    curl_easy_setopt(request->easy, CURLOPT_PRIVATE, request);
    curl_easy_setopt(request->easy, CURLOPT_ERRORBUFFER, request->error);
    curl_easy_setopt(request->easy, CURLOPT_WRITEFUNCTION, on_answer);
    curl_easy_setopt(request->easy, CURLOPT_WRITEDATA, request);
    curl_easy_setopt(request->easy, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(request->easy, CURLOPT_HEADERDATA, request);
    if (!request->funcs->prepare(request, request->user_data))
        return FALSE;

    for (size_t i = 0; i < G_N_ELEMENTS(unwanted); i++)
        if (!has_header(request, unwanted[i]))
            spoke_request_add_header(request, unwanted[i]);
    curl_easy_setopt(request->easy, CURLOPT_HTTPHEADER, request->headers);
    return TRUE;
}

SpokeRequest *
spoke_request_start(SpokePool *pool, const SpokeRequestFuncs *funcs, gpointer user_data)
{
    SpokeRequest *request = g_new0(SpokeRequest, 1);

    request->pool = pool;
    request->funcs = funcs;
    request->user_data = user_data;
    request->link.data = request;
    return spoke_pool_run(pool, request) ? request : NULL;
}

void
spoke_request_cancel(SpokeRequest *request)
{
    if (request->easy != NULL) {
        curl_multi_remove_handle(request->pool->multi, request->easy);
        g_queue_unlink(&request->pool->running, &request->link);
    } else {
        g_queue_unlink(&request->pool->waiting, &request->link);
    }
    spoke_request_free(request);
}

void
spoke_request_set_target(SpokeRequest *request, const char *method, const char *path)
{
    g_autofree char *url = g_strconcat(request->pool->base, path, NULL);

    curl_easy_setopt(request->easy, CURLOPT_URL, url);
    if (strcmp(method, "HEAD") == 0)
        curl_easy_setopt(request->easy, CURLOPT_NOBODY, 1L);
    else if (strcmp(method, "POST") == 0)
        spoke_request_set_body(request, "", 0);
    else if (strcmp(method, "GET") != 0)
        curl_easy_setopt(request->easy, CURLOPT_CUSTOMREQUEST, method);
}

void
spoke_request_add_header(SpokeRequest *request, const char *line)
{
    struct curl_slist *headers = curl_slist_append(request->headers, line);

    if (headers == NULL)
        g_error("No memory for a header");
    request->headers = headers;
}

void
spoke_request_authorize(SpokeRequest *request, SpokeSecret *token)
{
    if (token == NULL)
        return;

    char *line = g_strconcat(AUTHORIZATION, spoke_secret_peek(token), NULL);

    spoke_request_add_header(request, line);
    spoke_secret_free_text(line);
}

void
spoke_request_set_body(SpokeRequest *request, const void *body, size_t size)
{
    curl_easy_setopt(request->easy, CURLOPT_POST, 1L);
    curl_easy_setopt(request->easy, CURLOPT_POSTFIELDS, body); /* not copied */
    curl_easy_setopt(request->easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)size);
}

void
spoke_request_set_timeout(SpokeRequest *request, guint seconds)
{
    curl_easy_setopt(request->easy, CURLOPT_TIMEOUT, (long)seconds);
}

/* Returns: whether a moment of the transfer, one of curl's ..._TIME_T, has come */
static gboolean
has_reached(SpokeRequest *request, CURLINFO moment)
{
    curl_off_t usec = 0;

    return curl_easy_getinfo(request->easy, moment, &usec) == CURLE_OK && usec > 0;
}

/* curl's GnuTLS flavour has one code for all that may go wrong in a handshake: our own certificate,
 * too. */
static gboolean
is_key_pair_bad(const SpokePool *pool)
{
    gnutls_certificate_credentials_t credentials = NULL;

    if (pool->certificate_file == NULL || pool->key_file == NULL ||
        gnutls_certificate_allocate_credentials(&credentials) < 0)
        return FALSE;

    gboolean is_bad = gnutls_certificate_set_x509_key_file(credentials, pool->certificate_file,
                                                           pool->key_file, GNUTLS_X509_FMT_PEM) < 0;

    gnutls_certificate_free_credentials(credentials);
    return is_bad;
}

/* (transfer full): curl's text; it does not say which file it is that it can't use */
static char *
describe_failure(const SpokeRequest *request, CURLcode code, int os_error, SpokeCause cause)
{
    const SpokePool *pool = request->pool;
    const char *text = request->error[0] != '\0' ? request->error : curl_easy_strerror(code);

    switch (code) {
    case CURLE_WRITE_ERROR:
        return g_strdup("the answer is larger than any the hub gives");
    case CURLE_OUT_OF_MEMORY:
        return g_strdup(cause != SPOKE_CAUSE_PROTOCOL
                            ? text
                            : "a line of the answer's head is longer than any the hub gives");
    case CURLE_SSL_CACERT_BADFILE:
        return g_strdup_printf("CA file %s: %s", pool->ca_file, text);
    case CURLE_SSL_CERTPROBLEM:
        return g_strdup_printf("certificate %s with key %s: %s", pool->certificate_file,
                               pool->key_file, text);
    case CURLE_COULDNT_CONNECT:
        /* Where curl has tried again by itself, its text is that of the first failure. */
        return os_error != 0 ? g_strdup_printf("no connection to %s: %s",
                                               pool->proxy[0] != '\0' ? pool->proxy : pool->base,
                                               g_strerror(os_error))
                             : g_strdup(text);
    case CURLE_OPERATION_TIMEDOUT:
        return g_strdup_printf("%s%s", cause == SPOKE_CAUSE_TLS ? "in the TLS handshake: " : "",
                               text);
    default:
        return g_strdup(text);
    }
}

SpokeCause
spoke_request_get_failure(SpokeRequest *request, const char **ret_detail)
{
    SpokeFailure failure = {
        .code = request->code,
        .uses_proxy = request->pool->proxy[0] != '\0',
        .has_answered = request->pool->has_answered || request->code == CURLE_PARTIAL_FILE,
    };
    long number = 0;

    if (request->code == CURLE_OK)
        return SPOKE_CAUSE_NONE;
    if (request->code == CURLE_SSL_CONNECT_ERROR && is_key_pair_bad(request->pool))
        failure.code = CURLE_SSL_CERTPROBLEM;
    if (curl_easy_getinfo(request->easy, CURLINFO_OS_ERRNO, &number) == CURLE_OK)
        failure.os_error = (int)number;
    if (curl_easy_getinfo(request->easy, CURLINFO_HTTP_CONNECTCODE, &number) == CURLE_OK)
        failure.connect_status = (guint)number;
    failure.is_resolved = has_reached(request, CURLINFO_NAMELOOKUP_TIME_T);
    /* There is CURLINFO_CONNECT_TIME_T, which waits for the TLS handshake in some versions. */
    failure.is_connected =
        curl_easy_getinfo(request->easy, CURLINFO_LOCAL_PORT, &number) == CURLE_OK && number > 0;
    failure.is_secured = has_reached(request, CURLINFO_APPCONNECT_TIME_T) ||
                         has_reached(request, CURLINFO_PRETRANSFER_TIME_T);

    SpokeCause cause = spoke_failure_get_cause(&failure);

    g_free(request->detail);
    request->detail = describe_failure(request, failure.code, failure.os_error, cause);
    *ret_detail = request->detail;
    return cause;
}

/* Of an empty value libcurl (7.88) leaves the line's end. */
static const char *
value_of(const struct curl_header *header)
{
    return strcmp(header->value, "\r") != 0 ? header->value : "";
}

const char *
spoke_request_get_header(SpokeRequest *request, const char *name)
{
    struct curl_header *header = NULL;

    return curl_easy_header(request->easy, name, 0, CURLH_HEADER, -1, &header) == CURLHE_OK
               ? value_of(header)
               : NULL;
}

gconstpointer
spoke_request_next_header(SpokeRequest *request, gconstpointer previous, const char **ret_name,
                          const char **ret_value)
{
    struct curl_header *header =
        curl_easy_nextheader(request->easy, CURLH_HEADER, -1, (struct curl_header *)previous);

    if (header == NULL)
        return NULL;
    *ret_name = header->name;
    *ret_value = value_of(header);
    return header;
}

void
spoke_request_get_answer(SpokeRequest *request, SpokeAnswer *ret_answer)
{
    long status = 0;

    curl_easy_getinfo(request->easy, CURLINFO_RESPONSE_CODE, &status);
    *ret_answer = (SpokeAnswer){
        .status = (guint)status,
        .error_code = spoke_request_get_header(request, "iothub-errorcode"),
        .date = spoke_request_get_header(request, "Date"),
        .retry_after = spoke_request_get_header(request, "Retry-After"),
        .body = (const char *)request->body->data,
        .body_size = request->body->len,
    };
}
