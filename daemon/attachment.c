/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/attachment.h"

#include "daemon/connection-private.h"
#include "daemon/events.h"

/*
 * What one identity does on the connection: OUT → ASKED → IN, and OUT again when the hub refuses it
 * alone, with a wait of its own, or when the transport ends. It feeds its messages while it is IN
 * and the connection wants that; it knows when its token is to be renewed, when acknowledgements
 * are overdue and when the hub is to be asked for C2D.
 */

/* A poll that came so shortly before the end may have been the end of it, or had no answer. */
#define POLL_DOUBT_USEC (60 * G_USEC_PER_SEC)

/* What a handler gave back to a hub that does not push is fetched again after this. */
#define POLL_AGAIN_USEC (5 * G_USEC_PER_SEC)

/* A token that could not be made for a renewal is tried again after this. */
#define RENEW_AGAIN_USEC (60 * G_USEC_PER_SEC)

static const SpokeClockKind due_clocks[SPOKE_N_DUES] = {
    [SPOKE_DUE_RETRY] = SPOKE_CLOCK_BOOT,      [SPOKE_DUE_ACK] = SPOKE_CLOCK_BOOT,
    [SPOKE_DUE_POLL] = SPOKE_CLOCK_BOOT,       [SPOKE_DUE_RENEW] = SPOKE_CLOCK_WALL,
    [SPOKE_DUE_RETRY_WALL] = SPOKE_CLOCK_WALL,
};

const char *
spoke_connection_state_to_string(SpokeConnectionState state)
{
    static const char *const names[] = {
        [SPOKE_CONNECTION_OFFLINE] = "offline",
        [SPOKE_CONNECTION_CONNECTING] = "connecting",
        [SPOKE_CONNECTION_CONNECTED] = "connected",
        [SPOKE_CONNECTION_DRAINING] = "draining",
    };

    g_return_val_if_fail((guint)state < G_N_ELEMENTS(names), "");
    return names[state];
}

/* Time */

static gint64
now(SpokeAttachment *self, SpokeClockKind kind)
{
    return spoke_connection_now(self->connection, kind);
}

static void
set_due(SpokeAttachment *self, SpokeDue due, gint64 at_usec)
{
    self->due_usec[due] = at_usec;
    spoke_connection_expect(self->connection, due, at_usec);
}

static void
set_due_in(SpokeAttachment *self, SpokeDue due, gint64 delay_usec)
{
    set_due(self, due, now(self, due_clocks[due]) + delay_usec);
}

void
spoke_attachment_clear_due(SpokeAttachment *self, SpokeDue due)
{
    self->due_usec[due] = SPOKE_CLOCK_NEVER;
}

gint64
spoke_attachment_get_due(SpokeAttachment *self, SpokeClockKind clock)
{
    gint64 first_usec = SPOKE_CLOCK_NEVER;

    for (SpokeDue due = 0; due < SPOKE_N_DUES; due++)
        if (due_clocks[due] == clock)
            first_usec = MIN(first_usec, self->due_usec[due]);
    return first_usec;
}

/* State */

void
spoke_attachment_tell_changed(SpokeAttachment *self)
{
    self->events->changed(self->user_data);
}

void
spoke_attachment_set_error(SpokeAttachment *self, SpokeCause cause, const char *detail)
{
    char *copy = g_strdup(detail);

    self->last_error = cause;
    g_free(self->last_detail);
    self->last_detail = copy;
}

/* Where it could do something. */
static gboolean
is_in_use(SpokeAttachment *self)
{
    return self->place == SPOKE_PLACE_IN && !self->connection->is_closing;
}

/* Out alone: says why, and waits. */
static void
wait_for_retry(SpokeAttachment *self, SpokeCause cause, const char *detail, gint64 delay_usec)
{
    spoke_attachment_set_error(self, cause, detail);
    set_due_in(self, SPOKE_DUE_RETRY, delay_usec);
    set_due_in(self, SPOKE_DUE_RETRY_WALL, delay_usec + SPOKE_CONNECTION_WALL_SLACK_USEC);
    self->next_attempt_usec = now(self, SPOKE_CLOCK_WALL) + delay_usec;
    if (self->connection->attachments->len == 1)
        spoke_event_link_down(&self->connection->streak, self->connection->options.host,
                              self->identity->name, cause, detail != NULL ? detail : "",
                              delay_usec);
    else if (!self->is_down)
        spoke_event_device_down(self->identity->name, self->identity->device_id, cause,
                                detail != NULL ? detail : "", delay_usec);
    self->is_down = TRUE;
    spoke_attachment_tell_changed(self);
}

