/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/transports/https/pool-private.h"

#include <string.h>
#include <unistd.h>

/*
 * curl's multi-socket interface as one GSource: curl says which sockets it wants watched for what,
 * and when it wants to be called without any; both go into the source, which sleeps otherwise. What
 * has ended is looked for after each call into curl and reported then, never from within curl, so
 * that callbacks may start and cancel requests, and free the pool, as they like. It is held by a
 * reference for as long as one of its functions is at work.
 */
typedef struct {
    curl_socket_t fd;
    gpointer tag;
} PoolSocket;

typedef struct {
    GSource source;
    SpokePool *pool; /* borrowed; destroys us */
} PoolSource;

typedef struct {
    curl_socket_t fd;
    int events;
} Ready;

/* Debian's libcurl reads the folder with all its single files otherwise: for each connection anew,
 * for 25 ms instead of 5, while the main loop waits. */
#define SYSTEM_CA_FILE "/etc/ssl/certs/ca-certificates.crt"

#define IDLE_SEC 30 /* without a byte in either direction a request has failed */

static void
pool_clear(gpointer data)
{
    SpokePool *pool = data;

    g_array_unref(pool->sockets);
    g_ptr_array_unref(pool->spares);
    g_source_unref(pool->source);
    g_free(pool->base);
    g_free(pool->ca_file);
    g_free(pool->certificate_file);
    g_free(pool->key_file);
    g_free(pool->proxy);
    g_free(pool->proxy_user);
    spoke_secret_unref(pool->proxy_password);
    g_free(pool->product);
}

/* Easy handles */

static void
set_security(SpokePool *pool, CURL *easy)
{
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "https");
    curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(easy, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, 1L);
    curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, 2L);
    if (pool->ca_file != NULL) {
        curl_easy_setopt(easy, CURLOPT_CAINFO, pool->ca_file);
        curl_easy_setopt(easy, CURLOPT_CAPATH, NULL); /* and no other */
    }
    if (pool->certificate_file != NULL) {
        curl_easy_setopt(easy, CURLOPT_SSLCERT, pool->certificate_file);
        curl_easy_setopt(easy, CURLOPT_SSLKEY, pool->key_file);
    }
}

static void
set_proxy(SpokePool *pool, CURL *easy)
{
    /* Set in any case, else curl would ask the environment. */
    curl_easy_setopt(easy, CURLOPT_PROXY, pool->proxy);
    curl_easy_setopt(easy, CURLOPT_NOPROXY, "");
    if (pool->proxy[0] == '\0')
        return;
    curl_easy_setopt(easy, CURLOPT_HTTPPROXYTUNNEL, 1L);
    curl_easy_setopt(easy, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
    curl_easy_setopt(easy, CURLOPT_PROXYAUTH, CURLAUTH_BASIC);
    if (pool->proxy_user != NULL)
        curl_easy_setopt(easy, CURLOPT_PROXYUSERNAME, pool->proxy_user);
    if (pool->proxy_password != NULL)
        curl_easy_setopt(easy, CURLOPT_PROXYPASSWORD, spoke_secret_peek(pool->proxy_password));
}

CURL *
spoke_pool_take_easy(SpokePool *pool)
{
    CURL *easy = pool->spares->len > 0
                     ? g_ptr_array_steal_index_fast(pool->spares, pool->spares->len - 1)
                     : curl_easy_init();

    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    /* A request that is cancelled while its host is looked up does not wait for the resolver. */
    curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L);
    curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    curl_easy_setopt(easy, CURLOPT_PATH_AS_IS, 1L);
    curl_easy_setopt(easy, CURLOPT_USERAGENT, pool->product);
    curl_easy_setopt(easy, CURLOPT_HEADEROPT,
                     (long)CURLHEADER_SEPARATE); /* ours: to the hub only */
    curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT, (long)pool->connect_timeout_sec);
    curl_easy_setopt(easy, CURLOPT_LOW_SPEED_LIMIT, 1L);
    curl_easy_setopt(easy, CURLOPT_LOW_SPEED_TIME, (long)IDLE_SEC);
    set_security(pool, easy);
    set_proxy(pool, easy);
    return easy;
}

void
spoke_pool_give_easy(SpokePool *pool, CURL *easy)
{
    if (pool->spares->len == SPOKE_POOL_CONNECTIONS) {
        curl_easy_cleanup(easy);
        return;
    }
    curl_easy_reset(easy);
    g_ptr_array_add(pool->spares, easy);
}

/* Requests */

static gboolean
run(SpokePool *pool, SpokeRequest *request)
{
    if (!spoke_request_prepare(request)) {
        spoke_request_free(request);
        return FALSE;
    }
    g_queue_push_tail_link(&pool->running, &request->link);
    curl_multi_add_handle(pool->multi, request->easy);
    return TRUE;
}

gboolean
spoke_pool_run(SpokePool *pool, SpokeRequest *request)
{
    if (pool->waiting.length == 0 && pool->running.length < SPOKE_POOL_CONNECTIONS)
        return run(pool, request);
    g_queue_push_tail_link(&pool->waiting, &request->link);
    return TRUE;
}

