/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/unit/delivery-fixture.h"

#include "daemon/error.h"
#include "daemon/properties.h"

/* An answer that is awaited may set off another change; no chain here is longer than this. */
#define ROUNDS 4

typedef struct {
    Fixture *fixture; /* borrowed */
    char *name;       /* owned */
} Waiter;

static Waiter *
waiter_new(Fixture *fixture, const char *name)
{
    Waiter *waiter = g_new0(Waiter, 1);

    waiter->fixture = fixture;
    waiter->name = g_strdup(name);
    return waiter;
}

static void
waiter_free(Waiter *waiter)
{
    g_free(waiter->name);
    g_free(waiter);
}
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Waiter, waiter_free)

G_GNUC_PRINTF(2, 3)
static void
say(Fixture *fixture, const char *format, ...)
{
    va_list args;

    if (fixture->said->len > 0)
        g_string_append_c(fixture->said, ' ');
    va_start(args, format);
    g_string_append_vprintf(fixture->said, format, args);
    va_end(args);
}

static const char *
name_error(const GError *error)
{
    switch (error->code) {
    case SPOKE_ERROR_TIMEOUT:
        return "Timeout";
    case SPOKE_ERROR_CANCELLED:
        return "Cancelled";
    case SPOKE_ERROR_SHUTDOWN:
        return "Shutdown";
    default:
        return "Disk";
    }
}

static char *
body_of(SpokeMessage *message)
{
    return g_strndup(spoke_message_body(message), message->body_size);
}

static void
learn_id(Fixture *fixture, SpokeMessage *message)
{
    g_hash_table_replace(fixture->ids, body_of(message),
                         g_memdup2(&message->id, sizeof message->id));
    g_hash_table_replace(fixture->bodies, g_memdup2(&message->id, sizeof message->id),
                         body_of(message));
}

static void
on_deliver(const char *owner, const SpokeDelivered *delivered, gpointer user_data)
{
    Fixture *fixture = user_data;
    g_autofree char *body = body_of(delivered->message);

    learn_id(fixture, delivered->message);
    if (delivered->mode == SPOKE_SUBSCRIBE_OBSERVE) {
        g_assert_cmpuint(delivered->delivery_count, ==, 0);
        g_assert_cmpuint(delivered->lock_msec, ==, 0);
        say(fixture, "%s~%s", owner, body);
    } else {
        g_assert_cmpuint(delivered->lock_msec, >, 0);
        say(fixture, "%s<%s/%u", owner, body, delivered->delivery_count);
    }
}

static void
on_paused(SpokePause pause, gpointer user_data)
{
    static const char *const names[] = {
        [SPOKE_PAUSE_NOT] = "resumed",
        [SPOKE_PAUSE_FULL] = "full",
        [SPOKE_PAUSE_STORAGE] = "paused",
    };
    Fixture *fixture = user_data;

    g_assert_cmpint(spoke_delivery_get_pause(fixture->delivery), ==, pause);
    say(fixture, "%s", names[pause]);
}

static void
on_dead_letter(guint64 id, SpokeDeadReason reason, guint delivery_count, gpointer user_data)
{
    Fixture *fixture = user_data;
    const char *body = g_hash_table_lookup(fixture->bodies, &id);

    say(fixture, "dead:%s(%s)", body != NULL ? body : "?", spoke_dead_reason_to_string(reason));
}

void
fixture_start(Fixture *fixture)
{
    static const SpokeDeliveryEvents events = {on_deliver, on_paused, on_dead_letter};
    g_autoptr(GError) error = NULL;

    fixture->clock = fake_clock_new();
    if (fixture->boot_usec != 0) {
        fixture->clock->now_usec[SPOKE_CLOCK_BOOT] = fixture->boot_usec;
        fixture->clock->now_usec[SPOKE_CLOCK_WALL] = fixture->wall_usec;
    }
    fixture->inbox = disk_open_inbox(fixture->disk);
    fixture->delivery = spoke_delivery_new(fixture->inbox, &fixture->clock->table,
                                           &fixture->options, &events, fixture, &error);
    g_assert_no_error(error);
}

void
fixture_stop(Fixture *fixture)
{
    fixture->boot_usec = fixture->clock->now_usec[SPOKE_CLOCK_BOOT];
    fixture->wall_usec = fixture->clock->now_usec[SPOKE_CLOCK_WALL];
    g_clear_pointer(&fixture->delivery, spoke_delivery_free);
    disk_close(fixture->disk);
}

