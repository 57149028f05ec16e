/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "clients/spokectl/runner.h"

#include "clients/spokectl/json.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

struct SpokeRunner {
    char *id;           /* owned */
    GPid pid;           /* leader of a process group of its own */
    guint limit_source; /* until SIGTERM, then until SIGKILL */
    SpokeRunFunc done;
    gpointer user_data;
};

SpokeRunResult
spoke_runner_judge(int wait_status)
{
    if (!WIFEXITED(wait_status))
        return SPOKE_RUN_ABANDON;
    switch (WEXITSTATUS(wait_status)) {
    case 0:
        return SPOKE_RUN_COMPLETE;
    case EX_TEMPFAIL:
        return SPOKE_RUN_ABANDON;
    case 126:
    case 127:
        return SPOKE_RUN_NO_COMMAND;
    default:
        return SPOKE_RUN_REJECT;
    }
}

static char **
add_variable(char **environment, const char *name, const char *value)
{
    return value == NULL ? environment : g_environ_setenv(environment, name, value, TRUE);
}

/* Names come from the cloud: what a shell could not use becomes "_", and the prefix keeps them from
 * being PATH. */
static char **
add_property(char **environment, const SpokeProperty *property)
{
    g_autofree char *name = g_strconcat("SPOKE_PROPERTY_", property->name, NULL);

    for (char *c = name; *c != '\0'; c++)
        if (!g_ascii_isalnum(*c))
            *c = '_';
    return add_variable(environment, name, property->value);
}

/* A listener that another listener runs must not pass on the other's message. */
static char **
remove_variables(char **environment)
{
    g_auto(GStrv) names = g_strdupv(environment);

    for (char **name = names; *name != NULL; name++) {
        if (!g_str_has_prefix(*name, "SPOKE_"))
            continue;
        *strchrnul(*name, '=') = '\0';
        environment = g_environ_unsetenv(environment, *name);
    }
    return environment;
}

char **
spoke_runner_make_environment(const SpokeIncoming *message, char **environment)
{
    g_autofree char *count = g_strdup_printf("%u", message->delivery_count);
    g_autofree char *properties = spoke_json_properties(message->properties, message->n_properties);

    environment = remove_variables(environment);
    environment = add_variable(environment, "SPOKE_ID", message->id);
    environment = add_variable(environment, "SPOKE_MESSAGE_ID", message->message_id);
    environment = add_variable(environment, "SPOKE_CORRELATION_ID", message->correlation_id);
    environment = add_variable(environment, "SPOKE_USER_ID", message->user_id);
    environment = add_variable(environment, "SPOKE_TO", message->to);
    environment = add_variable(environment, "SPOKE_CONTENT_TYPE", message->content_type);
    environment = add_variable(environment, "SPOKE_CONTENT_ENCODING", message->content_encoding);
    environment = add_variable(environment, "SPOKE_DELIVERY_COUNT", count);
    environment = add_variable(environment, "SPOKE_PROPERTIES", properties);
    for (gsize i = 0; i < message->n_properties; i++)
        environment = add_property(environment, &message->properties[i]);
    return environment;
}

static void
free_runner(SpokeRunner *runner)
{
    g_clear_handle_id(&runner->limit_source, g_source_remove);
    g_free(runner->id);
    g_free(runner);
}

static void
on_exit_status(GPid pid, gint wait_status, gpointer user_data)
{
    SpokeRunner *runner = user_data;

    g_spawn_close_pid(pid);
    runner->done(runner, wait_status, runner->user_data);
    free_runner(runner);
}

static gboolean
on_grace_over(gpointer user_data)
{
    SpokeRunner *runner = user_data;

    runner->limit_source = 0;
    (void)kill(-runner->pid, SIGKILL);
    return G_SOURCE_REMOVE;
}

static gboolean
on_limit(gpointer user_data)
{
    SpokeRunner *runner = user_data;

    spoke_runner_stop(runner);
    runner->limit_source = g_timeout_add(SPOKE_RUNNER_GRACE_MSEC, on_grace_over, runner);
    return G_SOURCE_REMOVE;
}

static gboolean
write_body(int fd, const SpokeIncoming *message)
{
    const char *data = message->body;
    gsize left = message->body_size;

    while (left > 0) {
        ssize_t written = write(fd, data, left);
        if (written < 0 && errno != EINTR)
            return FALSE;
        data += MAX(written, 0);
        left -= (gsize)MAX(written, 0);
    }
    return lseek(fd, 0, SEEK_SET) == 0;
}

/* A file in memory rather than a pipe: a command that reads nothing hurts nobody. */
static int
open_body(const SpokeIncoming *message, GError **error)
{
    int fd = memfd_create("message", MFD_CLOEXEC);
    if (fd >= 0 && write_body(fd, message))
        return fd;

    g_set_error(error, G_FILE_ERROR, g_file_error_from_errno(errno), "Can't pass the body on: %s",
                g_strerror(errno));
    if (fd >= 0)
        (void)close(fd);
    return -1;
}

/* Runs between fork and exec. */
static void
lead_group(gpointer user_data)
{
    (void)setpgid(0, 0);
}

SpokeRunner *
spoke_runner_start(char **command, const SpokeIncoming *message, guint64 limit_msec,
                   SpokeRunFunc done, gpointer user_data, GError **error)
{
    g_auto(GStrv) environment = spoke_runner_make_environment(message, g_get_environ());
    GPid pid = 0;

    int body_fd = open_body(message, error);
    if (body_fd < 0)
        return NULL;
    gboolean started = g_spawn_async_with_pipes_and_fds(
        NULL, (const gchar *const *)command, (const gchar *const *)environment,
        G_SPAWN_SEARCH_PATH | G_SPAWN_DO_NOT_REAP_CHILD, lead_group, NULL, body_fd, -1, -1, NULL,
        NULL, 0, &pid, NULL, NULL, NULL, error);
    (void)close(body_fd);
    if (!started)
        return NULL;

    SpokeRunner *runner = g_new0(SpokeRunner, 1);
    runner->id = g_strdup(message->id);
    runner->pid = pid;
    runner->done = done;
    runner->user_data = user_data;
    if (limit_msec > 0)
        runner->limit_source = g_timeout_add((guint)MIN(limit_msec, G_MAXUINT), on_limit, runner);
    g_child_watch_add(pid, on_exit_status, runner);
    return runner;
}

void
spoke_runner_stop(SpokeRunner *runner)
{
    (void)kill(-runner->pid, SIGTERM);
}

const char *
spoke_runner_get_id(SpokeRunner *runner)
{
    return runner->id;
}
