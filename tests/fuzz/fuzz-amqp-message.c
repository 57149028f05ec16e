/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/properties.h"
#include "daemon/transports/amqp/decode.h"
#include "daemon/transports/amqp/encode.h"
#include "tests/fuzz/fuzz.h"

#include <glib.h>

static void
check_again(const SpokeMessage *message)
{
    g_autoptr(GByteArray) out = g_byte_array_new();
    gsize max = spoke_amqp_encoded_max(message, NULL);

    spoke_amqp_encode(out, message, NULL);
    g_assert_cmpuint(out->len, <=, max);

    g_autoptr(SpokeMessage) again = spoke_amqp_decode(out->data, out->len);

    g_assert_nonnull(again);
    g_assert_cmpmem(spoke_message_body(again), again->body_size, spoke_message_body(message),
                    message->body_size);
}

/* A message from the hub, or its answer to a token: whatever it holds, the lists made of it are
 * valid, and it can be sent again. */
int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    g_autoptr(SpokeMessage) message = spoke_amqp_decode(data, size);
    g_auto(SpokeAmqpAnswer) answer = {0};

    if (message != NULL) {
        g_assert_true(
            spoke_properties_is_valid(spoke_message_system(message), message->system_size));
        g_assert_true(
            spoke_properties_is_valid(spoke_message_properties(message), message->properties_size));
        check_again(message);
    }
    if (spoke_amqp_decode_answer(data, size, &answer) && answer.description != NULL)
        g_assert_true(g_utf8_validate(answer.description, -1, NULL));
    return 0;
}
