/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "dbus/process.h"

#include <poll.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <systemd/sd-login.h>

/*
 * The pid on a message may be stale: its process has gone, the number is another's. So the start
 * time is read before and after the rest, the owner is compared, and where the bus gives us a
 * pidfd, that has the last word.
 */

/* What a user id shows as in a user namespace that does not map it (PrivateUsers= of systemd).
 * Source: user_namespaces(7), /proc/sys/kernel/overflowuid. */
#define OVERFLOW_UID 65534

static char *
read_proc(pid_t pid, const char *file)
{
    g_autofree char *path = g_strdup_printf("/proc/%d/%s", pid, file);
    char *text = NULL;

    return g_file_get_contents(path, &text, NULL, NULL) ? text : NULL;
}

/* Source: proc(5), /proc/[pid]/stat: pid (comm) state … starttime is field 22. comm may hold any
 * character, so the last parenthesis ends it. */
static gboolean
read_stat(pid_t pid, char **ret_comm, guint64 *ret_start_time)
{
    g_autofree char *stat = read_proc(pid, "stat");
    if (stat == NULL)
        return FALSE;

    char *begin = strchr(stat, '(');
    char *end = strrchr(stat, ')');
    if (begin == NULL || end == NULL || end < begin || end[1] != ' ')
        return FALSE;

    const char *field = end + 2; /* field 3 */
    for (guint i = 3; field != NULL && i < 22; i++) {
        field = strchr(field, ' ');
        if (field != NULL)
            field++;
    }
    if (field == NULL)
        return FALSE;

    *ret_start_time = g_ascii_strtoull(field, NULL, 10);
    if (ret_comm != NULL)
        *ret_comm = g_strndup(begin + 1, (gsize)(end - begin - 1));
    return TRUE;
}

/* Source: proc(5), /proc/[pid]/status: Uid: real, effective, saved, file system. */
static gboolean
is_owned_by(pid_t pid, uid_t uid)
{
    g_autofree char *status = read_proc(pid, "status");
    const char *line = status != NULL ? strstr(status, "\nUid:") : NULL;
    guint uids[4];

    if (line == NULL ||
        sscanf(line + 5, "%u %u %u %u", &uids[0], &uids[1], &uids[2], &uids[3]) != 4)
        return FALSE;
    for (guint i = 0; i < G_N_ELEMENTS(uids); i++) {
        if (uids[i] == uid || uids[i] == OVERFLOW_UID)
            return TRUE;
    }
    return FALSE;
}

/* A user's own services are below user@UID.service: there the user decides on the names. */
static char *
read_unit(pid_t pid)
{
    g_autofree char *unit = NULL;
    char *name = NULL;

    int r = sd_pid_get_unit(pid, &name);
    unit = g_strdup(name);
    free(name);
    if (r < 0 || !g_str_has_suffix(unit, ".service") || g_str_has_prefix(unit, "user@"))
        return NULL;
    return g_steal_pointer(&unit);
}

static void
make_printable(char *comm)
{
    for (char *c = comm; *c != '\0'; c++) {
        if (!g_ascii_isgraph(*c) || *c == '/')
            *c = '_';
    }
}

gboolean
spoke_process_read(pid_t pid, uid_t uid, int pidfd, SpokeProcess *ret_process)
{
    g_auto(SpokeProcess) process = {NULL};
    guint64 start_time_after = 0;

    if (pid <= 0 || !read_stat(pid, &process.comm, &process.start_time))
        return FALSE;
    process.unit = read_unit(pid);
    if (!is_owned_by(pid, uid) || !read_stat(pid, NULL, &start_time_after) ||
        process.start_time != start_time_after)
        return FALSE;

    /* Readable: the process has ended. */
    if (pidfd >= 0 && poll(&(struct pollfd){.fd = pidfd, .events = POLLIN}, 1, 0) != 0)
        return FALSE;

    make_printable(process.comm);
    *ret_process = process;
    process = (SpokeProcess){NULL};
    return TRUE;
}

void
spoke_process_clear(SpokeProcess *process)
{
    g_clear_pointer(&process->unit, g_free);
    g_clear_pointer(&process->comm, g_free);
}

char *
spoke_process_format_user(uid_t uid)
{
    FILE *passwd = fopen("/etc/passwd", "re");
    char *name = NULL;

    while (passwd != NULL && name == NULL) {
        const struct passwd *entry = fgetpwent(passwd);
        if (entry == NULL)
            break;
        if (entry->pw_uid == uid)
            name = g_strdup(entry->pw_name);
    }
    if (passwd != NULL)
        (void)fclose(passwd);
    return name != NULL ? name : g_strdup_printf("%u", uid);
}
