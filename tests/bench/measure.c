/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/bench/measure.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/*
 * Figures of a process come from /proc and are differences of two readings, so that whatever it did
 * before does not count.
 */

void
measure_add(MeasureSamples *samples, double value)
{
    if (samples->n < G_N_ELEMENTS(samples->values))
        samples->values[samples->n++] = value;
}

static int
compare(const void *a, const void *b)
{
    double difference = *(const double *)a - *(const double *)b;

    return difference < 0 ? -1 : difference > 0;
}

double
measure_sort(double *values, guint n)
{
    qsort(values, n, sizeof *values, compare);
    return values[n / 2];
}

double
measure_median(const MeasureSamples *samples)
{
    MeasureSamples copy = *samples;

    return copy.n > 0 ? measure_sort(copy.values, copy.n) : 0;
}

double
measure_cpu_usec(GPid pid)
{
    g_autofree char *path = g_strdup_printf("/proc/%d/stat", pid);
    g_autofree char *text = NULL;
    unsigned long user = 0, kernel = 0;

    if (!g_file_get_contents(path, &text, NULL, NULL))
        return 0;
    (void)sscanf(strrchr(text, ')') + 1, " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu",
                 &user, &kernel);
    return (double)(user + kernel) * 1e6 / (double)sysconf(_SC_CLK_TCK);
}

long
measure_memory_kib(GPid pid, const char *field)
{
    g_autofree char *path = g_strdup_printf("/proc/%d/smaps_rollup", pid);
    g_autofree char *line = g_strdup_printf("\n%s", field);
    g_autofree char *text = NULL;

    if (!g_file_get_contents(path, &text, NULL, NULL))
        return 0;
    const char *at = strstr(text, line);
    return at != NULL ? atol(at + strlen(line)) : 0;
}

static guint64
read_waits(const char *tasks, const char *task)
{
    g_autofree char *path = g_build_filename(tasks, task, "status", NULL);
    g_autofree char *text = NULL;
    const char *name = "\nvoluntary_ctxt_switches:";

    if (!g_file_get_contents(path, &text, NULL, NULL))
        return 0;
    const char *at = strstr(text, name);
    return at != NULL ? g_ascii_strtoull(at + strlen(name), NULL, 10) : 0;
}

/* Context switches that were waits, thread by thread: every one is a wake-up. */
GHashTable *
measure_wakeups(GPid pid)
{
    g_autofree char *tasks = g_strdup_printf("/proc/%d/task", pid);
    g_autoptr(GDir) dir = g_dir_open(tasks, 0, NULL);
    GHashTable *waits = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
    const char *task;

    while (dir != NULL && (task = g_dir_read_name(dir)) != NULL) {
        guint64 n = read_waits(tasks, task);
        g_hash_table_insert(waits, g_strdup(task), g_memdup2(&n, sizeof n));
    }
    return waits;
}

guint64
measure_wakeups_since(GHashTable *before, GPid pid)
{
    g_autoptr(GHashTable) after = measure_wakeups(pid);
    GHashTableIter iter;
    gpointer task = NULL, value = NULL;
    guint64 sum = 0;

    g_hash_table_iter_init(&iter, after);
    while (g_hash_table_iter_next(&iter, &task, &value)) {
        const guint64 *then = g_hash_table_lookup(before, task);
        sum += *(guint64 *)value - (then != NULL ? *then : 0);
    }
    return sum;
}

GPid
measure_get_hub_pid(Harness *h)
{
    g_autofree char *path = g_build_filename(harness_get_dir(h), "hub.ready", NULL);
    g_autoptr(JsonParser) parser = json_parser_new();

    if (!json_parser_load_from_file(parser, path, NULL))
        harness_fail(h, "%s is not JSON", path);
    return (GPid)json_object_get_int_member(json_node_get_object(json_parser_get_root(parser)),
                                            "pid");
}

