/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Renewal, lost connections, lost packets, a hub that has had enough, another client: the right
 * name for it, nothing lost, and the order kept.
 */
#include "tests/integration/transport-suite.h"

#include "tests/integration/transport-peer.h"
#include "tests/integration/transport-relay.h"

#include <signal.h>
#include <string.h>

#define RENEWALS 2

static void
test_renewal_under_load_loses_and_repeats_nothing(gconstpointer data)
{
    const Form *form = data;
    g_autoptr(Harness) h = transport_house(form);
    guint64 last_expiry = 0;
    guint renewals = 0;
    guint n = 0;

    transport_configure_hub(h, "TokenLifetimeSec=65");
    harness_start_daemon(h);
    harness_wait_state(h, "connected");
    gint64 accepted = transport_stat(h, "connectionsAccepted");
    gint64 deadline = g_get_monotonic_time() + HARNESS_WAIT_SEC * G_USEC_PER_SEC;
    for (; renewals < RENEWALS; n += 10) {
        transport_send_numbered(h, n, 10);
        transport_pass(20);
        guint64 expiry = harness_counter(h, "TokenExpiry");
        if (expiry != 0 && expiry != last_expiry && last_expiry != 0)
            renewals++;
        last_expiry = expiry != 0 ? expiry : last_expiry;
        g_assert_cmpint(g_get_monotonic_time(), <, deadline);
    }

    transport_wait_numbered(h, n, TRUE);
    if (form->renews && form->is_link)
        g_assert_cmpint(transport_stat(h, "connectionsAccepted"), ==, accepted);
    g_assert_cmpint(transport_stat(h, "evicted"), ==, 0);
}

static void
test_hub_killed_under_load(gconstpointer form)
{
    g_autoptr(Harness) h = transport_connected(form);

    transport_send_numbered(h, 0, 2000);
    harness_kill_hub(h, SIGKILL);
    transport_send_numbered(h, 2000, 500);
    harness_start_hub(h);
    transport_send_numbered(h, 2500, 500);

    transport_wait_written(h, 3000);
    harness_wait_counter(h, "QueuedMessages", 0);
}

static void
test_cut_in_the_middle(gconstpointer form)
{
    g_autoptr(Harness) h = transport_connected(form);

    transport_fault(h, "{\"kind\": \"cut-after\", \"after\": 100, \"store\": true}");
    transport_send_numbered(h, 0, 1000);

    transport_wait_numbered(h, 1000, FALSE);
    harness_wait_counter(h, "QueuedMessages", 0);
}

static void
test_dropped_comes_back(gconstpointer form)
{
    g_autoptr(Harness) h = transport_connected(form);

    for (guint i = 0; i < 2; i++) {
        transport_send_numbered(h, i, 1);
        transport_wait_numbered(h, i + 1, TRUE);
        transport_fault(h, "{\"kind\": \"drop\"}");
    }
    transport_send_numbered(h, 2, 1);

    transport_wait_numbered(h, 3, TRUE);
}

static gboolean
is_anything_wrong(Harness *h, gpointer unused)
{
    g_autoptr(GVariant) value = harness_property(h, "LastError");
    const char *name;

    g_variant_get(value, "(&s&s)", &name, NULL);
    return *name != '\0';
}

/* Packets are dropped, not refused: the connection is there for all that TCP knows. */
static void
test_half_open_is_noticed(gconstpointer data)
{
    const Form *form = data;
    g_autoptr(Harness) h = transport_house(form);
    g_autoptr(Relay) relay = relay_new("127.0.0.1", (guint16)harness_get_hub_port(h));

    transport_configure_hub(h, "%s=%u\nKeepAliveSec=5\nConnectTimeoutSec=3", form->port_key,
                            relay_get_port(relay));
    harness_start_daemon(h);
    harness_wait_state(h, "connected");
    transport_send_numbered(h, 0, 100);
    transport_wait_numbered(h, 100, TRUE);
    relay_silence(relay);
    gint64 began = g_get_monotonic_time();
    transport_send_numbered(h, 100, 100);
    harness_wait(h, "notice of the silence", is_anything_wrong, NULL);
    g_test_message("noticed in %.1f s", (double)(g_get_monotonic_time() - began) / G_USEC_PER_SEC);
    g_assert_cmpint(g_get_monotonic_time() - began, <, 35 * G_USEC_PER_SEC);
    relay_revive(relay);

    transport_wait_numbered(h, 200, FALSE);
    harness_kill_daemon(h, SIGKILL); /* before its line goes */
}

static void
test_eviction_by_another_client(gconstpointer data)
{
    const Form *form = data;
    g_autoptr(Harness) h = transport_connected(form);

    transport_send_numbered(h, 0, 10);
    transport_wait_numbered(h, 10, TRUE);
    g_autoptr(Rival) rival = rival_new(h);
    transport_send_numbered(h, 10, 10);
    transport_wait_numbered(h, 20, FALSE);

    g_autofree char *log = harness_read_daemon_log(h);
    g_assert_cmpint(transport_stat(h, "evicted"), ==, form->is_link ? 2 : 0);
    if (form->is_link)
        g_assert_nonnull(strstr(log, form->evicted));
}

