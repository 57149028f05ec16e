/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "bus-fixture.h"
#include "daemon/error.h"
#include "dbus/caller.h"
#include "dbus/quota.h"

#include <unistd.h>

/*
 * Callers on a private bus. Every call that reaches the service is taken as a caller's and noted
 * once that one is known.
 */
typedef struct {
    BusFixture bus;
    SpokeCallers *callers;
    sd_bus_slot *slot;
    GString *noted;    /* members called, in the order they were acted on */
    SpokeCaller *last; /* a reference */
    GPtrArray *left;   /* names */
    guint waited;      /* calls whose caller was not known on arrival */
} Fixture;

typedef struct {
    Fixture *fixture;
    char *member;
} Note;

static void
note_free(Note *note)
{
    g_free(note->member);
    g_free(note);
}

static void
note_call(SpokeCaller *caller, gpointer user_data)
{
    Note *note = user_data;

    g_string_append(note->fixture->noted, note->member);
    g_clear_pointer(&note->fixture->last, spoke_caller_unref);
    note->fixture->last = spoke_caller_ref(caller);
    note_free(note);
}

static int
on_message(sd_bus_message *m, void *userdata, sd_bus_error *ret_error)
{
    Fixture *fixture = userdata;
    g_autoptr(GError) error = NULL;

    if (!sd_bus_message_is_method_call(m, "test.Caller", NULL))
        return 0;
    SpokeCaller *caller = spoke_callers_get(fixture->callers, sd_bus_message_get_sender(m), &error);
    g_assert_no_error(error);
    Note *note = g_new(Note, 1);
    *note = (Note){fixture, g_strdup(sd_bus_message_get_member(m))};
    fixture->waited += spoke_caller_get_app(caller) == NULL;
    spoke_caller_when_known(caller, note_call, note, (GDestroyNotify)note_free);
    return 1;
}

static void
on_left(const char *name, gpointer user_data)
{
    Fixture *fixture = user_data;

    g_ptr_array_add(fixture->left, g_strdup(name));
}

static void
set_up(Fixture *fixture, gconstpointer data)
{
    bus_fixture_set_up(&fixture->bus);
    fixture->callers = spoke_callers_new(fixture->bus.service, on_left, fixture);
    fixture->noted = g_string_new(NULL);
    fixture->left = g_ptr_array_new_with_free_func(g_free);
    g_assert_cmpint(sd_bus_add_filter(fixture->bus.service, &fixture->slot, on_message, fixture),
                    >=, 0);
}

static void
tear_down(Fixture *fixture, gconstpointer data)
{
    spoke_caller_unref(fixture->last);
    spoke_callers_free(fixture->callers);
    sd_bus_slot_unref(fixture->slot);
    g_string_free(fixture->noted, TRUE);
    g_ptr_array_unref(fixture->left);
    bus_fixture_tear_down(&fixture->bus);
}

static void
call(sd_bus *client, const char *member)
{
    g_autoptr(sd_bus_message) m = NULL;

    g_assert_cmpint(
        sd_bus_message_new_method_call(client, &m, SPOKE_BUS_NAME, "/", "test.Caller", member), >=,
        0);
    g_assert_cmpint(sd_bus_message_set_expect_reply(m, 0), >=, 0);
    g_assert_cmpint(sd_bus_send(client, m, NULL), >=, 0);
}

static const char *
name_of(sd_bus *client)
{
    const char *name = NULL;

    g_assert_cmpint(sd_bus_get_unique_name(client, &name), >=, 0);
    return name;
}

static void
test_look_up_tells_who_calls(Fixture *fixture, gconstpointer data)
{
    sd_bus *client = bus_fixture_connect(&fixture->bus);
    g_autofree char *user = g_strdup_printf("%u", getuid());
    uid_t uid = (uid_t)-1;

    call(client, "A");
    bus_fixture_wait_for(fixture->noted->len == 1);

    g_assert_cmpstr(spoke_caller_get_name(fixture->last), ==, name_of(client));
    g_assert_true(spoke_caller_get_uid(fixture->last, &uid));
    g_assert_cmpuint(uid, ==, getuid());
    g_assert_cmpstr(spoke_caller_get_user(fixture->last), ==, user);
    g_assert_true(g_str_has_suffix(spoke_caller_get_app(fixture->last), "/test-caller") ||
                  g_str_has_suffix(spoke_caller_get_app(fixture->last), ".service"));
    g_assert_true(spoke_caller_hold(fixture->last, NULL));
}

static void
test_look_up_keeps_the_order(Fixture *fixture, gconstpointer data)
{
    sd_bus *client = bus_fixture_connect(&fixture->bus);

    for (char member[] = "A"; *member <= 'Z'; member[0]++)
        call(client, member);
    bus_fixture_wait_for(fixture->noted->len == 26);

    g_assert_cmpstr(fixture->noted->str, ==, "ABCDEFGHIJKLMNOPQRSTUVWXYZ");
    g_assert_cmpuint(fixture->waited, >, 0);
}

