/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "clients/libspoke/spoke.h"

#include "libspoke-fixture.h"

#include <errno.h>
#include <string.h>

/* What the callbacks were told. */
typedef struct {
    guint n_sent;
    guint n_settled;
    int error;
    char *name;
    char *text;
    guint64 ids[4];
    gsize n_ids;
    guint64 settled_id;
    SpokeOutcome outcome;
    char *detail;
} Told;

static void
told_clear(Told *told)
{
    g_free(told->name);
    g_free(told->text);
    g_free(told->detail);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Told, told_clear)

static void
on_sent(SpokeClient *client, const uint64_t *ids, size_t n, const SpokeFailure *failure,
        void *user_data)
{
    Told *told = user_data;

    told->n_sent++;
    told->n_ids = n;
    for (size_t i = 0; i < MIN(n, G_N_ELEMENTS(told->ids)); i++)
        told->ids[i] = ids[i];
    if (failure != NULL) {
        told->error = failure->error;
        told->name = g_strdup(failure->name);
        told->text = g_strdup(failure->text);
    }
}

static void
on_settled(SpokeClient *client, uint64_t id, SpokeOutcome outcome, const char *detail,
           void *user_data)
{
    Told *told = user_data;

    g_assert_cmpuint(told->n_sent, ==, 1);
    told->n_settled++;
    told->settled_id = id;
    told->outcome = outcome;
    g_free(told->detail);
    told->detail = g_strdup(detail);
}

static const SpokeOutgoing hello = {SPOKE_OUTGOING_INIT, .body = "hi", .body_size = 2};

static GDBusMethodInvocation *
send_and_take(Fixture *fixture, Told *told)
{
    g_assert_cmpint(spoke_client_send(fixture->client, &hello, on_sent, on_settled, told), ==, 0);
    return fixture_take_call(fixture, "Send");
}

static void
answer(GDBusMethodInvocation *call, const char *text)
{
    g_dbus_method_invocation_return_value(call, g_variant_new_parsed(text));
}

static GVariant *
settled(const char *text)
{
    return g_variant_new_parsed(text);
}

static void
test_send_maps_all_fields(Fixture *fixture, gconstpointer data)
{
    g_auto(Told) told = {0};
    const SpokeProperty properties[] = {{"room", "k\xc3\xbc"
                                                 "che"},
                                        {"empty", ""}};
    const SpokeOutgoing message = {
        SPOKE_OUTGOING_INIT,
        .body = "\0b",
        .body_size = 2,
        .properties = properties,
        .n_properties = 2,
        .message_id = "m",
        .correlation_id = "c",
        .user_id = "u",
        .content_type = "t",
        .content_encoding = "e",
        .creation_time_usec = 1,
        .expiry_usec = 2,
        .ttl_msec = 3,
        .urgent = true,
        .durability = SPOKE_DURABILITY_VOLATILE,
    };

    g_assert_cmpint(spoke_client_send(fixture->client, &message, on_sent, NULL, &told), ==, 0);
    answer(
        fixture_take_call_with(
            fixture, "Send",
            "([0x00, 0x62], {'room': 'küche', 'empty': ''}, {'message-id': <'m'>, "
            "'correlation-id': <'c'>, 'user-id': <'u'>, 'content-type': <'t'>, "
            "'content-encoding': <'e'>, 'creation-time': <uint64 1>, 'expiry': <uint64 2>, 'ttl': "
            "<uint64 3>, 'priority': <'urgent'>, 'durability': <'volatile'>})"),
        "(uint64 77,)");
    fixture_wait_for(told.n_sent > 0);

    g_assert_cmpint(told.error, ==, 0);
    g_assert_cmpuint(told.n_ids, ==, 1);
    g_assert_cmpuint(told.ids[0], ==, 77);
}

