/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * An application of the kill test: sends telemetry as fast as it is answered, handles C2D, and
 * writes into its ledger what it was promised, before it does anything else about it:
 *
 *     sent MESSAGE-ID        Send was answered: from now on this message must not be lost
 *     told MESSAGE-ID        the same, but it may be lost with the daemon: flushed or volatile
 *     handled MESSAGE-ID     a C2D message was handled; Complete is called next
 *
 * Whatever fails is forgotten and tried with a new message: the daemon, the hub and this program
 * are killed at any moment.
 *
 * A message-id ends in the message's number: those of one process and one lane, which the rest of
 * the id names, have to arrive in this order.
 *
 * ledger-app BUS-ADDRESS NAME LEDGER-FILE [mixed]
 *
 * With "mixed" messages come in batches, lanes, durabilities and sizes of all kinds.
 */
#include <fcntl.h>
#include <gio/gio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define WINDOW     8
#define BACKOFF_MS 20
#define BATCH      5
#define LARGE_SIZE 100000

typedef struct {
    GDBusConnection *bus;
    const char *name;
    int ledger; /* descriptor, O_APPEND */
    gboolean is_mixed;
    guint calls;
    guint64 next;
} App;

typedef struct {
    App *app; /* borrowed */
    const char *promise;
    GPtrArray *ids; /* owned */
} Call;

/* The kinds of messages that "mixed" goes through in turn. */
static const struct {
    const char *lane; /* volatile ones may overtake others */
    const char *priority;
    const char *durability;
    guint64 ttl_msec;
    guint size; /* 0: the message-id */
    guint n;
} kinds[] = {
    {"normal", "normal", "synced", 3600000, 0, 1},
    {"urgent", "urgent", "synced", 3600000, 0, 1},
    {"normal", "normal", "flushed", 3600000, 0, 1},
    {"normal", "normal", "synced", 86400000, 0, BATCH},
    {"normal-volatile", "normal", "volatile", 3600000, 0, 1},
    {"urgent", "urgent", "flushed", 3600000, 0, BATCH},
    {"normal", "normal", "synced", 86400000, 0, 1},
    {"urgent-volatile", "urgent", "volatile", 86400000, 0, 1},
    {"urgent", "urgent", "synced", 3600000, 0, BATCH},
    {"normal", "normal", "flushed", 3600000, 0, BATCH},
    {"normal", "normal", "synced", 3600000, LARGE_SIZE, 1},
};

static void
enter(App *app, const char *what, const char *id)
{
    g_autofree char *line = g_strdup_printf("%s %s\n", what, id);

    /* One write: a kill leaves a whole line or none. */
    if (write(app->ledger, line, strlen(line)) < 0)
        abort();
}

static void send_one(App *app);

static gboolean
on_backoff(gpointer user_data)
{
    send_one(user_data);
    return G_SOURCE_REMOVE;
}

static void
on_sent(GObject *source, GAsyncResult *result, gpointer user_data)
{
    Call *call = user_data;
    App *app = call->app;
    g_autoptr(GVariant) reply =
        g_dbus_connection_call_finish(G_DBUS_CONNECTION(source), result, NULL);

    for (guint i = 0; i < call->ids->len && reply != NULL; i++)
        enter(app, call->promise, call->ids->pdata[i]);
    g_ptr_array_unref(call->ids);
    g_free(call);
    if (reply != NULL)
        send_one(app);
    else
        g_timeout_add(BACKOFF_MS, on_backoff, app);
}

static GVariant *
make_message(const char *id, guint kind)
{
    g_autofree char *filler = g_strnfill(kinds[kind].size, 'x');

    return g_variant_new_parsed("(%^ay, @a{ss} {}, {'message-id': <%s>, 'priority': <%s>, "
                                "'durability': <%s>, 'ttl': <%t>})",
                                kinds[kind].size > 0 ? filler : id, id, kinds[kind].priority,
                                kinds[kind].durability, kinds[kind].ttl_msec);
}

