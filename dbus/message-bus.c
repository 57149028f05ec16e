/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "dbus/message-bus.h"

#include "daemon/properties.h"
#include "dbus/error-bus.h"
#include "dbus/options.h"
#include "dbus/properties-bus.h"
#include "dbus/text-bus.h"

#include <string.h>

/*
 * Send is the hot path. A reader keeps two buffers in which it packs the properties, so that a
 * message costs one allocation; strings and body are read in place in the bus message.
 */
struct SpokeMessageReader {
    char *bus_id;           /* owned */
    GByteArray *system;     /* owned */
    GByteArray *properties; /* owned */
};

/* 9999-12-31T23:59:59.999999Z in microseconds since 1970: the last that ISO 8601 can write. */
#define TIME_USEC_MAX G_GINT64_CONSTANT(253402300799999999)
#define TTL_MSEC_MAX  (TIME_USEC_MAX / 1000)

/* Those before PRIORITY travel with the message. */
enum {
    MESSAGE_ID,
    CORRELATION_ID,
    USER_ID,
    CONTENT_TYPE,
    CONTENT_ENCODING,
    CREATION_TIME,
    EXPIRY,
    PRIORITY,
    DURABILITY,
    TTL,
    NOTIFY,
    N_OPTIONS,
};

static const char *const priorities[] = {"urgent", "normal", NULL};
G_STATIC_ASSERT(SPOKE_LANE_URGENT == 0 && SPOKE_LANE_NORMAL == 1 && SPOKE_N_LANES == 2);

static const char *const durabilities[] = {"synced", "flushed", "volatile", NULL};
G_STATIC_ASSERT(SPOKE_DURABILITY_SYNCED == 0 && SPOKE_DURABILITY_FLUSHED == 1 &&
                SPOKE_DURABILITY_VOLATILE == 2);

static const SpokeOption send_options[N_OPTIONS] = {
    [MESSAGE_ID] = {SPOKE_PROPERTY_MESSAGE_ID, SPOKE_OPTION_TEXT, 1, SPOKE_MESSAGE_ID_BYTES_MAX},
    [CORRELATION_ID] = {SPOKE_PROPERTY_CORRELATION_ID, SPOKE_OPTION_TEXT, 1,
                        SPOKE_SYSTEM_VALUE_BYTES_MAX},
    [USER_ID] = {SPOKE_PROPERTY_USER_ID, SPOKE_OPTION_TEXT, 1, SPOKE_SYSTEM_VALUE_BYTES_MAX},
    [CONTENT_TYPE] = {SPOKE_PROPERTY_CONTENT_TYPE, SPOKE_OPTION_TEXT, 1,
                      SPOKE_SYSTEM_VALUE_BYTES_MAX},
    [CONTENT_ENCODING] = {SPOKE_PROPERTY_CONTENT_ENCODING, SPOKE_OPTION_TEXT, 1,
                          SPOKE_SYSTEM_VALUE_BYTES_MAX},
    [CREATION_TIME] = {SPOKE_PROPERTY_CREATION_TIME, SPOKE_OPTION_NUMBER, 0, TIME_USEC_MAX},
    [EXPIRY] = {SPOKE_PROPERTY_EXPIRY, SPOKE_OPTION_NUMBER, 0, TIME_USEC_MAX},
    [PRIORITY] = {"priority", SPOKE_OPTION_CHOICE, .choices = priorities},
    [DURABILITY] = {"durability", SPOKE_OPTION_CHOICE, .choices = durabilities},
    [TTL] = {"ttl", SPOKE_OPTION_NUMBER, 1, TTL_MSEC_MAX},
    [NOTIFY] = {"notify", SPOKE_OPTION_FLAG},
};

/* System properties of a C2D message, with the type each has on the bus. */
static const struct {
    const char *name;
    char type;
} system_types[] = {
    {SPOKE_PROPERTY_MESSAGE_ID, 's'},    {SPOKE_PROPERTY_CORRELATION_ID, 's'},
    {SPOKE_PROPERTY_USER_ID, 's'},       {SPOKE_PROPERTY_TO, 's'},
    {SPOKE_PROPERTY_CONTENT_TYPE, 's'},  {SPOKE_PROPERTY_CONTENT_ENCODING, 's'},
    {SPOKE_PROPERTY_CREATION_TIME, 't'}, {SPOKE_PROPERTY_EXPIRY, 't'},
    {SPOKE_PROPERTY_ACK, 's'},
};

static const char *const mode_names[] = {
    [SPOKE_SUBSCRIBE_OBSERVE] = "observe",
    [SPOKE_SUBSCRIBE_HANDLE] = "handle",
};