static gint64
choose_delay(SpokeAttachment *self, SpokeCause cause)
{
    return spoke_patience_next(&self->patience, cause, self->connection->random());
}

/* Messages */

static void
go_on(SpokeAttachment *self)
{
    SpokeConnection *connection = self->connection;

    if (!is_in_use(self))
        return;

    guint n_sent = spoke_flow_get_sent(self->flow);

    if (connection->goal == SPOKE_GOAL_STAY || connection->goal == SPOKE_GOAL_STOP)
        spoke_flow_feed(self->flow);
    if (n_sent == 0)
        self->progress_usec = now(self, SPOKE_CLOCK_BOOT);
    if (self->due_usec[SPOKE_DUE_ACK] == SPOKE_CLOCK_NEVER && spoke_flow_get_sent(self->flow) > 0) {
        set_due_in(self, SPOKE_DUE_ACK, SPOKE_CONNECTION_ACK_USEC);
        self->progress = connection->module->get_progress(connection->transport);
    }
    if (connection->goal != SPOKE_GOAL_STAY)
        spoke_connection_look_drained(connection);
}

void
spoke_attachments_share_room(SpokeConnection *connection)
{
    SpokeAttachment *next = NULL;

    while ((next = spoke_load_next(&connection->load)) != NULL)
        go_on(next);
}

gboolean
spoke_attachment_is_drained(SpokeAttachment *self, gboolean with_queue)
{
    if (self->place == SPOKE_PLACE_IN &&
        (spoke_flow_get_sent(self->flow) > 0 || spoke_flow_get_arrivals(self->flow) > 0))
        return FALSE;
    return !with_queue || self->place == SPOKE_PLACE_OUT || spoke_flow_get_queued(self->flow) == 0;
}

void
spoke_attachment_note_settled(SpokeAttachment *self, const SpokeSettlement *settlements, guint n)
{
    self->progress_usec = now(self, SPOKE_CLOCK_BOOT);
    spoke_patience_note_served(&self->patience);
    spoke_flow_settled(self->flow, settlements, n);
    go_on(self);
    spoke_attachments_share_room(self->connection);
}

void
spoke_attachment_note_arrived(SpokeAttachment *self, SpokeMessage *message, gpointer token)
{
    guint64 number = spoke_flow_add_arrival(self->flow, token);

    spoke_patience_note_served(&self->patience);
    self->events->arrived(message, number, self->user_data);
}

/* No message has come through as a whole, but a part of one. */
static void
note_slow_progress(SpokeAttachment *self)
{
    SpokeConnection *connection = self->connection;
    guint64 progress = connection->module->get_progress(connection->transport);

    if (progress >= self->progress + SPOKE_CONNECTION_ACK_BYTES)
        self->progress_usec = now(self, SPOKE_CLOCK_BOOT);
    self->progress = progress;
}

static void
check_progress(SpokeAttachment *self)
{
    static const char text[] = "the hub does not acknowledge what it is sent";
    SpokeConnection *connection = self->connection;

    if (self->place != SPOKE_PLACE_IN || spoke_flow_get_sent(self->flow) == 0)
        return;
    note_slow_progress(self);

    gint64 due_usec = self->progress_usec + SPOKE_CONNECTION_ACK_USEC;

    if (due_usec > now(self, SPOKE_CLOCK_BOOT)) {
        set_due(self, SPOKE_DUE_ACK, due_usec);
    } else if (connection->heard_usec <= self->progress_usec || connection->n_in == 1) {
        /* Nobody else got an answer either. */
        spoke_connection_give_up(connection, SPOKE_CAUSE_KEEPALIVE, text);
    } else {
        connection->module->detach(connection->transport, self->identity);
        spoke_attachment_note_detached(self, SPOKE_CAUSE_KEEPALIVE, text, 0);
    }
}

/* Polling. A module gets no C2D. Source: iot-hub-protocol.md, 2.6. */

static gboolean
is_polled(SpokeAttachment *self)
{
    return (self->connection->module->capabilities & SPOKE_CAPABILITY_PUSH) == 0 &&
           self->identity->module_id == NULL;
}

static void
poll_hub(SpokeAttachment *self)
{
    SpokeConnection *connection = self->connection;

    if (!is_in_use(self) || !is_polled(self))
        return;
    self->is_poll_owed = !self->is_receiving;
    if (self->is_poll_owed)
        return;
    self->polled_usec = now(self, SPOKE_CLOCK_BOOT);
    set_due(self, SPOKE_DUE_POLL, self->polled_usec + connection->options.poll_interval_usec);
    connection->module->poll(connection->transport, self->identity);
}

