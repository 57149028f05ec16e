/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Each connection has a SoupServer of its own, which reads requests and writes responses. That
 * makes it a session like those of other protocols, and lets a request know over which connection
 * it came: its certificate, its socket.
 *
 * A response that a fault holds back is a paused message; so is a request that fell into a black
 * hole, which is served when that is gone. HTTP/1.1 has one of them at a time. To end a connection,
 * its socket is shut down: libsoup notices and lets go of the stream, and with the stream's last
 * reference the session ends. */

#include "https-session.h"

#include "faults.h"
#include "https-answer.h"
#include "https-device.h"
#include "https-path.h"
#include "hub.h"
#include "timer.h"
#include "websocket-handshake.h"
#include "websocket-stream.h"

#include <libsoup/soup.h>
#include <sys/socket.h>
#include <unistd.h>

/* A request that goes on for longer than this is not read to its end. */
#define DRAIN_BYTES_MAX ((goffset)16 * 1024 * 1024)

typedef enum {
    HELD_NOTHING,
    HELD_REQUEST,  /* in a black hole: not looked at yet */
    HELD_RESPONSE, /* made, and to be sent when it is due */
} Held;

/* GIO closes TLS streams in threads of its own, so the last reference to one may go there. What the
 * stream's end finds is this, which lasts as long as either side needs it. */
typedef struct {
    gatomicrefcount ref_count;
    struct EmuHttpsSession *session; /* borrowed, on the main loop only; NULL: nobody cares */
} Watch;

typedef struct EmuHttpsSession {
    EmuHub *hub;             /* borrowed, outlives us */
    Watch *watch;            /* owned; of the stream: libsoup has let go of it, or given it away */
    GSocket *socket;         /* owned; NULL if there is none */
    GTlsCertificate *peer;   /* owned; NULL: the client showed none */
    SoupServer *server;      /* owned */
    goffset received;        /* of the request's body */
    SoupServerMessage *held; /* owned; NULL with HELD_NOTHING */
    Held holding;
    GSource *timer; /* owned; when the held response is due */
    EmuLink link;   /* so that the hub wakes us when faults change; never attached */
    gboolean closed;

    const EmuSessionKind *kind; /* static; what the WebSocket carries; NULL: none yet */
    gpointer session;           /* owned; NULL once ended */

    EmuSessionEnded ended;
    gpointer user_data;
    guint ending; /* idle source that calls ended */
} EmuHttpsSession;

static gboolean
on_ending(gpointer user_data)
{
    EmuHttpsSession *self = user_data;

    self->ending = 0;
    self->ended(self, self->user_data);
    return G_SOURCE_REMOVE;
}

static void
leave_hub(EmuHttpsSession *self, const char *reason)
{
    if (self->closed)
        return;
    self->closed = TRUE;
    emu_hub_remove_link(self->hub, &self->link, reason);
}

static void
end_session(EmuHttpsSession *self)
{
    leave_hub(self, "connection-lost");
    if (self->ending == 0)
        self->ending = g_idle_add(on_ending, self);
}

static void
watch_unref(gpointer data)
{
    Watch *watch = data;

    if (g_atomic_ref_count_dec(&watch->ref_count))
        g_free(watch);
}

static gboolean
on_stream_gone(gpointer data)
{
    Watch *watch = data;

    if (watch->session != NULL)
        end_session(watch->session);
    return G_SOURCE_REMOVE;
}

/* On any thread. */
static void
tell_stream_gone(gpointer data, GObject *stream)
{
    g_idle_add_full(G_PRIORITY_DEFAULT, on_stream_gone, data, watch_unref);
}

static Watch *
watch_stream(EmuHttpsSession *self, GIOStream *stream)
{
    Watch *watch = g_new0(Watch, 1);

    g_atomic_ref_count_init(&watch->ref_count);
    g_atomic_ref_count_inc(&watch->ref_count); /* the stream's */
    watch->session = self;
    g_object_weak_ref(G_OBJECT(stream), tell_stream_gone, watch);
    return watch;
}

static void
unwatch(EmuHttpsSession *self)
{
    self->watch->session = NULL;
}

static void
shut_down(EmuHttpsSession *self)
{
    if (self->socket != NULL)
        (void)g_socket_shutdown(self->socket, TRUE, TRUE, NULL);
    else
        soup_server_disconnect(self->server);
}

static void
hold(EmuHttpsSession *self, SoupServerMessage *message, Held holding)
{
    self->holding = holding;
    self->held = g_object_ref(message);
    soup_server_message_pause(message);
}

