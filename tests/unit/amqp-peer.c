/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Bytes are moved by hand in both directions, with the main context's turn in between. */

#include "amqp-peer.h"

#include "amqp-codec.h"
#include "amqp-message.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define PATIENCE_SEC 10
#define QUIET_MS     100
#define TRANSFER     0x14
#define PIECE_BYTES  ((size_t)32 * 1024)

AmqpPeer *
amqp_peer_new(int fd)
{
    AmqpPeer *peer = g_new0(AmqpPeer, 1);

    peer->fd = fd;
    peer->transport = pn_transport();
    peer->connection = pn_connection();
    peer->frames = g_byte_array_new();
    peer->output = g_byte_array_new();
    peer->received = g_byte_array_new();
    pn_connection_set_container(peer->connection, "peer");
    (void)pn_transport_bind(peer->transport, peer->connection);
    return peer;
}

void
amqp_peer_free(AmqpPeer *peer)
{
    (void)pn_transport_unbind(peer->transport);
    pn_connection_free(peer->connection);
    pn_transport_free(peer->transport);
    g_byte_array_unref(peer->frames);
    g_byte_array_unref(peer->output);
    g_byte_array_unref(peer->received);
    close(peer->fd);
    g_free(peer);
}

/* The fields of a transfer anew, with the fourth in place of Proton's. */
static void
write_transfer(GByteArray *out, EmuAmqpReader fields, guint32 message_format)
{
    EmuAmqpValue value;
    guint32 count = 0;

    emu_amqp_write_descriptor(out, TRANSFER);
    guint begun = emu_amqp_begin_list(out);
    for (; emu_amqp_read(&fields, &value); count++) {
        if (count == 3)
            emu_amqp_write_uint(out, message_format);
        else if (value.code == EMU_AMQP_DESCRIBED)
            emu_amqp_write_null(out);
        else
            emu_amqp_write_value(out, &value);
    }
    emu_amqp_end(out, begun, count);
}

/* Adds a frame to the output, as it is or with the peer's message format. */
static void
add_frame(AmqpPeer *peer, const guint8 *frame, size_t size)
{
    EmuAmqpReader reader = {frame + 8, size - 8};
    EmuAmqpReader fields;
    EmuAmqpValue list;
    guint64 code = 0;

    if (peer->message_format == 0 || frame[5] != 0 || !emu_amqp_read_descriptor(&reader, &code) ||
        code != TRANSFER || !emu_amqp_read(&reader, &list) ||
        !emu_amqp_list_items(&list, &fields)) {
        g_byte_array_append(peer->output, frame, (guint)size);
        return;
    }

    guint begun = peer->output->len;
    g_byte_array_append(peer->output, frame, 8);
    write_transfer(peer->output, fields, peer->message_format);
    g_byte_array_append(peer->output, reader.data, (guint)reader.size);
    guint32 frame_size = GUINT32_TO_BE(peer->output->len - begun);
    memcpy(peer->output->data + begun, &frame_size, sizeof frame_size);
}

/* Size of the header or frame at @data, of which 8 bytes are there. */
static size_t
unit_size(const guint8 *data)
{
    guint32 size = 0;

    if (memcmp(data, "AMQP", 4) == 0)
        return 8;
    memcpy(&size, data, sizeof size);
    return GUINT32_FROM_BE(size);
}

static void
pull(AmqpPeer *peer)
{
    GByteArray *frames = peer->frames;
    ssize_t pending = 0;

    while ((pending = pn_transport_pending(peer->transport)) > 0) {
        g_byte_array_append(frames, (const guint8 *)pn_transport_head(peer->transport),
                            (guint)pending);
        pn_transport_pop(peer->transport, (size_t)pending);
    }
    while (frames->len >= 8 && frames->len >= unit_size(frames->data)) {
        size_t size = unit_size(frames->data);
        add_frame(peer, frames->data, size);
        g_byte_array_remove_range(frames, 0, (guint)size);
    }
}

/* Returns whether anything moved. */
static gboolean
write_socket(AmqpPeer *peer)
{
    if (peer->output->len == 0 || peer->ended)
        return FALSE;
    ssize_t n = send(peer->fd, peer->output->data, peer->output->len, MSG_NOSIGNAL);
    if (n <= 0)
        return FALSE;
    g_byte_array_remove_range(peer->output, 0, (guint)n);
    return TRUE;
}

