/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/connection-private.h"

#include "daemon/connection-options.h"
#include "daemon/error.h"
#include "daemon/events.h"
#include "daemon/module.h"

/*
 * The states that are shown:
 *
 *   OFFLINE      not started, waiting for the next attempt or for the clock, or stopped
 *   CONNECTING   a transport exists and nobody has logged in
 *   CONNECTED    somebody has; messages flow (flow.h)
 *   DRAINING     what is in flight is still awaited, then the transport is closed; why is the Goal
 *
 * A transport is one attempt and one connection: each comes with a new one. Time comes through
 * deadlines only: a row each, kept by one alarm on either clock, so nothing polls. Those on the
 * wall clock notice when it is set: a token is renewed when its time has come by whatever clock
 * there is now, and a refusal that a wrong clock may have caused is not waited out once the clock
 * is put right.
 */

typedef enum {
    DEADLINE_ATTEMPT,
    DEADLINE_DRAIN, /* close, whatever is still in flight */
    DEADLINE_CLOSE, /* drop a transport that does not say goodbye */
    DEADLINE_STOP,
    DEADLINE_DUES,         /* an attachment has something to do */
    DEADLINE_DUES_WALL,    /* likewise, by the wall clock */
    DEADLINE_ATTEMPT_WALL, /* the clock was set while we waited, or at all */
    N_DEADLINES,
} Deadline;

/* Of the time to stop, this part is left for saying goodbye, up to CLOSE_USEC. */
#define STOP_CLOSE_SHARE 4

/* So many identities are asked in at a time, between which the main loop does other work: a token
 * has to be signed for each. */
#define ATTACH_BATCH 32

static void attempt(SpokeConnection *self);
static void end(SpokeConnection *self, SpokeCause cause, const char *detail);

/* Time */

gint64
spoke_connection_now(SpokeConnection *self, SpokeClockKind kind)
{
    return spoke_deadlines_now(self->deadlines, kind);
}

void
spoke_connection_expect(SpokeConnection *self, SpokeDue due, gint64 at_usec)
{
    gboolean is_wall = due == SPOKE_DUE_RENEW || due == SPOKE_DUE_RETRY_WALL;
    Deadline row = is_wall ? DEADLINE_DUES_WALL : DEADLINE_DUES;

    if (at_usec < spoke_deadlines_get(self->deadlines, row))
        spoke_deadlines_set(self->deadlines, row, at_usec);
}

gboolean
spoke_connection_is_waiting(SpokeConnection *self)
{
    return spoke_deadlines_get(self->deadlines, DEADLINE_ATTEMPT) != SPOKE_CLOCK_NEVER;
}

/* State */

static SpokeAttachment *
nth(SpokeConnection *self, guint index)
{
    return g_ptr_array_index(self->attachments, index);
}

static void
changed(SpokeConnection *self)
{
    for (guint i = 0; i < self->attachments->len; i++)
        spoke_attachment_tell_changed(nth(self, i));
}

static void
set_error(SpokeConnection *self, SpokeCause cause, const char *detail)
{
    char *copy = g_strdup(detail);

    self->last_error = cause;
    g_free(self->last_detail);
    self->last_detail = copy;
}

const char *
spoke_connection_get_only_name(SpokeConnection *self)
{
    return self->attachments->len == 1 ? nth(self, 0)->identity->name : NULL;
}

/* Whether somebody is in, or may come in without waiting for a time of its own. */
static gboolean
is_anyone_here(SpokeConnection *self)
{
    for (guint i = 0; i < self->attachments->len; i++) {
        if (nth(self, i)->place != SPOKE_PLACE_OUT ||
            nth(self, i)->due_usec[SPOKE_DUE_RETRY] == SPOKE_CLOCK_NEVER)
            return TRUE;
    }
    return FALSE;
}

/* The end of a connection */

static gboolean
on_stopped(gpointer user_data)
{
    SpokeConnection *self = user_data;
    void (*stopped)(gpointer) = self->stopped;

    self->stopped_id = 0;
    self->stopped = NULL;
    stopped(self->stopped_data);
    return G_SOURCE_REMOVE;
}

