/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/transports/amqp/engine.h"
#include "daemon/transports/amqp/sender.h"
#include "daemon/transports/amqp/wire.h"

#include <string.h>

/*
 * The sender and the engine against a peer in this program: Proton as a server, at the other end of
 * a stream that is no more than two function calls. The peer does what iothub-emulator has no
 * reason to: it refuses a message by its body, releases, or gives little credit.
 */

typedef struct {
    SpokeAmqpStream base;
    guint pull_id; /* source */
    gboolean is_over;

    pn_connection_t *connection;
    pn_transport_t *transport;
    pn_collector_t *collector;
    int credit; /* to give a link when it opens */
    guint64 size_max;
    guint n_batches;
    guint n_transfers;
    gboolean is_holding; /* answers nothing */
    guint64 outcome;     /* of what is not "bad" */
    guint n_to_release;  /* before that */
    GString *accepted;   /* "m0 m1 …": those named so, in order */
} Peer;

static gboolean
contains(const guint8 *data, gsize size, const char *word)
{
    return memmem(data, size, word, strlen(word)) != NULL;
}

/* More than one section, each of them a message. */
static gboolean
is_batch(const guint8 *data, gsize size)
{
    SpokeAmqpReader reader = {data, data + size};
    SpokeAmqpValue section;
    guint64 descriptor = 0;
    guint n = 0;

    while (spoke_amqp_read_described(&reader, &descriptor, &section))
        n += descriptor == SPOKE_AMQP_DATA;
    return n > 1;
}

static void
note_accepted(Peer *peer, const guint8 *data, gsize size)
{
    for (guint i = 0; i < 10; i++) {
        const char name[] = {'m', (char)('0' + i), ' ', '\0'};

        if (contains(data, size, name))
            g_string_append(peer->accepted, name);
    }
}

static void
judge(Peer *peer, pn_delivery_t *delivery, const guint8 *data, gsize size)
{
    pn_condition_t *condition = pn_disposition_condition(pn_delivery_local(delivery));

    peer->n_transfers++;
    peer->n_batches += is_batch(data, size);
    if (contains(data, size, "bad")) {
        pn_condition_set_name(condition, "com.microsoft:argument-error");
        pn_condition_set_description(condition, "not this one");
        pn_delivery_update(delivery, PN_REJECTED);
    } else if (contains(data, size, "toomuch")) {
        pn_condition_set_name(condition, "com.microsoft:device-container-throttled");
        pn_delivery_update(delivery, PN_REJECTED);
    } else if (peer->n_to_release > 0) {
        peer->n_to_release--;
        pn_delivery_update(delivery, PN_RELEASED);
    } else {
        pn_delivery_update(delivery, peer->outcome);
        note_accepted(peer, data, size);
    }
    pn_delivery_settle(delivery);
}

static void
on_peer_delivery(Peer *peer, pn_delivery_t *delivery)
{
    pn_link_t *link = pn_delivery_link(delivery);
    gsize size = pn_delivery_pending(delivery);

    if (peer->is_holding || !pn_delivery_readable(delivery) || pn_delivery_partial(delivery))
        return;

    g_autofree guint8 *data = g_malloc(size + 1);

    pn_link_recv(link, (char *)data, size);
    pn_link_advance(link);
    judge(peer, delivery, data, size);
    pn_link_flow(link, 1);
}

static void
on_peer_event(Peer *peer, pn_event_t *event)
{
    pn_link_t *link = pn_event_link(event);

    switch (pn_event_type(event)) {
    case PN_CONNECTION_REMOTE_OPEN:
        pn_connection_open(peer->connection);
        break;
    case PN_SESSION_REMOTE_OPEN:
        pn_session_open(pn_event_session(event));
        break;
    case PN_LINK_REMOTE_OPEN:
        pn_terminus_copy(pn_link_target(link), pn_link_remote_target(link));
        pn_link_set_max_message_size(link, peer->size_max);
        pn_link_open(link);
        pn_link_flow(link, peer->credit);
        break;
    case PN_DELIVERY:
        on_peer_delivery(peer, pn_event_delivery(event));
        break;
    case PN_CONNECTION_REMOTE_CLOSE:
        pn_connection_close(peer->connection);
        break;
    default:
        break;
    }
}

