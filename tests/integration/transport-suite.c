/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the topics of the suite share: the house on a form, numbered messages, waiting for what the
 * daemon says of itself.
 */
#include "tests/integration/transport-suite.h"

#include <glib/gstdio.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#define BATCH 500

void
transport_add(const Form *form, const char *path, void (*test)(gconstpointer form))
{
    g_autofree char *full = g_strdup_printf("/%s/%s", form->name, path);

    g_test_add_data_func(full, form, test);
}

void
transport_configure(Harness *h, const char *text)
{
    g_autofree char *folder = g_build_filename(harness_get_dir(h), "spoked.conf.d", NULL);
    g_autofree char *path = g_build_filename(folder, "50-test.conf", NULL);
    g_autoptr(GError) error = NULL;

    (void)g_mkdir(folder, 0700);
    (void)g_file_set_contents_full(path, text, -1, G_FILE_SET_CONTENTS_CONSISTENT, 0600, &error);
    g_assert_no_error(error);
}

void
transport_configure_hub(Harness *h, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    g_autofree char *lines = g_strdup_vprintf(format, arguments);
    va_end(arguments);
    g_autofree char *text = g_strdup_printf("[Hub]\n%s\n", lines);

    transport_configure(h, text);
}

Harness *
transport_house(const Form *form)
{
    Harness *h = harness_new();

    harness_set_transport(h, form->name);
    if (!form->pushes)
        harness_configure(h, "PollIntervalSec=1\n");
    return h;
}

Harness *
transport_connected(const Form *form)
{
    Harness *h = transport_house(form);

    harness_start_daemon(h);
    harness_wait_state(h, "connected");
    return h;
}

void
transport_restart(Harness *h)
{
    harness_kill_daemon(h, SIGKILL);
    harness_start_daemon(h);
}

void
transport_send(Harness *h, const char *body)
{
    g_autoptr(GVariant) reply =
        harness_call(h, NULL, "SendText", "(%s, @a{ss} {}, @a{sv} {})", body);
}

GVariant *
transport_bytes(const char *text)
{
    return g_variant_new_fixed_array(G_VARIANT_TYPE_BYTE, text, strlen(text), 1);
}

void
transport_send_numbered(Harness *h, guint first, guint n)
{
    for (guint sent = 0; sent < n;) {
        g_autoptr(GVariantBuilder) batch = g_variant_builder_new(G_VARIANT_TYPE("a(aya{ss}a{sv})"));

        for (guint i = 0; i < BATCH && sent < n; i++, sent++) {
            g_autofree char *text = g_strdup_printf("%u", first + sent);
            g_variant_builder_add_parsed(batch, "(%*, @a{ss} {}, {'message-id': <%s>})",
                                         transport_bytes(text), text);
        }
        g_autoptr(GVariant) reply =
            harness_call(h, NULL, "SendBatch", "(%*,)", g_variant_builder_end(batch));
    }
}

/* What follows the number does not count. */
static guint
read_number(JsonObject *message)
{
    return (guint)atoi(json_object_get_string_member(message, "body"));
}

typedef struct {
    guint64 since; /* sequence number up to which arrivals are counted */
    guint n_wanted, n_here;
    gboolean once;
} Numbers;

static gboolean
are_here(Harness *h, gpointer user_data)
{
    Numbers *numbers = user_data;
    g_autoptr(JsonArray) messages = harness_arrived(h, numbers->since);

    for (guint i = 0; i < json_array_get_length(messages); i++) {
        JsonObject *message = json_array_get_object_element(messages, i);
        guint number = read_number(message);

        numbers->since = (guint64)json_object_get_int_member(message, "sequence");
        if (number == numbers->n_here)
            numbers->n_here++;
        else if (number > numbers->n_here || numbers->once)
            harness_fail(h, "%u arrived where %u was expected", number, numbers->n_here);
    }
    return numbers->n_here >= numbers->n_wanted;
}

void
transport_wait_numbered(Harness *h, guint n, gboolean once)
{
    Numbers numbers = {.n_wanted = n, .once = once};
    g_autofree char *what = g_strdup_printf("the arrival of %u messages", n);

    harness_wait(h, what, are_here, &numbers);
}