static void
schedule_poll(SpokeAttachment *self)
{
    gint64 next_usec = self->polled_usec + self->connection->options.poll_interval_usec;

    if (!is_polled(self))
        return;
    if (self->polled_usec == 0 || self->is_poll_owed || next_usec <= now(self, SPOKE_CLOCK_BOOT))
        poll_hub(self);
    else
        set_due(self, SPOKE_DUE_POLL, next_usec);
}

/* Coming in */

gboolean
spoke_attachment_is_ready(SpokeAttachment *self)
{
    g_autoptr(SpokeSecret) token = NULL;
    g_autoptr(GError) error = NULL;
    gint64 expiry_usec = 0;

    if (self->due_usec[SPOKE_DUE_RETRY] != SPOKE_CLOCK_NEVER)
        return FALSE;
    if (spoke_credentials_make_token(self->credentials, self->identity, now(self, SPOKE_CLOCK_WALL),
                                     &token, &expiry_usec, &error))
        return TRUE;
    wait_for_retry(self, SPOKE_CAUSE_CREDENTIALS, error->message,
                   choose_delay(self, SPOKE_CAUSE_CREDENTIALS));
    return FALSE;
}

void
spoke_attachment_ask(SpokeAttachment *self)
{
    SpokeConnection *connection = self->connection;
    g_autoptr(SpokeSecret) token = NULL;
    g_autoptr(GError) error = NULL;

    if (!spoke_credentials_make_token(self->credentials, self->identity,
                                      now(self, SPOKE_CLOCK_WALL), &token, &self->token_expiry_usec,
                                      &error)) {
        if (self->place == SPOKE_PLACE_IN)
            set_due_in(self, SPOKE_DUE_RENEW, RENEW_AGAIN_USEC);
        else
            wait_for_retry(self, SPOKE_CAUSE_CREDENTIALS, error->message,
                           choose_delay(self, SPOKE_CAUSE_CREDENTIALS));
        return;
    }
    if (self->place == SPOKE_PLACE_OUT) {
        self->place = SPOKE_PLACE_ASKED;
        connection->module->receive(connection->transport, self->identity, self->is_receiving);
    }
    connection->module->attach(connection->transport, self->identity, token);
}

static void
schedule_renewal(SpokeAttachment *self)
{
    gint64 wall_usec = now(self, SPOKE_CLOCK_WALL);
    gint64 delay_usec =
        self->token_expiry_usec != 0
            ? spoke_credentials_renewal_delay(self->credentials, wall_usec, self->token_expiry_usec,
                                              self->connection->random())
            : -1;

    if (delay_usec >= 0)
        set_due(self, SPOKE_DUE_RENEW, wall_usec + delay_usec);
}

void
spoke_attachment_note_attached(SpokeAttachment *self)
{
    SpokeConnection *connection = self->connection;

    if (self->place == SPOKE_PLACE_IN) { /* renewed in band */
        spoke_event_token_renewed(self->identity->name, self->token_expiry_usec, 0);
        schedule_renewal(self);
        spoke_attachment_tell_changed(self);
        return;
    }

    self->place = SPOKE_PLACE_IN;
    self->attached_usec = now(self, SPOKE_CLOCK_BOOT);
    self->connected_since_usec = now(self, SPOKE_CLOCK_WALL);
    connection->n_in++;
    spoke_attachment_set_error(self, SPOKE_CAUSE_NONE, NULL);
    if (self->is_down && connection->attachments->len > 1)
        spoke_event_device_up(self->identity->name, self->identity->device_id);
    self->is_down = FALSE;
    spoke_flow_begin(self->flow, connection->module, connection->transport, self->identity,
                     &connection->load, self);
    /* Said in either case: the hub may remember a subscription from an earlier connection. */
    connection->module->receive(connection->transport, self->identity, self->is_receiving);
    if (connection->goal == SPOKE_GOAL_STAY) {
        schedule_renewal(self);
        schedule_poll(self);
    }
    go_on(self);
    spoke_attachment_tell_changed(self);
}

static void
renew(SpokeAttachment *self)
{
    SpokeConnection *connection = self->connection;

    if (!is_in_use(self) || connection->goal != SPOKE_GOAL_STAY)
        return;
    if (connection->module->capabilities & SPOKE_CAPABILITY_RENEW)
        spoke_attachment_ask(self);
    else
        spoke_connection_renew(connection);
}