static void
handle_peer_events(Peer *peer)
{
    for (pn_event_t *event = pn_collector_peek(peer->collector); event != NULL;
         event = pn_collector_peek(peer->collector)) {
        on_peer_event(peer, event);
        pn_collector_pop(peer->collector);
    }
}

/* What the peer has to say arrives. */
static gboolean
on_pull(gpointer user_data)
{
    Peer *peer = user_data;

    peer->pull_id = 0;
    handle_peer_events(peer);
    for (ssize_t n = pn_transport_pending(peer->transport); n > 0 && !peer->is_over;
         n = pn_transport_pending(peer->transport)) {
        g_autofree guint8 *data = g_memdup2(pn_transport_head(peer->transport), (gsize)n);

        pn_transport_pop(peer->transport, (size_t)n);
        peer->base.events->arrived(data, (gsize)n, peer->base.user_data);
    }
    return G_SOURCE_REMOVE;
}

static void
peer_start(SpokeAmqpStream *stream)
{
}

static gsize
peer_write(SpokeAmqpStream *stream, const guint8 *data, gsize size)
{
    Peer *peer = (Peer *)stream;

    for (gsize at = 0; at < size;) {
        ssize_t n = pn_transport_push(peer->transport, (const char *)data + at, size - at);

        g_assert_cmpint(n, >, 0);
        at += (gsize)n;
        handle_peer_events(peer);
    }
    if (peer->pull_id == 0)
        peer->pull_id = g_idle_add(on_pull, peer);
    return size;
}

static void
peer_close(SpokeAmqpStream *stream)
{
    Peer *peer = (Peer *)stream;

    peer->is_over = TRUE;
    g_clear_handle_id(&peer->pull_id, g_source_remove);
}

/* The side that is tested */

typedef struct {
    Peer peer;
    SpokeIdentity *identity;
    SpokeAmqpLine line;
    SpokeAmqpEngine *engine;
    SpokeAmqpSender *sender;
    guint n_accepted;
    guint n_rejected;
    char *detail; /* of the last one rejected */
    GString *rejected;
    guint n_failed;
    SpokeCause cause;
} Fixture;

static void
on_settled(SpokeIdentity *identity, const SpokeSettlement *settlements, guint n, gpointer user_data)
{
    Fixture *fixture = user_data;

    for (guint i = 0; i < n; i++) {
        const SpokeMessage *message = settlements[i].message;

        g_assert_cmpint(settlements[i].verdict, !=, SPOKE_VERDICT_RELEASE);
        if (settlements[i].verdict == SPOKE_VERDICT_ACCEPT)
            fixture->n_accepted++;
        if (settlements[i].verdict != SPOKE_VERDICT_REJECT)
            continue;
        fixture->n_rejected++;
        g_string_append_len(fixture->rejected, spoke_message_body(message),
                            (gssize)message->body_size);
        g_free(fixture->detail);
        fixture->detail = g_strdup(settlements[i].detail);
    }
}

static void
on_opened(gpointer user_data)
{
}

static void
on_failed(SpokeCause cause, const char *detail, gpointer user_data)
{
    Fixture *fixture = user_data;

    fixture->n_failed++;
    fixture->cause = cause;
}

static void
on_flush(gpointer user_data)
{
    Fixture *fixture = user_data;

    spoke_amqp_senders_flush(&fixture->line);
}

static void
on_ended(SpokeCause cause, const char *detail, gpointer user_data)
{
    g_assert_not_reached();
}

static void
start(Fixture *fixture)
{
    static const SpokeTransportEvents transport_events = {.settled = on_settled};
    static const SpokeAmqpEngineEvents engine_events = {
        .opened = on_opened,
        .flush = on_flush,
        .ended = on_ended,
    };
    static const SpokeAmqpSenderEvents sender_events = {.opened = on_opened, .failed = on_failed};
    const SpokeAmqpEngineOptions options = {.host = "localhost", .keepalive_sec = 60};

    spoke_amqp_line_init(&fixture->line, &transport_events, fixture, "spoked/test");
    fixture->engine = spoke_amqp_engine_new(&options, &fixture->peer.base, &engine_events, fixture);
    fixture->line.engine = fixture->engine;
    fixture->sender =
        spoke_amqp_sender_new(&fixture->line, fixture->identity, TRUE, &sender_events, fixture);
}

