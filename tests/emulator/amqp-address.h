/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "registry.h"

/* What the address of a link, or the audience of a token, leads to. Source: protocol page, 3.3
 * and 3.4. */
typedef enum {
    EMU_AMQP_NODE_CBS,         /* "$cbs" */
    EMU_AMQP_NODE_IDENTITY,    /* a device or module itself: an audience */
    EMU_AMQP_NODE_EVENTS,      /* its messages to the hub */
    EMU_AMQP_NODE_DEVICEBOUND, /* messages to it */
    EMU_AMQP_NODE_METHODS,
    EMU_AMQP_NODE_TWIN,
} EmuAmqpNode;

typedef struct {
    EmuAmqpNode node;
    char *host;      /* owned; NULL when the address is a path */
    char *device_id; /* owned, as it stands; NULL for "$cbs" */
    char *module_id; /* owned, likewise; NULL for a device */
} EmuAmqpAddress;

void emu_amqp_address_clear(EmuAmqpAddress *address);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(EmuAmqpAddress, emu_amqp_address_clear)

/**
 * emu_amqp_address_parse:
 * @text: `/devices/…`, or `amqps://{host}/devices/…`; without a port, as the hub wants it
 *
 * Fixed words are compared without regard to case. FALSE: it leads nowhere.
 */
gboolean emu_amqp_address_parse(const char *text, EmuAmqpAddress *ret_address);

/**
 * emu_amqp_audience_parse:
 * @text: `{host}/devices/{d}` or `{host}/devices/{d}/modules/{m}`, as it is or percent-encoded
 *
 * The node is always EMU_AMQP_NODE_IDENTITY.
 */
gboolean emu_amqp_audience_parse(const char *text, EmuAmqpAddress *ret_address);

/* Returns: (transfer none) (nullable): the identity, its ids tried as they stand and then decoded
 * once, because '%' is legal in an id. */
EmuIdentity *emu_amqp_address_find(const EmuAmqpAddress *address, EmuRegistry *registry);
