/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/transports/amqp/cbs.h"
#include "daemon/transports/amqp/member.h"

#include <string.h>

/*
 * A hub that is there, but never answers what it is asked: begin, attach, put-token. It is told as
 * such in time. All of it waits at once, since the time is half a minute.
 */

#define DEADLINE_USEC (40 * G_USEC_PER_SEC)

typedef struct {
    guint n_left;
    SpokeCause cause;
    char *detail; /* owned */
} End;

static void
take_end(End *end, SpokeCause cause, const char *detail)
{
    end->n_left++;
    end->cause = cause;
    g_free(end->detail);
    end->detail = g_strdup(detail);
}

/* A stream into nothing */

static void
stream_start(SpokeAmqpStream *stream)
{
}

static gsize
stream_write(SpokeAmqpStream *stream, const guint8 *data, gsize size)
{
    return size;
}

static void
stream_close(SpokeAmqpStream *stream)
{
}

static const SpokeAmqpStreamOps silent_stream = {
    .start = stream_start,
    .write = stream_write,
    .close = stream_close,
};

static void
on_nothing(gpointer user_data)
{
}

static void
on_ended(SpokeCause cause, const char *detail, gpointer user_data)
{
    g_assert_not_reached();
}

static const SpokeAmqpEngineEvents engine_events = {
    .opened = on_nothing,
    .flush = on_nothing,
    .ended = on_ended,
};

/* Who waits */

static void
on_answered(gpointer who, SpokeCause cause, const char *detail, gpointer user_data)
{
    g_assert_not_reached();
}

static void
on_tokens_failed(SpokeCause cause, const char *detail, gpointer user_data)
{
    take_end(user_data, cause, detail);
}

static const SpokeAmqpCbsEvents cbs_events = {.answered = on_answered, .failed = on_tokens_failed};

static void
on_left(SpokeAmqpMember *member, SpokeCause cause, const char *detail, gpointer user_data)
{
    take_end(user_data, cause, detail);
}

static gboolean
on_deadline(gpointer unused)
{
    g_error("Nobody was told in time");
    return G_SOURCE_REMOVE;
}

static void
assert_told(const End *end, const char *words)
{
    g_assert_cmpuint(end->n_left, ==, 1);
    g_assert_cmpint(end->cause, ==, SPOKE_CAUSE_UNAVAILABLE);
    g_assert_nonnull(strstr(end->detail, words));
}

static void
test_attach_and_put_token_end(void)
{
    static const SpokeTransportEvents events = {NULL};
    const SpokeAmqpEngineOptions options = {.host = "localhost", .keepalive_sec = 600};
    g_autoptr(SpokeIdentity) identity = spoke_identity_new("self", "localhost", "dev1", NULL);
    g_autoptr(SpokeSecret) token = spoke_secret_new("SharedAccessSignature", 21);
    SpokeAmqpStream stream = {.ops = &silent_stream};
    SpokeAmqpLine line;
    End tokens = {0};
    End telemetry = {0};
    End messages = {0};
    guint deadline_id = g_timeout_add(DEADLINE_USEC / 1000, on_deadline, NULL);

    spoke_amqp_line_init(&line, &events, NULL, "spoked/test");
    line.engine = spoke_amqp_engine_new(&options, &stream, &engine_events, NULL);
    SpokeAmqpCbs *cbs = spoke_amqp_cbs_new(line.engine, "spoked/test", &cbs_events, &tokens);
    SpokeAmqpMember *sending = spoke_amqp_member_new(&line, identity, on_left, &telemetry);
    SpokeAmqpMember *receiving = spoke_amqp_member_new(&line, identity, on_left, &messages);

    spoke_amqp_cbs_put(cbs, "localhost/devices/dev1", token, &tokens);
    spoke_amqp_member_attach_certificate(sending);
    spoke_amqp_member_receive(receiving, TRUE);
    while (tokens.n_left + telemetry.n_left + messages.n_left < 3)
        g_main_context_iteration(NULL, TRUE);

    assert_told(&tokens, "the links for tokens");
    assert_told(&telemetry, "the link for telemetry");
    assert_told(&messages, "the link for messages to us");

    g_source_remove(deadline_id);
    spoke_amqp_member_free(sending);
    spoke_amqp_member_free(receiving);
    spoke_amqp_cbs_free(cbs);
    spoke_amqp_engine_free(line.engine);
    spoke_amqp_line_clear(&line);
    g_free(tokens.detail);
    g_free(telemetry.detail);
    g_free(messages.detail);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);

    g_test_add_func("/amqp-silence/attach-and-put-token/end", test_attach_and_put_token_end);
    return g_test_run();
}