static void
set_up(Fixture *fixture, gconstpointer unused)
{
    static const SpokeAmqpStreamOps ops = {
        .start = peer_start,
        .write = peer_write,
        .close = peer_close,
    };
    Peer *peer = &fixture->peer;

    peer->base.ops = &ops;
    peer->credit = 100;
    peer->size_max = 1024 * 1024;
    peer->outcome = PN_ACCEPTED;
    peer->connection = pn_connection();
    peer->transport = pn_transport();
    peer->collector = pn_collector();
    pn_transport_set_server(peer->transport);
    pn_transport_set_max_frame(peer->transport, 65536);
    pn_connection_collect(peer->connection, peer->collector);
    pn_transport_bind(peer->transport, peer->connection);
    fixture->identity = spoke_identity_new("self", "localhost", "dev1", NULL);
    fixture->rejected = g_string_new(NULL);
    peer->accepted = g_string_new(NULL);
}

static void
tear_down(Fixture *fixture, gconstpointer unused)
{
    spoke_amqp_sender_free(fixture->sender);
    spoke_amqp_engine_free(fixture->engine);
    spoke_amqp_line_clear(&fixture->line);
    pn_connection_collect(fixture->peer.connection, NULL);
    pn_transport_unbind(fixture->peer.transport);
    pn_transport_free(fixture->peer.transport);
    pn_connection_free(fixture->peer.connection);
    pn_collector_free(fixture->peer.collector);
    spoke_identity_unref(fixture->identity);
    g_string_free(fixture->rejected, TRUE);
    g_string_free(fixture->peer.accepted, TRUE);
    g_free(fixture->detail);
}

static void
send_body(Fixture *fixture, const char *body, gsize size)
{
    g_autoptr(SpokeMessage) message = spoke_message_new(NULL, 0, NULL, 0, body, size);
    const SpokeOutgoing outgoing = {.message = message, .message_id = "id"};

    spoke_amqp_sender_send(fixture->sender, &outgoing, 1);
}

static void
send_text(Fixture *fixture, const char *body)
{
    send_body(fixture, body, strlen(body));
}

/* Everything that can happen without anything else being done. */
static void
settle_down(void)
{
    for (guint n_quiet = 0; n_quiet < 3;)
        n_quiet = g_main_context_iteration(NULL, FALSE) ? 0 : n_quiet + 1;
}

static void
test_batch_gathers(Fixture *fixture, gconstpointer unused)
{
    start(fixture);

    for (guint i = 0; i < 100; i++)
        send_text(fixture, "x");
    settle_down();

    g_assert_cmpuint(fixture->n_accepted, ==, 100);
    g_assert_cmpuint(fixture->peer.n_transfers, ==, 1);
    g_assert_cmpuint(fixture->peer.n_batches, ==, 1);
}

static void
test_batch_of_one_is_plain(Fixture *fixture, gconstpointer unused)
{
    start(fixture);

    send_text(fixture, "x");
    settle_down();

    g_assert_cmpuint(fixture->n_accepted, ==, 1);
    g_assert_cmpuint(fixture->peer.n_batches, ==, 0);
}

static void
test_batch_respects_peers_limit(Fixture *fixture, gconstpointer unused)
{
    char body[1000] = "";
    fixture->peer.size_max = 1024 + 3300;
    start(fixture);

    for (guint i = 0; i < 9; i++)
        send_body(fixture, body, sizeof body);
    settle_down();

    g_assert_cmpuint(fixture->n_accepted, ==, 9);
    g_assert_cmpuint(fixture->peer.n_batches, ==, 3);
}

static void
test_large_goes_alone(Fixture *fixture, gconstpointer unused)
{
    g_autofree char *body = g_malloc0(SPOKE_MESSAGE_BYTES_MAX - 100);
    start(fixture);

    send_text(fixture, "x");
    send_body(fixture, body, SPOKE_MESSAGE_BYTES_MAX - 100);
    send_text(fixture, "x");
    settle_down();

    g_assert_cmpuint(fixture->n_accepted, ==, 3);
    g_assert_cmpuint(fixture->peer.n_transfers, ==, 3);
}

