/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "daemon/cause.h"

#include <gio/gio.h>

/*
 * How far an attempt to connect has come, and what a failure there is called.
 */
typedef enum {
    SPOKE_AMQP_STAGE_RESOLVE,
    SPOKE_AMQP_STAGE_TCP,
    SPOKE_AMQP_STAGE_PROXY, /* CONNECT */
    SPOKE_AMQP_STAGE_TLS,
    SPOKE_AMQP_STAGE_UPGRADE,  /* to a WebSocket */
    SPOKE_AMQP_STAGE_GREETING, /* AMQP: headers, SASL, open */
    SPOKE_AMQP_STAGE_OPEN,     /* it works */
} SpokeAmqpStage;

/* @has_proxy: up to its CONNECT it is the proxy that fails */
SpokeCause spoke_amqp_failure_get_cause(SpokeAmqpStage stage, gboolean has_proxy,
                                        const GError *error);
/* Nothing came within the time for it. @ret_detail: static */
SpokeCause spoke_amqp_failure_of_silence(SpokeAmqpStage stage, gboolean has_proxy,
                                         const char **ret_detail);
