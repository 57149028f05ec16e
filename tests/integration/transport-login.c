/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Who we are and who the hub is: keys, certificates, and the name of what is wrong with either.
 */
#include "tests/integration/transport-suite.h"

#include "tests/integration/transport-peer.h"
#include "tests/integration/transport-relay.h"

#include <signal.h>
#include <string.h>

#define OTHER_KEY "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="

static char *
write_file(Harness *h, const char *name, const char *text)
{
    char *path = g_build_filename(harness_get_dir(h), name, NULL);
    g_autoptr(GError) error = NULL;

    (void)g_file_set_contents_full(path, text, -1, G_FILE_SET_CONTENTS_CONSISTENT, 0600, &error);
    g_assert_no_error(error);
    return path;
}

/* The machine is known to the hub by a certificate from now on. @type: of the control API */
static void
use_certificate(Harness *h, const char *type)
{
    g_autofree char *request = g_strdup_printf("{\"type\": \"%s\"}", type);
    g_autoptr(JsonNode) answer =
        harness_hub(h, "POST", "/devices/" HARNESS_DEVICE_ID "/certificate", request);
    JsonObject *object = json_node_get_object(answer);
    g_autofree char *certificate =
        write_file(h, "device.pem", json_object_get_string_member(object, "certificate"));
    g_autofree char *key =
        write_file(h, "device-key.pem", json_object_get_string_member(object, "key"));

    harness_set_connection_string(h, json_object_get_string_member(object, "connectionString"));
    transport_configure_hub(h, "CertificateFile=%s\nPrivateKeyFile=%s", certificate, key);
}

static void
assert_both_ways(Harness *h)
{
    g_autoptr(Listener) listener = transport_listen(h, NULL, "{'mode': <'handle'>}");

    transport_send(h, "up");
    harness_wait_arrived(h, 1);
    transport_cloud_sends(h, HARNESS_DEVICE_ID, "down", "");
    listener_settle(h, listener, "Complete", listener_wait(h, listener, 1));
    transport_wait_fate(h, HARNESS_DEVICE_ID, "down", "Completed");
}

static void
test_key_opens_both_ways(gconstpointer form)
{
    g_autoptr(Harness) h = transport_connected(form);

    assert_both_ways(h);

    g_assert_cmpuint(harness_counter(h, "TokenExpiry"), >, (guint64)g_get_real_time());
    g_autoptr(JsonArray) arrived = harness_arrived(h, 0);
    JsonObject *system = json_object_get_object_member(json_array_get_object_element(arrived, 0),
                                                       "systemProperties");
    g_assert_nonnull(
        strstr(json_object_get_string_member(system, "iothub-connection-auth-method"), "\"sas\""));
}

static void
assert_certificate_opens(const Form *form, const char *type)
{
    g_autoptr(Harness) h = transport_house(form);

    use_certificate(h, type);
    harness_start_daemon(h);
    harness_wait_state(h, "connected");
    assert_both_ways(h);

    g_assert_cmpuint(harness_counter(h, "TokenExpiry"), ==, 0);
    g_assert_cmpuint(harness_counter(h, "CertificateExpiry"), >, (guint64)g_get_real_time());
    g_autoptr(JsonArray) arrived = harness_arrived(h, 0);
    JsonObject *system = json_object_get_object_member(json_array_get_object_element(arrived, 0),
                                                       "systemProperties");
    g_assert_nonnull(
        strstr(json_object_get_string_member(system, "iothub-connection-auth-method"), "\"x509\""));
}

static void
test_certificate_known_by_its_thumbprint(gconstpointer form)
{
    assert_certificate_opens(form, "selfSigned");
}

static void
test_certificate_signed_by_an_authority(gconstpointer form)
{
    assert_certificate_opens(form, "certificateAuthority");
}

/* A message has to wait for somebody to try and send it: over HTTPS nobody asks before. */
static void
assert_refused(Harness *h, const char *name)
{
    harness_start_daemon(h);
    transport_send(h, "x");
    transport_wait_error(h, NULL, name);

    g_assert_cmpint(transport_stat(h, "messagesReceived"), ==, 0);
    g_assert_cmpuint(harness_counter(h, "QueuedMessages"), ==, 1);
}

static void
test_certificate_of_somebody_else(gconstpointer form)
{
    g_autoptr(Harness) h = transport_house(form);

    use_certificate(h, "selfSigned");
    json_node_unref(harness_hub(h, "PUT", "/devices/" HARNESS_DEVICE_ID,
                                "{\"authentication\": {\"type\": \"selfSigned\", "
                                "\"x509Thumbprint\": {\"primaryThumbprint\": "
                                "\"0123456789012345678901234567890123456789\"}}}"));

    assert_refused(h, "AuthenticationFailed");
}

