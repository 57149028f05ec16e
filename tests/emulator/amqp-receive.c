/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Transfers coming in, whatever they carry: put together from their frames, and answered. */

#include "amqp-private.h"

#include "amqp-frame.h"

/* The beginning of a transfer stays with its link; one in a single frame needs no such copy. */
static GByteArray *
place_for(EmuAmqpEnd *end, gboolean partial)
{
    if (end->partial == NULL && partial)
        end->partial = g_byte_array_new();
    if (end->partial != NULL)
        return end->partial;
    g_byte_array_set_size(end->session->bytes, 0);
    return end->session->bytes;
}

static void
append_pending(GByteArray *bytes, pn_link_t *link, size_t pending)
{
    guint before = bytes->len;

    g_byte_array_set_size(bytes, before + (guint)pending);
    ssize_t n = pn_link_recv(link, (char *)bytes->data + before, pending);
    g_byte_array_set_size(bytes, before + (guint)MAX(n, 0));
}

gboolean
emu_amqp_end_receive(EmuAmqpEnd *end, pn_delivery_t *delivery, size_t size_max)
{
    EmuAmqpSession *session = end->session;

    if (pn_link_current(end->link) != delivery)
        return FALSE;
    if (pn_delivery_aborted(delivery)) {
        g_clear_pointer(&end->partial, g_byte_array_unref);
        pn_delivery_settle(delivery);
        return FALSE;
    }

    gboolean partial = pn_delivery_partial(delivery);
    if (end->partial == NULL)
        end->message_format = session->message_format;
    GByteArray *bytes = place_for(end, partial);
    append_pending(bytes, end->link, pn_delivery_pending(delivery));
    if (bytes->len > size_max) {
        pn_delivery_settle(delivery);
        emu_amqp_end_close(end, &emu_amqp_cause_too_large, "Transfer over the link's limit");
        return FALSE;
    }
    if (partial)
        return FALSE;

    if (end->partial != NULL) {
        g_byte_array_unref(session->bytes);
        session->bytes = g_steal_pointer(&end->partial);
    }
    pn_link_advance(end->link);
    return TRUE;
}

void
emu_amqp_reject(pn_delivery_t *delivery, const EmuAmqpCause *cause, const char *message)
{
    g_message("Transfer rejected: %s: %s", cause->name, message);
    if (!pn_delivery_settled(delivery)) {
        emu_amqp_condition_set(pn_disposition_condition(pn_delivery_local(delivery)), cause,
                               message);
        pn_delivery_update(delivery, PN_REJECTED);
    }
    pn_delivery_settle(delivery);
}
