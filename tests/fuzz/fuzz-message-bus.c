/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/properties.h"
#include "dbus/message-bus.h"
#include "tests/fuzz/fuzz.h"

#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/*
 * The arguments of SendText, Send or SendBatch (the first byte says which) as they come over the
 * wire: a bus may pass bodies on unseen. Whatever they hold, messages made of them are whole.
 */
typedef struct {
    const char *member;
    const char *signature;
} Method;

static const Method methods[] = {
    {"SendText", "sa{ss}a{sv}"},
    {"Send", "aya{ss}a{sv}"},
    {"SendBatch", "a(aya{ss}a{sv})"},
};

/* Far below what a socket pair holds, so that writing never waits. */
#define BODY_BYTES_MAX 16384

static struct {
    sd_bus *bus;
    int peer_fd;
    SpokeMessageReader *reader;
    gboolean was_read;
} server = {.peer_fd = -1};

static void
check_message(const SpokeMessage *message)
{
    g_assert_true(spoke_properties_is_valid(spoke_message_system(message), message->system_size));
    g_assert_true(
        spoke_properties_is_valid(spoke_message_properties(message), message->properties_size));
    g_assert_cmpint(message->ttl_usec, >=, 0);
    g_assert_cmpint(message->lane, <, SPOKE_N_LANES);
    g_assert_cmpint(message->durability, <=, SPOKE_DURABILITY_VOLATILE);
    (void)spoke_message_check(message, NULL);
}

static void
read_one(sd_bus_message *m, SpokeBodyType type)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(SpokeMessage) message = spoke_message_reader_read(server.reader, m, type, 0, &error);

    g_assert_true((message == NULL) == (error != NULL));
    if (message)
        check_message(message);
}

static void
read_batch(sd_bus_message *m)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(GPtrArray) messages = spoke_message_reader_read_batch(server.reader, m, 0, &error);

    g_assert_true((messages == NULL) == (error != NULL));
    for (guint i = 0; messages && i < messages->len; i++)
        check_message(messages->pdata[i]);
}

static int
on_message(sd_bus_message *m, void *userdata, sd_bus_error *ret_error)
{
    const char *member = sd_bus_message_get_member(m);

    server.was_read = TRUE;
    if (g_strcmp0(member, methods[0].member) == 0)
        read_one(m, SPOKE_BODY_TEXT);
    else if (g_strcmp0(member, methods[1].member) == 0)
        read_one(m, SPOKE_BODY_BYTES);
    else
        read_batch(m);
    return 1;
}

static void
start_server(void)
{
    static const char greeting[] = "\0AUTH EXTERNAL\r\nDATA\r\nBEGIN\r\n";
    int fds[2];

    g_assert_cmpint(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), ==, 0);
    g_assert_cmpint(sd_bus_new(&server.bus), >=, 0);
    g_assert_cmpint(sd_bus_set_fd(server.bus, fds[0], fds[0]), >=, 0);
    g_assert_cmpint(sd_bus_set_server(server.bus, 1, (sd_id128_t){.bytes = {1}}), >=, 0);
    g_assert_cmpint(sd_bus_start(server.bus), >=, 0);
    g_assert_cmpint(sd_bus_add_filter(server.bus, NULL, on_message, NULL), >=, 0);
    server.peer_fd = fds[1];
    server.reader = spoke_message_reader_new("0123456789abcdef0123456789abcdef");
    g_assert_cmpint(write(server.peer_fd, greeting, sizeof greeting - 1), ==, sizeof greeting - 1);
}

static void
append_padding(GByteArray *bytes, guint alignment)
{
    while (bytes->len % alignment != 0)
        g_byte_array_append(bytes, (const guint8 *)"", 1);
}

static void
append_field(GByteArray *bytes, guint8 code, const char *type, const char *value)
{
    const guint8 head[] = {code, 1, (guint8)type[0], 0};
    guint32 size = (guint32)strlen(value);

    append_padding(bytes, 8);
    g_byte_array_append(bytes, head, sizeof head);
    if (type[0] == 'g')
        g_byte_array_append(bytes, (const guint8 *)&(guint8){(guint8)size}, 1);
    else
        g_byte_array_append(bytes, (const guint8 *)&size, sizeof size);
    g_byte_array_append(bytes, (const guint8 *)value, size + 1);
}

/* Source: D-Bus Specification, Message Format. A call without reply, little-endian. */
static GByteArray *
make_call(const Method *method, const uint8_t *body, size_t size)
{
    const guint8 head[] = {G_BYTE_ORDER == G_LITTLE_ENDIAN ? 'l' : 'B', 1, 1, 1};
    guint32 numbers[3] = {(guint32)size, 1, 0};
    GByteArray *bytes = g_byte_array_new();

    g_byte_array_append(bytes, head, sizeof head);
    g_byte_array_append(bytes, (const guint8 *)numbers, sizeof numbers);
    append_field(bytes, 1, "o", "/a");
    append_field(bytes, 3, "s", method->member);
    append_field(bytes, 7, "s", ":1.7");
    append_field(bytes, 8, "g", method->signature);
    guint32 fields_size = bytes->len - 16;
    memcpy(bytes->data + 12, &fields_size, sizeof fields_size);
    append_padding(bytes, 8);
    if (size > 0)
        g_byte_array_append(bytes, body, (guint)size);
    return bytes;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1 || size > BODY_BYTES_MAX)
        return 0;
    if (!server.bus)
        start_server();

    g_autoptr(GByteArray) call =
        make_call(&methods[data[0] % G_N_ELEMENTS(methods)], data + 1, size - 1);
    g_assert_cmpint(write(server.peer_fd, call->data, call->len), ==, (gssize)call->len);
    server.was_read = FALSE;
    while (!server.was_read) {
        int r = sd_bus_process(server.bus, NULL);
        g_assert_cmpint(r, >=, 0);
        if (r == 0)
            g_assert_cmpint(sd_bus_wait(server.bus, 5000000), >=, 0);
    }

    /* Answers to the greeting only; calls ask for none. */
    char answer[512];
    (void)!recv(server.peer_fd, answer, sizeof answer, MSG_DONTWAIT);
    return 0;
}
