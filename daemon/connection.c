/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/connection-private.h"

#include "daemon/deadlines.h"
#include "daemon/events.h"
#include "daemon/flow.h"
#include "daemon/login.h"
#include "daemon/module.h"

#include <gio/gio.h>

/*
 * The states that are shown:
 *
 *   OFFLINE      not started, waiting for the next attempt or for the clock, or stopped
 *   CONNECTING   a transport exists and has not logged in
 *   CONNECTED    it has; messages flow (flow.h)
 *   DRAINING     what is in flight is still awaited, then the transport is closed; why is the Goal
 *
 * A transport is one attempt and one connection: each comes with a new one. Time comes through
 * deadlines only: a row each, kept by one alarm on either clock, so nothing polls. Those on the
 * wall clock notice when it is set: a token is renewed when its time has come by whatever clock
 * there is now, and a refusal that a wrong clock may have caused is not waited out once the clock
 * is put right.
 */

typedef enum {
    GOAL_STAY,
    GOAL_RENEW,  /* close, and come back at once with a new token */
    GOAL_RETURN, /* likewise, with a new configuration */
    GOAL_STOP,   /* send what there is, close, never come back */
} Goal;

typedef enum {
    DEADLINE_ATTEMPT,
    DEADLINE_DRAIN, /* close, whatever is still in flight */
    DEADLINE_CLOSE, /* drop a transport that does not say goodbye */
    DEADLINE_STOP,
    DEADLINE_ACK,          /* look whether acknowledgements come */
    DEADLINE_RENEW,        /* by the wall clock */
    DEADLINE_ATTEMPT_WALL, /* likewise: the clock was set while we waited, or at all */
    N_DEADLINES,
} Deadline;

struct SpokeConnection {
    const SpokeConnectionEvents *events; /* borrowed, outlives us */
    gpointer user_data;
    SpokeLogin login;          /* owned */
    SpokeFlow *flow;           /* owned; NULL before set_identity() */
    SpokeDeadlines *deadlines; /* owned; rows are Deadlines */
    double (*random)(void);
    gboolean watches_network;
    GNetworkMonitor *monitor; /* owned; NULL before start() and when not watched */
    gulong monitor_id;

    SpokeConnectionState state;
    Goal goal;
    gboolean is_started;
    gboolean is_closing;     /* the transport was told to close */
    gboolean is_clock_unset; /* and the journal knows */

    const SpokeTransportModule *module; /* NULL until one is loaded */
    SpokeTransport *transport;          /* owned; NULL while OFFLINE */
    SpokeSecret *token;                 /* owned; between attempt() and opened() */
    gint64 token_expiry_usec;           /* wall clock; 0 without one */
    gint64 attempt_usec;                /* boot clock: when the last attempt began */
    gint64 attached_usec;               /* boot clock; 0 unless logged in */
    gint64 connected_since_usec;        /* wall clock; 0 unless logged in */
    gint64 left_usec;                   /* boot clock: when a renewal took us off the line; or 0 */
    gint64 next_attempt_usec;           /* wall clock; while DEADLINE_ATTEMPT is set */
    gint64 progress_usec;               /* boot clock: the last acknowledgement, or first message */

    SpokeRetry retry;
    guint refusals; /* AUTHENTICATION_FAILED, in a row */
    SpokeCause last_error;
    char *last_detail; /* owned */
    gboolean is_receiving;

    void (*stopped)(gpointer); /* NULL unless stopping */
    gpointer stopped_data;
    guint stopped_id; /* source */
};

/* Until policy/ chooses. */
#define TRANSPORT "mqtt"

/* How much later the wall clock's alarm for an attempt is than the boot clock's: it is there for
 * steps, not for drift. */
#define WALL_SLACK_USEC (2 * G_USEC_PER_SEC)

/* Of the time to stop, this part is left for saying goodbye, up to CLOSE_USEC. */
#define STOP_CLOSE_SHARE 4

static void attempt(SpokeConnection *connection);
static void end(SpokeConnection *connection, SpokeCause cause, const char *detail);

/* Time */

static gint64
now(SpokeConnection *connection, SpokeClockKind kind)
{
    return spoke_deadlines_now(connection->deadlines, kind);
}

/* State */

static void
changed(SpokeConnection *connection)
{
    connection->events->changed(connection->user_data);
}

static void
set_error(SpokeConnection *connection, SpokeCause cause, const char *detail)
{
    char *copy = g_strdup(detail);

    connection->last_error = cause;
    g_free(connection->last_detail);
    connection->last_detail = copy;
}

