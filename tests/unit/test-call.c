/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "bus-fixture.h"
#include "daemon/error.h"
#include "dbus/call.h"

/* Calls on a private bus: what the caller gets, whatever becomes of the call. */
typedef struct {
    BusFixture bus;
    SpokeCallers *callers;
    sd_bus_slot *slot;
    SpokeCallFunc act;
    sd_bus *client;
    sd_bus_message *answer; /* owned */
    SpokeCall *kept;
    guint freed_requests;
} Fixture;

static void
count_request(gpointer request)
{
    ++*(guint *)request;
}

static int
on_message(sd_bus_message *m, void *userdata, sd_bus_error *ret_error)
{
    Fixture *fixture = userdata;
    g_autoptr(GError) error = NULL;

    if (!sd_bus_message_is_method_call(m, "test.Call", NULL))
        return 0;
    SpokeCall *call = spoke_call_new(m, fixture->callers, 10, &error);
    g_assert_no_error(error);
    spoke_call_start(call, fixture->act, fixture, &fixture->freed_requests, count_request);
    return 1;
}

static void
on_left(const char *name, gpointer user_data)
{
}

static int
on_answer(sd_bus_message *m, void *userdata, sd_bus_error *ret_error)
{
    Fixture *fixture = userdata;

    g_assert_null(fixture->answer);
    fixture->answer = sd_bus_message_ref(m);
    return 1;
}

static void
set_up(Fixture *fixture, gconstpointer data)
{
    bus_fixture_set_up(&fixture->bus);
    fixture->callers = spoke_callers_new(fixture->bus.service, on_left, NULL);
    g_assert_cmpint(sd_bus_add_filter(fixture->bus.service, &fixture->slot, on_message, fixture),
                    >=, 0);
    fixture->client = bus_fixture_connect(&fixture->bus);
}

static void
tear_down(Fixture *fixture, gconstpointer data)
{
    sd_bus_message_unref(fixture->answer);
    spoke_callers_free(fixture->callers);
    sd_bus_slot_unref(fixture->slot);
    bus_fixture_tear_down(&fixture->bus);
}

static void
call(Fixture *fixture, SpokeCallFunc act)
{
    fixture->act = act;
    g_assert_cmpint(sd_bus_call_method_async(fixture->client, NULL, SPOKE_BUS_NAME, "/",
                                             "test.Call", "Do", on_answer, fixture, NULL),
                    >=, 0);
}

static void
answer_two_values(SpokeCall *spoke_call, gpointer object, gpointer request)
{
    spoke_call_answer(spoke_call, "su", "yes", 7);
}

static void
answer_nothing(SpokeCall *spoke_call, gpointer object, gpointer request)
{
    spoke_call_answer(spoke_call, "");
}

static void
answer_broken(SpokeCall *spoke_call, gpointer object, gpointer request)
{
    spoke_call_answer(spoke_call, "s", "not \xff UTF-8");
}

static void
answer_error(SpokeCall *spoke_call, gpointer object, gpointer request)
{
    g_autoptr(GError) error = g_error_new(SPOKE_ERROR, SPOKE_ERROR_QUEUE_FULL, "Full");

    spoke_call_fail(spoke_call, error);
}

static void
give_up(SpokeCall *spoke_call, gpointer object, gpointer request)
{
    spoke_call_free(spoke_call);
}

static void
keep(SpokeCall *spoke_call, gpointer object, gpointer request)
{
    Fixture *fixture = object;

    fixture->kept = spoke_call;
}

static void
assert_error_answer(Fixture *fixture, const char *name)
{
    bus_fixture_wait_for(fixture->answer);
    g_assert_true(sd_bus_message_is_method_error(fixture->answer, name));
    g_assert_cmpuint(fixture->freed_requests, ==, 1);
}