/* Stopping is over. From an idle source, so that it never comes from within stop(). */
static void
finish_stop(SpokeConnection *self)
{
    spoke_deadlines_clear_all(self->deadlines);
    if (self->stopped != NULL && self->stopped_id == 0)
        self->stopped_id = g_idle_add_full(G_PRIORITY_DEFAULT, on_stopped, self, NULL);
}

/* Returns: the cause to go by */
static SpokeCause
drop_transport(SpokeConnection *self, SpokeCause cause)
{
    SpokeCause common = cause;
    gint64 now_usec = spoke_connection_now(self, SPOKE_CLOCK_BOOT);

    if (self->attached_usec != 0 && now_usec - self->attached_usec >= SPOKE_SUSPICION_LIVED_USEC)
        spoke_patience_reset(&self->patience);
    self->attached_usec = 0;
    self->is_open = FALSE;
    g_clear_handle_id(&self->attach_id, g_source_remove);
    for (guint i = 0; i < self->attachments->len; i++) {
        SpokeCause own = spoke_attachment_leave(nth(self, i), cause);

        if (self->attachments->len == 1)
            common = own;
    }
    if (self->transport != NULL)
        self->module->free(g_steal_pointer(&self->transport));
    self->is_closing = FALSE;
    self->state = SPOKE_CONNECTION_OFFLINE;
    spoke_deadlines_clear(self->deadlines, DEADLINE_DRAIN);
    spoke_deadlines_clear(self->deadlines, DEADLINE_CLOSE);
    return common;
}

static void
set_attempt(SpokeConnection *self, gint64 delay_usec)
{
    spoke_deadlines_set_in(self->deadlines, DEADLINE_ATTEMPT, delay_usec);
    self->next_attempt_usec = spoke_connection_now(self, SPOKE_CLOCK_WALL) + delay_usec;
}

static void
fail(SpokeConnection *self, SpokeCause cause, const char *detail)
{
    gint64 delay_usec = spoke_patience_next(&self->patience, cause, self->random());

    self->left_usec = 0;
    set_error(self, cause, detail);
    spoke_event_link_down(&self->streak, self->options.host, spoke_connection_get_only_name(self),
                          cause, detail != NULL ? detail : "", delay_usec);
    set_attempt(self, delay_usec);
    spoke_deadlines_set_in(self->deadlines, DEADLINE_ATTEMPT_WALL,
                           delay_usec + SPOKE_CONNECTION_WALL_SLACK_USEC);
    changed(self);
}

/* The transport has come to its end, by itself or by us. */
static void
end(SpokeConnection *self, SpokeCause cause, const char *detail)
{
    cause = drop_transport(self, cause);
    switch (self->goal) {
    case SPOKE_GOAL_STAY:
        fail(self, cause, detail);
        break;
    case SPOKE_GOAL_RENEW:
        if (self->left_usec == 0) /* lost while it was drained */
            self->left_usec = spoke_connection_now(self, SPOKE_CLOCK_BOOT);
        G_GNUC_FALLTHROUGH;
    case SPOKE_GOAL_RETURN:
        self->goal = SPOKE_GOAL_STAY;
        attempt(self);
        break;
    case SPOKE_GOAL_REST:
        self->goal = SPOKE_GOAL_STAY;
        if (is_anyone_here(self))
            attempt(self);
        else
            changed(self);
        break;
    case SPOKE_GOAL_STOP:
        finish_stop(self);
        changed(self);
        break;
    }
}

void
spoke_connection_give_up(SpokeConnection *self, SpokeCause cause, const char *detail)
{
    end(self, cause, detail);
}

static void
close_transport(SpokeConnection *self)
{
    if (self->is_closing)
        return;
    self->is_closing = TRUE;
    if (self->goal == SPOKE_GOAL_RENEW)
        self->left_usec = spoke_connection_now(self, SPOKE_CLOCK_BOOT);
    spoke_deadlines_clear(self->deadlines, DEADLINE_DRAIN);
    spoke_deadlines_set_in(self->deadlines, DEADLINE_CLOSE, SPOKE_CONNECTION_CLOSE_USEC);
    self->module->close(self->transport); /* on_closed() follows */
}

