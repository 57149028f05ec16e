/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/spool-clock.h"

#include <string.h>
#include <time.h>

/*
 * The wall clock is believed over a reboot only if both ends are later than this code and the gap
 * is one a machine may well have been off for. A clock that was not set yet, or an RTC that lost
 * its battery, must not expire a whole queue: then no time has passed.
 */
#define WALL_MIN_USEC (G_GINT64_CONSTANT(1704067200) * G_USEC_PER_SEC) /* 2024-01-01 */
#define GAP_MAX_USEC  (G_GINT64_CONSTANT(366) * 24 * 3600 * G_USEC_PER_SEC)

#define FIRST_USEC G_USEC_PER_SEC /* of a new spool; 0 would mean "never" in an expiry */

static gint64
read_clock(clockid_t clock)
{
    struct timespec now = {0};

    (void)clock_gettime(clock, &now);
    return (gint64)now.tv_sec * G_USEC_PER_SEC + now.tv_nsec / 1000;
}

static gint64
machine_boottime(gpointer user_data)
{
    return read_clock(CLOCK_BOOTTIME);
}

static gint64
machine_wall(gpointer user_data)
{
    return read_clock(CLOCK_REALTIME);
}

void
spoke_time_source_init(SpokeTimeSource *source)
{
    g_autofree char *boot_id = NULL;

    *source = (SpokeTimeSource){.boottime = machine_boottime, .wall = machine_wall};
    if (g_file_get_contents("/proc/sys/kernel/random/boot_id", &boot_id, NULL, NULL))
        (void)g_strlcpy(source->boot_id, g_strstrip(boot_id), sizeof source->boot_id);
}

/* What passed since @mark. */
static gint64
measure_gap(const SpokeTimeSource *source, const SpokeClockMark *mark)
{
    gint64 boottime_gap = source->boottime(source->user_data) - mark->boottime_usec;
    if (mark->boot_id[0] != '\0' && strcmp(mark->boot_id, source->boot_id) == 0)
        return MAX(boottime_gap, 0);

    gint64 gap = source->wall(source->user_data) - mark->wall_usec;
    if (mark->wall_usec < WALL_MIN_USEC || gap < 0 || gap > GAP_MAX_USEC)
        return 0;
    return gap;
}

void
spoke_spool_clock_start(SpokeSpoolClock *clock, const SpokeTimeSource *source,
                        const SpokeClockMark *mark)
{
    gint64 now = mark->spool_usec > 0 ? mark->spool_usec + measure_gap(source, mark) : FIRST_USEC;

    clock->source = *source;
    clock->offset_usec = now - source->boottime(source->user_data);
}

gint64
spoke_spool_clock_now(const SpokeSpoolClock *clock)
{
    return clock->source.boottime(clock->source.user_data) + clock->offset_usec;
}

void
spoke_spool_clock_mark(const SpokeSpoolClock *clock, SpokeClockMark *ret_mark)
{
    const SpokeTimeSource *source = &clock->source;

    ret_mark->boottime_usec = source->boottime(source->user_data);
    ret_mark->wall_usec = source->wall(source->user_data);
    ret_mark->spool_usec = ret_mark->boottime_usec + clock->offset_usec;
    memcpy(ret_mark->boot_id, source->boot_id, sizeof ret_mark->boot_id);
}
