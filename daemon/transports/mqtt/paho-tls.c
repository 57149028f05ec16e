/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/transports/mqtt/paho-tls.h"

#include <errno.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

/*
 * OpenSSL's callbacks come on paho's threads, under paho's locks; ours is the innermost one and is
 * held for a few instructions only. The SSL object is paho's: it is touched inside those callbacks,
 * where it must be alive, and nowhere else. Of its descriptor we keep the number until
 * on_ssl_free(), which comes before paho closes it.
 */
struct SpokePahoTls {
    char *host; /* owned */

    /* Under the lock */
    SpokePahoTlsPhase phase;
    SpokePahoTlsEnd end;
    int fd;                 /* paho's; -1 before the handshake and after the end */
    long verify_result;     /* X509_V_… */
    gboolean is_wrong_name; /* the chain is good, but for another host */
    char *error;            /* owned; NULL without one */
};

/* paho does not go on with a message that it could write only in part before something arrives
 * or a second is over. So what is in flight must fit in here: see SPOKE_PAHO_WINDOW_BYTES. The
 * kernel doubles the number, for its own overhead, and cuts it to net.core.wmem_max. */
#define SEND_BUFFER_BYTES (512 * 1024)

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static SpokePahoTls *expecting; /* borrowed; NULL when nobody is */
static int ex_index = -1;

static void
set_send_buffer(int fd)
{
    int bytes = SEND_BUFFER_BYTES;

    if (setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof bytes) < 0)
        g_debug("Cannot set the send buffer of the hub's socket: %s", g_strerror(errno));
}

static void
on_handshake_start(const SSL *ssl, SpokePahoTls *tls)
{
    pthread_mutex_lock(&lock);
    gboolean is_first = tls->fd == -1;
    tls->fd = SSL_get_fd(ssl);
    pthread_mutex_unlock(&lock);

    if (is_first)
        set_send_buffer(SSL_get_fd(ssl));
}

/* paho makes this check too, and ends the connection; but it doesn't say that this was why. */
static gboolean
is_certificate_for(const SSL *ssl, const char *host)
{
    X509 *certificate = SSL_get0_peer_certificate(ssl);

    return certificate != NULL && (X509_check_host(certificate, host, 0, 0, NULL) == 1 ||
                                   X509_check_ip_asc(certificate, host, 0) == 1);
}

static void
on_handshake_done(const SSL *ssl, SpokePahoTls *tls)
{
    gboolean is_wrong_name = !is_certificate_for(ssl, tls->host);

    pthread_mutex_lock(&lock);
    tls->phase = SPOKE_PAHO_TLS_DONE;
    tls->is_wrong_name = is_wrong_name;
    pthread_mutex_unlock(&lock);
}

/* TLS 1.3 calls messages after the handshake one, too: each part may come again. */
static void
on_ssl_info(const SSL *ssl, int where, int unused)
{
    SpokePahoTls *tls = SSL_get_ex_data(ssl, ex_index);

    if (where == SSL_CB_HANDSHAKE_START)
        on_handshake_start(ssl, tls);
    else if (where == SSL_CB_HANDSHAKE_DONE)
        on_handshake_done(ssl, tls);
}

/* On the thread that makes the SSL object. */
static void
on_ssl_new(void *parent, void *unused, CRYPTO_EX_DATA *data, int index, long argl, void *argp)
{
    SSL *ssl = parent;

    pthread_mutex_lock(&lock);
    SpokePahoTls *tls = g_steal_pointer(&expecting);
    if (tls != NULL)
        tls->phase = SPOKE_PAHO_TLS_HANDSHAKING;
    pthread_mutex_unlock(&lock);

    if (tls == NULL)
        return;
    (void)CRYPTO_set_ex_data(data, index, tls);
    (void)SSL_set_min_proto_version(ssl, TLS1_2_VERSION);
    SSL_set_info_callback(ssl, on_ssl_info);
}

/* What recv() still finds says whose doing the end was: paho itself never reads ahead. */
static SpokePahoTlsEnd
look_at_socket(int fd)
{
    char byte = 0;
    ssize_t size = recv(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);

    return size < 0 && (errno == EAGAIN || errno == EWOULDBLOCK) ? SPOKE_PAHO_TLS_PEER_SILENT
                                                                 : SPOKE_PAHO_TLS_PEER_CLOSED;
}

static void
on_ssl_free(void *parent, void *value, CRYPTO_EX_DATA *data, int index, long argl, void *argp)
{
    SpokePahoTls *tls = value;

    if (tls == NULL)
        return;
    gboolean said_goodbye = (SSL_get_shutdown(parent) & SSL_RECEIVED_SHUTDOWN) != 0;

    pthread_mutex_lock(&lock);
    tls->verify_result = SSL_get_verify_result(parent);
    if (tls->fd != -1)
        tls->end = said_goodbye ? SPOKE_PAHO_TLS_PEER_CLOSED : look_at_socket(tls->fd);
    tls->fd = -1;
    pthread_mutex_unlock(&lock);
}

