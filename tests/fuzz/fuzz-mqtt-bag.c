/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/properties.h"
#include "daemon/transports/mqtt/bag.h"
#include "tests/fuzz/fuzz.h"

/* The bag of a message from the hub: whatever it holds, the lists made of it are valid, and what
 * they hold comes back the same when sent. */
int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    g_autoptr(GByteArray) system = g_byte_array_new();
    g_autoptr(GByteArray) properties = g_byte_array_new();
    g_autoptr(GByteArray) system_again = g_byte_array_new();
    g_autoptr(GByteArray) properties_again = g_byte_array_new();
    g_autoptr(GString) bag = g_string_new(NULL);

    spoke_bag_parse((const char *)data, size, system, properties);

    g_assert_true(spoke_properties_is_valid(system->data, system->len));
    g_assert_true(spoke_properties_is_valid(properties->data, properties->len));

    spoke_bag_append(bag, system->data, system->len, NULL, properties->data, properties->len);
    spoke_bag_parse(bag->str, bag->len, system_again, properties_again);

    g_assert_cmpmem(system_again->data, system_again->len, system->data, system->len);
    g_assert_cmpmem(properties_again->data, properties_again->len, properties->data,
                    properties->len);
    return 0;
}
