/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * One behaviour, five transports: test-transport NAME. An application can't tell which is in use,
 * save by what this table says.
 */
#include "tests/integration/transport-suite.h"

#define PAHO   "libpaho-mqtt"
#define PROTON "libqpid-proton"
#define SOUP   "libsoup-3.0"
#define CURL   "libcurl"

static const Form forms[] = {
    {
        .name = "mqtt",
        .port_key = "MqttPort",
        .wire_bytes = 1242,
        .pushes = TRUE,
        .needs_name = TRUE,
        .is_link = TRUE,
        .unknown_device = "AuthenticationFailed",
        .disabled_device = "AuthenticationFailed",
        .cut = "ClosedByHub",
        .evicted = "ClosedByHub",
        .throttled = "ClosedByHub",
        .quota = "ClosedByHub",
        .libraries = {PAHO, NULL},
        .strangers = {PROTON, SOUP, CURL, NULL},
    },
    {
        .name = "mqtt-ws",
        .port_key = "HttpsPort",
        .pushes = TRUE,
        .needs_name = TRUE,
        .is_link = TRUE,
        .unknown_device = "AuthenticationFailed",
        .disabled_device = "AuthenticationFailed",
        .cut = "ClosedByHub",
        .evicted = "ClosedByHub",
        .throttled = "ClosedByHub",
        .quota = "ClosedByHub",
        .libraries = {PAHO, NULL},
        .strangers = {PROTON, SOUP, CURL, NULL},
    },
    {
        .name = "amqp",
        .port_key = "AmqpPort",
        .pushes = TRUE,
        .settles = TRUE,
        .multiplexes = TRUE,
        .renews = TRUE,
        .is_link = TRUE,
        .unknown_device = "NotFound",
        .disabled_device = "NotFound",
        .cut = "ClosedByHub",
        .evicted = "Evicted",
        .throttled = "Throttled",
        .quota = "QuotaExceeded",
        .libraries = {PROTON, NULL},
        .strangers = {PAHO, CURL, NULL},
    },
    {
        .name = "amqp-ws",
        .port_key = "HttpsPort",
        .pushes = TRUE,
        .settles = TRUE,
        .multiplexes = TRUE,
        .renews = TRUE,
        .is_link = TRUE,
        .unknown_device = "NotFound",
        .disabled_device = "NotFound",
        .cut = "ClosedByHub",
        .evicted = "Evicted",
        .throttled = "Throttled",
        .quota = "QuotaExceeded",
        .libraries = {PROTON, SOUP, NULL},
        .strangers = {PAHO, CURL, NULL},
    },
    {
        .name = "https",
        .port_key = "HttpsPort",
        .settles = TRUE,
        .multiplexes = TRUE,
        .renews = TRUE,
        .trims = TRUE,
        .cut = "ClosedByHub",
        .unknown_device = "NotFound",
        .disabled_device = "NotFound",
        .throttled = "Throttled",
        .quota = "QuotaExceeded",
        .libraries = {CURL, NULL},
        .strangers = {PAHO, PROTON, SOUP, NULL},
    },
};

static const Form *
find_form(const char *name)
{
    for (guint i = 0; i < G_N_ELEMENTS(forms); i++) {
        if (g_strcmp0(forms[i].name, name) == 0)
            return &forms[i];
    }
    g_error("test-transport mqtt|mqtt-ws|amqp|amqp-ws|https");
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    const Form *form = find_form(argc > 1 ? argv[1] : NULL);

    transport_add_messages(form);
    transport_add_c2d(form);
    transport_add_login(form);
    transport_add_trouble(form);
    transport_add_proxy(form);
    transport_add_gateway(form);
    return g_test_run();
}
