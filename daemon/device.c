/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/device.h"

#include "daemon/device-private.h"
#include "daemon/error.h"
#include "daemon/events.h"

/*
 * Wires the parts of one identity together and has little will of its own: what the outbox has
 * wakes the connection, what arrives goes to delivery and is settled when it is on disk, a full
 * inbox stops the arriving. Everything here runs on the main loop.
 */
struct SpokeDevice {
    char *name;
    SpokeIdentity *identity;
    SpokeOutbox *outbox;
    SpokeDelivery *delivery;
    SpokeConnection *connection; /* borrows the outbox */
    char *transport_dir;
    guint64 queue_bytes_max;

    SpokeDeviceEvents events;
    gpointer user_data;

    GQueue flushes; /* of Flush, owned */
    gboolean stopped;
    void (*stop_done)(gpointer user_data);
    gpointer stop_data;
};

/* Somebody who waits for the outbox to empty. How many there are is up to the bus: each is a call
 * without an answer yet. */
typedef struct {
    SpokeDevice *device; /* borrowed, outlives us */
    guint timeout_id;
    SpokeFlushFunc done;
    gpointer user_data;
} Flush;

/* A C2D message on its way to the disk. */
typedef struct {
    SpokeDevice *device; /* borrowed, outlives us */
    guint64 token;
} Arrival;

static void
say_changed(SpokeDevice *self)
{
    if (self->events.changed != NULL)
        self->events.changed(self, self->user_data);
}

/* Flushing */

static void
answer_flush(Flush *flush)
{
    SpokeDevice *self = flush->device;

    g_queue_remove(&self->flushes, flush);
    g_clear_handle_id(&flush->timeout_id, g_source_remove);
    flush->done(spoke_outbox_get_messages(self->outbox), flush->user_data);
    g_free(flush);
}

static void
answer_flushes(SpokeDevice *self)
{
    Flush *flush;

    while ((flush = g_queue_peek_head(&self->flushes)) != NULL)
        answer_flush(flush);
}

static gboolean
on_flush_timeout(gpointer user_data)
{
    Flush *flush = user_data;

    flush->timeout_id = 0;
    answer_flush(flush);
    return G_SOURCE_REMOVE;
}

void
spoke_device_flush(SpokeDevice *self, gint64 timeout_usec, SpokeFlushFunc done, gpointer user_data)
{
    Flush *flush = g_new0(Flush, 1);
    gint64 wait_msec = timeout_usec / 1000 + (timeout_usec % 1000 > 0);

    if (self->stopped || spoke_outbox_get_messages(self->outbox) == 0)
        wait_msec = 0;
    flush->device = self;
    flush->done = done;
    flush->user_data = user_data;
    flush->timeout_id =
        g_timeout_add((guint)CLAMP(wait_msec, 0, G_MAXUINT), on_flush_timeout, flush);
    g_queue_push_tail(&self->flushes, flush);
}

/* What the parts say */

static void
on_outbox_ready(gpointer user_data)
{
    SpokeDevice *self = user_data;

    spoke_connection_wake(self->connection);
}

static void
on_outbox_settled(guint64 id, const char *notify, SpokeOutcome outcome, const char *detail,
                  gpointer user_data)
{
    SpokeDevice *self = user_data;

    if (self->events.settled != NULL)
        self->events.settled(self, id, notify, outcome, detail, self->user_data);
}

static void
on_outbox_empty(gpointer user_data)
{
    answer_flushes(user_data);
}

static const SpokeOutboxEvents outbox_events = {
    .ready = on_outbox_ready,
    .settled = on_outbox_settled,
    .empty = on_outbox_empty,
};

static void
on_deliver(const char *owner, const SpokeDelivered *delivered, gpointer user_data)
{
    SpokeDevice *self = user_data;

    if (self->events.deliver != NULL)
        self->events.deliver(self, owner, delivered, self->user_data);
}

/* A module gets no C2D. Source: iot-hub-protocol.md, 2.6. */
static void
update_receiving(SpokeDevice *self)
{
    spoke_connection_set_receiving(self->connection,
                                   self->identity->module_id == NULL &&
                                       spoke_delivery_get_pause(self->delivery) == SPOKE_PAUSE_NOT);
}

static void
on_paused(SpokePause pause, gpointer user_data)
{
    SpokeDevice *self = user_data;

    spoke_event_receive_paused(pause);
    update_receiving(self);
    say_changed(self);
}

static void
on_dead_letter(guint64 id, SpokeDeadReason reason, guint delivery_count, gpointer user_data)
{
    spoke_event_dead_letter(id, spoke_dead_reason_to_string(reason), delivery_count);
}

