/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The load of the benchmarks: 200-byte messages (LOAD_BODY_SIZE) with two properties through
 * org.spoked1, straight on sd-bus so that no library of ours is measured. One line per run:
 *
 * send WINDOW MESSAGES: calls of Send, WINDOW at a time; then Flush. Prints: messages
 * seconds-until-answered seconds-until-acknowledged
 *
 * batch SIZE MESSAGES: the same with SendBatch, two batches at a time
 *
 * fleet DEVICES MESSAGES: Send from each of the devices d1, d2, ... in turn, 256 at a time; then
 * Flush of each. Prints the same
 *
 * latency RATE MESSAGES: Send with notify at RATE a second. Prints p50 p99 max of microseconds from
 * call to answer; then from call to Settled
 *
 * call MESSAGES: a call that does nothing (Peer.Ping). Prints p50 p99 max
 *
 * c2d MESSAGES: prints the CLOCK_MONOTONIC microseconds at which each message came
 */
#include <errno.h>
#include <glib.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-bus.h>

#define NAME      "org.spoked1"
#define PATH      "/org/spoked1/device/self"
#define DEVICE    "org.spoked1.Device"
#define BODY_SIZE 200

#define FLEET_WINDOW 256

typedef struct {
    sd_bus *bus;
    guint64 sent, answered, settled, messages;
    guint batch;    /* messages a call */
    guint devices;  /* d1, d2, ...; 0: the machine's own */
    guint flushing; /* calls of Flush that are not answered */
    gint64 *called_usec, *answered_usec, *settled_usec;
    GHashTable *by_id; /* guint64 id → index + 1 */
} Load;

static char body[262144];
static size_t body_size = BODY_SIZE;

G_GNUC_NORETURN static void
die(const char *what, int r)
{
    fprintf(stderr, "load: %s: %s\n", what, strerror(-r));
    exit(1);
}

static void
append_message(sd_bus_message *m, gboolean notify)
{
    int r = sd_bus_message_append_array(m, 'y', body, body_size);

    if (r >= 0)
        r = sd_bus_message_append(m, "a{ss}", 1, "room", "kitchen");
    if (r >= 0 && notify)
        r = sd_bus_message_append(m, "a{sv}", 2, "content-type", "s", "application/json", "notify",
                                  "b", 1);
    else if (r >= 0)
        r = sd_bus_message_append(m, "a{sv}", 1, "content-type", "s", "application/json");
    if (r < 0)
        die("message", r);
}

static int
on_answered(sd_bus_message *reply, void *user_data, sd_bus_error *ret_error)
{
    Load *load = user_data;

    if (sd_bus_message_is_method_error(reply, NULL)) {
        fprintf(stderr, "load: %s\n", sd_bus_message_get_error(reply)->message);
        exit(1);
    }
    if (load->called_usec != NULL) {
        guint64 id = 0;
        sd_bus_message_read(reply, "t", &id);
        load->answered_usec[load->answered] = g_get_monotonic_time();
        g_hash_table_insert(load->by_id, g_memdup2(&id, sizeof id),
                            GUINT_TO_POINTER(load->answered + 1));
    }
    load->answered += load->batch;
    return 0;
}

/* @index: counts through the devices. (transfer full) */
static sd_bus_message *
new_call(Load *load, guint64 index, const char *method)
{
    sd_bus_message *m = NULL;
    char path[64] = PATH;

    if (load->devices > 0)
        g_snprintf(path, sizeof path, "/org/spoked1/device/d%u",
                   (guint)(index % load->devices) + 1);
    int r = sd_bus_message_new_method_call(load->bus, &m, NAME, path, DEVICE, method);
    if (r < 0)
        die("call", r);
    return m;
}

