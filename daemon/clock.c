/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/clock.h"

#include <gio/gio.h>
#include <glib-unix.h>

#include <errno.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

/*
 * A timerfd per clock. GLib's own timers run on CLOCK_MONOTONIC, which stands still while the
 * machine sleeps: a lock of a minute would outlive a night in a bag. Times are absolute, so the
 * kernel itself re-examines the one on the wall clock when that is set.
 */
typedef struct {
    SpokeClock table;
    int fds[SPOKE_N_CLOCKS];
    guint sources[SPOKE_N_CLOCKS];
} MachineClock;

static const clockid_t kinds[SPOKE_N_CLOCKS] = {
    [SPOKE_CLOCK_BOOT] = CLOCK_BOOTTIME,
    [SPOKE_CLOCK_WALL] = CLOCK_REALTIME,
};

static gint64
machine_now(SpokeClock *self, SpokeClockKind kind)
{
    struct timespec now;

    (void)clock_gettime(kinds[kind], &now);
    return (gint64)now.tv_sec * G_USEC_PER_SEC + now.tv_nsec / 1000;
}

static void
machine_set_alarm(SpokeClock *self, SpokeClockKind kind, gint64 at_usec)
{
    MachineClock *machine = (MachineClock *)self;
    struct itimerspec when = {0};

    if (at_usec != SPOKE_CLOCK_NEVER) {
        /* All zero would disarm; a time before 1970 is refused. */
        gint64 at = MAX(at_usec, 1);

        when.it_value.tv_sec = at / G_USEC_PER_SEC;
        when.it_value.tv_nsec = at % G_USEC_PER_SEC * 1000;
    }
    if (timerfd_settime(machine->fds[kind], TFD_TIMER_ABSTIME, &when, NULL) < 0)
        g_critical("Can't set a timer: %s", g_strerror(errno));
}

static gboolean
on_readable(int fd, GIOCondition condition, gpointer user_data)
{
    MachineClock *machine = user_data;
    guint64 expirations;

    /* Else the alarm was moved after the poll. */
    if (read(fd, &expirations, sizeof expirations) == sizeof expirations)
        machine->table.due(machine->table.user_data);
    return G_SOURCE_CONTINUE;
}

static void
machine_free(SpokeClock *self)
{
    MachineClock *machine = (MachineClock *)self;

    for (guint kind = 0; kind < SPOKE_N_CLOCKS; kind++) {
        g_clear_handle_id(&machine->sources[kind], g_source_remove);
        if (machine->fds[kind] >= 0)
            close(machine->fds[kind]);
    }
    g_free(machine);
}

SpokeClock *
spoke_clock_new(GError **error)
{
    MachineClock *machine = g_new0(MachineClock, 1);

    machine->table.now = machine_now;
    machine->table.set_alarm = machine_set_alarm;
    machine->table.free = machine_free;
    for (guint kind = 0; kind < SPOKE_N_CLOCKS; kind++)
        machine->fds[kind] = timerfd_create(kinds[kind], TFD_NONBLOCK | TFD_CLOEXEC);

    for (guint kind = 0; kind < SPOKE_N_CLOCKS; kind++) {
        if (machine->fds[kind] < 0) {
            g_set_error(error, G_IO_ERROR, G_IO_ERROR_TOO_MANY_OPEN_FILES,
                        "Can't make a timer: no descriptor is free");
            machine_free(&machine->table);
            return NULL;
        }
        machine->sources[kind] = g_unix_fd_add(machine->fds[kind], G_IO_IN, on_readable, machine);
    }
    return &machine->table;
}
