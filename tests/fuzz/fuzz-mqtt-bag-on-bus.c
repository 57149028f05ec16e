/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/properties.h"
#include "daemon/transports/mqtt/bag.h"
#include "dbus/message-bus.h"
#include "dbus/text-bus.h"
#include "tests/fuzz/fuzz.h"

#include <sys/socket.h>

/* The bag of a message from the hub: whatever it holds, the message goes out on the bus. Texts that
 * sd-bus takes arrive as they are. */

static sd_bus *
make_bus(void)
{
    sd_bus *bus = NULL;
    int fds[2];

    g_assert_cmpint(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), ==, 0);
    g_assert_cmpint(sd_bus_new(&bus), >=, 0);
    g_assert_cmpint(sd_bus_set_fd(bus, fds[0], fds[0]), >=, 0);
    g_assert_cmpint(sd_bus_start(bus), >=, 0);
    return bus;
}

static void
check_properties(sd_bus_message *m, const SpokeMessage *message)
{
    const char *name = NULL, *value = NULL, *arrived_name = NULL, *arrived_value = NULL;
    SpokePropertiesIter iter;

    spoke_properties_iter_init(&iter, spoke_message_properties(message), message->properties_size);
    g_assert_cmpint(sd_bus_message_enter_container(m, 'a', "{ss}"), >=, 0);
    while (spoke_properties_iter_next(&iter, &name, &value)) {
        g_assert_cmpint(sd_bus_message_read(m, "{ss}", &arrived_name, &arrived_value), >, 0);
        if (spoke_text_is_sendable(name))
            g_assert_cmpstr(arrived_name, ==, name);
        if (spoke_text_is_sendable(value))
            g_assert_cmpstr(arrived_value, ==, value);
    }
    g_assert_cmpint(sd_bus_message_at_end(m, 0), >, 0);
    g_assert_cmpint(sd_bus_message_exit_container(m), >=, 0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static sd_bus *bus;
    g_autoptr(GByteArray) system = g_byte_array_new();
    g_autoptr(GByteArray) properties = g_byte_array_new();
    g_autoptr(sd_bus_message) m = NULL;

    if (bus == NULL)
        bus = make_bus();
    spoke_bag_parse((const char *)data, size, system, properties);
    g_autoptr(SpokeMessage) message =
        spoke_message_new(system->data, system->len, properties->data, properties->len, "", 0);
    message->id = 1;

    g_assert_cmpint(sd_bus_message_new_signal(bus, &m, "/a", "a.b", "C"), >=, 0);
    g_assert_cmpint(spoke_message_write(m, &(SpokeDelivered){.message = message}), >=, 0);
    g_assert_cmpint(sd_bus_message_seal(m, 1, 0), >=, 0);

    g_assert_cmpint(sd_bus_message_skip(m, "say"), >, 0);
    check_properties(m, message);
    g_assert_cmpint(sd_bus_message_skip(m, "a{sv}"), >, 0);
    g_assert_cmpint(sd_bus_message_at_end(m, 1), >, 0);
    return 0;
}
