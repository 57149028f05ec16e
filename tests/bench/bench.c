/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The benchmarks: bench [SECTION…], all sections by default. Bus, hub and daemon are those of the
 * integration tests; peers run in the same session, alternating, so that the noise of the machine
 * hits all of them. Figures are printed as a table with their ratio to the peer; nothing here fails
 * on a slow machine.
 */
#include "tests/bench/sections.h"

#include "tests/bench/measure.h"
#include "tests/bench/peers.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#define ROUNDS   3
#define MESSAGES 60000

static Harness *
connected(void)
{
    Harness *h = harness_new();

    harness_start_daemon(h);
    harness_wait_state(h, "connected");
    return h;
}

/*
 * Throughput against paho alone
 */

typedef struct {
    MeasureSamples per_sec;
    MeasureSamples cpu_usec;
} Series;

static void
measure_paho(Harness *h, guint window, Series *series)
{
    double cpu_usec = 0;
    double per_sec = peers_run_paho(h, "mqtt", harness_get_hub_port(h), window,
                                    window == 1 ? MESSAGES / 4 : MESSAGES, 200, &cpu_usec);

    measure_add(&series->per_sec, per_sec);
    measure_add(&series->cpu_usec, cpu_usec);
}

static void
measure_spoke(Harness *h, const char *mode, guint argument, Series *series)
{
    guint messages = argument == 1 ? MESSAGES / 10 : MESSAGES;
    double cpu = measure_cpu_usec(harness_get_daemon_pid(h));
    double answered = 1, acknowledged = 1;
    guint n = 0;

    g_autofree char *text = measure_load(h, mode, argument, messages);
    (void)sscanf(text, "%u %lf %lf", &n, &answered, &acknowledged);
    measure_add(&series->per_sec, n / acknowledged);
    measure_add(&series->cpu_usec, (measure_cpu_usec(harness_get_daemon_pid(h)) - cpu) / n);
}

static void
print_series(const char *name, Series *series, double best)
{
    double rate = measure_median(&series->per_sec), cpu = measure_median(&series->cpu_usec);

    g_print("%-28s %9.0f/s  %6.2f x paho's best  %6.1f us CPU/message\n", name, rate, rate / best,
            cpu);
}

static void
section_throughput(void)
{
    static const struct {
        const char *name, *mode;
        guint argument;
    } runs[] = {
        {"paho, window 1", NULL, 1},          {"paho, window 64", NULL, 64},
        {"paho, window 1000", NULL, 1000},    {"Send, one at a time", "send", 1},
        {"Send, 256 pipelined", "send", 256}, {"SendBatch of 100", "batch", 100},
    };
    g_autoptr(Harness) h = connected();
    Series series[G_N_ELEMENTS(runs)] = {0};
    double best = 0;

    for (guint round = 0; round < ROUNDS; round++)
        for (guint i = 0; i < G_N_ELEMENTS(runs); i++)
            if (runs[i].mode == NULL)
                measure_paho(h, runs[i].argument, &series[i]);
            else
                measure_spoke(h, runs[i].mode, runs[i].argument, &series[i]);
    for (guint i = 0; i < 3; i++)
        best = MAX(best, measure_median(&series[i].per_sec));
    g_print("\nThroughput, 200-byte messages, until acknowledged (median of %d)\n", ROUNDS);
    for (guint i = 0; i < G_N_ELEMENTS(runs); i++)
        print_series(runs[i].name, &series[i], best);
}

/*
 * Latency
 */

static double
fsync_usec(Harness *h)
{
    static const char page[4096];
    g_autofree char *path = g_build_filename(harness_get_dir(h), "fsync", NULL);
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    double usec[200];

    for (guint i = 0; i < G_N_ELEMENTS(usec); i++) {
        gint64 began = g_get_monotonic_time();
        if (pwrite(fd, page, sizeof page, (off_t)i * 4096) < 0 || fdatasync(fd) < 0)
            return 0;
        usec[i] = (double)(g_get_monotonic_time() - began);
    }
    close(fd);
    return measure_sort(usec, G_N_ELEMENTS(usec));
}

