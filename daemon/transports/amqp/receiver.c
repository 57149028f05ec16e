/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/transports/amqp/receiver.h"

#include "daemon/transports/amqp/address.h"
#include "daemon/transports/amqp/condition.h"
#include "daemon/transports/amqp/decode.h"

/*
 * Credit and unsettled messages together are never more than WINDOW, so an app that does not settle
 * holds the hub back. To take credit back, less of it is announced; the link stays, and with it
 * the messages that are not settled yet.
 */
struct SpokeAmqpReceiver {
    SpokeAmqpLinkOwner owner;
    SpokeAmqpLine *line;
    SpokeIdentity *identity;
    SpokeAmqpReceiverFailed failed;
    gpointer user_data;

    pn_link_t *link;  /* the engine's */
    GQueue unsettled; /* of SpokeAmqpArrival, owned */
    gboolean is_on;
};

struct SpokeAmqpArrival {
    GList link; /* in the receiver's queue */
    SpokeAmqpReceiver *receiver;
    pn_delivery_t *delivery; /* the engine's */
    gpointer token;
};

#define WINDOW 16

/* A C2D message has 64 KB. Source: iot-hub-protocol.md, 7.1. */
#define MESSAGE_BYTES_MAX (1024 * 1024)

/* Not before the hub has attached: some servers (rhea is one) would send ahead of their answer. */
static void
update_credit(SpokeAmqpReceiver *receiver)
{
    if (!spoke_amqp_receiver_is_open(receiver))
        return;

    int wanted = receiver->is_on ? WINDOW - (int)receiver->unsettled.length : 0;
    int difference = wanted - pn_link_credit(receiver->link);

    if (difference == 0)
        return;
    pn_link_flow(receiver->link, difference);
    spoke_amqp_engine_wake(receiver->line->engine);
}

/* Arrivals */

static SpokeAmqpArrival *
arrival_new(SpokeAmqpReceiver *receiver, pn_delivery_t *delivery)
{
    SpokeAmqpArrival *arrival = g_new0(SpokeAmqpArrival, 1);

    arrival->link.data = arrival;
    arrival->receiver = receiver;
    arrival->delivery = delivery;
    arrival->token = GSIZE_TO_POINTER(++receiver->line->n_arrivals);
    g_queue_push_tail_link(&receiver->unsettled, &arrival->link);
    g_hash_table_insert(receiver->line->arrivals, arrival->token, arrival);
    return arrival;
}

static void
arrival_free(SpokeAmqpArrival *arrival)
{
    g_hash_table_remove(arrival->receiver->line->arrivals, arrival->token);
    g_queue_unlink(&arrival->receiver->unsettled, &arrival->link);
    g_free(arrival);
}

static void
settle(pn_delivery_t *delivery, guint64 outcome)
{
    pn_delivery_update(delivery, outcome);
    pn_delivery_settle(delivery);
}

/* (transfer full) (nullable) */
static SpokeMessage *
read_message(SpokeAmqpReceiver *receiver, pn_delivery_t *delivery)
{
    GByteArray *scratch = receiver->line->scratch;

    g_byte_array_set_size(scratch, (guint)pn_delivery_pending(delivery));

    ssize_t n = pn_link_recv(receiver->link, (char *)scratch->data, scratch->len);
    SpokeMessage *message = spoke_amqp_decode(scratch->data, n > 0 ? (gsize)n : 0);

    g_byte_array_set_size(scratch, 0);
    return message;
}

static void
take_message(SpokeAmqpReceiver *receiver, pn_delivery_t *delivery)
{
    g_autoptr(SpokeMessage) message = read_message(receiver, delivery);

    pn_link_advance(receiver->link);
    if (message == NULL) {
        g_warning("The hub sent %s something that is not a message", receiver->identity->name);
        settle(delivery, PN_REJECTED);
        update_credit(receiver);
        return;
    }

    SpokeAmqpArrival *arrival = arrival_new(receiver, delivery);

    spoke_amqp_line_arrived(receiver->line, receiver->identity, message, arrival->token);
}

/* The link */

static void
on_opened(SpokeAmqpLinkOwner *owner, pn_link_t *link)
{
    update_credit((SpokeAmqpReceiver *)owner);
}