void
spoke_connection_look_drained(SpokeConnection *self)
{
    if (self->goal == SPOKE_GOAL_STAY || self->is_closing || self->transport == NULL)
        return;
    for (guint i = 0; i < self->attachments->len; i++) {
        if (!spoke_attachment_is_drained(nth(self, i), self->goal == SPOKE_GOAL_STOP))
            return;
    }
    close_transport(self);
}

static void
drain(SpokeConnection *self, SpokeGoal goal, gint64 drain_usec)
{
    self->goal = goal;
    self->state = SPOKE_CONNECTION_DRAINING;
    spoke_deadlines_set_in(self->deadlines, DEADLINE_DRAIN, drain_usec);
    for (guint i = 0; i < self->attachments->len; i++) {
        spoke_attachment_clear_due(nth(self, i), SPOKE_DUE_RENEW);
        spoke_attachment_wake(nth(self, i));
    }
    spoke_connection_look_drained(self);
    changed(self);
}

void
spoke_connection_renew(SpokeConnection *self)
{
    if (self->state == SPOKE_CONNECTION_CONNECTED)
        drain(self, SPOKE_GOAL_RENEW, SPOKE_CONNECTION_DRAIN_USEC);
}

/* A connection that nobody can use is not kept. */
static void
rest_if_alone(SpokeConnection *self)
{
    if (self->goal != SPOKE_GOAL_STAY || !self->is_open || is_anyone_here(self))
        return;
    self->goal = SPOKE_GOAL_REST;
    close_transport(self);
}

/* What the transport says */

/* Those that do not wait, some at a time. */
static gboolean
attach_some(gpointer user_data)
{
    SpokeConnection *self = user_data;
    guint n = 0;

    for (guint i = 0; i < self->attachments->len; i++) {
        SpokeAttachment *attachment = nth(self, i);

        if (attachment->place != SPOKE_PLACE_OUT ||
            attachment->due_usec[SPOKE_DUE_RETRY] != SPOKE_CLOCK_NEVER)
            continue;
        if (++n > ATTACH_BATCH)
            return G_SOURCE_CONTINUE;
        spoke_attachment_ask(attachment);
    }
    self->attach_id = 0;
    rest_if_alone(self);
    return G_SOURCE_REMOVE;
}

static void
attach_all(SpokeConnection *self)
{
    if (self->attach_id == 0 && attach_some(self))
        self->attach_id = g_idle_add_full(G_PRIORITY_DEFAULT, attach_some, self, NULL);
}

static void
on_opened(gpointer user_data)
{
    SpokeConnection *self = user_data;

    self->is_open = TRUE;
    if (self->module->capabilities & SPOKE_CAPABILITY_MULTIPLEX)
        set_error(self, SPOKE_CAUSE_NONE, NULL);
    attach_all(self);
}

static void
on_closed(SpokeCause cause, const char *detail, gpointer user_data)
{
    g_autofree char *copy = g_strdup(detail); /* @detail may be the transport's, which goes */

    end(user_data, cause, copy);
}

static guint16
get_port(SpokeConnection *self)
{
    return self->options.port != 0 ? self->options.port : self->module->default_port;
}

/* The first is in. */
static void
note_login(SpokeConnection *self)
{
    const SpokeAttachment *first = nth(self, 0);

    self->attached_usec = spoke_connection_now(self, SPOKE_CLOCK_BOOT);
    spoke_patience_note_served(&self->patience);
    set_error(self, SPOKE_CAUSE_NONE, NULL);
    self->state =
        self->goal == SPOKE_GOAL_STAY ? SPOKE_CONNECTION_CONNECTED : SPOKE_CONNECTION_DRAINING;
    if (self->left_usec != 0)
        spoke_event_token_renewed(first->identity->name, first->token_expiry_usec,
                                  self->attached_usec - self->left_usec);
    else
        spoke_event_link_up(&self->streak, self->module->name, self->options.host, get_port(self),
                            self->attached_usec - self->attempt_usec);
    self->left_usec = 0;
}