static gboolean
read_body(sd_bus_message *m, SpokeBodyType type, const void **ret_body, size_t *ret_size,
          GError **error)
{
    int r;

    if (type == SPOKE_BODY_TEXT) {
        const char *text = NULL;
        r = sd_bus_message_read_basic(m, 's', &text);
        *ret_body = text;
        *ret_size = text != NULL ? strlen(text) : 0;
    } else {
        r = sd_bus_message_read_array(m, 'y', ret_body, ret_size);
    }
    if (r < 0)
        return type == SPOKE_BODY_TEXT ? spoke_error_set_bad_text(error, "Body")
                                       : spoke_error_set_malformed(error);
    if (*ret_size > SPOKE_MESSAGE_BYTES_MAX) {
        g_set_error(error, SPOKE_ERROR, SPOKE_ERROR_TOO_LARGE,
                    "Body of %zu bytes is over the limit of %u", *ret_size,
                    SPOKE_MESSAGE_BYTES_MAX);
        return FALSE;
    }
    return TRUE;
}

static void
append_number(GByteArray *list, const char *name, guint64 number)
{
    char text[24];

    (void)g_snprintf(text, sizeof text, "%" G_GUINT64_FORMAT, number);
    spoke_properties_append(list, name, text);
}

static void
pack_system(SpokeMessageReader *self, const SpokeOptionValue *values)
{
    g_byte_array_set_size(self->system, 0);
    for (guint i = 0; i < PRIORITY; i++) {
        if (!values[i].is_set)
            continue;
        if (send_options[i].type == SPOKE_OPTION_TEXT)
            spoke_properties_append(self->system, send_options[i].name, values[i].text);
        else
            append_number(self->system, send_options[i].name, values[i].number);
    }
}

/* "1700000000000000 (2023-11-14T22:13:20.000Z)". TIME_USEC_MAX is the last that has a date. */
static char *
format_time(gint64 usec)
{
    g_autoptr(GDateTime) second = g_date_time_new_from_unix_utc(usec / G_USEC_PER_SEC);
    g_autofree char *text = g_date_time_format(second, "%Y-%m-%dT%H:%M:%S");

    return g_strdup_printf("%" G_GINT64_FORMAT " (%s.%03dZ)", usec, text,
                           (int)(usec % G_USEC_PER_SEC / 1000));
}

static gboolean
set_past_expiry(GError **error, gint64 expiry_usec, gint64 now_usec)
{
    g_autofree char *expiry = format_time(expiry_usec);
    g_autofree char *now = format_time(now_usec);

    g_set_error(error, SPOKE_ERROR, SPOKE_ERROR_INVALID_OPTION,
                "Option expiry is %s, which is in the past: now is %s; it counts microseconds "
                "since 1970",
                expiry, now);
    return FALSE;
}

/* The earlier of ttl and expiry counts. */
static gboolean
compute_ttl(const SpokeOptionValue *values, gint64 now_usec, gint64 *ret_ttl_usec, GError **error)
{
    gint64 ttl_usec = values[TTL].is_set ? (gint64)values[TTL].number * 1000 : 0;

    if (values[EXPIRY].is_set) {
        gint64 left_usec = (gint64)values[EXPIRY].number - now_usec;
        if (left_usec <= 0)
            return set_past_expiry(error, (gint64)values[EXPIRY].number, now_usec);
        ttl_usec = ttl_usec > 0 ? MIN(ttl_usec, left_usec) : left_usec;
    }
    *ret_ttl_usec = ttl_usec;
    return TRUE;
}

static int
append_text(sd_bus_message *m, const char *name, const char *value)
{
    int r = sd_bus_message_open_container(m, 'e', "sv");
    if (r >= 0)
        r = sd_bus_message_append_basic(m, 's', name);
    if (r >= 0)
        r = sd_bus_message_open_container(m, 'v', "s");
    if (r >= 0)
        r = spoke_text_append(m, value);
    if (r >= 0)
        r = sd_bus_message_close_container(m);
    return r < 0 ? r : sd_bus_message_close_container(m);
}

static int
append_system(sd_bus_message *m, const SpokeMessage *message)
{
    for (guint i = 0; i < G_N_ELEMENTS(system_types); i++) {
        const char *value = spoke_message_lookup_system(message, system_types[i].name);
        if (value == NULL)
            continue;
        int r = system_types[i].type == 's'
                    ? append_text(m, system_types[i].name, value)
                    : sd_bus_message_append(m, "{sv}", system_types[i].name, "t",
                                            (uint64_t)g_ascii_strtoull(value, NULL, 10));
        if (r < 0)
            return r;
    }
    return 0;
}

static int
append_delivery(sd_bus_message *m, const SpokeDelivered *delivered)
{
    int r = sd_bus_message_append(m, "{sv}{sv}", "received-time", "t",
                                  (uint64_t)delivered->received_usec, "delivery-count", "u",
                                  (uint32_t)delivered->delivery_count);

    if (r >= 0 && delivered->subscription != 0)
        r = sd_bus_message_append(m, "{sv}{sv}", "subscription", "u", delivered->subscription,
                                  "mode", "s", mode_names[delivered->mode]);
    if (r >= 0 && delivered->lock_msec != 0)
        r = sd_bus_message_append(m, "{sv}", "lock", "t", (uint64_t)delivered->lock_msec);
    if (r >= 0 && delivered->dead != SPOKE_DEAD_NOT)
        r = sd_bus_message_append(m, "{sv}", "dead-letter", "s",
                                  spoke_dead_reason_to_string(delivered->dead));
    return r;
}

