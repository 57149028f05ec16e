/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "daemon/cause.h"

/*
 * The hub's error conditions and CBS answers in the daemon's words. Source: iot-hub-protocol.md,
 * 3.3 and 3.9.
 */

/* Where a condition stood. */
typedef enum {
    SPOKE_AMQP_SCOPE_CONNECTION,
    SPOKE_AMQP_SCOPE_LINK,
} SpokeAmqpScope;

/* @name: "amqp:not-found"; NULL or unknown means that the hub gave no reason we know */
SpokeCause spoke_amqp_condition_get_cause(const char *name, SpokeAmqpScope scope);

/* Whether a message refused with @name is itself at fault, so that it would be refused again. Else
 * the condition speaks of the identity, or the hub: see spoke_amqp_condition_get_cause(). */
gboolean spoke_amqp_condition_is_message_fault(const char *name);

SpokeCause spoke_amqp_status_get_cause(gint64 status);

/* "NAME: DESCRIPTION", either may be NULL: printable, of bounded length, without a token if the
 * peer should have put one in. (transfer full) (nullable): NULL when both are */
char *spoke_amqp_condition_format(const char *name, const char *description);
