/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The benchmarks: bench [SECTION…], all sections by default. Bus, hub and daemon are those of the
 * integration tests; peers run in the same session, alternating, so that the noise of the machine
 * hits all of them. Figures are printed as a table with their ratio to the peer; nothing here fails
 * on a slow machine.
 */
#include "tests/integration/harness.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ROUNDS   3
#define MESSAGES 60000

static double
median(double *values, guint n)
{
    for (guint i = 1; i < n; i++)
        for (guint j = i; j > 0 && values[j] < values[j - 1]; j--) {
            double swap = values[j];
            values[j] = values[j - 1];
            values[j - 1] = swap;
        }
    return values[n / 2];
}

/* User and system time of a process so far. */
static double
cpu_usec_of(GPid pid)
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

/* A field of smaps_rollup in KiB, such as "Pss:". */
static long
memory_kib(GPid pid, const char *field)
{
    g_autofree char *path = g_strdup_printf("/proc/%d/smaps_rollup", pid);
    g_autofree char *text = NULL;

    if (!g_file_get_contents(path, &text, NULL, NULL))
        return 0;
    const char *at = strstr(text, field);
    return at != NULL ? atol(at + strlen(field)) : 0;
}

/* Context switches of all threads that were waits: every one is a wake-up. */
static guint64
wakeups_of(GPid pid)
{
    g_autofree char *tasks = g_strdup_printf("/proc/%d/task", pid);
    g_autoptr(GDir) dir = g_dir_open(tasks, 0, NULL);
    guint64 sum = 0;
    const char *task;

    while (dir != NULL && (task = g_dir_read_name(dir)) != NULL) {
        g_autofree char *path = g_build_filename(tasks, task, "status", NULL);
        g_autofree char *text = NULL;
        if (!g_file_get_contents(path, &text, NULL, NULL))
            continue;
        const char *at = strstr(text, "\nvoluntary_ctxt_switches:");
        if (at != NULL)
            sum += g_ascii_strtoull(at + strlen("\nvoluntary_ctxt_switches:"), NULL, 10);
    }
    return sum;
}

/* Runs a program with the harness's bus to its end and returns what it printed. (transfer full) */
static char *
run(Harness *h, const char *const *argv, const char *variable)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(GSubprocessLauncher) launcher =
        g_subprocess_launcher_new(G_SUBPROCESS_FLAGS_STDOUT_PIPE);
    char *text = NULL;

    g_subprocess_launcher_setenv(launcher, "DBUS_SYSTEM_BUS_ADDRESS", harness_get_bus_address(h),
                                 TRUE);
    if (variable != NULL)
        g_subprocess_launcher_setenv(launcher, variable, "1", TRUE);
    g_autoptr(GSubprocess) process = g_subprocess_launcher_spawnv(launcher, argv, &error);
    if (process == NULL || !g_subprocess_communicate_utf8(process, NULL, NULL, &text, NULL, &error))
        harness_fail(h, "%s: %s", argv[0], error->message);
    if (g_subprocess_get_exit_status(process) != 0)
        harness_fail(h, "%s failed", argv[0]);
    return text;
}

static char *
run_load(Harness *h, const char *mode, guint argument, guint messages)
{
    g_autofree char *first = g_strdup_printf("%u", argument);
    g_autofree char *second = g_strdup_printf("%u", messages);

    return run(h, (const char *[]){g_getenv("BENCH_LOAD"), mode, first, second, NULL}, NULL);
}

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
    double per_sec[ROUNDS];
    double cpu_usec[ROUNDS];
} Series;

static char *
peer_password(Harness *h)
{
    g_autoptr(JsonNode) device = harness_hub(h, "GET", "/devices/peer", NULL);
    g_autofree char *resource = g_strdup("localhost%2Fdevices%2Fpeer");
    g_autofree char *text = g_strdup_printf("%s\n1999999999", resource);
    gsize size = 0;
    g_autofree guchar *key = g_base64_decode(
        json_object_get_string_member(json_node_get_object(device), "primaryKey"), &size);
    guint8 digest[32];
    gsize digest_size = sizeof digest;
    g_autoptr(GHmac) hmac = g_hmac_new(G_CHECKSUM_SHA256, key, size);

    g_hmac_update(hmac, (const guchar *)text, (gssize)strlen(text));
    g_hmac_get_digest(hmac, digest, &digest_size);
    g_autofree char *signature = g_base64_encode(digest, digest_size);
    g_autofree char *escaped = g_uri_escape_string(signature, NULL, FALSE);
    return g_strdup_printf("SharedAccessSignature sr=%s&sig=%s&se=1999999999", resource, escaped);
}

