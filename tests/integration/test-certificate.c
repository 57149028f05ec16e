/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A device that proves itself by a certificate gets a new one while the daemon runs: from the hub,
 * which knows the old one no longer. Nobody tells the daemon.
 */
#include "tests/integration/harness.h"

#include <string.h>

static void
put_file(const char *path, const char *text)
{
    g_assert_true(
        g_file_set_contents_full(path, text, -1, G_FILE_SET_CONTENTS_CONSISTENT, 0600, NULL));
}

/* Has the hub make one and forget the one before. */
static void
put_certificate(Harness *h, const char *days)
{
    static const char *const names[] = {"certificate", "key"};
    g_autofree char *body = g_strdup_printf("{\"days\": %s}", days);
    g_autoptr(JsonNode) issued =
        harness_hub(h, "POST", "/devices/" HARNESS_DEVICE_ID "/certificate", body);
    JsonObject *object = json_node_get_object(issued);

    for (guint i = 0; i < G_N_ELEMENTS(names); i++) {
        g_autofree char *path = g_strdup_printf("%s/%s.pem", harness_get_dir(h), names[i]);

        put_file(path, json_object_get_string_member(object, names[i]));
    }
    harness_set_connection_string(h, json_object_get_string_member(object, "connectionString"));
}

static void
configure(Harness *h)
{
    g_autofree char *text =
        g_strdup_printf("CertificateFile=%s/certificate.pem\nPrivateKeyFile=%s/key.pem\n",
                        harness_get_dir(h), harness_get_dir(h));

    harness_configure(h, text);
}

static gboolean
ends_later(Harness *h, gpointer expiry)
{
    return harness_counter(h, "CertificateExpiry") > *(guint64 *)expiry;
}

static void
test_new_certificate_is_taken_up(void)
{
    g_autoptr(Harness) h = harness_new();
    put_certificate(h, "10");
    configure(h);
    harness_start_daemon(h);
    harness_wait_state(h, "connected");
    guint64 expiry = harness_counter(h, "CertificateExpiry");
    g_autoptr(GVariant) first = harness_call(h, NULL, "SendText", "('one', @a{ss} {}, @a{sv} {})");
    harness_wait_arrived(h, 1);

    put_certificate(h, "100");

    harness_wait(h, "the new certificate", ends_later, &expiry);
    harness_wait_state(h, "connected");
    g_autoptr(GVariant) second = harness_call(h, NULL, "SendText", "('two', @a{ss} {}, @a{sv} {})");
    harness_wait_arrived(h, 2);
    g_autofree char *log = harness_read_daemon_log(h);
    const char *complaint = strstr(log, "The certificate of device self (");
    g_assert_nonnull(complaint);
    g_assert_null(strstr(complaint + 1, "The certificate of device self ("));
    g_assert_cmpint(harness_stop_daemon(h), ==, 0);
}

static gboolean
log_has(Harness *h, gpointer text)
{
    g_autofree char *log = harness_read_daemon_log(h);

    return strstr(log, text) != NULL;
}

/* Each change is looked at by itself, and a bad one waits for the next. */
static void
test_half_a_pair_changes_nothing(void)
{
    g_autoptr(Harness) h = harness_new();
    put_certificate(h, "100");
    configure(h);
    harness_start_daemon(h);
    harness_wait_state(h, "connected");
    g_autofree char *path = g_strdup_printf("%s/key.pem", harness_get_dir(h));
    g_autofree char *key = NULL;
    g_assert_true(g_file_get_contents(path, &key, NULL, NULL));

    put_file(path, "no key");
    harness_wait(h, "the complaint", log_has,
                 (gpointer) "there is no private key in PEM form in it");
    harness_wait_state(h, "connected");

    g_assert_true(
        g_file_set_contents_full(path, key, -1, G_FILE_SET_CONTENTS_CONSISTENT, 0600, NULL));
    harness_wait(h, "the reload", log_has, (gpointer) "Configuration read again");
    harness_wait_state(h, "connected");
    g_assert_cmpint(harness_stop_daemon(h), ==, 0);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/certificate/new/is-taken-up", test_new_certificate_is_taken_up);
    g_test_add_func("/certificate/half-a-pair/changes-nothing", test_half_a_pair_changes_nothing);
    return g_test_run();
}
