/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Messages to devices: sent as far as the device's credit goes, each locked until its outcome. The
 * delivery tag is the lock token, so an outcome says itself what it settles. An outcome of a lock
 * that has run out settles nothing. Source: protocol page, 3.6. */

#include "amqp-private.h"

#include "bag.h"
#include "c2d.h"
#include "error.h"

#include <string.h>

#define LOCK_TOKEN_BYTES 16

/* Fields of the properties section that come from the bag. */
static const struct {
    const char *key;
    EmuAmqpField field;
} fields[] = {
    {"$.mid", EMU_AMQP_MESSAGE_ID},  {"$.uid", EMU_AMQP_USER_ID},
    {"$.to", EMU_AMQP_TO},           {"$.cid", EMU_AMQP_CORRELATION_ID},
    {"$.ct", EMU_AMQP_CONTENT_TYPE}, {"$.ce", EMU_AMQP_CONTENT_ENCODING},
    {"$.exp", EMU_AMQP_EXPIRY_TIME},
};

/* The token of a lock: its number, where a uuid has its random bits. */
static void
token_of_lock(guint64 lock, guint8 token[LOCK_TOKEN_BYTES])
{
    guint64 number = GUINT64_TO_BE(lock);

    memset(token, 0, LOCK_TOKEN_BYTES);
    token[6] = 0x40;
    memcpy(token + 8, &number, sizeof number);
}

static guint64
lock_of_tag(pn_delivery_tag_t tag)
{
    guint64 number = 0;

    if (tag.size != LOCK_TOKEN_BYTES)
        return 0;
    memcpy(&number, tag.start + 8, sizeof number);
    return GUINT64_FROM_BE(number);
}

static void
write_field(GByteArray *out, EmuAmqpField field, const char *value, const EmuC2dMessage *message)
{
    if (value == NULL)
        emu_amqp_write_null(out);
    else if (field == EMU_AMQP_USER_ID)
        emu_amqp_write_binary(out, value, strlen(value));
    else if (field == EMU_AMQP_CONTENT_TYPE || field == EMU_AMQP_CONTENT_ENCODING)
        emu_amqp_write_symbol(out, value);
    else if (field == EMU_AMQP_EXPIRY_TIME)
        emu_amqp_write_timestamp(out, message->expiry_usec / 1000);
    else
        emu_amqp_write_string(out, value);
}

/* Sorts the bag into the fields and the application properties, which go out as they come. */
static void
sort_bag(const EmuC2dMessage *message, char *values[], GByteArray *application)
{
    EmuBagReader reader;
    guint32 count = 0;

    emu_amqp_write_descriptor(application, EMU_AMQP_APPLICATION_PROPERTIES);
    guint begun = emu_amqp_begin_map(application);
    emu_bag_reader_init(&reader, message->bag, strlen(message->bag));
    while (TRUE) {
        g_auto(EmuProperty) property = {NULL, NULL};
        size_t i = 0;
        if (!emu_bag_reader_next(&reader, &property))
            break;
        while (i < G_N_ELEMENTS(fields) && !g_str_equal(fields[i].key, property.key))
            i++;
        if (i < G_N_ELEMENTS(fields)) {
            g_free(values[fields[i].field]);
            values[fields[i].field] = g_steal_pointer(&property.value);
            continue;
        }
        emu_amqp_write_string(application, property.key);
        emu_amqp_write_string(application, property.value != NULL ? property.value : "");
        count += 2;
    }
    emu_amqp_end(application, begun, count);
    if (count == 0)
        g_byte_array_set_size(application, 0);
}

static void
write_annotations(GByteArray *out, const EmuC2dMessage *message, const guint8 *token)
{
    emu_amqp_write_descriptor(out, EMU_AMQP_MESSAGE_ANNOTATIONS);
    guint begun = emu_amqp_begin_map(out);
    emu_amqp_write_symbol(out, "iothub-enqueuedtime");
    emu_amqp_write_timestamp(out, message->enqueued_usec / 1000);
    emu_amqp_write_symbol(out, "iothub-deliverycount");
    emu_amqp_write_ubyte(out, (guint8)message->delivery_count);
    emu_amqp_write_symbol(out, "x-opt-sequence-number");
    emu_amqp_write_ulong(out, message->sequence);
    emu_amqp_write_symbol(out, "x-opt-lock-token");
    emu_amqp_write_uuid(out, token);
    emu_amqp_end(out, begun, 8);
}

