/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "clients/examples/json-text.h"

#include <math.h>

/*
 * JSON as a person would write it. json-glib prints a double with 17 digits, so that no bit is
 * lost, and 5.45 as 5.4500000000000002; the kernel's numbers are decimal and short, and 15 digits
 * bring every one of them back as it was.
 */

static void append_node(GString *text, JsonNode *node);

static void
append_double(GString *text, double value)
{
    char digits[G_ASCII_DTOSTR_BUF_SIZE] = "null"; /* JSON has no infinity */

    if (isfinite(value))
        (void)g_ascii_formatd(digits, sizeof(digits), "%.15g", value);
    g_string_append(text, digits);
}

static void
append_string(GString *text, const char *value)
{
    g_autoptr(JsonNode) node = json_node_init_string(json_node_alloc(), value);
    g_autofree char *quoted = json_to_string(node, FALSE);

    g_string_append(text, quoted);
}

static void
append_object(GString *text, JsonObject *object)
{
    JsonObjectIter iter;
    const char *name = NULL;
    JsonNode *node = NULL;

    g_string_append_c(text, '{');
    json_object_iter_init_ordered(&iter, object);
    for (const char *comma = ""; json_object_iter_next_ordered(&iter, &name, &node); comma = ",") {
        g_string_append(text, comma);
        append_string(text, name);
        g_string_append_c(text, ':');
        append_node(text, node);
    }
    g_string_append_c(text, '}');
}

static void
append_array(GString *text, JsonArray *array)
{
    g_string_append_c(text, '[');
    for (guint i = 0; i < json_array_get_length(array); i++) {
        if (i > 0)
            g_string_append_c(text, ',');
        append_node(text, json_array_get_element(array, i));
    }
    g_string_append_c(text, ']');
}

static void
append_node(GString *text, JsonNode *node)
{
    if (JSON_NODE_HOLDS_OBJECT(node))
        append_object(text, json_node_get_object(node));
    else if (JSON_NODE_HOLDS_ARRAY(node))
        append_array(text, json_node_get_array(node));
    else if (json_node_get_value_type(node) == G_TYPE_DOUBLE)
        append_double(text, json_node_get_double(node));
    else if (json_node_get_value_type(node) == G_TYPE_STRING)
        append_string(text, json_node_get_string(node));
    else
        g_string_append_printf(text, "%" G_GINT64_FORMAT, json_node_get_int(node));
}

char *
json_text_new(JsonNode *node)
{
    GString *text = g_string_new(NULL);

    append_node(text, node);
    return g_string_free(text, FALSE);
}
