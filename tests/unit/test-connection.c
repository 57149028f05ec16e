/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/connection-private.h"
#include "tests/unit/fake-clock.h"
#include "tests/unit/fake-outbox.h"
#include "tests/unit/fake-transport.h"

#include <string.h>

/*
 * The connection between a transport, an outbox and clocks that the test has in its hand.
 */

#define SEC ((gint64)G_USEC_PER_SEC)

typedef struct {
    SpokeConnection *connection;
    SpokeAttachment *attachment;
    FakeClock *clock;
    FakeTransport *transport;
    SpokeOutbox *outbox;
    SpokeIdentity *identity;
    SpokeCredentials *credentials;
    SpokeConnectionOptions options;
    guint n_changes;
    guint64 arrival;
    guint n_stopped;
} Fixture;

static double chance; /* what random() says */

static double
say_chance(void)
{
    return chance;
}

static void
on_changed(gpointer user_data)
{
    ((Fixture *)user_data)->n_changes++;
}

static void
on_arrived(SpokeMessage *message, guint64 token, gpointer user_data)
{
    ((Fixture *)user_data)->arrival = token;
}

static void
on_lost(gpointer user_data)
{
}

static const SpokeAttachmentEvents attachment_events = {
    .changed = on_changed,
    .arrived = on_arrived,
    .lost = on_lost,
};

/* A SAS key of 32 bytes, or another one. */
static SpokeCredentials *
make_credentials(const char *key)
{
    g_autofree char *text =
        g_strconcat("HostName=hub.test;DeviceId=dev-1;SharedAccessKey=", key, NULL);
    g_autoptr(SpokeConnectionString) string = spoke_connection_string_parse(text, NULL);

    return spoke_credentials_new(string, 3600);
}

#define KEY       "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="
#define OTHER_KEY "AAEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="

static void
set_up(Fixture *fixture, gconstpointer unused)
{
    chance = 0.5;
    fixture->clock = fake_clock_new();
    fixture->transport = fake_transport_begin();
    fixture->outbox = fake_outbox_new();
    fixture->identity = spoke_identity_new("self", "hub.test", "dev-1", NULL);
    fixture->credentials = make_credentials(KEY);
    fixture->options = (SpokeConnectionOptions){
        .transport_dir = "/nowhere",
        .transport = "fake",
        .host = "hub.test",
        .keepalive_sec = 180,
        .connect_timeout_sec = 30,
    };

    const SpokeConnectionParts parts = {
        .module = &fake_transport_module,
        .clock = &fixture->clock->table,
        .random = say_chance,
    };

    fixture->connection = spoke_connection_new_from(&fixture->options, &parts);
    fixture->attachment = spoke_attachment_new(fixture->identity, fixture->credentials, NULL,
                                               fixture->outbox, &attachment_events, fixture);
    spoke_connection_add(fixture->connection, fixture->attachment);
}

