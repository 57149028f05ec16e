/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

/*
 * A look at the TLS connection that paho keeps to itself: how far it came, why it failed, who ended
 * it; and a way to cut it. paho reports all failures of a connection alike and has no call that
 * ends one while its callback runs. OpenSSL, which it uses, tells others about each SSL object that
 * is made (an "ex_data" index), so a watch is set up for the next one, and follows that.
 *
 * One connection attempt, one watch. The functions may be called on any thread.
 */
typedef struct SpokePahoTls SpokePahoTls;

typedef enum {
    SPOKE_PAHO_TLS_WAITING,     /* TCP has not come about */
    SPOKE_PAHO_TLS_HANDSHAKING, /* TCP is there */
    SPOKE_PAHO_TLS_DONE,        /* keys and certificate are settled */
} SpokePahoTlsPhase;

/* What a connection looked like when paho let go of it. */
typedef enum {
    SPOKE_PAHO_TLS_PEER_CLOSED,
    SPOKE_PAHO_TLS_PEER_SILENT, /* still open: it was paho who ended it */
} SpokePahoTlsEnd;

/* @host: name or address that the certificate must be for. (transfer full) */
SpokePahoTls *spoke_paho_tls_new(const char *host);
/* Not before paho has destroyed the client. */
void spoke_paho_tls_free(SpokePahoTls *tls);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(SpokePahoTls, spoke_paho_tls_free)

/* The next SSL object made in this process belongs to @tls. */
void spoke_paho_tls_expect(SpokePahoTls *tls);

/* For MQTTAsync_SSLOptions.ssl_error_cb, with the watch as the context. */
int spoke_paho_tls_on_error(const char *text, size_t size, void *tls);

/* Ends the connection this instant: nothing written from now on leaves the machine. */
void spoke_paho_tls_cut(SpokePahoTls *tls);

SpokePahoTlsPhase spoke_paho_tls_get_phase(SpokePahoTls *tls);
SpokePahoTlsEnd spoke_paho_tls_get_end(SpokePahoTls *tls);

/* Bytes that the peer's TCP has acknowledged; 0 without a connection. */
guint64 spoke_paho_tls_get_acknowledged(SpokePahoTls *tls);

/* Whether the certificate is to blame for the failure. (transfer full) (nullable): what is wrong
 * with it */
char *spoke_paho_tls_dup_certificate_error(SpokePahoTls *tls);
/* (transfer full) (nullable): what OpenSSL said last */
char *spoke_paho_tls_dup_error(SpokePahoTls *tls);

/* Whether there are certificates to trust in a file: when paho can't load it, it says nothing.
 * Reads the file. */
gboolean spoke_paho_tls_is_ca_file(const char *path);

/* Whether the files hold a client certificate and its key; if not, @ret_detail says what is wrong.
 * Reads the files. */
gboolean spoke_paho_tls_is_key_pair(const char *certificate_file, const char *key_file,
                                    char **ret_detail);