/* At the process's end paho's threads, or those of a connection that was given up, may be at work
 * still. What OpenSSL would tear down under them then goes with the process anyhow. */
static void
make_index(void)
{
    (void)OPENSSL_init_crypto(OPENSSL_INIT_NO_ATEXIT, NULL);
    ex_index = SSL_get_ex_new_index(0, NULL, on_ssl_new, NULL, on_ssl_free);
}

SpokePahoTls *
spoke_paho_tls_new(const char *host)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    SpokePahoTls *tls = g_new0(SpokePahoTls, 1);

    pthread_once(&once, make_index);
    tls->host = g_strdup(host);
    tls->fd = -1;
    tls->verify_result = X509_V_OK;
    return tls;
}

void
spoke_paho_tls_free(SpokePahoTls *tls)
{
    if (tls == NULL)
        return;

    pthread_mutex_lock(&lock);
    if (expecting == tls)
        expecting = NULL;
    pthread_mutex_unlock(&lock);

    g_free(tls->host);
    g_free(tls->error);
    g_free(tls);
}

void
spoke_paho_tls_expect(SpokePahoTls *tls)
{
    pthread_mutex_lock(&lock);
    expecting = tls;
    pthread_mutex_unlock(&lock);
}

/* "THREAD:error:CODE:library:function:reason:file:line:data": our part is the code. */
int
spoke_paho_tls_on_error(const char *text, size_t size, void *user_data)
{
    SpokePahoTls *tls = user_data;
    const char *colon = memchr(text, ':', size);
    unsigned long code = 0;

    if (colon != NULL && sscanf(colon, ":error:%lx", &code) == 1) {
        const char *reason = ERR_reason_error_string(code);

        pthread_mutex_lock(&lock);
        g_free(tls->error);
        tls->error = g_strdup(reason != NULL ? reason : "unknown error");
        pthread_mutex_unlock(&lock);
    }
    return 1; /* go on */
}

void
spoke_paho_tls_cut(SpokePahoTls *tls)
{
    pthread_mutex_lock(&lock);
    if (tls->fd != -1)
        (void)shutdown(tls->fd, SHUT_RDWR);
    pthread_mutex_unlock(&lock);
}

SpokePahoTlsPhase
spoke_paho_tls_get_phase(SpokePahoTls *tls)
{
    pthread_mutex_lock(&lock);
    SpokePahoTlsPhase phase = tls->phase;
    pthread_mutex_unlock(&lock);
    return phase;
}

SpokePahoTlsEnd
spoke_paho_tls_get_end(SpokePahoTls *tls)
{
    pthread_mutex_lock(&lock);
    SpokePahoTlsEnd end = tls->end;
    pthread_mutex_unlock(&lock);
    return end;
}

guint64
spoke_paho_tls_get_acknowledged(SpokePahoTls *tls)
{
    struct tcp_info info = {0};
    socklen_t size = sizeof info;

    pthread_mutex_lock(&lock);
    if (tls->fd == -1 || getsockopt(tls->fd, IPPROTO_TCP, TCP_INFO, &info, &size) < 0)
        info.tcpi_bytes_acked = 0;
    pthread_mutex_unlock(&lock);
    return info.tcpi_bytes_acked;
}

char *
spoke_paho_tls_dup_certificate_error(SpokePahoTls *tls)
{
    pthread_mutex_lock(&lock);
    long verify_result = tls->verify_result;
    gboolean is_wrong_name = tls->is_wrong_name;
    pthread_mutex_unlock(&lock);

    if (verify_result != X509_V_OK)
        return g_strdup(X509_verify_cert_error_string(verify_result));
    if (is_wrong_name)
        return g_strdup_printf("not for host name %s", tls->host);
    return NULL;
}

char *
spoke_paho_tls_dup_error(SpokePahoTls *tls)
{
    pthread_mutex_lock(&lock);
    char *error = g_strdup(tls->error);
    pthread_mutex_unlock(&lock);
    return error;
}

typedef SSL_CTX Context;
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Context, SSL_CTX_free)

gboolean
spoke_paho_tls_is_ca_file(const char *path)
{
    g_autoptr(Context) context = SSL_CTX_new(TLS_client_method());
    gboolean is_good = context != NULL && SSL_CTX_load_verify_file(context, path) == 1;

    ERR_clear_error();
    return is_good;
}

gboolean
spoke_paho_tls_is_key_pair(const char *certificate_file, const char *key_file, char **ret_detail)
{
    g_autoptr(Context) context = SSL_CTX_new(TLS_client_method());
    const char *bad = NULL;

    if (context == NULL || SSL_CTX_use_certificate_chain_file(context, certificate_file) != 1)
        bad = certificate_file;
    else if (SSL_CTX_use_PrivateKey_file(context, key_file, SSL_FILETYPE_PEM) != 1)
        bad = key_file;
    if (bad != NULL) {
        const char *reason = ERR_reason_error_string(ERR_peek_last_error());

        *ret_detail = g_strdup_printf("%s: %s", bad, reason != NULL ? reason : "can't be used");
    }
    ERR_clear_error();
    return bad == NULL;
}