static void
section_latency(void)
{
    g_autoptr(Harness) h = connected();
    long call = 0, answered[3] = {0}, settled[3] = {0};

    double disk = fsync_usec(h);
    g_autofree char *calls = measure_load(h, "call", 0, 5000);
    (void)sscanf(calls, "%ld", &call);
    g_autofree char *text = measure_load(h, "latency", 100, 2000);
    (void)sscanf(text, "%ld %ld %ld %ld %ld %ld", &answered[0], &answered[1], &answered[2],
                 &settled[0], &settled[1], &settled[2]);
    g_print("\nLatency at 100 messages a second, microseconds\n");
    g_print("a bare call p50 %ld, an fdatasync p50 %.0f\n", call, disk);
    g_print("Send answered (synced)   p50 %5ld  p99 %5ld  max %5ld  = %.2f x (call + fdatasync)\n",
            answered[0], answered[1], answered[2], (double)answered[0] / ((double)call + disk));
    g_print("Send to hub's ack known  p50 %5ld  p99 %5ld  max %5ld\n", settled[0], settled[1],
            settled[2]);
}

static void
section_c2d(void)
{
    g_autoptr(Harness) h = connected();
    double p50 = 0, p99 = 0;

    measure_c2d(h, 500, FALSE, &p50, &p99);
    g_print(
        "\nC2D, from the request to the emulator to the app's signal: p50 %.0f us, p99 %.0f us\n",
        p50, p99);
}

/*
 * Hub away
 */

static void
section_offline(void)
{
    const guint n = 100000;
    g_autoptr(Harness) h = harness_new();
    g_autofree char *text = NULL;
    double answered = 1;
    guint done = 0;

    harness_kill_hub(h, SIGKILL);
    harness_start_daemon(h);
    g_autofree char *count = g_strdup_printf("%u", n);
    text = measure_run(h, (const char *[]){g_getenv("BENCH_LOAD"), "batch", "100", count, NULL},
                       "LOAD_NO_FLUSH");
    (void)sscanf(text, "%u %lf", &done, &answered);
    g_autofree char *single = measure_run(
        h, (const char *[]){g_getenv("BENCH_LOAD"), "send", "256", count, NULL}, "LOAD_NO_FLUSH");
    double pipelined = 1;
    (void)sscanf(single, "%*u %lf", &pipelined);
    harness_kill_daemon(h, SIGKILL);
    harness_start_daemon(h);
    g_print("\nHub away, synced: SendBatch %.0f/s accepted, Send pipelined %.0f/s; after kill -9 "
            "%" G_GUINT64_FORMAT " of %u are there\n",
            done / answered, n / pipelined, harness_counter(h, "QueuedMessages"), 2 * n);
}

static gboolean
fresh_has_arrived(Harness *h, gpointer user_data)
{
    g_autofree char *path = harness_get_hub_journal(h);
    g_autofree char *text = NULL;
    gsize size = 0;
    gsize *from = user_data;

    if (!g_file_get_contents(path, &text, &size, NULL))
        return FALSE;
    gboolean found = size > *from && strstr(text + *from, "\tfresh\t") != NULL;
    *from = size > 1000 ? size - 1000 : 0;
    return found;
}

static void
section_million(void)
{
    const guint n = 1000000;
    g_autoptr(Harness) h = harness_new();
    g_autofree char *count = g_strdup_printf("%u", n);
    gsize from = 0;

    harness_configure(h, "[Spool]\nBytesMax=2G\n");
    harness_kill_hub(h, SIGKILL);
    harness_start_daemon(h);
    g_autofree char *warm =
        measure_run(h, (const char *[]){g_getenv("BENCH_LOAD"), "batch", "100", "10000", NULL},
                    "LOAD_NO_FLUSH");
    long before = measure_memory_kib(harness_get_daemon_pid(h), "Pss_Anon:");
    g_autofree char *text = measure_run(
        h, (const char *[]){g_getenv("BENCH_LOAD"), "batch", "100", count, NULL}, "LOAD_NO_FLUSH");
    long after = measure_memory_kib(harness_get_daemon_pid(h), "Pss_Anon:");
    harness_start_hub(h);
    harness_wait_state(h, "connected");
    gint64 began = g_get_monotonic_time();
    g_autoptr(GVariant) reply =
        harness_call(h, NULL, "SendText", "('x', @a{ss} {}, {'message-id': <'fresh'>})");
    harness_wait(h, "the fresh message", fresh_has_arrived, &from);
    double fresh = (double)(g_get_monotonic_time() - began) / 1e6;
    while (harness_counter(h, "QueuedMessages") > 0)
        g_usleep(100000); /* a benchmark's own pace of looking */
    double took = (double)(g_get_monotonic_time() - began) / 1e6;
    g_print("\nOne million queued offline: memory grew by %ld KiB; drained at %.0f/s; peak now %ld "
            "KiB; a "
            "fresh message took %.2f s\n",
            after - before, n / took, measure_memory_kib(harness_get_daemon_pid(h), "Pss_Anon:"),
            fresh);
}

