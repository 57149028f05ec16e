/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/bench/relay.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

/*
 * One thread polls the listener, the way to stop it and both ends of each connection; what comes in
 * at one end is written out at the other before anything else is read.
 */
struct Relay {
    int listener;
    int stop[2]; /* a pipe */
    guint port, target_port;
    GThread *thread;       /* owned */
    GArray *ends;          /* the thread's; of struct pollfd: stop, listener, then in pairs */
    gint64 sent, received; /* atomic */
};

#define FIRST_END 2

static int
connect_to(guint port)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((guint16)port),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (connect(fd, (struct sockaddr *)&address, sizeof address) == 0)
        return fd;
    close(fd);
    return -1;
}

static void
add_end(Relay *relay, int fd)
{
    int on = 1;

    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    g_array_append_val(relay->ends, ((struct pollfd){.fd = fd, .events = POLLIN}));
}

static void
take_in(Relay *relay)
{
    int client = accept4(relay->listener, NULL, NULL, SOCK_CLOEXEC);

    if (client < 0)
        return;
    int hub = connect_to(relay->target_port);
    if (hub < 0) {
        close(client);
        return;
    }
    add_end(relay, client);
    add_end(relay, hub);
}

static gboolean
write_all(int fd, const guint8 *bytes, ssize_t size)
{
    while (size > 0) {
        ssize_t n = send(fd, bytes, (size_t)size, MSG_NOSIGNAL);
        if (n <= 0)
            return FALSE;
        bytes += n;
        size -= n;
    }
    return TRUE;
}

/* FALSE: the connection is over. */
static gboolean
pass_on(int from, int to, gint64 *count)
{
    guint8 bytes[65536];
    ssize_t n = read(from, bytes, sizeof bytes);

    if (n <= 0)
        return FALSE;
    __atomic_add_fetch(count, n, __ATOMIC_RELAXED);
    return write_all(to, bytes, n);
}

static void
serve_pair(Relay *relay, guint index)
{
    struct pollfd *pair = &g_array_index(relay->ends, struct pollfd, index);
    gboolean is_alive = TRUE;

    if (pair[0].revents != 0)
        is_alive = pass_on(pair[0].fd, pair[1].fd, &relay->sent);
    if (is_alive && pair[1].revents != 0)
        is_alive = pass_on(pair[1].fd, pair[0].fd, &relay->received);
    if (is_alive)
        return;
    close(pair[0].fd);
    close(pair[1].fd);
    g_array_remove_range(relay->ends, index, 2);
}

static gpointer
serve(gpointer user_data)
{
    Relay *relay = user_data;
    struct pollfd *ends = (struct pollfd *)(gpointer)relay->ends->data;

    while (poll(ends, relay->ends->len, -1) > 0 && ends[0].revents == 0) {
        gboolean is_called = ends[1].revents != 0;
        for (guint i = relay->ends->len; i > FIRST_END; i -= 2)
            serve_pair(relay, i - 2);
        if (is_called)
            take_in(relay);
        ends = (struct pollfd *)(gpointer)relay->ends->data;
    }
    return NULL;
}

Relay *
relay_new(guint target_port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    Relay *relay = g_new0(Relay, 1);

    relay->target_port = target_port;
    relay->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (bind(relay->listener, (struct sockaddr *)&address, sizeof address) < 0 ||
        listen(relay->listener, 64) < 0 ||
        getsockname(relay->listener, (struct sockaddr *)&address, &size) < 0 ||
        pipe(relay->stop) < 0)
        g_error("relay: %s", g_strerror(errno));
    relay->port = ntohs(address.sin_port);
    relay->ends = g_array_new(FALSE, FALSE, sizeof(struct pollfd));
    g_array_append_val(relay->ends, ((struct pollfd){.fd = relay->stop[0], .events = POLLIN}));
    g_array_append_val(relay->ends, ((struct pollfd){.fd = relay->listener, .events = POLLIN}));
    relay->thread = g_thread_new("relay", serve, relay);
    return relay;
}

void
relay_free(Relay *relay)
{
    if (relay == NULL)
        return;

    close(relay->stop[1]); /* which its reader sees */
    g_thread_join(relay->thread);
    for (guint i = 0; i < relay->ends->len; i++)
        close(g_array_index(relay->ends, struct pollfd, i).fd); /* the listener's, too */
    g_array_unref(relay->ends);
    g_free(relay);
}

guint
relay_get_port(Relay *relay)
{
    return relay->port;
}

guint64
relay_get_sent(Relay *relay)
{
    return (guint64)__atomic_load_n(&relay->sent, __ATOMIC_RELAXED);
}

guint64
relay_get_received(Relay *relay)
{
    return (guint64)__atomic_load_n(&relay->received, __ATOMIC_RELAXED);
}
