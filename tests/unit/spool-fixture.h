/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "daemon/outbox.h"
#include "daemon/spool-private.h"

#include <stdatomic.h>

/*
 * A spool in a directory of its own, with clocks that are moved by hand, and all it reports. A
 * message is known by its body, such as "a1": the letter names its flow, a capital letter makes it
 * urgent.
 */
typedef struct Fixture Fixture;

struct Fixture {
    char *directory; /* owned */
    _Atomic gint64 boottime_usec;
    _Atomic gint64 wall_usec;
    SpokeTimeSource time;
    gint64 alarm_usec; /* on boottime; SPOKE_CLOCK_NEVER */
    guint n_alarms;    /* that rang */
    SpokeClock *clock; /* borrowed from the spool */
    gint64 flush_window_usec;
    SpokeOutboxOptions options;

    SpokeSpool *spool;   /* owned */
    SpokeOutbox *outbox; /* owned */

    GArray *ids; /* owned, of guint64: answered, in order */
    guint n_answers;
    guint n_refused;  /* puts that failed later */
    int refusal;      /* code of the last one */
    GString *settled; /* owned: "ID:outcome ID:outcome " of those with notify */
    guint64 n_settled;
    guint n_ready;
    guint n_empty;

    guint n_corrupt;
    char *set_aside; /* owned */
    guint64 saved;
    guint64 lost;
    guint n_full;
    gboolean is_full;
    guint n_failed;
    char *failure; /* owned; the last one */

    /* More on what was settled; nullable */
    void (*on_settled)(guint64 id, SpokeOutcome outcome, gpointer user_data);
    gpointer user_data;
};

/* Makes the directory; opens nothing. */
void fixture_init(Fixture *fixture);
/* Closes, and removes the directory. */
void fixture_clear(Fixture *fixture);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Fixture, fixture_clear)

void fixture_open(Fixture *fixture);
void fixture_close(Fixture *fixture);
void fixture_reopen(Fixture *fixture);
/* Goes on with a copy of the files as they are now: what a power cut would leave. */
void fixture_crash(Fixture *fixture);
char *fixture_path(Fixture *fixture, const char *name);

/* Runs the main loop until @is_done, for at most some seconds. */
void fixture_wait(Fixture *fixture, gboolean (*is_done)(Fixture *fixture));
/* Runs it for what is pending on both threads: a put of nothing that matters comes back. */
void fixture_settle_down(Fixture *fixture);

/* Moves boottime and wall clock; what was to be woken for meanwhile happens at the end of it. */
void fixture_advance(Fixture *fixture, gint64 usec);

/* Runs it for that long, for what has its time. */
void fixture_run_for(gint64 usec);

SpokeMessage *fixture_message(const char *body, SpokeDurability durability);
/* Puts, not waiting. */
gboolean fixture_put(Fixture *fixture, const char *body, SpokeDurability durability,
                     GError **error);
/* Puts synced messages, names separated by blanks, and waits for the answers. */
void fixture_put_all(Fixture *fixture, const char *bodies);
/* Puts "LETTERfirst" to "LETTERlast" and waits. */
void fixture_put_many(Fixture *fixture, char letter, guint first, guint last);

/* Waits until at least one can be taken; takes up to @max. (element-type SpokeMessage) */
GPtrArray *fixture_take(Fixture *fixture, guint max);
/* Bodies, separated by blanks. */
char *fixture_names(GPtrArray *messages);
/* Takes exactly @n messages, settles them, returns their names. */
char *fixture_send(Fixture *fixture, guint n);
void fixture_accept(Fixture *fixture, GPtrArray *messages);
