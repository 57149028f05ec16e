/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The client of the control API against servers that answer well, badly or not at all. */

#include "ctl-client.h"

#include <gio/gio.h>
#include <libsoup/soup.h>
#include <string.h>

/* A server on a thread of its own, since the client blocks. */
typedef struct {
    GThread *thread;       /* owned */
    GMainContext *context; /* owned */
    GMainLoop *loop;       /* owned */
    guint16 port;          /* 0 until it listens; under @mutex */
    GMutex mutex;
    GCond cond;
    CtlClient *client; /* owned */
} Fixture;

static void
answer(SoupServerMessage *message, guint status, const char *text)
{
    soup_server_message_set_status(message, status, NULL);
    soup_server_message_set_response(message, "application/json", SOUP_MEMORY_COPY, text,
                                     strlen(text));
}

/* Each path is one way to answer. */
static void
on_request(SoupServer *server, SoupServerMessage *message, const char *path, GHashTable *query,
           gpointer user_data)
{
    if (g_str_equal(path, "/object"))
        answer(message, 200, "{\"answer\":42}");
    else if (g_str_equal(path, "/nothing"))
        soup_server_message_set_status(message, 204, NULL);
    else if (g_str_equal(path, "/refused"))
        answer(message, 404, "{\"errorCode\":404001,\"message\":\"There is no such thing\"}");
    else if (g_str_equal(path, "/foreign-error"))
        answer(message, 404, "{\"error\":\"not yours\"}");
    else if (g_str_equal(path, "/page"))
        answer(message, 200, "<html>Welcome</html>");
    else if (g_str_equal(path, "/lines"))
        answer(message, 200, "{\"n\":1}\n\n{\"n\":2}\n");
    else if (g_str_equal(path, "/echo"))
        answer(message, 200, soup_server_message_get_request_body(message)->data);
    else
        soup_server_message_pause(message); /* never answers */
}

static gpointer
serve(gpointer data)
{
    Fixture *fixture = data;
    g_autoptr(GError) error = NULL;
    g_main_context_push_thread_default(fixture->context);
    g_autoptr(SoupServer) server = soup_server_new(NULL, NULL);

    soup_server_add_handler(server, NULL, on_request, NULL, NULL);
    soup_server_listen_local(server, 0, SOUP_SERVER_LISTEN_IPV4_ONLY, &error);
    g_assert_no_error(error);

    GSList *uris = soup_server_get_uris(server);
    g_mutex_lock(&fixture->mutex);
    fixture->port = (guint16)g_uri_get_port(uris->data);
    g_cond_signal(&fixture->cond);
    g_mutex_unlock(&fixture->mutex);
    g_slist_free_full(uris, (GDestroyNotify)g_uri_unref);

    g_main_loop_run(fixture->loop);
    soup_server_disconnect(server);
    g_main_context_pop_thread_default(fixture->context);
    return NULL;
}

static void
set_up(Fixture *fixture, gconstpointer data)
{
    fixture->context = g_main_context_new();
    fixture->loop = g_main_loop_new(fixture->context, FALSE);
    g_mutex_init(&fixture->mutex);
    g_cond_init(&fixture->cond);
    fixture->thread = g_thread_new("server", serve, fixture);

    g_mutex_lock(&fixture->mutex);
    while (fixture->port == 0)
        g_cond_wait(&fixture->cond, &fixture->mutex);
    g_mutex_unlock(&fixture->mutex);
    fixture->client = ctl_client_new(fixture->port);
}

static gboolean
quit(gpointer loop)
{
    g_main_loop_quit(loop);
    return G_SOURCE_REMOVE;
}

static void
tear_down(Fixture *fixture, gconstpointer data)
{
    g_autoptr(GSource) source = g_idle_source_new();

    /* From inside the loop: before it runs, quitting it would be lost. */
    g_source_set_callback(source, quit, fixture->loop, NULL);
    g_source_attach(source, fixture->context);
    g_clear_pointer(&fixture->client, ctl_client_free);
    g_thread_join(fixture->thread);
    g_main_loop_unref(fixture->loop);
    g_main_context_unref(fixture->context);
    g_mutex_clear(&fixture->mutex);
    g_cond_clear(&fixture->cond);
}

static void
test_call_gives_the_answer(Fixture *fixture, gconstpointer data)
{
    g_autoptr(GError) error = NULL;

    g_autoptr(JsonNode) object =
        ctl_client_call(fixture->client, "GET", "/object", NULL, JSON_NODE_OBJECT, &error);
    g_autoptr(JsonNode) nothing =
        ctl_client_call(fixture->client, "DELETE", "/nothing", NULL, JSON_NODE_NULL, &error);

    g_assert_no_error(error);
    g_assert_cmpint(json_object_get_int_member(json_node_get_object(object), "answer"), ==, 42);
    g_assert_true(JSON_NODE_HOLDS_NULL(nothing));
}

