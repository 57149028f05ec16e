/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "daemon/delivery.h"
#include "tests/unit/disk.h"
#include "tests/unit/fake-clock.h"

/*
 * A delivery on a disk and a clock of the test's own, and a record of what it says, as text:
 *
 *     "alice<a/1"    message "a" handed to owner alice, to be settled, for the first time
 *     "olga~a"       a copy of it for observer olga
 *     "bob!Timeout"  bob's Receive has ended without a message: Timeout, Cancelled, Shutdown, Disk
 *     "bob=a/1"      bob's Receive has got "a" for good; "bob=a/1(expired)" for a dead letter
 *     "dead:a(expired)", "full", "paused" (by the disk), "resumed"
 *
 * and apart from that, because commits are grouped as they come, "+a" when "a" is taken over and
 * "-a" when not.
 *
 * A message is known by its body; message-id is "id-" and the body. Receivers belong to the user
 * of the same name as their owner.
 */
typedef struct {
    Disk *disk;
    FakeClock *clock;  /* borrowed from delivery */
    SpokeInbox *inbox; /* borrowed from delivery */
    SpokeDelivery *delivery;
    SpokeDeliveryOptions options;
    GHashTable *ids;    /* (element-type utf8 guint64): by body */
    GHashTable *bodies; /* (element-type guint64 utf8) */
    GString *said;
    GString *taken;
    gint64 boot_usec, wall_usec; /* time while there is no clock */
} Fixture;

void fixture_set_up(Fixture *fixture, gconstpointer data);
void fixture_tear_down(Fixture *fixture, gconstpointer data);
/* Runs a test on a fixture of its own. */
#define fixture_add(path, function)                                                                \
    g_test_add(path, Fixture, NULL, fixture_set_up, function, fixture_tear_down)

/* A new start on what the disk has: set_up() has done this once. */
void fixture_start(Fixture *fixture);
void fixture_stop(Fixture *fixture);
void fixture_restart(Fixture *fixture);

/* Until nothing is left to do, on the disk neither; time stands still. */
void fixture_settle(gpointer fixture);
/* Only until the main loop has nothing to do. */
void fixture_iterate(void);
void fixture_advance(Fixture *fixture, gint64 sec);

/* @properties: "name=value" or "", and system: "name=value" or "". Does not wait. */
void fixture_send(Fixture *fixture, const char *body, const char *property, const char *system);
/* As from a hub that keeps it locked and waits for the verdict, which shows as "BODY:accept" among
 * what was taken. Does not wait. */
void fixture_hold(Fixture *fixture, const char *body, guint delivery_count);
/* Messages of one letter each, in order, then waits. */
void fixture_take_over(Fixture *fixture, const char *letters);

guint32 fixture_handle(Fixture *fixture, const char *owner, guint credit, const char *filter);
guint32 fixture_observe(Fixture *fixture, const char *owner, const char *filter);
void fixture_receive(Fixture *fixture, const char *owner, gint64 timeout_sec, guint64 lock_msec);
void fixture_receive_dead(Fixture *fixture, const char *owner, gint64 timeout_sec);
GBytes *fixture_pack(const char *property); /* NULL for "" */

/* Waits. Returns: -1 or the code of the error */
gint fixture_settle_message(Fixture *fixture, const char *owner, const char *body,
                            SpokeSettle settle);
guint64 fixture_get_id(Fixture *fixture, const char *body);

/* Waits, then compares what was said since last time, words in their order. */
#define fixture_assert_said(fixture, text)                                                         \
    do {                                                                                           \
        g_autofree char *said_ = fixture_take_said(fixture);                                       \
        g_assert_cmpstr(said_, ==, text);                                                          \
    } while (0)
char *fixture_take_said(Fixture *fixture);
#define fixture_assert_taken(fixture, text)                                                        \
    do {                                                                                           \
        fixture_settle(fixture);                                                                   \
        g_assert_cmpstr((fixture)->taken->str, ==, text);                                          \
        g_string_truncate((fixture)->taken, 0);                                                    \
    } while (0)
