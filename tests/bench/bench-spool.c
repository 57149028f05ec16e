/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/outbox.h"
#include "daemon/properties.h"

#include <fcntl.h>
#include <glib/gstdio.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

/*
 * What the durable queue can do on this disk, beside what the disk itself can do: a synced put at a
 * time, many at once, batches, the full life of a message, and a long time offline.
 *
 *   bench-spool [--directory DIR] [--messages N]
 */

#define BODY_BYTES   200
#define WINDOW       256
#define TAKE_MAX     64
#define SINGLE_PUTS  2000
#define BATCH        100
#define BATCH_WINDOW 8

static char *directory;
static gint n_offline = 1000000;

static const GOptionEntry entries[] = {
    {"directory", 'd', 0, G_OPTION_ARG_FILENAME, &directory, "Where to write", "DIR"},
    {"messages", 'n', 0, G_OPTION_ARG_INT, &n_offline, "To queue offline", "N"},
    {NULL, 0, 0, 0, NULL, NULL, NULL},
};

typedef struct {
    SpokeSpool *spool;   /* owned */
    SpokeOutbox *outbox; /* owned */
    gboolean is_online;  /* takes and settles at once */
    guint64 n_wanted;    /* to put in all */
    guint64 n_put;
    guint64 n_answered;
    guint64 n_settled;
    guint batch;      /* messages a put */
    guint memory_kib; /* resident, when it was opened */
} Bench;

