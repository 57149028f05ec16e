/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/unit/fake-transport.h"

struct SpokeTransport {
    const SpokeTransportEvents *events;
    gpointer user_data;
    SpokeIdentity *identity;
    gboolean is_closing;
};

static FakeTransport record;
static SpokeTransport *last; /* NULL once freed */

static SpokeTransport *
fake_create(const SpokeEndpoint *endpoint, const SpokeTransportEvents *events, gpointer user_data)
{
    SpokeTransport *self = g_new0(SpokeTransport, 1);

    g_assert_cmpstr(endpoint->host, !=, NULL);
    g_assert_cmpuint(endpoint->port, !=, 0);
    self->events = events;
    self->user_data = user_data;
    last = self;
    record.n_created++;
    record.n_alive++;
    record.is_open = record.is_attached_to = record.is_closing = FALSE;
    g_ptr_array_set_size(record.asked, 0);
    g_ptr_array_set_size(record.let_go, 0);
    g_ptr_array_set_size(record.sent, 0);
    g_ptr_array_set_size(record.senders, 0);
    return self;
}

static void
fake_open(SpokeTransport *self)
{
    record.is_open = TRUE;
}

static void
fake_attach(SpokeTransport *self, SpokeIdentity *identity, SpokeSecret *token)
{
    self->identity = identity;
    record.is_attached_to = TRUE;
    g_ptr_array_add(record.asked, identity);
    record.had_token = token != NULL;
}

/* What it sent is not known to have arrived. */
static void
forget_sent(SpokeIdentity *identity)
{
    for (guint i = record.senders->len; i > 0; i--) {
        if (record.senders->pdata[i - 1] != identity)
            continue;
        g_ptr_array_remove_index(record.sent, i - 1);
        g_ptr_array_remove_index(record.senders, i - 1);
    }
}

static void
fake_detach(SpokeTransport *self, SpokeIdentity *identity)
{
    g_ptr_array_add(record.let_go, identity);
    forget_sent(identity);
}

static void
fake_send(SpokeTransport *self, SpokeIdentity *identity, const SpokeOutgoing *messages, guint n)
{
    g_assert_true(g_ptr_array_find(record.asked, identity, NULL));
    g_assert_cmpuint(record.sent->len + n, <=, fake_transport_module.connection_window + 2);
    g_assert_false(self->is_closing);
    for (guint i = 0; i < n; i++) {
        g_ptr_array_add(record.sent, messages[i].message);
        g_ptr_array_add(record.senders, identity);
        g_ptr_array_add(record.sent_ids, g_strdup(messages[i].message_id));
    }
    record.n_batches++;
}

static void
fake_receive(SpokeTransport *self, SpokeIdentity *identity, gboolean on)
{
    record.is_receiving = on;
    record.n_receive_calls++;
}

static void
fake_poll(SpokeTransport *self, SpokeIdentity *identity)
{
    record.n_polls++;
}

static guint64
fake_get_progress(SpokeTransport *self)
{
    return record.progress;
}

static void
fake_settle(SpokeTransport *self, gpointer token, SpokeVerdict verdict)
{
    g_array_append_val(record.verdicts, verdict);
}

static void
fake_close(SpokeTransport *self)
{
    g_assert_false(self->is_closing);
    self->is_closing = record.is_closing = TRUE;
}

static void
fake_free(SpokeTransport *self)
{
    if (last == self)
        last = NULL;
    record.n_alive--;
    g_free(self);
}

#define COMMON                                                                                     \
    .abi = SPOKE_TRANSPORT_ABI, .default_port = 1234, .window = 4, .window_bytes = 10000,          \
    .connection_window = 6, .connection_bytes = 15000, .create = fake_create, .open = fake_open,   \
    .attach = fake_attach, .detach = fake_detach, .send = fake_send, .receive = fake_receive,      \
    .poll = fake_poll, .get_progress = fake_get_progress, .settle = fake_settle,                   \
    .close = fake_close, .free = fake_free