static const SpokeDeliveryEvents delivery_events = {
    .deliver = on_deliver,
    .paused = on_paused,
    .dead_letter = on_dead_letter,
};

static void
on_connection_changed(gpointer user_data)
{
    say_changed(user_data);
}

static void
on_taken_over(const GError *error, gpointer user_data)
{
    g_autofree Arrival *arrival = user_data;

    /* Why not has been said by the spool, or shows as ReceivePaused. */
    spoke_connection_settle(arrival->device->connection, arrival->token,
                            error == NULL ? SPOKE_VERDICT_ACCEPT : SPOKE_VERDICT_RELEASE);
}

static void
on_arrived(SpokeMessage *message, guint64 token, gpointer user_data)
{
    SpokeDevice *self = user_data;
    Arrival *arrival = g_new0(Arrival, 1);

    arrival->device = self;
    arrival->token = token;
    spoke_delivery_take_over(self->delivery, message, on_taken_over, arrival);
}

static const SpokeConnectionEvents connection_events = {
    .changed = on_connection_changed,
    .arrived = on_arrived,
};

/* Life */

static SpokeConnectionOptions
connection_options(SpokeDevice *self, const SpokeConfig *config)
{
    const SpokeConnectionString *string = config->connection_string;

    return (SpokeConnectionOptions){
        .transport_dir = self->transport_dir,
        .host = string->gateway_host_name != NULL ? string->gateway_host_name : string->host_name,
        .port = config->mqtt_port,
        .ca_file = config->ca_file,
        .keepalive_sec = config->keepalive_sec,
        .connect_timeout_sec = config->connect_timeout_sec,
    };
}

/* The queues go by who the messages are from and for, not by our name for it: a configuration that
 * is pointed at another hub or device finds them empty. Takes @clock over, also on error. */
static gboolean
open_queues(SpokeDevice *self, SpokeSpool *spool, const SpokeConfig *config, SpokeClock *clock,
            GError **error)
{
    SpokeInbox *inbox = NULL;

    self->outbox =
        spoke_outbox_open(spool, self->identity->key, &config->outbox, &outbox_events, self, error);
    if (self->outbox != NULL)
        inbox = spoke_inbox_open(spool, self->identity->key, error);
    if (inbox == NULL) {
        clock->free(clock);
        return FALSE;
    }
    self->delivery =
        spoke_delivery_new(inbox, clock, &config->delivery, &delivery_events, self, error);
    return self->delivery != NULL;
}

static void
make_connection(SpokeDevice *self, SpokeSpool *spool, const SpokeConfig *config,
                const SpokeConnectionParts *parts)
{
    SpokeConnectionOptions options = connection_options(self, config);
    g_autoptr(SpokeCredentials) credentials =
        spoke_credentials_new(config->connection_string, config->token_lifetime_sec);

    self->connection = parts != NULL
                           ? spoke_connection_new_from(&options, parts, &connection_events, self)
                           : spoke_connection_new(&options, &connection_events, self);
    spoke_connection_set_identity(self->connection, self->identity, credentials, spool,
                                  self->outbox);
    update_receiving(self);
}

SpokeDevice *
spoke_device_new_from(SpokeSpool *spool, const char *name, const SpokeConfig *config,
                      const char *transport_dir, const SpokeConnectionParts *parts,
                      SpokeClock *clock, GError **error)
{
    g_autoptr(SpokeDevice) self = g_new0(SpokeDevice, 1);
    const SpokeConnectionString *string = config->connection_string;

    self->name = g_strdup(name);
    self->identity =
        spoke_identity_new(name, string->host_name, string->device_id, string->module_id);
    self->transport_dir = g_strdup(transport_dir);
    self->queue_bytes_max = config->outbox.bytes_max;
    if (!open_queues(self, spool, config, clock, error))
        return NULL;

    make_connection(self, spool, config, parts);
    return g_steal_pointer(&self);
}

SpokeDevice *
spoke_device_new(SpokeSpool *spool, const char *name, const SpokeConfig *config,
                 const char *transport_dir, GError **error)
{
    SpokeClock *clock = spoke_clock_new(error);

    if (clock == NULL)
        return NULL;
    return spoke_device_new_from(spool, name, config, transport_dir, NULL, clock, error);
}

/* Delivery first: what it was taking over is still settled at the connection. The connection next:
 * what is in flight goes back to the outbox. */
