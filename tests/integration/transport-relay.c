/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * One thread accepts; each connection has one for either way, which copies until its end or until
 * silence. A silenced connection is left as it is, open and unread, until the relay goes.
 */
#include "tests/integration/transport-relay.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#define PIECE_BYTES 16384

typedef struct {
    Relay *relay; /* borrowed, outlives us */
    GSocket *ends[2];
    GThread *threads[2];
    gint is_silent; /* atomic */
} Pair;

typedef struct {
    Pair *pair; /* borrowed */
    guint from;
} Way;

struct Relay {
    GSocket *listener;
    guint16 port, target_port;
    GThread *thread;
    GMutex lock;      /* of the pairs, and of what is counted */
    GPtrArray *pairs; /* owned */
    gboolean is_silent;
    gboolean is_ending;
    guint64 sent_bytes;
};

static GSocketAddress *
make_address(const char *address, guint16 port)
{
    return g_inet_socket_address_new_from_string(address, port);
}

static gboolean
write_all(GSocket *socket, const char *data, gssize size)
{
    while (size > 0) {
        gssize n = g_socket_send(socket, data, (gsize)size, NULL, NULL);
        if (n <= 0)
            return FALSE;
        data += n;
        size -= n;
    }
    return TRUE;
}

static gpointer
copy(gpointer user_data)
{
    Way *way = user_data;
    Pair *pair = way->pair;
    guint from = way->from;
    char piece[PIECE_BYTES];
    gssize n;

    g_free(way);
    while ((n = g_socket_receive(pair->ends[from], piece, sizeof piece, NULL, NULL)) > 0) {
        if (g_atomic_int_get(&pair->is_silent))
            return NULL;
        if (from == 0) {
            g_mutex_lock(&pair->relay->lock);
            pair->relay->sent_bytes += (guint64)n;
            g_mutex_unlock(&pair->relay->lock);
        }
        if (!write_all(pair->ends[1 - from], piece, n))
            break;
    }
    if (!g_atomic_int_get(&pair->is_silent))
        (void)g_socket_shutdown(pair->ends[1 - from], FALSE, TRUE, NULL);
    return NULL;
}

static void
start_way(Pair *pair, guint from)
{
    Way *way = g_new0(Way, 1);

    *way = (Way){pair, from};
    pair->threads[from] = g_thread_new("relay-way", copy, way);
}

/* A pair that is silent from its beginning has no threads. */
static void
add_pair(Relay *relay, GSocket *accepted)
{
    Pair *pair = g_new0(Pair, 1);
    g_autoptr(GSocketAddress) target = make_address("127.0.0.1", relay->target_port);

    pair->relay = relay;
    pair->ends[0] = accepted;
    pair->ends[1] =
        g_socket_new(G_SOCKET_FAMILY_IPV4, G_SOCKET_TYPE_STREAM, G_SOCKET_PROTOCOL_TCP, NULL);
    pair->is_silent = relay->is_silent;
    g_ptr_array_add(relay->pairs, pair);
    if (pair->is_silent)
        return;
    if (!g_socket_connect(pair->ends[1], target, NULL, NULL)) {
        (void)g_socket_close(accepted, NULL); /* refused there, so it ends here */
        return;
    }
    start_way(pair, 0);
    start_way(pair, 1);
}

static gpointer
serve(gpointer user_data)
{
    Relay *relay = user_data;

    for (;;) {
        GSocket *accepted = g_socket_accept(relay->listener, NULL, NULL);

        g_mutex_lock(&relay->lock);
        gboolean is_ending = relay->is_ending;
        if (accepted != NULL && !is_ending)
            add_pair(relay, accepted);
        else
            g_clear_object(&accepted);
        g_mutex_unlock(&relay->lock);
        if (is_ending)
            return NULL;
    }
}

static void
pair_free(gpointer data)
{
    Pair *pair = data;

    for (guint i = 0; i < 2; i++)
        (void)shutdown(g_socket_get_fd(pair->ends[i]), SHUT_RDWR);
    for (guint i = 0; i < 2; i++) {
        if (pair->threads[i] != NULL)
            g_thread_join(pair->threads[i]);
    }
    g_object_unref(pair->ends[0]);
    g_object_unref(pair->ends[1]);
    g_free(pair);
}

Relay *
relay_new(const char *address, guint16 target_port)
{
    Relay *relay = g_new0(Relay, 1);
    g_autoptr(GSocketAddress) any = make_address(address, 0);
    g_autoptr(GError) error = NULL;

    relay->target_port = target_port;
    relay->pairs = g_ptr_array_new_with_free_func(pair_free);
    g_mutex_init(&relay->lock);
    relay->listener = g_socket_new(g_socket_address_get_family(any), G_SOCKET_TYPE_STREAM,
                                   G_SOCKET_PROTOCOL_TCP, &error);
    g_assert_no_error(error);
    (void)g_socket_bind(relay->listener, any, TRUE, &error);
    g_assert_no_error(error);
    (void)g_socket_listen(relay->listener, &error);
    g_assert_no_error(error);
    g_autoptr(GSocketAddress) bound = g_socket_get_local_address(relay->listener, &error);
    g_assert_no_error(error);
    relay->port = g_inet_socket_address_get_port(G_INET_SOCKET_ADDRESS(bound));
    relay->thread = g_thread_new("relay", serve, relay);
    return relay;
}

void
relay_free(Relay *relay)
{
    g_mutex_lock(&relay->lock);
    relay->is_ending = TRUE;
    g_mutex_unlock(&relay->lock);
    (void)shutdown(g_socket_get_fd(relay->listener), SHUT_RDWR); /* wakes the thread */
    g_thread_join(relay->thread);
    g_ptr_array_unref(relay->pairs);
    g_object_unref(relay->listener);
    g_mutex_clear(&relay->lock);
    g_free(relay);
}

guint16
relay_get_port(Relay *relay)
{
    return relay->port;
}

static void
set_silent(Relay *relay, gboolean is_silent)
{
    g_mutex_lock(&relay->lock);
    relay->is_silent = is_silent;
    for (guint i = 0; i < relay->pairs->len && is_silent; i++)
        g_atomic_int_set(&((Pair *)relay->pairs->pdata[i])->is_silent, TRUE);
    g_mutex_unlock(&relay->lock);
}

void
relay_silence(Relay *relay)
{
    set_silent(relay, TRUE);
}

void
relay_revive(Relay *relay)
{
    set_silent(relay, FALSE);
}

guint
relay_get_connections(Relay *relay)
{
    g_mutex_lock(&relay->lock);
    guint n = relay->pairs->len;
    g_mutex_unlock(&relay->lock);
    return n;
}

guint64
relay_get_sent_bytes(Relay *relay)
{
    g_mutex_lock(&relay->lock);
    guint64 n = relay->sent_bytes;
    g_mutex_unlock(&relay->lock);
    return n;
}