static void
on_attached(SpokeIdentity *identity, gpointer user_data)
{
    SpokeConnection *self = user_data;
    SpokeAttachment *attachment = g_hash_table_lookup(self->by_identity, identity);

    self->heard_usec = spoke_connection_now(self, SPOKE_CLOCK_BOOT);
    if (attachment == NULL)
        return; /* it has left meanwhile */
    if (self->n_in == 0)
        note_login(self);
    spoke_attachment_note_attached(attachment);
}

static void
on_detached(SpokeIdentity *identity, SpokeCause cause, const char *detail, gint64 wait_usec,
            gpointer user_data)
{
    SpokeConnection *self = user_data;
    SpokeAttachment *attachment = g_hash_table_lookup(self->by_identity, identity);

    if (attachment == NULL)
        return;
    spoke_attachment_note_detached(attachment, cause, detail, wait_usec);
    if (self->n_in == 0 && self->state == SPOKE_CONNECTION_CONNECTED) {
        self->state = SPOKE_CONNECTION_CONNECTING;
        self->attempt_usec = spoke_connection_now(self, SPOKE_CLOCK_BOOT);
    }
    rest_if_alone(self);
    spoke_connection_look_drained(self);
}

static void
on_settled(SpokeIdentity *identity, const SpokeSettlement *settlements, guint n, gpointer user_data)
{
    SpokeConnection *self = user_data;
    SpokeAttachment *attachment = g_hash_table_lookup(self->by_identity, identity);

    self->heard_usec = spoke_connection_now(self, SPOKE_CLOCK_BOOT);
    if (attachment != NULL)
        spoke_attachment_note_settled(attachment, settlements, n);
}

static void
on_arrived(SpokeIdentity *identity, SpokeMessage *message, gpointer token, gpointer user_data)
{
    SpokeConnection *self = user_data;
    SpokeAttachment *attachment = g_hash_table_lookup(self->by_identity, identity);

    self->heard_usec = spoke_connection_now(self, SPOKE_CLOCK_BOOT);
    if (attachment != NULL)
        spoke_attachment_note_arrived(attachment, message, token);
}

static const SpokeTransportEvents transport_events = {
    .opened = on_opened,
    .closed = on_closed,
    .attached = on_attached,
    .detached = on_detached,
    .settled = on_settled,
    .arrived = on_arrived,
};

/* Attempts */

/* No token can be made, and no certificate checked, before the clock is set. */
static void
wait_for_clock(SpokeConnection *self)
{
    set_error(self, SPOKE_CAUSE_CLOCK, NULL);
    if (!self->is_clock_unset)
        spoke_event_clock_unset();
    self->is_clock_unset = TRUE;
    spoke_deadlines_set(self->deadlines, DEADLINE_ATTEMPT_WALL, SPOKE_CONNECTION_CLOCK_SANE_USEC);
    changed(self);
}

static gboolean
load_module(SpokeConnection *self, SpokeCause *ret_cause, GError **error)
{
    *ret_cause = SPOKE_CAUSE_NOT_INSTALLED;
    self->module = self->given != NULL ? self->given
                                       : spoke_module_load(self->options.transport_dir,
                                                           self->options.transport, error);
    if (self->module == NULL)
        return FALSE;
    if (self->options.proxy == NULL || (self->module->capabilities & SPOKE_CAPABILITY_PROXY))
        return TRUE;

    *ret_cause = SPOKE_CAUSE_PROXY;
    g_set_error(error, SPOKE_ERROR, SPOKE_ERROR_FAILED,
                "A proxy is configured, and the transport %s can't go through one",
                self->module->name);
    return FALSE;
}

static gboolean
is_anyone_ready(SpokeConnection *self)
{
    for (guint i = 0; i < self->attachments->len; i++) {
        if (spoke_attachment_is_ready(nth(self, i)))
            return TRUE;
    }
    return FALSE;
}

