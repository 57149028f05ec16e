/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "dbus/caller.h"

/*
 * A method call that is answered later. It owns the message, counts against its caller's limits,
 * and is answered exactly once: the functions that answer consume it, and one that is freed
 * unanswered says Cancelled.
 */
typedef struct SpokeCall SpokeCall;

/* @object and @request: as given to spoke_call_start(). Takes @call over. */
typedef void (*SpokeCallFunc)(SpokeCall *call, gpointer object, gpointer request);

/**
 * spoke_call_new:
 * @bytes: what the call makes the daemon hold until it is answered, beyond a little
 *
 * Errors: SPOKE_ERROR_LIMIT_REACHED
 *
 * Returns: (transfer full) (nullable)
 */
SpokeCall *spoke_call_new(sd_bus_message *m, SpokeCallers *callers, size_t bytes,
                          GError **error) G_GNUC_WARN_UNUSED_RESULT;
void spoke_call_free(SpokeCall *call);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(SpokeCall, spoke_call_free)

/**
 * spoke_call_start:
 * @call: (transfer full)
 * @act: does what was asked; runs at once if the caller is known, else when it is
 * @object: (transfer none): whose method it is
 * @request: (transfer full): what was read from the message, for @act; lives as long as the call
 * @free_request: (nullable)
 */
void spoke_call_start(SpokeCall *call, SpokeCallFunc act, gpointer object, gpointer request,
                      GDestroyNotify free_request);

SpokeCaller *spoke_call_get_caller(SpokeCall *call); /* (transfer none) */

/* The call may wait for long: until it is answered, it counts as something its caller holds.
 * Errors: as of spoke_caller_hold() */
gboolean spoke_call_hold(SpokeCall *call, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* Answers with values as for sd_bus_message_append(); @types "" for none. */
void spoke_call_answer(SpokeCall *call, const char *types, ...);
void spoke_call_fail(SpokeCall *call, const GError *error);

/* The same in two steps, for an answer that takes more: NULL, or a message to fill in. If that
 * goes wrong (@r: a negative errno), the caller is told Failed. @reply: (transfer full) */
sd_bus_message *spoke_call_new_reply(SpokeCall *call);
void spoke_call_send_reply(SpokeCall *call, sd_bus_message *reply, int r);