/* Going out */

SpokeCause
spoke_attachment_leave(SpokeAttachment *self, SpokeCause cause)
{
    gboolean is_any_lost = spoke_flow_get_arrivals(self->flow) > 0;
    gint64 lived_usec = 0;

    if (self->place == SPOKE_PLACE_IN) {
        lived_usec = MAX(now(self, SPOKE_CLOCK_BOOT) - self->attached_usec, 1);
        self->connection->n_in--;
    }
    if (self->polled_usec != 0 && now(self, SPOKE_CLOCK_BOOT) - self->polled_usec < POLL_DOUBT_USEC)
        self->is_poll_owed = TRUE;
    self->place = SPOKE_PLACE_OUT; /* first: giving back may have the outbox wake us */
    self->attached_usec = 0;
    self->connected_since_usec = 0;
    self->token_expiry_usec = 0;
    spoke_attachment_clear_due(self, SPOKE_DUE_ACK);
    spoke_attachment_clear_due(self, SPOKE_DUE_POLL);
    spoke_attachment_clear_due(self, SPOKE_DUE_RENEW);
    if (lived_usec >= SPOKE_SUSPICION_LIVED_USEC)
        spoke_patience_reset(&self->patience);
    cause = spoke_flow_end(self->flow, cause, lived_usec);
    if (is_any_lost)
        self->events->lost(self->user_data);
    return cause;
}

void
spoke_attachment_note_detached(SpokeAttachment *self, SpokeCause cause, const char *detail,
                               gint64 wait_usec)
{
    if (self->place == SPOKE_PLACE_OUT)
        return; /* we have let it go before */

    g_autofree char *copy = g_strdup(detail); /* @detail may be the transport's, which goes */

    cause = spoke_attachment_leave(self, cause);

    gint64 delay_usec = choose_delay(self, cause);

    wait_for_retry(self, cause, copy, MAX(delay_usec, wait_usec));
    spoke_attachments_share_room(self->connection);
}

static void
retry(SpokeAttachment *self)
{
    spoke_attachment_clear_due(self, SPOKE_DUE_RETRY);
    spoke_attachment_clear_due(self, SPOKE_DUE_RETRY_WALL);
    spoke_connection_bring_in(self->connection, self);
}

void
spoke_attachment_run_dues(SpokeAttachment *self)
{
    static void (*const runs[SPOKE_N_DUES])(SpokeAttachment *) = {
        [SPOKE_DUE_RETRY] = retry, [SPOKE_DUE_ACK] = check_progress, [SPOKE_DUE_POLL] = poll_hub,
        [SPOKE_DUE_RENEW] = renew, [SPOKE_DUE_RETRY_WALL] = retry,
    };

    for (SpokeDue due = 0; due < SPOKE_N_DUES; due++) {
        if (self->due_usec[due] > now(self, due_clocks[due]))
            continue;
        spoke_attachment_clear_due(self, due);
        runs[due](self);
    }
}

/* Public functions */

SpokeAttachment *
spoke_attachment_new(SpokeIdentity *identity, SpokeCredentials *credentials, SpokeSpool *spool,
                     SpokeOutbox *outbox, const SpokeAttachmentEvents *events, gpointer user_data)
{
    SpokeAttachment *self = g_new0(SpokeAttachment, 1);

    self->identity = spoke_identity_ref(identity);
    self->credentials = spoke_credentials_ref(credentials);
    self->flow = spoke_flow_new(spool, outbox);
    self->events = events;
    self->user_data = user_data;
    self->is_receiving = TRUE;
    for (SpokeDue due = 0; due < SPOKE_N_DUES; due++)
        self->due_usec[due] = SPOKE_CLOCK_NEVER;
    return self;
}

void
spoke_attachment_free(SpokeAttachment *self)
{
    if (self == NULL)
        return;

    if (self->connection != NULL)
        spoke_connection_remove(self->connection, self);
    spoke_flow_free(self->flow);
    spoke_identity_unref(self->identity);
    spoke_credentials_unref(self->credentials);
    g_free(self->last_detail);
    g_free(self);
}