static gboolean
is_attached(SpokeConnection *connection)
{
    return connection->attached_usec != 0;
}

/* The end of a connection */

static gboolean
on_stopped(gpointer user_data)
{
    SpokeConnection *connection = user_data;
    void (*stopped)(gpointer) = connection->stopped;

    connection->stopped_id = 0;
    connection->stopped = NULL;
    stopped(connection->stopped_data);
    return G_SOURCE_REMOVE;
}

/* Stopping is over. From an idle source, so that it never comes from within stop(). */
static void
finish_stop(SpokeConnection *connection)
{
    spoke_deadlines_clear_all(connection->deadlines);
    if (connection->stopped != NULL && connection->stopped_id == 0)
        connection->stopped_id = g_idle_add_full(G_PRIORITY_DEFAULT, on_stopped, connection, NULL);
}

/* Returns: the cause to go by */
static SpokeCause
drop_transport(SpokeConnection *connection, SpokeCause cause)
{
    gint64 lived_usec = 0;

    if (is_attached(connection))
        lived_usec = MAX(now(connection, SPOKE_CLOCK_BOOT) - connection->attached_usec, 1);
    connection->attached_usec = 0; /* first: giving back may have the outbox wake us */
    if (connection->flow != NULL)
        cause = spoke_flow_end(connection->flow, cause, lived_usec);
    if (lived_usec >= SPOKE_SUSPICION_LIVED_USEC)
        spoke_retry_reset(&connection->retry);
    if (connection->transport != NULL)
        connection->module->free(g_steal_pointer(&connection->transport));
    g_clear_pointer(&connection->token, spoke_secret_unref);
    connection->token_expiry_usec = 0;
    connection->connected_since_usec = 0;
    connection->is_closing = FALSE;
    connection->state = SPOKE_CONNECTION_OFFLINE;
    spoke_deadlines_clear(connection->deadlines, DEADLINE_DRAIN);
    spoke_deadlines_clear(connection->deadlines, DEADLINE_CLOSE);
    spoke_deadlines_clear(connection->deadlines, DEADLINE_ACK);
    spoke_deadlines_clear(connection->deadlines, DEADLINE_RENEW);
    return cause;
}

static void
set_attempt(SpokeConnection *connection, gint64 delay_usec)
{
    spoke_deadlines_set_in(connection->deadlines, DEADLINE_ATTEMPT, delay_usec);
    connection->next_attempt_usec = now(connection, SPOKE_CLOCK_WALL) + delay_usec;
}

static void
wait_for_attempt(SpokeConnection *connection, gint64 delay_usec)
{
    set_attempt(connection, delay_usec);
    spoke_deadlines_set_in(connection->deadlines, DEADLINE_ATTEMPT_WALL,
                           delay_usec + WALL_SLACK_USEC);
}

/* The first refusal may be the token's fault, so a fresh one is tried at once.
 * Source: iot-hub-protocol.md, 7.5. */
static gint64
choose_delay(SpokeConnection *connection, SpokeCause cause)
{
    connection->refusals =
        cause == SPOKE_CAUSE_AUTHENTICATION_FAILED ? connection->refusals + 1 : 0;
    if (connection->refusals == 1)
        return 0;
    return spoke_retry_next(&connection->retry, spoke_cause_get_pace(cause), connection->random());
}

static void
fail(SpokeConnection *connection, SpokeCause cause, const char *detail)
{
    gint64 delay_usec = choose_delay(connection, cause);

    connection->left_usec = 0;
    set_error(connection, cause, detail);
    spoke_event_link_down(cause, detail != NULL ? detail : "", delay_usec);
    wait_for_attempt(connection, delay_usec);
    changed(connection);
}

/* The transport has come to its end, by itself or by us. */
static void
end(SpokeConnection *connection, SpokeCause cause, const char *detail)
{
    cause = drop_transport(connection, cause);
    switch (connection->goal) {
    case GOAL_STAY:
        fail(connection, cause, detail);
        break;
    case GOAL_RENEW:
        if (connection->left_usec == 0) /* lost while it was drained */
            connection->left_usec = now(connection, SPOKE_CLOCK_BOOT);
        G_GNUC_FALLTHROUGH;
    case GOAL_RETURN:
        connection->goal = GOAL_STAY;
        attempt(connection);
        break;
    case GOAL_STOP:
        finish_stop(connection);
        changed(connection);
        break;
    }
}

