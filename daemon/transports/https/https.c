/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/transport.h"

#include "daemon/transports/https/account.h"
#include "daemon/transports/https/login.h"
#include "daemon/transports/https/poll.h"
#include "daemon/transports/https/uplink.h"

#include <gmodule.h>

/*
 * The device API over HTTPS. There is no connection in the protocol's sense: open() proves the way
 * to the hub with one request that needs no login, attach() has the hub accept a token, and each
 * request after that stands for itself. What the hub says about an identity ends that identity; a
 * request that gets no answer ends all, and the daemon begins anew with open().
 */
struct SpokeTransport {
    const SpokeTransportEvents *events; /* borrowed, outlives us */
    gpointer user_data;
    guint connect_timeout_sec;

    SpokePool *pool;      /* owned; NULL after the end */
    GHashTable *accounts; /* owned: SpokeIdentity → owned SpokeAccount, which holds it */
    GHashTable *arrivals; /* owned: token → owned Arrival */
    gsize last_token;
    gboolean is_closing;
    guint close_id; /* source */
};

typedef struct {
    SpokeAccount *account; /* borrowed: ends before it does */
    char *lock;            /* owned */
} Arrival;

/* Source: iot-hub-protocol.md, 11. */
#define PORT 443

/* Two batches and more: one is under way while the next one gathers. */
#define WINDOW       2048
#define WINDOW_BYTES (1024 * 1024)
/* Of all. */
#define CONNECTION_WINDOW 16384
#define CONNECTION_BYTES  (8 * 1024 * 1024)

#define CLOSE_SEC 3

static void
arrival_free(gpointer data)
{
    Arrival *arrival = data;

    g_free(arrival->lock);
    g_free(arrival);
}

/* Ends */

static void
shut_down(SpokeTransport *self)
{
    g_clear_handle_id(&self->close_id, g_source_remove);
    g_hash_table_remove_all(self->arrivals);
    g_hash_table_remove_all(self->accounts);
    g_clear_pointer(&self->pool, spoke_pool_free);
}

static void
end(SpokeTransport *self, SpokeCause cause, const char *detail)
{
    g_autofree char *copy = g_strdup(detail); /* @detail may be a request's, which goes */

    if (self->is_closing)
        cause = SPOKE_CAUSE_CLOSED; /* whatever else happened on the way */
    shut_down(self);
    self->events->closed(cause, copy, self->user_data); /* may free us */
}

static gboolean
is_of_account(gpointer token, gpointer value, gpointer account)
{
    return ((Arrival *)value)->account == account;
}

static void
forget(SpokeTransport *self, SpokeAccount *account)
{
    g_hash_table_foreach_remove(self->arrivals, is_of_account, account);
    g_hash_table_remove(self->accounts, account->identity);
}

static void
detach(SpokeTransport *self, SpokeAccount *account, SpokeCause cause, const char *detail,
       gint64 wait_usec)
{
    g_autoptr(SpokeIdentity) identity = spoke_identity_ref(account->identity);
    g_autofree char *copy = g_strdup(detail);

    forget(self, account);
    self->events->detached(identity, cause, copy, wait_usec, self->user_data); /* may free us */
}

/* What the accounts say */

static void
on_accepted(SpokeAccount *account, gpointer user_data)
{
    SpokeTransport *self = user_data;

    self->events->attached(account->identity, self->user_data);
}

static void
on_settled(SpokeAccount *account, const SpokeSettlement *settlements, guint n, gpointer user_data)
{
    SpokeTransport *self = user_data;

    self->events->settled(account->identity, settlements, n, self->user_data);
}

static void
on_arrived(SpokeAccount *account, SpokeMessage *message, const char *lock, gpointer user_data)
{
    SpokeTransport *self = user_data;
    Arrival *arrival = g_new0(Arrival, 1);
    gpointer token = GSIZE_TO_POINTER(++self->last_token);

    arrival->account = account;
    arrival->lock = g_strdup(lock);
    g_hash_table_insert(self->arrivals, token, arrival);
    self->events->arrived(account->identity, message, token, self->user_data);
}

static void
on_refused(SpokeAccount *account, SpokeCause cause, const char *detail, gint64 wait_usec,
           gpointer user_data)
{
    detach(user_data, account, cause, detail, wait_usec);
}

