/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Accepts sockets, puts TLS on them, and hands them to sessions. A handshake runs in a thread of
 * GIO's and gets a limited time. The faults that strike before a login are here: a socket closed
 * at once, and one that is taken and never answered. */

#include "tls-server.h"

#include "faults.h"
#include "hub.h"
#include "read-ahead.h"
#include "session.h"

#include <netinet/in.h>
#include <netinet/tcp.h>

#define HANDSHAKE_TIMEOUT_SEC 20

struct EmuTlsServer {
    EmuHub *hub;                  /* borrowed, outlives us */
    const EmuSessionKind *kind;   /* static */
    GTlsCertificate *certificate; /* owned */
    GTlsDatabase *trust;          /* owned */
    GSocketService *service;      /* owned */
    guint16 port;
    EmuLink link;          /* so that the hub wakes us when faults change */
    GPtrArray *sessions;   /* owned; sessions of that kind (owned) */
    GPtrArray *handshakes; /* owned; Handshake (borrowed: each ends by itself) */
    GPtrArray *swallowed;  /* owned; GSocketConnection: accepted, in a black hole */
};

/* A connection on its way to being a session. */
typedef struct {
    EmuTlsServer *server;      /* borrowed; NULL once that is gone */
    GSocket *socket;           /* owned */
    GIOStream *tls;            /* owned */
    GCancellable *cancellable; /* owned */
    guint timeout;
} Handshake;

static void
on_session_ended(gpointer session, gpointer user_data)
{
    EmuTlsServer *self = user_data;

    g_ptr_array_remove_fast(self->sessions, session);
}

static void
handshake_free(Handshake *handshake)
{
    g_clear_handle_id(&handshake->timeout, g_source_remove);
    g_object_unref(handshake->cancellable);
    g_object_unref(handshake->tls);
    g_object_unref(handshake->socket);
    g_free(handshake);
}

static gboolean
on_handshake_timeout(gpointer user_data)
{
    Handshake *handshake = user_data;

    handshake->timeout = 0;
    g_cancellable_cancel(handshake->cancellable);
    return G_SOURCE_REMOVE;
}

static void
on_handshake(GObject *tls, GAsyncResult *result, gpointer user_data)
{
    Handshake *handshake = user_data;
    EmuTlsServer *self = handshake->server;
    g_autoptr(GError) error = NULL;
    gboolean done = g_tls_connection_handshake_finish(G_TLS_CONNECTION(tls), result, &error);

    if (self != NULL)
        g_ptr_array_remove_fast(self->handshakes, handshake);
    /* The client's first packet may wait for the acknowledgement of its last handshake packet,
     * which the kernel would hold back for 40 ms. */
    if (done)
        (void)g_socket_set_option(handshake->socket, IPPROTO_TCP, TCP_QUICKACK, 1, NULL);
    if (done && self != NULL) {
        GTlsCertificate *peer =
            g_tls_connection_get_peer_certificate(G_TLS_CONNECTION(handshake->tls));
        g_ptr_array_add(self->sessions,
                        self->kind->open(self->hub, handshake->tls, handshake->socket, peer,
                                         on_session_ended, self));
    } else {
        g_message("TLS handshake failed: %s", error != NULL ? error->message : "stopping");
        (void)g_socket_close(handshake->socket, NULL);
    }
    handshake_free(handshake);
}

/* Client certificates are asked for; whether one is good is decided at login. */
static gboolean
on_accept_certificate(GTlsConnection *tls, GTlsCertificate *certificate,
                      GTlsCertificateFlags errors, gpointer user_data)
{
    return TRUE;
}

/* Not g_tls_server_connection_new(): it would read all of the system's certificate authorities,
 * for each connection anew, which costs 70 ms and 4 MB. */
static GIOStream *
wrap_in_tls(EmuTlsServer *self, GIOStream *base, GError **error)
{
    GType type = g_tls_backend_get_server_connection_type(g_tls_backend_get_default());

    return g_initable_new(type, NULL, error, "base-io-stream", base, "certificate",
                          self->certificate, "database", self->trust, "authentication-mode",
                          G_TLS_AUTHENTICATION_REQUESTED, "require-close-notify", FALSE, NULL);
}

static void
start_handshake(EmuTlsServer *self, GSocketConnection *connection)
{
    g_autoptr(GIOStream) ahead = emu_read_ahead_new(connection);
    g_autoptr(GError) error = NULL;
    g_autoptr(GIOStream) tls = wrap_in_tls(self, ahead, &error);

    if (tls == NULL) {
        g_warning("TLS is not available: %s", error->message);
        return;
    }

    g_signal_connect(tls, "accept-certificate", G_CALLBACK(on_accept_certificate), NULL);
    Handshake *handshake = g_new0(Handshake, 1);
    handshake->server = self;
    handshake->socket = g_object_ref(g_socket_connection_get_socket(connection));
    handshake->tls = g_object_ref(tls);
    handshake->cancellable = g_cancellable_new();
    handshake->timeout =
        g_timeout_add_seconds(HANDSHAKE_TIMEOUT_SEC, on_handshake_timeout, handshake);
    g_ptr_array_add(self->handshakes, handshake);
    g_tls_connection_handshake_async(G_TLS_CONNECTION(tls), G_PRIORITY_DEFAULT,
                                     handshake->cancellable, on_handshake, handshake);
}

