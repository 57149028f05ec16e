/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "bus-fixture.h"

#include "dbus/bus-source.h"

typedef struct {
    sd_bus *bus;     /* owned */
    GSource *source; /* owned */
} BusClient;

static void
on_closed(int bus_errno, gpointer user_data)
{
}

static GSource *
serve(sd_bus *bus)
{
    GSource *source = spoke_bus_source_new(bus, on_closed, NULL);

    g_source_attach(source, NULL);
    return source;
}

/* By address, as on the system bus: sd-bus would trust everybody on a bus of the user's own. */
static sd_bus *
open_bus(BusFixture *fixture)
{
    g_autoptr(sd_bus) bus = NULL;

    g_assert_cmpint(sd_bus_new(&bus), >=, 0);
    g_assert_cmpint(sd_bus_set_address(bus, g_test_dbus_get_bus_address(fixture->daemon)), >=, 0);
    g_assert_cmpint(sd_bus_set_bus_client(bus, 1), >=, 0);
    g_assert_cmpint(sd_bus_start(bus), >=, 0);
    const char *name = NULL;
    g_assert_cmpint(sd_bus_get_unique_name(bus, &name), >=, 0); /* waits until it is connected */
    return g_steal_pointer(&bus);
}

static void
client_free(BusClient *client)
{
    g_source_destroy(client->source);
    g_source_unref(client->source);
    sd_bus_close(client->bus);
    sd_bus_unref(client->bus);
    g_free(client);
}

void
bus_fixture_set_up(BusFixture *fixture)
{
    fixture->daemon = g_test_dbus_new(G_TEST_DBUS_NONE);
    g_test_dbus_up(fixture->daemon);
    fixture->service = open_bus(fixture);
    g_assert_cmpint(sd_bus_request_name(fixture->service, SPOKE_BUS_NAME, 0), >=, 0);
    fixture->source = serve(fixture->service);
    fixture->clients = g_ptr_array_new_with_free_func((GDestroyNotify)client_free);
}

void
bus_fixture_tear_down(BusFixture *fixture)
{
    g_ptr_array_unref(fixture->clients);
    g_source_destroy(fixture->source);
    g_source_unref(fixture->source);
    sd_bus_close(fixture->service);
    sd_bus_unref(fixture->service);
    g_test_dbus_down(fixture->daemon);
    g_object_unref(fixture->daemon);
}

sd_bus *
bus_fixture_connect(BusFixture *fixture)
{
    BusClient *client = g_new0(BusClient, 1);

    client->bus = open_bus(fixture);
    client->source = serve(client->bus);
    g_ptr_array_add(fixture->clients, client);
    return client->bus;
}

void
bus_fixture_disconnect(BusFixture *fixture, sd_bus *client)
{
    for (guint i = 0; i < fixture->clients->len; i++) {
        if (((BusClient *)fixture->clients->pdata[i])->bus == client) {
            g_ptr_array_remove_index(fixture->clients, i);
            return;
        }
    }
    g_assert_not_reached();
}

gboolean
bus_fixture_tick(gpointer user_data)
{
    return G_SOURCE_CONTINUE;
}
