/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * TLS by GnuTLS, blocking: an impostor has a thread, a rival is done with when it is in.
 */
#include "tests/integration/transport-peer.h"

#include "tests/integration/transport-suite.h"

#include <glib-unix.h>
#include <gnutls/gnutls.h>
#include <gnutls/x509.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#define DAY_SEC       86400
#define TOKEN_SEC     3600
#define KEY_BITS      256
#define SERIAL        "\x01"
#define CONNACK_BYTES 4

static void
check(int r, const char *what)
{
    if (r < 0)
        g_error("%s: %s", what, gnutls_strerror(r));
}

/* GSocket blocks by waiting itself; GnuTLS has the bare descriptor. */
static void
make_blocking(GSocket *socket)
{
    g_autoptr(GError) error = NULL;

    (void)g_unix_set_fd_nonblocking(g_socket_get_fd(socket), FALSE, &error);
    g_assert_no_error(error);
}

static void
read_hub_file(Harness *h, const char *name, gnutls_datum_t *ret_data)
{
    g_autofree char *path = g_build_filename(harness_get_dir(h), "hub", name, NULL);

    check(gnutls_load_file(path, ret_data), path);
}

struct Impostor {
    gnutls_certificate_credentials_t credentials;
    GSocket *listener;
    guint16 port;
    GThread *thread;
};

/* Signed by the hub's authority, for @name, for two days from @from on. */
static void
make_certificate(Harness *h, const char *name, time_t from, gnutls_x509_privkey_t key,
                 gnutls_x509_crt_t certificate)
{
    gnutls_x509_crt_t ca;
    gnutls_x509_privkey_t ca_key;
    gnutls_datum_t data;

    gnutls_x509_crt_init(&ca);
    gnutls_x509_privkey_init(&ca_key);
    read_hub_file(h, "ca.pem", &data);
    check(gnutls_x509_crt_import(ca, &data, GNUTLS_X509_FMT_PEM), "ca.pem");
    gnutls_free(data.data);
    read_hub_file(h, "ca-key.pem", &data);
    check(gnutls_x509_privkey_import(ca_key, &data, GNUTLS_X509_FMT_PEM), "ca-key.pem");
    gnutls_free(data.data);

    check(gnutls_x509_privkey_generate(key, GNUTLS_PK_ECDSA, KEY_BITS, 0), "key");
    check(gnutls_x509_crt_set_version(certificate, 3), "version");
    check(gnutls_x509_crt_set_serial(certificate, SERIAL, strlen(SERIAL)), "serial");
    check(gnutls_x509_crt_set_key(certificate, key), "key");
    check(gnutls_x509_crt_set_activation_time(certificate, from), "activation");
    check(gnutls_x509_crt_set_expiration_time(certificate, from + 2 * DAY_SEC), "expiration");
    check(gnutls_x509_crt_set_dn_by_oid(certificate, GNUTLS_OID_X520_COMMON_NAME, 0, name,
                                        (unsigned int)strlen(name)),
          "name");
    check(gnutls_x509_crt_set_subject_alt_name(certificate, GNUTLS_SAN_DNSNAME, name,
                                               (unsigned int)strlen(name), GNUTLS_FSAN_SET),
          "name");
    check(gnutls_x509_crt_set_key_usage(certificate, GNUTLS_KEY_DIGITAL_SIGNATURE), "usage");
    check(gnutls_x509_crt_set_key_purpose_oid(certificate, GNUTLS_KP_TLS_WWW_SERVER, 0), "usage");
    check(gnutls_x509_crt_sign2(certificate, ca, ca_key, GNUTLS_DIG_SHA256, 0), "signature");
    gnutls_x509_crt_deinit(ca);
    gnutls_x509_privkey_deinit(ca_key);
}

