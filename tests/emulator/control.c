/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The HTTP server of the control API: finds the handler for a request, hands it what it needs,
 * and turns its reply or error into a response. It listens on loopback alone, and turns away
 * browsers: a web page must not be able to reach it. */

#include "control.h"

#include "control-request.h"
#include "error.h"
#include "json-text.h"

#include <string.h>

#define BODY_BYTES_MAX ((gsize)1024 * 1024)

struct EmuControl {
    EmuHub *hub;        /* borrowed, outlives us */
    SoupServer *server; /* owned */
};

static const EmuRoute *const route_tables[] = {
    emu_certificate_routes, emu_device_routes, emu_message_routes, emu_c2d_routes, emu_fault_routes,
};

gboolean
emu_request_number(const EmuRequest *request, const char *name, guint64 fallback,
                   guint64 *ret_number, GError **error)
{
    const char *text = request->query != NULL ? g_hash_table_lookup(request->query, name) : NULL;

    *ret_number = fallback;
    if (text == NULL || g_ascii_string_to_unsigned(text, 10, 0, G_MAXINT64, ret_number, NULL))
        return TRUE;
    g_set_error(error, EMU_ERROR, EMU_ERROR_ARGUMENT, "%s is not a number: %s", name, text);
    return FALSE;
}

gboolean
emu_request_check_members(const EmuRequest *request, const char *const *names, GError **error)
{
    if (request->body == NULL) {
        g_set_error(error, EMU_ERROR, EMU_ERROR_ARGUMENT, "The request needs a JSON object");
        return FALSE;
    }

    g_autoptr(GList) members = json_object_get_members(request->body);
    for (GList *i = members; i != NULL; i = i->next) {
        if (!g_strv_contains(names, i->data)) {
            g_set_error(error, EMU_ERROR, EMU_ERROR_ARGUMENT, "Unknown member %s",
                        (const char *)i->data);
            return FALSE;
        }
    }
    return TRUE;
}

static JsonNode *
member(const EmuRequest *request, const char *name)
{
    JsonNode *node = request->body != NULL ? json_object_get_member(request->body, name) : NULL;

    return node != NULL && !JSON_NODE_HOLDS_NULL(node) ? node : NULL;
}

gboolean
emu_request_text(const EmuRequest *request, const char *name, const char **ret_text, GError **error)
{
    JsonNode *node = member(request, name);

    *ret_text = NULL;
    if (node == NULL)
        return TRUE;
    if (!JSON_NODE_HOLDS_VALUE(node) || json_node_get_value_type(node) != G_TYPE_STRING) {
        g_set_error(error, EMU_ERROR, EMU_ERROR_ARGUMENT, "%s is not a string", name);
        return FALSE;
    }
    *ret_text = json_node_get_string(node);
    return TRUE;
}

gboolean
emu_request_integer(const EmuRequest *request, const char *name, gint64 min, gint64 max,
                    gint64 *number, GError **error)
{
    JsonNode *node = member(request, name);

    if (node == NULL)
        return TRUE;
    if (!JSON_NODE_HOLDS_VALUE(node) || json_node_get_value_type(node) != G_TYPE_INT64 ||
        json_node_get_int(node) < min || json_node_get_int(node) > max) {
        g_set_error(error, EMU_ERROR, EMU_ERROR_ARGUMENT,
                    "%s is not a whole number from %" G_GINT64_FORMAT " to %" G_GINT64_FORMAT, name,
                    min, max);
        return FALSE;
    }
    *number = json_node_get_int(node);
    return TRUE;
}

void
emu_json_add_text(JsonBuilder *json, const char *name, const char *value)
{
    json_builder_set_member_name(json, name);
    if (value != NULL)
        json_builder_add_string_value(json, value);
    else
        json_builder_add_null_value(json);
}

void
emu_json_add_number(JsonBuilder *json, const char *name, gint64 value)
{
    json_builder_set_member_name(json, name);
    json_builder_add_int_value(json, value);
}

