/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>
#include <sys/types.h>

/*
 * What the kernel says of a process: the service it runs in, its name and when it started. Read
 * from /proc, which never waits for a disk or another process.
 */
typedef struct {
    char *unit;         /* owned; "thermostat.service" of the system's manager, or NULL */
    char *comm;         /* owned; printable ASCII without space and '/' */
    guint64 start_time; /* clock ticks since boot: with the pid it names one process for good */
} SpokeProcess;

/**
 * spoke_process_read:
 * @uid: whose process it must be, so that a recycled pid does not pass for another user's process
 * @pidfd: (-1 for none): stands for the same process; with it no recycled pid can pass at all
 *
 * Returns: FALSE if there is no such process (any more); @ret_process is untouched then
 */
gboolean spoke_process_read(pid_t pid, uid_t uid, int pidfd, SpokeProcess *ret_process);
void spoke_process_clear(SpokeProcess *process);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(SpokeProcess, spoke_process_clear)

/* The name of user @uid in /etc/passwd, or the number in decimal. It does not ask the name
 * service, which may wait for a server. (transfer full) */
char *spoke_process_format_user(uid_t uid);