static void
on_broken(SpokeCause cause, const char *detail, gpointer user_data)
{
    end(user_data, cause, detail);
}

static void
on_finished(SpokeAccount *account, gpointer user_data)
{
    SpokeTransport *self = user_data;

    if (!self->is_closing) /* else on_drained() says it for all */
        detach(self, account, SPOKE_CAUSE_CLOSED, NULL, 0);
}

static const SpokeAccountEvents account_events = {
    .accepted = on_accepted,
    .settled = on_settled,
    .arrived = on_arrived,
    .refused = on_refused,
    .broken = on_broken,
    .finished = on_finished,
};

/* Opening and closing */

/* Any answer will do: it takes DNS, TCP, the proxy, TLS and somebody who speaks HTTP to get one. */
static gboolean
prepare_probe(SpokeRequest *request, gpointer user_data)
{
    SpokeTransport *self = user_data;

    spoke_request_set_target(request, "HEAD", "/");
    spoke_request_set_timeout(request, self->connect_timeout_sec);
    return TRUE;
}

static void
on_probed(SpokeRequest *request, gpointer user_data)
{
    SpokeTransport *self = user_data;
    const char *detail = NULL;
    SpokeCause cause = spoke_request_get_failure(request, &detail);

    if (self->is_closing)
        return; /* on_drained() follows */
    if (cause != SPOKE_CAUSE_NONE)
        end(self, cause, detail);
    else
        self->events->opened(self->user_data);
}

static const SpokeRequestFuncs probe_funcs = {.prepare = prepare_probe, .done = on_probed};

static gboolean
on_close_now(gpointer user_data)
{
    SpokeTransport *self = user_data;

    self->close_id = 0;
    end(self, SPOKE_CAUSE_CLOSED, NULL);
    return G_SOURCE_REMOVE;
}

static void
on_drained(gpointer user_data)
{
    SpokeTransport *self = user_data;

    if (self->is_closing)
        end(self, SPOKE_CAUSE_CLOSED, NULL);
}

/* The table of functions */

static SpokeTransport *
https_create(const SpokeEndpoint *endpoint, const SpokeTransportEvents *events, gpointer user_data)
{
    SpokeTransport *self = g_new0(SpokeTransport, 1);

    self->events = events;
    self->user_data = user_data;
    self->connect_timeout_sec = endpoint->connect_timeout_sec;
    self->pool = spoke_pool_new(endpoint, on_drained, self);
    self->accounts = g_hash_table_new_full(NULL, NULL, NULL, (GDestroyNotify)spoke_account_drop);
    self->arrivals = g_hash_table_new_full(NULL, NULL, NULL, arrival_free);
    return self;
}

static void
https_open(SpokeTransport *self)
{
    (void)spoke_request_start(self->pool, &probe_funcs, self);
}

static SpokeAccount *
find_account(SpokeTransport *self, SpokeIdentity *identity)
{
    return g_hash_table_lookup(self->accounts, identity);
}

/* A module can't log in, and a token that is renewed shows its worth with the next request. */
static gboolean
on_attached(gpointer user_data)
{
    SpokeAccount *account = user_data;
    SpokeTransport *self = account->user_data;

    account->say_id = 0;
    if (account->identity->module_id != NULL)
        detach(self, account, SPOKE_CAUSE_UNSUPPORTED, "the hub has no HTTPS interface for modules",
               0);
    else
        self->events->attached(account->identity, self->user_data);
    return G_SOURCE_REMOVE;
}

static gboolean
on_detached(gpointer user_data)
{
    SpokeAccount *account = user_data;

    account->say_id = 0;
    detach(account->user_data, account, SPOKE_CAUSE_CLOSED, NULL, 0);
    return G_SOURCE_REMOVE;
}

static void
https_attach(SpokeTransport *self, SpokeIdentity *identity, SpokeSecret *token)
{
    if (self->pool == NULL)
        return;

    SpokeAccount *account = find_account(self, identity);

    if (account != NULL && account->is_finishing) { /* back before it was gone */
        forget(self, account);
        account = NULL;
    }
    gboolean is_new = account == NULL;

    if (is_new) {
        account = spoke_account_new(identity, self->pool, &account_events, self);
        g_hash_table_insert(self->accounts, identity, account);
    }
    spoke_secret_unref(account->token);
    account->token = spoke_secret_ref(token);
    if (is_new && identity->module_id == NULL)
        spoke_login_start(account);
    else if (account->login == NULL && account->say_id == 0)
        account->say_id = g_idle_add_full(G_PRIORITY_DEFAULT, on_attached, account, NULL);
}