static void
test_send_leaves_out_what_is_not_set(Fixture *fixture, gconstpointer data)
{
    g_auto(Told) told = {0};
    const SpokeOutgoing message = {SPOKE_OUTGOING_INIT};

    g_assert_cmpint(spoke_client_send(fixture->client, &message, on_sent, NULL, &told), ==, 0);
    g_autoptr(GDBusMethodInvocation) call = fixture_take_call_with(fixture, "Send", "([], {}, {})");
    answer(g_steal_pointer(&call), "(uint64 1,)");
    fixture_wait_for(told.n_sent > 0);
}

static void
test_send_asks_to_be_told(Fixture *fixture, gconstpointer data)
{
    g_auto(Told) told = {0};

    g_assert_cmpint(spoke_client_send(fixture->client, &hello, on_sent, on_settled, &told), ==, 0);
    answer(fixture_take_call_with(fixture, "Send", "([0x68, 0x69], {}, {'notify': <true>})"),
           "(uint64 5,)");
    fixture_wait_for(told.n_sent > 0);
    fixture_emit(fixture, fixture->connection, NULL, "Settled",
                 settled("(uint64 5, 'expired', 'late')"));
    fixture_wait_for(told.n_settled > 0);

    g_assert_cmpuint(told.settled_id, ==, 5);
    g_assert_cmpint(told.outcome, ==, SPOKE_OUTCOME_EXPIRED);
    g_assert_cmpstr(told.detail, ==, "late");
}

static void
test_send_keeps_settlement_that_comes_first(Fixture *fixture, gconstpointer data)
{
    g_auto(Told) told = {0};
    GDBusMethodInvocation *call = send_and_take(fixture, &told);

    fixture_emit(fixture, fixture->connection, NULL, "Settled",
                 settled("(uint64 5, 'accepted', '')"));
    fixture_settle_down(fixture);
    g_assert_cmpuint(told.n_settled, ==, 0);
    answer(call, "(uint64 5,)");
    fixture_wait_for(told.n_settled > 0);

    g_assert_cmpint(told.outcome, ==, SPOKE_OUTCOME_ACCEPTED);
}

static void
test_send_settles_after_restart(Fixture *fixture, gconstpointer data)
{
    g_auto(Told) told = {0};

    answer(send_and_take(fixture, &told), "(uint64 5,)");
    fixture_wait_for(told.n_sent > 0);
    fixture_kill_service(fixture);
    fixture_start_service(fixture);
    fixture_emit(fixture, fixture->connection, NULL, "Settled",
                 settled("(uint64 5, 'rejected', '')"));
    fixture_wait_for(told.n_settled > 0);

    g_assert_cmpint(told.outcome, ==, SPOKE_OUTCOME_REJECTED);
}

/* Nobody will ever say what became of those. */
static void
test_send_gives_up_what_may_have_been_in_memory_alone(Fixture *fixture, gconstpointer data)
{
    const SpokeOutgoing message = {SPOKE_OUTGOING_INIT, .body = "hi", .body_size = 2,
                                   .durability = GPOINTER_TO_INT(data)};
    g_auto(Told) told = {0};

    g_assert_cmpint(spoke_client_send(fixture->client, &message, on_sent, on_settled, &told), ==,
                    0);
    answer(fixture_take_call(fixture, "Send"), "(uint64 5,)");
    fixture_wait_for(told.n_sent > 0);
    g_assert_cmpuint(told.n_settled, ==, 0);
    fixture_kill_service(fixture);
    fixture_wait_for(told.n_settled > 0);

    g_assert_cmpuint(told.settled_id, ==, 5);
    g_assert_cmpint(told.outcome, ==, SPOKE_OUTCOME_UNKNOWN);
    g_assert_true(g_str_has_prefix(told.detail, "The daemon ended"));
}

