/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "dbus/text-bus.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

/* What sd-bus refuses is asked of sd-bus. */
typedef struct {
    sd_bus *bus;
    int peer_fd;
    sd_bus_message *m; /* an array of strings, which a refused one leaves as it was */
} Fixture;

static void
set_up(Fixture *fixture, gconstpointer data)
{
    int fds[2];

    g_assert_cmpint(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), ==, 0);
    g_assert_cmpint(sd_bus_new(&fixture->bus), >=, 0);
    g_assert_cmpint(sd_bus_set_fd(fixture->bus, fds[0], fds[0]), >=, 0);
    g_assert_cmpint(sd_bus_start(fixture->bus), >=, 0);
    fixture->peer_fd = fds[1];
    g_assert_cmpint(sd_bus_message_new_signal(fixture->bus, &fixture->m, "/a", "a.b", "C"), >=, 0);
    g_assert_cmpint(sd_bus_message_open_container(fixture->m, 'a', "s"), >=, 0);
}

static void
tear_down(Fixture *fixture, gconstpointer data)
{
    sd_bus_message_unref(fixture->m);
    sd_bus_close(fixture->bus);
    sd_bus_unref(fixture->bus);
    (void)close(fixture->peer_fd);
}

/* What arrives of @text when it is appended. (transfer full) */
static char *
append(Fixture *fixture, const char *text)
{
    const char *arrived = NULL;

    g_assert_cmpint(spoke_text_append(fixture->m, text), >=, 0);
    g_assert_cmpint(sd_bus_message_close_container(fixture->m), >=, 0);
    g_assert_cmpint(sd_bus_message_seal(fixture->m, 1, 0), >=, 0);
    g_assert_cmpint(sd_bus_message_enter_container(fixture->m, 'a', "s"), >, 0);
    g_assert_cmpint(sd_bus_message_read(fixture->m, "s", &arrived), >, 0);
    return g_strdup(arrived);
}

static void
test_sendable_is_what_sd_bus_takes(Fixture *fixture, gconstpointer data)
{
    guint n_refused = 0;

    for (gunichar character = 1; character <= 0x10ffff; character++) {
        char text[8] = {0};

        (void)g_unichar_to_utf8(character, text);
        int r = sd_bus_message_append_basic(fixture->m, 's', text);
        g_assert_true(r >= 0 || r == -EINVAL);
        g_assert_cmpint(spoke_text_is_sendable(text), ==, r >= 0);
        n_refused += r < 0;
    }

    g_assert_cmpuint(n_refused, ==, 66 + 0x800); /* noncharacters and surrogates */
}

static void
test_append_keeps_what_is_sendable(Fixture *fixture, gconstpointer data)
{
    g_autofree char *arrived = append(fixture, "küche \xef\xbf\xbd \xf0\x9f\x94\xa5\x01");

    g_assert_cmpstr(arrived, ==, "küche \xef\xbf\xbd \xf0\x9f\x94\xa5\x01");
}

static void
test_append_replaces_noncharacters(Fixture *fixture, gconstpointer data)
{
    g_autofree char *arrived = append(fixture, "\xef\xbf\xbe"
                                               "a\xef\xbf\xbf\xef\xb7\x90"
                                               "b\xf4\x8f\xbf\xbf");

    g_assert_cmpstr(arrived, ==, "\ufffda\ufffd\ufffdb\ufffd");
}

static void
test_append_replaces_what_is_not_utf8(Fixture *fixture, gconstpointer data)
{
    g_autofree char *arrived = append(fixture, "a\xff"
                                               "b\xed\xa0\x80\xef\xbf");

    g_assert_true(g_str_has_prefix(arrived, "a\ufffdb\ufffd"));
    g_assert_true(spoke_text_is_sendable(arrived));
}

static void
test_append_takes_nothing(Fixture *fixture, gconstpointer data)
{
    g_autofree char *arrived = append(fixture, "");

    g_assert_cmpstr(arrived, ==, "");
}

#define ADD(path, test) g_test_add(path, Fixture, NULL, set_up, test, tear_down)

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);

    ADD("/text-bus/sendable/is-what-sd-bus-takes", test_sendable_is_what_sd_bus_takes);
    ADD("/text-bus/append/keeps-what-is-sendable", test_append_keeps_what_is_sendable);
    ADD("/text-bus/append/replaces-noncharacters", test_append_replaces_noncharacters);
    ADD("/text-bus/append/replaces-what-is-not-utf8", test_append_replaces_what_is_not_utf8);
    ADD("/text-bus/append/takes-nothing", test_append_takes_nothing);
    return g_test_run();
}