static void
test_larger_than_peer_takes(Fixture *fixture, gconstpointer unused)
{
    char body[5000] = "";
    fixture->peer.size_max = 4096;
    start(fixture);

    send_text(fixture, "x");
    send_body(fixture, body, sizeof body);
    send_text(fixture, "x");
    settle_down();

    g_assert_cmpuint(fixture->n_accepted, ==, 2);
    g_assert_cmpuint(fixture->n_rejected, ==, 1);
    g_assert_nonnull(strstr(fixture->detail, "4096"));
    g_assert_cmpuint(fixture->n_failed, ==, 0);
}

static void
test_refused_batch_is_split(Fixture *fixture, gconstpointer unused)
{
    start(fixture);

    for (guint i = 0; i < 50; i++)
        send_text(fixture, i == 20 ? "bad" : "good");
    settle_down();
    for (guint i = 0; i < 50; i++) /* and those after it travel together again */
        send_text(fixture, "good");
    settle_down();

    g_assert_cmpuint(fixture->n_accepted, ==, 99);
    g_assert_cmpuint(fixture->n_rejected, ==, 1);
    g_assert_cmpstr(fixture->rejected->str, ==, "bad");
    g_assert_cmpstr(fixture->detail, ==, "com.microsoft:argument-error: not this one");
    g_assert_cmpuint(fixture->peer.n_batches, ==, 2);
    g_assert_cmpuint(fixture->n_failed, ==, 0);
}

/* Sent again at once it would come back without end. */
static void
test_released_is_not_sent_again(Fixture *fixture, gconstpointer unused)
{
    fixture->peer.outcome = PN_RELEASED;
    start(fixture);

    for (guint i = 0; i < 10; i++)
        send_text(fixture, "x");
    settle_down();
    send_text(fixture, "x");
    settle_down();

    g_assert_cmpuint(fixture->n_failed, ==, 1);
    g_assert_cmpstr(spoke_cause_to_string(fixture->cause), ==, "Unavailable");
    g_assert_cmpuint(fixture->peer.n_transfers, ==, 1);
    g_assert_cmpuint(fixture->n_accepted + fixture->n_rejected, ==, 0);
}

/* Each of 1000 bytes, of which a batch holds three. */
static void
send_names(Fixture *fixture, const char *names)
{
    g_auto(GStrv) list = g_strsplit(names, ",", -1);

    for (guint i = 0; list[i] != NULL; i++) {
        char body[1000] = "";

        g_strlcpy(body, list[i], sizeof body);
        send_body(fixture, body, sizeof body);
    }
}

static void
test_refused_batches_keep_their_order(Fixture *fixture, gconstpointer unused)
{
    fixture->peer.size_max = 1024 + 3300;
    start(fixture);

    send_names(fixture, "m0 ,bad,m1 ,m2 ,bad,m3 ,m4 ,bad,m5 ");
    settle_down();

    g_assert_cmpstr(fixture->peer.accepted->str, ==, "m0 m1 m2 m3 m4 m5 ");
    g_assert_cmpuint(fixture->n_accepted, ==, 6);
    g_assert_cmpuint(fixture->n_rejected, ==, 3);
}

/* One is on its way at a time, so none is ahead of one that comes back. */
static void
test_refused_batch_halts_those_behind(Fixture *fixture, gconstpointer unused)
{
    fixture->peer.size_max = 1024 + 3300;
    fixture->peer.credit = 2;
    start(fixture);

    send_names(fixture, "m0 ,bad,m1 ,m2 ,m3 ,bad,m4 ,m5 ,m6 ,m7 ,m8 ,m9 ");
    settle_down();

    g_assert_cmpstr(fixture->peer.accepted->str, ==, "m0 m1 m2 m3 m4 m5 m6 m7 m8 m9 ");
}