/* Nothing is expected to come after the handshake. */
static void
shake_hands(Impostor *impostor, GSocket *accepted)
{
    gnutls_session_t session;
    int r;

    make_blocking(accepted);
    gnutls_init(&session, GNUTLS_SERVER);
    gnutls_set_default_priority(session);
    gnutls_credentials_set(session, GNUTLS_CRD_CERTIFICATE, impostor->credentials);
    gnutls_transport_set_int(session, g_socket_get_fd(accepted));
    do {
        r = gnutls_handshake(session);
    } while (r < 0 && !gnutls_error_is_fatal(r));
    gnutls_deinit(session);
}

static gpointer
serve(gpointer user_data)
{
    Impostor *impostor = user_data;

    for (;;) {
        g_autoptr(GSocket) accepted = g_socket_accept(impostor->listener, NULL, NULL);

        if (accepted == NULL)
            return NULL;
        shake_hands(impostor, accepted);
    }
}

static void
listen_anywhere(Impostor *impostor)
{
    g_autoptr(GSocketAddress) any = g_inet_socket_address_new_from_string("127.0.0.1", 0);
    g_autoptr(GError) error = NULL;

    impostor->listener =
        g_socket_new(G_SOCKET_FAMILY_IPV4, G_SOCKET_TYPE_STREAM, G_SOCKET_PROTOCOL_TCP, &error);
    g_assert_no_error(error);
    (void)g_socket_bind(impostor->listener, any, TRUE, &error);
    g_assert_no_error(error);
    (void)g_socket_listen(impostor->listener, &error);
    g_assert_no_error(error);
    g_autoptr(GSocketAddress) bound = g_socket_get_local_address(impostor->listener, &error);
    g_assert_no_error(error);
    impostor->port = g_inet_socket_address_get_port(G_INET_SOCKET_ADDRESS(bound));
}

Impostor *
impostor_new(Harness *h, ImpostorKind kind)
{
    Impostor *impostor = g_new0(Impostor, 1);
    gnutls_x509_privkey_t key;
    gnutls_x509_crt_t certificate;

    gnutls_x509_privkey_init(&key);
    gnutls_x509_crt_init(&certificate);
    if (kind == IMPOSTOR_EXPIRED)
        make_certificate(h, "localhost", time(NULL) - 3 * DAY_SEC, key, certificate);
    else
        make_certificate(h, "other.example", time(NULL) - DAY_SEC, key, certificate);
    gnutls_certificate_allocate_credentials(&impostor->credentials);
    check(gnutls_certificate_set_x509_key(impostor->credentials, &certificate, 1, key), "key");
    gnutls_x509_crt_deinit(certificate);
    gnutls_x509_privkey_deinit(key);
    listen_anywhere(impostor);
    impostor->thread = g_thread_new("impostor", serve, impostor);
    return impostor;
}

void
impostor_free(Impostor *impostor)
{
    (void)shutdown(g_socket_get_fd(impostor->listener), SHUT_RDWR); /* wakes the thread */
    g_thread_join(impostor->thread);
    g_object_unref(impostor->listener);
    gnutls_certificate_free_credentials(impostor->credentials);
    g_free(impostor);
}

guint16
impostor_get_port(Impostor *impostor)
{
    return impostor->port;
}

struct Rival {
    GSocketConnection *connection;
    gnutls_certificate_credentials_t credentials;
    gnutls_session_t session;
};

/* Source: iot-hub-protocol.md, 1.3. (transfer full) */
static char *
make_token(const char *base64)
{
    gsize size;
    g_autofree guchar *key = g_base64_decode(base64, &size);
    const char *resource = "localhost%2Fdevices%2F" HARNESS_DEVICE_ID;
    gint64 expiry = g_get_real_time() / G_USEC_PER_SEC + TOKEN_SEC;
    g_autofree char *text = g_strdup_printf("%s\n%" G_GINT64_FORMAT, resource, expiry);
    g_autoptr(GHmac) hmac = g_hmac_new(G_CHECKSUM_SHA256, key, size);
    guint8 digest[32];
    gsize digest_size = sizeof digest;

    g_hmac_update(hmac, (const guchar *)text, -1);
    g_hmac_get_digest(hmac, digest, &digest_size);
    g_autofree char *signature = g_base64_encode(digest, digest_size);
    g_autofree char *escaped = g_uri_escape_string(signature, NULL, FALSE);
    return g_strdup_printf("SharedAccessSignature sr=%s&sig=%s&se=%" G_GINT64_FORMAT, resource,
                           escaped, expiry);
}