void
spoke_attachment_set_credentials(SpokeAttachment *self, SpokeCredentials *credentials)
{
    gboolean is_same = spoke_credentials_equal(self->credentials, credentials, self->identity);

    spoke_credentials_ref(credentials);
    spoke_credentials_unref(self->credentials);
    self->credentials = credentials;
    if (self->connection == NULL)
        return;
    if (self->due_usec[SPOKE_DUE_RETRY] != SPOKE_CLOCK_NEVER) {
        spoke_patience_reset(&self->patience);
        retry(self);
    } else if (!is_same) {
        renew(self);
    }
}

void
spoke_attachment_refuse(SpokeAttachment *self, SpokeCause cause, const char *detail)
{
    spoke_attachment_set_error(self, cause, detail);
    if (!self->is_down)
        spoke_event_device_down(self->identity->name, self->identity->device_id, cause, detail, -1);
    self->is_down = TRUE;
    spoke_attachment_tell_changed(self);
}

void
spoke_attachment_wake(SpokeAttachment *self)
{
    if (self->connection != NULL)
        go_on(self);
}

void
spoke_attachment_set_receiving(SpokeAttachment *self, gboolean on)
{
    if (self->is_receiving == on)
        return;
    self->is_receiving = on;
    if (self->connection == NULL || !is_in_use(self))
        return;

    self->connection->module->receive(self->connection->transport, self->identity, on);
    if (!on)
        self->is_poll_owed = TRUE;
    else if (self->is_poll_owed)
        poll_hub(self);
}

void
spoke_attachment_settle(SpokeAttachment *self, guint64 token, SpokeVerdict verdict)
{
    if (!spoke_flow_settle_arrival(self->flow, token, verdict) || self->connection == NULL)
        return;
    if (verdict == SPOKE_VERDICT_RELEASE && is_in_use(self) && is_polled(self))
        set_due(self, SPOKE_DUE_POLL,
                MIN(self->due_usec[SPOKE_DUE_POLL], now(self, SPOKE_CLOCK_BOOT) + POLL_AGAIN_USEC));
    go_on(self);
}

gboolean
spoke_attachment_check_now(SpokeAttachment *self)
{
    if (self->connection == NULL || !is_in_use(self))
        return FALSE;

    poll_hub(self);
    return TRUE;
}

SpokeConnection *
spoke_attachment_get_connection(SpokeAttachment *self)
{
    return self->connection;
}

SpokeConnectionState
spoke_attachment_get_state(SpokeAttachment *self)
{
    if (self->connection == NULL)
        return SPOKE_CONNECTION_OFFLINE;
    switch (self->place) {
    case SPOKE_PLACE_IN:
        return self->connection->state;
    case SPOKE_PLACE_ASKED:
        return SPOKE_CONNECTION_CONNECTING;
    case SPOKE_PLACE_OUT:
        break;
    }
    if (self->connection->transport == NULL || self->due_usec[SPOKE_DUE_RETRY] != SPOKE_CLOCK_NEVER)
        return SPOKE_CONNECTION_OFFLINE;
    return self->connection->state == SPOKE_CONNECTION_CONNECTED ? SPOKE_CONNECTION_CONNECTING
                                                                 : self->connection->state;
}

const char *
spoke_attachment_get_transport(SpokeAttachment *self)
{
    return self->place == SPOKE_PLACE_IN ? self->connection->module->name : "";
}

SpokeCapabilities
spoke_attachment_get_capabilities(SpokeAttachment *self)
{
    return self->place == SPOKE_PLACE_IN ? self->connection->module->capabilities : 0;
}

SpokeCause
spoke_attachment_get_last_error(SpokeAttachment *self, const char **ret_detail)
{
    SpokeConnection *connection = self->connection;
    gboolean is_common = connection != NULL && connection->last_error != SPOKE_CAUSE_NONE;
    const char *detail = is_common ? connection->last_detail : self->last_detail;

    if (ret_detail != NULL)
        *ret_detail = detail != NULL ? detail : "";
    return is_common ? connection->last_error : self->last_error;
}

gint64
spoke_attachment_get_connected_since(SpokeAttachment *self)
{
    return self->connected_since_usec;
}

gint64
spoke_attachment_get_next_attempt(SpokeAttachment *self)
{
    if (self->connection == NULL)
        return 0;
    if (spoke_connection_is_waiting(self->connection))
        return self->connection->next_attempt_usec;
    return self->due_usec[SPOKE_DUE_RETRY] != SPOKE_CLOCK_NEVER ? self->next_attempt_usec : 0;
}

gint64
spoke_attachment_get_token_expiry(SpokeAttachment *self)
{
    return self->place == SPOKE_PLACE_IN ? self->token_expiry_usec : 0;
}