static void
test_released_batch_halts_those_behind(Fixture *fixture, gconstpointer unused)
{
    fixture->peer.size_max = 1024 + 3300;
    fixture->peer.credit = 2;
    fixture->peer.n_to_release = 1;
    start(fixture);

    send_names(fixture, "m0 ,m1 ,m2 ,m3 ,m4 ,m5 ,m6 ,m7 ,m8 ");
    settle_down();

    g_assert_cmpstr(fixture->peer.accepted->str, ==, "");
    g_assert_cmpuint(fixture->n_accepted, ==, 0);
    g_assert_cmpuint(fixture->n_failed, ==, 1);
}

/* What is under way besides is answered for first, so that none is sent twice. */
static void
test_throttled_fails_when_all_is_answered(Fixture *fixture, gconstpointer unused)
{
    start(fixture);
    settle_down(); /* it has credit: each goes as it comes */

    send_text(fixture, "good");
    for (guint i = 0; i < 20; i++)
        send_text(fixture, "toomuch");
    settle_down();
    send_text(fixture, "not sent");
    settle_down();

    g_assert_cmpuint(fixture->n_failed, ==, 1);
    g_assert_cmpstr(spoke_cause_to_string(fixture->cause), ==, "Throttled");
    g_assert_cmpuint(fixture->n_rejected, ==, 0);
    g_assert_cmpuint(fixture->line.unsettled_bytes, ==, 0);
    g_assert_cmpuint(fixture->line.batch_max, ==, 10);
    g_assert_cmpuint(fixture->peer.n_transfers, ==, 1);
}

static void
test_credit_holds_back(Fixture *fixture, gconstpointer unused)
{
    fixture->peer.credit = 1;
    fixture->peer.is_holding = TRUE;
    start(fixture);
    settle_down();

    send_text(fixture, "x");
    settle_down();
    for (guint i = 0; i < 10; i++)
        send_text(fixture, "x");
    settle_down();

    g_assert_cmpuint(fixture->n_accepted, ==, 0);
    g_assert_true(g_queue_is_empty(&fixture->line.ready));
    g_assert_cmpuint(fixture->line.unsettled_bytes, <, 100);
}

static void
test_free_lets_go_of_all(Fixture *fixture, gconstpointer unused)
{
    g_autoptr(SpokeMessage) message = spoke_message_new(NULL, 0, NULL, 0, "x", 1);
    const SpokeOutgoing outgoing[] = {{.message = message}, {.message = message}};
    fixture->peer.credit = 1;
    fixture->peer.is_holding = TRUE;
    start(fixture);
    settle_down();
    spoke_amqp_sender_send(fixture->sender, outgoing, 2);
    settle_down();
    spoke_amqp_sender_send(fixture->sender, outgoing, 2);
    settle_down();

    spoke_amqp_sender_free(g_steal_pointer(&fixture->sender));

    g_assert_cmpint(g_atomic_int_get(&message->ref_count), ==, 1);
    g_assert_cmpuint(fixture->line.unsettled_bytes, ==, 0);
    settle_down();
}

static void
add(const char *path, void (*test)(Fixture *, gconstpointer))
{
    g_test_add(path, Fixture, NULL, set_up, test, tear_down);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    add("/amqp-sender/batch/gathers", test_batch_gathers);
    add("/amqp-sender/batch/of-one-is-plain", test_batch_of_one_is_plain);
    add("/amqp-sender/batch/respects-peers-limit", test_batch_respects_peers_limit);
    add("/amqp-sender/large/goes-alone", test_large_goes_alone);
    add("/amqp-sender/larger/than-peer-takes", test_larger_than_peer_takes);
    add("/amqp-sender/refused-batch/is-split", test_refused_batch_is_split);
    add("/amqp-sender/refused-batches/keep-their-order", test_refused_batches_keep_their_order);
    add("/amqp-sender/refused-batch/halts-those-behind", test_refused_batch_halts_those_behind);
    add("/amqp-sender/released-batch/halts-those-behind", test_released_batch_halts_those_behind);
    add("/amqp-sender/released/is-not-sent-again", test_released_is_not_sent_again);
    add("/amqp-sender/throttled/fails-when-all-is-answered",
        test_throttled_fails_when_all_is_answered);
    add("/amqp-sender/credit/holds-back", test_credit_holds_back);
    add("/amqp-sender/free/lets-go-of-all", test_free_lets_go_of_all);
    return g_test_run();
}