static gboolean
on_incoming(GSocketService *service, GSocketConnection *connection, GObject *source,
            gpointer user_data)
{
    EmuTlsServer *self = user_data;
    EmuFaults *faults = emu_hub_faults(self->hub);
    GSocket *socket = g_socket_connection_get_socket(connection);

    if (emu_faults_refuses_tcp(faults)) {
        (void)g_socket_close(socket, NULL);
        return TRUE;
    }

    (void)g_socket_set_option(socket, IPPROTO_TCP, TCP_NODELAY, 1, NULL);
    if (emu_faults_is_black_hole(faults, NULL))
        g_ptr_array_add(self->swallowed, g_object_ref(connection));
    else
        start_handshake(self, connection);
    return TRUE;
}

static void
link_close(gpointer user_data, const char *reason)
{
    /* The server itself is nobody's connection. */
}

static void
link_wake(gpointer user_data)
{
    EmuTlsServer *self = user_data;

    if (emu_faults_is_black_hole(emu_hub_faults(self->hub), NULL))
        return;
    while (self->swallowed->len > 0) {
        g_autoptr(GSocketConnection) connection = g_ptr_array_steal_index(self->swallowed, 0);
        start_handshake(self, connection);
    }
}

static const EmuLinkOps link_ops = {.close = link_close, .wake = link_wake};

/* Listens on one address; the first decides the port if any will do. */
static gboolean
listen_on(EmuTlsServer *self, const char *text, GError **error)
{
    g_autoptr(GSocketAddress) address = g_inet_socket_address_new_from_string(text, self->port);
    g_autoptr(GSocketAddress) effective = NULL;

    if (address == NULL) {
        g_set_error(error, G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT, "%s is not a numeric address",
                    text);
        return FALSE;
    }
    if (!g_socket_listener_add_address(G_SOCKET_LISTENER(self->service), address,
                                       G_SOCKET_TYPE_STREAM, G_SOCKET_PROTOCOL_TCP, NULL,
                                       &effective, error)) {
        g_prefix_error(error, "%s port %u: ", text, self->port);
        return FALSE;
    }
    self->port = g_inet_socket_address_get_port(G_INET_SOCKET_ADDRESS(effective));
    return TRUE;
}

EmuTlsServer *
emu_tls_server_new(EmuHub *hub, const EmuSessionKind *kind, GTlsCertificate *certificate,
                   GTlsDatabase *trust, const char *const *addresses, guint16 port,
                   gboolean optional, GError **error)
{
    g_autoptr(EmuTlsServer) self = g_new0(EmuTlsServer, 1);
    gboolean listening = FALSE;

    self->hub = hub;
    self->kind = kind;
    self->certificate = g_object_ref(certificate);
    self->trust = g_object_ref(trust);
    self->port = port;
    self->sessions = g_ptr_array_new_with_free_func(kind->free);
    self->handshakes = g_ptr_array_new();
    self->swallowed = g_ptr_array_new_with_free_func(g_object_unref);
    self->link = (EmuLink){.ops = &link_ops, .self = self};
    emu_hub_add_link(hub, &self->link);
    self->service = g_socket_service_new();
    g_socket_listener_set_backlog(G_SOCKET_LISTENER(self->service), 128);

    for (size_t i = 0; addresses[i] != NULL; i++) {
        g_autoptr(GError) local = NULL;
        if (listen_on(self, addresses[i], &local)) {
            listening = TRUE;
        } else if (!optional || (!listening && addresses[i + 1] == NULL)) {
            g_propagate_error(error, g_steal_pointer(&local));
            return NULL;
        } else {
            g_message("Not listening on %s", local->message);
        }
    }
    g_signal_connect(self->service, "incoming", G_CALLBACK(on_incoming), self);
    g_socket_service_start(self->service);
    return g_steal_pointer(&self);
}

void
emu_tls_server_free(EmuTlsServer *self)
{
    if (self == NULL)
        return;

    g_signal_handlers_disconnect_by_data(self->service, self);
    g_socket_service_stop(self->service);
    g_socket_listener_close(G_SOCKET_LISTENER(self->service));
    g_object_unref(self->service);
    for (guint i = 0; i < self->handshakes->len; i++) {
        Handshake *handshake = g_ptr_array_index(self->handshakes, i);
        handshake->server = NULL;
        g_cancellable_cancel(handshake->cancellable);
    }
    emu_hub_remove_link(self->hub, &self->link, "hub-stopping");
    g_ptr_array_unref(self->sessions);
    g_ptr_array_unref(self->handshakes);
    g_ptr_array_unref(self->swallowed);
    g_object_unref(self->certificate);
    g_object_unref(self->trust);
    g_free(self);
}

guint16
emu_tls_server_port(EmuTlsServer *self)
{
    return self->port;
}
