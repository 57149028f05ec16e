/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/connection-private.h"
#include "tests/unit/fake-clock.h"
#include "tests/unit/fake-outbox.h"
#include "tests/unit/fake-transport.h"

/*
 * Several identities on one connection, with time in the test's hand: what befalls one does not
 * touch the others.
 */

#define SEC   ((gint64)G_USEC_PER_SEC)
#define N_MAX 3

#define KEY       "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="
#define OTHER_KEY "AAEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="

typedef struct {
    SpokeIdentity *identity;
    SpokeCredentials *credentials;
    SpokeOutbox *outbox;
    SpokeAttachment *attachment;
    guint64 arrival;
    guint n_lost;
} Member;

typedef struct {
    SpokeConnection *connection;
    FakeClock *clock;
    FakeTransport *transport;
    Member members[N_MAX];
    guint n_changes;
} Fixture;

static double
half(void)
{
    return 0.5;
}

static void
on_changed(gpointer user_data)
{
}

static void
on_arrived(SpokeMessage *message, guint64 token, gpointer user_data)
{
    ((Member *)user_data)->arrival = token;
}

static void
on_lost(gpointer user_data)
{
    Member *member = user_data;

    spoke_attachment_settle(member->attachment, member->arrival, SPOKE_VERDICT_ACCEPT);
    member->n_lost++;
}

static const SpokeAttachmentEvents events = {
    .changed = on_changed,
    .arrived = on_arrived,
    .lost = on_lost,
};

static SpokeCredentials *
make_credentials(const char *key)
{
    g_autofree char *text =
        g_strconcat("HostName=hub.test;DeviceId=dev-1;SharedAccessKey=", key, NULL);
    g_autoptr(SpokeConnectionString) string = spoke_connection_string_parse(text, NULL);

    return spoke_credentials_new(string, 3600);
}

static void
set_up_member(Fixture *fixture, guint i)
{
    g_autofree char *id = g_strdup_printf("dev-%u", i);
    Member *member = &fixture->members[i];

    member->identity = spoke_identity_new(id, "hub.test", id, NULL);
    member->credentials = make_credentials(KEY);
    member->outbox = fake_outbox_new();
    member->attachment = spoke_attachment_new(member->identity, member->credentials, NULL,
                                              member->outbox, &events, member);
    spoke_connection_add(fixture->connection, member->attachment);
}

static void
set_up(Fixture *fixture, gconstpointer unused)
{
    const SpokeConnectionOptions options = {
        .transport_dir = "/nowhere",
        .transport = "fake-many",
        .host = "hub.test",
        .keepalive_sec = 180,
        .connect_timeout_sec = 30,
        .poll_interval_usec = 1500 * SEC,
    };

    fixture->clock = fake_clock_new();
    fixture->transport = fake_transport_begin();

    const SpokeConnectionParts parts = {
        .module = &fake_transport_for_many,
        .clock = &fixture->clock->table,
        .random = half,
    };

    fixture->connection = spoke_connection_new_from(&options, &parts);
    for (guint i = 0; i < N_MAX; i++)
        set_up_member(fixture, i);
    spoke_connection_start(fixture->connection);
    fake_transport_opened();
}

static void
tear_down(Fixture *fixture, gconstpointer unused)
{
    for (guint i = 0; i < N_MAX; i++) {
        Member *member = &fixture->members[i];

        spoke_attachment_free(member->attachment);
        fake_outbox_free(member->outbox);
        spoke_identity_unref(member->identity);
        spoke_credentials_unref(member->credentials);
    }
    spoke_connection_free(fixture->connection);
    fake_transport_finish();
}

static void
settle_nothing(gpointer unused)
{
}

static void
advance(Fixture *fixture, gint64 usec)
{
    fake_clock_advance(fixture->clock, usec, settle_nothing, NULL);
}

static void
attach(Fixture *fixture, guint i)
{
    fake_transport_attached_as(fixture->members[i].identity);
}