static void
call_send(Load *load, gboolean notify)
{
    sd_bus_message *m = new_call(load, load->sent, load->batch > 1 ? "SendBatch" : "Send");
    int r;

    if (load->batch > 1) {
        sd_bus_message_open_container(m, 'a', "(aya{ss}a{sv})");
        for (guint i = 0; i < load->batch; i++) {
            sd_bus_message_open_container(m, 'r', "aya{ss}a{sv}");
            append_message(m, notify);
            sd_bus_message_close_container(m);
        }
        sd_bus_message_close_container(m);
    } else {
        append_message(m, notify);
    }
    if (load->called_usec != NULL)
        load->called_usec[load->sent] = g_get_monotonic_time();
    r = sd_bus_call_async(load->bus, NULL, m, on_answered, load, 600 * G_USEC_PER_SEC);
    sd_bus_message_unref(m);
    if (r < 0)
        die("call", r);
    load->sent += load->batch;
}

/* Waits only if nothing has come. */
static void
process(Load *load, guint64 timeout_usec)
{
    gboolean is_idle = TRUE;
    int r;

    while ((r = sd_bus_process(load->bus, NULL)) > 0)
        is_idle = FALSE;
    if (r < 0)
        die("bus", r);
    if (is_idle)
        (void)sd_bus_wait(load->bus, timeout_usec);
}

static int
on_flushed(sd_bus_message *reply, void *user_data, sd_bus_error *ret_error)
{
    Load *load = user_data;
    guint64 remaining = 1;

    if (sd_bus_message_is_method_error(reply, NULL))
        die("Flush", -EIO);
    sd_bus_message_read(reply, "t", &remaining);
    if (remaining != 0)
        die("Flush", -ETIMEDOUT);
    load->flushing--;
    return 0;
}

static void
flush(Load *load)
{
    for (guint i = 0; i < MAX(load->devices, 1); i++) {
        sd_bus_message *m = new_call(load, i, "Flush");
        int r = sd_bus_message_append(m, "t", (guint64)600000);

        if (r >= 0)
            r = sd_bus_call_async(load->bus, NULL, m, on_flushed, load, 610 * G_USEC_PER_SEC);
        sd_bus_message_unref(m);
        if (r < 0)
            die("Flush", r);
        load->flushing++;
        while (load->flushing >= FLEET_WINDOW)
            process(load, G_USEC_PER_SEC);
    }
    while (load->flushing > 0)
        process(load, G_USEC_PER_SEC);
}

static void
run_send(Load *load, guint window, gboolean wait_for_hub)
{
    gint64 began = g_get_monotonic_time();

    while (load->answered < load->messages) {
        while (load->sent < load->messages && load->sent - load->answered < window)
            call_send(load, FALSE);
        process(load, G_USEC_PER_SEC);
    }
    double answered = (double)(g_get_monotonic_time() - began) / 1e6;
    if (wait_for_hub)
        flush(load);
    printf("%" G_GUINT64_FORMAT " %.3f %.3f\n", load->messages, answered,
           (double)(g_get_monotonic_time() - began) / 1e6);
}

static int
on_settled(sd_bus_message *m, void *user_data, sd_bus_error *ret_error)
{
    Load *load = user_data;
    guint64 id = 0;

    sd_bus_message_read(m, "t", &id);
    guint index = GPOINTER_TO_UINT(g_hash_table_lookup(load->by_id, &id));
    if (index > 0)
        load->settled_usec[index - 1] = g_get_monotonic_time();
    load->settled++;
    return 0;
}

static int
compare(const void *a, const void *b)
{
    gint64 difference = *(const gint64 *)a - *(const gint64 *)b;

    return difference < 0 ? -1 : difference > 0;
}

static void
print_percentiles(gint64 *usec, guint64 n)
{
    qsort(usec, n, sizeof *usec, compare);
    printf("%" G_GINT64_FORMAT " %" G_GINT64_FORMAT " %" G_GINT64_FORMAT "\n", usec[n / 2],
           usec[n * 99 / 100], usec[n - 1]);
}

