/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/unit/fake-clock.h"

static gint64
fake_now(SpokeClock *self, SpokeClockKind kind)
{
    return ((FakeClock *)self)->now_usec[kind];
}

static void
fake_set_alarm(SpokeClock *self, SpokeClockKind kind, gint64 at_usec)
{
    ((FakeClock *)self)->alarm_usec[kind] = at_usec;
}

static void
fake_free(SpokeClock *self)
{
    g_free(self);
}

FakeClock *
fake_clock_new(void)
{
    FakeClock *clock = g_new0(FakeClock, 1);

    clock->table.now = fake_now;
    clock->table.set_alarm = fake_set_alarm;
    clock->table.free = fake_free;
    clock->now_usec[SPOKE_CLOCK_BOOT] = 1000 * G_USEC_PER_SEC;
    clock->now_usec[SPOKE_CLOCK_WALL] = G_GINT64_CONSTANT(1800000000) * G_USEC_PER_SEC;
    for (guint kind = 0; kind < SPOKE_N_CLOCKS; kind++)
        clock->alarm_usec[kind] = SPOKE_CLOCK_NEVER;
    return clock;
}

static gboolean
ring(FakeClock *clock)
{
    gboolean rang = FALSE;

    for (guint kind = 0; kind < SPOKE_N_CLOCKS; kind++) {
        if (clock->alarm_usec[kind] > clock->now_usec[kind])
            continue;
        clock->alarm_usec[kind] = SPOKE_CLOCK_NEVER;
        clock->table.due(clock->table.user_data);
        rang = TRUE;
    }
    return rang;
}

void
fake_clock_advance(FakeClock *clock, gint64 usec, void (*settle)(gpointer), gpointer data)
{
    while (usec > 0) {
        gint64 step = usec;

        for (guint kind = 0; kind < SPOKE_N_CLOCKS; kind++) {
            if (clock->alarm_usec[kind] != SPOKE_CLOCK_NEVER)
                step = CLAMP(clock->alarm_usec[kind] - clock->now_usec[kind], 1, step);
        }
        for (guint kind = 0; kind < SPOKE_N_CLOCKS; kind++)
            clock->now_usec[kind] += step;
        usec -= step;
        if (ring(clock))
            settle(data);
    }
}

void
fake_clock_set_wall(FakeClock *clock, gint64 usec)
{
    clock->now_usec[SPOKE_CLOCK_WALL] = usec;
    (void)ring(clock);
}