static void
attach_all(Fixture *fixture)
{
    for (guint i = 0; i < N_MAX; i++)
        attach(fixture, i);
}

static void
detach(Fixture *fixture, guint i, SpokeCause cause)
{
    fake_transport_detached(fixture->members[i].identity, cause, 0);
}

/* As "connected offline connecting". */
static void
assert_states(Fixture *fixture, const char *expected)
{
    g_autoptr(GString) states = g_string_new(NULL);

    for (guint i = 0; i < N_MAX; i++) {
        if (fixture->members[i].attachment != NULL)
            g_string_append_printf(states, "%s%s", states->len > 0 ? " " : "",
                                   spoke_connection_state_to_string(
                                       spoke_attachment_get_state(fixture->members[i].attachment)));
    }
    g_assert_cmpstr(states->str, ==, expected);
}

static void
assert_error(Fixture *fixture, guint i, SpokeCause cause)
{
    g_assert_cmpstr(spoke_cause_to_string(
                        spoke_attachment_get_last_error(fixture->members[i].attachment, NULL)),
                    ==, spoke_cause_to_string(cause));
}

static void
test_all_are_asked_in(Fixture *fixture, gconstpointer unused)
{
    g_assert_cmpuint(fixture->transport->asked->len, ==, N_MAX);
    assert_states(fixture, "connecting connecting connecting");

    attach(fixture, 1);
    assert_states(fixture, "connecting connected connecting");
    attach(fixture, 0);
    attach(fixture, 2);

    assert_states(fixture, "connected connected connected");
    g_assert_cmpuint(fixture->transport->n_created, ==, 1);
}

static void
test_refusal_is_of_one(Fixture *fixture, gconstpointer unused)
{
    attach(fixture, 0);
    attach(fixture, 2);

    detach(fixture, 1, SPOKE_CAUSE_NOT_FOUND);

    assert_states(fixture, "connected offline connected");
    assert_error(fixture, 0, SPOKE_CAUSE_NONE);
    assert_error(fixture, 1, SPOKE_CAUSE_NOT_FOUND);
    g_assert_cmpint(spoke_attachment_get_next_attempt(fixture->members[1].attachment), ==,
                    fixture->clock->now_usec[SPOKE_CLOCK_WALL] + 5 * SEC);
    g_assert_false(fixture->transport->is_closing);

    advance(fixture, 5 * SEC);
    g_assert_cmpuint(fixture->transport->asked->len, ==, N_MAX + 1);
    attach(fixture, 1);
    assert_states(fixture, "connected connected connected");
    assert_error(fixture, 1, SPOKE_CAUSE_NONE);
}

/* iot-hub-protocol.md, 7.5: "renew token once, then slow retry". */
static void
test_bad_token_is_tried_once_more_at_once(Fixture *fixture, gconstpointer unused)
{
    attach(fixture, 0);
    attach(fixture, 2);
    detach(fixture, 1, SPOKE_CAUSE_AUTHENTICATION_FAILED);
    advance(fixture, 1);
    g_assert_cmpuint(fixture->transport->asked->len, ==, N_MAX + 1);

    detach(fixture, 1, SPOKE_CAUSE_AUTHENTICATION_FAILED);

    advance(fixture, 4 * SEC);
    g_assert_cmpuint(fixture->transport->asked->len, ==, N_MAX + 1);
    advance(fixture, 2 * SEC);
    g_assert_cmpuint(fixture->transport->asked->len, ==, N_MAX + 2);
}

static void
test_hubs_own_wait_is_kept(Fixture *fixture, gconstpointer unused)
{
    attach_all(fixture);
    fake_transport_detached(fixture->members[1].identity, SPOKE_CAUSE_THROTTLED, 100 * SEC);

    advance(fixture, 100 * SEC - 1);
    g_assert_cmpuint(fixture->transport->asked->len, ==, N_MAX);
    advance(fixture, 1);
    g_assert_cmpuint(fixture->transport->asked->len, ==, N_MAX + 1);
}