static void
tear_down(Fixture *fixture, gconstpointer unused)
{
    spoke_attachment_free(fixture->attachment);
    spoke_connection_free(fixture->connection);
    fake_transport_finish();
    fake_outbox_free(fixture->outbox);
    spoke_identity_unref(fixture->identity);
    spoke_credentials_unref(fixture->credentials);
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
connect_it(Fixture *fixture)
{
    spoke_connection_start(fixture->connection);
    fake_transport_log_in();
}

static void
assert_state(Fixture *fixture, SpokeConnectionState state)
{
    g_assert_cmpstr(
        spoke_connection_state_to_string(spoke_connection_get_state(fixture->connection)), ==,
        spoke_connection_state_to_string(state));
}

static void
assert_error(Fixture *fixture, SpokeCause cause)
{
    g_assert_cmpstr(
        spoke_cause_to_string(spoke_attachment_get_last_error(fixture->attachment, NULL)), ==,
        spoke_cause_to_string(cause));
}

/* Ids of what was sent since @from, as "1 2 3". */
static void
assert_sent(Fixture *fixture, guint from, const char *expected)
{
    g_autoptr(GString) ids = g_string_new(NULL);

    for (guint i = from; i < fixture->transport->sent_ids->len; i++)
        g_string_append_printf(ids, "%s%s", i > from ? " " : "",
                               (char *)fixture->transport->sent_ids->pdata[i] + 1);
    g_assert_cmpstr(ids->str, ==, expected);
}

static void
assert_settled(Fixture *fixture, const char *expected)
{
    g_autofree char *settled = fake_outbox_describe_settled(fixture->outbox);

    g_assert_cmpstr(settled, ==, expected);
}

/* How long until the next attempt, which has to come. */
static gint64
wait_for_attempt(Fixture *fixture)
{
    guint n_created = fixture->transport->n_created;
    gint64 at_usec = spoke_attachment_get_next_attempt(fixture->attachment);
    gint64 delay_usec = at_usec - fixture->clock->now_usec[SPOKE_CLOCK_WALL];

    g_assert_cmpint(at_usec, !=, 0);
    if (delay_usec > 1) {
        advance(fixture, delay_usec - 1);
        g_assert_cmpuint(fixture->transport->n_created, ==, n_created);
    }
    advance(fixture, 1);
    g_assert_cmpuint(fixture->transport->n_created, ==, n_created + 1);
    return delay_usec;
}

static void
on_stopped(gpointer user_data)
{
    ((Fixture *)user_data)->n_stopped++;
}

static void
assert_stops(Fixture *fixture)
{
    g_assert_cmpuint(fixture->n_stopped, ==, 0);
    while (g_main_context_iteration(NULL, FALSE))
        ;
    g_assert_cmpuint(fixture->n_stopped, ==, 1);
    assert_state(fixture, SPOKE_CONNECTION_OFFLINE);
    g_assert_cmpint(fixture->clock->alarm_usec[SPOKE_CLOCK_BOOT], ==, SPOKE_CLOCK_NEVER);
    g_assert_cmpint(fixture->clock->alarm_usec[SPOKE_CLOCK_WALL], ==, SPOKE_CLOCK_NEVER);
}

/* Readings of two clocks are never from the same instant; what is told must not follow them. */
static void
test_next_attempt_stays_while_it_is_awaited(Fixture *fixture, gconstpointer unused)
{
    spoke_connection_start(fixture->connection);
    fake_transport_closed(SPOKE_CAUSE_NETWORK);
    gint64 at_usec = spoke_attachment_get_next_attempt(fixture->attachment);
    g_assert_cmpint(at_usec, !=, 0);

    fixture->clock->now_usec[SPOKE_CLOCK_WALL]++;

    g_assert_cmpint(spoke_attachment_get_next_attempt(fixture->attachment), ==, at_usec);
}

static void
test_start_connects_at_once(Fixture *fixture, gconstpointer unused)
{
    assert_state(fixture, SPOKE_CONNECTION_OFFLINE);
    spoke_connection_start(fixture->connection);

    assert_state(fixture, SPOKE_CONNECTION_CONNECTING);
    fake_transport_opened();
    g_assert_true(fixture->transport->had_token);
    g_assert_cmpstr(spoke_attachment_get_transport(fixture->attachment), ==, "");
    fake_transport_attached();

    assert_state(fixture, SPOKE_CONNECTION_CONNECTED);
    g_assert_true(fixture->transport->is_receiving);
    g_assert_cmpstr(spoke_attachment_get_transport(fixture->attachment), ==, "fake");
    g_assert_cmpint(spoke_attachment_get_connected_since(fixture->attachment), ==,
                    fixture->clock->now_usec[SPOKE_CLOCK_WALL]);
    g_assert_cmpint(spoke_attachment_get_token_expiry(fixture->attachment), ==,
                    fixture->clock->now_usec[SPOKE_CLOCK_WALL] + 3600 * SEC);
    assert_error(fixture, SPOKE_CAUSE_NONE);
    g_assert_cmpuint(fixture->n_changes, ==, 2);
}

static void
test_send_keeps_to_the_window(Fixture *fixture, gconstpointer unused)
{
    fake_outbox_put(fixture->outbox, 10, 100);
    connect_it(fixture);

    assert_sent(fixture, 0, "1 2 3 4");
    fake_transport_settled(2, SPOKE_VERDICT_ACCEPT);

    assert_sent(fixture, 4, "5 6");
    assert_settled(fixture, "1+ 2+");
    fake_transport_settled_at(3, SPOKE_VERDICT_ACCEPT);

    assert_sent(fixture, 6, "7");
    assert_settled(fixture, "1+ 2+ 6+");
}

static void
test_send_keeps_to_the_bytes(Fixture *fixture, gconstpointer unused)
{
    fake_outbox_put(fixture->outbox, 1, 20000);
    fake_outbox_put(fixture->outbox, 3, 4500);
    connect_it(fixture);

    assert_sent(fixture, 0, "1");
    fake_transport_settled(1, SPOKE_VERDICT_ACCEPT);

    assert_sent(fixture, 1, "2 3");
    fake_transport_settled(1, SPOKE_VERDICT_ACCEPT);

    assert_sent(fixture, 3, "4");
}

static void
test_send_when_woken(Fixture *fixture, gconstpointer unused)
{
    connect_it(fixture);
    fake_outbox_put(fixture->outbox, 2, 100);
    assert_sent(fixture, 0, "");

    spoke_attachment_wake(fixture->attachment);

    assert_sent(fixture, 0, "1 2");
}

static void
test_send_rejected_and_released(Fixture *fixture, gconstpointer unused)
{
    fake_outbox_put(fixture->outbox, 2, 100);
    connect_it(fixture);

    fake_transport_settled(1, SPOKE_VERDICT_REJECT);
    fake_transport_settled(1, SPOKE_VERDICT_RELEASE);

    assert_settled(fixture, "1-");
    assert_sent(fixture, 2, "2");
}

/* The third was taken, and found no room. */
static void
test_send_released_goes_before_what_waits(Fixture *fixture, gconstpointer unused)
{
    fake_outbox_put(fixture->outbox, 2, 100);
    fake_outbox_put(fixture->outbox, 1, 9900);
    connect_it(fixture);
    assert_sent(fixture, 0, "1 2");

    fake_transport_settled(1, SPOKE_VERDICT_RELEASE);

    assert_sent(fixture, 2, "1");
}

/* What is not acknowledged goes again, all of it, in the old order, before what came later. */
static void
test_loss_keeps_order(Fixture *fixture, gconstpointer unused)
{
    fake_outbox_put(fixture->outbox, 6, 100);
    connect_it(fixture);
    fake_transport_settled(1, SPOKE_VERDICT_ACCEPT);
    fake_transport_settled_at(1, SPOKE_VERDICT_ACCEPT);
    assert_sent(fixture, 0, "1 2 3 4 5 6");

    fake_transport_closed(SPOKE_CAUSE_NETWORK);
    fake_outbox_put(fixture->outbox, 1, 100);
    wait_for_attempt(fixture);
    fake_transport_log_in();

    assert_sent(fixture, 6, "2 4 5 6");
    fake_transport_settled(4, SPOKE_VERDICT_ACCEPT);
    assert_sent(fixture, 10, "7");
    fake_transport_settled(1, SPOKE_VERDICT_ACCEPT);
    assert_settled(fixture, "1+ 3+ 2+ 4+ 5+ 6+ 7+");
}

static void
test_loss_is_shown(Fixture *fixture, gconstpointer unused)
{
    const char *detail = NULL;

    connect_it(fixture);
    fake_transport_closed(SPOKE_CAUSE_TLS);

    assert_state(fixture, SPOKE_CONNECTION_OFFLINE);
    g_assert_cmpint(spoke_attachment_get_last_error(fixture->attachment, &detail), ==,
                    SPOKE_CAUSE_TLS);
    g_assert_cmpstr(detail, ==, "why");
    g_assert_cmpint(spoke_attachment_get_connected_since(fixture->attachment), ==, 0);
    g_assert_cmpint(spoke_attachment_get_token_expiry(fixture->attachment), ==, 0);
    g_assert_cmpstr(spoke_attachment_get_transport(fixture->attachment), ==, "");
}

static void
test_retry_backs_off(Fixture *fixture, gconstpointer unused)
{
    spoke_connection_start(fixture->connection);

    for (gint64 ceiling_sec = 1; ceiling_sec < 64; ceiling_sec *= 2) {
        fake_transport_closed(SPOKE_CAUSE_TCP_REFUSED);
        g_assert_cmpint(wait_for_attempt(fixture), ==, ceiling_sec * SEC / 2);
    }
    fake_transport_closed(SPOKE_CAUSE_TCP_REFUSED);
    g_assert_cmpint(wait_for_attempt(fixture), ==, 30 * SEC);
}

static void
test_retry_is_slow_for_slow_causes(Fixture *fixture, gconstpointer unused)
{
    spoke_connection_start(fixture->connection);

    fake_transport_closed(SPOKE_CAUSE_CERTIFICATE);
    g_assert_cmpint(wait_for_attempt(fixture), ==, 5 * SEC);
    fake_transport_closed(SPOKE_CAUSE_UNAVAILABLE);
    g_assert_cmpint(wait_for_attempt(fixture), ==, 10 * SEC);
}

static void
test_retry_begins_anew_after_a_minute(Fixture *fixture, gconstpointer unused)
{
    spoke_connection_start(fixture->connection);
    for (guint i = 0; i < 5; i++) {
        fake_transport_closed(SPOKE_CAUSE_NETWORK);
        wait_for_attempt(fixture);
    }
    fake_transport_log_in();
    advance(fixture, 60 * SEC);

    fake_transport_closed(SPOKE_CAUSE_NETWORK);

    g_assert_cmpint(wait_for_attempt(fixture), ==, SEC / 2);
}

/* iot-hub-protocol.md, 7.5: "renew token once, then slow retry". */
static void
test_retry_after_refusal(Fixture *fixture, gconstpointer unused)
{
    spoke_connection_start(fixture->connection);
    fake_transport_opened();

    fake_transport_closed(SPOKE_CAUSE_AUTHENTICATION_FAILED);
    g_assert_cmpint(wait_for_attempt(fixture), ==, 0);
    fake_transport_opened();
    fake_transport_closed(SPOKE_CAUSE_AUTHENTICATION_FAILED);
    g_assert_cmpint(wait_for_attempt(fixture), ==, 5 * SEC);
}

/* A message is acknowledged and another one put, @n times. */
static void
go_on_for(Fixture *fixture, guint n, gint64 every_usec)
{
    for (guint i = 0; i < n; i++) {
        advance(fixture, every_usec);
        fake_transport_settled(1, SPOKE_VERDICT_ACCEPT);
        fake_outbox_put(fixture->outbox, 1, 100);
        spoke_attachment_wake(fixture->attachment);
    }
}

static void
test_renewal_loses_nothing(Fixture *fixture, gconstpointer unused)
{
    fake_outbox_put(fixture->outbox, 6, 100);
    connect_it(fixture);
    go_on_for(fixture, 102, 28 * SEC);
    assert_state(fixture, SPOKE_CONNECTION_CONNECTED);

    advance(fixture, 24 * SEC); /* 80 % of the hour */
    assert_state(fixture, SPOKE_CONNECTION_DRAINING);
    guint n_sent = fixture->transport->sent_ids->len;
    fake_transport_settled(3, SPOKE_VERDICT_ACCEPT);
    spoke_attachment_wake(fixture->attachment);
    g_assert_cmpuint(fixture->transport->sent_ids->len, ==, n_sent);
    g_assert_false(fixture->transport->is_closing);
    fake_transport_settled(1, SPOKE_VERDICT_ACCEPT);
    g_assert_true(fixture->transport->is_closing);
    fake_transport_closed(SPOKE_CAUSE_CLOSED);

    g_assert_cmpuint(fixture->transport->n_created, ==, 2); /* at once */
    fake_transport_log_in();
    assert_state(fixture, SPOKE_CONNECTION_CONNECTED);
    assert_sent(fixture, n_sent, "107 108");
}

static void
test_renewal_does_not_wait_for_ever(Fixture *fixture, gconstpointer unused)
{
    connect_it(fixture);
    advance(fixture, 2875 * SEC);
    fake_outbox_put(fixture->outbox, 1, 100);
    spoke_attachment_wake(fixture->attachment);

    advance(fixture, 5 * SEC);
    assert_state(fixture, SPOKE_CONNECTION_DRAINING);
    advance(fixture, SPOKE_CONNECTION_DRAIN_USEC);
    g_assert_true(fixture->transport->is_closing);
    advance(fixture, SPOKE_CONNECTION_CLOSE_USEC); /* nor for a goodbye */

    g_assert_cmpuint(fixture->transport->n_created, ==, 2);
    fake_transport_log_in();
    assert_sent(fixture, 1, "1");
}

static void
test_renewal_survives_a_loss(Fixture *fixture, gconstpointer unused)
{
    fake_outbox_put(fixture->outbox, 1, 100);
    connect_it(fixture);
    go_on_for(fixture, 72, 40 * SEC);
    assert_state(fixture, SPOKE_CONNECTION_DRAINING);

    fake_transport_closed(SPOKE_CAUSE_NETWORK);

    g_assert_cmpuint(fixture->transport->n_created, ==, 2);
    fake_transport_closed(SPOKE_CAUSE_TCP_REFUSED);
    g_assert_cmpint(wait_for_attempt(fixture), ==, SEC / 2);
}

static void
test_stop_sends_what_there_is(Fixture *fixture, gconstpointer unused)
{
    fake_outbox_put(fixture->outbox, 6, 100);
    connect_it(fixture);

    spoke_connection_stop(fixture->connection, 10 * SEC, on_stopped, fixture);

    assert_state(fixture, SPOKE_CONNECTION_DRAINING);
    fake_transport_settled(4, SPOKE_VERDICT_ACCEPT);
    fake_transport_settled(1, SPOKE_VERDICT_ACCEPT);
    g_assert_false(fixture->transport->is_closing);
    fake_transport_settled(1, SPOKE_VERDICT_ACCEPT);
    g_assert_true(fixture->transport->is_closing);
    fake_transport_closed(SPOKE_CAUSE_CLOSED);
    assert_stops(fixture);
    assert_settled(fixture, "1+ 2+ 3+ 4+ 5+ 6+");
    g_assert_cmpuint(fixture->transport->n_created, ==, 1);
}

static void
test_stop_keeps_to_its_time(Fixture *fixture, gconstpointer unused)
{
    fake_outbox_put(fixture->outbox, 6, 100);
    connect_it(fixture);

    spoke_connection_stop(fixture->connection, 10 * SEC, on_stopped, fixture);
    advance(fixture, 10 * SEC - 1);
    g_assert_true(fixture->transport->is_closing);
    g_assert_cmpuint(fixture->transport->n_alive, ==, 1);
    advance(fixture, 1);

    assert_stops(fixture);
}

static void
test_stop_when_idle(Fixture *fixture, gconstpointer unused)
{
    connect_it(fixture);

    spoke_connection_stop(fixture->connection, 10 * SEC, on_stopped, fixture);

    g_assert_true(fixture->transport->is_closing);
    fake_transport_closed(SPOKE_CAUSE_CLOSED);
    assert_stops(fixture);
}

static void
test_stop_when_offline(Fixture *fixture, gconstpointer unused)
{
    fake_outbox_put(fixture->outbox, 1, 100);
    spoke_connection_start(fixture->connection);
    fake_transport_closed(SPOKE_CAUSE_TCP_REFUSED);

    spoke_connection_stop(fixture->connection, 10 * SEC, on_stopped, fixture);

    assert_stops(fixture);
}

static void
test_stop_before_start(Fixture *fixture, gconstpointer unused)
{
    spoke_connection_stop(fixture->connection, 10 * SEC, on_stopped, fixture);

    assert_stops(fixture);
}

static void
test_stop_while_connecting(Fixture *fixture, gconstpointer unused)
{
    fake_outbox_put(fixture->outbox, 1, 100);
    spoke_connection_start(fixture->connection);

    spoke_connection_stop(fixture->connection, 10 * SEC, on_stopped, fixture);
    fake_transport_log_in();

    assert_state(fixture, SPOKE_CONNECTION_DRAINING);
    fake_transport_settled(1, SPOKE_VERDICT_ACCEPT);
    fake_transport_closed(SPOKE_CAUSE_CLOSED);
    assert_stops(fixture);
    assert_settled(fixture, "1+");
}

/* Rivals with one identity throw each other out. */
static void
test_eviction_is_seen(Fixture *fixture, gconstpointer unused)
{
    spoke_connection_start(fixture->connection);
    for (guint i = 0; i < 2; i++) {
        fake_transport_log_in();
        advance(fixture, 20 * SEC);
        fake_transport_closed(SPOKE_CAUSE_CLOSED_BY_HUB);
        assert_error(fixture, SPOKE_CAUSE_CLOSED_BY_HUB);
        wait_for_attempt(fixture);
    }
    fake_transport_log_in();

    fake_transport_closed(SPOKE_CAUSE_CLOSED_BY_HUB);

    assert_error(fixture, SPOKE_CAUSE_EVICTED);
    g_assert_cmpint(wait_for_attempt(fixture), >=, 5 * SEC);
}

static void
test_eviction_takes_young_connections(Fixture *fixture, gconstpointer unused)
{
    spoke_connection_start(fixture->connection);
    for (guint i = 0; i < 5; i++) {
        fake_transport_log_in();
        advance(fixture, 61 * SEC);
        fake_transport_closed(SPOKE_CAUSE_CLOSED_BY_HUB);

        assert_error(fixture, SPOKE_CAUSE_CLOSED_BY_HUB);
        wait_for_attempt(fixture);
    }
}

/* A hub that can't be reached in between is being restarted. */
static void
test_eviction_is_no_restart(Fixture *fixture, gconstpointer unused)
{
    spoke_connection_start(fixture->connection);
    for (guint i = 0; i < 5; i++) {
        fake_transport_log_in();
        fake_transport_closed(SPOKE_CAUSE_CLOSED_BY_HUB);
        assert_error(fixture, SPOKE_CAUSE_CLOSED_BY_HUB);
        wait_for_attempt(fixture);
        fake_transport_closed(SPOKE_CAUSE_TCP_REFUSED);
        wait_for_attempt(fixture);
    }
}

/* Each turn: log in, be closed by the hub, wait. */
static void
be_closed(Fixture *fixture)
{
    fake_transport_closed(SPOKE_CAUSE_CLOSED_BY_HUB);
    wait_for_attempt(fixture);
    fake_transport_log_in();
}

static void
test_poison_is_rejected(Fixture *fixture, gconstpointer unused)
{
    fake_outbox_put(fixture->outbox, 3, 100);
    connect_it(fixture);
    assert_sent(fixture, 0, "1 2 3");

    be_closed(fixture);
    assert_sent(fixture, 3, "1"); /* alone */
    be_closed(fixture);
    assert_sent(fixture, 4, "1");
    be_closed(fixture);
    assert_sent(fixture, 5, "2"); /* without it */
    fake_transport_settled(1, SPOKE_VERDICT_ACCEPT);
    assert_sent(fixture, 6, "1"); /* right behind it */
    be_closed(fixture);
    assert_sent(fixture, 7, "3");
    fake_transport_settled(1, SPOKE_VERDICT_ACCEPT);
    assert_sent(fixture, 8, "1");
    assert_settled(fixture, "2+ 3+");
    be_closed(fixture);

    assert_settled(fixture, "2+ 3+ 1-");
}

/* The hub is well again just when the suspect steps aside. */
static void
test_poison_is_not_bad_luck(Fixture *fixture, gconstpointer unused)
{
    fake_outbox_put(fixture->outbox, 3, 100);
    connect_it(fixture);
    for (guint i = 0; i < 3; i++)
        be_closed(fixture);

    fake_transport_settled(1, SPOKE_VERDICT_ACCEPT);
    assert_sent(fixture, 6, "1");
    fake_transport_settled(1, SPOKE_VERDICT_ACCEPT);
    assert_sent(fixture, 7, "3");
    fake_transport_settled(1, SPOKE_VERDICT_ACCEPT);

    assert_settled(fixture, "2+ 1+ 3+");
}

static gboolean
is_poison(Fixture *fixture)
{
    const SpokeMessage *oldest = fixture->transport->sent->pdata[0];

    return oldest->id <= 3;
}

static void
test_poison_may_come_in_a_row(Fixture *fixture, gconstpointer unused)
{
    fake_outbox_put(fixture->outbox, 12, 100);
    connect_it(fixture);

    for (guint i = 0; i < 60 && fixture->transport->sent->len > 0; i++) {
        if (is_poison(fixture))
            be_closed(fixture);
        else
            fake_transport_settled(1, SPOKE_VERDICT_ACCEPT);
    }

    g_autofree char *settled = fake_outbox_describe_settled(fixture->outbox);
    for (guint id = 1; id <= 12; id++) {
        g_autofree char *outcome = g_strdup_printf(" %u%c", id, id <= 3 ? '-' : '+');
        g_autofree char *padded = g_strconcat(" ", settled, NULL);
        g_assert_nonnull(strstr(padded, outcome));
    }
}

static void
test_poison_is_not_the_hubs_bad_day(Fixture *fixture, gconstpointer unused)
{
    fake_outbox_put(fixture->outbox, 3, 100);
    connect_it(fixture);

    for (guint i = 0; i < 30; i++)
        be_closed(fixture);
    while (fixture->transport->sent->len > 0)
        fake_transport_settled(1, SPOKE_VERDICT_ACCEPT);

    g_autofree char *settled = fake_outbox_describe_settled(fixture->outbox);

    g_assert_null(strchr(settled, '-'));
    g_assert_nonnull(strstr(settled, "1+"));
    g_assert_nonnull(strstr(settled, "2+"));
    g_assert_nonnull(strstr(settled, "3+"));
}

static void
test_poison_needs_another_message(Fixture *fixture, gconstpointer unused)
{
    fake_outbox_put(fixture->outbox, 1, 100);
    connect_it(fixture);

    for (guint i = 0; i < 10; i++) {
        be_closed(fixture);
        assert_sent(fixture, i + 1, "1");
    }
    fake_transport_settled(1, SPOKE_VERDICT_ACCEPT);

    assert_settled(fixture, "1+");
}

static void
test_clock_unset_is_waited_for(Fixture *fixture, gconstpointer unused)
{
    fixture->clock->now_usec[SPOKE_CLOCK_WALL] = 1000 * SEC; /* 1970 */
    spoke_connection_start(fixture->connection);

    assert_state(fixture, SPOKE_CONNECTION_OFFLINE);
    assert_error(fixture, SPOKE_CAUSE_CLOCK);
    advance(fixture, 3600 * SEC);
    g_assert_cmpuint(fixture->transport->n_created, ==, 0);
    fake_clock_set_wall(fixture->clock, G_GINT64_CONSTANT(1800000000) * SEC);

    assert_state(fixture, SPOKE_CONNECTION_CONNECTING);
}

static void
test_clock_step_renews(Fixture *fixture, gconstpointer unused)
{
    connect_it(fixture);

    fake_clock_set_wall(fixture->clock, fixture->clock->now_usec[SPOKE_CLOCK_WALL] + 3000 * SEC);

    assert_state(fixture, SPOKE_CONNECTION_DRAINING);
    fake_transport_closed(SPOKE_CAUSE_CLOSED);
    fake_transport_log_in();
    g_assert_cmpint(spoke_attachment_get_token_expiry(fixture->attachment), ==,
                    fixture->clock->now_usec[SPOKE_CLOCK_WALL] + 3600 * SEC);
}

/* Refused because the clock was an hour slow: not waited out once it is right. */
static void
test_clock_step_ends_a_wait(Fixture *fixture, gconstpointer unused)
{
    spoke_connection_start(fixture->connection);
    for (guint i = 0; i < 6; i++) {
        fake_transport_closed(SPOKE_CAUSE_AUTHENTICATION_FAILED);
        if (i < 5)
            wait_for_attempt(fixture);
    }
    guint n_created = fixture->transport->n_created;

    fake_clock_set_wall(fixture->clock, fixture->clock->now_usec[SPOKE_CLOCK_WALL] + 3600 * SEC);

    g_assert_cmpuint(fixture->transport->n_created, ==, n_created + 1);
}

static void
test_silence_ends_the_connection(Fixture *fixture, gconstpointer unused)
{
    fake_outbox_put(fixture->outbox, 1, 100);
    connect_it(fixture);
    advance(fixture, 40 * SEC);
    fake_transport_settled(1, SPOKE_VERDICT_ACCEPT);
    fake_outbox_put(fixture->outbox, 1, 100);
    spoke_attachment_wake(fixture->attachment);

    advance(fixture, SPOKE_CONNECTION_ACK_USEC - 1);
    assert_state(fixture, SPOKE_CONNECTION_CONNECTED);
    advance(fixture, 1);

    assert_error(fixture, SPOKE_CAUSE_KEEPALIVE);
}

static void
test_silence_is_not_slowness(Fixture *fixture, gconstpointer unused)
{
    fake_outbox_put(fixture->outbox, 1, 9000);
    connect_it(fixture);

    for (guint i = 0; i < 5; i++) {
        fixture->transport->progress += SPOKE_CONNECTION_ACK_BYTES;
        advance(fixture, SPOKE_CONNECTION_ACK_USEC);
        assert_state(fixture, SPOKE_CONNECTION_CONNECTED);
    }
    fixture->transport->progress += SPOKE_CONNECTION_ACK_BYTES - 1; /* a few pings */
    advance(fixture, SPOKE_CONNECTION_ACK_USEC);

    assert_error(fixture, SPOKE_CAUSE_KEEPALIVE);
}

static void
test_silence_without_messages_is_fine(Fixture *fixture, gconstpointer unused)
{
    fake_outbox_put(fixture->outbox, 1, 100);
    connect_it(fixture);
    fake_transport_settled(1, SPOKE_VERDICT_ACCEPT);
    advance(fixture, 1000 * SEC);
    fake_outbox_put(fixture->outbox, 1, 100);
    spoke_attachment_wake(fixture->attachment);

    advance(fixture, SPOKE_CONNECTION_ACK_USEC - 1);

    assert_state(fixture, SPOKE_CONNECTION_CONNECTED);
}

/* Connected and idle, there is one thing to wait for: the token's renewal. */
static void
test_idle_sets_no_alarm(Fixture *fixture, gconstpointer unused)
{
    connect_it(fixture);

    g_assert_cmpint(fixture->clock->alarm_usec[SPOKE_CLOCK_BOOT], ==, SPOKE_CLOCK_NEVER);
    g_assert_cmpint(fixture->clock->alarm_usec[SPOKE_CLOCK_WALL], ==,
                    fixture->clock->now_usec[SPOKE_CLOCK_WALL] + 2880 * SEC);
}

static void
test_arrival_is_settled(Fixture *fixture, gconstpointer unused)
{
    g_autoptr(SpokeMessage) message = spoke_message_new(NULL, 0, NULL, 0, "x", 1);

    connect_it(fixture);
    fake_transport_arrived(message, GUINT_TO_POINTER(7));
    guint64 first = fixture->arrival;
    fake_transport_arrived(message, GUINT_TO_POINTER(8));
    g_assert_cmpuint(fixture->arrival, !=, first);

    spoke_attachment_settle(fixture->attachment, first, SPOKE_VERDICT_ACCEPT);
    spoke_attachment_settle(fixture->attachment, first, SPOKE_VERDICT_RELEASE); /* stale */

    g_assert_cmpuint(fixture->transport->verdicts->len, ==, 1);
    fake_transport_closed(SPOKE_CAUSE_NETWORK);
    spoke_attachment_settle(fixture->attachment, fixture->arrival, SPOKE_VERDICT_ACCEPT);
    g_assert_cmpuint(fixture->transport->verdicts->len, ==, 1);
}

static void
test_arrival_delays_renewal(Fixture *fixture, gconstpointer unused)
{
    g_autoptr(SpokeMessage) message = spoke_message_new(NULL, 0, NULL, 0, "x", 1);

    connect_it(fixture);
    fake_transport_arrived(message, GUINT_TO_POINTER(7));
    advance(fixture, 2880 * SEC);
    assert_state(fixture, SPOKE_CONNECTION_DRAINING);
    g_assert_false(fixture->transport->is_closing);

    spoke_attachment_settle(fixture->attachment, fixture->arrival, SPOKE_VERDICT_ACCEPT);

    g_assert_true(fixture->transport->is_closing);
}

static void
test_receiving_can_be_paused(Fixture *fixture, gconstpointer unused)
{
    connect_it(fixture);
    g_assert_true(fixture->transport->is_receiving);
    spoke_attachment_set_receiving(fixture->attachment, FALSE);
    g_assert_false(fixture->transport->is_receiving);
    spoke_attachment_set_receiving(fixture->attachment, FALSE);
    g_assert_cmpuint(fixture->transport->n_receive_calls, ==, 3);

    fake_transport_closed(SPOKE_CAUSE_NETWORK);
    wait_for_attempt(fixture);
    fake_transport_log_in();

    g_assert_false(fixture->transport->is_receiving);
    g_assert_cmpuint(fixture->transport->n_receive_calls, ==, 5); /* said all the same */
}

static void
test_network_change_ends_a_wait(Fixture *fixture, gconstpointer unused)
{
    spoke_connection_start(fixture->connection);
    for (guint i = 0; i < 7; i++) {
        fake_transport_closed(SPOKE_CAUSE_NETWORK);
        if (i < 6)
            wait_for_attempt(fixture);
    }
    spoke_connection_network_changed(fixture->connection, FALSE);

    spoke_connection_network_changed(fixture->connection, TRUE);

    g_assert_cmpint(wait_for_attempt(fixture), ==, SEC / 2);
}

/* iot-hub-protocol.md, 7.5: what another network's portal or proxy did is over with it. */
static void
test_network_change_forgets_what_the_network_did(Fixture *fixture, gconstpointer unused)
{
    spoke_connection_start(fixture->connection);
    fake_transport_closed(SPOKE_CAUSE_CERTIFICATE);
    g_assert_cmpint(wait_for_attempt(fixture), ==, 5 * SEC);
    fake_transport_closed(SPOKE_CAUSE_CERTIFICATE);

    spoke_connection_network_changed(fixture->connection, TRUE);

    g_assert_cmpint(wait_for_attempt(fixture), ==, SEC / 2);
    fake_transport_closed(SPOKE_CAUSE_NETWORK);
    g_assert_cmpint(wait_for_attempt(fixture), ==, SEC / 2);
}

static void
test_network_change_mends_no_refusal(Fixture *fixture, gconstpointer unused)
{
    spoke_connection_start(fixture->connection);
    fake_transport_closed(SPOKE_CAUSE_BAD_CREDENTIALS);

    spoke_connection_network_changed(fixture->connection, TRUE);

    g_assert_cmpint(wait_for_attempt(fixture), ==, 5 * SEC);
}

/* As a reload does. */
static void
reconfigure(Fixture *fixture, SpokeCredentials *credentials)
{
    spoke_connection_set_options(fixture->connection, &fixture->options);
    spoke_attachment_set_credentials(fixture->attachment, credentials);
    spoke_connection_retry(fixture->connection);
}

static void
test_reconfigure_same_changes_nothing(Fixture *fixture, gconstpointer unused)
{
    g_autoptr(SpokeCredentials) same = make_credentials(KEY);

    connect_it(fixture);
    reconfigure(fixture, same);

    assert_state(fixture, SPOKE_CONNECTION_CONNECTED);
    g_assert_false(fixture->transport->is_closing);
}

static void
test_reconfigure_returns(Fixture *fixture, gconstpointer unused)
{
    g_autoptr(SpokeCredentials) other = make_credentials(OTHER_KEY);

    connect_it(fixture);
    reconfigure(fixture, other);
    g_assert_true(fixture->transport->is_closing);
    fake_transport_closed(SPOKE_CAUSE_CLOSED);

    g_assert_cmpuint(fixture->transport->n_created, ==, 2);
    fake_transport_log_in();
    fixture->options.keepalive_sec = 60;
    reconfigure(fixture, other);
    g_assert_true(fixture->transport->is_closing);
    fake_transport_closed(SPOKE_CAUSE_CLOSED);
}

static void
test_reconfigure_ends_a_wait(Fixture *fixture, gconstpointer unused)
{
    spoke_connection_start(fixture->connection);
    fake_transport_closed(SPOKE_CAUSE_BAD_CREDENTIALS);

    reconfigure(fixture, fixture->credentials);

    assert_state(fixture, SPOKE_CONNECTION_CONNECTING);
}

static void
test_reconfigure_while_connecting(Fixture *fixture, gconstpointer unused)
{
    spoke_connection_start(fixture->connection);
    fixture->options.port = 99;

    reconfigure(fixture, fixture->credentials);

    g_assert_cmpuint(fixture->transport->n_created, ==, 2);
    g_assert_cmpuint(fixture->transport->n_alive, ==, 1);
}

static void
test_free_gives_back(Fixture *fixture, gconstpointer unused)
{
    fake_outbox_put(fixture->outbox, 6, 100);
    connect_it(fixture);

    g_clear_pointer(&fixture->connection, spoke_connection_free);

    g_assert_cmpuint(spoke_outbox_get_messages(fixture->outbox), ==, 6);
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
    add("/connection/start/connects-at-once", test_start_connects_at_once);
    add("/connection/next-attempt/stays-while-it-is-awaited",
        test_next_attempt_stays_while_it_is_awaited);
    add("/connection/send/keeps-to-the-window", test_send_keeps_to_the_window);
    add("/connection/send/keeps-to-the-bytes", test_send_keeps_to_the_bytes);
    add("/connection/send/when-woken", test_send_when_woken);
    add("/connection/send/rejected-and-released", test_send_rejected_and_released);
    add("/connection/send/released-goes-before-what-waits",
        test_send_released_goes_before_what_waits);
    add("/connection/loss/keeps-order", test_loss_keeps_order);
    add("/connection/loss/is-shown", test_loss_is_shown);
    add("/connection/retry/backs-off", test_retry_backs_off);
    add("/connection/retry/is-slow-for-slow-causes", test_retry_is_slow_for_slow_causes);
    add("/connection/retry/begins-anew-after-a-minute", test_retry_begins_anew_after_a_minute);
    add("/connection/retry/7.5-after-refusal", test_retry_after_refusal);
    add("/connection/renewal/loses-nothing", test_renewal_loses_nothing);
    add("/connection/renewal/does-not-wait-for-ever", test_renewal_does_not_wait_for_ever);
    add("/connection/renewal/survives-a-loss", test_renewal_survives_a_loss);
    add("/connection/stop/sends-what-there-is", test_stop_sends_what_there_is);
    add("/connection/stop/keeps-to-its-time", test_stop_keeps_to_its_time);
    add("/connection/stop/when-idle", test_stop_when_idle);
    add("/connection/stop/when-offline", test_stop_when_offline);
    add("/connection/stop/before-start", test_stop_before_start);
    add("/connection/stop/while-connecting", test_stop_while_connecting);
    add("/connection/eviction/is-seen", test_eviction_is_seen);
    add("/connection/eviction/takes-young-connections", test_eviction_takes_young_connections);
    add("/connection/eviction/is-no-restart", test_eviction_is_no_restart);
    add("/connection/poison/is-rejected", test_poison_is_rejected);
    add("/connection/poison/is-not-bad-luck", test_poison_is_not_bad_luck);
    add("/connection/poison/may-come-in-a-row", test_poison_may_come_in_a_row);
    add("/connection/poison/is-not-the-hubs-bad-day", test_poison_is_not_the_hubs_bad_day);
    add("/connection/poison/needs-another-message", test_poison_needs_another_message);
    add("/connection/clock/unset-is-waited-for", test_clock_unset_is_waited_for);
    add("/connection/clock/step-renews", test_clock_step_renews);
    add("/connection/clock/step-ends-a-wait", test_clock_step_ends_a_wait);
    add("/connection/silence/ends-the-connection", test_silence_ends_the_connection);
    add("/connection/silence/is-not-slowness", test_silence_is_not_slowness);
    add("/connection/silence/without-messages-is-fine", test_silence_without_messages_is_fine);
    add("/connection/idle/sets-no-alarm", test_idle_sets_no_alarm);
    add("/connection/arrival/is-settled", test_arrival_is_settled);
    add("/connection/arrival/delays-renewal", test_arrival_delays_renewal);
    add("/connection/receiving/can-be-paused", test_receiving_can_be_paused);
    add("/connection/network/change-ends-a-wait", test_network_change_ends_a_wait);
    add("/connection/network/change-forgets-what-the-network-did",
        test_network_change_forgets_what_the_network_did);
    add("/connection/network/change-mends-no-refusal", test_network_change_mends_no_refusal);
    add("/connection/reconfigure/same-changes-nothing", test_reconfigure_same_changes_nothing);
    add("/connection/reconfigure/returns", test_reconfigure_returns);
    add("/connection/reconfigure/ends-a-wait", test_reconfigure_ends_a_wait);
    add("/connection/reconfigure/while-connecting", test_reconfigure_while_connecting);
    add("/connection/free/gives-back", test_free_gives_back);
    return g_test_run();
}
