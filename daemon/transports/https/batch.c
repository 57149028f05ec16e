/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/transports/https/batch.h"

#include "daemon/transports/https/headers.h"

#include <string.h>

/* Source: azure-iot-sdk-c, iothubtransporthttp.c, by way of iot-hub-protocol.md, 4.2. */
#define MESSAGE_OVERHEAD  384
#define PROPERTY_OVERHEAD 16

#define AS_TEXT "\",\"base64Encoded\":false"

/* Appends @size bytes as the inside of a JSON string. */
static void
append_escaped(GString *out, const char *text, size_t size)
{
    const char *end = text + size;

    while (text < end) {
        const char *plain = text;

        while (text < end && (guchar)*text >= 0x20 && *text != '"' && *text != '\\')
            text++;
        g_string_append_len(out, plain, text - plain);
        if (text == end)
            return;
        switch (*text) {
        case '"':
        case '\\':
            g_string_append_c(out, '\\');
            g_string_append_c(out, *text);
            break;
        case '\n':
            g_string_append(out, "\\n");
            break;
        case '\r':
            g_string_append(out, "\\r");
            break;
        case '\t':
            g_string_append(out, "\\t");
            break;
        default:
            g_string_append_printf(out, "\\u%04x", (guchar)*text);
        }
        text++;
    }
}

/* Whether the body is text, and shorter so than in base64. */
static gboolean
is_better_as_text(const char *body, size_t size)
{
    size_t escaped = size + strlen(AS_TEXT) - 1;

    if (!g_utf8_validate_len(body, size, NULL))
        return FALSE;
    for (size_t i = 0; i < size; i++) {
        if (body[i] == '"' || body[i] == '\\' || body[i] == '\n' || body[i] == '\r' ||
            body[i] == '\t')
            escaped++;
        else if ((guchar)body[i] < 0x20)
            return FALSE;
    }
    return escaped < (size + 2) / 3 * 4;
}

static void
append_base64(GString *out, const void *data, size_t size)
{
    size_t offset = out->len;
    int state = 0, save = 0;

    g_string_set_size(out, offset + (size / 3 + 1) * 4 + 4);
    size_t n = g_base64_encode_step(data, size, FALSE, out->str + offset, &state, &save);
    n += g_base64_encode_close(FALSE, out->str + offset + n, &state, &save);
    g_string_truncate(out, offset + n);
}

static void
append_body(GString *out, const SpokeMessage *message)
{
    const char *body = spoke_message_body(message);

    g_string_append(out, "{\"body\":\"");
    if (is_better_as_text(body, message->body_size)) {
        append_escaped(out, body, message->body_size);
        g_string_append(out, AS_TEXT);
    } else {
        append_base64(out, body, message->body_size);
        g_string_append_c(out, '"');
    }
}

static void
add_property(const char *prefix, const char *name, const char *value, gpointer user_data)
{
    SpokeBatch *batch = user_data;
    GString *out = batch->text;

    /* The brace opens with the first one. */
    g_string_append(out, out->str[out->len - 1] == '{' ? "\"" : ",\"");
    g_string_append(out, prefix);
    append_escaped(out, name, strlen(name));
    g_string_append(out, "\":\"");
    append_escaped(out, value, strlen(value));
    g_string_append_c(out, '"');
    batch->counted += strlen(name) + strlen(value) + PROPERTY_OVERHEAD;
}

static void
append_properties(SpokeBatch *batch, const SpokeMessage *message, const char *message_id)
{
    static const char opening[] = ",\"properties\":{";
    GString *out = batch->text;

    g_string_append(out, opening);
    spoke_headers_foreach(message, message_id, add_property, batch);
    if (out->str[out->len - 1] == '{')
        g_string_truncate(out, out->len - strlen(opening));
    else
        g_string_append_c(out, '}');
}

void
spoke_batch_init(SpokeBatch *batch)
{
    *batch = (SpokeBatch){.text = g_string_sized_new(4096)};
}

void
spoke_batch_clear(SpokeBatch *batch)
{
    if (batch->text != NULL)
        g_string_free(g_steal_pointer(&batch->text), TRUE);
}

gboolean
spoke_batch_add(SpokeBatch *batch, const SpokeMessage *message, const char *message_id)
{
    size_t size = batch->text->len;
    size_t counted = batch->counted;

    /* What can't fit is not even tried: it would be copied in vain for each batch. */
    if (size + message->body_size + message->properties_size > SPOKE_BATCH_BYTES_MAX)
        return FALSE;

    g_string_append_c(batch->text, batch->n == 0 ? '[' : ',');
    append_body(batch->text, message);
    append_properties(batch, message, message_id);
    g_string_append_c(batch->text, '}');
    batch->counted += message->body_size + MESSAGE_OVERHEAD;
    if (batch->text->len + strlen("]") > SPOKE_BATCH_BYTES_MAX ||
        batch->counted > SPOKE_BATCH_BYTES_MAX) {
        g_string_truncate(batch->text, size);
        batch->counted = counted;
        return FALSE;
    }
    batch->n++;
    return TRUE;
}

GString *
spoke_batch_end(SpokeBatch *batch)
{
    return g_string_append_c(batch->text, ']');
}