static void
test_detached_gives_its_messages_back(Fixture *fixture, gconstpointer unused)
{
    attach_all(fixture);
    fake_outbox_put(fixture->members[1].outbox, 2, 100);
    spoke_attachment_wake(fixture->members[1].attachment);
    g_assert_cmpuint(fixture->transport->sent->len, ==, 2);

    detach(fixture, 1, SPOKE_CAUSE_UNAVAILABLE);
    g_assert_cmpuint(spoke_outbox_get_messages(fixture->members[1].outbox), ==, 2);
    advance(fixture, 60 * SEC);
    attach(fixture, 1);

    g_assert_cmpuint(fixture->transport->sent->len, ==, 2);
}

/* Its hub does not acknowledge what it sends; the others' does. */
static void
test_silence_of_one(Fixture *fixture, gconstpointer unused)
{
    g_autoptr(SpokeMessage) message = spoke_message_new(NULL, 0, NULL, 0, "x", 1);

    attach_all(fixture);
    fake_outbox_put(fixture->members[1].outbox, 1, 100);
    spoke_attachment_wake(fixture->members[1].attachment);
    advance(fixture, SEC);
    fake_transport_arrived(message, GUINT_TO_POINTER(7)); /* for the last one attached */

    advance(fixture, SPOKE_CONNECTION_ACK_USEC - SEC);

    assert_error(fixture, 1, SPOKE_CAUSE_KEEPALIVE);
    g_assert_cmpuint(fixture->transport->let_go->len, ==, 1);
    assert_states(fixture, "connected offline connected");
    g_assert_cmpuint(fixture->transport->n_alive, ==, 1);
}

/* Nobody gets an answer: it is the line. */
static void
test_silence_of_all(Fixture *fixture, gconstpointer unused)
{
    attach_all(fixture);
    for (guint i = 0; i < N_MAX; i++) {
        fake_outbox_put(fixture->members[i].outbox, 1, 100);
        spoke_attachment_wake(fixture->members[i].attachment);
    }

    advance(fixture, SPOKE_CONNECTION_ACK_USEC);

    assert_error(fixture, 1, SPOKE_CAUSE_KEEPALIVE);
    assert_states(fixture, "offline offline offline");
    g_assert_cmpuint(fixture->transport->n_alive, ==, 0);
}

/* A hub that takes the token and refuses what is done with it must not be asked again and again. */
static void
test_refusal_after_login_is_waited_out(Fixture *fixture, gconstpointer unused)
{
    attach(fixture, 0);
    attach(fixture, 2);
    for (guint i = 0; i < 3; i++) {
        attach(fixture, 1);
        detach(fixture, 1, SPOKE_CAUSE_AUTHENTICATION_FAILED);
        if (i == 0)
            advance(fixture, 1);
    }

    g_assert_cmpint(spoke_attachment_get_next_attempt(fixture->members[1].attachment), >=,
                    fixture->clock->now_usec[SPOKE_CLOCK_WALL] + 5 * SEC);
}

static void
test_renewal_is_in_band(Fixture *fixture, gconstpointer unused)
{
    attach_all(fixture);
    gint64 expiry_usec = spoke_attachment_get_token_expiry(fixture->members[0].attachment);

    advance(fixture, 2880 * SEC);
    g_assert_cmpuint(fixture->transport->asked->len, ==, 2 * N_MAX);
    attach_all(fixture);

    assert_states(fixture, "connected connected connected");
    g_assert_cmpint(spoke_attachment_get_token_expiry(fixture->members[0].attachment), ==,
                    expiry_usec + 2880 * SEC);
    g_assert_cmpuint(fixture->transport->n_created, ==, 1);
    g_assert_false(fixture->transport->is_closing);
}

