/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/message.h"

#include "daemon/error.h"
#include "daemon/properties.h"

#include <string.h>

/*
 * One block a message, and the rules an app's message must keep. The rules don't depend on the
 * transport: what one protocol can't carry is refused for all.
 */

/* "%24.ctime=" or the like, and a time written out as ISO 8601 instead of our decimal */
#define SYSTEM_ENCODED_EXTRA 40

#define QUOTED_BYTES_MAX 64

SpokeMessage *
spoke_message_new(const void *system, size_t system_size, const void *properties,
                  size_t properties_size, const void *body, size_t body_size)
{
    SpokeMessage *message =
        g_malloc(sizeof(SpokeMessage) + system_size + properties_size + body_size);

    *message = (SpokeMessage){
        .lane = SPOKE_LANE_NORMAL,
        .durability = SPOKE_DURABILITY_SYNCED,
        .system_size = system_size,
        .properties_size = properties_size,
        .body_size = body_size,
    };
    g_atomic_ref_count_init(&message->ref_count);
    char *data = message->data;
    if (system_size > 0)
        data = mempcpy(data, system, system_size);
    if (properties_size > 0)
        data = mempcpy(data, properties, properties_size);
    if (body_size > 0)
        memcpy(data, body, body_size);
    return message;
}

/* The plain atomics, not g_atomic_ref_count_inc(): they are inlined, so that thread sanitizers see
 * who let go before whom. */
SpokeMessage *
spoke_message_ref(SpokeMessage *message)
{
    g_atomic_int_inc(&message->ref_count);
    return message;
}

void
spoke_message_unref(SpokeMessage *message)
{
    if (message == NULL || !g_atomic_int_dec_and_test(&message->ref_count))
        return;

    g_clear_pointer(&message->app, g_ref_string_release);
    g_free(message->notify);
    g_free(message);
}

const char *
spoke_message_lookup_system(const SpokeMessage *message, const char *name)
{
    return spoke_properties_lookup(spoke_message_system(message), message->system_size, name);
}

size_t
spoke_message_cost(const SpokeMessage *message)
{
    return SPOKE_MESSAGE_HEAD_COST + message->system_size + message->properties_size +
           message->body_size;
}

/* For error texts: at most a line of it, printable. */
static char *
quote(const char *text)
{
    g_autofree char *start = g_strndup(text, QUOTED_BYTES_MAX);
    char *quoted = g_utf8_make_valid(start, -1);

    for (char *at = quoted; *at != '\0'; at++) {
        if (g_ascii_iscntrl(*at))
            *at = '?';
    }
    return quoted;
}

/* Unicode's control characters: U+0000 to U+001F and U+007F to U+009F. @text is valid UTF-8. */
static gboolean
has_control(const char *text)
{
    for (const guchar *at = (const guchar *)text; *at != '\0'; at++) {
        if (*at < 0x20 || *at == 0x7f || (*at == 0xc2 && at[1] < 0xa0))
            return TRUE;
    }
    return FALSE;
}

/* What is wrong with a text, or NULL. */
static const char *
find_text_fault(const char *text)
{
    if (!g_utf8_validate(text, -1, NULL))
        return "is not valid UTF-8";
    return has_control(text) ? "holds a control character" : NULL;
}

static size_t
encoded_size(const char *text)
{
    size_t size = 0;

    for (; *text != '\0'; text++)
        size += g_ascii_isalnum(*text) || strchr("-_.~", *text) != NULL ? 1 : 3;
    return size;
}

static gboolean
is_message_id(const char *id)
{
    /* Source: iot-hub-protocol.md, 1.1 */
    for (; *id != '\0'; id++) {
        if (!g_ascii_isalnum(*id) && strchr("-:.+%_#*?!(),=@;$'", *id) == NULL)
            return FALSE;
    }
    return TRUE;
}

static gboolean
is_time(const char *text)
{
    return g_ascii_string_to_unsigned(text, 10, 0, G_MAXINT64, NULL, NULL);
}

/* The system properties an app may set, and what holds for their values. */
static const struct {
    const char *name;
    size_t bytes_max;
    gboolean (*is_valid)(const char *value); /* nullable */
    const char *rule;                        /* of is_valid */
} system_rules[] = {
    {SPOKE_PROPERTY_MESSAGE_ID, SPOKE_MESSAGE_ID_BYTES_MAX, is_message_id,
     "may hold only ASCII letters, digits and -:.+%_#*?!(),=@;$'"},
    {SPOKE_PROPERTY_CORRELATION_ID, SPOKE_SYSTEM_VALUE_BYTES_MAX, NULL, NULL},
    {SPOKE_PROPERTY_USER_ID, SPOKE_SYSTEM_VALUE_BYTES_MAX, NULL, NULL},
    /* AMQP has them as symbols. */
    {SPOKE_PROPERTY_CONTENT_TYPE, SPOKE_SYSTEM_VALUE_BYTES_MAX, g_str_is_ascii,
     "may hold only ASCII characters"},
    {SPOKE_PROPERTY_CONTENT_ENCODING, SPOKE_SYSTEM_VALUE_BYTES_MAX, g_str_is_ascii,
     "may hold only ASCII characters"},
    {SPOKE_PROPERTY_CREATION_TIME, SPOKE_SYSTEM_VALUE_BYTES_MAX, is_time,
     "must be microseconds since 1970"},
    {SPOKE_PROPERTY_EXPIRY, SPOKE_SYSTEM_VALUE_BYTES_MAX, is_time,
     "must be microseconds since 1970"},
};

