/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* json-glib reads the text, but it goes one call deeper for each bracket: so the depth, which a
 * batch hardly has, is looked at before. */

#include "https-batch.h"

#include "error.h"
#include "https-properties.h"

#include <json-glib/json-glib.h>
#include <string.h>

#define DEPTH_MAX 8

G_DEFINE_AUTOPTR_CLEANUP_FUNC(EmuHttpsMessage, emu_https_message_free)

void
emu_https_message_free(gpointer message)
{
    EmuHttpsMessage *self = message;

    if (self == NULL)
        return;

    g_free(self->bag);
    g_clear_pointer(&self->body, g_bytes_unref);
    g_free(self);
}

/* What stands outside of strings is JSON by its look, without the comments that json-glib allows,
 * and not nested deeply. */
static gboolean
is_shallow(const char *text, size_t size)
{
    guint depth = 0;
    gboolean quoted = FALSE;

    for (size_t i = 0; i < size; i++) {
        if (quoted && text[i] == '\\')
            i++;
        else if (text[i] == '"')
            quoted = !quoted;
        else if (!quoted && strchr("/'#", text[i]) != NULL)
            return FALSE;
        else if (!quoted && (text[i] == '[' || text[i] == '{') && ++depth > DEPTH_MAX)
            return FALSE;
        else if (!quoted && (text[i] == ']' || text[i] == '}') && depth > 0)
            depth--;
    }
    return TRUE;
}

static const char *
text_of(JsonNode *node)
{
    return node != NULL && JSON_NODE_HOLDS_VALUE(node) &&
                   json_node_get_value_type(node) == G_TYPE_STRING
               ? json_node_get_string(node)
               : NULL;
}

static GBytes *
decode_body(const char *text)
{
    gsize size = 0;
    g_autofree guchar *bytes = g_base64_decode(text, &size);
    g_autofree char *again = g_base64_encode(bytes, size);

    /* The decoder takes anything. */
    return g_str_equal(again, text) ? g_bytes_new_take(g_steal_pointer(&bytes), size) : NULL;
}

static gboolean
read_body(JsonObject *object, EmuHttpsMessage *message, GError **error)
{
    const char *text = text_of(json_object_get_member(object, "body"));
    JsonNode *encoded = json_object_get_member(object, "base64Encoded");
    gboolean is_plain = encoded != NULL && JSON_NODE_HOLDS_VALUE(encoded) &&
                        json_node_get_value_type(encoded) == G_TYPE_BOOLEAN &&
                        !json_node_get_boolean(encoded);

    if (text != NULL)
        message->body = is_plain ? g_bytes_new(text, strlen(text)) : decode_body(text);
    if (message->body != NULL)
        return TRUE;
    g_set_error(error, EMU_ERROR, EMU_ERROR_ARGUMENT,
                "A message's body is missing or is not base64");
    return FALSE;
}

static gboolean
read_properties(JsonObject *object, EmuHttpsMessage *message, GError **error)
{
    g_autoptr(GString) bag = g_string_new(NULL);
    JsonNode *properties = json_object_get_member(object, "properties");

    if (properties != NULL && JSON_NODE_HOLDS_OBJECT(properties)) {
        JsonObject *members = json_node_get_object(properties);
        g_autoptr(GList) list = json_object_get_members(members);
        for (GList *i = list; i != NULL; i = i->next) {
            const char *value = text_of(json_object_get_member(members, i->data));
            if (value == NULL) {
                g_set_error(error, EMU_ERROR, EMU_ERROR_ARGUMENT, "Property %s is not a string",
                            (const char *)i->data);
                return FALSE;
            }
            emu_https_add_property(bag, i->data, value);
        }
    } else if (properties != NULL && !JSON_NODE_HOLDS_NULL(properties)) {
        g_set_error(error, EMU_ERROR, EMU_ERROR_ARGUMENT, "A message's properties are no object");
        return FALSE;
    }
    message->bag = g_strdup(bag->str);
    return TRUE;
}

static EmuHttpsMessage *
read_message(JsonNode *node, GError **error)
{
    g_autoptr(EmuHttpsMessage) message = g_new0(EmuHttpsMessage, 1);

    if (!JSON_NODE_HOLDS_OBJECT(node)) {
        g_set_error(error, EMU_ERROR, EMU_ERROR_ARGUMENT, "A message is not an object");
        return NULL;
    }
    JsonObject *object = json_node_get_object(node);
    if (!read_body(object, message, error) || !read_properties(object, message, error))
        return NULL;
    return g_steal_pointer(&message);
}

GPtrArray *
emu_https_batch_parse(const char *text, size_t size, GError **error)
{
    g_autoptr(GPtrArray) messages = g_ptr_array_new_with_free_func(emu_https_message_free);
    g_autoptr(JsonParser) parser = json_parser_new_immutable();
    g_autoptr(GError) local = NULL;

    if (size == 0 || !is_shallow(text, size) || !g_utf8_validate(text, (gssize)size, NULL) ||
        !json_parser_load_from_data(parser, text, (gssize)size, &local)) {
        g_set_error(error, EMU_ERROR, EMU_ERROR_ARGUMENT, "The batch is not JSON: %s",
                    local != NULL ? local->message : "empty, nested too deeply, or not UTF-8");
        return NULL;
    }
    JsonNode *root = json_parser_get_root(parser);
    if (root == NULL || !JSON_NODE_HOLDS_ARRAY(root)) {
        g_set_error(error, EMU_ERROR, EMU_ERROR_ARGUMENT, "The batch is not a JSON array");
        return NULL;
    }

    JsonArray *array = json_node_get_array(root);
    for (guint i = 0; i < json_array_get_length(array); i++) {
        EmuHttpsMessage *message = read_message(json_array_get_element(array, i), error);
        if (message == NULL) {
            g_prefix_error(error, "Message %u: ", i + 1);
            return NULL;
        }
        g_ptr_array_add(messages, message);
    }
    return g_steal_pointer(&messages);
}