static void
test_look_up_happens_once(Fixture *fixture, gconstpointer data)
{
    sd_bus *client = bus_fixture_connect(&fixture->bus);

    call(client, "A");
    bus_fixture_wait_for(fixture->noted->len == 1);
    fixture->waited = 0;
    call(client, "B");
    bus_fixture_wait_for(fixture->noted->len == 2);

    g_assert_cmpuint(fixture->waited, ==, 0);
}

static void
test_flow_is_one_for_a_process(Fixture *fixture, gconstpointer data)
{
    call(bus_fixture_connect(&fixture->bus), "A");
    bus_fixture_wait_for(fixture->noted->len == 1);
    g_autoptr(SpokeCaller) first = spoke_caller_ref(fixture->last);
    call(bus_fixture_connect(&fixture->bus), "B");
    bus_fixture_wait_for(fixture->noted->len == 2);

    g_assert_true(first != fixture->last);
    g_assert_cmpuint(spoke_caller_get_flow(first), ==, spoke_caller_get_flow(fixture->last));
}

static void
test_leaving_is_told(Fixture *fixture, gconstpointer data)
{
    sd_bus *client = bus_fixture_connect(&fixture->bus);
    g_autofree char *name = g_strdup(name_of(client));

    call(client, "A");
    bus_fixture_wait_for(fixture->noted->len == 1);
    bus_fixture_disconnect(&fixture->bus, client);
    bus_fixture_wait_for(fixture->left->len == 1);

    g_assert_cmpstr(fixture->left->pdata[0], ==, name);
    g_assert_false(spoke_caller_hold(fixture->last, NULL));
}

/* As a script's last line does: send and go, without waiting for the answer. */
static void
test_one_who_has_left_is_unknown(Fixture *fixture, gconstpointer data)
{
    g_autoptr(GError) error = NULL;

    SpokeCaller *caller = spoke_callers_get(fixture->callers, ":1.4711", &error);
    g_assert_no_error(error);
    Note *note = g_new(Note, 1);
    *note = (Note){fixture, g_strdup("A")};
    spoke_caller_when_known(caller, note_call, note, (GDestroyNotify)note_free);
    bus_fixture_wait_for(fixture->noted->len == 1);

    g_assert_cmpstr(spoke_caller_get_app(fixture->last), ==, "unknown");
    g_assert_null(spoke_caller_get_user(fixture->last));
    g_assert_false(spoke_caller_hold(fixture->last, NULL));
    g_assert_cmpuint(fixture->left->len, ==, 1);
}

static void
test_callers_are_limited(Fixture *fixture, gconstpointer data)
{
    g_autoptr(GError) error = NULL;

    /* None of them is known before the loop runs, so none can be forgotten. */
    for (guint i = 0; i < SPOKE_CALLERS_MAX; i++) {
        g_autofree char *name = g_strdup_printf(":9.%u", i);
        g_assert_nonnull(spoke_callers_get(fixture->callers, name, &error));
    }
    SpokeCaller *caller = spoke_callers_get(fixture->callers, ":9.9999", &error);

    g_assert_null(caller);
    g_assert_error(error, SPOKE_ERROR, SPOKE_ERROR_LIMIT_REACHED);
}

static void
test_idle_callers_make_room(Fixture *fixture, gconstpointer data)
{
    g_autoptr(GError) error = NULL;
    sd_bus *holder = bus_fixture_connect(&fixture->bus);
    const guint idle = 5;

    call(holder, "A");
    bus_fixture_wait_for(fixture->noted->len == 1);
    g_assert_true(spoke_caller_hold(fixture->last, NULL));
    for (guint i = 0; i < idle; i++) {
        call(bus_fixture_connect(&fixture->bus), "B");
        bus_fixture_wait_for(fixture->noted->len == 2 + i);
    }

    /* One holds something, five are idle, the others wait to be known. */
    for (guint i = 1; i < SPOKE_CALLERS_MAX; i++) {
        g_autofree char *name = g_strdup_printf(":9.%u", i);
        g_assert_nonnull(spoke_callers_get(fixture->callers, name, &error));
    }
    g_assert_null(spoke_callers_get(fixture->callers, ":9.9999", &error));
    g_assert_error(error, SPOKE_ERROR, SPOKE_ERROR_LIMIT_REACHED);
    SpokeCaller *caller = spoke_callers_get(fixture->callers, name_of(holder), NULL);
    g_assert_nonnull(spoke_caller_get_app(caller));
}

static void
test_holding_is_taken_back(Fixture *fixture, gconstpointer data)
{
    g_autoptr(GError) error = NULL;
    sd_bus *holder = bus_fixture_connect(&fixture->bus);

    call(holder, "A");
    bus_fixture_wait_for(fixture->noted->len == 1);
    g_assert_true(spoke_caller_hold(fixture->last, &error));
    g_assert_true(spoke_caller_hold(fixture->last, &error));
    spoke_caller_release(fixture->last);
    spoke_caller_release(fixture->last);
    for (guint i = 1; i <= SPOKE_CALLERS_MAX; i++) {
        g_autofree char *name = g_strdup_printf(":9.%u", i);
        g_assert_nonnull(spoke_callers_get(fixture->callers, name, &error));
    }

    /* It was idle, and had to make room for the last of them. */
    g_assert_null(spoke_callers_get(fixture->callers, name_of(holder), &error));
    g_assert_error(error, SPOKE_ERROR, SPOKE_ERROR_LIMIT_REACHED);
}

