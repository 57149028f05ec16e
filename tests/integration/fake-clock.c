/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A wall clock that a test can step, for one program: preloaded, it adds the seconds found in the
 * file $FAKE_CLOCK_FILE (8 bytes, a native int64, mapped, so a change is seen at once) to what the
 * C library says of CLOCK_REALTIME, and takes them off what a timerfd on that clock waits for.
 * Other clocks stay real.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#define EXPORT __attribute__((visibility("default")))

#define FDS_MAX 1024

static const volatile int64_t *step_sec;
static char is_wall_timer[FDS_MAX];
static struct itimerspec wall_timers[FDS_MAX]; /* as the program asked */

__attribute__((constructor)) static void
map_step(void)
{
    const char *path = getenv("FAKE_CLOCK_FILE");
    int fd = path != NULL ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    void *page = fd >= 0 ? mmap(NULL, sizeof *step_sec, PROT_READ, MAP_SHARED, fd, 0) : MAP_FAILED;

    if (page != MAP_FAILED)
        step_sec = page;
    if (fd >= 0)
        close(fd);
}

EXPORT int
clock_gettime(clockid_t clock, struct timespec *now)
{
    int r = (int)syscall(SYS_clock_gettime, clock, now);

    if (r == 0 && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE) && step_sec != NULL)
        now->tv_sec += *step_sec;
    return r;
}

EXPORT int
gettimeofday(struct timeval *now, void *zone)
{
    struct timespec precise;
    int r = clock_gettime(CLOCK_REALTIME, &precise);

    (void)zone;
    now->tv_sec = precise.tv_sec;
    now->tv_usec = precise.tv_nsec / 1000;
    return r;
}

EXPORT time_t
time(time_t *ret)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_REALTIME, &now);
    if (ret != NULL)
        *ret = now.tv_sec;
    return now.tv_sec;
}

EXPORT int
timerfd_create(int clock, int flags)
{
    int fd = (int)syscall(SYS_timerfd_create, clock, flags);

    if (fd >= 0 && fd < FDS_MAX)
        is_wall_timer[fd] = clock == CLOCK_REALTIME;
    return fd;
}

static int
arm(int fd)
{
    struct itimerspec shifted = wall_timers[fd];

    if (shifted.it_value.tv_sec > 0 && step_sec != NULL)
        shifted.it_value.tv_sec -= *step_sec;
    return (int)syscall(SYS_timerfd_settime, fd, TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET,
                        &shifted, NULL);
}

EXPORT int
timerfd_settime(int fd, int flags, const struct itimerspec *value, struct itimerspec *old)
{
    if (fd < 0 || fd >= FDS_MAX || !is_wall_timer[fd] || (flags & TFD_TIMER_ABSTIME) == 0)
        return (int)syscall(SYS_timerfd_settime, fd, flags, value, old);
    wall_timers[fd] = *value;
    return arm(fd);
}

/* The kernel's word that the clock was set: what an absolute timer waits for lies elsewhere now. */
EXPORT ssize_t
read(int fd, void *buffer, size_t size)
{
    ssize_t n = syscall(SYS_read, fd, buffer, size);

    if (n < 0 && errno == ECANCELED && fd >= 0 && fd < FDS_MAX && is_wall_timer[fd]) {
        (void)arm(fd);
        errno = EAGAIN;
    }
    return n;
}