static void
test_new_credentials_are_used_in_band(Fixture *fixture, gconstpointer unused)
{
    g_autoptr(SpokeCredentials) other = make_credentials(OTHER_KEY);
    g_autoptr(SpokeCredentials) same = make_credentials(KEY);

    attach_all(fixture);
    spoke_attachment_set_credentials(fixture->members[0].attachment, same);
    g_assert_cmpuint(fixture->transport->asked->len, ==, N_MAX);
    spoke_attachment_set_credentials(fixture->members[1].attachment, other);

    g_assert_cmpuint(fixture->transport->asked->len, ==, N_MAX + 1);
    assert_states(fixture, "connected connected connected");
}

static void
test_new_credentials_end_a_wait(Fixture *fixture, gconstpointer unused)
{
    g_autoptr(SpokeCredentials) other = make_credentials(OTHER_KEY);

    attach(fixture, 0);
    attach(fixture, 2);
    detach(fixture, 1, SPOKE_CAUSE_NOT_FOUND);

    spoke_attachment_set_credentials(fixture->members[1].attachment, other);

    g_assert_cmpuint(fixture->transport->asked->len, ==, N_MAX + 1);
}

static void
test_loss_is_of_all(Fixture *fixture, gconstpointer unused)
{
    attach_all(fixture);

    fake_transport_closed(SPOKE_CAUSE_NETWORK);
    assert_states(fixture, "offline offline offline");
    assert_error(fixture, 2, SPOKE_CAUSE_NETWORK);
    advance(fixture, SEC);
    fake_transport_opened();
    attach_all(fixture);

    assert_states(fixture, "connected connected connected");
    g_assert_cmpuint(fixture->transport->n_created, ==, 2);
}

/* One that waits is not asked in sooner because the others lost their connection. */
static void
test_loss_does_not_end_a_wait(Fixture *fixture, gconstpointer unused)
{
    attach(fixture, 0);
    attach(fixture, 2);
    fake_transport_detached(fixture->members[1].identity, SPOKE_CAUSE_THROTTLED, 100 * SEC);

    fake_transport_closed(SPOKE_CAUSE_NETWORK);
    advance(fixture, SEC);
    fake_transport_opened();

    g_assert_cmpuint(fixture->transport->asked->len, ==, N_MAX - 1);
    advance(fixture, 100 * SEC);
    g_assert_cmpuint(fixture->transport->asked->len, ==, N_MAX);
}

/* A connection that nobody can use is closed, and made again when somebody's wait is over. */
static void
test_connection_rests_when_all_wait(Fixture *fixture, gconstpointer unused)
{
    for (guint i = 0; i < N_MAX; i++)
        detach(fixture, i, SPOKE_CAUSE_NOT_FOUND);

    g_assert_true(fixture->transport->is_closing);
    fake_transport_closed(SPOKE_CAUSE_CLOSED);
    assert_states(fixture, "offline offline offline");
    assert_error(fixture, 0, SPOKE_CAUSE_NOT_FOUND);
    g_assert_cmpuint(fixture->transport->n_alive, ==, 0);

    advance(fixture, 5 * SEC);
    g_assert_cmpuint(fixture->transport->n_created, ==, 2);
    fake_transport_opened();
    g_assert_cmpuint(fixture->transport->asked->len, ==, N_MAX);
}

static void
test_leaving_disturbs_nobody(Fixture *fixture, gconstpointer unused)
{
    SpokeIdentity *identity = fixture->members[1].identity;

    attach_all(fixture);
    fake_outbox_put(fixture->members[1].outbox, 1, 100);
    spoke_attachment_wake(fixture->members[1].attachment);

    g_clear_pointer(&fixture->members[1].attachment, spoke_attachment_free);

    g_assert_cmpuint(fixture->transport->let_go->len, ==, 1);
    g_assert_true(fixture->transport->let_go->pdata[0] == identity);
    g_assert_cmpuint(spoke_outbox_get_messages(fixture->members[1].outbox), ==, 1);
    fake_transport_detached(identity, SPOKE_CAUSE_CLOSED, 0); /* heard by nobody */
    assert_states(fixture, "connected connected");
    g_assert_false(fixture->transport->is_closing);
}

