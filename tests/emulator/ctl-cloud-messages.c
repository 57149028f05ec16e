/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The commands about cloud-to-device messages: send one, see the queue, follow a message to its
 * end. */

#include "ctl-command.h"
#include "ctl-print.h"

#include <gio/gio.h>
#include <gio/gunixinputstream.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define WAIT_SEC_DEFAULT 60

/* The API tells a message's state when asked; this is how often `send --wait` asks. */
#define WAIT_STEP_USEC (100 * 1000)

/* A message holds 64 KiB at most; reading a little more lets the emulator say so. */
#define BODY_BYTES_READ (256 * 1024)

/* What the command line of send says. */
typedef struct {
    char **properties;      /* owned; NULL when none */
    char *message_id;       /* owned; NULL unless given, as the following */
    char *correlation_id;   /* owned */
    char *user_id;          /* owned */
    char *content_type;     /* owned */
    char *content_encoding; /* owned */
    char *ack;              /* owned */
    char *wait;             /* owned; empty for the default time */
    int expiry_sec;         /* -1 unless given */
} SendOptions;

static void
send_options_clear(SendOptions *options)
{
    g_strfreev(options->properties);
    g_free(options->message_id);
    g_free(options->correlation_id);
    g_free(options->user_id);
    g_free(options->content_type);
    g_free(options->content_encoding);
    g_free(options->ack);
    g_free(options->wait);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(SendOptions, send_options_clear)

static char *
queue_path(const char *device_id, const char *message_id)
{
    g_autofree char *device = g_uri_escape_string(device_id, NULL, FALSE);
    g_autofree char *message =
        message_id != NULL ? g_uri_escape_string(message_id, NULL, FALSE) : NULL;

    return g_strconcat("/devices/", device, "/messages", message != NULL ? "/" : NULL, message,
                       NULL);
}

/* Returns: (transfer full): the body, from the argument, standard input or nowhere. */
static GBytes *
read_body(const char *argument, GError **error)
{
    if (argument == NULL)
        return g_bytes_new(NULL, 0);
    if (strcmp(argument, "-") != 0)
        return g_bytes_new(argument, strlen(argument));

    g_autoptr(GInputStream) input = g_unix_input_stream_new(STDIN_FILENO, FALSE);
    g_autofree char *data = g_malloc(BODY_BYTES_READ);
    gsize size = 0;
    if (!g_input_stream_read_all(input, data, BODY_BYTES_READ, &size, NULL, error))
        return NULL;
    return g_bytes_new_take(g_steal_pointer(&data), size);
}

static void
set_body(JsonObject *message, GBytes *body)
{
    gsize size = 0;
    const char *data = g_bytes_get_data(body, &size);

    if (g_utf8_validate_len(data, size, NULL)) {
        g_autofree char *text = g_strndup(data != NULL ? data : "", size);
        json_object_set_string_member(message, "body", text);
        return;
    }
    g_autofree char *base64 = g_base64_encode((const guchar *)data, size);
    json_object_set_string_member(message, "bodyBase64", base64);
}

static gboolean
set_properties(JsonObject *message, char **settings, GError **error)
{
    JsonObject *properties = json_object_new();

    json_object_set_object_member(message, "properties", properties);
    for (; settings != NULL && *settings != NULL; settings++) {
        const char *sign = strchr(*settings, '=');
        if (sign == NULL || sign == *settings) {
            g_set_error(error, CTL_ERROR, CTL_ERROR_USAGE, "--property %s is not NAME=VALUE",
                        *settings);
            return FALSE;
        }
        if (!ctl_check_utf8("--property", *settings, error))
            return FALSE;
        g_autofree char *name = g_strndup(*settings, (gsize)(sign - *settings));
        json_object_set_string_member(properties, name, sign + 1);
    }
    return TRUE;
}

static gboolean
set_texts(JsonObject *message, const SendOptions *options, GError **error)
{
    const struct {
        const char *option;
        const char *member;
        const char *value;
    } texts[] = {
        {"--message-id", "messageId", options->message_id},
        {"--correlation-id", "correlationId", options->correlation_id},
        {"--user-id", "userId", options->user_id},
        {"--content-type", "contentType", options->content_type},
        {"--content-encoding", "contentEncoding", options->content_encoding},
        {"--ack", "ack", options->ack},
    };

    for (size_t i = 0; i < G_N_ELEMENTS(texts); i++) {
        if (!ctl_check_utf8(texts[i].option, texts[i].value, error))
            return FALSE;
        if (texts[i].value != NULL)
            json_object_set_string_member(message, texts[i].member, texts[i].value);
    }
    if (options->expiry_sec >= 0)
        json_object_set_int_member(message, "expirySec", options->expiry_sec);
    return TRUE;
}

/* "enqueued", "delivered", … and why, for a person who watches. */
static void
print_fate(JsonNode *answer)
{
    JsonObject *message = json_node_get_object(answer);
    g_autofree char *id = ctl_member(message, "messageId");
    g_autofree char *state = ctl_member(message, "state");
    g_autofree char *reason = ctl_member(message, "reason");
    g_autofree char *count = ctl_member(message, "deliveryCount");
    g_autofree char *until = ctl_member_time(message, "lockedUntil");

    printf("%s: %s", id, state);
    if (reason != NULL)
        printf(" (%s)", reason);
    if (until != NULL)
        printf(", locked until %s", until);
    if (count != NULL && strcmp(count, "0") != 0)
        printf(", delivery count %s", count);
    putchar('\n');
    (void)fflush(stdout);
}

static gboolean
is_final(const char *state)
{
    return strcmp(state, "Completed") == 0 || strcmp(state, "DeadLettered") == 0 ||
           strcmp(state, "Purged") == 0;
}

/* Asks until the message has met its end, and tells each change on the way. */
static JsonNode *
follow_fate(Ctl *ctl, const char *path, guint64 timeout_sec, GError **error)
{
    gint64 deadline_usec = g_get_monotonic_time() + (gint64)timeout_sec * G_USEC_PER_SEC;
    g_autofree char *told = g_strdup("");

    while (TRUE) {
        g_autoptr(JsonNode) answer =
            ctl_client_call(ctl->client, "GET", path, NULL, JSON_NODE_OBJECT, error);
        if (answer == NULL)
            return NULL;

        JsonObject *message = json_node_get_object(answer);
        const char *state = json_object_get_string_member_with_default(message, "state", "");
        if (!ctl->json && strcmp(state, told) != 0)
            print_fate(answer);
        if (is_final(state))
            return g_steal_pointer(&answer);
        if (g_get_monotonic_time() >= deadline_usec) {
            g_set_error(error, CTL_ERROR, CTL_ERROR_TIMEOUT,
                        "The message is still %s after %" G_GUINT64_FORMAT " s", state,
                        timeout_sec);
            return NULL;
        }

        g_free(told);
        told = g_strdup(state);
        g_usleep(WAIT_STEP_USEC);
    }
}

static gboolean
wait_for_end(Ctl *ctl, const char *device_id, const char *message_id, guint64 timeout_sec,
             GError **error)
{
    g_autofree char *path = queue_path(device_id, message_id);
    g_autoptr(JsonNode) end = follow_fate(ctl, path, timeout_sec, error);
    if (end == NULL)
        return FALSE;

    JsonObject *message = json_node_get_object(end);
    const char *state = json_object_get_string_member(message, "state");
    if (ctl->json)
        ctl_print_json(end);
    if (strcmp(state, "Completed") == 0)
        return TRUE;
    g_set_error(error, CTL_ERROR, CTL_ERROR_REFUSED, "The message was not completed: %s (%s)",
                state, json_object_get_string_member_with_default(message, "reason", "?"));
    return FALSE;
}

/* An optional value of GOption would swallow the argument that follows; "--wait=" does not. */
static char **
spell_out_wait(char **argv)
{
    static char spelled_out[] = "--wait=";
    GPtrArray *spelled = g_ptr_array_new();
    gboolean options = TRUE;

    for (char **argument = argv; *argument != NULL; argument++) {
        options = options && strcmp(*argument, "--") != 0;
        gboolean bare = options && strcmp(*argument, "--wait") == 0;
        g_ptr_array_add(spelled, bare ? spelled_out : *argument);
    }
    g_ptr_array_add(spelled, NULL);
    return (char **)g_ptr_array_free(spelled, FALSE);
}

static gboolean
parse_send(Ctl *ctl, int argc, char **argv, SendOptions *options, char ***ret_arguments,
           GError **error)
{
    const GOptionEntry entries[] = {
        {"property", 'p', 0, G_OPTION_ARG_FILENAME_ARRAY, &options->properties,
         "Application property; may be repeated", "NAME=VALUE"},
        {"message-id", 0, 0, G_OPTION_ARG_FILENAME, &options->message_id,
         "Message id (default: one is made)", "ID"},
        {"correlation-id", 0, 0, G_OPTION_ARG_FILENAME, &options->correlation_id, "Correlation id",
         "ID"},
        {"user-id", 0, 0, G_OPTION_ARG_FILENAME, &options->user_id, "User id", "ID"},
        {"content-type", 0, 0, G_OPTION_ARG_FILENAME, &options->content_type,
         "Such as application/json", "TYPE"},
        {"content-encoding", 0, 0, G_OPTION_ARG_FILENAME, &options->content_encoding,
         "Such as utf-8", "NAME"},
        {"expiry-sec", 0, 0, G_OPTION_ARG_INT, &options->expiry_sec, "Seconds to live", "SEC"},
        {"ack", 0, 0, G_OPTION_ARG_FILENAME, &options->ack, "Feedback wanted",
         "none|positive|negative|full"},
        {"wait", 'w', 0, G_OPTION_ARG_FILENAME, &options->wait,
         "Follow the message to its end; just --wait waits 60 s", "SEC"},
        {NULL},
    };
    g_autofree char **spelled = spell_out_wait(argv);

    return ctl_parse(ctl, entries, argc, spelled, 1, 2, ret_arguments, error);
}

/* 0 for not waiting. */
static gboolean
parse_wait(const char *text, guint64 *ret_wait_sec, GError **error)
{
    *ret_wait_sec = text == NULL ? 0 : WAIT_SEC_DEFAULT;
    if (text == NULL || *text == '\0' ||
        g_ascii_string_to_unsigned(text, 10, 1, G_MAXINT, ret_wait_sec, NULL))
        return TRUE;
    g_set_error(error, CTL_ERROR, CTL_ERROR_USAGE, "--wait=%s is no number of seconds", text);
    return FALSE;
}

static JsonNode *
message_from_options(const SendOptions *options, const char *body_argument, GError **error)
{
    JsonObject *message = json_object_new();
    g_autoptr(JsonNode) node = json_node_new(JSON_NODE_OBJECT);
    json_node_take_object(node, message);

    if (!set_texts(message, options, error) || !set_properties(message, options->properties, error))
        return NULL;
    g_autoptr(GBytes) body = read_body(body_argument, error);
    if (body == NULL)
        return NULL;
    set_body(message, body);
    return g_steal_pointer(&node);
}

gboolean
ctl_run_send(Ctl *ctl, int argc, char **argv, GError **error)
{
    g_auto(SendOptions) options = {.expiry_sec = -1};
    g_auto(GStrv) arguments = NULL;
    guint64 wait_sec = 0;
    if (!parse_send(ctl, argc, argv, &options, &arguments, error) ||
        !parse_wait(options.wait, &wait_sec, error))
        return FALSE;

    g_autoptr(JsonNode) message = message_from_options(&options, arguments[1], error);
    if (message == NULL)
        return FALSE;
    g_autofree char *path = queue_path(arguments[0], NULL);
    g_autoptr(JsonNode) answer =
        ctl_client_call(ctl->client, "POST", path, message, JSON_NODE_OBJECT, error);
    if (answer == NULL)
        return FALSE;

    const char *id =
        json_object_get_string_member_with_default(json_node_get_object(answer), "messageId", "");
    if (wait_sec > 0)
        return wait_for_end(ctl, arguments[0], id, wait_sec, error);
    if (ctl->json)
        ctl_print_json(answer);
    else
        puts(id);
    return TRUE;
}

static void
print_queue(JsonNode *answer)
{
    static const CtlColumn columns[] = {
        {"SEQ", TRUE},    {"MESSAGE ID", FALSE}, {"STATE", FALSE},
        {"COUNT", TRUE},  {"QUEUED", FALSE},     {"EXPIRES", FALSE},
        {"ENDED", FALSE}, {"REASON", FALSE},     {NULL, FALSE},
    };
    g_autoptr(CtlTable) table = ctl_table_new(columns);
    JsonArray *messages = json_node_get_array(answer);

    for (guint i = 0; i < json_array_get_length(messages); i++) {
        JsonObject *message = json_array_get_object_element(messages, i);
        ctl_table_add(table, ctl_member(message, "sequence"));
        ctl_table_add(table, ctl_member(message, "messageId"));
        ctl_table_add(table, ctl_member(message, "state"));
        ctl_table_add(table, ctl_member(message, "deliveryCount"));
        ctl_table_add(table, ctl_member_time(message, "enqueuedTime"));
        ctl_table_add(table, ctl_member_time(message, "expiryTime"));
        ctl_table_add(table, ctl_member_time(message, "completedTime"));
        ctl_table_add(table, ctl_member(message, "reason"));
    }
    ctl_table_print(table, "No cloud-to-device messages");
}

gboolean
ctl_run_queue(Ctl *ctl, int argc, char **argv, GError **error)
{
    g_auto(GStrv) arguments = NULL;
    if (!ctl_parse(ctl, NULL, argc, argv, 1, 1, &arguments, error))
        return FALSE;

    g_autofree char *path = queue_path(arguments[0], NULL);
    return ctl_show(ctl, path, JSON_NODE_ARRAY, print_queue, error);
}

gboolean
ctl_run_fate(Ctl *ctl, int argc, char **argv, GError **error)
{
    g_auto(GStrv) arguments = NULL;
    if (!ctl_parse(ctl, NULL, argc, argv, 2, 2, &arguments, error))
        return FALSE;

    g_autofree char *path = queue_path(arguments[0], arguments[1]);
    return ctl_show(ctl, path, JSON_NODE_OBJECT, print_fate, error);
}

gboolean
ctl_run_purge(Ctl *ctl, int argc, char **argv, GError **error)
{
    g_auto(GStrv) arguments = NULL;
    if (!ctl_parse(ctl, NULL, argc, argv, 1, 1, &arguments, error))
        return FALSE;

    g_autofree char *path = queue_path(arguments[0], NULL);
    g_autoptr(JsonNode) answer =
        ctl_client_call(ctl->client, "DELETE", path, NULL, JSON_NODE_OBJECT, error);
    if (answer == NULL)
        return FALSE;

    if (ctl->json) {
        ctl_print_json(answer);
        return TRUE;
    }
    g_autofree char *purged = ctl_member(json_node_get_object(answer), "totalMessagesPurged");
    printf("%s purged\n", purged != NULL ? purged : "0");
    return TRUE;
}

static void
print_feedback(JsonNode *answer)
{
    static const CtlColumn columns[] = {
        {"TIME", FALSE}, {"DEVICE", FALSE}, {"MESSAGE ID", FALSE}, {"STATUS", FALSE}, {NULL, FALSE},
    };
    g_autoptr(CtlTable) table = ctl_table_new(columns);
    JsonArray *records = json_node_get_array(answer);

    for (guint i = 0; i < json_array_get_length(records); i++) {
        JsonObject *record = json_array_get_object_element(records, i);
        ctl_table_add(table, ctl_member_time(record, "enqueuedTimeUtc"));
        ctl_table_add(table, ctl_member(record, "deviceId"));
        ctl_table_add(table, ctl_member(record, "originalMessageId"));
        ctl_table_add(table, ctl_member(record, "statusCode"));
    }
    ctl_table_print(table, "No feedback; ask for it with: iothub-emulator ctl send --ack full");
}

gboolean
ctl_run_feedback(Ctl *ctl, int argc, char **argv, GError **error)
{
    g_auto(GStrv) arguments = NULL;
    if (!ctl_parse(ctl, NULL, argc, argv, 0, 0, &arguments, error))
        return FALSE;

    return ctl_show(ctl, "/feedback", JSON_NODE_ARRAY, print_feedback, error);
}
