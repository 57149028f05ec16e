/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "daemon/message.h"

/*
 * Messages taken from the outbox and not dealt with, in the order they were taken: first those
 * sent, whose acknowledgement is awaited, then those that wait for room in the window.
 */
typedef struct SpokeInflight SpokeInflight;

SpokeInflight *spoke_inflight_new(void);
/* Empty it first: see spoke_inflight_steal(). */
void spoke_inflight_free(SpokeInflight *inflight);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(SpokeInflight, spoke_inflight_free)

/* @message: (transfer full) */
void spoke_inflight_add(SpokeInflight *inflight, SpokeMessage *message);

/* The first that waits. Returns: (transfer none) (nullable) */
SpokeMessage *spoke_inflight_peek(SpokeInflight *inflight);
/* It is sent now. */
void spoke_inflight_advance(SpokeInflight *inflight);

/* A sent one is settled. Returns: whether it was there; its reference is the caller's again */
gboolean spoke_inflight_remove(SpokeInflight *inflight, SpokeMessage *message);

/* Empties it. Returns: (transfer full): all messages in their order; @ret_n may be 0 */
SpokeMessage **spoke_inflight_steal(SpokeInflight *inflight, guint *ret_n);

/* The same of those that wait. */
SpokeMessage **spoke_inflight_steal_waiting(SpokeInflight *inflight, guint *ret_n);

guint spoke_inflight_get_sent(SpokeInflight *inflight);
size_t spoke_inflight_get_sent_bytes(SpokeInflight *inflight); /* sum of spoke_message_cost() */
/* The oldest one sent. Returns: (transfer none) (nullable) */
SpokeMessage *spoke_inflight_get_oldest(SpokeInflight *inflight);
