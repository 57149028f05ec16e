/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "daemon/transports/amqp/cbs.h"
#include "daemon/transports/amqp/line.h"

/*
 * One identity on the connection: its token, and its two links, each opened when it is first
 * needed, since they are most of what an idle identity costs. With a token attached() means that
 * the hub has taken it; with a certificate, that it let us open the link for telemetry.
 */
typedef struct SpokeAmqpMember SpokeAmqpMember;

/* It is out; frees it. Never within a call of ours. */
typedef void (*SpokeAmqpMemberLeft)(SpokeAmqpMember *member, SpokeCause cause, const char *detail,
                                    gpointer user_data);

SpokeAmqpMember *spoke_amqp_member_new(SpokeAmqpLine *line, SpokeIdentity *identity,
                                       SpokeAmqpMemberLeft left, gpointer user_data);
void spoke_amqp_member_free(SpokeAmqpMember *member);

SpokeIdentity *spoke_amqp_member_get_identity(SpokeAmqpMember *member);

/* @cbs: outlives it; @token: first, or renewed */
void spoke_amqp_member_attach_token(SpokeAmqpMember *member, SpokeAmqpCbs *cbs, SpokeSecret *token);
void spoke_amqp_member_attach_certificate(SpokeAmqpMember *member);
/* What spoke_amqp_cbs_put() came to. */
void spoke_amqp_member_answered(SpokeAmqpMember *member, SpokeCause cause, const char *detail);

void spoke_amqp_member_send(SpokeAmqpMember *member, const SpokeOutgoing *messages, guint n);
void spoke_amqp_member_receive(SpokeAmqpMember *member, gboolean on);