static void
send_one(App *app)
{
    Call *call = g_new0(Call, 1);
    guint kind = app->is_mixed ? app->calls++ % G_N_ELEMENTS(kinds) : 0;
    g_autoptr(GVariantBuilder) batch = g_variant_builder_new(G_VARIANT_TYPE("a(aya{ss}a{sv})"));

    call->app = app;
    call->promise = g_str_equal(kinds[kind].durability, "synced") ? "sent" : "told";
    call->ids = g_ptr_array_new_with_free_func(g_free);
    for (guint i = 0; i < kinds[kind].n; i++) {
        char *id = g_strdup_printf("%s-%d-%s-%" G_GUINT64_FORMAT, app->name, getpid(),
                                   kinds[kind].lane, app->next++);
        g_ptr_array_add(call->ids, id);
        g_variant_builder_add_value(batch, make_message(id, kind));
    }
    GVariant *messages = g_variant_ref_sink(g_variant_builder_end(batch));
    GVariant *parameters = kinds[kind].n > 1 ? g_variant_new_tuple(&messages, 1)
                                             : g_variant_get_child_value(messages, 0);
    g_dbus_connection_call(app->bus, "org.spoked1", "/org/spoked1/device/self",
                           "org.spoked1.Device", kinds[kind].n > 1 ? "SendBatch" : "Send",
                           parameters, NULL, G_DBUS_CALL_FLAGS_NO_AUTO_START, 5000, NULL, on_sent,
                           call);
    g_variant_unref(messages);
}

static void
subscribe(App *app)
{
    g_dbus_connection_call(app->bus, "org.spoked1", "/org/spoked1/device/self",
                           "org.spoked1.Device", "Subscribe",
                           g_variant_new_parsed("({'mode': <'handle'>, 'lock': <@t 2000>},)"), NULL,
                           G_DBUS_CALL_FLAGS_NO_AUTO_START, 5000, NULL, NULL, NULL);
}

static void
on_message(GDBusConnection *bus, const char *sender, const char *path, const char *interface,
           const char *signal, GVariant *parameters, gpointer user_data)
{
    App *app = user_data;
    const char *id;
    const char *message_id = "";
    g_autoptr(GVariant) system = g_variant_get_child_value(parameters, 3);

    g_variant_get_child(parameters, 0, "&s", &id);
    (void)g_variant_lookup(system, "message-id", "&s", &message_id);
    enter(app, "handled", message_id);
    g_dbus_connection_call(bus, "org.spoked1", "/org/spoked1/device/self", "org.spoked1.Device",
                           "Complete", g_variant_new("(s)", id), NULL,
                           G_DBUS_CALL_FLAGS_NO_AUTO_START, 5000, NULL, NULL, NULL);
}

static void
on_daemon(GDBusConnection *bus, const char *name, const char *owner, gpointer user_data)
{
    subscribe(user_data);
}

int
main(int argc, char **argv)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(GMainLoop) loop = g_main_loop_new(NULL, FALSE);

    if (argc < 4) {
        g_printerr("ledger-app BUS-ADDRESS NAME LEDGER-FILE [mixed]\n");
        return 2;
    }
    App app = {.name = argv[2],
               .is_mixed = argc > 4 && g_str_equal(argv[4], "mixed"),
               .ledger = open(argv[3], O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600)};
    app.bus =
        g_dbus_connection_new_for_address_sync(argv[1],
                                               G_DBUS_CONNECTION_FLAGS_AUTHENTICATION_CLIENT |
                                                   G_DBUS_CONNECTION_FLAGS_MESSAGE_BUS_CONNECTION,
                                               NULL, NULL, &error);
    if (app.bus == NULL || app.ledger < 0) {
        g_printerr("ledger-app: %s\n", error != NULL ? error->message : argv[3]);
        return 1;
    }
    g_dbus_connection_signal_subscribe(app.bus, "org.spoked1", "org.spoked1.Device",
                                       "MessageReceived", NULL, NULL, G_DBUS_SIGNAL_FLAGS_NONE,
                                       on_message, &app, NULL);
    g_bus_watch_name_on_connection(app.bus, "org.spoked1", G_BUS_NAME_WATCHER_FLAGS_NONE, on_daemon,
                                   NULL, &app, NULL);
    for (guint i = 0; i < WINDOW; i++)
        send_one(&app);
    g_main_loop_run(loop);
    return 0;
}