static void
test_last_one_closes(Fixture *fixture, gconstpointer unused)
{
    attach_all(fixture);
    for (guint i = 0; i < N_MAX; i++)
        g_clear_pointer(&fixture->members[i].attachment, spoke_attachment_free);

    g_assert_true(fixture->transport->is_closing);
    fake_transport_closed(SPOKE_CAUSE_CLOSED);
    advance(fixture, 3600 * SEC);

    g_assert_cmpuint(fixture->transport->n_created, ==, 1);
}

static void
test_settling_reaches_its_owner(Fixture *fixture, gconstpointer unused)
{
    g_autofree char *settled = NULL;

    attach_all(fixture);
    fake_outbox_put(fixture->members[2].outbox, 1, 100);
    spoke_attachment_wake(fixture->members[2].attachment);

    fake_transport_settled(1, SPOKE_VERDICT_ACCEPT); /* the last attached is meant */

    settled = fake_outbox_describe_settled(fixture->members[2].outbox);
    g_assert_cmpstr(settled, ==, "1+");
}

/* So many are sent and not settled, of each: "4 2 1". */
static void
assert_sent(Fixture *fixture, const char *expected)
{
    g_autofree char *text =
        g_strdup_printf("%u %u %u", fake_transport_count_sent(fixture->members[0].identity),
                        fake_transport_count_sent(fixture->members[1].identity),
                        fake_transport_count_sent(fixture->members[2].identity));

    g_assert_cmpstr(text, ==, expected);
}

static void
put_for_all(Fixture *fixture, guint n, size_t body_size)
{
    for (guint i = 0; i < N_MAX; i++) {
        fake_outbox_put(fixture->members[i].outbox, n, body_size);
        spoke_attachment_wake(fixture->members[i].attachment);
    }
}

/* 6 at a time, and whoever comes too late at least one. */
static void
test_load_is_limited(Fixture *fixture, gconstpointer unused)
{
    attach_all(fixture);

    put_for_all(fixture, 10, 100);

    assert_sent(fixture, "4 2 1");
}

static void
test_load_is_limited_in_bytes(Fixture *fixture, gconstpointer unused)
{
    attach_all(fixture);

    put_for_all(fixture, 10, 4500);

    assert_sent(fixture, "2 2 1");
}

static void
test_load_goes_round(Fixture *fixture, gconstpointer unused)
{
    attach_all(fixture);
    put_for_all(fixture, 10, 100);

    fake_transport_accepted_of(fixture->members[0].identity); /* one was too many */
    assert_sent(fixture, "3 2 1");
    fake_transport_accepted_of(fixture->members[0].identity);
    assert_sent(fixture, "2 3 1");
    fake_transport_accepted_of(fixture->members[0].identity);
    assert_sent(fixture, "1 3 2");
    fake_transport_accepted_of(fixture->members[1].identity);
    assert_sent(fixture, "2 2 2");
    fake_transport_accepted_of(fixture->members[0].identity);
    assert_sent(fixture, "1 3 2");
}

static void
test_load_of_one_detached_is_free(Fixture *fixture, gconstpointer unused)
{
    attach_all(fixture);
    put_for_all(fixture, 10, 100);

    detach(fixture, 0, SPOKE_CAUSE_UNAVAILABLE);

    assert_sent(fixture, "0 4 2");
}

static void
test_load_of_one_removed_is_free(Fixture *fixture, gconstpointer unused)
{
    attach_all(fixture);
    put_for_all(fixture, 10, 100);

    g_clear_pointer(&fixture->members[0].attachment, spoke_attachment_free);

    assert_sent(fixture, "0 4 2");
}

static void
test_load_is_nothing_after_a_loss(Fixture *fixture, gconstpointer unused)
{
    attach_all(fixture);
    put_for_all(fixture, 10, 100);
    fake_transport_closed(SPOKE_CAUSE_NETWORK);
    advance(fixture, 60 * SEC);
    fake_transport_opened();

    attach_all(fixture);

    assert_sent(fixture, "4 2 1");
}

