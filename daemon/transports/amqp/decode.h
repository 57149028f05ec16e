/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "daemon/message.h"

/*
 * Messages as IoT Hub sends them: C2D, and the answers to put-token. Source: iot-hub-protocol.md,
 * 3.3 and 3.6. Pure, and forgiving: sections come in any order, unknown ones are passed over.
 */

/* Whatever the bytes hold, the message's lists are valid. System properties without a name in
 * daemon/properties.h, and app properties whose value is not text, number or the like, are left
 * out. Returns: (transfer full) (nullable): NULL for what is not a message */
SpokeMessage *spoke_amqp_decode(const void *data, gsize size);

typedef struct {
    gint64 correlation_id; /* of the request; -1 without */
    gint64 status;         /* -1 without */
    char *description;     /* owned; NULL without */
} SpokeAmqpAnswer;

gboolean spoke_amqp_decode_answer(const void *data, gsize size, SpokeAmqpAnswer *ret_answer);
void spoke_amqp_answer_clear(SpokeAmqpAnswer *answer);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(SpokeAmqpAnswer, spoke_amqp_answer_clear)
