/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/transport-names.h"

static void
test_is_known_by_name(void)
{
    g_assert_true(spoke_transport_name_is_known("mqtt"));
    g_assert_true(spoke_transport_name_is_known("amqp-ws"));
    g_assert_false(spoke_transport_name_is_known("mqtt-wss"));
    g_assert_false(spoke_transport_name_is_known(""));
}

static void
test_get_port_knows_each_key(void)
{
    static const struct {
        const char *name;
        guint16 port;
    } cases[] = {{"mqtt", 1}, {"mqtt-ws", 3}, {"amqp", 2}, {"amqp-ws", 3}, {"https", 3}};

    for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
        const SpokeConfig config = {
            .transport = (char *)cases[i].name, .mqtt_port = 1, .amqp_port = 2, .https_port = 3};

        g_assert_cmpuint(spoke_transport_name_get_port(&config), ==, cases[i].port);
    }
}

static void
test_join_names_those_that_carry_enough(void)
{
    g_autofree char *all = spoke_transport_names_join(1, "or");
    g_autofree char *many = spoke_transport_names_join(2, "and");
    g_autofree char *most = spoke_transport_names_join(1001, "and");

    g_assert_cmpstr(all, ==, "mqtt, mqtt-ws, amqp, amqp-ws or https");
    g_assert_cmpstr(many, ==, "amqp, amqp-ws and https");
    g_assert_cmpstr(most, ==, "https");
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/transport-names/is-known/by-name", test_is_known_by_name);
    g_test_add_func("/transport-names/get-port/knows-each-key", test_get_port_knows_each_key);
    g_test_add_func("/transport-names/join/names-those-that-carry-enough",
                    test_join_names_those_that_carry_enough);
    return g_test_run();
}