static void
https_detach(SpokeTransport *self, SpokeIdentity *identity)
{
    SpokeAccount *account = find_account(self, identity);

    if (account == NULL || account->is_finishing)
        return;
    spoke_account_finish(account);
    g_clear_handle_id(&account->say_id, g_source_remove);
    account->say_id = spoke_account_is_busy(account)
                          ? g_timeout_add_seconds(CLOSE_SEC, on_detached, account)
                          : g_idle_add_full(G_PRIORITY_DEFAULT, on_detached, account, NULL);
}

static void
https_send(SpokeTransport *self, SpokeIdentity *identity, const SpokeOutgoing *messages, guint n)
{
    SpokeAccount *account = find_account(self, identity);

    g_return_if_fail(account != NULL);
    spoke_uplink_send(account->uplink, messages, n);
}

static void
https_receive(SpokeTransport *self, SpokeIdentity *identity, gboolean on)
{
    SpokeAccount *account = find_account(self, identity);

    if (account != NULL && !self->is_closing)
        spoke_poll_receive(account->poll, on);
}

static void
https_poll(SpokeTransport *self, SpokeIdentity *identity)
{
    SpokeAccount *account = find_account(self, identity);

    if (account != NULL && !self->is_closing)
        spoke_poll_ask(account->poll);
}

static void
https_settle(SpokeTransport *self, gpointer token, SpokeVerdict verdict)
{
    const Arrival *arrival = g_hash_table_lookup(self->arrivals, token);

    if (arrival == NULL)
        return; /* of an identity that was detached */
    spoke_poll_settle(arrival->account->poll, arrival->lock, verdict);
    g_hash_table_remove(self->arrivals, token);
}

static void
https_close(SpokeTransport *self)
{
    GHashTableIter iter;
    gpointer account = NULL;

    if (self->is_closing || self->pool == NULL)
        return;
    self->is_closing = TRUE;
    g_hash_table_iter_init(&iter, self->accounts);
    while (g_hash_table_iter_next(&iter, NULL, &account))
        spoke_account_finish(account);
    self->close_id = spoke_pool_is_idle(self->pool)
                         ? g_idle_add_full(G_PRIORITY_DEFAULT, on_close_now, self, NULL)
                         : g_timeout_add_seconds(CLOSE_SEC, on_close_now, self);
}

static void
https_free(SpokeTransport *self)
{
    if (self == NULL)
        return;
    shut_down(self);
    g_hash_table_unref(self->accounts);
    g_hash_table_unref(self->arrivals);
    g_free(self);
}

static guint64
https_get_progress(SpokeTransport *self)
{
    return self->pool != NULL ? spoke_pool_get_progress(self->pool) : 0;
}

static const SpokeTransportModule https_module = {
    .abi = SPOKE_TRANSPORT_ABI,
    .name = "https",
    .capabilities = SPOKE_CAPABILITY_SETTLE | SPOKE_CAPABILITY_MULTIPLEX | SPOKE_CAPABILITY_RENEW |
                    SPOKE_CAPABILITY_PROXY,
    .default_port = PORT,
    .identities_max = G_MAXUINT,
    .window = WINDOW,
    .window_bytes = WINDOW_BYTES,
    .connection_window = CONNECTION_WINDOW,
    .connection_bytes = CONNECTION_BYTES,
    .create = https_create,
    .open = https_open,
    .attach = https_attach,
    .detach = https_detach,
    .send = https_send,
    .receive = https_receive,
    .poll = https_poll,
    .get_progress = https_get_progress,
    .settle = https_settle,
    .close = https_close,
    .free = https_free,
};

/* The module's one symbol: SPOKE_TRANSPORT_SYMBOL. */
G_MODULE_EXPORT extern const SpokeTransportModule *const spoke_transport_modules[];
const SpokeTransportModule *const spoke_transport_modules[] = {&https_module, NULL};