static SoupServerMessage *
let_go(EmuHttpsSession *self)
{
    self->holding = HELD_NOTHING;
    g_source_set_ready_time(self->timer, -1);
    return g_steal_pointer(&self->held);
}

static void
release_held(EmuHttpsSession *self)
{
    if (self->held == NULL)
        return;
    g_autoptr(SoupServerMessage) message = let_go(self);
    soup_server_message_unpause(message);
}

static gboolean
on_timer(gpointer user_data)
{
    release_held(user_data);
    return G_SOURCE_CONTINUE;
}

/* Sends an acknowledgement, now or when the faults allow it. */
static void
acknowledge(EmuHttpsSession *self, SoupServerMessage *message, const char *device_id)
{
    gint64 due_usec =
        emu_faults_ack_due(emu_hub_faults(self->hub), device_id, g_get_monotonic_time());

    if (due_usec == 0)
        return;
    hold(self, message, HELD_RESPONSE);
    g_source_set_ready_time(self->timer, due_usec == G_MAXINT64 ? -1 : due_usec);
}

static void
on_session_ended(gpointer session, gpointer user_data)
{
    EmuHttpsSession *self = user_data;

    self->kind->free(g_steal_pointer(&self->session));
    end_session(self);
}

/* The response to the handshake is written: from here on it is no HTTP any more. */
static void
on_switched(SoupServerMessage *message, gpointer user_data)
{
    EmuHttpsSession *self = user_data;

    unwatch(self);
    leave_hub(self, "upgraded");
    g_autoptr(GIOStream) base = soup_server_message_steal_connection(message);
    g_autoptr(GIOStream) stream = emu_websocket_stream_new(base);
    emu_websocket_stream_set_packets(EMU_WEBSOCKET_STREAM(stream), self->kind->packet_size);
    self->session =
        self->kind->open(self->hub, stream, self->socket, self->peer, on_session_ended, self);
}

static void
serve_websocket(EmuHttpsSession *self, SoupServerMessage *message)
{
    g_autoptr(GError) error = NULL;

    self->kind = emu_websocket_handshake(message, &error);
    if (self->kind != NULL)
        g_signal_connect(message, "wrote-informational", G_CALLBACK(on_switched), self);
    else
        emu_https_answer_error(message, error, emu_hub_now_usec(self->hub));
}

static void
serve_device(EmuHttpsSession *self, SoupServerMessage *message, const EmuHttpsPath *path)
{
    if (emu_faults_is_black_hole(emu_hub_faults(self->hub), path->device_id)) {
        hold(self, message, HELD_REQUEST);
        return;
    }

    g_free(self->link.visitor);
    self->link.visitor = g_strdup(path->device_id);
    EmuHttpsOutcome outcome = emu_https_device_serve(self->hub, message, path, self->peer);
    if (outcome == EMU_HTTPS_CUT)
        shut_down(self);
    else if (outcome == EMU_HTTPS_STORED)
        acknowledge(self, message, path->device_id);
    if (soup_server_message_get_status(message) == 0)
        soup_server_message_set_status(message, SOUP_STATUS_INTERNAL_SERVER_ERROR, NULL);
}

static void
serve(EmuHttpsSession *self, SoupServerMessage *message)
{
    const char *text = g_uri_get_path(soup_server_message_get_uri(message));
    gint64 now_usec = emu_hub_now_usec(self->hub);
    g_auto(EmuHttpsPath) path = {0};
    g_autoptr(GError) error = NULL;

    emu_https_answer_date(message, now_usec);
    if (emu_https_path_is_websocket(text) || emu_websocket_is_handshake(message))
        serve_websocket(self, message);
    else if (emu_https_path_parse(text, &path, &error))
        serve_device(self, message, &path);
    else
        emu_https_answer_error(message, error, now_usec);
}

static void
on_request(SoupServer *server, SoupServerMessage *message, const char *path, GHashTable *query,
           gpointer user_data)
{
    serve(user_data, message);
}

/* What is over the limit is read, so that the client gets to read its answer, and not kept. */
static void
on_got_chunk(SoupServerMessage *message, GBytes *chunk, gpointer user_data)
{
    EmuHttpsSession *self = user_data;
    SoupMessageBody *body = soup_server_message_get_request_body(message);

    self->received += (goffset)g_bytes_get_size(chunk);
    if (self->received > (goffset)EMU_HTTPS_BODY_MAX && soup_message_body_get_accumulate(body)) {
        soup_message_body_set_accumulate(body, FALSE);
        soup_message_body_truncate(body);
    }
    if (self->received > DRAIN_BYTES_MAX)
        shut_down(self);
}

/* libsoup takes a response that says no length for one that ends with the connection, and closes
 * that; but 204 has no body to tell the length of. */
