/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "daemon/message.h"

/*
 * A message's properties as HTTP names them: "iothub-messageid: 1", "iothub-app-NAME: VALUE". The
 * same names are the headers of a request that carries one message, the keys of an entry in a batch
 * and the headers of an answer with a message from the hub. No I/O.
 */

/* A header of ours, not more: what is larger goes as a batch of one. Front ends allow 16 KiB for
 * all headers together, and the SAS token takes some of it. */
#define SPOKE_HEADERS_BYTES_MAX (8 * 1024)
#define SPOKE_HEADERS_MAX       32

/* @prefix and @name together are the key; @value is text, a time in ISO 8601. */
typedef void (*SpokeHeadersFunc)(const char *prefix, const char *name, const char *value,
                                 gpointer user_data);

/**
 * spoke_headers_foreach:
 * @message_id: (nullable): for a message whose system properties hold none
 *
 * Visits all properties of @message, system properties first. Left out are times that no calendar
 * has and "to", which on the way up is the hub's own.
 */
void spoke_headers_foreach(const SpokeMessage *message, const char *message_id,
                           SpokeHeadersFunc func, gpointer user_data);

/**
 * spoke_headers_format:
 *
 * Returns: (transfer full) (nullable): "key: value" lines; NULL if headers cannot carry the
 * properties just as they are: names that are no HTTP tokens or differ in case only, values that
 * are empty, not ASCII, or begin or end with a space, and too many of them
 */
GPtrArray *spoke_headers_format(const SpokeMessage *message, const char *message_id);

/**
 * spoke_headers_parse:
 * @name: a header of the hub's answer, in any case
 * @value: as it came; what is not UTF-8 becomes U+FFFD
 * @system: packed list to append to
 * @properties: likewise
 *
 * Takes one header of a cloud-to-device message; those that are not the message's are ignored.
 */
void spoke_headers_parse(const char *name, const char *value, GByteArray *system,
                         GByteArray *properties);
