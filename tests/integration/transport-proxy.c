/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Through an HTTP proxy, tinyproxy, and never around it.
 */
#include "tests/integration/transport-suite.h"

#include <glib/gstdio.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>

typedef struct {
    Harness *h; /* borrowed */
    GSubprocess *process;
    guint16 port;
    char *log; /* owned */
} Proxy;

static guint16
find_free_port(void)
{
    g_autoptr(GSocketAddress) any = g_inet_socket_address_new_from_string("127.0.0.1", 0);
    g_autoptr(GSocket) socket =
        g_socket_new(G_SOCKET_FAMILY_IPV4, G_SOCKET_TYPE_STREAM, G_SOCKET_PROTOCOL_TCP, NULL);

    g_assert_true(g_socket_bind(socket, any, FALSE, NULL));
    g_autoptr(GSocketAddress) bound = g_socket_get_local_address(socket, NULL);
    return g_inet_socket_address_get_port(G_INET_SOCKET_ADDRESS(bound));
}

static void
die_with_parent(gpointer unused)
{
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
}

static gboolean
is_listening(Harness *h, gpointer port)
{
    g_autoptr(GSocketClient) client = g_socket_client_new();
    g_autoptr(GSocketConnection) connection =
        g_socket_client_connect_to_host(client, "127.0.0.1", *(guint16 *)port, NULL, NULL);

    return connection != NULL;
}

/* @extra: more lines of its configuration */
static Proxy *
proxy_new(Harness *h, const char *extra)
{
    Proxy *proxy = g_new0(Proxy, 1);
    g_autofree char *config = g_build_filename(harness_get_dir(h), "tinyproxy.conf", NULL);
    g_autoptr(GSubprocessLauncher) launcher = g_subprocess_launcher_new(
        G_SUBPROCESS_FLAGS_STDOUT_SILENCE | G_SUBPROCESS_FLAGS_STDERR_SILENCE);
    g_autoptr(GError) error = NULL;

    proxy->h = h;
    proxy->port = find_free_port();
    proxy->log = g_build_filename(harness_get_dir(h), "tinyproxy.log", NULL);
    g_autofree char *text =
        g_strdup_printf("Port %u\nListen 127.0.0.1\nTimeout 600\nMaxClients 50\nLogFile \"%s\"\n"
                        "LogLevel Connect\n%s\n",
                        proxy->port, proxy->log, extra);
    (void)g_file_set_contents(config, text, -1, &error);
    g_assert_no_error(error);
    g_subprocess_launcher_set_child_setup(launcher, die_with_parent, NULL, NULL);
    proxy->process =
        g_subprocess_launcher_spawn(launcher, &error, "tinyproxy", "-d", "-c", config, NULL);
    g_assert_no_error(error);
    harness_wait(h, "the proxy", is_listening, &proxy->port);
    return proxy;
}

static void
proxy_free(Proxy *proxy)
{
    g_subprocess_force_exit(proxy->process);
    (void)g_subprocess_wait(proxy->process, NULL, NULL);
    g_object_unref(proxy->process);
    g_free(proxy->log);
    g_free(proxy);
}
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Proxy, proxy_free)

static void
use_proxy(Harness *h, guint16 port, const char *lines)
{
    g_autofree char *text = g_strdup_printf("[Proxy]\nUrl=http://127.0.0.1:%u\n%s\n", port, lines);

    transport_configure(h, text);
}

static void
use_password(Harness *h, guint16 port, const char *password)
{
    g_autofree char *path = g_build_filename(harness_get_dir(h), "proxy-password", NULL);
    g_autofree char *lines = g_strdup_printf("User=us-er\nPasswordFile=%s", path);
    g_autoptr(GError) error = NULL;

    (void)g_file_set_contents_full(path, password, -1, G_FILE_SET_CONTENTS_CONSISTENT, 0600,
                                   &error);
    g_assert_no_error(error);
    use_proxy(h, port, lines);
}

static void
assert_goes_through(Harness *h, Proxy *proxy)
{
    g_autofree char *request = g_strdup_printf("CONNECT localhost:%u", harness_get_hub_port(h));
    g_autofree char *log = NULL;

    harness_start_daemon(h);
    harness_wait_state(h, "connected");
    transport_send_numbered(h, 0, 100);
    transport_wait_numbered(h, 100, TRUE);
    g_autoptr(Listener) listener = transport_listen(h, NULL, "{'mode': <'handle'>}");
    transport_cloud_sends(h, HARNESS_DEVICE_ID, "down", "");
    (void)listener_wait(h, listener, 1);

    g_assert_true(g_file_get_contents(proxy->log, &log, NULL, NULL));
    g_assert_nonnull(strstr(log, request));
}

static void
assert_stays_out(Harness *h)
{
    harness_start_daemon(h);
    transport_send(h, "x");
    transport_wait_error(h, NULL, "Proxy");
    transport_pass(500);

    g_assert_cmpint(transport_stat(h, "messagesReceived"), ==, 0);
    g_assert_cmpint(transport_stat(h, "connectionsAccepted"), ==, 0);
    g_assert_cmpuint(harness_counter(h, "QueuedMessages"), ==, 1);
}

static void
test_goes_through(gconstpointer form)
{
    g_autoptr(Harness) h = transport_house(form);
    g_autoptr(Proxy) proxy = proxy_new(h, "");

    use_proxy(h, proxy->port, "");

    assert_goes_through(h, proxy);
}

static void
test_goes_through_with_a_password(gconstpointer form)
{
    g_autoptr(Harness) h = transport_house(form);
    g_autoptr(Proxy) proxy = proxy_new(h, "BasicAuth us-er p-4_ss");

    use_password(h, proxy->port, "p-4_ss");

    assert_goes_through(h, proxy);
    g_autofree char *log = harness_read_daemon_log(h);
    g_assert_null(strstr(log, "p-4_ss"));
}

