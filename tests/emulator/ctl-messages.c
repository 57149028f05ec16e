/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The commands about what arrived from devices. Following and waiting hang on the API's stream:
 * nothing here asks again and again. */

#include "ctl-command.h"
#include "ctl-print.h"

#include <gio/gio.h>
#include <stdio.h>
#include <string.h>

#define WAIT_SEC_DEFAULT 30

/* One run of wait-messages. */
typedef struct {
    gboolean one_device; /* sequence numbers have gaps then, and have to be counted */
    gint64 since;        /* counting starts after this one; -1: at the first that is kept */
    gint64 wanted;
    gint64 arrived;
    gint64 last;
} Wait;

static const CtlColumn columns[] = {
    {"SEQ", TRUE},         {"TIME", FALSE}, {"DEVICE", FALSE}, {"MESSAGE ID", FALSE},
    {"PROPERTIES", FALSE}, {"BODY", FALSE}, {NULL, FALSE},
};

/* The least widths of the same columns where rows come one by one. */
static const int row_widths[] = {6, 12, 14, 12, 0, 0};

static char *
describe_sender(JsonObject *message)
{
    g_autofree char *device_id = ctl_member(message, "deviceId");
    g_autofree char *module_id = ctl_member(message, "moduleId");

    return module_id != NULL ? g_strconcat(device_id, "/", module_id, NULL)
                             : g_steal_pointer(&device_id);
}

static char *
describe_id(JsonObject *message)
{
    g_autofree char *id = NULL;

    if (json_object_has_member(message, "systemProperties"))
        id = ctl_member(json_object_get_object_member(message, "systemProperties"), "message-id");
    if (json_object_get_boolean_member_with_default(message, "duplicate", FALSE))
        return g_strconcat(id != NULL ? id : "", " (dup)", NULL);
    return g_steal_pointer(&id);
}

static char *
describe_properties(JsonObject *message)
{
    GString *text = g_string_new(NULL);
    JsonObjectIter iter;
    const char *key = NULL;

    if (json_object_has_member(message, "properties")) {
        JsonObject *properties = json_object_get_object_member(message, "properties");
        json_object_iter_init(&iter, properties);
        while (json_object_iter_next(&iter, &key, NULL)) {
            g_autofree char *name = ctl_escape(key);
            g_autofree char *value = ctl_member(properties, key);
            g_string_append_printf(text, "%s%s=%s", text->len > 0 ? " " : "", name,
                                   value != NULL ? value : "");
        }
    }
    return g_string_free(text, FALSE);
}

static char *
describe_body(JsonObject *message)
{
    if (!json_object_has_member(message, "bodyBase64"))
        return ctl_member(message, "body");

    g_autofree char *size = ctl_member(message, "bodySize");
    return g_strdup_printf("(%s bytes, binary)", size != NULL ? size : "some");
}

/* The cells of one message, in the order of @columns. */
static GPtrArray *
describe_message(JsonObject *message)
{
    GPtrArray *cells = g_ptr_array_new_with_free_func(g_free);

    g_ptr_array_add(cells, ctl_member(message, "sequence"));
    g_ptr_array_add(cells, ctl_member_time(message, "enqueuedTime"));
    g_ptr_array_add(cells, describe_sender(message));
    g_ptr_array_add(cells, describe_id(message));
    g_ptr_array_add(cells, describe_properties(message));
    g_ptr_array_add(cells, describe_body(message));
    return cells;
}

static void
print_messages(JsonNode *answer)
{
    g_autoptr(CtlTable) table = ctl_table_new(columns);
    JsonArray *messages = json_node_get_array(answer);

    for (guint i = 0; i < json_array_get_length(messages); i++) {
        g_autoptr(GPtrArray) cells = describe_message(json_array_get_object_element(messages, i));
        for (guint j = 0; j < cells->len; j++)
            ctl_table_add(table, g_steal_pointer(&g_ptr_array_index(cells, j)));
    }
    ctl_table_print(table, "No messages");
}