static void
close_transport(SpokeConnection *connection)
{
    if (connection->is_closing)
        return;
    connection->is_closing = TRUE;
    if (connection->goal == GOAL_RENEW)
        connection->left_usec = now(connection, SPOKE_CLOCK_BOOT);
    spoke_deadlines_clear(connection->deadlines, DEADLINE_DRAIN);
    spoke_deadlines_set_in(connection->deadlines, DEADLINE_CLOSE, SPOKE_CONNECTION_CLOSE_USEC);
    connection->module->close(connection->transport); /* on_closed() follows */
}

static gboolean
is_drained(SpokeConnection *connection)
{
    if (spoke_flow_get_sent(connection->flow) > 0 || spoke_flow_get_arrivals(connection->flow) > 0)
        return FALSE;
    return connection->goal != GOAL_STOP || spoke_flow_get_queued(connection->flow) == 0;
}

/* Sends what may be sent; and when nothing is awaited any more, goes on to what draining is for. */
static void
go_on(SpokeConnection *connection)
{
    if (!is_attached(connection) || connection->is_closing)
        return;

    guint n_sent = spoke_flow_get_sent(connection->flow);

    if (connection->goal == GOAL_STAY || connection->goal == GOAL_STOP)
        spoke_flow_feed(connection->flow);
    if (n_sent == 0)
        connection->progress_usec = now(connection, SPOKE_CLOCK_BOOT);
    if (spoke_deadlines_get(connection->deadlines, DEADLINE_ACK) == SPOKE_CLOCK_NEVER &&
        spoke_flow_get_sent(connection->flow) > 0)
        spoke_deadlines_set_in(connection->deadlines, DEADLINE_ACK, SPOKE_CONNECTION_ACK_USEC);
    if (connection->goal != GOAL_STAY && is_drained(connection))
        close_transport(connection);
}

static void
drain(SpokeConnection *connection, Goal goal, gint64 drain_usec)
{
    connection->goal = goal;
    connection->state = SPOKE_CONNECTION_DRAINING;
    spoke_deadlines_clear(connection->deadlines, DEADLINE_RENEW);
    spoke_deadlines_set_in(connection->deadlines, DEADLINE_DRAIN, drain_usec);
    go_on(connection);
    changed(connection);
}

/* What the transport says */

static void
on_opened(gpointer user_data)
{
    SpokeConnection *connection = user_data;
    g_autoptr(SpokeSecret) token = g_steal_pointer(&connection->token);

    connection->module->attach(connection->transport, connection->login.identity, token);
}

static void
on_closed(SpokeCause cause, const char *detail, gpointer user_data)
{
    g_autofree char *copy = g_strdup(detail); /* @detail may be the transport's, which goes */

    end(user_data, cause, copy);
}

static void
schedule_renewal(SpokeConnection *connection)
{
    gint64 wall_usec = now(connection, SPOKE_CLOCK_WALL);
    gint64 delay_usec =
        connection->token_expiry_usec != 0
            ? spoke_credentials_renewal_delay(connection->login.credentials, wall_usec,
                                              connection->token_expiry_usec, connection->random())
            : -1;

    if (delay_usec >= 0)
        spoke_deadlines_set(connection->deadlines, DEADLINE_RENEW, wall_usec + delay_usec);
}

static void
log_attached(SpokeConnection *connection)
{
    if (connection->left_usec != 0)
        spoke_event_token_renewed(connection->token_expiry_usec,
                                  connection->attached_usec - connection->left_usec);
    else
        spoke_event_link_up(connection->module->name, connection->login.options.host,
                            connection->login.options.port != 0 ? connection->login.options.port
                                                                : connection->module->default_port,
                            connection->attached_usec - connection->attempt_usec);
    connection->left_usec = 0;
}

static void
on_attached(SpokeIdentity *identity, gpointer user_data)
{
    SpokeConnection *connection = user_data;

    connection->attached_usec = now(connection, SPOKE_CLOCK_BOOT);
    connection->connected_since_usec = now(connection, SPOKE_CLOCK_WALL);
    connection->refusals = 0;
    connection->state = SPOKE_CONNECTION_CONNECTED;
    set_error(connection, SPOKE_CAUSE_NONE, NULL);
    log_attached(connection);
    spoke_flow_begin(connection->flow, connection->module, connection->transport,
                     connection->login.identity);
    /* Said in either case: the hub may remember a subscription from an earlier connection. */
    connection->module->receive(connection->transport, connection->login.identity,
                                connection->is_receiving);
    if (connection->goal == GOAL_STAY)
        schedule_renewal(connection);
    else
        connection->state = SPOKE_CONNECTION_DRAINING;
    go_on(connection);
    changed(connection);
}