static gboolean
read_socket(AmqpPeer *peer)
{
    guint8 bytes[16384];
    ssize_t n = recv(peer->fd, bytes, sizeof bytes, 0);

    if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
        peer->ended = TRUE;
    for (ssize_t done = 0; done < n;) {
        ssize_t taken =
            pn_transport_push(peer->transport, (const char *)bytes + done, (size_t)(n - done));
        if (taken <= 0)
            break;
        done += taken;
    }
    return n > 0;
}

gboolean
amqp_peer_run(AmqpPeer *peer)
{
    gboolean moved = g_main_context_iteration(NULL, FALSE);

    if (!peer->silent)
        pull(peer);
    moved = write_socket(peer) || moved;
    moved = read_socket(peer) || moved;
    if (!moved)
        g_usleep(200);
    return moved;
}

void
amqp_peer_settle_down(AmqpPeer *peer)
{
    gint64 moved_usec = g_get_monotonic_time();

    while (g_get_monotonic_time() < moved_usec + QUIET_MS * 1000) {
        if (amqp_peer_run(peer))
            moved_usec = g_get_monotonic_time();
    }
}

typedef gboolean (*Condition)(AmqpPeer *peer, gpointer data);

static void
run_until(AmqpPeer *peer, Condition condition, gpointer data)
{
    gint64 end_usec = g_get_monotonic_time() + PATIENCE_SEC * G_USEC_PER_SEC;

    while (!condition(peer, data)) {
        g_assert_cmpint(g_get_monotonic_time(), <, end_usec);
        (void)amqp_peer_run(peer);
    }
}

static gboolean
has_ended(AmqpPeer *peer, gpointer data)
{
    return peer->ended;
}

void
amqp_peer_expect_end(AmqpPeer *peer)
{
    run_until(peer, has_ended, NULL);
}

static gboolean
is_open(AmqpPeer *peer, gpointer data)
{
    return peer->ended || (pn_session_state(peer->session) & PN_REMOTE_ACTIVE) != 0;
}

void
amqp_peer_open(AmqpPeer *peer)
{
    pn_connection_open(peer->connection);
    peer->session = pn_session(peer->connection);
    pn_session_open(peer->session);
    run_until(peer, is_open, NULL);
}

static gboolean
is_answered(AmqpPeer *peer, gpointer data)
{
    return peer->ended || (pn_link_state(data) & PN_REMOTE_UNINIT) == 0;
}

/* A refusal is an answer with no termini and a detach right behind it. */
static pn_link_t *
attach(AmqpPeer *peer, pn_link_t *link)
{
    pn_link_open(link);
    run_until(peer, is_answered, link);
    if (pn_terminus_get_type(pn_link_remote_source(link)) == PN_UNSPECIFIED &&
        pn_terminus_get_type(pn_link_remote_target(link)) == PN_UNSPECIFIED)
        (void)amqp_peer_expect_detach(peer, link);
    return link;
}

pn_link_t *
amqp_peer_sender(AmqpPeer *peer, const char *address)
{
    g_autofree char *name = g_strdup_printf("sender-%" G_GUINT64_FORMAT, ++peer->last_tag);
    pn_link_t *link = pn_sender(peer->session, name);

    pn_terminus_set_address(pn_link_target(link), address);
    return attach(peer, link);
}

pn_link_t *
amqp_peer_receiver(AmqpPeer *peer, const char *address, int credit)
{
    g_autofree char *name = g_strdup_printf("receiver-%" G_GUINT64_FORMAT, ++peer->last_tag);
    pn_link_t *link = pn_receiver(peer->session, name);

    pn_terminus_set_address(pn_link_source(link), address);
    pn_link_flow(link, credit);
    return attach(peer, link);
}

gboolean
amqp_peer_is_attached(pn_link_t *link)
{
    return pn_link_state(link) == (PN_LOCAL_ACTIVE | PN_REMOTE_ACTIVE);
}

static gboolean
is_detached(AmqpPeer *peer, gpointer data)
{
    return (pn_link_state(data) & PN_REMOTE_CLOSED) != 0;
}

const char *
amqp_peer_expect_detach(AmqpPeer *peer, pn_link_t *link)
{
    run_until(peer, is_detached, link);
    pn_link_close(link);
    (void)amqp_peer_run(peer);
    return pn_condition_get_name(pn_link_remote_condition(link));
}

pn_delivery_t *
amqp_peer_post(AmqpPeer *peer, pn_link_t *link, const void *data, size_t size)
{
    guint64 tag = ++peer->last_tag;
    pn_delivery_t *delivery = pn_delivery(link, pn_dtag((const char *)&tag, sizeof tag));

    for (size_t done = 0; done < size; done += PIECE_BYTES) {
        size_t piece = MIN(PIECE_BYTES, size - done);
        g_assert_cmpint(pn_link_send(link, (const char *)data + done, piece), ==, piece);
        if (size > PIECE_BYTES)
            (void)amqp_peer_run(peer);
    }
    (void)pn_link_advance(link);
    return delivery;
}