static void
test_wrong_key(gconstpointer form)
{
    g_autoptr(Harness) h = transport_house(form);

    harness_set_connection_string(h, "HostName=localhost;DeviceId=" HARNESS_DEVICE_ID
                                     ";SharedAccessKey=" OTHER_KEY);

    assert_refused(h, "AuthenticationFailed");
}

static void
test_unknown_device(gconstpointer data)
{
    const Form *form = data;
    g_autoptr(Harness) h = transport_house(form);

    harness_set_connection_string(h,
                                  "HostName=localhost;DeviceId=nobody;SharedAccessKey=" OTHER_KEY);

    assert_refused(h, form->unknown_device);
}

static void
test_disabled_device(gconstpointer data)
{
    const Form *form = data;
    g_autoptr(Harness) h = transport_house(form);

    json_node_unref(
        harness_hub(h, "PUT", "/devices/" HARNESS_DEVICE_ID, "{\"status\": \"disabled\"}"));

    assert_refused(h, form->disabled_device);
}

static void
test_wrong_authority(gconstpointer form)
{
    g_autoptr(Harness) h = transport_house(form);
    g_autoptr(JsonNode) other = harness_hub(h, "POST", "/devices/other/certificate", NULL);
    g_autofree char *path = write_file(
        h, "other.pem", json_object_get_string_member(json_node_get_object(other), "certificate"));

    transport_configure_hub(h, "CAFile=%s", path);

    assert_refused(h, "Certificate");
}

static void
assert_impostor_refused(const Form *form, ImpostorKind kind)
{
    g_autoptr(Harness) h = transport_house(form);
    g_autoptr(Impostor) impostor = impostor_new(h, kind);

    transport_configure_hub(h, "%s=%u", form->port_key, impostor_get_port(impostor));
    assert_refused(h, "Certificate");
    harness_kill_daemon(h, SIGKILL); /* before its peer goes */
}

static void
test_certificate_of_the_hub_has_expired(gconstpointer form)
{
    assert_impostor_refused(form, IMPOSTOR_EXPIRED);
}

static void
test_certificate_of_the_hub_has_another_name(gconstpointer form)
{
    assert_impostor_refused(form, IMPOSTOR_OTHER_NAME);
}

static void
test_nobody_listens(gconstpointer data)
{
    const Form *form = data;
    g_autoptr(Harness) h = transport_house(form);

    transport_configure_hub(h, "%s=1", form->port_key);

    assert_refused(h, "TcpRefused");
}

static void
test_name_without_address(gconstpointer form)
{
    g_autoptr(Harness) h = transport_house(form);

    harness_set_connection_string(h, "HostName=no-such-host.invalid;DeviceId=" HARNESS_DEVICE_ID
                                     ";SharedAccessKey=" OTHER_KEY);

    assert_refused(h, "Dns");
}

/* Only [::1] listens on that port. */
static void
test_ipv6(gconstpointer data)
{
    const Form *form = data;
    g_autoptr(Harness) h = transport_house(form);
    g_autoptr(Relay) relay = relay_new("::1", (guint16)harness_get_hub_port(h));
    g_autoptr(JsonNode) device = harness_hub(h, "GET", "/devices/" HARNESS_DEVICE_ID, NULL);
    g_autofree char *text = g_strdup_printf(
        "%s;GatewayHostName=::1",
        json_object_get_string_member(json_node_get_object(device), "connectionString"));

    harness_set_connection_string(h, text);
    transport_configure_hub(h, "%s=%u", form->port_key, relay_get_port(relay));
    if (form->needs_name) {
        assert_refused(h, "Certificate");
    } else {
        harness_start_daemon(h);
        harness_wait_state(h, "connected");
        assert_both_ways(h);
        g_assert_cmpuint(relay_get_connections(relay), >=, 1);
    }
    harness_kill_daemon(h, SIGKILL); /* before its line goes */
}

void
transport_add_login(const Form *form)
{
    transport_add(form, "login/key-opens-both-ways", test_key_opens_both_ways);
    transport_add(form, "login/certificate-known-by-its-thumbprint",
                  test_certificate_known_by_its_thumbprint);
    transport_add(form, "login/certificate-signed-by-an-authority",
                  test_certificate_signed_by_an_authority);
    transport_add(form, "login/certificate-of-somebody-else", test_certificate_of_somebody_else);
    transport_add(form, "login/wrong-key", test_wrong_key);
    transport_add(form, "login/unknown-device", test_unknown_device);
    transport_add(form, "login/disabled-device", test_disabled_device);
    transport_add(form, "login/wrong-authority", test_wrong_authority);
    transport_add(form, "login/certificate-of-the-hub-has-expired",
                  test_certificate_of_the_hub_has_expired);
    transport_add(form, "login/certificate-of-the-hub-has-another-name",
                  test_certificate_of_the_hub_has_another_name);
    transport_add(form, "login/ipv6", test_ipv6);
    transport_add(form, "login/nobody-listens", test_nobody_listens);
    transport_add(form, "login/name-without-address", test_name_without_address);
}
