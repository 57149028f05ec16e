/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/transports/mqtt/reach.h"

#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define TRY_MSEC 3000

typedef struct addrinfo AddressList;
G_DEFINE_AUTOPTR_CLEANUP_FUNC(AddressList, freeaddrinfo)

static AddressList *
look_up(const char *host, const char *port, char **ret_detail)
{
    struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    AddressList *list = NULL;
    int r = getaddrinfo(host, port, &hints, &list);

    if (r == 0)
        return list;
    *ret_detail =
        g_strdup_printf("%s: %s", host, r == EAI_SYSTEM ? g_strerror(errno) : gai_strerror(r));
    return NULL;
}

/* paho takes the first IPv4 address, and only without one the last of the others. */
static const struct addrinfo *
choose(const AddressList *list)
{
    const struct addrinfo *address = list;

    while (address->ai_family != AF_INET && address->ai_next != NULL)
        address = address->ai_next;
    return address;
}

/* Returns: 0 or an errno */
static int
wait_for_connection(int fd)
{
    struct pollfd poll_fd = {.fd = fd, .events = POLLOUT};
    int error = 0;
    socklen_t size = sizeof error;
    int n = poll(&poll_fd, 1, TRY_MSEC);

    if (n == 0)
        return ETIMEDOUT;
    if (n < 0 || getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) < 0)
        return errno;
    return error;
}

/* Returns: 0 or an errno. @ret_fd: connected, non-blocking; the caller's also on failure (-1) */
static int
connect_to(const struct addrinfo *address, int *ret_fd)
{
    int fd = socket(address->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    *ret_fd = fd;
    if (fd < 0)
        return errno;
    if (connect(fd, address->ai_addr, address->ai_addrlen) < 0)
        return errno == EINPROGRESS ? wait_for_connection(fd) : errno;
    return 0;
}

SpokeCause
spoke_reach_resolve(const char *host, char **ret_detail)
{
    g_autoptr(AddressList) list = look_up(host, NULL, ret_detail);

    return list != NULL ? SPOKE_CAUSE_NONE : SPOKE_CAUSE_DNS;
}

SpokeCause
spoke_reach_try(const char *host, guint16 port, char **ret_detail)
{
    g_autofree char *port_text = g_strdup_printf("%u", port);
    g_autoptr(AddressList) list = look_up(host, port_text, ret_detail);

    if (list == NULL)
        return SPOKE_CAUSE_DNS;

    int fd = -1;
    int error = connect_to(choose(list), &fd);

    if (fd >= 0)
        close(fd);
    if (error == 0)
        return SPOKE_CAUSE_NONE;
    *ret_detail = g_strdup_printf("%s port %u: %s", host, port, g_strerror(error));
    if (error == ECONNREFUSED)
        return SPOKE_CAUSE_TCP_REFUSED;
    return error == ETIMEDOUT ? SPOKE_CAUSE_TCP_TIMEOUT : SPOKE_CAUSE_NETWORK;
}

static char *
request_of(const SpokeProxy *proxy, const char *host, guint16 port)
{
    GString *request = g_string_new(NULL);

    g_string_printf(request, "CONNECT %s:%u HTTP/1.1\r\nHost: %s:%u\r\n", host, port, host, port);
    if (proxy->user != NULL) {
        g_autofree char *pair =
            g_strconcat(proxy->user, ":",
                        proxy->password != NULL ? spoke_secret_peek(proxy->password) : "", NULL);
        g_autofree char *encoded = g_base64_encode((const guchar *)pair, strlen(pair));

        g_string_append_printf(request, "Proxy-Authorization: Basic %s\r\n", encoded);
        explicit_bzero(pair, strlen(pair));
        explicit_bzero(encoded, strlen(encoded));
    }
    g_string_append(request, "\r\n");
    return g_string_free(request, FALSE);
}

/* Returns: the status of the answer, or 0 without one. Its words might hold what we sent, the
 * password too. */
static guint
ask_for_tunnel(int fd, const SpokeProxy *proxy, const char *host, guint16 port)
{
    g_autofree char *request = request_of(proxy, host, port);
    char answer[256] = "";
    struct pollfd poll_fd = {.fd = fd, .events = POLLIN};
    ssize_t sent = send(fd, request, strlen(request), MSG_NOSIGNAL);
    guint status = 0;

    explicit_bzero(request, strlen(request));
    if (sent < 0 || poll(&poll_fd, 1, TRY_MSEC) <= 0 || recv(fd, answer, sizeof answer - 1, 0) <= 0)
        return 0;
    return sscanf(answer, "HTTP/1.%*1[01] %3u", &status) == 1 && status <= 999 ? status : 0;
}

/* (transfer full) */
static char *
describe_answer(const SpokeProxy *proxy, guint status)
{
    if (status == 0)
        return g_strdup_printf("the proxy %s port %u does not answer CONNECT in HTTP", proxy->host,
                               proxy->port);

    const char *reason = status != 407         ? ""
                         : proxy->user != NULL ? ": it refuses the user and password"
                                               : ": it wants a user and password";

    return g_strdup_printf("the proxy %s port %u answered CONNECT with status %u%s", proxy->host,
                           proxy->port, status, reason);
}

SpokeCause
spoke_reach_try_proxy(const SpokeProxy *proxy, const char *host, guint16 port, char **ret_detail)
{
    g_autofree char *port_text = g_strdup_printf("%u", proxy->port);
    g_autoptr(AddressList) list = look_up(proxy->host, port_text, ret_detail);
    int fd = -1;

    if (list == NULL)
        return SPOKE_CAUSE_PROXY;

    int error = connect_to(choose(list), &fd);
    guint status = error == 0 ? ask_for_tunnel(fd, proxy, host, port) : 0;

    if (fd >= 0)
        close(fd);
    if (status >= 200 && status < 300)
        return SPOKE_CAUSE_NONE;
    *ret_detail = error != 0 ? g_strdup_printf("proxy %s port %u: %s", proxy->host, proxy->port,
                                               g_strerror(error))
                             : describe_answer(proxy, status);
    return SPOKE_CAUSE_PROXY;
}