void
fixture_restart(Fixture *fixture)
{
    fixture_stop(fixture);
    fixture_start(fixture);
}

void
fixture_set_up(Fixture *fixture, gconstpointer data)
{
    fixture->options = (SpokeDeliveryOptions){
        .messages_max = 256,
        .bytes_max = 1024 * 1024,
        .delivery_count_max = 10,
        .dead_letters_max = 100,
    };
    fixture->ids = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
    fixture->bodies = g_hash_table_new_full(g_int64_hash, g_int64_equal, g_free, g_free);
    fixture->said = g_string_new(NULL);
    fixture->taken = g_string_new(NULL);
    fixture->disk = disk_new();
    fixture_start(fixture);
}

void
fixture_tear_down(Fixture *fixture, gconstpointer data)
{
    fixture_stop(fixture);
    disk_free(fixture->disk);
    fixture_iterate();
    g_hash_table_destroy(fixture->ids);
    g_hash_table_destroy(fixture->bodies);
    g_string_free(fixture->said, TRUE);
    g_string_free(fixture->taken, TRUE);
}

void
fixture_iterate(void)
{
    while (g_main_context_iteration(NULL, FALSE))
        ;
}

static void
on_fence(const GError *error, gpointer user_data)
{
    *(gboolean *)user_data = TRUE;
}

void
fixture_settle(gpointer data)
{
    Fixture *fixture = data;

    /* Writes are answered in order: when that of a row nobody has is back, so are all before. */
    for (guint round = 0; round < ROUNDS; round++) {
        gboolean passed = FALSE;

        fixture_iterate();
        spoke_inbox_remove(fixture->inbox, G_MAXINT64, on_fence, &passed);
        while (!passed)
            g_main_context_iteration(NULL, TRUE);
    }
    fixture_iterate();
}

void
fixture_advance(Fixture *fixture, gint64 sec)
{
    fixture_settle(fixture);
    fake_clock_advance(fixture->clock, sec * G_USEC_PER_SEC, fixture_settle, fixture);
    fixture_settle(fixture);
}

static void
append_property(GByteArray *list, const char *property)
{
    g_auto(GStrv) parts = g_strsplit(property, "=", 2);

    if (g_strv_length(parts) == 2)
        spoke_properties_append(list, parts[0], parts[1]);
}

GBytes *
fixture_pack(const char *property)
{
    GByteArray *list = g_byte_array_new();

    append_property(list, property);
    return g_byte_array_free_to_bytes(list);
}

static void
on_taken_over(const GError *error, gpointer user_data)
{
    g_autoptr(Waiter) waiter = user_data;

    g_string_append_printf(waiter->fixture->taken, "%c%s", error == NULL ? '+' : '-', waiter->name);
}

static SpokeMessage *
make_message(const char *body, const char *property, const char *system)
{
    g_autoptr(GByteArray) properties = g_byte_array_new();
    g_autoptr(GByteArray) systems = g_byte_array_new();
    g_autofree char *message_id = g_strdup_printf("message-id=id-%s", body);

    append_property(properties, property);
    append_property(systems, message_id);
    append_property(systems, system);
    return spoke_message_new(systems->data, systems->len, properties->data, properties->len, body,
                             strlen(body));
}

static void
on_verdict(SpokeVerdict verdict, gpointer user_data)
{
    static const char *const words[] = {
        [SPOKE_VERDICT_ACCEPT] = "accept",
        [SPOKE_VERDICT_RELEASE] = "release",
        [SPOKE_VERDICT_REJECT] = "reject",
    };
    g_autoptr(Waiter) waiter = user_data;

    g_string_append_printf(waiter->fixture->taken, "%s%s:%s",
                           waiter->fixture->taken->len > 0 ? " " : "", waiter->name,
                           words[verdict]);
}

void
fixture_hold(Fixture *fixture, const char *body, guint delivery_count)
{
    g_autoptr(SpokeMessage) message = make_message(body, "", "");

    message->delivery_count = delivery_count;
    spoke_delivery_hold(fixture->delivery, message, on_verdict, waiter_new(fixture, body));
    if (message->id != 0)
        learn_id(fixture, message);
}

