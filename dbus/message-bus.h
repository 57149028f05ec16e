/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "daemon/delivery.h"
#include "daemon/message.h"
#include "dbus/bus-types.h"

/*
 * Messages on the bus: telemetry as the Send methods take it, C2D as Receive and MessageReceived
 * give it. dbus/org.spoked1.Device.xml states the options and their limits.
 */
typedef struct SpokeMessageReader SpokeMessageReader;

typedef enum { SPOKE_BODY_TEXT, SPOKE_BODY_BYTES } SpokeBodyType;

/* How many messages a batch may hold. Source: dbus/org.spoked1.Device.xml, SendBatch. */
#define SPOKE_BATCH_MAX 1024

/* @bus_id: part of the address that messages with the option notify get. (transfer full) */
SpokeMessageReader *spoke_message_reader_new(const char *bus_id);
void spoke_message_reader_free(SpokeMessageReader *reader);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(SpokeMessageReader, spoke_message_reader_free)

/**
 * spoke_message_reader_read:
 * @type: of the body: s or ay
 * @now_usec: wall clock, for the option expiry
 *
 * Reads body, app properties and options that begin at the read position of @m. Fills in lane,
 * durability, TTL and the address to notify; leaves the app and the flow.
 *
 * Errors: SPOKE_ERROR_TOO_LARGE, _INVALID_PROPERTY, _INVALID_OPTION, _UNKNOWN_OPTION,
 * _INVALID_ARGUMENT. Rules for names and ids are left to spoke_message_check().
 *
 * Returns: (transfer full) (nullable)
 */
SpokeMessage *spoke_message_reader_read(SpokeMessageReader *reader, sd_bus_message *m,
                                        SpokeBodyType type, gint64 now_usec,
                                        GError **error) G_GNUC_WARN_UNUSED_RESULT;

/**
 * spoke_message_reader_read_batch:
 *
 * Reads a(aya{ss}a{sv}). An error names the message: "messages[2]: …".
 *
 * Returns: (transfer full) (nullable): 1 to SPOKE_BATCH_MAX messages, which the array owns
 */
GPtrArray *spoke_message_reader_read_batch(SpokeMessageReader *reader, sd_bus_message *m,
                                           gint64 now_usec,
                                           GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* Whom the address in a message's notify names: the unique name, if it is one of this bus; NULL
 * else. (transfer none) */
const char *spoke_message_notify_name(const char *notify, const char *bus_id);

/* Appends "saya{ss}a{sv}": id, body, properties, system. No message fails for what is in it.
 * Returns: a negative errno on failure */
int spoke_message_write(sd_bus_message *m, const SpokeDelivered *delivered);

/* The number in an identifier that spoke_message_write() gave. FALSE if it is none of ours. */
gboolean spoke_message_parse_id(const char *text, guint64 *ret_id);