/* Twice over what all may hold, and none of it is there any more. */
static void
test_leaving_gives_back_what_is_held(Fixture *fixture, gconstpointer data)
{
    g_autoptr(GError) error = NULL;
    const guint n = 2 * SPOKE_QUOTA_MAX / SPOKE_QUOTA_USER_MAX;

    for (guint i = 1; i <= n; i++) {
        sd_bus *client = bus_fixture_connect(&fixture->bus);
        call(client, "A");
        bus_fixture_wait_for(fixture->noted->len == i);
        for (guint j = 0; j < SPOKE_QUOTA_USER_MAX; j++)
            g_assert_true(spoke_caller_hold(fixture->last, &error));
        bus_fixture_disconnect(&fixture->bus, client);
        bus_fixture_wait_for(fixture->left->len == i);
        spoke_caller_release(fixture->last); /* as an answer that comes late does */
    }
}

static void
test_calls_are_limited(Fixture *fixture, gconstpointer data)
{
    g_autoptr(GError) error = NULL;

    SpokeCaller *caller = spoke_callers_get(fixture->callers, ":9.1", &error);
    for (guint i = 0; i < SPOKE_CALLER_CALLS_MAX; i++)
        g_assert_true(spoke_caller_enter(caller, 100, &error));

    g_assert_false(spoke_caller_enter(caller, 100, &error));
    g_assert_error(error, SPOKE_ERROR, SPOKE_ERROR_LIMIT_REACHED);
    spoke_caller_leave(caller, 100);
    g_clear_error(&error);
    g_assert_true(spoke_caller_enter(caller, 100, &error));
}

static void
test_bytes_are_limited_but_for_a_single_call(Fixture *fixture, gconstpointer data)
{
    g_autoptr(GError) error = NULL;

    SpokeCaller *caller = spoke_callers_get(fixture->callers, ":9.1", &error);
    g_assert_true(spoke_caller_enter(caller, SPOKE_CALLER_BYTES_MAX + 1, &error));

    g_assert_false(spoke_caller_enter(caller, 1, &error));
    g_assert_error(error, SPOKE_ERROR, SPOKE_ERROR_LIMIT_REACHED);
}

static void
test_bytes_are_limited_for_all_together(Fixture *fixture, gconstpointer data)
{
    g_autoptr(GError) error = NULL;
    guint entered = 0;

    for (guint i = 0; i < 8; i++) {
        g_autofree char *name = g_strdup_printf(":9.%u", i);
        SpokeCaller *caller = spoke_callers_get(fixture->callers, name, NULL);
        entered += spoke_caller_enter(caller, SPOKE_CALLER_BYTES_MAX, error ? NULL : &error);
    }

    g_assert_cmpuint(entered, ==, SPOKE_CALLERS_BYTES_MAX / SPOKE_CALLER_BYTES_MAX);
    g_assert_error(error, SPOKE_ERROR, SPOKE_ERROR_LIMIT_REACHED);
}

static void
count_drop(gpointer user_data)
{
    ++*(guint *)user_data;
}

static void
test_free_drops_what_waits(Fixture *fixture, gconstpointer data)
{
    guint dropped = 0;

    SpokeCaller *caller = spoke_callers_get(fixture->callers, ":9.1", NULL);
    spoke_caller_when_known(caller, note_call, &dropped, count_drop);
    g_clear_pointer(&fixture->callers, spoke_callers_free);

    g_assert_cmpuint(dropped, ==, 1);
}

#define ADD(path, test) g_test_add(path, Fixture, NULL, set_up, test, tear_down)

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    ADD("/caller/look-up/tells-who-calls", test_look_up_tells_who_calls);
    ADD("/caller/look-up/keeps-the-order", test_look_up_keeps_the_order);
    ADD("/caller/look-up/happens-once", test_look_up_happens_once);
    ADD("/caller/flow/is-one-for-a-process", test_flow_is_one_for_a_process);
    ADD("/caller/leaving/is-told", test_leaving_is_told);
    ADD("/caller/leaving/one-who-has-left-is-unknown", test_one_who_has_left_is_unknown);
    ADD("/caller/limits/callers", test_callers_are_limited);
    ADD("/caller/limits/idle-callers-make-room", test_idle_callers_make_room);
    ADD("/caller/hold/is-taken-back", test_holding_is_taken_back);
    ADD("/caller/hold/leaving-gives-back", test_leaving_gives_back_what_is_held);
    ADD("/caller/limits/calls", test_calls_are_limited);
    ADD("/caller/limits/bytes-but-for-a-single-call", test_bytes_are_limited_but_for_a_single_call);
    ADD("/caller/limits/bytes-of-all", test_bytes_are_limited_for_all_together);
    ADD("/caller/free/drops-what-waits", test_free_drops_what_waits);
    return g_test_run();
}