static gboolean
print_arrival(JsonNode *line, gpointer user_data)
{
    Ctl *ctl = user_data;
    JsonObject *message = json_node_get_object(line);
    gint64 missed = json_object_get_int_member_with_default(message, "missed", 0);

    if (ctl->json || missed > 0) {
        if (ctl->json)
            ctl_print_json(line);
        else
            printf("(%" G_GINT64_FORMAT " were forgotten before they could be shown)\n", missed);
        return fflush(stdout) == 0;
    }

    g_autoptr(GPtrArray) cells = describe_message(message);
    g_autoptr(GString) row = g_string_new(NULL);
    for (guint i = 0; i < cells->len; i++) {
        const char *cell = g_ptr_array_index(cells, i);
        int width = columns[i].right ? row_widths[i] : -row_widths[i];
        if (cell != NULL && *cell != '\0')
            g_string_append_printf(row, "%s%*s", i > 0 ? "  " : "", width, cell);
        else if (row_widths[i] > 0)
            g_string_append_printf(row, "  %*s", row_widths[i], "");
    }

    g_autofree char *fitting = ctl_fit(row->str);
    puts(fitting);
    return fflush(stdout) == 0; /* the reader of our pipe may be gone: then end, quietly */
}

/* Path and query; numbers below 0 are left out. */
static char *
messages_path(const char *path, const char *device_id, gint64 since, gint64 limit)
{
    GString *text = g_string_new(path);
    char separator = '?';

    if (device_id != NULL) {
        g_autofree char *escaped = g_uri_escape_string(device_id, NULL, FALSE);
        g_string_append_printf(text, "%cdevice=%s", separator, escaped);
        separator = '&';
    }
    if (since >= 0) {
        g_string_append_printf(text, "%csince=%" G_GINT64_FORMAT, separator, since);
        separator = '&';
    }
    if (limit >= 0)
        g_string_append_printf(text, "%climit=%" G_GINT64_FORMAT, separator, limit);
    return g_string_free(text, FALSE);
}

/* Without a beginning, following begins with what is still to come. */
static gboolean
follow_messages(Ctl *ctl, const char *device_id, gint64 since, GError **error)
{
    if (since < 0) {
        g_autoptr(JsonNode) stats =
            ctl_client_call(ctl->client, "GET", "/stats", NULL, JSON_NODE_OBJECT, error);
        if (stats == NULL)
            return FALSE;
        since =
            json_object_get_int_member_with_default(json_node_get_object(stats), "lastSequence", 0);
    }

    g_autofree char *path = messages_path("/messages/stream", device_id, since, -1);
    return ctl_client_follow(ctl->client, path, 0, print_arrival, ctl, error);
}

gboolean
ctl_run_messages(Ctl *ctl, int argc, char **argv, GError **error)
{
    g_autofree char *device_id = NULL;
    gint64 since = -1;
    gint64 limit = -1;
    gboolean follow = FALSE;
    g_auto(GStrv) arguments = NULL;
    const GOptionEntry entries[] = {
        {"device", 'd', 0, G_OPTION_ARG_FILENAME, &device_id, "Only this device's", "DEVICE"},
        {"since", 's', 0, G_OPTION_ARG_INT64, &since, "Only what came after this number", "SEQ"},
        {"limit", 'n', 0, G_OPTION_ARG_INT64, &limit,
         "At most so many: the newest, or with --since the next", "N"},
        {"follow", 'f', 0, G_OPTION_ARG_NONE, &follow, "Go on with what arrives", NULL},
        {NULL},
    };
    if (!ctl_parse(ctl, entries, argc, argv, 0, 0, &arguments, error) ||
        !ctl_check_utf8("--device", device_id, error))
        return FALSE;
    if (follow && limit >= 0) {
        g_set_error(error, CTL_ERROR, CTL_ERROR_USAGE, "--follow and --limit exclude each other");
        return FALSE;
    }

    if (follow)
        return follow_messages(ctl, device_id, since, error);
    g_autofree char *path = messages_path("/messages", device_id, since, limit);
    return ctl_show(ctl, path, JSON_NODE_ARRAY, print_messages, error);
}