void
emu_json_add_time(JsonBuilder *json, const char *name, gint64 usec)
{
    g_autofree char *text = usec != 0 ? emu_time_to_text(usec) : NULL;

    emu_json_add_text(json, name, text);
}

static void
respond(SoupServerMessage *message, guint status, JsonNode *node)
{
    soup_server_message_set_status(message, status, NULL);
    if (node == NULL)
        return;

    g_autofree char *text = json_to_string(node, FALSE);
    g_autofree char *line = g_strconcat(text, "\n", NULL);
    soup_server_message_set_response(message, "application/json", SOUP_MEMORY_COPY, line,
                                     strlen(line));
}

static void
respond_error(SoupServerMessage *message, const GError *error)
{
    g_autoptr(JsonBuilder) json = json_builder_new();
    int code = error->domain == EMU_ERROR ? error->code : EMU_ERROR_SERVER;

    json_builder_begin_object(json);
    emu_json_add_number(json, "errorCode", code);
    emu_json_add_text(json, "message", error->message);
    json_builder_end_object(json);
    g_autoptr(JsonNode) node = json_builder_get_root(json);
    respond(message, (guint)code / 1000, node);
}

/* The path's parts, decoded; NULL if one is not valid. */
static char **
split_path(const char *path)
{
    g_auto(GStrv) parts = g_strsplit(path + strspn(path, "/"), "/", -1);

    for (size_t i = 0; parts[i] != NULL; i++) {
        char *decoded = g_uri_unescape_string(parts[i], NULL);
        if (decoded == NULL)
            return NULL;
        g_free(parts[i]);
        parts[i] = decoded;
    }
    return g_steal_pointer(&parts);
}

static gboolean
path_matches(const char *pattern, char **parts, EmuRequest *request)
{
    g_auto(GStrv) wanted = g_strsplit(pattern, "/", -1);
    guint names = 0;

    for (size_t i = 0; wanted[i] != NULL || parts[i] != NULL; i++) {
        if (wanted[i] == NULL || parts[i] == NULL)
            return FALSE;
        if (g_str_equal(wanted[i], "*"))
            request->names[names++] = parts[i];
        else if (!g_str_equal(wanted[i], parts[i]))
            return FALSE;
    }
    return TRUE;
}

static EmuHandler
find_handler(const char *method, char **parts, EmuRequest *request, GError **error)
{
    gboolean path_exists = FALSE;

    for (size_t i = 0; i < G_N_ELEMENTS(route_tables); i++) {
        for (const EmuRoute *route = route_tables[i]; route->method != NULL; route++) {
            if (!path_matches(route->path, parts, request))
                continue;
            if (g_str_equal(route->method, method))
                return route->handler;
            path_exists = TRUE;
        }
    }
    if (path_exists)
        g_set_error(error, EMU_ERROR, EMU_ERROR_METHOD, "This path has no %s", method);
    else
        g_set_error(error, EMU_ERROR, EMU_ERROR_NOT_FOUND, "There is no such path");
    return NULL;
}

static gboolean
parse_body(SoupServerMessage *message, JsonParser *parser, JsonObject **ret_body, GError **error)
{
    SoupMessageBody *body = soup_server_message_get_request_body(message);
    g_autoptr(GError) local = NULL;

    *ret_body = NULL;
    if (body->length == 0)
        return TRUE;
    g_autoptr(GBytes) bytes = soup_message_body_flatten(body);
    if (!json_parser_load_from_data(parser, g_bytes_get_data(bytes, NULL),
                                    (gssize)g_bytes_get_size(bytes), &local)) {
        g_set_error(error, EMU_ERROR, EMU_ERROR_ARGUMENT, "Body is not JSON: %s", local->message);
        return FALSE;
    }
    JsonNode *root = json_parser_get_root(parser);
    if (root == NULL || !JSON_NODE_HOLDS_OBJECT(root)) {
        g_set_error(error, EMU_ERROR, EMU_ERROR_ARGUMENT, "Body is not a JSON object");
        return FALSE;
    }
    *ret_body = json_node_get_object(root);
    return TRUE;
}