static void
on_closed(SpokeAmqpLinkOwner *owner, pn_link_t *link, const char *condition,
          const char *description)
{
    SpokeAmqpReceiver *receiver = (SpokeAmqpReceiver *)owner;
    SpokeCause cause = spoke_amqp_condition_get_cause(condition, SPOKE_AMQP_SCOPE_LINK);
    g_autofree char *detail = spoke_amqp_condition_format(condition, description);

    receiver->failed(cause, detail != NULL ? detail : "The hub closed the link for messages to us",
                     receiver->user_data);
}

static void
on_flow(SpokeAmqpLinkOwner *owner, pn_link_t *link)
{
}

static void
on_delivery(SpokeAmqpLinkOwner *owner, pn_link_t *link, pn_delivery_t *delivery)
{
    SpokeAmqpReceiver *receiver = (SpokeAmqpReceiver *)owner;

    if (pn_link_current(link) != delivery)
        return; /* it is settled there, too */
    if (pn_delivery_aborted(delivery)) {
        pn_delivery_settle(delivery);
        update_credit(receiver);
    } else if (pn_delivery_pending(delivery) > MESSAGE_BYTES_MAX) {
        receiver->failed(SPOKE_CAUSE_PROTOCOL, "The hub sent a message larger than any may be",
                         receiver->user_data);
    } else if (!pn_delivery_partial(delivery)) {
        take_message(receiver, delivery);
    }
}

SpokeAmqpReceiver *
spoke_amqp_receiver_new(SpokeAmqpLine *line, SpokeIdentity *identity,
                        SpokeAmqpReceiverFailed failed, gpointer user_data)
{
    static const SpokeAmqpLinkHandler handler = {
        .opened = on_opened,
        .closed = on_closed,
        .flow = on_flow,
        .delivery = on_delivery,
    };
    SpokeAmqpReceiver *receiver = g_new0(SpokeAmqpReceiver, 1);
    g_autofree char *node = spoke_amqp_address_new(identity);
    g_autofree char *address = g_strconcat(node, "/messages/devicebound", NULL);

    receiver->owner.handler = &handler;
    receiver->line = line;
    receiver->identity = identity;
    receiver->failed = failed;
    receiver->user_data = user_data;
    receiver->link = spoke_amqp_engine_add_link(line->engine, FALSE, &receiver->owner);
    pn_terminus_set_address(pn_link_source(receiver->link), address);
    pn_link_open(receiver->link);
    spoke_amqp_engine_wake(line->engine);
    return receiver;
}

void
spoke_amqp_receiver_free(SpokeAmqpReceiver *receiver)
{
    if (receiver == NULL)
        return;

    while (!g_queue_is_empty(&receiver->unsettled))
        arrival_free(g_queue_peek_head(&receiver->unsettled));
    spoke_amqp_engine_drop_link(receiver->line->engine, receiver->link);
    g_free(receiver);
}

gboolean
spoke_amqp_receiver_is_open(const SpokeAmqpReceiver *receiver)
{
    return (pn_link_state(receiver->link) & PN_REMOTE_ACTIVE) != 0;
}

void
spoke_amqp_receiver_set_on(SpokeAmqpReceiver *receiver, gboolean on)
{
    receiver->is_on = on;
    update_credit(receiver);
}

void
spoke_amqp_receivers_settle(SpokeAmqpLine *line, gpointer token, SpokeVerdict verdict)
{
    static const guint64 outcomes[] = {
        [SPOKE_VERDICT_ACCEPT] = PN_ACCEPTED,
        [SPOKE_VERDICT_RELEASE] = PN_RELEASED,
        [SPOKE_VERDICT_REJECT] = PN_REJECTED,
    };
    SpokeAmqpArrival *arrival = g_hash_table_lookup(line->arrivals, token);

    if (arrival == NULL)
        return;

    SpokeAmqpReceiver *receiver = arrival->receiver;

    settle(arrival->delivery, outcomes[verdict]);
    arrival_free(arrival);
    update_credit(receiver);
    spoke_amqp_engine_wake(line->engine);
}