/* Sequence numbers run without gaps, so that one that comes late, or was forgotten before it was
 * read, is counted all the same. */
static gboolean
count_arrival(JsonNode *line, gpointer user_data)
{
    Wait *wait = user_data;
    JsonObject *message = json_node_get_object(line);

    if (!json_object_has_member(message, "sequence"))
        return TRUE; /* tells of missed ones */
    wait->last = json_object_get_int_member(message, "sequence");
    if (wait->since < 0)
        wait->since = wait->last - 1;
    wait->arrived = wait->one_device ? wait->arrived + 1 : wait->last - wait->since;
    return wait->arrived < wait->wanted;
}

static gboolean
wait_for_messages(Ctl *ctl, Wait *wait, const char *device_id, guint timeout_sec, GError **error)
{
    g_autoptr(GError) cause = NULL;
    g_autofree char *path = messages_path("/messages/stream", device_id, MAX(wait->since, 0), -1);

    if (wait->wanted == 0 ||
        ctl_client_follow(ctl->client, path, timeout_sec, count_arrival, wait, &cause))
        return TRUE;

    if (g_error_matches(cause, CTL_ERROR, CTL_ERROR_TIMEOUT))
        g_set_error(error, CTL_ERROR, CTL_ERROR_TIMEOUT,
                    "%" G_GINT64_FORMAT " of %" G_GINT64_FORMAT " messages arrived in %u s",
                    wait->arrived, wait->wanted, timeout_sec);
    else
        g_propagate_error(error, g_steal_pointer(&cause));
    return FALSE;
}

gboolean
ctl_run_wait_messages(Ctl *ctl, int argc, char **argv, GError **error)
{
    g_autofree char *device_id = NULL;
    Wait wait = {.since = -1};
    int timeout_sec = WAIT_SEC_DEFAULT;
    g_auto(GStrv) arguments = NULL;
    const GOptionEntry entries[] = {
        {"device", 'd', 0, G_OPTION_ARG_FILENAME, &device_id, "Only this device's", "DEVICE"},
        {"since", 's', 0, G_OPTION_ARG_INT64, &wait.since, "Only what came after this number",
         "SEQ"},
        {"timeout", 't', 0, G_OPTION_ARG_INT, &timeout_sec,
         "Seconds to wait; 0: for ever (default: 30)", "SEC"},
        {NULL},
    };
    if (!ctl_parse(ctl, entries, argc, argv, 1, 1, &arguments, error) ||
        !ctl_check_utf8("--device", device_id, error))
        return FALSE;

    guint64 wanted = 0;
    if (timeout_sec < 0) {
        g_set_error(error, CTL_ERROR, CTL_ERROR_USAGE, "--timeout %d is negative", timeout_sec);
        return FALSE;
    }
    if (!g_ascii_string_to_unsigned(arguments[0], 10, 0, G_MAXINT64, &wanted, NULL)) {
        g_set_error(error, CTL_ERROR, CTL_ERROR_USAGE, "\"%s\" is no number of messages",
                    arguments[0]);
        return FALSE;
    }
    wait.wanted = (gint64)wanted;
    wait.one_device = device_id != NULL;
    if (!wait_for_messages(ctl, &wait, device_id, (guint)timeout_sec, error))
        return FALSE;

    if (ctl->json)
        printf("{\"arrived\":%" G_GINT64_FORMAT ",\"sequence\":%" G_GINT64_FORMAT "}\n",
               wait.arrived, wait.last);
    return TRUE;
}

gboolean
ctl_run_clear(Ctl *ctl, int argc, char **argv, GError **error)
{
    g_auto(GStrv) arguments = NULL;
    if (!ctl_parse(ctl, NULL, argc, argv, 0, 0, &arguments, error))
        return FALSE;

    g_autoptr(JsonNode) answer =
        ctl_client_call(ctl->client, "DELETE", "/messages", NULL, JSON_NODE_NULL, error);
    return answer != NULL;
}
