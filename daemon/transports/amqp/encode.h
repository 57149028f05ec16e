/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "daemon/message.h"

/*
 * Messages as IoT Hub takes them: the sections of an AMQP message, and those of a put-token
 * request. Source: iot-hub-protocol.md, 3.3 and 3.5. Pure: bytes in, bytes out.
 */

/* The message-format of a transfer whose data sections are one message each. */
#define SPOKE_AMQP_FORMAT_BATCH 0x80013700u

/* Returns: NULL when AMQP can carry @message, or what is wrong with it: a symbol is ASCII. */
const char *spoke_amqp_find_fault(const SpokeMessage *message);

/* What spoke_amqp_encode() and _entry() may append at most. */
gsize spoke_amqp_encoded_max(const SpokeMessage *message, const char *message_id);

/**
 * spoke_amqp_encode:
 * @out: appended to; keeps its memory
 * @message_id: (nullable): for a message whose system properties hold none
 *
 * Appends one whole message: properties, application properties, data.
 */
void spoke_amqp_encode(GByteArray *out, const SpokeMessage *message, const char *message_id);
/* The same as one data section of a batch. */
void spoke_amqp_encode_entry(GByteArray *out, const SpokeMessage *message, const char *message_id);

/* A put-token request. @audience: "HOST/devices/DEVICE". @out then holds the token. */
void spoke_amqp_encode_put_token(GByteArray *out, guint64 message_id, const char *audience,
                                 const char *token);