static gboolean
check_system_property(const char *name, const char *value, GError **error)
{
    guint i = 0;
    while (i < G_N_ELEMENTS(system_rules) && strcmp(system_rules[i].name, name) != 0)
        i++;
    if (i == G_N_ELEMENTS(system_rules)) {
        g_autofree char *quoted = quote(name);
        g_set_error(error, SPOKE_ERROR, SPOKE_ERROR_INVALID_OPTION,
                    "System property \"%s\" can't be set by an app", quoted);
        return FALSE;
    }

    size_t size = strlen(value);
    if (size < 1 || size > system_rules[i].bytes_max) {
        g_set_error(error, SPOKE_ERROR, SPOKE_ERROR_INVALID_OPTION,
                    "%s has %zu bytes, and must have 1 to %zu", name, size,
                    system_rules[i].bytes_max);
        return FALSE;
    }
    const char *fault = find_text_fault(value);
    if (fault == NULL && system_rules[i].is_valid != NULL && !system_rules[i].is_valid(value))
        fault = system_rules[i].rule;
    if (fault != NULL) {
        g_set_error(error, SPOKE_ERROR, SPOKE_ERROR_INVALID_OPTION, "%s %s", name, fault);
        return FALSE;
    }
    return TRUE;
}

static gboolean
check_property(const char *name, const char *value, GError **error)
{
    size_t name_size = strlen(name);
    if (name_size < 1 || name_size > SPOKE_PROPERTY_NAME_BYTES_MAX) {
        g_autofree char *quoted = quote(name);
        g_set_error(error, SPOKE_ERROR, SPOKE_ERROR_INVALID_PROPERTY,
                    "Property name \"%s\" has %zu bytes, and must have 1 to %d", quoted, name_size,
                    SPOKE_PROPERTY_NAME_BYTES_MAX);
        return FALSE;
    }

    const char *of = "Property name";
    const char *fault = find_text_fault(name);
    if (fault == NULL && g_str_has_prefix(name, "$."))
        fault = "begins with \"$.\", which is the hub's own";
    if (fault == NULL) {
        of = "Value of property";
        fault = find_text_fault(value);
    }
    if (fault != NULL) {
        g_autofree char *quoted = quote(name);
        g_set_error(error, SPOKE_ERROR, SPOKE_ERROR_INVALID_PROPERTY, "%s \"%s\" %s", of, quoted,
                    fault);
        return FALSE;
    }
    return TRUE;
}

/* Adds what the system properties take to both sizes. */
static gboolean
check_system(const SpokeMessage *message, size_t *size, size_t *encoded, GError **error)
{
    SpokePropertiesIter iter;
    const char *name = NULL;
    const char *value = NULL;

    spoke_properties_iter_init(&iter, spoke_message_system(message), message->system_size);
    while (spoke_properties_iter_next(&iter, &name, &value)) {
        if (!check_system_property(name, value, error))
            return FALSE;
        *size += strlen(value);
        *encoded += SYSTEM_ENCODED_EXTRA + encoded_size(value);
    }
    return TRUE;
}

static gboolean
check_properties(const SpokeMessage *message, size_t *size, size_t *encoded, GError **error)
{
    SpokePropertiesIter iter;
    const char *name = NULL;
    const char *value = NULL;
    guint count = 0;

    spoke_properties_iter_init(&iter, spoke_message_properties(message), message->properties_size);
    while (spoke_properties_iter_next(&iter, &name, &value)) {
        if (!check_property(name, value, error))
            return FALSE;
        count++;
        *size += strlen(name) + strlen(value);
        *encoded += encoded_size(name) + encoded_size(value) + strlen("&=");
    }
    if (count > SPOKE_PROPERTIES_MAX) {
        g_set_error(error, SPOKE_ERROR, SPOKE_ERROR_INVALID_PROPERTY,
                    "%u properties are over the limit of %d", count, SPOKE_PROPERTIES_MAX);
        return FALSE;
    }
    return TRUE;
}

gboolean
spoke_message_check(const SpokeMessage *message, GError **error)
{
    size_t size = message->body_size;
    size_t encoded = 0;

    if (message->body_size > SPOKE_MESSAGE_BYTES_MAX) {
        g_set_error(error, SPOKE_ERROR, SPOKE_ERROR_TOO_LARGE,
                    "Body of %zu bytes is over the limit of %d", message->body_size,
                    SPOKE_MESSAGE_BYTES_MAX);
        return FALSE;
    }
    if (spoke_message_lookup_system(message, SPOKE_PROPERTY_MESSAGE_ID) == NULL)
        size += SPOKE_MESSAGE_ID_MADE_BYTES; /* it will get one, and the hub counts that, too */
    if (!check_system(message, &size, &encoded, error) ||
        !check_properties(message, &size, &encoded, error))
        return FALSE;
    if (size > SPOKE_MESSAGE_BYTES_MAX) {
        g_set_error(
            error, SPOKE_ERROR, SPOKE_ERROR_TOO_LARGE,
            "Message of %zu bytes (body, properties and message-id) is over the limit of %d", size,
            SPOKE_MESSAGE_BYTES_MAX);
        return FALSE;
    }
    if (encoded > SPOKE_PROPERTIES_ENCODED_BYTES_MAX) {
        g_set_error(error, SPOKE_ERROR, SPOKE_ERROR_TOO_LARGE,
                    "Properties take %zu bytes percent-encoded, over the limit of %d", encoded,
                    SPOKE_PROPERTIES_ENCODED_BYTES_MAX);
        return FALSE;
    }
    return TRUE;
}