static void
open_transport(SpokeConnection *self)
{
    const SpokeProxySettings *settings = self->options.proxy;
    const SpokeProxy proxy = {
        .host = settings != NULL ? settings->host : NULL,
        .port = settings != NULL ? settings->port : 0,
        .user = settings != NULL ? settings->user : NULL,
        .password = settings != NULL ? settings->password : NULL,
    };
    const SpokeEndpoint endpoint = {
        .host = self->options.host,
        .port = get_port(self),
        .ca_file = self->options.ca_file,
        .certificate_file = self->options.certificate_file,
        .key_file = self->options.key_file,
        .proxy = settings != NULL ? &proxy : NULL,
        .keepalive_sec = self->options.keepalive_sec,
        .connect_timeout_sec = self->options.connect_timeout_sec,
        .product = "spoked/" SPOKE_VERSION,
    };

    self->state = SPOKE_CONNECTION_CONNECTING;
    spoke_load_begin(&self->load, self->module->connection_window, self->module->connection_bytes);
    self->transport = self->module->create(&endpoint, &transport_events, self);
    self->module->open(self->transport);
    changed(self);
}

static void
attempt(SpokeConnection *self)
{
    g_autoptr(GError) error = NULL;
    SpokeCause cause = SPOKE_CAUSE_NONE;

    spoke_deadlines_clear(self->deadlines, DEADLINE_ATTEMPT);
    spoke_deadlines_clear(self->deadlines, DEADLINE_ATTEMPT_WALL);
    self->attempt_usec = spoke_connection_now(self, SPOKE_CLOCK_BOOT);
    if (spoke_connection_now(self, SPOKE_CLOCK_WALL) < SPOKE_CONNECTION_CLOCK_SANE_USEC) {
        wait_for_clock(self);
        return;
    }
    self->is_clock_unset = FALSE;

    if (!load_module(self, &cause, &error))
        fail(self, cause, error->message);
    else if (is_anyone_ready(self))
        open_transport(self);
    /* Else each waits for a time of its own. */
}

/* Not waiting any longer, for a reason that has nothing to do with the hub. */
static void
attempt_if_waiting(gpointer user_data)
{
    SpokeConnection *self = user_data;

    if (self->is_started && self->goal == SPOKE_GOAL_STAY && self->attachments->len > 0 &&
        self->state == SPOKE_CONNECTION_OFFLINE)
        attempt(self);
}

void
spoke_connection_bring_in(SpokeConnection *self, SpokeAttachment *attachment)
{
    if (self->is_open && !self->is_closing && self->goal == SPOKE_GOAL_STAY) {
        if (attachment->place == SPOKE_PLACE_OUT)
            spoke_attachment_ask(attachment);
    } else if (!spoke_connection_is_waiting(self)) {
        attempt_if_waiting(self);
    }
}

/* Deadlines that have come */

static void
abandon(gpointer user_data)
{
    end(user_data, SPOKE_CAUSE_CLOSED, NULL);
}

static void
stop_draining(gpointer user_data)
{
    close_transport(user_data);
}

/* Backwards: one that does what it has to may be the last to do so, and end the connection, but it
 * removes nobody. */
static void
run_dues(gpointer user_data)
{
    SpokeConnection *self = user_data;

    for (guint i = self->attachments->len; i > 0; i--)
        spoke_attachment_run_dues(nth(self, i - 1));
    for (guint i = 0; i < self->attachments->len; i++) {
        gint64 boot_usec = spoke_attachment_get_due(nth(self, i), SPOKE_CLOCK_BOOT);
        gint64 wall_usec = spoke_attachment_get_due(nth(self, i), SPOKE_CLOCK_WALL);

        if (boot_usec < spoke_deadlines_get(self->deadlines, DEADLINE_DUES))
            spoke_deadlines_set(self->deadlines, DEADLINE_DUES, boot_usec);
        if (wall_usec < spoke_deadlines_get(self->deadlines, DEADLINE_DUES_WALL))
            spoke_deadlines_set(self->deadlines, DEADLINE_DUES_WALL, wall_usec);
    }
    rest_if_alone(self);
}

