/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/device.h"

#include "daemon/certificate-keeper.h"
#include "daemon/error.h"
#include "daemon/events.h"
#include "daemon/transport-names.h"

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
    SpokeAttachment *attachment;     /* borrows the outbox */
    const SpokeSurroundings *around; /* borrowed */
    guint64 queue_bytes_max;
    SpokeCertificateKeeper *certificate;
    char **users; /* decimal uids; NULL: all */

    SpokeDeviceEvents events;
    gpointer user_data;

    GQueue flushes; /* of Flush, owned */
    gboolean stopped;
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

    spoke_attachment_wake(self->attachment);
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
    spoke_attachment_set_receiving(self->attachment,
                                   self->identity->module_id == NULL &&
                                       spoke_delivery_get_pause(self->delivery) == SPOKE_PAUSE_NOT);
}

static void
on_paused(SpokePause pause, gpointer user_data)
{
    SpokeDevice *self = user_data;

    spoke_event_receive_paused(self->name, pause);
    update_receiving(self);
    say_changed(self);
}

static void
on_dead_letter(guint64 id, SpokeDeadReason reason, guint delivery_count, gpointer user_data)
{
    const SpokeDevice *self = user_data;

    spoke_event_dead_letter(self->name, id, spoke_dead_reason_to_string(reason), delivery_count);
}

static const SpokeDeliveryEvents delivery_events = {
    .deliver = on_deliver,
    .paused = on_paused,
    .dead_letter = on_dead_letter,
};

static void
on_attachment_changed(gpointer user_data)
{
    say_changed(user_data);
}

static void
on_taken_over(const GError *error, gpointer user_data)
{
    g_autofree Arrival *arrival = user_data;

    /* Why not has been said by the spool, or shows as ReceivePaused. */
    spoke_attachment_settle(arrival->device->attachment, arrival->token,
                            error == NULL ? SPOKE_VERDICT_ACCEPT : SPOKE_VERDICT_RELEASE);
}

static void
on_verdict(SpokeVerdict verdict, gpointer user_data)
{
    g_autofree Arrival *arrival = user_data;

    spoke_attachment_settle(arrival->device->attachment, arrival->token, verdict);
}

/* Where the hub takes a handler's verdict, it waits for it. */
static void
on_arrived(SpokeMessage *message, guint64 token, gpointer user_data)
{
    SpokeDevice *self = user_data;
    Arrival *arrival = g_new0(Arrival, 1);

    arrival->device = self;
    arrival->token = token;
    if (spoke_attachment_get_capabilities(self->attachment) & SPOKE_CAPABILITY_SETTLE)
        spoke_delivery_hold(self->delivery, message, on_verdict, arrival);
    else
        spoke_delivery_take_over(self->delivery, message, on_taken_over, arrival);
}

static void
on_lost(gpointer user_data)
{
    SpokeDevice *self = user_data;

    if (self->delivery != NULL)
        spoke_delivery_end_holds(self->delivery);
}

static const SpokeAttachmentEvents attachment_events = {
    .changed = on_attachment_changed,
    .arrived = on_arrived,
    .lost = on_lost,
};

/* Life */

/* Its strings are @config's, @own's and ours. */
static SpokeConnectionOptions
connection_options(SpokeDevice *self, const SpokeConfig *config, const SpokeDeviceConfig *own)
{
    const SpokeConnectionString *string = own->connection_string;
    const char *host =
        string->gateway_host_name != NULL ? string->gateway_host_name : string->host_name;

    return (SpokeConnectionOptions){
        .transport_dir = self->around->transport_dir,
        .transport = config->transport,
        .host = host,
        .port = spoke_transport_name_get_port(config),
        .ca_file = config->ca_file,
        .certificate_file = own->certificate_file,
        .key_file = own->key_file,
        .certificate_digest = spoke_certificate_keeper_get_digest(self->certificate),
        .proxy = spoke_proxy_settings_apply_to(config->proxy, host) ? config->proxy : NULL,
        .keepalive_sec = config->keepalive_sec,
        .connect_timeout_sec = config->connect_timeout_sec,
        .poll_interval_usec = config->poll_interval_usec,
    };
}

/* The queues go by who the messages are from and for, not by our name for it: a configuration that
 * is pointed at another hub or device finds them empty. */
static gboolean
open_queues(SpokeDevice *self, const SpokeConfig *config, GError **error)
{
    SpokeSpool *spool = self->around->spool;
    SpokeInbox *inbox = NULL;

    self->outbox =
        spoke_outbox_open(spool, self->identity->key, &config->outbox, &outbox_events, self, error);
    if (self->outbox != NULL)
        inbox = spoke_inbox_open(spool, self->identity->key, error);
    if (inbox == NULL)
        return FALSE;
    self->delivery = spoke_delivery_new(inbox, spoke_clock_share_view(self->around->clock),
                                        &config->delivery, &delivery_events, self, error);
    return self->delivery != NULL;
}

