/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "bus-fixture.h"
#include "dbus/device-bus.h"
#include "dbus/manager-bus.h"

#include <string.h>

/*
 * The interface XML is the contract: what is served must be the same in members, signatures,
 * argument names and annotations. Both are parsed and written out in one form.
 */
typedef struct {
    const char *interface;
    const char *path;
    const sd_bus_vtable *(*get_vtable)(void);
} Served;

static const Served manager = {
    SPOKE_MANAGER_INTERFACE,
    SPOKE_BUS_PATH,
    spoke_manager_bus_get_vtable,
};
static const Served device = {
    SPOKE_DEVICE_INTERFACE,
    SPOKE_BUS_DEVICE_PREFIX "/self",
    spoke_device_bus_get_vtable,
};

static void
append_annotations(GString *text, GDBusAnnotationInfo **annotations)
{
    for (; annotations && *annotations; annotations++)
        g_string_append_printf(text, "    %s=%s\n", (*annotations)->key, (*annotations)->value);
}

static void
append_args(GString *text, const char *direction, GDBusArgInfo **args)
{
    for (; args && *args; args++) {
        g_string_append_printf(text, "    %s %s %s\n", direction, (*args)->signature,
                               (*args)->name);
        append_annotations(text, (*args)->annotations);
    }
}

static char *
describe(const char *xml, const char *name)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(GDBusNodeInfo) node = g_dbus_node_info_new_for_xml(xml, &error);
    g_assert_no_error(error);
    GDBusInterfaceInfo *interface = g_dbus_node_info_lookup_interface(node, name);
    g_assert_nonnull(interface);
    GString *text = g_string_new(NULL);

    append_annotations(text, interface->annotations);
    for (guint i = 0; interface->methods && interface->methods[i]; i++) {
        g_string_append_printf(text, "method %s\n", interface->methods[i]->name);
        append_args(text, "in", interface->methods[i]->in_args);
        append_args(text, "out", interface->methods[i]->out_args);
        append_annotations(text, interface->methods[i]->annotations);
    }
    for (guint i = 0; interface->signals && interface->signals[i]; i++) {
        g_string_append_printf(text, "signal %s\n", interface->signals[i]->name);
        append_args(text, "out", interface->signals[i]->args);
        append_annotations(text, interface->signals[i]->annotations);
    }
    for (guint i = 0; interface->properties && interface->properties[i]; i++) {
        g_string_append_printf(text, "property %s %s %u\n", interface->properties[i]->name,
                               interface->properties[i]->signature,
                               interface->properties[i]->flags);
        append_annotations(text, interface->properties[i]->annotations);
    }
    return g_string_free(text, FALSE);
}

static int
on_introspected(sd_bus_message *m, void *userdata, sd_bus_error *ret_error)
{
    char **xml = userdata;
    const char *text = NULL;

    g_assert_cmpint(sd_bus_message_read(m, "s", &text), >, 0);
    *xml = g_strdup(text);
    return 1;
}

static void
test_served_equals_xml(gconstpointer data)
{
    const Served *served = data;
    BusFixture bus = {NULL};
    g_autoptr(GError) error = NULL;
    g_autofree char *file = g_strdup_printf("%s/dbus/%s.xml", SPOKE_SOURCE_DIR, served->interface);
    g_autofree char *contract = NULL;
    g_autofree char *introspected = NULL;
    g_autoptr(sd_bus_slot) slot = NULL;

    g_file_get_contents(file, &contract, NULL, &error);
    g_assert_no_error(error);
    bus_fixture_set_up(&bus);
    g_assert_cmpint(sd_bus_add_object_vtable(bus.service, &slot, served->path, served->interface,
                                             served->get_vtable(), NULL),
                    >=, 0);
    g_assert_cmpint(sd_bus_call_method_async(bus_fixture_connect(&bus), NULL, SPOKE_BUS_NAME,
                                             served->path, "org.freedesktop.DBus.Introspectable",
                                             "Introspect", on_introspected, &introspected, NULL),
                    >=, 0);
    bus_fixture_wait_for(introspected);

    g_autofree char *wanted = describe(contract, served->interface);
    g_autofree char *found = describe(introspected, served->interface);
    g_assert_cmpstr(found, ==, wanted);
    slot = sd_bus_slot_unref(slot);
    bus_fixture_tear_down(&bus);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_data_func("/introspection/manager/equals-xml", &manager, test_served_equals_xml);
    g_test_add_data_func("/introspection/device/equals-xml", &device, test_served_equals_xml);
    return g_test_run();
}