static void
test_batch_gives_up_each_by_its_durability(Fixture *fixture, gconstpointer data)
{
    SpokeOutgoing messages[9] = {0};
    g_auto(Told) told = {0};

    for (guint i = 0; i < G_N_ELEMENTS(messages); i++)
        messages[i] = hello;
    messages[5].durability = SPOKE_DURABILITY_FLUSHED;
    messages[6].durability = SPOKE_DURABILITY_VOLATILE;
    g_assert_cmpint(spoke_client_send_batch(fixture->client, messages, G_N_ELEMENTS(messages),
                                            on_sent, on_settled, &told),
                    ==, 0);
    answer(fixture_take_call(fixture, "SendBatch"), "(@at [1, 2, 3, 4, 5, 6, 7, 8, 9],)");
    fixture_wait_for(told.n_sent > 0);
    fixture_kill_service(fixture);
    fixture_start_service(fixture);
    fixture_settle_down(fixture);

    g_assert_cmpuint(told.n_settled, ==, 2);
    g_assert_cmpint(told.outcome, ==, SPOKE_OUTCOME_UNKNOWN);
    g_assert_true(told.settled_id == 6 || told.settled_id == 7);
    g_clear_handle_id(&fixture->client_source, g_source_remove);
    g_clear_pointer(&fixture->client, spoke_client_free);
    g_assert_cmpuint(told.n_settled, ==, G_N_ELEMENTS(messages));
}

static void
test_send_ignores_signals_of_others(Fixture *fixture, gconstpointer data)
{
    g_auto(Told) told = {0};
    g_autoptr(GDBusConnection) other = fixture_connect(fixture);
    GDBusMethodInvocation *call = send_and_take(fixture, &told);
    g_autofree char *client = g_strdup(g_dbus_method_invocation_get_sender(call));

    answer(call, "(uint64 5,)");
    fixture_wait_for(told.n_sent > 0);
    fixture_emit(fixture, other, client, "Settled", settled("(uint64 5, 'accepted', '')"));
    g_dbus_connection_flush_sync(other, NULL, NULL);
    fixture_settle_down(fixture);
    g_assert_cmpuint(told.n_settled, ==, 0);
    fixture_emit(fixture, fixture->connection, NULL, "Settled",
                 settled("(uint64 5, 'dropped', '')"));
    fixture_wait_for(told.n_settled > 0);

    g_assert_cmpint(told.outcome, ==, SPOKE_OUTCOME_DROPPED);
}

static void
test_send_reports_error(Fixture *fixture, gconstpointer data)
{
    g_auto(Told) told = {0};

    g_dbus_method_invocation_return_dbus_error(send_and_take(fixture, &told),
                                               "org.spoked1.Error.QueueFull", "No room");
    fixture_wait_for(told.n_sent > 0);
    fixture_settle_down(fixture);

    g_assert_cmpint(told.error, ==, -ENOSPC);
    g_assert_cmpstr(told.name, ==, "org.spoked1.Error.QueueFull");
    g_assert_cmpstr(told.text, ==, "No room");
    g_assert_cmpuint(told.n_ids, ==, 0);
    g_assert_cmpuint(told.n_settled, ==, 0);
}

static void
test_send_reports_death_of_daemon(Fixture *fixture, gconstpointer data)
{
    g_auto(Told) told = {0};
    g_autoptr(GDBusMethodInvocation) call = send_and_take(fixture, &told);

    fixture_kill_service(fixture);
    fixture_wait_for(told.n_sent > 0);

    g_assert_cmpint(told.error, ==, -ECONNRESET);
}

static void
test_send_reports_absence_of_daemon(Fixture *fixture, gconstpointer data)
{
    g_auto(Told) told = {0};

    fixture_kill_service(fixture);
    g_assert_cmpint(spoke_client_send(fixture->client, &hello, on_sent, NULL, &told), ==, 0);
    fixture_wait_for(told.n_sent > 0);

    g_assert_cmpint(told.error, ==, -EHOSTUNREACH);
}