static void
on_wrote_headers(SoupServerMessage *message, gpointer user_data)
{
    if (soup_server_message_get_status(message) == SOUP_STATUS_NO_CONTENT)
        soup_message_headers_set_encoding(soup_server_message_get_response_headers(message),
                                          SOUP_ENCODING_NONE);
}

static void
on_request_started(SoupServer *server, SoupServerMessage *message, gpointer user_data)
{
    EmuHttpsSession *self = user_data;

    self->received = 0;
    g_signal_connect(message, "got-chunk", G_CALLBACK(on_got_chunk), self);
    g_signal_connect(message, "wrote-headers", G_CALLBACK(on_wrote_headers), NULL);
}

static void
link_close(gpointer user_data, const char *reason)
{
    EmuHttpsSession *self = user_data;

    leave_hub(self, reason);
    release_held(self);
    shut_down(self);
}

static void
link_wake(gpointer user_data)
{
    EmuHttpsSession *self = user_data;
    EmuFaults *faults = emu_hub_faults(self->hub);

    if (self->holding == HELD_RESPONSE) {
        gint64 due_usec = emu_faults_ack_due(faults, self->link.visitor, g_get_monotonic_time());
        g_source_set_ready_time(self->timer, due_usec == G_MAXINT64 ? -1 : due_usec);
    } else if (self->holding == HELD_REQUEST) {
        g_autoptr(SoupServerMessage) message = let_go(self);
        serve(self, message);
        if (self->holding == HELD_NOTHING)
            soup_server_message_unpause(message);
    }
}

static const EmuLinkOps link_ops = {.close = link_close, .wake = link_wake};

/* libsoup keeps connections alive only while its server listens as well: so it listens to one end
 * of a pair of sockets, of which there is no other. */
static gboolean
allow_keep_alive(SoupServer *server, GError **error)
{
    int fds[2];

    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) < 0) {
        g_set_error(error, G_IO_ERROR, G_IO_ERROR_FAILED, "No socket for the server to listen to");
        return FALSE;
    }
    g_autoptr(GSocket) socket = g_socket_new_from_fd(fds[0], error);
    if (socket == NULL)
        close(fds[0]);
    gboolean done = socket != NULL && soup_server_listen_socket(server, socket, 0, error);
    close(fds[1]);
    return done;
}

static gboolean
start(EmuHttpsSession *self, GIOStream *stream, GError **error)
{
    /* libsoup wants addresses and does nothing with them. */
    g_autoptr(GSocketAddress) address = g_inet_socket_address_new_from_string("::1", 0);

    soup_server_add_handler(self->server, NULL, on_request, self, NULL);
    g_signal_connect(self->server, "request-started", G_CALLBACK(on_request_started), self);
    return allow_keep_alive(self->server, error) &&
           soup_server_accept_iostream(self->server, stream, address, address, error);
}

static gpointer
open_session(EmuHub *hub, GIOStream *stream, GSocket *socket, GTlsCertificate *peer,
             EmuSessionEnded ended, gpointer user_data)
{
    EmuHttpsSession *self = g_new0(EmuHttpsSession, 1);
    g_autoptr(GError) error = NULL;

    self->hub = hub;
    g_set_object(&self->socket, socket);
    g_set_object(&self->peer, peer);
    self->ended = ended;
    self->user_data = user_data;
    self->timer = emu_timer_new(on_timer, self);
    self->link = (EmuLink){.ops = &link_ops, .self = self};
    emu_hub_add_link(hub, &self->link);
    /* Raw paths: a device id may hold an encoded '/' or '%', which must not be decoded twice. */
    self->server = soup_server_new("server-header", "iothub-emulator", "raw-paths", TRUE, NULL);
    self->watch = watch_stream(self, stream);
    if (!start(self, stream, &error)) {
        g_warning("A connection cannot be served: %s", error->message);
        shut_down(self);
    }
    return self;
}

static void
free_session(gpointer session)
{
    EmuHttpsSession *self = session;

    leave_hub(self, "hub-stopping");
    if (self->session != NULL)
        self->kind->free(g_steal_pointer(&self->session));
    unwatch(self);
    watch_unref(self->watch);
    g_clear_handle_id(&self->ending, g_source_remove);
    emu_source_clear(&self->timer);
    g_clear_object(&self->held);
    soup_server_disconnect(self->server);
    g_object_unref(self->server);
    g_clear_object(&self->peer);
    g_clear_object(&self->socket);
    g_free(self->link.visitor);
    g_free(self);
}

const EmuSessionKind emu_https_sessions = {.open = open_session, .free = free_session};