static void
run_latency(Load *load, guint rate)
{
    guint64 n = load->messages;

    load->called_usec = g_new0(gint64, n);
    load->answered_usec = g_new0(gint64, n);
    load->settled_usec = g_new0(gint64, n);
    load->by_id = g_hash_table_new_full(g_int64_hash, g_int64_equal, g_free, NULL);
    (void)sd_bus_match_signal(load->bus, NULL, NAME, PATH, DEVICE, "Settled", on_settled, load);

    gint64 next = g_get_monotonic_time();
    while (load->settled < n) {
        gint64 now = g_get_monotonic_time();
        if (load->sent < n && now >= next) {
            call_send(load, TRUE);
            next += G_USEC_PER_SEC / rate;
            continue;
        }
        process(load, load->sent < n ? (guint64)(next - now) : G_USEC_PER_SEC);
    }
    for (guint64 i = 0; i < n; i++) {
        load->answered_usec[i] -= load->called_usec[i];
        load->settled_usec[i] -= load->called_usec[i];
    }
    print_percentiles(load->answered_usec, n);
    print_percentiles(load->settled_usec, n);
}

static void
run_call(Load *load)
{
    gint64 *usec = g_new0(gint64, load->messages);

    for (guint64 i = 0; i < load->messages; i++) {
        gint64 began = g_get_monotonic_time();
        int r = sd_bus_call_method(load->bus, NAME, PATH, "org.freedesktop.DBus.Peer", "Ping", NULL,
                                   NULL, NULL);
        if (r < 0)
            die("Ping", r);
        usec[i] = g_get_monotonic_time() - began;
    }
    print_percentiles(usec, load->messages);
}

static int
on_c2d(sd_bus_message *m, void *user_data, sd_bus_error *ret_error)
{
    Load *load = user_data;

    printf("%" G_GINT64_FORMAT "\n", g_get_monotonic_time());
    fflush(stdout);
    load->settled++;
    return 0;
}

static void
run_c2d(Load *load)
{
    (void)sd_bus_match_signal(load->bus, NULL, NAME, PATH, DEVICE, "MessageReceived", on_c2d, load);
    int r = sd_bus_call_method(load->bus, NAME, PATH, DEVICE, "Subscribe", NULL, NULL, "a{sv}", 0);
    if (r < 0)
        die("Subscribe", r);
    printf("ready\n");
    fflush(stdout);
    while (load->settled < load->messages)
        process(load, G_USEC_PER_SEC);
}

int
main(int argc, char **argv)
{
    Load load = {.batch = 1};
    const char *mode = argc > 1 ? argv[1] : "";

    if (argc < 3) {
        fprintf(stderr,
                "load send WINDOW MESSAGES | batch SIZE MESSAGES | fleet DEVICES MESSAGES | "
                "latency RATE MESSAGES | call MESSAGES | c2d MESSAGES\n");
        return 2;
    }
    memset(body, 'x', sizeof body);
    if (g_getenv("LOAD_BODY_SIZE") != NULL)
        body_size = MIN((size_t)atoi(g_getenv("LOAD_BODY_SIZE")), sizeof body);
    load.messages = g_ascii_strtoull(argv[argc - 1], NULL, 10);
    int r = sd_bus_open_system(&load.bus);
    if (r < 0)
        die("bus", r);
    if (g_str_equal(mode, "send")) {
        run_send(&load, atoi(argv[2]), g_getenv("LOAD_NO_FLUSH") == NULL);
    } else if (g_str_equal(mode, "batch")) {
        load.batch = atoi(argv[2]);
        run_send(&load, 2 * load.batch, g_getenv("LOAD_NO_FLUSH") == NULL);
    } else if (g_str_equal(mode, "fleet")) {
        load.devices = atoi(argv[2]);
        run_send(&load, FLEET_WINDOW, TRUE);
    } else if (g_str_equal(mode, "latency")) {
        run_latency(&load, atoi(argv[2]));
    } else if (g_str_equal(mode, "call")) {
        run_call(&load);
    } else if (g_str_equal(mode, "c2d")) {
        run_c2d(&load);
    } else {
        fprintf(stderr, "load: unknown mode %s\n", mode);
        return 2;
    }
    sd_bus_unref(load.bus);
    return 0;
}