typedef struct {
    char *path; /* owned */
    guint n_wanted;
} Journal;

/* Its third column is the message-id, which is the number. */
static gboolean
is_written(Harness *h, gpointer user_data)
{
    const Journal *journal = user_data;
    g_autofree char *text = NULL;
    guint n_here = 0;

    if (!g_file_get_contents(journal->path, &text, NULL, NULL))
        return FALSE;
    g_auto(GStrv) lines = g_strsplit(text, "\n", -1);
    for (guint i = 0; lines[i] != NULL; i++) {
        g_auto(GStrv) columns = g_strsplit(lines[i], "\t", -1);
        if (g_strv_length(columns) < 4)
            continue;
        guint number = (guint)atoi(columns[2]);
        if (number > n_here)
            harness_fail(h, "%u arrived where %u was expected", number, n_here);
        n_here = MAX(n_here, number + 1);
    }
    return n_here >= journal->n_wanted;
}

void
transport_wait_written(Harness *h, guint n)
{
    Journal journal = {harness_get_hub_journal(h), n};
    g_autofree char *what = g_strdup_printf("the arrival of %u messages", n);

    harness_wait(h, what, is_written, &journal);
    g_free(journal.path);
}

GVariant *
transport_property(Harness *h, const char *path, const char *name)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(GVariant) reply = g_dbus_connection_call_sync(
        harness_get_bus(h), HARNESS_BUS_NAME, path, "org.freedesktop.DBus.Properties", "Get",
        g_variant_new("(ss)", "org.spoked1.Device", name), G_VARIANT_TYPE("(v)"),
        G_DBUS_CALL_FLAGS_NO_AUTO_START, HARNESS_WAIT_SEC * 1000, NULL, &error);
    GVariant *value = NULL;

    if (reply == NULL)
        harness_fail(h, "%s of %s: %s", name, path, error->message);
    g_variant_get(reply, "(v)", &value);
    return value;
}

typedef struct {
    const char *path, *name;
    char *last; /* owned */
} LastError;

static gboolean
error_is(Harness *h, gpointer user_data)
{
    LastError *expected = user_data;
    g_autoptr(GVariant) value = transport_property(h, expected->path, "LastError");
    const char *name;

    g_variant_get(value, "(&s&s)", &name, NULL);
    if (*name != '\0' && g_strcmp0(name, expected->last) != 0) {
        g_free(expected->last);
        expected->last = g_variant_print(value, FALSE);
        g_test_message("LastError %s", expected->last);
        g_free(expected->last);
        expected->last = g_strdup(name);
    }
    return g_str_equal(name, expected->name);
}

void
transport_wait_error(Harness *h, const char *path, const char *name)
{
    LastError expected = {path != NULL ? path : HARNESS_SELF, name, NULL};
    g_autofree char *what = g_strdup_printf("LastError %s", name);

    harness_wait(h, what, error_is, &expected);
    g_free(expected.last);
}

gint64
transport_stat(Harness *h, const char *name)
{
    g_autoptr(JsonNode) stats = harness_hub(h, "GET", "/stats", NULL);

    return json_object_get_int_member(json_node_get_object(stats), name);
}

guint16
transport_hub_port(Harness *h, const char *name)
{
    g_autofree char *path = g_build_filename(harness_get_dir(h), "hub.ready", NULL);
    g_autoptr(JsonParser) parser = json_parser_new();
    g_autoptr(GError) error = NULL;

    (void)json_parser_load_from_file(parser, path, &error);
    g_assert_no_error(error);
    return (guint16)json_object_get_int_member(json_node_get_object(json_parser_get_root(parser)),
                                               name);
}

void
transport_fault(Harness *h, const char *json)
{
    json_node_unref(harness_hub(h, "POST", "/faults", json));
}

void
transport_clear_faults(Harness *h)
{
    json_node_unref(harness_hub(h, "DELETE", "/faults", NULL));
}

static gboolean
on_time(gpointer passed)
{
    *(gboolean *)passed = TRUE;
    return G_SOURCE_REMOVE;
}

void
transport_pass(guint msec)
{
    gboolean passed = FALSE;

    g_timeout_add(msec, on_time, &passed);
    while (!passed)
        g_main_context_iteration(NULL, TRUE);
}
