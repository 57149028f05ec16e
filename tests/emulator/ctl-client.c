/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* HTTP and JSON towards the control API. Every failure ends as one of four codes, because the
 * exit status of `ctl` is made of them: scripts tell "refused" from "nobody there". */

#include "ctl-client.h"

#include <gio/gio.h>
#include <libsoup/soup.h>
#include <string.h>

G_DEFINE_QUARK(ctl_error, ctl_error)

#define CALL_TIMEOUT_SEC 20

struct CtlClient {
    SoupSession *session; /* owned */
    char *base;           /* owned: "http://127.0.0.1:7883" */
    char *address;        /* owned: "127.0.0.1:7883", for error texts */
};

/* One run of ctl_client_follow(). */
typedef struct {
    CtlClient *client;         /* borrowed */
    GMainLoop *loop;           /* borrowed */
    GCancellable *cancellable; /* borrowed */
    GDataInputStream *lines;   /* owned; NULL before the answer's head */
    SoupMessage *message;      /* borrowed */
    CtlStreamFunc func;
    gpointer user_data;
    guint timeout_sec;
    gboolean timed_out;
    GError *error; /* owned; NULL when @func had enough */
} Follow;

CtlClient *
ctl_client_new(guint16 port)
{
    CtlClient *self = g_new0(CtlClient, 1);

    /* Without a resolver no http_proxy of the environment comes between us and loopback. */
    self->session = g_object_new(SOUP_TYPE_SESSION, "proxy-resolver", NULL, "user-agent",
                                 "iothub-emulator-ctl/" SPOKE_VERSION, NULL);
    self->address = g_strdup_printf("127.0.0.1:%u", port);
    self->base = g_strdup_printf("http://%s", self->address);
    return self;
}

void
ctl_client_free(CtlClient *self)
{
    if (self == NULL)
        return;

    g_clear_object(&self->session);
    g_free(self->base);
    g_free(self->address);
    g_free(self);
}

static void
set_unreachable(CtlClient *self, const char *cause, GError **error)
{
    g_set_error(error, CTL_ERROR, CTL_ERROR_UNREACHABLE,
                "No emulator answers on %s (%s); start one with: iothub-emulator", self->address,
                cause);
}

static void
set_foreign(CtlClient *self, GError **error)
{
    g_set_error(error, CTL_ERROR, CTL_ERROR_UNREACHABLE,
                "What answers on %s is no iothub-emulator; is --control-port right?",
                self->address);
}

/* Turns an HTTP error into the sentence that the emulator sent along. */
static void
set_refused(CtlClient *self, SoupMessage *message, JsonNode *answer, GError **error)
{
    JsonObject *object =
        answer != NULL && JSON_NODE_HOLDS_OBJECT(answer) ? json_node_get_object(answer) : NULL;

    if (object == NULL || !json_object_has_member(object, "errorCode")) {
        set_foreign(self, error);
        return;
    }

    const char *text = json_object_get_string_member_with_default(object, "message", NULL);
    g_set_error(error, CTL_ERROR, CTL_ERROR_REFUSED, "%s (%" G_GINT64_FORMAT ")",
                text != NULL ? text : soup_message_get_reason_phrase(message),
                json_object_get_int_member_with_default(object, "errorCode", 0));
}

/* Returns NULL without an error for what is not JSON. */
static JsonNode *
parse_json(const char *data, gssize size)
{
    g_autoptr(JsonParser) parser = json_parser_new_immutable();

    if (size == 0)
        return json_node_new(JSON_NODE_NULL);
    if (!json_parser_load_from_data(parser, data, size, NULL))
        return NULL;
    return json_parser_steal_root(parser);
}

static SoupMessage *
new_message(CtlClient *self, const char *method, const char *path)
{
    g_autofree char *uri = g_strconcat(self->base, path, NULL);
    SoupMessage *message = soup_message_new(method, uri);

    g_assert(message != NULL); /* paths are made here, not typed in */
    return message;
}

JsonNode *
ctl_client_call(CtlClient *self, const char *method, const char *path, JsonNode *body,
                JsonNodeType shape, GError **error)
{
    g_autoptr(SoupMessage) message = new_message(self, method, path);
    g_autoptr(GError) cause = NULL;

    if (body != NULL) {
        char *text = json_to_string(body, FALSE);
        g_autoptr(GBytes) bytes = g_bytes_new_take(text, strlen(text));
        soup_message_set_request_body_from_bytes(message, "application/json", bytes);
    }

    soup_session_set_timeout(self->session, CALL_TIMEOUT_SEC);
    g_autoptr(GBytes) bytes = soup_session_send_and_read(self->session, message, NULL, &cause);
    if (bytes == NULL) {
        set_unreachable(self, cause->message, error);
        return NULL;
    }

    gsize size = 0;
    const char *data = g_bytes_get_data(bytes, &size);
    g_autoptr(JsonNode) answer = parse_json(data, (gssize)size);
    if (!SOUP_STATUS_IS_SUCCESSFUL(soup_message_get_status(message))) {
        set_refused(self, message, answer, error);
        return NULL;
    }
    if (answer == NULL || (shape != JSON_NODE_NULL && json_node_get_node_type(answer) != shape)) {
        set_foreign(self, error);
        return NULL;
    }
    return g_steal_pointer(&answer);
}