/* iot-hub-protocol.md, 4.4. */
static void
test_poll_every_25_minutes(Fixture *fixture, gconstpointer unused)
{
    attach_all(fixture);
    g_assert_cmpuint(fixture->transport->n_polls, ==, N_MAX);

    advance(fixture, 1500 * SEC - 1);
    g_assert_cmpuint(fixture->transport->n_polls, ==, N_MAX);
    advance(fixture, 1);
    g_assert_cmpuint(fixture->transport->n_polls, ==, 2 * N_MAX);
}

/* Not sooner because a connection was lost meanwhile. */
static void
test_poll_outlives_the_connection(Fixture *fixture, gconstpointer unused)
{
    attach_all(fixture);
    advance(fixture, 1000 * SEC);
    fake_transport_closed(SPOKE_CAUSE_NETWORK);
    advance(fixture, SEC);
    fake_transport_opened();
    attach_all(fixture);
    g_assert_cmpuint(fixture->transport->n_polls, ==, N_MAX);

    advance(fixture, 499 * SEC);

    g_assert_cmpuint(fixture->transport->n_polls, ==, 2 * N_MAX);
}

/* It had no answer that could be trusted. */
static void
test_poll_that_failed_comes_again(Fixture *fixture, gconstpointer unused)
{
    attach_all(fixture);
    detach(fixture, 1, SPOKE_CAUSE_UNAVAILABLE);
    advance(fixture, 10 * SEC);
    g_assert_cmpuint(fixture->transport->n_polls, ==, N_MAX);

    attach(fixture, 1);

    g_assert_cmpuint(fixture->transport->n_polls, ==, N_MAX + 1);
}

static void
test_poll_waits_for_room(Fixture *fixture, gconstpointer unused)
{
    attach_all(fixture);
    spoke_attachment_set_receiving(fixture->members[0].attachment, FALSE);
    advance(fixture, 1500 * SEC);
    g_assert_cmpuint(fixture->transport->n_polls, ==, 2 * N_MAX - 1);

    spoke_attachment_set_receiving(fixture->members[0].attachment, TRUE);

    g_assert_cmpuint(fixture->transport->n_polls, ==, 2 * N_MAX);
}

/* A handler has abandoned it: it is at the hub, and known to be. */
static void
test_poll_follows_a_release(Fixture *fixture, gconstpointer unused)
{
    g_autoptr(SpokeMessage) message = spoke_message_new(NULL, 0, NULL, 0, "x", 1);

    attach_all(fixture);
    fake_transport_arrived(message, GUINT_TO_POINTER(7));

    spoke_attachment_settle(fixture->members[2].attachment, fixture->members[2].arrival,
                            SPOKE_VERDICT_RELEASE);

    g_assert_cmpuint(fixture->transport->n_polls, ==, N_MAX);
    advance(fixture, 5 * SEC);
    g_assert_cmpuint(fixture->transport->n_polls, ==, N_MAX + 1);
}

/* What arrived is, and only if it was not settled before; its token means nothing any more. */
static void
test_arrival_is_lost_with_the_connection(Fixture *fixture, gconstpointer unused)
{
    g_autoptr(SpokeMessage) message = spoke_message_new(NULL, 0, NULL, 0, "x", 1);

    attach_all(fixture);
    fake_transport_arrived(message, GUINT_TO_POINTER(7)); /* for the last one attached */
    attach(fixture, 1);
    fake_transport_arrived(message, GUINT_TO_POINTER(8));
    spoke_attachment_settle(fixture->members[1].attachment, fixture->members[1].arrival,
                            SPOKE_VERDICT_REJECT);

    fake_transport_closed(SPOKE_CAUSE_NETWORK);

    g_assert_cmpuint(fixture->members[0].n_lost, ==, 0);
    g_assert_cmpuint(fixture->members[1].n_lost, ==, 0);
    g_assert_cmpuint(fixture->members[2].n_lost, ==, 1);
    g_assert_cmpuint(fixture->transport->verdicts->len, ==, 1);
}