static char *
run(Harness *h, const char *const *argv, const char *variable, const char *value)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(GSubprocessLauncher) launcher =
        g_subprocess_launcher_new(G_SUBPROCESS_FLAGS_STDOUT_PIPE);
    char *text = NULL;

    g_subprocess_launcher_setenv(launcher, "DBUS_SYSTEM_BUS_ADDRESS", harness_get_bus_address(h),
                                 TRUE);
    if (variable != NULL)
        g_subprocess_launcher_setenv(launcher, variable, value, TRUE);
    g_autoptr(GSubprocess) process = g_subprocess_launcher_spawnv(launcher, argv, &error);
    if (process == NULL || !g_subprocess_communicate_utf8(process, NULL, NULL, &text, NULL, &error))
        harness_fail(h, "%s: %s", argv[0], error->message);
    if (!g_subprocess_get_successful(process))
        harness_fail(h, "%s failed", argv[0]);
    return text;
}

char *
measure_run(Harness *h, const char *const *argv, const char *variable)
{
    return run(h, argv, variable, "1");
}

char *
measure_load_sized(Harness *h, const char *mode, guint argument, guint messages, guint body_size)
{
    g_autofree char *first = g_strdup_printf("%u", argument);
    g_autofree char *second = g_strdup_printf("%u", messages);
    g_autofree char *size = g_strdup_printf("%u", body_size);

    return run(h, (const char *[]){g_getenv("BENCH_LOAD"), mode, first, second, NULL},
               "LOAD_BODY_SIZE", size);
}

char *
measure_load(Harness *h, const char *mode, guint argument, guint messages)
{
    return measure_load_sized(h, mode, argument, messages, 200);
}

void
measure_c2d_lines(Harness *h, const char *device, GDataInputStream *lines, guint n,
                  gboolean ask_now, double *ret_p50, double *ret_p99)
{
    g_autofree double *usec = g_new(double, n);
    g_autofree char *path = g_strdup_printf("/devices/%s/messages", device);

    for (guint i = 0; i < n; i++) {
        gint64 began = g_get_monotonic_time();
        g_autoptr(JsonNode) sent = harness_hub(h, "POST", path, "{\"body\":\"hello\"}");
        if (ask_now) {
            began = g_get_monotonic_time();
            g_variant_unref(harness_call(h, NULL, "CheckNow", "()"));
        }
        g_autofree char *line = g_data_input_stream_read_line(lines, NULL, NULL, NULL);
        if (line == NULL)
            harness_fail(h, "the listener has ended");
        usec[i] = (double)(g_ascii_strtoll(line, NULL, 10) - began);
    }
    *ret_p50 = measure_sort(usec, n);
    *ret_p99 = usec[n * 99 / 100];
}

void
measure_c2d(Harness *h, guint n, gboolean ask_now, double *ret_p50, double *ret_p99)
{
    g_autofree char *count = g_strdup_printf("%u", n);
    g_autoptr(GError) error = NULL;
    g_autoptr(GSubprocessLauncher) launcher =
        g_subprocess_launcher_new(G_SUBPROCESS_FLAGS_STDOUT_PIPE);

    g_subprocess_launcher_setenv(launcher, "DBUS_SYSTEM_BUS_ADDRESS", harness_get_bus_address(h),
                                 TRUE);
    g_autoptr(GSubprocess) listener =
        g_subprocess_launcher_spawn(launcher, &error, g_getenv("BENCH_LOAD"), "c2d", count, NULL);
    g_assert_no_error(error);
    g_autoptr(GDataInputStream) lines =
        g_data_input_stream_new(g_subprocess_get_stdout_pipe(listener));
    g_free(g_data_input_stream_read_line(lines, NULL, NULL, NULL));
    measure_c2d_lines(h, HARNESS_DEVICE_ID, lines, n, ask_now, ret_p50, ret_p99);
    (void)g_subprocess_wait(listener, NULL, NULL);
}