/* Only the delivery count is said: some SDKs read it here. */
static void
write_header(GByteArray *out, const EmuC2dMessage *message)
{
    emu_amqp_write_descriptor(out, EMU_AMQP_HEADER);
    guint begun = emu_amqp_begin_list(out);
    for (int field = 0; field < 4; field++)
        emu_amqp_write_null(out);
    emu_amqp_write_uint(out, message->delivery_count);
    emu_amqp_end(out, begun, 5);
}

static void
write_message(GByteArray *out, const EmuC2dMessage *message, const guint8 *token)
{
    g_autoptr(GByteArray) application = g_byte_array_new();
    char *values[EMU_AMQP_EXPIRY_TIME + 1] = {NULL};
    gsize size = 0;
    const void *body = g_bytes_get_data(message->body, &size);

    sort_bag(message, values, application);
    g_free(values[EMU_AMQP_TO]);
    values[EMU_AMQP_TO] = g_strdup_printf("/devices/%s/messages/deviceBound", message->device_id);

    write_header(out, message);
    write_annotations(out, message, token);
    emu_amqp_write_descriptor(out, EMU_AMQP_PROPERTIES);
    guint begun = emu_amqp_begin_list(out);
    for (int field = 0; field <= EMU_AMQP_EXPIRY_TIME; field++) {
        write_field(out, (EmuAmqpField)field, values[field], message);
        g_free(values[field]);
    }
    emu_amqp_end(out, begun, EMU_AMQP_EXPIRY_TIME + 1);
    if (application->len > 0)
        g_byte_array_append(out, application->data, application->len);
    emu_amqp_write_descriptor(out, EMU_AMQP_DATA);
    emu_amqp_write_binary(out, body, size);
}

static void
send(EmuAmqpEnd *end, const EmuC2dMessage *message)
{
    EmuAmqpSession *session = end->session;
    g_autoptr(GByteArray) out = g_byte_array_new();
    guint8 token[LOCK_TOKEN_BYTES];

    token_of_lock(message->lock, token);
    write_message(out, message, token);
    pn_delivery_t *delivery = pn_delivery(end->link, pn_dtag((const char *)token, sizeof token));
    (void)pn_link_send(end->link, (const char *)out->data, out->len);
    (void)pn_link_advance(end->link);
    if (pn_link_remote_snd_settle_mode(end->link) == PN_SND_SETTLED) {
        pn_delivery_settle(delivery);
        (void)emu_c2d_complete(emu_hub_c2d(session->hub), message->lock,
                               emu_hub_now_usec(session->hub), NULL);
    }
    emu_amqp_session_pull(session);
}

void
emu_amqp_devicebound_feed(EmuAmqpEnd *end)
{
    EmuAmqpSession *session = end->session;

    if (session->black_hole)
        return;
    while (session->state == EMU_AMQP_OPEN && pn_link_credit(end->link) > 0 &&
           !emu_pipe_is_full(session->pipe)) {
        g_autoptr(EmuC2dMessage) message = emu_c2d_take(
            emu_hub_c2d(session->hub), end->device->device_id, emu_hub_now_usec(session->hub));
        if (message == NULL)
            break;
        send(end, message);
    }
    if (pn_link_get_drain(end->link) && !emu_pipe_is_full(session->pipe))
        (void)pn_link_drained(end->link);
}

/* Returns: FALSE when the lock is not there any more. */
static gboolean
settle(EmuAmqpEnd *end, guint64 lock, guint64 outcome)
{
    EmuC2d *c2d = emu_hub_c2d(end->session->hub);
    gint64 now_usec = emu_hub_now_usec(end->session->hub);

    switch (outcome) {
    case PN_ACCEPTED:
        return emu_c2d_complete(c2d, lock, now_usec, NULL);
    case PN_REJECTED:
        return emu_c2d_reject(c2d, lock, now_usec, NULL);
    case PN_RELEASED:
    case PN_MODIFIED:
        return emu_c2d_abandon(c2d, lock, now_usec, NULL);
    default: /* settled without an outcome: the lock runs out */
        return TRUE;
    }
}

void
emu_amqp_devicebound_outcome(EmuAmqpEnd *end, pn_delivery_t *delivery)
{
    guint64 outcome = pn_delivery_remote_state(delivery);

    if (!pn_delivery_updated(delivery) ||
        (outcome <= PN_RECEIVED && !pn_delivery_settled(delivery)))
        return;

    guint64 lock = lock_of_tag(pn_delivery_tag(delivery));
    if (settle(end, lock, outcome)) {
        pn_delivery_update(delivery, outcome);
        pn_delivery_settle(delivery);
    } else {
        emu_amqp_reject(delivery, &emu_amqp_cause_lock_lost, "The lock of the message is lost");
    }
}