static void
measure_paho(Harness *h, const char *password, guint window, Series *series, guint round)
{
    g_autofree char *port = g_strdup_printf("%u", harness_get_hub_port(h));
    g_autofree char *ca = g_build_filename(harness_get_dir(h), "hub", "ca.pem", NULL);
    g_autofree char *in_flight = g_strdup_printf("%u", window);
    g_autofree char *messages = g_strdup_printf("%u", window == 1 ? MESSAGES / 4 : MESSAGES);
    double seconds = 1;
    guint n = 0;

    g_autofree char *text = run(h,
                                (const char *[]){g_getenv("BENCH_PAHO"), port, ca, "peer", password,
                                                 in_flight, messages, NULL},
                                NULL);
    (void)sscanf(text, "%u %lf %lf", &n, &seconds, &series->cpu_usec[round]);
    series->per_sec[round] = n / seconds;
}

static void
measure_spoke(Harness *h, const char *mode, guint argument, Series *series, guint round)
{
    guint messages = argument == 1 ? MESSAGES / 10 : MESSAGES;
    double cpu = cpu_usec_of(harness_get_daemon_pid(h));
    double answered = 1, acknowledged = 1;
    guint n = 0;

    g_autofree char *text = run_load(h, mode, argument, messages);
    (void)sscanf(text, "%u %lf %lf", &n, &answered, &acknowledged);
    series->per_sec[round] = n / acknowledged;
    series->cpu_usec[round] = (cpu_usec_of(harness_get_daemon_pid(h)) - cpu) / n;
}

static void
print_series(const char *name, Series *series, double best)
{
    double rate = median(series->per_sec, ROUNDS), cpu = median(series->cpu_usec, ROUNDS);

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

    g_autoptr(JsonNode) made = harness_hub(h, "PUT", "/devices/peer", "{}");
    g_autofree char *password = peer_password(h);
    for (guint round = 0; round < ROUNDS; round++)
        for (guint i = 0; i < G_N_ELEMENTS(runs); i++)
            if (runs[i].mode == NULL)
                measure_paho(h, password, runs[i].argument, &series[i], round);
            else
                measure_spoke(h, runs[i].mode, runs[i].argument, &series[i], round);
    for (guint i = 0; i < 3; i++)
        best = MAX(best, median(series[i].per_sec, ROUNDS));
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
    return median(usec, G_N_ELEMENTS(usec));
}

