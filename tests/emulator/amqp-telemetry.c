/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Messages from devices. All of a transfer is taken or none of it: its messages are judged before
 * the first is stored, and accepted after the round's commit. Source: protocol page, 3.5. */

#include "amqp-private.h"

#include "amqp-bag.h"
#include "bag.h"
#include "faults.h"

/* Credit of a link with nothing unsettled. Source: protocol page, 3.2. */
#define CREDIT_MAX 1000

void
emu_amqp_telemetry_grant(EmuAmqpEnd *end)
{
    int room = CREDIT_MAX - (int)end->held - pn_link_credit(end->link);

    if (room >= CREDIT_MAX / 2)
        pn_link_flow(end->link, room);
}

static EmuArrival
arrival_of(EmuAmqpEnd *end, const EmuAmqpMessage *message)
{
    EmuAmqpSession *session = end->session;
    EmuAmqpReader body = emu_amqp_message_body(message, session->body);

    g_string_truncate(session->bag, 0);
    emu_amqp_to_bag(message, session->bag);
    return (EmuArrival){
        .origin = end->device->origin,
        .bag = session->bag->str,
        .bag_size = session->bag->len,
        .body = body.data,
        .body_size = body.size,
        .enqueued_usec = session->now_usec,
    };
}

/* Only what is large as it lies there can be too large: text of numbers is at most four times as
 * long as they are. */
static gboolean
is_too_large(EmuAmqpEnd *end, const EmuAmqpMessage *message)
{
    if (message->sections.size <= EMU_MESSAGE_BYTES_MAX / 4)
        return FALSE;

    EmuArrival arrival = arrival_of(end, message);
    return arrival.body_size + emu_bag_size(arrival.bag, arrival.bag_size) > EMU_MESSAGE_BYTES_MAX;
}

/* What the faults and the limits say to all messages of the transfer together. Returns NULL, or
 * why it is rejected. */
static const EmuAmqpCause *
judge(EmuAmqpEnd *end, const GArray *messages, EmuVerdict *ret_verdict)
{
    EmuFaults *faults = emu_hub_faults(end->session->hub);

    for (guint i = 0; i < messages->len; i++) {
        if (is_too_large(end, &g_array_index(messages, EmuAmqpMessage, i)))
            return &emu_amqp_cause_too_large;
    }
    *ret_verdict = emu_faults_judge_many(faults, end->device->device_id, messages->len,
                                         end->session->heard_usec);
    if (*ret_verdict == EMU_VERDICT_THROTTLE)
        return &emu_amqp_cause_throttled;
    return *ret_verdict == EMU_VERDICT_QUOTA ? &emu_amqp_cause_quota : NULL;
}

/* FALSE: the hub could not take it. */
static gboolean
store(EmuAmqpEnd *end, const GArray *messages)
{
    EmuTelemetry *telemetry = emu_hub_telemetry(end->session->hub);

    for (guint i = 0; i < messages->len; i++) {
        EmuArrival arrival = arrival_of(end, &g_array_index(messages, EmuAmqpMessage, i));
        g_autoptr(GError) error = NULL;
        if (!emu_telemetry_add(telemetry, &arrival, &error)) {
            g_warning("%s", error->message);
            return FALSE;
        }
    }
    end->device->link.identity->messages_received += messages->len;
    end->device->link.identity->last_activity_usec = end->session->now_usec;
    return TRUE;
}

static void
acknowledge(EmuAmqpEnd *end, pn_delivery_t *delivery)
{
    EmuFaults *faults = emu_hub_faults(end->session->hub);

    if (pn_delivery_settled(delivery)) {
        pn_delivery_settle(delivery);
        return;
    }
    emu_amqp_acks_add(end->session->acks, delivery, end,
                      emu_faults_ack_due(faults, end->device->device_id, end->session->heard_usec));
}

static void
take_transfer(EmuAmqpEnd *end, pn_delivery_t *delivery)
{
    EmuAmqpSession *session = end->session;
    EmuVerdict verdict = EMU_VERDICT_ACCEPT;
    const GArray *messages = session->batch->messages;
    const char *wrong = emu_amqp_batch_parse(session->batch, end->message_format,
                                             session->bytes->data, session->bytes->len);

    if (wrong != NULL) {
        emu_hub_stats(session->hub)->protocol_errors++;
        emu_amqp_reject(delivery, &emu_amqp_cause_argument, wrong);
        return;
    }

    const EmuAmqpCause *cause = judge(end, messages, &verdict);
    if (cause != NULL) {
        emu_amqp_reject(delivery, cause, "The message is not taken");
        return;
    }
    if (verdict != EMU_VERDICT_CUT && !store(end, messages)) {
        emu_amqp_reject(delivery, &emu_amqp_cause_server, "The message could not be stored");
        return;
    }
    if (verdict == EMU_VERDICT_ACCEPT)
        acknowledge(end, delivery);
    else
        emu_amqp_session_cut(session, "fault: cut");
}

void
emu_amqp_telemetry_delivery(EmuAmqpEnd *end, pn_delivery_t *delivery)
{
    EmuAmqpSession *session = end->session;

    if (!emu_amqp_end_receive(end, delivery, EMU_AMQP_TRANSFER_MAX))
        return;
    take_transfer(end, delivery);
    if (session->state == EMU_AMQP_OPEN)
        emu_amqp_telemetry_grant(end);
}