static const SpokeDeadline deadline_rows[N_DEADLINES] = {
    [DEADLINE_ATTEMPT] = {SPOKE_CLOCK_BOOT, attempt_if_waiting},
    [DEADLINE_DRAIN] = {SPOKE_CLOCK_BOOT, stop_draining},
    [DEADLINE_CLOSE] = {SPOKE_CLOCK_BOOT, abandon},
    [DEADLINE_STOP] = {SPOKE_CLOCK_BOOT, abandon},
    [DEADLINE_DUES] = {SPOKE_CLOCK_BOOT, run_dues},
    [DEADLINE_DUES_WALL] = {SPOKE_CLOCK_WALL, run_dues},
    [DEADLINE_ATTEMPT_WALL] = {SPOKE_CLOCK_WALL, attempt_if_waiting},
};

/* The network */

void
spoke_connection_network_changed(SpokeConnection *self, gboolean is_available)
{
    if (!is_available || !spoke_connection_is_waiting(self) ||
        !spoke_cause_is_of_network(self->last_error))
        return;
    spoke_patience_reset(&self->patience);

    gint64 delay_usec = (gint64)(self->random() * (double)SPOKE_CONNECTION_NETWORK_USEC);

    if (spoke_connection_now(self, SPOKE_CLOCK_BOOT) + delay_usec <
        spoke_deadlines_get(self->deadlines, DEADLINE_ATTEMPT)) {
        set_attempt(self, delay_usec);
        changed(self);
    }
}

static void
on_network_changed(GNetworkMonitor *monitor, gboolean is_available, gpointer user_data)
{
    spoke_connection_network_changed(user_data, is_available);
}

static void
watch_network(SpokeConnection *self)
{
    if (!self->watches_network || self->monitor != NULL)
        return;
    self->monitor = g_object_ref(g_network_monitor_get_default());
    self->monitor_id =
        g_signal_connect(self->monitor, "network-changed", G_CALLBACK(on_network_changed), self);
}

/* Public functions */

SpokeConnection *
spoke_connection_new_from(const SpokeConnectionOptions *options, const SpokeConnectionParts *parts)
{
    SpokeConnection *self = g_new0(SpokeConnection, 1);

    spoke_connection_options_copy(&self->options, options);
    self->attachments = g_ptr_array_new();
    self->by_identity = g_hash_table_new(NULL, NULL);
    self->given = parts->module;
    self->deadlines = spoke_deadlines_new(parts->clock, deadline_rows, N_DEADLINES, self);
    self->random = parts->random;
    self->watches_network = parts->watches_network;
    return self;
}

void
spoke_connection_free(SpokeConnection *self)
{
    if (self == NULL)
        return;

    if (self->monitor != NULL)
        g_clear_signal_handler(&self->monitor_id, self->monitor);
    g_clear_object(&self->monitor);
    g_clear_handle_id(&self->stopped_id, g_source_remove);
    (void)drop_transport(self, SPOKE_CAUSE_CLOSED);
    for (guint i = 0; i < self->attachments->len; i++)
        nth(self, i)->connection = NULL;
    g_ptr_array_unref(self->attachments);
    g_hash_table_unref(self->by_identity);
    spoke_deadlines_free(self->deadlines);
    spoke_connection_options_clear(&self->options);
    g_free(self->last_detail);
    g_free(self);
}

void
spoke_connection_add(SpokeConnection *self, SpokeAttachment *attachment)
{
    g_return_if_fail(attachment->connection == NULL);

    attachment->connection = self;
    spoke_attachment_clear_due(attachment, SPOKE_DUE_RETRY);
    spoke_attachment_clear_due(attachment, SPOKE_DUE_RETRY_WALL);
    g_ptr_array_add(self->attachments, attachment);
    g_hash_table_insert(self->by_identity, attachment->identity, attachment);
    if (!self->is_open)
        spoke_connection_bring_in(self, attachment);
    else if (!self->is_closing && self->goal == SPOKE_GOAL_STAY && self->attach_id == 0)
        self->attach_id = g_idle_add_full(G_PRIORITY_DEFAULT, attach_some, self, NULL);
}