static void
run_waiting(SpokePool *pool)
{
    while (pool->multi != NULL && pool->waiting.length > 0 &&
           pool->running.length < SPOKE_POOL_CONNECTIONS) {
        SpokeRequest *request = pool->waiting.head->data;

        g_queue_unlink(&pool->waiting, &request->link);
        (void)run(pool, request);
    }
}

/* An idle connection may be closed by the hub at the moment we use it again. curl tries again by
 * itself only if it notices before anything was sent. */
static gboolean
retry_if_stale(SpokePool *pool, SpokeRequest *request)
{
    long n_connects = 0;

    if (request->is_retried ||
        (request->code != CURLE_SEND_ERROR && request->code != CURLE_RECV_ERROR &&
         request->code != CURLE_GOT_NOTHING) ||
        curl_easy_getinfo(request->easy, CURLINFO_NUM_CONNECTS, &n_connects) != CURLE_OK ||
        n_connects > 0)
        return FALSE;
    request->is_retried = TRUE;
    request->error[0] = '\0';
    g_byte_array_set_size(request->body, 0);
    request->headers_bytes = 0;
    curl_multi_remove_handle(pool->multi, request->easy);
    curl_easy_setopt(request->easy, CURLOPT_FRESH_CONNECT, 1L);
    curl_multi_add_handle(pool->multi, request->easy);
    return TRUE;
}

static guint64
get_sent(const SpokeRequest *request)
{
    curl_off_t sent = 0;

    (void)curl_easy_getinfo(request->easy, CURLINFO_SIZE_UPLOAD_T, &sent);
    return (guint64)MAX(sent, 0);
}

guint64
spoke_pool_get_progress(const SpokePool *pool)
{
    guint64 sent = pool->sent;

    for (const GList *link = pool->running.head; link != NULL; link = link->next)
        sent += get_sent(link->data);
    return sent;
}

static void
report_ended(SpokePool *pool)
{
    gboolean has_ended = FALSE;
    int n_left = 0;

    for (;;) {
        CURLMsg *message = pool->multi != NULL ? curl_multi_info_read(pool->multi, &n_left) : NULL;
        SpokeRequest *request = NULL;

        if (message == NULL)
            break;
        curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, (char **)&request);
        request->code = message->data.result;
        if (retry_if_stale(pool, request))
            continue;
        pool->has_answered |= request->code == CURLE_OK;
        pool->sent += get_sent(request);
        curl_multi_remove_handle(pool->multi, request->easy); /* @message is gone */
        g_queue_unlink(&pool->running, &request->link);
        request->funcs->done(request, request->user_data);
        spoke_request_free(request);
        has_ended = TRUE;
    }
    run_waiting(pool);
    if (has_ended && pool->multi != NULL && spoke_pool_is_idle(pool))
        pool->drained(pool->user_data);
}

/* The main loop */

static int
to_curl(GIOCondition condition)
{
    int events = 0;

    if (condition & G_IO_IN)
        events |= CURL_CSELECT_IN;
    if (condition & G_IO_OUT)
        events |= CURL_CSELECT_OUT;
    if (condition & (G_IO_ERR | G_IO_HUP | G_IO_NVAL))
        events |= CURL_CSELECT_ERR | CURL_CSELECT_IN;
    return events;
}

/* What is ready now; calls into curl change the list. (transfer full) */
static GArray *
collect_ready(SpokePool *pool)
{
    GArray *all = g_array_new(FALSE, FALSE, sizeof(Ready));

    for (guint i = 0; i < pool->sockets->len; i++) {
        const PoolSocket *socket = &g_array_index(pool->sockets, PoolSocket, i);
        const Ready ready = {
            .fd = socket->fd,
            .events = to_curl(g_source_query_unix_fd(pool->source, socket->tag)),
        };

        if (ready.events != 0)
            g_array_append_val(all, ready);
    }
    return all;
}

static gboolean
dispatch(GSource *source, GSourceFunc unused, gpointer unused_data)
{
    SpokePool *pool = g_rc_box_acquire(((PoolSource *)source)->pool);
    gint64 ready_usec = g_source_get_ready_time(source);
    g_autoptr(GArray) all = collect_ready(pool);
    int n_running = 0;

    for (guint i = 0; i < all->len; i++) {
        const Ready *ready = &g_array_index(all, Ready, i);

        curl_multi_socket_action(pool->multi, ready->fd, ready->events, &n_running);
    }
    if (ready_usec >= 0 && ready_usec <= g_source_get_time(source)) {
        if (g_source_get_ready_time(source) == ready_usec)
            g_source_set_ready_time(source, -1); /* curl sets it again if it needs to */
        curl_multi_socket_action(pool->multi, CURL_SOCKET_TIMEOUT, 0, &n_running);
    }
    report_ended(pool);
    g_rc_box_release_full(pool, pool_clear);
    return G_SOURCE_CONTINUE;
}

static GSourceFuncs source_funcs = {.dispatch = dispatch};