static void
test_send_refuses_what_the_bus_would(Fixture *fixture, gconstpointer data)
{
    static const char *const texts[] = {"\xff",     "\xc0\xaf", "\xed\xa0\x80", "\xf4\x90\x80\x80",
                                        "\xe2\x82", "a\x80",    "\xef\xbf\xbe"};
    g_autofree char *large = g_malloc0(SPOKE_BODY_BYTES_MAX + 1);
    SpokeOutgoing message = hello;

    for (gsize i = 0; i < G_N_ELEMENTS(texts); i++) {
        const SpokeProperty property = {"name", texts[i]};

        message = hello;
        message.content_type = texts[i];
        g_assert_cmpint(spoke_client_send(fixture->client, &message, NULL, NULL, NULL), ==,
                        -EILSEQ);
        message = hello;
        message.properties = &property;
        message.n_properties = 1;
        g_assert_cmpint(spoke_client_send(fixture->client, &message, NULL, NULL, NULL), ==,
                        -EILSEQ);
    }
    message =
        (SpokeOutgoing){SPOKE_OUTGOING_INIT, .body = large, .body_size = SPOKE_BODY_BYTES_MAX + 1};
    g_assert_cmpint(spoke_client_send(fixture->client, &message, NULL, NULL, NULL), ==, -EMSGSIZE);
    message = (SpokeOutgoing){.body = "x", .body_size = 1};
    g_assert_cmpint(spoke_client_send(fixture->client, &message, NULL, NULL, NULL), ==, -EINVAL);
}

static void
test_send_takes_all_of_utf8(Fixture *fixture, gconstpointer data)
{
    const SpokeProperty property = {"name", "\x7f\xc2\x80\xe0\xa0\x80\xed\x9f\xbf\xee\x80\x80"
                                            "\xf0\x90\x80\x80\xf4\x8f\xbf\xbd"};
    SpokeOutgoing message = hello;
    g_auto(Told) told = {0};

    message.properties = &property;
    message.n_properties = 1;
    g_assert_cmpint(spoke_client_send(fixture->client, &message, on_sent, NULL, &told), ==, 0);
    answer(fixture_take_call(fixture, "Send"), "(uint64 1,)");
    fixture_wait_for(told.n_sent > 0);

    g_assert_cmpint(told.error, ==, 0);
}

static void
test_batch_numbers_in_order(Fixture *fixture, gconstpointer data)
{
    const SpokeOutgoing messages[] = {hello, {SPOKE_OUTGOING_INIT, .urgent = true}};
    g_auto(Told) told = {0};

    g_assert_cmpint(spoke_client_send_batch(fixture->client, messages, 2, on_sent, NULL, &told), ==,
                    0);
    answer(
        fixture_take_call_with(fixture, "SendBatch",
                               "([([0x68, 0x69], {}, {}), ([], {}, {'priority': <'urgent'>})],)"),
        "([uint64 8, 9],)");
    fixture_wait_for(told.n_sent > 0);

    g_assert_cmpuint(told.n_ids, ==, 2);
    g_assert_cmpuint(told.ids[0], ==, 8);
    g_assert_cmpuint(told.ids[1], ==, 9);
}

static void
test_batch_distrusts_wrong_number_of_ids(Fixture *fixture, gconstpointer data)
{
    const SpokeOutgoing messages[] = {hello, hello};
    g_auto(Told) told = {0};

    g_assert_cmpint(
        spoke_client_send_batch(fixture->client, messages, 2, on_sent, on_settled, &told), ==, 0);
    answer(fixture_take_call(fixture, "SendBatch"), "([uint64 8],)");
    fixture_wait_for(told.n_sent > 0);

    g_assert_cmpint(told.error, ==, -EPROTO);
}