void
fixture_send(Fixture *fixture, const char *body, const char *property, const char *system)
{
    g_autoptr(SpokeMessage) message = make_message(body, property, system);

    spoke_delivery_take_over(fixture->delivery, message, on_taken_over, waiter_new(fixture, body));
    if (message->id != 0)
        learn_id(fixture, message);
}

void
fixture_take_over(Fixture *fixture, const char *letters)
{
    for (const char *letter = letters; *letter != '\0'; letter++) {
        const char body[] = {*letter, '\0'};

        fixture_send(fixture, body, "", "");
    }
    fixture_settle(fixture);
}

static guint32
subscribe(Fixture *fixture, const char *owner, SpokeSubscribeMode mode, guint credit,
          const char *filter)
{
    g_autoptr(GBytes) packed = *filter != '\0' ? fixture_pack(filter) : NULL;
    g_autoptr(GError) error = NULL;
    guint32 number = spoke_delivery_subscribe(fixture->delivery, owner, mode, packed,
                                              SPOKE_LOCK_MSEC_DEFAULT, credit, &error);

    g_assert_no_error(error);
    g_assert_cmpuint(number, !=, 0);
    return number;
}

guint32
fixture_handle(Fixture *fixture, const char *owner, guint credit, const char *filter)
{
    return subscribe(fixture, owner, SPOKE_SUBSCRIBE_HANDLE, credit, filter);
}

guint32
fixture_observe(Fixture *fixture, const char *owner, const char *filter)
{
    return subscribe(fixture, owner, SPOKE_SUBSCRIBE_OBSERVE, 0, filter);
}

static void
on_received(const SpokeDelivered *delivered, const GError *error, gpointer user_data)
{
    g_autoptr(Waiter) waiter = user_data;
    Fixture *fixture = waiter->fixture;

    if (error != NULL) {
        g_assert_null(delivered);
        say(fixture, "%s!%s", waiter->name, name_error(error));
        return;
    }

    g_autofree char *body = body_of(delivered->message);

    learn_id(fixture, delivered->message);
    say(fixture, "%s%c%s/%u", waiter->name, delivered->lock_msec != 0 ? '<' : '=', body,
        delivered->delivery_count);
    if (delivered->dead != SPOKE_DEAD_NOT)
        g_string_append_printf(fixture->said, "(%s)", spoke_dead_reason_to_string(delivered->dead));
}

void
fixture_receive(Fixture *fixture, const char *owner, gint64 timeout_sec, guint64 lock_msec)
{
    g_autoptr(GError) error = NULL;

    spoke_delivery_receive(fixture->delivery, owner, owner, timeout_sec * G_USEC_PER_SEC, NULL,
                           lock_msec, FALSE, on_received, waiter_new(fixture, owner), &error);
    g_assert_no_error(error);
}

void
fixture_receive_dead(Fixture *fixture, const char *owner, gint64 timeout_sec)
{
    g_autoptr(GError) error = NULL;

    spoke_delivery_receive(fixture->delivery, owner, owner, timeout_sec * G_USEC_PER_SEC, NULL, 0,
                           TRUE, on_received, waiter_new(fixture, owner), &error);
    g_assert_no_error(error);
}

guint64
fixture_get_id(Fixture *fixture, const char *body)
{
    guint64 *id = g_hash_table_lookup(fixture->ids, body);

    g_assert_nonnull(id);
    return *id;
}

static void
on_settled(const GError *error, gpointer user_data)
{
    *(gint *)user_data = error == NULL ? -1 : error->code;
}

gint
fixture_settle_message(Fixture *fixture, const char *owner, const char *body, SpokeSettle settle)
{
    g_autoptr(GError) error = NULL;
    gint code = G_MAXINT;

    if (!spoke_delivery_settle(fixture->delivery, owner, owner, fixture_get_id(fixture, body),
                               settle, on_settled, &code, &error))
        return error->code;
    g_assert_cmpint(code, ==, G_MAXINT);
    fixture_settle(fixture);
    g_assert_cmpint(code, !=, G_MAXINT);
    return code;
}

char *
fixture_take_said(Fixture *fixture)
{
    fixture_settle(fixture);

    char *said = g_string_free(fixture->said, FALSE);

    fixture->said = g_string_new(NULL);
    return said;
}