static void
append_text(GByteArray *packet, const char *text)
{
    const guint8 size[] = {(guint8)(strlen(text) >> 8), (guint8)(strlen(text) & 0xff)};

    g_byte_array_append(packet, size, sizeof size);
    g_byte_array_append(packet, (const guint8 *)text, (guint)strlen(text));
}

/* A CONNECT with user name and password. Source: MQTT 3.1.1, section 3.1. (transfer full) */
static GByteArray *
make_login(const char *token)
{
    static const guint8 header[] = {0, 4, 'M', 'Q', 'T', 'T', 4, 0xc2, 0, 60};
    g_autoptr(GByteArray) rest = g_byte_array_new();
    GByteArray *packet = g_byte_array_new();

    g_byte_array_append(rest, header, sizeof header);
    append_text(rest, HARNESS_DEVICE_ID);
    append_text(rest, "localhost/" HARNESS_DEVICE_ID "/?api-version=2021-04-12");
    append_text(rest, token);
    const guint8 fixed[] = {0x10, (guint8)(0x80 | (rest->len & 0x7f)), (guint8)(rest->len >> 7)};
    g_byte_array_append(packet, fixed, sizeof fixed);
    g_byte_array_append(packet, rest->data, rest->len);
    return packet;
}

static void
start_tls(Rival *rival)
{
    GSocket *socket = g_socket_connection_get_socket(rival->connection);
    int r;

    make_blocking(socket);
    gnutls_certificate_allocate_credentials(&rival->credentials);
    gnutls_init(&rival->session, GNUTLS_CLIENT);
    gnutls_set_default_priority(rival->session);
    gnutls_credentials_set(rival->session, GNUTLS_CRD_CERTIFICATE, rival->credentials);
    gnutls_transport_set_int(rival->session, g_socket_get_fd(socket));
    do {
        r = gnutls_handshake(rival->session);
    } while (r < 0 && !gnutls_error_is_fatal(r));
    check(r, "handshake");
}

Rival *
rival_new(Harness *h)
{
    Rival *rival = g_new0(Rival, 1);
    g_autoptr(GSocketClient) client = g_socket_client_new();
    g_autoptr(GError) error = NULL;
    g_autoptr(JsonNode) device = harness_hub(h, "GET", "/devices/" HARNESS_DEVICE_ID, NULL);
    g_autofree char *token =
        make_token(json_object_get_string_member(json_node_get_object(device), "primaryKey"));
    g_autoptr(GByteArray) login = make_login(token);
    guint8 answer[CONNACK_BYTES];

    rival->connection = g_socket_client_connect_to_host(
        client, "127.0.0.1", transport_hub_port(h, "mqttPort"), NULL, &error);
    g_assert_no_error(error);
    start_tls(rival);
    check((int)gnutls_record_send(rival->session, login->data, login->len), "login");
    for (gssize n = 0, size = 0; size < CONNACK_BYTES; size += n) {
        n = gnutls_record_recv(rival->session, answer + size, sizeof answer - (gsize)size);
        if (n <= 0)
            g_error("the hub does not answer the rival's login");
    }
    g_assert_cmpuint(answer[3], ==, 0);
    return rival;
}

void
rival_free(Rival *rival)
{
    gnutls_deinit(rival->session);
    gnutls_certificate_free_credentials(rival->credentials);
    g_object_unref(rival->connection);
    g_free(rival);
}