static void
follow_end(Follow *follow, GError *error)
{
    if (follow->error == NULL)
        follow->error = error;
    else
        g_clear_error(&error);
    g_main_loop_quit(follow->loop);
}

static void read_next_line(Follow *follow);

static void
on_line(GObject *source, GAsyncResult *result, gpointer user_data)
{
    Follow *follow = user_data;
    g_autoptr(GError) cause = NULL;
    GError *error = NULL;
    gsize size = 0;
    g_autofree char *line =
        g_data_input_stream_read_line_finish(follow->lines, result, &size, &cause);

    if (line == NULL) {
        if (!follow->timed_out)
            g_set_error(&error, CTL_ERROR, CTL_ERROR_UNREACHABLE,
                        "The emulator on %s ended the stream%s%s", follow->client->address,
                        cause != NULL ? ": " : "", cause != NULL ? cause->message : "");
        follow_end(follow, error);
        return;
    }

    g_autoptr(JsonNode) node = parse_json(line, (gssize)size);
    if (node == NULL || !(JSON_NODE_HOLDS_OBJECT(node) || JSON_NODE_HOLDS_NULL(node))) {
        set_foreign(follow->client, &error);
        follow_end(follow, error);
        return;
    }

    /* An empty line keeps the connection warm and means nothing. */
    if (JSON_NODE_HOLDS_NULL(node) || follow->func(node, follow->user_data))
        read_next_line(follow);
    else
        follow_end(follow, NULL);
}

static void
read_next_line(Follow *follow)
{
    g_data_input_stream_read_line_async(follow->lines, G_PRIORITY_DEFAULT, follow->cancellable,
                                        on_line, follow);
}

/* An HTTP error instead of a stream: its short body is there with the head, so reading it does
 * not wait. */
static void
end_refused(Follow *follow, GInputStream *body)
{
    char text[4096];
    gsize size = 0;
    GError *error = NULL;

    (void)g_input_stream_read_all(body, text, sizeof text, &size, NULL, NULL);
    g_autoptr(JsonNode) answer = parse_json(text, (gssize)size);
    set_refused(follow->client, follow->message, answer, &error);
    follow_end(follow, error);
}

static void
on_head(GObject *source, GAsyncResult *result, gpointer user_data)
{
    Follow *follow = user_data;
    g_autoptr(GError) cause = NULL;
    g_autoptr(GInputStream) body = soup_session_send_finish(SOUP_SESSION(source), result, &cause);

    if (body == NULL) {
        GError *error = NULL;
        if (!follow->timed_out)
            set_unreachable(follow->client, cause->message, &error);
        follow_end(follow, error);
        return;
    }
    if (!SOUP_STATUS_IS_SUCCESSFUL(soup_message_get_status(follow->message))) {
        end_refused(follow, body);
        return;
    }

    follow->lines = g_data_input_stream_new(body);
    g_data_input_stream_set_newline_type(follow->lines, G_DATA_STREAM_NEWLINE_TYPE_LF);
    read_next_line(follow);
}

static gboolean
on_timeout(gpointer user_data)
{
    Follow *follow = user_data;

    follow->timed_out = TRUE;
    g_set_error(&follow->error, CTL_ERROR, CTL_ERROR_TIMEOUT, "Time ran out after %u s",
                follow->timeout_sec);
    g_cancellable_cancel(follow->cancellable); /* ends the read, which ends the loop */
    return G_SOURCE_CONTINUE;                  /* removed by its owner */
}

gboolean
ctl_client_follow(CtlClient *self, const char *path, guint timeout_sec, CtlStreamFunc func,
                  gpointer user_data, GError **error)
{
    g_autoptr(GMainLoop) loop = g_main_loop_new(NULL, FALSE);
    g_autoptr(GCancellable) cancellable = g_cancellable_new();
    g_autoptr(SoupMessage) message = new_message(self, "GET", path);
    Follow follow = {.client = self,
                     .loop = loop,
                     .cancellable = cancellable,
                     .message = message,
                     .func = func,
                     .user_data = user_data,
                     .timeout_sec = timeout_sec};
    guint timeout_id =
        timeout_sec > 0 ? g_timeout_add_seconds(timeout_sec, on_timeout, &follow) : 0;

    soup_session_set_timeout(self->session, 0);
    soup_session_send_async(self->session, message, G_PRIORITY_DEFAULT, cancellable, on_head,
                            &follow);
    g_main_loop_run(loop);

    g_clear_handle_id(&timeout_id, g_source_remove);
    g_clear_object(&follow.lines);
    if (follow.error == NULL)
        return TRUE;
    g_propagate_error(error, follow.error);
    return FALSE;
}