static void
test_batch_has_limits(Fixture *fixture, gconstpointer data)
{
    const gsize n = SPOKE_BATCH_MESSAGES_MAX + 1;
    g_autofree SpokeOutgoing *messages = g_new(SpokeOutgoing, n);
    g_autofree char *large = g_malloc0(SPOKE_BODY_BYTES_MAX);

    for (gsize i = 0; i < n; i++)
        messages[i] =
            (SpokeOutgoing){SPOKE_OUTGOING_INIT, .body = large, .body_size = SPOKE_BODY_BYTES_MAX};
    g_assert_cmpint(spoke_client_send_batch(fixture->client, messages, 0, NULL, NULL, NULL), ==,
                    -EINVAL);
    g_assert_cmpint(spoke_client_send_batch(fixture->client, messages, n, NULL, NULL, NULL), ==,
                    -EINVAL);
    g_assert_cmpint(spoke_client_send_batch(fixture->client, messages, 65, NULL, NULL, NULL), ==,
                    -EMSGSIZE);
}

static void
test_free_answers_what_waits(Fixture *fixture, gconstpointer data)
{
    g_auto(Told) waiting = {0};
    g_auto(Told) unsettled = {0};

    answer(send_and_take(fixture, &unsettled), "(uint64 5,)");
    fixture_wait_for(unsettled.n_sent > 0);
    g_autoptr(GDBusMethodInvocation) call = send_and_take(fixture, &waiting);
    g_clear_handle_id(&fixture->client_source, g_source_remove);
    g_clear_pointer(&fixture->client, spoke_client_free);

    g_assert_cmpuint(waiting.n_sent, ==, 1);
    g_assert_cmpint(waiting.error, ==, -ECANCELED);
    g_assert_cmpuint(waiting.n_settled, ==, 0);
    g_assert_cmpuint(unsettled.n_settled, ==, 1);
    g_assert_cmpint(unsettled.outcome, ==, SPOKE_OUTCOME_UNKNOWN);
}

static void
test_bus_gone_ends_everything(Fixture *fixture, gconstpointer data)
{
    g_auto(Told) told = {0};
    g_autoptr(GDBusMethodInvocation) call = send_and_take(fixture, &told);

    g_test_dbus_stop(fixture->bus);
    fixture_wait_for(fixture->lost);

    g_assert_cmpint(told.error, ==, -ENOTCONN);
    g_assert_cmpint(spoke_client_send(fixture->client, &hello, NULL, NULL, NULL), ==, -ENOTCONN);
    g_assert_cmpint(spoke_client_process(fixture->client), ==, -ENOTCONN);
    g_assert_cmpint(spoke_client_run(fixture->client, 0), ==, -ENOTCONN);
    g_clear_object(&fixture->connection);
}

typedef struct {
    Told told;
    guint64 timeout_msec;
    int result;
    gint ended;
} Run;

/* libspoke's own loop, in a thread: the service is served by this one. */
static gpointer
run_client(gpointer data)
{
    Run *run = data;
    SpokeClient *client = NULL;

    g_assert_cmpint(spoke_client_open(NULL, &client), ==, 0);
    g_assert_cmpint(spoke_client_send(client, &hello, on_sent, on_settled, &run->told), ==, 0);
    run->result = spoke_client_run(client, run->timeout_msec);
    spoke_client_free(client);
    g_atomic_int_set(&run->ended, TRUE);
    return NULL;
}

static void
test_run_ends_when_all_is_settled(Fixture *fixture, gconstpointer data)
{
    Run run = {.timeout_msec = SPOKE_FOREVER};
    GThread *thread = g_thread_new("client", run_client, &run);

    answer(fixture_take_call(fixture, "Send"), "(uint64 5,)");
    fixture_emit(fixture, fixture->connection, NULL, "Settled",
                 settled("(uint64 5, 'accepted', '')"));
    fixture_wait_for(g_atomic_int_get(&run.ended));
    g_thread_join(thread);

    g_assert_cmpint(run.result, ==, 0);
    g_assert_cmpint(run.told.outcome, ==, SPOKE_OUTCOME_ACCEPTED);
    told_clear(&run.told);
}

