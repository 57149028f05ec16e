/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

/*
 * One message, up or down, in one block of memory: a head, then system properties, app
 * properties (both packed as in properties.h) and the body. Contents never change; the head's
 * fields are filled in by who is named at each before the message is shared, and then rest.
 * References are counted atomically: transports hold messages on threads of their own.
 */

/* Body + system values + app names and values. Source: iot-hub-protocol.md, 7.1. */
#define SPOKE_MESSAGE_BYTES_MAX       262144
#define SPOKE_PROPERTIES_MAX          512
#define SPOKE_PROPERTY_NAME_BYTES_MAX 256
#define SPOKE_SYSTEM_VALUE_BYTES_MAX  1024
#define SPOKE_MESSAGE_ID_BYTES_MAX    128 /* Source: iot-hub-protocol.md, 1.1 */
#define SPOKE_MESSAGE_ID_MADE_BYTES   37  /* at most, of one the daemon makes: see spool.h */
/* Percent-encoded "name=value&…" of everything: an MQTT topic holds 65535 bytes in all, and a
 * message must not depend on the transport. */
#define SPOKE_PROPERTIES_ENCODED_BYTES_MAX 60000

typedef enum { SPOKE_LANE_URGENT, SPOKE_LANE_NORMAL, SPOKE_N_LANES } SpokeLane;

typedef enum {
    SPOKE_DURABILITY_SYNCED,   /* answered after fdatasync */
    SPOKE_DURABILITY_FLUSHED,  /* answered at once, on disk within the flush window */
    SPOKE_DURABILITY_VOLATILE, /* memory only */
} SpokeDurability;

typedef struct {
    gatomicrefcount ref_count;
    guint64 id; /* set by the spool; 0 before. Rises, is never used twice in one spool */

    /* Set by whoever makes the message: dbus/ for telemetry */
    SpokeLane lane;
    SpokeDurability durability;
    gint64 ttl_usec; /* from acceptance; 0 = no end */
    guint64 flow;    /* order is kept within a flow: hash of the sender's unit or process */
    GRefString *app; /* owned; who sent it: "thermostat.service", "alice/python3"; NULL for C2D */
    char *notify;    /* owned; opaque address for the settled callback; NULL = nobody asks */

    /* Set by the spool */
    gint64 expiry_usec; /* on the spool's clock (spool.h); 0 = never */

    /* Set by a transport */
    guint delivery_count; /* C2D: how often the hub has handed it out before, where it tells */

    /* The outbox's own, on the main loop only; these alone change while others hold the message */
    guint8 stored;     /* SpokeOutboxStored */
    guint take_number; /* the order in which messages were first taken; 0: not yet */

    size_t system_size;
    size_t properties_size;
    size_t body_size;
    char data[]; /* system, properties, body */
} SpokeMessage;

/**
 * spoke_message_new:
 * @system: packed list of system properties, or NULL
 * @properties: packed list of app properties, or NULL
 * @body: @body_size bytes; may be NULL when 0
 *
 * Copies all three. No limits are applied here: spoke_message_check() does that for what comes
 * from an app, the transport for what comes from the hub.
 *
 * Returns: (transfer full): a message with one reference, lane normal, synced
 */
SpokeMessage *spoke_message_new(const void *system, size_t system_size, const void *properties,
                                size_t properties_size, const void *body, size_t body_size);
SpokeMessage *spoke_message_ref(SpokeMessage *message);
void spoke_message_unref(SpokeMessage *message);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(SpokeMessage, spoke_message_unref)

static inline const char *
spoke_message_system(const SpokeMessage *message)
{
    return message->data;
}

static inline const char *
spoke_message_properties(const SpokeMessage *message)
{
    return message->data + message->system_size;
}

static inline const char *
spoke_message_body(const SpokeMessage *message)
{
    return message->data + message->system_size + message->properties_size;
}

/* Returns: (transfer none) (nullable): a system property by its SPOKE_PROPERTY_ name */
const char *spoke_message_lookup_system(const SpokeMessage *message, const char *name);

/* What a message counts against every byte limit: contents plus something for the head. */
#define SPOKE_MESSAGE_HEAD_COST 128
size_t spoke_message_cost(const SpokeMessage *message);

/**
 * spoke_message_check:
 *
 * Applies the limits above, the rules for names and ids, and UTF-8, to a message from an app.
 *
 * Errors: SPOKE_ERROR_TOO_LARGE, _INVALID_PROPERTY (names the property and the rule),
 * _INVALID_OPTION (a system property).
 */
gboolean spoke_message_check(const SpokeMessage *message, GError **error);