static gboolean
check_sender(SoupServerMessage *message, GError **error)
{
    static const char *const own_names[] = {"127.0.0.1", "localhost", NULL};
    SoupMessageHeaders *headers = soup_server_message_get_request_headers(message);
    const char *host = g_uri_get_host(soup_server_message_get_uri(message));

    /* A page whose name was made to point here is of one origin with us, but not of our name. */
    if (soup_message_headers_get_one(headers, "Origin") == NULL && host != NULL &&
        g_strv_contains(own_names, host))
        return TRUE;
    g_set_error(error, EMU_ERROR, EMU_ERROR_DISABLED, "Web pages may not use the control API");
    return FALSE;
}

static gboolean
serve(EmuControl *self, SoupServerMessage *message, const char *path, GHashTable *query,
      EmuReply *reply, GError **error)
{
    EmuRequest request = {.hub = self->hub, .message = message, .query = query};
    g_autoptr(JsonParser) parser = json_parser_new_immutable();
    g_auto(GStrv) parts = split_path(path);

    if (parts == NULL) {
        g_set_error(error, EMU_ERROR, EMU_ERROR_ARGUMENT, "The path is not validly encoded");
        return FALSE;
    }
    if (!check_sender(message, error))
        return FALSE;
    EmuHandler handler =
        find_handler(soup_server_message_get_method(message), parts, &request, error);
    if (handler == NULL || !parse_body(message, parser, &request.body, error))
        return FALSE;
    return handler(&request, reply, error);
}

static void
on_request(SoupServer *server, SoupServerMessage *message, const char *path, GHashTable *query,
           gpointer user_data)
{
    EmuReply reply = {.status = SOUP_STATUS_OK};
    g_autoptr(GError) error = NULL;
    const char *raw_path = g_uri_get_path(soup_server_message_get_uri(message));

    if (!serve(user_data, message, raw_path, query, &reply, &error))
        respond_error(message, error);
    else if (!reply.streaming)
        respond(message, reply.status, reply.node);
    g_clear_pointer(&reply.node, json_node_unref);
}

/* A body that is too large is not collected to its end. */
static void
on_got_chunk(SoupServerMessage *message, GBytes *chunk, gpointer user_data)
{
    if (soup_server_message_get_request_body(message)->length > (goffset)BODY_BYTES_MAX)
        (void)g_socket_close(soup_server_message_get_socket(message), NULL);
}

static void
on_request_started(SoupServer *server, SoupServerMessage *message, gpointer user_data)
{
    g_signal_connect(message, "got-chunk", G_CALLBACK(on_got_chunk), NULL);
}

EmuControl *
emu_control_new(EmuHub *hub, guint16 port, GError **error)
{
    g_autoptr(EmuControl) self = g_new0(EmuControl, 1);
    g_autoptr(GSocketAddress) address = g_inet_socket_address_new_from_string("127.0.0.1", port);

    self->hub = hub;
    /* Raw paths: a device id may hold an encoded '/' or '%', which must not be decoded twice. */
    self->server = soup_server_new("server-header", "iothub-emulator", "raw-paths", TRUE, NULL);
    soup_server_add_handler(self->server, NULL, on_request, self, NULL);
    g_signal_connect(self->server, "request-started", G_CALLBACK(on_request_started), NULL);
    if (!soup_server_listen(self->server, address, 0, error)) {
        g_prefix_error(error, "Control port %u: ", port);
        return NULL;
    }
    return g_steal_pointer(&self);
}

void
emu_control_free(EmuControl *self)
{
    if (self == NULL)
        return;

    soup_server_disconnect(self->server);
    g_object_unref(self->server);
    g_free(self);
}

guint16
emu_control_port(EmuControl *self)
{
    GSList *uris = soup_server_get_uris(self->server);
    guint16 port = uris != NULL ? (guint16)g_uri_get_port(uris->data) : 0;

    g_slist_free_full(uris, (GDestroyNotify)g_uri_unref);
    return port;
}