static void
test_arrival_is_lost_by_one_detached(Fixture *fixture, gconstpointer unused)
{
    g_autoptr(SpokeMessage) message = spoke_message_new(NULL, 0, NULL, 0, "x", 1);

    attach_all(fixture);
    fake_transport_arrived(message, GUINT_TO_POINTER(7));

    detach(fixture, 2, SPOKE_CAUSE_UNAVAILABLE);

    g_assert_cmpuint(fixture->members[2].n_lost, ==, 1);
    g_assert_cmpuint(fixture->members[0].n_lost + fixture->members[1].n_lost, ==, 0);
    fake_transport_closed(SPOKE_CAUSE_NETWORK);
    g_assert_cmpuint(fixture->members[2].n_lost, ==, 1);
}

static void
test_check_now_polls(Fixture *fixture, gconstpointer unused)
{
    g_assert_false(spoke_attachment_check_now(fixture->members[0].attachment));
    attach_all(fixture);

    g_assert_true(spoke_attachment_check_now(fixture->members[0].attachment));

    g_assert_cmpuint(fixture->transport->n_polls, ==, N_MAX + 1);
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
    add("/attachment/in/all-are-asked", test_all_are_asked_in);
    add("/attachment/refusal/is-of-one", test_refusal_is_of_one);
    add("/attachment/refusal/7.5-bad-token-is-tried-once-more",
        test_bad_token_is_tried_once_more_at_once);
    add("/attachment/refusal/hubs-own-wait-is-kept", test_hubs_own_wait_is_kept);
    add("/attachment/refusal/gives-its-messages-back", test_detached_gives_its_messages_back);
    add("/attachment/silence/of-one", test_silence_of_one);
    add("/attachment/silence/of-all", test_silence_of_all);
    add("/attachment/refusal/after-login-is-waited-out", test_refusal_after_login_is_waited_out);
    add("/attachment/renewal/is-in-band", test_renewal_is_in_band);
    add("/attachment/credentials/are-used-in-band", test_new_credentials_are_used_in_band);
    add("/attachment/credentials/end-a-wait", test_new_credentials_end_a_wait);
    add("/attachment/loss/is-of-all", test_loss_is_of_all);
    add("/attachment/loss/does-not-end-a-wait", test_loss_does_not_end_a_wait);
    add("/attachment/connection/rests-when-all-wait", test_connection_rests_when_all_wait);
    add("/attachment/leaving/disturbs-nobody", test_leaving_disturbs_nobody);
    add("/attachment/leaving/last-one-closes", test_last_one_closes);
    add("/attachment/settled/reaches-its-owner", test_settling_reaches_its_owner);
    add("/attachment/load/is-limited", test_load_is_limited);
    add("/attachment/load/is-limited-in-bytes", test_load_is_limited_in_bytes);
    add("/attachment/load/goes-round", test_load_goes_round);
    add("/attachment/load/of-one-detached-is-free", test_load_of_one_detached_is_free);
    add("/attachment/load/of-one-removed-is-free", test_load_of_one_removed_is_free);
    add("/attachment/load/is-nothing-after-a-loss", test_load_is_nothing_after_a_loss);
    add("/attachment/poll/4.4-every-25-minutes", test_poll_every_25_minutes);
    add("/attachment/poll/outlives-the-connection", test_poll_outlives_the_connection);
    add("/attachment/poll/that-failed-comes-again", test_poll_that_failed_comes_again);
    add("/attachment/poll/waits-for-room", test_poll_waits_for_room);
    add("/attachment/poll/follows-a-release", test_poll_follows_a_release);
    add("/attachment/poll/check-now", test_check_now_polls);
    add("/attachment/arrival/is-lost-with-the-connection",
        test_arrival_is_lost_with_the_connection);
    add("/attachment/arrival/is-lost-by-one-detached", test_arrival_is_lost_by_one_detached);
    return g_test_run();
}