static int
on_timer(CURLM *multi, long timeout_ms, void *user_data)
{
    SpokePool *pool = user_data;

    g_source_set_ready_time(pool->source,
                            timeout_ms < 0 ? -1 : g_get_monotonic_time() + timeout_ms * 1000);
    return 0;
}

static int
on_socket(CURL *easy, curl_socket_t fd, int what, void *user_data, void *unused)
{
    SpokePool *pool = user_data;
    GIOCondition condition =
        (GIOCondition)((what & CURL_POLL_IN ? G_IO_IN : 0) | (what & CURL_POLL_OUT ? G_IO_OUT : 0));
    guint i = 0;

    while (i < pool->sockets->len && g_array_index(pool->sockets, PoolSocket, i).fd != fd)
        i++;
    if (what == CURL_POLL_REMOVE) {
        if (i < pool->sockets->len) {
            g_source_remove_unix_fd(pool->source, g_array_index(pool->sockets, PoolSocket, i).tag);
            g_array_remove_index_fast(pool->sockets, i);
        }
    } else if (i < pool->sockets->len) {
        g_source_modify_unix_fd(pool->source, g_array_index(pool->sockets, PoolSocket, i).tag,
                                condition);
    } else {
        const PoolSocket socket = {
            .fd = fd,
            .tag = g_source_add_unix_fd(pool->source, fd, condition),
        };

        g_array_append_val(pool->sockets, socket);
    }
    return 0;
}

/* Making and ending it */

static void
copy_endpoint(SpokePool *pool, const SpokeEndpoint *endpoint)
{
    gboolean is_bare = strchr(endpoint->host, ':') != NULL; /* an IPv6 address */

    pool->base = g_strdup_printf(is_bare ? "https://[%s]:%u" : "https://%s:%u", endpoint->host,
                                 endpoint->port);
    pool->ca_file = g_strdup(endpoint->ca_file);
    if (pool->ca_file == NULL && curl_version_info(CURLVERSION_NOW)->cainfo == NULL &&
        access(SYSTEM_CA_FILE, R_OK) == 0)
        pool->ca_file = g_strdup(SYSTEM_CA_FILE);
    pool->certificate_file = g_strdup(endpoint->certificate_file);
    pool->key_file = g_strdup(endpoint->key_file);
    pool->product = g_strdup(endpoint->product);
    pool->connect_timeout_sec = endpoint->connect_timeout_sec;
    pool->proxy = g_strdup("");
    if (endpoint->proxy != NULL) {
        const SpokeProxy *proxy = endpoint->proxy;

        g_free(pool->proxy);
        pool->proxy =
            g_strdup_printf(strchr(proxy->host, ':') != NULL ? "http://[%s]:%u" : "http://%s:%u",
                            proxy->host, proxy->port);
        pool->proxy_user = g_strdup(proxy->user);
        pool->proxy_password = spoke_secret_ref(proxy->password);
    }
}

SpokePool *
spoke_pool_new(const SpokeEndpoint *endpoint, void (*drained)(gpointer user_data),
               gpointer user_data)
{
    static gsize is_initialised;
    SpokePool *pool = g_rc_box_new0(SpokePool);

    if (g_once_init_enter(&is_initialised)) {
        curl_global_init(CURL_GLOBAL_DEFAULT);
        g_once_init_leave(&is_initialised, 1);
    }
    copy_endpoint(pool, endpoint);
    pool->drained = drained;
    pool->user_data = user_data;
    pool->sockets = g_array_new(FALSE, FALSE, sizeof(PoolSocket));
    pool->spares = g_ptr_array_new_with_free_func(curl_easy_cleanup);
    pool->source = g_source_new(&source_funcs, sizeof(PoolSource));
    ((PoolSource *)pool->source)->pool = pool;
    g_source_set_static_name(pool->source, "https pool");
    g_source_attach(pool->source, NULL);

    pool->multi = curl_multi_init();
    curl_multi_setopt(pool->multi, CURLMOPT_TIMERFUNCTION, on_timer);
    curl_multi_setopt(pool->multi, CURLMOPT_TIMERDATA, pool);
    curl_multi_setopt(pool->multi, CURLMOPT_SOCKETFUNCTION, on_socket);
    curl_multi_setopt(pool->multi, CURLMOPT_SOCKETDATA, pool);
    curl_multi_setopt(pool->multi, CURLMOPT_MAXCONNECTS, (long)SPOKE_POOL_CONNECTIONS);
    return pool;
}

void
spoke_pool_free(SpokePool *pool)
{
    if (pool == NULL)
        return;
    while (pool->running.length > 0)
        spoke_request_cancel(pool->running.head->data);
    while (pool->waiting.length > 0)
        spoke_request_cancel(pool->waiting.head->data);
    curl_multi_cleanup(g_steal_pointer(&pool->multi));
    g_source_destroy(pool->source);
    g_rc_box_release_full(pool, pool_clear);
}

gboolean
spoke_pool_is_idle(const SpokePool *pool)
{
    return pool->running.length == 0 && pool->waiting.length == 0;
}