static void
test_answer_carries_values(Fixture *fixture, gconstpointer data)
{
    const char *text = NULL;
    uint32_t number = 0;

    call(fixture, answer_two_values);
    bus_fixture_wait_for(fixture->answer);

    g_assert_cmpint(sd_bus_message_read(fixture->answer, "su", &text, &number), >, 0);
    g_assert_cmpstr(text, ==, "yes");
    g_assert_cmpuint(number, ==, 7);
    g_assert_cmpuint(fixture->freed_requests, ==, 1);
}

static void
test_answer_may_be_empty(Fixture *fixture, gconstpointer data)
{
    call(fixture, answer_nothing);
    bus_fixture_wait_for(fixture->answer);

    g_assert_false(sd_bus_message_is_method_error(fixture->answer, NULL));
    g_assert_true(sd_bus_message_is_empty(fixture->answer) > 0);
}

static GLogWriterOutput
ignore_line(GLogLevelFlags level, const GLogField *fields, gsize n, gpointer user_data)
{
    return G_LOG_WRITER_HANDLED;
}

static void
test_answer_that_cannot_be_made_is_an_error(Fixture *fixture, gconstpointer data)
{
    call(fixture, answer_broken);
    assert_error_answer(fixture, "org.spoked1.Error.Failed");
}

static void
test_fail_gives_the_error(Fixture *fixture, gconstpointer data)
{
    call(fixture, answer_error);
    assert_error_answer(fixture, "org.spoked1.Error.QueueFull");
    g_assert_cmpstr(sd_bus_message_get_error(fixture->answer)->message, ==, "Full");
}

static void
test_free_says_cancelled(Fixture *fixture, gconstpointer data)
{
    call(fixture, give_up);
    assert_error_answer(fixture, "org.spoked1.Error.Cancelled");
}

static void
test_waiting_call_is_cancelled_with_its_callers(Fixture *fixture, gconstpointer data)
{
    fixture->act = keep;
    /* Handed straight in, so that the look-up has not been answered. */
    g_autoptr(sd_bus_message) m = NULL;
    g_assert_cmpint(sd_bus_message_new_method_call(fixture->bus.service, &m, SPOKE_BUS_NAME, "/",
                                                   "test.Call", "Do"),
                    >=, 0);
    g_assert_cmpint(sd_bus_message_set_sender(m, ":9.1"), >=, 0);
    g_assert_cmpint(sd_bus_message_seal(m, 1, 0), >=, 0);
    g_assert_cmpint(on_message(m, fixture, NULL), ==, 1);

    g_clear_pointer(&fixture->callers, spoke_callers_free);

    g_assert_cmpuint(fixture->freed_requests, ==, 1);
    g_assert_null(fixture->kept);
}

static void
test_call_outlives_its_caller(Fixture *fixture, gconstpointer data)
{
    call(fixture, keep);
    bus_fixture_wait_for(fixture->kept);
    bus_fixture_disconnect(&fixture->bus, fixture->client);
    g_clear_pointer(&fixture->callers, spoke_callers_free);

    spoke_call_answer(fixture->kept, "");

    g_assert_cmpuint(fixture->freed_requests, ==, 1);
}

#define ADD(path, test) g_test_add(path, Fixture, NULL, set_up, test, tear_down)

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_log_set_writer_func(ignore_line, NULL, NULL);
    ADD("/call/answer/carries-values", test_answer_carries_values);
    ADD("/call/answer/may-be-empty", test_answer_may_be_empty);
    ADD("/call/answer/that-cannot-be-made-is-an-error",
        test_answer_that_cannot_be_made_is_an_error);
    ADD("/call/fail/gives-the-error", test_fail_gives_the_error);
    ADD("/call/free/says-cancelled", test_free_says_cancelled);
    ADD("/call/free/waiting-call-is-cancelled-with-its-callers",
        test_waiting_call_is_cancelled_with_its_callers);
    ADD("/call/free/call-outlives-its-caller", test_call_outlives_its_caller);
    return g_test_run();
}