const SpokeTransportModule fake_transport_module = {
    COMMON,
    .name = "fake",
    .capabilities = SPOKE_CAPABILITY_PUSH,
    .identities_max = 1,
};

const SpokeTransportModule fake_transport_for_many = {
    COMMON,
    .name = "fake-many",
    .capabilities = SPOKE_CAPABILITY_SETTLE | SPOKE_CAPABILITY_MULTIPLEX | SPOKE_CAPABILITY_RENEW,
    .identities_max = 3,
};

FakeTransport *
fake_transport_begin(void)
{
    record = (FakeTransport){
        .sent = g_ptr_array_new(),
        .senders = g_ptr_array_new(),
        .sent_ids = g_ptr_array_new_with_free_func(g_free),
        .asked = g_ptr_array_new(),
        .let_go = g_ptr_array_new(),
        .verdicts = g_array_new(FALSE, FALSE, sizeof(SpokeVerdict)),
    };
    return &record;
}

void
fake_transport_finish(void)
{
    g_assert_cmpuint(record.n_alive, ==, 0);
    g_ptr_array_unref(record.sent);
    g_ptr_array_unref(record.senders);
    g_ptr_array_unref(record.sent_ids);
    g_array_unref(record.verdicts);
    g_ptr_array_unref(record.asked);
    g_ptr_array_unref(record.let_go);
}

void
fake_transport_opened(void)
{
    g_assert_true(record.is_open);
    last->events->opened(last->user_data);
}

void
fake_transport_attached(void)
{
    g_assert_true(record.is_attached_to);
    last->events->attached(last->identity, last->user_data);
}

void
fake_transport_attached_as(SpokeIdentity *identity)
{
    last->identity = identity;
    last->events->attached(identity, last->user_data);
}

void
fake_transport_detached(SpokeIdentity *identity, SpokeCause cause, gint64 wait_usec)
{
    forget_sent(identity);
    last->events->detached(identity, cause, "why", wait_usec, last->user_data);
}

void
fake_transport_log_in(void)
{
    fake_transport_opened();
    fake_transport_attached();
}

void
fake_transport_closed(SpokeCause cause)
{
    last->events->closed(cause, "why", last->user_data);
}

void
fake_transport_settled(guint n, SpokeVerdict verdict)
{
    g_autofree SpokeSettlement *settlements = g_new0(SpokeSettlement, n);

    g_assert_cmpuint(n, <=, record.sent->len);
    for (guint i = 0; i < n; i++)
        settlements[i] = (SpokeSettlement){.message = record.sent->pdata[i], .verdict = verdict};
    g_ptr_array_remove_range(record.sent, 0, n);
    g_ptr_array_remove_range(record.senders, 0, n);
    last->events->settled(last->identity, settlements, n, last->user_data);
}

void
fake_transport_settled_at(guint index, SpokeVerdict verdict)
{
    const SpokeSettlement settlement = {.message = record.sent->pdata[index], .verdict = verdict};

    SpokeIdentity *sender = record.senders->pdata[index];

    g_ptr_array_remove_index(record.sent, index);
    g_ptr_array_remove_index(record.senders, index);
    last->events->settled(sender, &settlement, 1, last->user_data);
}

guint
fake_transport_count_sent(SpokeIdentity *identity)
{
    guint n = 0;

    for (guint i = 0; i < record.senders->len; i++)
        n += record.senders->pdata[i] == identity;
    return n;
}

void
fake_transport_accepted_of(SpokeIdentity *identity)
{
    guint index = 0;

    g_assert_true(g_ptr_array_find(record.senders, identity, &index));
    fake_transport_settled_at(index, SPOKE_VERDICT_ACCEPT);
}

void
fake_transport_arrived(SpokeMessage *message, gpointer token)
{
    last->events->arrived(last->identity, message, token, last->user_data);
}
