/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/transports/amqp/member.h"

#include "daemon/transports/amqp/address.h"
#include "daemon/transports/amqp/receiver.h"
#include "daemon/transports/amqp/sender.h"

struct SpokeAmqpMember {
    SpokeAmqpLine *line;
    SpokeIdentity *identity; /* owned */
    SpokeAmqpCbs *cbs;       /* borrowed; NULL with a certificate */
    SpokeAmqpMemberLeft left;
    gpointer user_data;

    SpokeAmqpSender *sender;     /* owned; NULL until it is needed */
    SpokeAmqpReceiver *receiver; /* likewise */
    gboolean is_attached;
    gboolean is_sender_open;
    guint attach_id; /* source: the time for the hub to open the links */
};

/* As for an answer to put-token. */
#define ATTACH_SEC 30

static void
on_sender_opened(gpointer user_data)
{
    SpokeAmqpMember *member = user_data;

    member->is_sender_open = TRUE;
    if (member->is_attached)
        return;
    member->is_attached = TRUE;
    spoke_amqp_line_attached(member->line, member->identity);
}

static void
on_failed(SpokeCause cause, const char *detail, gpointer user_data)
{
    SpokeAmqpMember *member = user_data;

    member->left(member, cause, detail, member->user_data);
}

/* A hub that is there, but never answers an attach, would keep us waiting for good. */
static gboolean
on_attach_time(gpointer user_data)
{
    SpokeAmqpMember *member = user_data;
    const char *purpose = NULL;

    member->attach_id = 0;
    if (member->sender != NULL && !member->is_sender_open)
        purpose = "telemetry";
    else if (member->receiver != NULL && !spoke_amqp_receiver_is_open(member->receiver))
        purpose = "messages to us";
    if (purpose == NULL)
        return G_SOURCE_REMOVE;

    g_autofree char *detail = g_strdup_printf("The hub did not open the link for %s within %d "
                                              "seconds",
                                              purpose, ATTACH_SEC);

    member->left(member, SPOKE_CAUSE_UNAVAILABLE, detail, member->user_data);
    return G_SOURCE_REMOVE;
}

/* Anew for a second link. */
static void
start_attach_time(SpokeAmqpMember *member)
{
    g_clear_handle_id(&member->attach_id, g_source_remove);
    member->attach_id = g_timeout_add_seconds(ATTACH_SEC, on_attach_time, member);
}

static void
open_sender(SpokeAmqpMember *member)
{
    static const SpokeAmqpSenderEvents events = {
        .opened = on_sender_opened,
        .failed = on_failed,
    };

    if (member->sender != NULL)
        return;
    member->sender =
        spoke_amqp_sender_new(member->line, member->identity, member->cbs == NULL, &events, member);
    start_attach_time(member);
}

SpokeAmqpMember *
spoke_amqp_member_new(SpokeAmqpLine *line, SpokeIdentity *identity, SpokeAmqpMemberLeft left,
                      gpointer user_data)
{
    SpokeAmqpMember *member = g_new0(SpokeAmqpMember, 1);

    member->line = line;
    member->identity = spoke_identity_ref(identity);
    member->left = left;
    member->user_data = user_data;
    return member;
}

void
spoke_amqp_member_free(SpokeAmqpMember *member)
{
    if (member == NULL)
        return;

    g_clear_handle_id(&member->attach_id, g_source_remove);
    if (member->cbs != NULL)
        spoke_amqp_cbs_forget(member->cbs, member);
    spoke_amqp_sender_free(member->sender);
    spoke_amqp_receiver_free(member->receiver);
    spoke_identity_unref(member->identity);
    g_free(member);
}

SpokeIdentity *
spoke_amqp_member_get_identity(SpokeAmqpMember *member)
{
    return member->identity;
}

void
spoke_amqp_member_attach_token(SpokeAmqpMember *member, SpokeAmqpCbs *cbs, SpokeSecret *token)
{
    g_autofree char *node = spoke_amqp_address_new(member->identity);
    g_autofree char *audience = g_strconcat(member->identity->hub, node, NULL);

    member->cbs = cbs;
    spoke_amqp_cbs_put(cbs, audience, token, member);
}

void
spoke_amqp_member_attach_certificate(SpokeAmqpMember *member)
{
    open_sender(member);
}

void
spoke_amqp_member_answered(SpokeAmqpMember *member, SpokeCause cause, const char *detail)
{
    if (cause != SPOKE_CAUSE_NONE) {
        member->left(member, cause, detail, member->user_data);
        return;
    }
    member->is_attached = TRUE;
    spoke_amqp_line_attached(member->line, member->identity);
}

void
spoke_amqp_member_send(SpokeAmqpMember *member, const SpokeOutgoing *messages, guint n)
{
    open_sender(member);
    spoke_amqp_sender_send(member->sender, messages, n);
}

void
spoke_amqp_member_receive(SpokeAmqpMember *member, gboolean on)
{
    if (member->identity->module_id != NULL)
        return; /* modules get none. Source: iot-hub-protocol.md, 3.4 */
    if (member->receiver == NULL && !on)
        return;

    if (member->receiver == NULL) {
        member->receiver =
            spoke_amqp_receiver_new(member->line, member->identity, on_failed, member);
        start_attach_time(member);
    }
    spoke_amqp_receiver_set_on(member->receiver, on);
}