static void
test_wrong_password(gconstpointer form)
{
    g_autoptr(Harness) h = transport_house(form);
    g_autoptr(Proxy) proxy = proxy_new(h, "BasicAuth us-er p-4_ss");

    use_password(h, proxy->port, "secret");

    assert_stays_out(h);
}

/* On a thread of its own. */
static gboolean
on_parrot_client(GThreadedSocketService *service, GSocketConnection *client, GObject *source,
                 gpointer unused)
{
    GInputStream *input = g_io_stream_get_input_stream(G_IO_STREAM(client));
    GOutputStream *output = g_io_stream_get_output_stream(G_IO_STREAM(client));
    char request[4096] = "";
    gsize size = 0;
    gssize n = 1;

    while (n > 0 && size < sizeof request - 1 && strstr(request, "\r\n\r\n") == NULL) {
        n = g_input_stream_read(input, request + size, sizeof request - 1 - size, NULL, NULL);
        size += (gsize)MAX(n, 0);
    }

    const char *login = strstr(request, "Basic ");
    int length = login != NULL ? (int)strcspn(login, "\r\n") : 0;
    g_autofree char *answer = g_strdup_printf("HTTP/1.1 407 %.*s\r\nContent-Length: 0\r\n\r\n",
                                              length, login != NULL ? login : "");

    (void)g_output_stream_write_all(output, answer, strlen(answer), NULL, NULL, NULL);
    return TRUE;
}

/* A proxy that repeats in its answer what it was told finds no way into journal and bus. */
static void
test_proxy_is_not_quoted(gconstpointer form)
{
    g_autoptr(Harness) h = transport_house(form);
    g_autoptr(GSocketService) parrot = g_threaded_socket_service_new(4);
    g_autofree char *login = g_base64_encode((const guchar *)"us-er:p-4_ss", 12);
    guint16 port = g_socket_listener_add_any_inet_port(G_SOCKET_LISTENER(parrot), NULL, NULL);

    g_signal_connect(parrot, "run", G_CALLBACK(on_parrot_client), NULL);
    use_password(h, port, "p-4_ss");
    assert_stays_out(h);

    g_autoptr(GVariant) error = transport_property(h, HARNESS_SELF, "LastError");
    g_autofree char *text = g_variant_print(error, FALSE);
    g_autofree char *log = harness_read_daemon_log(h);

    g_assert_nonnull(strstr(text, "407"));
    g_assert_null(strstr(text, login));
    g_assert_nonnull(strstr(log, "407"));
    g_assert_null(strstr(log, login));
    g_socket_service_stop(parrot);
}

/* 403: it lets nobody through to our port. */
static void
test_proxy_forbids(gconstpointer form)
{
    g_autoptr(Harness) h = transport_house(form);
    g_autoptr(Proxy) proxy = proxy_new(h, "ConnectPort 1");

    use_proxy(h, proxy->port, "");

    assert_stays_out(h);
}

static void
test_proxy_is_away(gconstpointer form)
{
    g_autoptr(Harness) h = transport_house(form);

    use_proxy(h, find_free_port(), "");

    assert_stays_out(h);
}

static void
test_exception_goes_straight(gconstpointer form)
{
    g_autoptr(Harness) h = transport_house(form);

    use_proxy(h, find_free_port(), "NoProxy=localhost");
    harness_start_daemon(h);
    transport_send(h, "x");

    harness_wait_arrived(h, 1);
}

static void
name_proxy_that_is_away(Harness *h)
{
    static const char *const names[] = {"http_proxy",  "HTTP_PROXY", "https_proxy",
                                        "HTTPS_PROXY", "all_proxy",  "ALL_PROXY"};
    g_autofree char *url = g_strdup_printf("http://127.0.0.1:%u", find_free_port());

    for (guint i = 0; i < G_N_ELEMENTS(names); i++)
        harness_set_daemon_env(h, names[i], url);
}

/* Libraries have a habit of asking it themselves. */
static void
test_environment_is_not_asked_if_forbidden(gconstpointer form)
{
    g_autoptr(Harness) h = transport_house(form);

    name_proxy_that_is_away(h);
    transport_configure(h, "[Proxy]\nUseEnvironment=no\n");
    harness_start_daemon(h);
    transport_send(h, "x");

    harness_wait_arrived(h, 1);
}

/* What is said there of the proxy for the world outside is not for a hub on the loopback. */
static void
test_exception_of_environment_goes_straight(gconstpointer form)
{
    g_autoptr(Harness) h = transport_house(form);

    name_proxy_that_is_away(h);
    harness_start_daemon(h);
    transport_send(h, "x");

    harness_wait_arrived(h, 1);
}

void
transport_add_proxy(const Form *form)
{
    transport_add(form, "proxy/goes-through", test_goes_through);
    transport_add(form, "proxy/goes-through-with-a-password", test_goes_through_with_a_password);
    transport_add(form, "proxy/wrong-password", test_wrong_password);
    transport_add(form, "proxy/is-not-quoted", test_proxy_is_not_quoted);
    transport_add(form, "proxy/forbids", test_proxy_forbids);
    transport_add(form, "proxy/is-away", test_proxy_is_away);
    transport_add(form, "proxy/exception-goes-straight", test_exception_goes_straight);
    transport_add(form, "proxy/environment-is-not-asked-if-forbidden",
                  test_environment_is_not_asked_if_forbidden);
    transport_add(form, "proxy/exception-of-environment-goes-straight",
                  test_exception_of_environment_goes_straight);
}