static void
test_call_sends_json(Fixture *fixture, gconstpointer data)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(JsonNode) body = json_from_string("{\"text\":\"\u00fc\"}", NULL);

    g_autoptr(JsonNode) echo =
        ctl_client_call(fixture->client, "POST", "/echo", body, JSON_NODE_OBJECT, &error);

    g_assert_no_error(error);
    g_assert_true(json_node_equal(echo, body));
}

static void
test_call_hands_the_refusal_on(Fixture *fixture, gconstpointer data)
{
    g_autoptr(GError) error = NULL;

    g_assert_null(
        ctl_client_call(fixture->client, "GET", "/refused", NULL, JSON_NODE_OBJECT, &error));

    g_assert_error(error, CTL_ERROR, CTL_ERROR_REFUSED);
    g_assert_cmpstr(error->message, ==, "There is no such thing (404001)");
}

static void
test_call_knows_a_stranger(Fixture *fixture, gconstpointer data)
{
    static const char *const paths[] = {"/page", "/foreign-error", "/object", "/nothing"};

    for (size_t i = 0; i < G_N_ELEMENTS(paths); i++) {
        g_autoptr(GError) error = NULL;
        g_assert_null(
            ctl_client_call(fixture->client, "GET", paths[i], NULL, JSON_NODE_ARRAY, &error));
        g_assert_error(error, CTL_ERROR, CTL_ERROR_UNREACHABLE);
    }
}

static void
test_call_says_when_nobody_is_there(Fixture *fixture, gconstpointer data)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(CtlClient) nobody = ctl_client_new(1);

    g_assert_null(ctl_client_call(nobody, "GET", "/object", NULL, JSON_NODE_OBJECT, &error));

    g_assert_error(error, CTL_ERROR, CTL_ERROR_UNREACHABLE);
    g_assert_nonnull(strstr(error->message, "127.0.0.1:1"));
    g_assert_nonnull(strstr(error->message, "iothub-emulator"));
}

/* Counts lines, and has enough at the count it was given. */
typedef struct {
    gint64 seen;
    gint64 enough;
} Count;

static gboolean
count_line(JsonNode *line, gpointer user_data)
{
    Count *count = user_data;

    g_assert_cmpint(json_object_get_int_member(json_node_get_object(line), "n"), ==, ++count->seen);
    return count->seen < count->enough;
}

static void
test_follow_ends_when_told(Fixture *fixture, gconstpointer data)
{
    g_autoptr(GError) error = NULL;
    Count count = {.enough = 2};

    g_assert_true(ctl_client_follow(fixture->client, "/lines", 10, count_line, &count, &error));

    g_assert_no_error(error);
    g_assert_cmpint(count.seen, ==, 2);
}

static void
test_follow_says_when_the_stream_ends(Fixture *fixture, gconstpointer data)
{
    g_autoptr(GError) error = NULL;
    Count count = {.enough = 3};

    g_assert_false(ctl_client_follow(fixture->client, "/lines", 10, count_line, &count, &error));

    g_assert_error(error, CTL_ERROR, CTL_ERROR_UNREACHABLE);
    g_assert_cmpint(count.seen, ==, 2);
}

static void
test_follow_runs_out_of_time(Fixture *fixture, gconstpointer data)
{
    g_autoptr(GError) error = NULL;
    Count count = {.enough = 1};

    g_assert_false(ctl_client_follow(fixture->client, "/silence", 1, count_line, &count, &error));

    g_assert_error(error, CTL_ERROR, CTL_ERROR_TIMEOUT);
}

static void
test_follow_hands_the_refusal_on(Fixture *fixture, gconstpointer data)
{
    g_autoptr(GError) error = NULL;
    Count count = {.enough = 1};

    g_assert_false(ctl_client_follow(fixture->client, "/refused", 10, count_line, &count, &error));

    g_assert_error(error, CTL_ERROR, CTL_ERROR_REFUSED);
}

int
main(int argc, char **argv)
{
    static const struct {
        const char *path;
        void (*run)(Fixture *fixture, gconstpointer data);
    } tests[] = {
        {"/ctl-client/call/gives-the-answer", test_call_gives_the_answer},
        {"/ctl-client/call/sends-json", test_call_sends_json},
        {"/ctl-client/call/hands-the-refusal-on", test_call_hands_the_refusal_on},
        {"/ctl-client/call/knows-a-stranger", test_call_knows_a_stranger},
        {"/ctl-client/call/says-when-nobody-is-there", test_call_says_when_nobody_is_there},
        {"/ctl-client/follow/ends-when-told", test_follow_ends_when_told},
        {"/ctl-client/follow/says-when-the-stream-ends", test_follow_says_when_the_stream_ends},
        {"/ctl-client/follow/runs-out-of-time", test_follow_runs_out_of_time},
        {"/ctl-client/follow/hands-the-refusal-on", test_follow_hands_the_refusal_on},
    };

    g_test_init(&argc, &argv, NULL);
    for (size_t i = 0; i < G_N_ELEMENTS(tests); i++)
        g_test_add(tests[i].path, Fixture, NULL, set_up, tests[i].run, tear_down);
    return g_test_run();
}