SpokeDevice *
spoke_device_new(const SpokeSurroundings *around, const SpokeConfig *config,
                 const SpokeDeviceConfig *own, GError **error)
{
    g_autoptr(SpokeDevice) self = g_new0(SpokeDevice, 1);
    const SpokeConnectionString *string = own->connection_string;
    g_autoptr(SpokeCredentials) credentials =
        spoke_credentials_new(string, config->token_lifetime_sec);

    self->name = g_strdup(own->name);
    self->identity =
        spoke_identity_new(own->name, string->host_name, string->device_id, string->module_id);
    self->around = around;
    self->certificate = spoke_certificate_keeper_new(own->name, around->watch);
    self->queue_bytes_max = config->outbox.bytes_max;
    self->users = g_strdupv(own->users);
    if (!open_queues(self, config, error))
        return NULL;

    self->attachment = spoke_attachment_new(self->identity, credentials, around->spool,
                                            self->outbox, &attachment_events, self);
    if (spoke_delivery_get_pause(self->delivery) != SPOKE_PAUSE_NOT)
        spoke_event_receive_paused(self->name, spoke_delivery_get_pause(self->delivery));
    update_receiving(self);
    return g_steal_pointer(&self);
}

/* Delivery first: what it was taking over is still settled at the hub. The attachment next: what is
 * in flight goes back to the outbox. */
void
spoke_device_free(SpokeDevice *self)
{
    if (self == NULL)
        return;

    self->events = (SpokeDeviceEvents){NULL};
    g_clear_pointer(&self->delivery, spoke_delivery_free);
    g_clear_pointer(&self->attachment, spoke_attachment_free);
    answer_flushes(self);
    g_clear_pointer(&self->outbox, spoke_outbox_free);
    g_clear_pointer(&self->identity, spoke_identity_unref);
    g_clear_pointer(&self->certificate, spoke_certificate_keeper_free);
    g_strfreev(self->users);
    g_free(self->name);
    g_free(self);
}

void
spoke_device_set_events(SpokeDevice *self, const SpokeDeviceEvents *events, gpointer user_data)
{
    self->events = *events;
    self->user_data = user_data;
}

gboolean
spoke_device_join(SpokeDevice *self, const SpokeConfig *config, const SpokeDeviceConfig *own,
                  GError **error)
{
    g_autoptr(GError) why = NULL;

    spoke_certificate_keeper_take(self->certificate, own->certificate_file, own->key_file);

    const SpokeConnectionOptions options = connection_options(self, config, own);

    if (spoke_lines_join(self->around->lines, self->attachment, &options,
                         g_str_equal(self->name, SPOKE_DEVICE_SELF), own->owns_connection, &why))
        return TRUE;
    spoke_attachment_refuse(self->attachment,
                            g_error_matches(why, SPOKE_ERROR, SPOKE_ERROR_NOT_SUPPORTED)
                                ? SPOKE_CAUSE_UNSUPPORTED
                                : SPOKE_CAUSE_NOT_INSTALLED,
                            why->message);
    g_propagate_error(error, g_steal_pointer(&why));
    return FALSE;
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
spoke_device_check(SpokeDevice *self, const SpokeDeviceConfig *own, GError **error)
{
    return check_same_identity(self->identity, own->connection_string, error);
}

void
spoke_device_reconfigure(SpokeDevice *self, const SpokeConfig *config, const SpokeDeviceConfig *own)
{
    g_autoptr(SpokeCredentials) credentials =
        spoke_credentials_new(own->connection_string, config->token_lifetime_sec);

    self->queue_bytes_max = config->outbox.bytes_max;
    g_strfreev(self->users);
    self->users = g_strdupv(own->users);
    spoke_outbox_set_options(self->outbox, &config->outbox);
    spoke_delivery_set_options(self->delivery, &config->delivery);
    (void)spoke_device_join(self, config, own, NULL); /* LastError has it */
    spoke_attachment_set_credentials(self->attachment, credentials);
}

void
spoke_device_stop(SpokeDevice *self)
{
    self->stopped = TRUE;
    spoke_delivery_stop(self->delivery);
}

void
spoke_device_stopped(SpokeDevice *self)
{
    answer_flushes(self);
    spoke_outbox_lose_volatile(self->outbox);
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

SpokeAttachment *
spoke_device_get_attachment(SpokeDevice *self)
{
    return self->attachment;
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

gint64
spoke_device_get_certificate_expiry(SpokeDevice *self)
{
    return spoke_certificate_keeper_get_expiry(self->certificate);
}

gboolean
spoke_device_is_restricted(SpokeDevice *self)
{
    return self->users != NULL;
}

gboolean
spoke_device_allows(SpokeDevice *self, guint uid)
{
    char text[16];

    g_snprintf(text, sizeof text, "%u", uid);
    return uid == 0 || self->users == NULL ||
           g_strv_contains((const char *const *)self->users, text);
}
