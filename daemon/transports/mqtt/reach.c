/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/transports/mqtt/reach.h"

#include <errno.h>
#include <netdb.h>
#include <poll.h>
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

/* Returns: 0 or an errno */
static int
try_address(const struct addrinfo *address)
{
    int fd = socket(address->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    if (fd < 0)
        return errno;

    int error = 0;

    if (connect(fd, address->ai_addr, address->ai_addrlen) < 0)
        error = errno == EINPROGRESS ? wait_for_connection(fd) : errno;
    close(fd);
    return error;
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

    int error = try_address(choose(list));

    if (error == 0)
        return SPOKE_CAUSE_NONE;
    *ret_detail = g_strdup_printf("%s port %u: %s", host, port, g_strerror(error));
    if (error == ECONNREFUSED)
        return SPOKE_CAUSE_TCP_REFUSED;
    return error == ETIMEDOUT ? SPOKE_CAUSE_TCP_TIMEOUT : SPOKE_CAUSE_NETWORK;
}