static void
assert_waits_for_better_times(const Form *form, const char *fault, const char *name)
{
    g_autoptr(Harness) h = transport_connected(form);

    transport_fault(h, fault);
    transport_send_numbered(h, 0, 150);
    transport_pass(100); /* a throttle lets the first batch through */
    transport_send_numbered(h, 150, 150);
    transport_wait_error(h, NULL, name);
    g_assert_cmpuint(harness_counter(h, "QueuedMessages"), >, 0);
    transport_clear_faults(h);
    transport_restart(h);

    transport_wait_numbered(h, 300, FALSE);
    harness_wait_counter(h, "QueuedMessages", 0);
}

static void
test_throttled(gconstpointer data)
{
    const Form *form = data;

    assert_waits_for_better_times(form, "{\"kind\": \"throttle\", \"rate\": 20}", form->throttled);
}

static void
test_quota_used_up(gconstpointer data)
{
    const Form *form = data;

    assert_waits_for_better_times(form, "{\"kind\": \"quota\"}", form->quota);
}

static void
test_hub_closes_again_and_again(gconstpointer data)
{
    const Form *form = data;

    assert_waits_for_better_times(form, "{\"kind\": \"cut-after\", \"count\": 0}", form->cut);
}

/* A message of 1,024 bytes; what acknowledges it goes the other way. */
static void
test_bytes_on_the_wire(gconstpointer data)
{
    const Form *form = data;
    g_autoptr(Harness) h = transport_house(form);
    g_autoptr(Relay) relay = relay_new("127.0.0.1", (guint16)harness_get_hub_port(h));
    g_autofree char *body = g_strnfill(1024, 'x');
    guint64 before = 0;

    transport_configure_hub(h, "%s=%u", form->port_key, relay_get_port(relay));
    harness_start_daemon(h);
    harness_wait_state(h, "connected");
    for (guint i = 0; i <= 10; i++) {
        transport_send(h, body);
        harness_wait_counter(h, "SentMessages", i + 1);
        if (i == 0)
            before = relay_get_sent_bytes(relay);
    }

    guint64 bytes = (relay_get_sent_bytes(relay) - before) / 10;
    g_test_message("%" G_GUINT64_FORMAT " bytes a message", bytes);
    if (form->wire_bytes != 0)
        g_assert_cmpuint(bytes, <=, form->wire_bytes);
    g_assert_cmpuint(relay_get_connections(relay), ==, 1);
    harness_kill_daemon(h, SIGKILL);
}

static void
test_only_its_own_libraries_are_loaded(gconstpointer data)
{
    const Form *form = data;
    g_autoptr(Harness) h = transport_connected(form);
    g_autofree char *path = g_strdup_printf("/proc/%d/maps", harness_get_daemon_pid(h));
    g_autofree char *maps = NULL;
    g_autoptr(GError) error = NULL;

    transport_send(h, "x");
    harness_wait_arrived(h, 1);
    (void)g_file_get_contents(path, &maps, NULL, &error);
    g_assert_no_error(error);

    for (guint i = 0; form->libraries[i] != NULL; i++) {
        if (strstr(maps, form->libraries[i]) == NULL)
            g_error("%s is not mapped", form->libraries[i]);
    }
    for (guint i = 0; form->strangers[i] != NULL; i++) {
        if (strstr(maps, form->strangers[i]) != NULL)
            g_error("%s is mapped", form->strangers[i]);
    }
}

void
transport_add_trouble(const Form *form)
{
    transport_add(form, "trouble/renewal-under-load-loses-and-repeats-nothing",
                  test_renewal_under_load_loses_and_repeats_nothing);
    transport_add(form, "trouble/hub-killed-under-load", test_hub_killed_under_load);
    transport_add(form, "trouble/cut-in-the-middle", test_cut_in_the_middle);
    transport_add(form, "trouble/dropped-comes-back", test_dropped_comes_back);
    transport_add(form, "trouble/half-open-is-noticed", test_half_open_is_noticed);
    transport_add(form, "trouble/eviction-by-another-client", test_eviction_by_another_client);
    transport_add(form, "trouble/throttled", test_throttled);
    transport_add(form, "trouble/quota-used-up", test_quota_used_up);
    transport_add(form, "trouble/hub-closes-again-and-again", test_hub_closes_again_and_again);
    transport_add(form, "trouble/bytes-on-the-wire", test_bytes_on_the_wire);
    transport_add(form, "trouble/only-its-own-libraries-are-loaded",
                  test_only_its_own_libraries_are_loaded);
}