static double
cpu_sec(void)
{
    struct rusage usage;

    getrusage(RUSAGE_SELF, &usage);
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
           (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / G_USEC_PER_SEC;
}

/* A line of /proc/self/smaps_rollup, in KiB */
static guint
read_memory(const char *name)
{
    g_autofree char *text = NULL;
    guint value = 0;

    g_assert_true(g_file_get_contents("/proc/self/smaps_rollup", &text, NULL, NULL));
    const char *line = strstr(text, name);
    if (line != NULL)
        (void)sscanf(line + strlen(name), " %u", &value);
    return value;
}

static void
move_on(Bench *bench)
{
    SpokeMessage *messages[TAKE_MAX];
    guint n = 0;

    while (bench->is_online && (n = spoke_outbox_take(bench->outbox, messages, TAKE_MAX)) > 0) {
        for (guint i = 0; i < n; i++)
            spoke_outbox_settle(bench->outbox, messages[i], SPOKE_OUTCOME_ACCEPTED, "");
    }
}

static void
on_ready(gpointer user_data)
{
    move_on(user_data);
}

static void
on_settled(guint64 id, const char *notify, SpokeOutcome outcome, const char *detail,
           gpointer user_data)
{
    ((Bench *)user_data)->n_settled++;
}

static void
on_empty(gpointer user_data)
{
}

static const SpokeOutboxEvents events = {
    .ready = on_ready,
    .settled = on_settled,
    .empty = on_empty,
};

static SpokeMessage *
make_message(void)
{
    static GByteArray *properties;
    static char body[BODY_BYTES];

    if (properties == NULL) {
        properties = g_byte_array_new();
        spoke_properties_append(properties, "room", "kitchen");
        spoke_properties_append(properties, "unit", "celsius");
    }
    SpokeMessage *message =
        spoke_message_new(NULL, 0, properties->data, properties->len, body, sizeof body);
    message->flow = 42;
    message->app = g_ref_string_new_intern("bench.service");
    return message;
}

static void put_more(Bench *bench);

static void
on_put(const guint64 *ids, guint n, const GError *error, gpointer user_data)
{
    Bench *bench = user_data;

    g_assert_no_error(error);
    bench->n_answered += n;
    put_more(bench);
}

static void
put_more(Bench *bench)
{
    g_autoptr(GError) error = NULL;
    SpokeMessage *messages[BATCH];

    if (bench->n_put >= bench->n_wanted)
        return;
    for (guint i = 0; i < bench->batch; i++)
        messages[i] = make_message();
    gboolean is_put =
        spoke_outbox_put(bench->outbox, messages, bench->batch, on_put, bench, &error);
    g_assert_no_error(error);
    g_assert_true(is_put);
    for (guint i = 0; i < bench->batch; i++)
        spoke_message_unref(messages[i]);
    bench->n_put += bench->batch;
}

static void
put_all(Bench *bench, guint64 n, guint batch, guint window)
{
    bench->batch = batch;
    bench->n_wanted = bench->n_put + n;
    for (guint i = 0; i < window; i++)
        put_more(bench);
    while (bench->n_answered < bench->n_wanted)
        g_main_context_iteration(NULL, TRUE);
}

static void
drain(Bench *bench)
{
    bench->is_online = TRUE;
    move_on(bench);
    while (spoke_outbox_get_messages(bench->outbox) > 0)
        g_main_context_iteration(NULL, TRUE);
}

static void
start(Bench *bench)
{
    g_autoptr(GError) error = NULL;
    SpokeSpoolOptions options = {.directory = directory, .flush_window_usec = G_USEC_PER_SEC};
    SpokeOutboxOptions outbox_options = {.bytes_max = G_GUINT64_CONSTANT(64) << 30};

    bench->spool = spoke_spool_open(&options, &error);
    g_assert_no_error(error);
    bench->outbox =
        spoke_outbox_open(bench->spool, "self", &outbox_options, &events, bench, &error);
    g_assert_no_error(error);
}

static void
stop(Bench *bench)
{
    g_clear_pointer(&bench->outbox, spoke_outbox_free);
    g_clear_pointer(&bench->spool, spoke_spool_free);
}

static gint
compare_times(gconstpointer a, gconstpointer b)
{
    gint64 first = *(const gint64 *)a;
    gint64 second = *(const gint64 *)b;

    return first < second ? -1 : first > second;
}

static void
print_times(const char *what, GArray *times)
{
    g_array_sort(times, compare_times);
    printf("%-34s p50 %5" G_GINT64_FORMAT " us   p99 %5" G_GINT64_FORMAT " us\n", what,
           g_array_index(times, gint64, times->len / 2),
           g_array_index(times, gint64, times->len * 99 / 100));
}

static void
measure_disk(void)
{
    g_autofree char *path = g_build_filename(directory, "disk", NULL);
    g_autoptr(GArray) times = g_array_new(FALSE, FALSE, sizeof(gint64));
    char page[4096] = {0};

    int fd = g_open(path, O_RDWR | O_CREAT, 0600);
    g_assert_cmpint(fd, >=, 0);
    for (guint round = 0; round < 2; round++) {
        g_array_set_size(times, 0);
        for (guint i = 0; i < 500; i++) {
            gint64 begin = g_get_monotonic_time();
            g_assert_cmpint(pwrite(fd, page, sizeof page, i * (off_t)sizeof page), ==, sizeof page);
            g_assert_cmpint(fdatasync(fd), ==, 0);
            gint64 took = g_get_monotonic_time() - begin;
            g_array_append_val(times, took);
        }
    }
    close(fd);
    g_unlink(path);
    print_times("page written and fdatasync", times);
}

static void
measure_single(Bench *bench)
{
    g_autoptr(GArray) times = g_array_new(FALSE, FALSE, sizeof(gint64));

    for (guint i = 0; i < SINGLE_PUTS; i++) {
        gint64 begin = g_get_monotonic_time();
        put_all(bench, 1, 1, 1);
        gint64 took = g_get_monotonic_time() - begin;
        g_array_append_val(times, took);
        drain(bench);
    }
    print_times("one synced put answered", times);
}

static void
measure_rate(Bench *bench, const char *what, gboolean is_online, guint64 n, guint batch,
             guint window)
{
    double cpu = cpu_sec();
    gint64 begin = g_get_monotonic_time();

    bench->is_online = is_online;
    put_all(bench, n, batch, window);
    if (is_online)
        drain(bench);
    double took = (double)(g_get_monotonic_time() - begin) / G_USEC_PER_SEC;
    printf("%-34s %9.0f /s   %5.2f us of CPU each\n", what, (double)n / took,
           (cpu_sec() - cpu) * G_USEC_PER_SEC / (double)n);
    drain(bench);
}

static void
measure_offline(Bench *bench)
{
    gint64 begin = g_get_monotonic_time();
    double cpu = cpu_sec();

    bench->is_online = FALSE;
    put_all(bench, (guint64)n_offline, 1, WINDOW);
    double took = (double)(g_get_monotonic_time() - begin) / G_USEC_PER_SEC;
    printf("%-34s %9.0f /s   %5.2f us of CPU each\n", "queued offline, one by one",
           n_offline / took, (cpu_sec() - cpu) * G_USEC_PER_SEC / n_offline);
    guint after = read_memory("Rss:");
    printf("%-34s %+9.1f MiB (%.1f in all; private dirty %.1f)\n", "memory while that is queued",
           ((double)after - bench->memory_kib) / 1024, after / 1024.0,
           read_memory("Private_Dirty:") / 1024.0);

    begin = g_get_monotonic_time();
    stop(bench);
    start(bench);
    printf("%-34s %9.1f ms\n", "closed and opened again",
           (double)(g_get_monotonic_time() - begin) / 1000);

    begin = g_get_monotonic_time();
    cpu = cpu_sec();
    drain(bench);
    took = (double)(g_get_monotonic_time() - begin) / G_USEC_PER_SEC;
    printf("%-34s %9.0f /s   %5.2f us of CPU each\n", "drained", n_offline / took,
           (cpu_sec() - cpu) * G_USEC_PER_SEC / n_offline);
    printf("%-34s %+9.1f MiB\n", "memory after that",
           ((double)read_memory("Rss:") - bench->memory_kib) / 1024);
}

int
main(int argc, char **argv)
{
    g_autoptr(GOptionContext) context = g_option_context_new(NULL);
    g_autoptr(GError) error = NULL;
    Bench bench = {0};

    g_option_context_add_main_entries(context, entries, NULL);
    if (!g_option_context_parse(context, &argc, &argv, &error)) {
        g_printerr("%s\n", error->message);
        return 2;
    }
    if (directory == NULL)
        directory = g_dir_make_tmp("spoke-bench-XXXXXX", NULL);
    setvbuf(stdout, NULL, _IOLBF, 0);
    measure_disk();
    start(&bench);
    bench.memory_kib = read_memory("Rss:");
    measure_offline(&bench);
    measure_single(&bench);
    measure_rate(&bench, "256 puts in flight", FALSE, 200000, 1, WINDOW);
    measure_rate(&bench, "8 batches of 100 in flight", FALSE, 400000, BATCH, BATCH_WINDOW);
    measure_rate(&bench, "full life, 256 in flight", TRUE, 200000, 1, WINDOW);
    measure_rate(&bench, "full life, batches of 100", TRUE, 400000, BATCH, BATCH_WINDOW);
    stop(&bench);
    return 0;
}