void
spoke_device_free(SpokeDevice *self)
{
    if (self == NULL)
        return;

    self->events = (SpokeDeviceEvents){NULL};
    g_clear_pointer(&self->delivery, spoke_delivery_free);
    g_clear_pointer(&self->connection, spoke_connection_free);
    answer_flushes(self);
    g_clear_pointer(&self->outbox, spoke_outbox_free);
    g_clear_pointer(&self->identity, spoke_identity_unref);
    g_free(self->transport_dir);
    g_free(self->name);
    g_free(self);
}

void
spoke_device_set_events(SpokeDevice *self, const SpokeDeviceEvents *events, gpointer user_data)
{
    self->events = *events;
    self->user_data = user_data;
}

void
spoke_device_start(SpokeDevice *self)
{
    SpokePause pause = spoke_delivery_get_pause(self->delivery);

    if (pause != SPOKE_PAUSE_NOT)
        spoke_event_receive_paused(pause);
    spoke_connection_start(self->connection);
}

static gboolean
set_other_identity(const char *what, const char *old, const char *new, GError **error)
{
    g_set_error(error, SPOKE_ERROR, SPOKE_ERROR_INVALID_CONFIG,
                "The %s has changed from \"%s\" to \"%s\": a reload can't do that, because the "
                "queued messages belong to the old one; restart spoked to switch",
                what, old != NULL ? old : "", new != NULL ? new : "");
    return FALSE;
}

/* Host names know no case, ids do. */
static gboolean
check_same_identity(const SpokeIdentity *old, const SpokeConnectionString *new, GError **error)
{
    if (g_ascii_strcasecmp(old->hub, new->host_name) != 0)
        return set_other_identity("hub", old->hub, new->host_name, error);
    if (!g_str_equal(old->device_id, new->device_id))
        return set_other_identity("device id", old->device_id, new->device_id, error);
    if (g_strcmp0(old->module_id, new->module_id) != 0)
        return set_other_identity("module id", old->module_id, new->module_id, error);
    return TRUE;
}

gboolean
spoke_device_reconfigure(SpokeDevice *self, const SpokeConfig *config, GError **error)
{
    const SpokeConnectionString *string = config->connection_string;

    if (!check_same_identity(self->identity, string, error))
        return FALSE;

    SpokeConnectionOptions options = connection_options(self, config);
    g_autoptr(SpokeCredentials) credentials =
        spoke_credentials_new(string, config->token_lifetime_sec);

    self->queue_bytes_max = config->outbox.bytes_max;
    spoke_outbox_set_options(self->outbox, &config->outbox);
    spoke_delivery_set_options(self->delivery, &config->delivery);
    spoke_connection_reconfigure(self->connection, &options, self->identity, credentials);
    return TRUE;
}

static void
on_connection_stopped(gpointer user_data)
{
    SpokeDevice *self = user_data;

    answer_flushes(self);
    self->stop_done(self->stop_data);
}

void
spoke_device_stop(SpokeDevice *self, gint64 timeout_usec, void (*done)(gpointer),
                  gpointer user_data)
{
    g_return_if_fail(!self->stopped);

    self->stopped = TRUE;
    self->stop_done = done;
    self->stop_data = user_data;
    spoke_delivery_stop(self->delivery);
    spoke_connection_stop(self->connection, timeout_usec, on_connection_stopped, self);
}

gboolean
spoke_device_send(SpokeDevice *self, SpokeMessage **messages, guint n, SpokePutFunc done,
                  gpointer user_data, GError **error)
{
    if (self->stopped) {
        g_set_error_literal(error, SPOKE_ERROR, SPOKE_ERROR_SHUTDOWN, "The daemon is stopping");
        return FALSE;
    }
    for (guint i = 0; i < n; i++) {
        if (spoke_message_check(messages[i], error))
            continue;
        if (n > 1)
            g_prefix_error(error, "messages[%u]: ", i);
        return FALSE;
    }
    return spoke_outbox_put(self->outbox, messages, n, done, user_data, error);
}

const char *
spoke_device_get_name(SpokeDevice *self)
{
    return self->name;
}

SpokeIdentity *
spoke_device_get_identity(SpokeDevice *self)
{
    return self->identity;
}

SpokeConnection *
spoke_device_get_connection(SpokeDevice *self)
{
    return self->connection;
}

SpokeDelivery *
spoke_device_get_delivery(SpokeDevice *self)
{
    return self->delivery;
}

SpokeOutbox *
spoke_device_get_outbox(SpokeDevice *self)
{
    return self->outbox;
}

guint64
spoke_device_get_queue_bytes_max(SpokeDevice *self)
{
    return self->queue_bytes_max;
}