static void
test_run_ends_when_time_is_up(Fixture *fixture, gconstpointer data)
{
    Run run = {.timeout_msec = 50};
    GThread *thread = g_thread_new("client", run_client, &run);

    g_autoptr(GDBusMethodInvocation) call = fixture_take_call(fixture, "Send");
    fixture_wait_for(g_atomic_int_get(&run.ended));
    g_thread_join(thread);

    g_assert_cmpint(run.result, ==, -ETIMEDOUT);
    told_clear(&run.told);
}

static void
on_flushed(SpokeClient *client, uint64_t remaining, const SpokeFailure *failure, void *user_data)
{
    *(guint64 *)user_data = remaining;
}

static void
test_flush_tells_what_remains(Fixture *fixture, gconstpointer data)
{
    guint64 remaining = 0;

    g_assert_cmpint(spoke_client_flush(fixture->client, 1500, on_flushed, &remaining), ==, 0);
    answer(fixture_take_call_with(fixture, "Flush", "(1500,)"), "(uint64 3,)");
    fixture_wait_for(remaining > 0);

    g_assert_cmpuint(remaining, ==, 3);
}

static void
test_open_refuses_impossible_name(void)
{
    SpokeClient *client = NULL;

    g_assert_cmpint(spoke_client_open("", &client), ==, -EINVAL);
    g_assert_null(client);
}

#define ADD(path, test)                                                                            \
    g_test_add("/libspoke/" path, Fixture, NULL, fixture_set_up, test, fixture_tear_down)

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    ADD("send/maps-all-fields", test_send_maps_all_fields);
    ADD("send/leaves-out-what-is-not-set", test_send_leaves_out_what_is_not_set);
    ADD("send/asks-to-be-told", test_send_asks_to_be_told);
    ADD("send/keeps-settlement-that-comes-first", test_send_keeps_settlement_that_comes_first);
    ADD("send/settles-after-restart", test_send_settles_after_restart);
    g_test_add("/libspoke/send/gives-up-volatile-with-the-daemon", Fixture,
               GINT_TO_POINTER(SPOKE_DURABILITY_VOLATILE), fixture_set_up,
               test_send_gives_up_what_may_have_been_in_memory_alone, fixture_tear_down);
    g_test_add("/libspoke/send/gives-up-flushed-with-the-daemon", Fixture,
               GINT_TO_POINTER(SPOKE_DURABILITY_FLUSHED), fixture_set_up,
               test_send_gives_up_what_may_have_been_in_memory_alone, fixture_tear_down);
    ADD("batch/gives-up-each-by-its-durability", test_batch_gives_up_each_by_its_durability);
    ADD("send/ignores-signals-of-others", test_send_ignores_signals_of_others);
    ADD("send/reports-error", test_send_reports_error);
    ADD("send/reports-death-of-daemon", test_send_reports_death_of_daemon);
    ADD("send/reports-absence-of-daemon", test_send_reports_absence_of_daemon);
    ADD("send/refuses-what-the-bus-would", test_send_refuses_what_the_bus_would);
    ADD("send/takes-all-of-utf8", test_send_takes_all_of_utf8);
    ADD("batch/numbers-in-order", test_batch_numbers_in_order);
    ADD("batch/distrusts-wrong-number-of-ids", test_batch_distrusts_wrong_number_of_ids);
    ADD("batch/has-limits", test_batch_has_limits);
    ADD("free/answers-what-waits", test_free_answers_what_waits);
    ADD("bus/gone-ends-everything", test_bus_gone_ends_everything);
    ADD("run/ends-when-all-is-settled", test_run_ends_when_all_is_settled);
    ADD("run/ends-when-time-is-up", test_run_ends_when_time_is_up);
    ADD("flush/tells-what-remains", test_flush_tells_what_remains);
    g_test_add_func("/libspoke/open/refuses-impossible-name", test_open_refuses_impossible_name);
    return g_test_run();
}