SpokeMessageReader *
spoke_message_reader_new(const char *bus_id)
{
    SpokeMessageReader *self = g_new0(SpokeMessageReader, 1);

    self->bus_id = g_strdup(bus_id);
    self->system = g_byte_array_new();
    self->properties = g_byte_array_new();
    return self;
}

void
spoke_message_reader_free(SpokeMessageReader *reader)
{
    if (reader == NULL)
        return;
    g_byte_array_unref(reader->properties);
    g_byte_array_unref(reader->system);
    g_free(reader->bus_id);
    g_free(reader);
}

SpokeMessage *
spoke_message_reader_read(SpokeMessageReader *reader, sd_bus_message *m, SpokeBodyType type,
                          gint64 now_usec, GError **error)
{
    SpokeOptionValue values[N_OPTIONS] = {0};
    const void *body = NULL;
    size_t body_size = 0;
    gint64 ttl_usec = 0;

    g_byte_array_set_size(reader->properties, 0);
    if (!read_body(m, type, &body, &body_size, error) ||
        !spoke_properties_read(m, reader->properties, SPOKE_PROPERTIES_MAX, SPOKE_MESSAGE_BYTES_MAX,
                               error) ||
        !spoke_options_read(m, send_options, N_OPTIONS, values, error) ||
        !compute_ttl(values, now_usec, &ttl_usec, error))
        return NULL;

    pack_system(reader, values);
    SpokeMessage *message =
        spoke_message_new(reader->system->data, reader->system->len, reader->properties->data,
                          reader->properties->len, body, body_size);
    message->ttl_usec = ttl_usec;
    if (values[PRIORITY].is_set)
        message->lane = (SpokeLane)values[PRIORITY].number;
    if (values[DURABILITY].is_set)
        message->durability = (SpokeDurability)values[DURABILITY].number;
    if (values[NOTIFY].flag)
        message->notify = g_strconcat(reader->bus_id, "/", sd_bus_message_get_sender(m), NULL);
    return message;
}

GPtrArray *
spoke_message_reader_read_batch(SpokeMessageReader *reader, sd_bus_message *m, gint64 now_usec,
                                GError **error)
{
    g_autoptr(GPtrArray) messages =
        g_ptr_array_new_with_free_func((GDestroyNotify)spoke_message_unref);
    gboolean complete = TRUE;
    int r;

    if (sd_bus_message_enter_container(m, 'a', "(aya{ss}a{sv})") < 0) {
        spoke_error_set_malformed(error);
        return NULL;
    }
    while ((r = sd_bus_message_enter_container(m, 'r', "aya{ss}a{sv}")) > 0) {
        if (messages->len == SPOKE_BATCH_MAX) {
            complete = FALSE;
            break;
        }
        SpokeMessage *message =
            spoke_message_reader_read(reader, m, SPOKE_BODY_BYTES, now_usec, error);
        if (message == NULL) {
            g_prefix_error(error, "messages[%u]: ", messages->len);
            return NULL;
        }
        g_ptr_array_add(messages, message);
        r = sd_bus_message_exit_container(m);
        if (r < 0)
            break;
    }
    if (r < 0) {
        spoke_error_set_malformed(error);
        return NULL;
    }
    if (!complete || messages->len == 0) {
        g_set_error(error, SPOKE_ERROR, SPOKE_ERROR_INVALID_ARGUMENT,
                    "A batch needs 1 to %u messages, this one has %s", SPOKE_BATCH_MAX,
                    complete ? "none" : "more");
        return NULL;
    }
    return g_steal_pointer(&messages);
}

const char *
spoke_message_notify_name(const char *notify, const char *bus_id)
{
    size_t size = strlen(bus_id);

    if (strncmp(notify, bus_id, size) != 0 || notify[size] != '/' || notify[size + 1] != ':')
        return NULL;
    return notify + size + 1;
}

int
spoke_message_write(sd_bus_message *m, const SpokeDelivered *delivered)
{
    const SpokeMessage *message = delivered->message;
    char id[24];

    (void)g_snprintf(id, sizeof id, "%" G_GUINT64_FORMAT, message->id);
    int r = sd_bus_message_append_basic(m, 's', id);
    if (r >= 0)
        r = sd_bus_message_append_array(m, 'y', spoke_message_body(message), message->body_size);
    if (r >= 0)
        r = spoke_properties_write(m, spoke_message_properties(message), message->properties_size);
    if (r >= 0)
        r = sd_bus_message_open_container(m, 'a', "{sv}");
    if (r >= 0)
        r = append_system(m, message);
    if (r >= 0)
        r = append_delivery(m, delivered);
    if (r >= 0)
        r = sd_bus_message_close_container(m);
    return r;
}

gboolean
spoke_message_parse_id(const char *text, guint64 *ret_id)
{
    char canonical[24];

    guint64 id = g_ascii_strtoull(text, NULL, 10);
    (void)g_snprintf(canonical, sizeof canonical, "%" G_GUINT64_FORMAT, id);
    if (id == 0 || !g_str_equal(canonical, text))
        return FALSE;
    *ret_id = id;
    return TRUE;
}