static gboolean
has_credit(AmqpPeer *peer, gpointer data)
{
    return peer->ended || pn_link_credit(data) > 0 || is_detached(peer, data);
}

static gboolean
has_outcome(AmqpPeer *peer, gpointer data)
{
    pn_delivery_t *delivery = data;

    return peer->ended || pn_delivery_settled(delivery) ||
           is_detached(peer, pn_delivery_link(delivery));
}

guint64
amqp_peer_outcome(AmqpPeer *peer, pn_delivery_t *delivery)
{
    run_until(peer, has_outcome, delivery);
    return pn_delivery_remote_state(delivery);
}

guint64
amqp_peer_send(AmqpPeer *peer, pn_link_t *link, const void *data, size_t size)
{
    run_until(peer, has_credit, link);
    return amqp_peer_outcome(peer, amqp_peer_post(peer, link, data, size));
}

static gboolean
has_delivery(AmqpPeer *peer, gpointer data)
{
    pn_delivery_t *delivery = pn_link_current(data);

    return peer->ended || (delivery != NULL && !pn_delivery_partial(delivery));
}

pn_delivery_t *
amqp_peer_next(AmqpPeer *peer, pn_link_t *link)
{
    run_until(peer, has_delivery, link);
    g_assert_false(peer->ended);

    pn_delivery_t *delivery = pn_link_current(link);
    size_t size = pn_delivery_pending(delivery);
    g_byte_array_set_size(peer->received, (guint)size);
    (void)pn_link_recv(link, (char *)peer->received->data, size);
    (void)pn_link_advance(link);
    return delivery;
}

gboolean
amqp_peer_has_next(AmqpPeer *peer, pn_link_t *link)
{
    amqp_peer_settle_down(peer);
    return pn_link_current(link) != NULL;
}

static void
write_request(GByteArray *out, guint64 message_id, const char *audience, const char *token)
{
    emu_amqp_write_descriptor(out, EMU_AMQP_PROPERTIES);
    guint properties = emu_amqp_begin_list(out);
    emu_amqp_write_ulong(out, message_id);
    emu_amqp_end(out, properties, 1);
    emu_amqp_write_descriptor(out, EMU_AMQP_APPLICATION_PROPERTIES);
    guint application = emu_amqp_begin_map(out);
    emu_amqp_write_string(out, "operation");
    emu_amqp_write_string(out, "put-token");
    emu_amqp_write_string(out, "type");
    emu_amqp_write_string(out, "servicebus.windows.net:sastoken");
    emu_amqp_write_string(out, "name");
    emu_amqp_write_string(out, audience);
    emu_amqp_end(out, application, 6);
    emu_amqp_write_descriptor(out, EMU_AMQP_AMQP_VALUE);
    emu_amqp_write_string(out, token);
}

int
amqp_peer_put_token(AmqpPeer *peer, const char *audience, const char *token)
{
    g_autoptr(GByteArray) request = g_byte_array_new();
    guint64 message_id = ++peer->last_tag;
    guint64 correlation_id = 0;
    EmuAmqpMessage answer;
    EmuAmqpValue value;
    gint64 status = 0;

    if (peer->token_sender == NULL) {
        peer->token_sender = amqp_peer_sender(peer, "$cbs");
        peer->token_receiver = amqp_peer_receiver(peer, "$cbs", 10);
    }
    write_request(request, message_id, audience, token);
    g_assert_cmpuint(amqp_peer_send(peer, peer->token_sender, request->data, request->len), ==,
                     PN_ACCEPTED);

    pn_delivery_t *delivery = amqp_peer_next(peer, peer->token_receiver);
    g_assert_null(emu_amqp_message_parse(peer->received->data, peer->received->len, &answer));
    g_assert_true(emu_amqp_message_field(&answer, EMU_AMQP_CORRELATION_ID, &value));
    g_assert_true(emu_amqp_get_unsigned(&value, &correlation_id));
    g_assert_cmpuint(correlation_id, ==, message_id);
    g_assert_true(emu_amqp_message_find(&answer, "status-code", &value));
    g_assert_true(emu_amqp_get_signed(&value, &status));
    pn_delivery_update(delivery, PN_ACCEPTED);
    pn_delivery_settle(delivery);
    pn_link_flow(peer->token_receiver, 1);
    return (int)status;
}