static void
section_latency(void)
{
    g_autoptr(Harness) h = connected();
    long call = 0, answered[3] = {0}, settled[3] = {0};

    double disk = fsync_usec(h);
    g_autofree char *calls = run_load(h, "call", 0, 5000);
    (void)sscanf(calls, "%ld", &call);
    g_autofree char *text = run_load(h, "latency", 100, 2000);
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
    const guint n = 500;
    g_autoptr(Harness) h = connected();
    g_autofree char *count = g_strdup_printf("%u", n);
    g_autoptr(GError) error = NULL;
    g_autoptr(GSubprocessLauncher) launcher =
        g_subprocess_launcher_new(G_SUBPROCESS_FLAGS_STDOUT_PIPE);
    double usec[500], worst[500];

    g_subprocess_launcher_setenv(launcher, "DBUS_SYSTEM_BUS_ADDRESS", harness_get_bus_address(h),
                                 TRUE);
    g_autoptr(GSubprocess) listener =
        g_subprocess_launcher_spawn(launcher, &error, g_getenv("BENCH_LOAD"), "c2d", count, NULL);
    g_assert_no_error(error);
    g_autoptr(GDataInputStream) lines =
        g_data_input_stream_new(g_subprocess_get_stdout_pipe(listener));
    g_free(g_data_input_stream_read_line(lines, NULL, NULL, NULL));
    for (guint i = 0; i < n; i++) {
        gint64 began = g_get_monotonic_time();
        g_autoptr(JsonNode) sent = harness_hub(h, "POST", "/devices/" HARNESS_DEVICE_ID "/messages",
                                               "{\"body\":\"hello\"}");
        g_autofree char *line = g_data_input_stream_read_line(lines, NULL, NULL, NULL);
        usec[i] = (double)(g_ascii_strtoll(line, NULL, 10) - began);
    }
    memcpy(worst, usec, sizeof usec);
    double p50 = median(worst, n);
    g_print(
        "\nC2D, from the request to the emulator to the app's signal: p50 %.0f us, p99 %.0f us\n",
        p50, worst[n * 99 / 100]);
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
    text = run(h, (const char *[]){g_getenv("BENCH_LOAD"), "batch", "100", count, NULL},
               "LOAD_NO_FLUSH");
    (void)sscanf(text, "%u %lf", &done, &answered);
    g_autofree char *single = run(
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
        run(h, (const char *[]){g_getenv("BENCH_LOAD"), "batch", "100", "10000", NULL},
            "LOAD_NO_FLUSH");
    long before = memory_kib(harness_get_daemon_pid(h), "Pss_Anon:");
    g_autofree char *text = run(
        h, (const char *[]){g_getenv("BENCH_LOAD"), "batch", "100", count, NULL}, "LOAD_NO_FLUSH");
    long after = memory_kib(harness_get_daemon_pid(h), "Pss_Anon:");
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
            after - before, n / took, memory_kib(harness_get_daemon_pid(h), "Pss_Anon:"), fresh);
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

    g_autofree char *warm = run_load(h, "send", 16, 1000);
    g_usleep(2 * G_USEC_PER_SEC); /* let it come to rest: idle is what is measured */
    GPid pid = harness_get_daemon_pid(h);
    for (guint i = 0; i < 10; i++)
        apps[i] = g_subprocess_new(G_SUBPROCESS_FLAGS_STDOUT_SILENCE, NULL,
                                   g_getenv("BENCH_IDLE_APP"), harness_get_bus_address(h), NULL);
    g_usleep(G_USEC_PER_SEC);
    guint64 wakeups = wakeups_of(pid);
    double cpu = cpu_usec_of(pid);
    double apps_cpu = 0;
    for (guint i = 0; i < 10; i++)
        apps_cpu -= cpu_usec_of(atoi(g_subprocess_get_identifier(apps[i])));
    g_usleep(seconds * G_USEC_PER_SEC);
    wakeups = wakeups_of(pid) - wakeups;
    cpu = cpu_usec_of(pid) - cpu;
    for (guint i = 0; i < 10; i++) {
        GPid app = atoi(g_subprocess_get_identifier(apps[i]));
        apps_cpu += cpu_usec_of(app);
        clients += memory_kib(app, "\nPss:");
    }
    g_print("\nIdle and connected: private dirty %ld KiB, PSS %ld KiB, RSS %ld KiB; %.2f "
            "wake-ups/s, %.3f %% of a "
            "core\n",
            memory_kib(pid, "Private_Dirty:"), memory_kib(pid, "\nPss:"), memory_kib(pid, "\nRss:"),
            (double)wakeups / seconds, cpu / 1e4 / seconds);
    g_print("Ten programs, idle: their PSS %ld KiB, with the daemon %ld KiB; CPU of all %.3f %% of "
            "a core\n",
            clients, clients + memory_kib(pid, "\nPss:"), (cpu + apps_cpu) / 1e4 / seconds);
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
};

static gboolean
is_wanted(const char *name, int argc, char **argv)
{
    return argc < 2 || g_strv_contains((const char *const *)argv + 1, name);
}

int
main(int argc, char **argv)
{
    setvbuf(stdout, NULL, _IOLBF, 0);
    for (guint i = 0; i < G_N_ELEMENTS(sections); i++)
        if (is_wanted(sections[i].name, argc, argv))
            sections[i].measure();
    return 0;
}