static void
on_detached(SpokeIdentity *identity, SpokeCause cause, const char *detail, gint64 wait_usec,
            gpointer user_data)
{
    on_closed(cause, detail, user_data); /* ours is the only identity */
}

static void
on_settled(SpokeIdentity *identity, const SpokeSettlement *settlements, guint n, gpointer user_data)
{
    SpokeConnection *connection = user_data;

    connection->progress_usec = now(connection, SPOKE_CLOCK_BOOT);
    spoke_flow_settled(connection->flow, settlements, n);
    go_on(connection);
}

static void
on_arrived(SpokeIdentity *identity, SpokeMessage *message, gpointer token, gpointer user_data)
{
    SpokeConnection *connection = user_data;
    guint64 number = spoke_flow_add_arrival(connection->flow, token);

    connection->events->arrived(message, number, connection->user_data);
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
wait_for_clock(SpokeConnection *connection)
{
    set_error(connection, SPOKE_CAUSE_CLOCK, NULL);
    if (!connection->is_clock_unset)
        spoke_event_clock_unset();
    connection->is_clock_unset = TRUE;
    spoke_deadlines_set(connection->deadlines, DEADLINE_ATTEMPT_WALL,
                        SPOKE_CONNECTION_CLOCK_SANE_USEC);
    changed(connection);
}

static gboolean
load_module(SpokeConnection *connection, GError **error)
{
    if (connection->module == NULL)
        connection->module =
            spoke_module_load(connection->login.options.transport_dir, TRANSPORT, error);
    return connection->module != NULL;
}

static void
open_transport(SpokeConnection *connection)
{
    const SpokeEndpoint endpoint = {
        .host = connection->login.options.host,
        .port = connection->login.options.port != 0 ? connection->login.options.port
                                                    : connection->module->default_port,
        .ca_file = connection->login.options.ca_file,
        .keepalive_sec = connection->login.options.keepalive_sec,
        .connect_timeout_sec = connection->login.options.connect_timeout_sec,
        .product = "spoked/" SPOKE_VERSION,
    };

    connection->state = SPOKE_CONNECTION_CONNECTING;
    connection->transport = connection->module->create(&endpoint, &transport_events, connection);
    connection->module->open(connection->transport);
    changed(connection);
}

static void
attempt(SpokeConnection *connection)
{
    gint64 wall_usec = now(connection, SPOKE_CLOCK_WALL);
    g_autoptr(GError) error = NULL;

    spoke_deadlines_clear(connection->deadlines, DEADLINE_ATTEMPT);
    spoke_deadlines_clear(connection->deadlines, DEADLINE_ATTEMPT_WALL);
    connection->attempt_usec = now(connection, SPOKE_CLOCK_BOOT);
    if (wall_usec < SPOKE_CONNECTION_CLOCK_SANE_USEC) {
        wait_for_clock(connection);
        return;
    }
    connection->is_clock_unset = FALSE;

    if (!load_module(connection, &error)) {
        fail(connection, SPOKE_CAUSE_INTERNAL, error->message);
        return;
    }
    connection->token =
        spoke_credentials_make_token(connection->login.credentials, connection->login.identity,
                                     wall_usec, &connection->token_expiry_usec, &error);
    if (connection->token == NULL) {
        fail(connection, SPOKE_CAUSE_CREDENTIALS, error->message);
        return;
    }
    open_transport(connection);
}

/* Not waiting any longer, for a reason that has nothing to do with the hub. */
static void
attempt_if_waiting(gpointer user_data)
{
    SpokeConnection *connection = user_data;

    if (connection->is_started && connection->goal == GOAL_STAY &&
        connection->state == SPOKE_CONNECTION_OFFLINE)
        attempt(connection);
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

static void
renew(gpointer user_data)
{
    SpokeConnection *connection = user_data;

    if (connection->state == SPOKE_CONNECTION_CONNECTED)
        drain(connection, GOAL_RENEW, SPOKE_CONNECTION_DRAIN_USEC);
}

static void
check_progress(gpointer user_data)
{
    SpokeConnection *connection = user_data;
    gint64 due_usec = connection->progress_usec + SPOKE_CONNECTION_ACK_USEC;

    if (spoke_flow_get_sent(connection->flow) == 0)
        return;
    if (due_usec > now(connection, SPOKE_CLOCK_BOOT))
        spoke_deadlines_set(connection->deadlines, DEADLINE_ACK, due_usec);
    else
        end(connection, SPOKE_CAUSE_KEEPALIVE, "the hub does not acknowledge what it is sent");
}

static const SpokeDeadline deadline_rows[N_DEADLINES] = {
    [DEADLINE_ATTEMPT] = {SPOKE_CLOCK_BOOT, attempt_if_waiting},
    [DEADLINE_DRAIN] = {SPOKE_CLOCK_BOOT, stop_draining},
    [DEADLINE_CLOSE] = {SPOKE_CLOCK_BOOT, abandon},
    [DEADLINE_STOP] = {SPOKE_CLOCK_BOOT, abandon},
    [DEADLINE_ACK] = {SPOKE_CLOCK_BOOT, check_progress},
    [DEADLINE_RENEW] = {SPOKE_CLOCK_WALL, renew},
    [DEADLINE_ATTEMPT_WALL] = {SPOKE_CLOCK_WALL, attempt_if_waiting},
};

/* The network */

void
spoke_connection_network_changed(SpokeConnection *connection, gboolean is_available)
{
    if (!is_available ||
        spoke_deadlines_get(connection->deadlines, DEADLINE_ATTEMPT) == SPOKE_CLOCK_NEVER ||
        spoke_cause_get_pace(connection->last_error) == SPOKE_PACE_SLOW)
        return;

    gint64 delay_usec = (gint64)(connection->random() * (double)SPOKE_CONNECTION_NETWORK_USEC);

    if (now(connection, SPOKE_CLOCK_BOOT) + delay_usec <
        spoke_deadlines_get(connection->deadlines, DEADLINE_ATTEMPT)) {
        set_attempt(connection, delay_usec);
        changed(connection);
    }
}

static void
on_network_changed(GNetworkMonitor *monitor, gboolean is_available, gpointer user_data)
{
    spoke_connection_network_changed(user_data, is_available);
}

static void
watch_network(SpokeConnection *connection)
{
    if (!connection->watches_network || connection->monitor != NULL)
        return;
    connection->monitor = g_object_ref(g_network_monitor_get_default());
    connection->monitor_id = g_signal_connect(connection->monitor, "network-changed",
                                              G_CALLBACK(on_network_changed), connection);
}

/* Public functions */

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

SpokeConnection *
spoke_connection_new_from(const SpokeConnectionOptions *options, const SpokeConnectionParts *parts,
                          const SpokeConnectionEvents *events, gpointer user_data)
{
    SpokeConnection *connection = g_new0(SpokeConnection, 1);

    spoke_login_set_options(&connection->login, options);
    connection->events = events;
    connection->user_data = user_data;
    connection->module = parts->module;
    connection->deadlines =
        spoke_deadlines_new(parts->clock, deadline_rows, N_DEADLINES, connection);
    connection->random = parts->random;
    connection->watches_network = parts->watches_network;
    connection->is_receiving = TRUE;
    return connection;
}

SpokeConnection *
spoke_connection_new(const SpokeConnectionOptions *options, const SpokeConnectionEvents *events,
                     gpointer user_data)
{
    g_autoptr(GError) error = NULL;
    SpokeClock *clock = spoke_clock_new(&error);

    if (clock == NULL) /* no descriptor at start-up: as hopeless as no memory */
        g_error("%s", error->message);

    const SpokeConnectionParts parts = {
        .clock = clock,
        .random = spoke_retry_random,
        .watches_network = TRUE,
    };

    return spoke_connection_new_from(options, &parts, events, user_data);
}

void
spoke_connection_free(SpokeConnection *connection)
{
    if (connection == NULL)
        return;

    if (connection->monitor != NULL)
        g_clear_signal_handler(&connection->monitor_id, connection->monitor);
    g_clear_object(&connection->monitor);
    g_clear_handle_id(&connection->stopped_id, g_source_remove);
    (void)drop_transport(connection, SPOKE_CAUSE_CLOSED);
    spoke_flow_free(connection->flow);
    spoke_deadlines_free(connection->deadlines);
    spoke_login_clear(&connection->login);
    g_free(connection->last_detail);
    g_free(connection);
}

void
spoke_connection_set_identity(SpokeConnection *connection, SpokeIdentity *identity,
                              SpokeCredentials *credentials, SpokeSpool *spool, SpokeOutbox *outbox)
{
    g_return_if_fail(connection->login.identity == NULL);

    spoke_login_set_identity(&connection->login, identity, credentials);
    connection->flow = spoke_flow_new(spool, outbox);
}

void
spoke_connection_reconfigure(SpokeConnection *connection, const SpokeConnectionOptions *options,
                             SpokeIdentity *identity, SpokeCredentials *credentials)
{
    gboolean is_same = spoke_login_is_same(&connection->login, options, identity, credentials);

    spoke_login_set_options(&connection->login, options);
    spoke_login_set_identity(&connection->login, identity, credentials);
    if (connection->goal == GOAL_STOP)
        return;

    if (connection->state == SPOKE_CONNECTION_OFFLINE) {
        spoke_retry_reset(&connection->retry);
        attempt_if_waiting(connection);
    } else if (is_same) {
        return;
    } else if (connection->state == SPOKE_CONNECTION_CONNECTED) {
        drain(connection, GOAL_RETURN, SPOKE_CONNECTION_DRAIN_USEC);
    } else if (connection->state == SPOKE_CONNECTION_CONNECTING) {
        (void)drop_transport(connection, SPOKE_CAUSE_CLOSED);
        attempt(connection);
    }
}

void
spoke_connection_start(SpokeConnection *connection)
{
    g_return_if_fail(connection->login.identity != NULL);

    if (connection->is_started)
        return;
    connection->is_started = TRUE;
    watch_network(connection);
    attempt(connection);
}

void
spoke_connection_wake(SpokeConnection *connection)
{
    go_on(connection);
}

void
spoke_connection_set_receiving(SpokeConnection *connection, gboolean on)
{
    if (connection->is_receiving == on)
        return;
    connection->is_receiving = on;
    if (is_attached(connection) && !connection->is_closing)
        connection->module->receive(connection->transport, connection->login.identity, on);
}

void
spoke_connection_settle(SpokeConnection *connection, guint64 token, SpokeVerdict verdict)
{
    if (connection->flow != NULL && spoke_flow_settle_arrival(connection->flow, token, verdict))
        go_on(connection);
}

void
spoke_connection_stop(SpokeConnection *connection, gint64 timeout_usec, void (*done)(gpointer),
                      gpointer user_data)
{
    g_return_if_fail(connection->stopped == NULL);

    gint64 close_usec = MIN(timeout_usec / STOP_CLOSE_SHARE, SPOKE_CONNECTION_CLOSE_USEC);

    connection->stopped = done;
    connection->stopped_data = user_data;
    connection->goal = GOAL_STOP;
    spoke_deadlines_clear(connection->deadlines, DEADLINE_ATTEMPT);
    spoke_deadlines_clear(connection->deadlines, DEADLINE_ATTEMPT_WALL);
    spoke_deadlines_set_in(connection->deadlines, DEADLINE_STOP, timeout_usec);
    if (is_attached(connection))
        drain(connection, GOAL_STOP, timeout_usec - close_usec);
    else if (connection->transport == NULL || spoke_flow_get_queued(connection->flow) == 0)
        abandon(connection);
}

SpokeConnectionState
spoke_connection_get_state(SpokeConnection *connection)
{
    return connection->state;
}

const char *
spoke_connection_get_transport(SpokeConnection *connection)
{
    return is_attached(connection) ? connection->module->name : "";
}

SpokeCapabilities
spoke_connection_get_capabilities(SpokeConnection *connection)
{
    return is_attached(connection) ? connection->module->capabilities : 0;
}

SpokeCause
spoke_connection_get_last_error(SpokeConnection *connection, const char **ret_detail)
{
    if (ret_detail != NULL)
        *ret_detail = connection->last_detail != NULL ? connection->last_detail : "";
    return connection->last_error;
}

gint64
spoke_connection_get_connected_since(SpokeConnection *connection)
{
    return connection->connected_since_usec;
}

gint64
spoke_connection_get_next_attempt(SpokeConnection *connection)
{
    if (spoke_deadlines_get(connection->deadlines, DEADLINE_ATTEMPT) == SPOKE_CLOCK_NEVER)
        return 0;
    return connection->next_attempt_usec;
}

gint64
spoke_connection_get_token_expiry(SpokeConnection *connection)
{
    return is_attached(connection) ? connection->token_expiry_usec : 0;
}