/*
 * Idle
 */

static void
section_idle(void)
{
    const guint seconds = 30;
    g_autoptr(Harness) h = connected();
    GSubprocess *apps[10];
    long clients = 0;

    g_autofree char *warm = measure_load(h, "send", 16, 1000);
    g_usleep(2 * G_USEC_PER_SEC); /* let it come to rest: idle is what is measured */
    GPid pid = harness_get_daemon_pid(h);
    for (guint i = 0; i < 10; i++)
        apps[i] = g_subprocess_new(G_SUBPROCESS_FLAGS_STDOUT_SILENCE, NULL,
                                   g_getenv("BENCH_IDLE_APP"), harness_get_bus_address(h), NULL);
    g_usleep(G_USEC_PER_SEC);
    g_autoptr(GHashTable) before = measure_wakeups(pid);
    double cpu = measure_cpu_usec(pid);
    double apps_cpu = 0;
    for (guint i = 0; i < 10; i++)
        apps_cpu -= measure_cpu_usec(atoi(g_subprocess_get_identifier(apps[i])));
    g_usleep(seconds * G_USEC_PER_SEC);
    guint64 wakeups = measure_wakeups_since(before, pid);
    cpu = measure_cpu_usec(pid) - cpu;
    for (guint i = 0; i < 10; i++) {
        GPid app = atoi(g_subprocess_get_identifier(apps[i]));
        apps_cpu += measure_cpu_usec(app);
        clients += measure_memory_kib(app, "Pss:");
    }
    g_print("\nIdle and connected: private dirty %ld KiB, PSS %ld KiB, RSS %ld KiB; %.2f "
            "wake-ups/s, %.3f %% of a "
            "core\n",
            measure_memory_kib(pid, "Private_Dirty:"), measure_memory_kib(pid, "Pss:"),
            measure_memory_kib(pid, "Rss:"), (double)wakeups / seconds, cpu / 1e4 / seconds);
    g_print("Ten programs, idle: their PSS %ld KiB, with the daemon %ld KiB; CPU of all %.3f %% of "
            "a core\n",
            clients, clients + measure_memory_kib(pid, "Pss:"), (cpu + apps_cpu) / 1e4 / seconds);
    for (guint i = 0; i < 10; i++) {
        g_subprocess_force_exit(apps[i]);
        (void)g_subprocess_wait(apps[i], NULL, NULL);
        g_object_unref(apps[i]);
    }
}

static const struct {
    const char *name;
    void (*measure)(void);
} sections[] = {
    {"throughput", section_throughput}, {"latency", section_latency}, {"c2d", section_c2d},
    {"offline", section_offline},       {"million", section_million}, {"idle", section_idle},
    {"transports", section_transports}, {"devices", section_devices}, {"bytes", section_bytes},
    {"held-back", section_held_back},
};

static gboolean
is_wanted(const char *name, int argc, char **argv)
{
    return argc < 2 || g_strv_contains((const char *const *)argv + 1, name);
}

/* For the emulator too, which has a connection for each message of a client that keeps none. */
static void
allow_many_files(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
        return;
    limit.rlim_cur = limit.rlim_max;
    (void)setrlimit(RLIMIT_NOFILE, &limit);
}

int
main(int argc, char **argv)
{
    setvbuf(stdout, NULL, _IOLBF, 0);
    allow_many_files();
    for (guint i = 0; i < G_N_ELEMENTS(sections); i++)
        if (is_wanted(sections[i].name, argc, argv))
            sections[i].measure();
    return 0;
}