void
spoke_connection_remove(SpokeConnection *self, SpokeAttachment *attachment)
{
    g_return_if_fail(attachment->connection == self);

    gboolean is_last = self->attachments->len == 1;

    if (is_last && self->goal != SPOKE_GOAL_STOP)
        self->goal = SPOKE_GOAL_REST;
    if (attachment->place != SPOKE_PLACE_OUT && !self->is_closing)
        self->module->detach(self->transport, attachment->identity);
    (void)spoke_attachment_leave(attachment, SPOKE_CAUSE_CLOSED);
    g_ptr_array_remove(self->attachments, attachment);
    g_hash_table_remove(self->by_identity, attachment->identity);
    attachment->connection = NULL;
    if (self->transport == NULL && self->goal == SPOKE_GOAL_REST)
        self->goal = SPOKE_GOAL_STAY;
    else if (is_last && self->transport != NULL)
        close_transport(self);
    else
        spoke_connection_look_drained(self);
    spoke_attachments_share_room(self);
}

guint
spoke_connection_get_n_attachments(SpokeConnection *self)
{
    return self->attachments->len;
}

const SpokeConnectionOptions *
spoke_connection_get_options(SpokeConnection *self)
{
    return &self->options;
}

void
spoke_connection_retry(SpokeConnection *self)
{
    if (self->goal != SPOKE_GOAL_STAY || self->state != SPOKE_CONNECTION_OFFLINE)
        return;

    spoke_patience_reset(&self->patience);
    attempt_if_waiting(self);
}

void
spoke_connection_set_options(SpokeConnection *self, const SpokeConnectionOptions *options)
{
    gboolean is_same = spoke_connection_options_equal(&self->options, options);

    spoke_connection_options_copy(&self->options, options);
    if (is_same || self->goal == SPOKE_GOAL_STOP)
        return;

    if (self->state == SPOKE_CONNECTION_CONNECTED) {
        drain(self, SPOKE_GOAL_RETURN, SPOKE_CONNECTION_DRAIN_USEC);
    } else if (self->state == SPOKE_CONNECTION_CONNECTING) {
        (void)drop_transport(self, SPOKE_CAUSE_CLOSED);
        attempt(self);
    } else if (self->state == SPOKE_CONNECTION_OFFLINE) {
        spoke_connection_retry(self);
    }
}

void
spoke_connection_start(SpokeConnection *self)
{
    if (self->is_started)
        return;
    self->is_started = TRUE;
    watch_network(self);
    attempt_if_waiting(self);
}

void
spoke_connection_stop(SpokeConnection *self, gint64 timeout_usec, void (*done)(gpointer),
                      gpointer user_data)
{
    g_return_if_fail(self->stopped == NULL);

    gint64 close_usec = MIN(timeout_usec / STOP_CLOSE_SHARE, SPOKE_CONNECTION_CLOSE_USEC);
    gboolean is_idle = TRUE;

    self->stopped = done;
    self->stopped_data = user_data;
    self->goal = SPOKE_GOAL_STOP;
    for (guint i = 0; i < self->attachments->len; i++)
        is_idle = is_idle && spoke_flow_get_queued(nth(self, i)->flow) == 0;
    spoke_deadlines_clear(self->deadlines, DEADLINE_ATTEMPT);
    spoke_deadlines_clear(self->deadlines, DEADLINE_ATTEMPT_WALL);
    spoke_deadlines_set_in(self->deadlines, DEADLINE_STOP, timeout_usec);
    if (self->n_in > 0)
        drain(self, SPOKE_GOAL_STOP, timeout_usec - close_usec);
    else if (self->transport == NULL || is_idle)
        abandon(self);
}

SpokeConnectionState
spoke_connection_get_state(SpokeConnection *self)
{
    return self->state;
}
