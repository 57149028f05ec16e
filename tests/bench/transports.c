/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/bench/sections.h"

#include "tests/bench/measure.h"
#include "tests/bench/peers.h"
#include "tests/bench/relay.h"

#include <glib/gstdio.h>
#include <stdio.h>
#include <stdlib.h>

/*
 * A table for each transport: spoke, all messages synced, beside Microsoft's Node SDK and, for
 * MQTT, paho alone. Rounds go through all forms and clients in turn, so that the noise of the
 * machine hits all of them; figures are medians. Memory and wake-ups are measured in the first
 * round only; bytes on the wire in a section of their own, through a relay, which speed would feel.
 */

#define ROUNDS        3
#define MESSAGES      60000
#define PIPELINED     256
#define BATCH         100
#define LATENCY_RATE  100
#define LATENCY_COUNT 500
#define C2D_COUNT     100
#define IDLE_SEC      20
#define BODY_SMALL    200
#define BODY_LARGE    1024

typedef enum { CLIENT_SPOKE, CLIENT_SDK, CLIENT_PAHO, N_CLIENTS } Client;

typedef enum {
    FIGURE_BATCH_RATE,
    FIGURE_BATCH_CPU,
    FIGURE_BATCH_HUB_CPU,
    FIGURE_PIPELINED_RATE,
    FIGURE_PIPELINED_CPU,
    FIGURE_LATENCY_P50,
    FIGURE_LATENCY_P99,
    FIGURE_C2D_P50,
    FIGURE_C2D_P99,
    FIGURE_SENT_ALONE_SMALL, /* the next three follow in this order */
    FIGURE_RECEIVED_ALONE_SMALL,
    FIGURE_SENT_BULK_SMALL,
    FIGURE_RECEIVED_BULK_SMALL,
    FIGURE_SENT_ALONE_LARGE,
    FIGURE_RECEIVED_ALONE_LARGE,
    FIGURE_SENT_BULK_LARGE,
    FIGURE_RECEIVED_BULK_LARGE,
    FIGURE_PRIVATE_DIRTY,
    FIGURE_PSS,
    FIGURE_WAKEUPS,
    N_FIGURES,
} Figure;

static const char *const figure_names[N_FIGURES] = {
    [FIGURE_BATCH_RATE] = "batches of 100: messages/s until acknowledged",
    [FIGURE_BATCH_CPU] = "  CPU per message, us",
    [FIGURE_BATCH_HUB_CPU] = "  the emulator's CPU per message, us",
    [FIGURE_PIPELINED_RATE] = "one by one, pipelined: messages/s until acknowledged",
    [FIGURE_PIPELINED_CPU] = "  CPU per message, us",
    [FIGURE_LATENCY_P50] = "call to hub's ack known, 100/s: p50, us",
    [FIGURE_LATENCY_P99] = "  p99, us",
    [FIGURE_C2D_P50] = "C2D, request to application: p50, us",
    [FIGURE_C2D_P99] = "  p99, us",
    [FIGURE_SENT_ALONE_SMALL] = "200-byte message alone: bytes sent",
    [FIGURE_RECEIVED_ALONE_SMALL] = "  bytes received",
    [FIGURE_SENT_BULK_SMALL] = "200-byte message in bulk: bytes sent",
    [FIGURE_RECEIVED_BULK_SMALL] = "  bytes received",
    [FIGURE_SENT_ALONE_LARGE] = "1,024-byte message alone: bytes sent",
    [FIGURE_RECEIVED_ALONE_LARGE] = "  bytes received",
    [FIGURE_SENT_BULK_LARGE] = "1,024-byte message in bulk: bytes sent",
    [FIGURE_RECEIVED_BULK_LARGE] = "  bytes received",
    [FIGURE_PRIVATE_DIRTY] = "connected, idle: private dirty, KiB",
    [FIGURE_PSS] = "  PSS, KiB",
    [FIGURE_WAKEUPS] = "  wake-ups/s",
};

typedef struct {
    const char *name;
    const char *sdk; /* the SDK's class */
    gboolean has_paho;
    gboolean is_polled;
    gboolean sdk_batches;
    guint sdk_window;   /* what suits it best */
    guint sdk_messages; /* some seconds' worth */
} Form;

static const Form forms[] = {
    {"mqtt", "Mqtt", .has_paho = TRUE, .sdk_window = 1000, .sdk_messages = 10000},
    {"mqtt-ws", "MqttWs", .has_paho = TRUE, .sdk_window = 1000, .sdk_messages = 10000},
    {"amqp", "Amqp", .sdk_window = 1000, .sdk_messages = 20000},
    {"amqp-ws", "AmqpWs", .sdk_window = 1000, .sdk_messages = 20000},
    {"https", "Http", .is_polled = TRUE, .sdk_batches = TRUE, .sdk_window = 16,
     .sdk_messages = 1000},
};
static const guint paho_windows[] = {64, 256, 1000};

/* A line for whoever waits. */
static void
print_progress(const MeasureSamples (*figures)[N_FIGURES], const Form *form)
{
    g_print("%s: spoke %.0f/s in batches, %.0f/s one by one; Node SDK %.0f/s, paho %.0f/s\n",
            form->name, measure_median(&figures[CLIENT_SPOKE][FIGURE_BATCH_RATE]),
            measure_median(&figures[CLIENT_SPOKE][FIGURE_PIPELINED_RATE]),
            measure_median(&figures[CLIENT_SDK][FIGURE_PIPELINED_RATE]),
            measure_median(&figures[CLIENT_PAHO][FIGURE_PIPELINED_RATE]));
}

typedef struct {
    Harness *h;
    const Form *form;
    MeasureSamples (*figures)[N_FIGURES]; /* by client */
} Run;

static void
note(Run *run, Client client, Figure figure, double value)
{
    measure_add(&run->figures[client][figure], value);
}

static gboolean
is_first(Run *run)
{
    return run->figures[CLIENT_SPOKE][FIGURE_PSS].n == 0;
}

/* The process comes to rest, and is watched. */
static void
watch_idle(Run *run, Client client, GPid pid)
{
    g_usleep(2 * G_USEC_PER_SEC); /* being idle takes time */
    g_autoptr(GHashTable) wakeups = measure_wakeups(pid);
    g_usleep(IDLE_SEC * G_USEC_PER_SEC);
    note(run, client, FIGURE_WAKEUPS, (double)measure_wakeups_since(wakeups, pid) / IDLE_SEC);
    note(run, client, FIGURE_PRIVATE_DIRTY, (double)measure_memory_kib(pid, "Private_Dirty:"));
    note(run, client, FIGURE_PSS, (double)measure_memory_kib(pid, "Pss:"));
}

/* spoke */

static void
load_spoke(Run *run, const char *mode, guint argument, Figure rate, Figure cpu_figure)
{
    GPid pid = harness_get_daemon_pid(run->h), hub = measure_get_hub_pid(run->h);
    double cpu_usec = measure_cpu_usec(pid), hub_usec = measure_cpu_usec(hub);
    double acknowledged = 1;

    g_autofree char *text = measure_load(run->h, mode, argument, MESSAGES);
    (void)sscanf(text, "%*u %*f %lf", &acknowledged);
    note(run, CLIENT_SPOKE, rate, MESSAGES / acknowledged);
    note(run, CLIENT_SPOKE, cpu_figure, (measure_cpu_usec(pid) - cpu_usec) / MESSAGES);
    if (rate == FIGURE_BATCH_RATE)
        note(run, CLIENT_SPOKE, FIGURE_BATCH_HUB_CPU,
             (measure_cpu_usec(hub) - hub_usec) / MESSAGES);
}

/* Where the daemon finds the hub: at a relay, or with 0 where the harness says. */
static void
write_ports(Harness *h, guint relay_port)
{
    g_autofree char *dir = g_build_filename(harness_get_dir(h), "spoked.conf.d", NULL);
    g_autofree char *path = g_build_filename(dir, "relay.conf", NULL);
    g_autofree char *text = g_strdup_printf("[Hub]\nMqttPort=%u\nAmqpPort=%u\nHttpsPort=%u\n",
                                            relay_port, relay_port, relay_port);

    (void)g_unlink(path);
    if (relay_port != 0 &&
        (g_mkdir_with_parents(dir, 0755) < 0 || !g_file_set_contents(path, text, -1, NULL)))
        harness_fail(h, "cannot write %s", path);
}

static void
start_spoke(Run *run, guint relay_port)
{
    harness_set_transport(run->h, run->form->name);
    write_ports(run->h, relay_port);
    harness_start_daemon(run->h);
    harness_wait_state(run->h, "connected");
    g_free(measure_load(run->h, "send", 16, 1000));
}

static void
measure_spoke(Run *run)
{
    double p50 = 0, p99 = 0;
    long settled_p50 = 0, settled_p99 = 0;

    start_spoke(run, 0);
    if (is_first(run))
        watch_idle(run, CLIENT_SPOKE, harness_get_daemon_pid(run->h));
    load_spoke(run, "batch", BATCH, FIGURE_BATCH_RATE, FIGURE_BATCH_CPU);
    load_spoke(run, "send", PIPELINED, FIGURE_PIPELINED_RATE, FIGURE_PIPELINED_CPU);
    g_autofree char *text = measure_load(run->h, "latency", LATENCY_RATE, LATENCY_COUNT);
    (void)sscanf(text, "%*d %*d %*d %ld %ld", &settled_p50, &settled_p99);
    note(run, CLIENT_SPOKE, FIGURE_LATENCY_P50, (double)settled_p50);
    note(run, CLIENT_SPOKE, FIGURE_LATENCY_P99, (double)settled_p99);
    measure_c2d(run->h, C2D_COUNT, run->form->is_polled, &p50, &p99);
    note(run, CLIENT_SPOKE, FIGURE_C2D_P50, p50);
    note(run, CLIENT_SPOKE, FIGURE_C2D_P99, p99);
    (void)harness_stop_daemon(run->h);
}

/* Node SDK */

static void
ask_sdk_rate(Run *run, PeersSdk *sdk, const char *verb, guint argument, guint messages, Figure rate,
             Figure cpu_figure)
{
    double cpu_usec = measure_cpu_usec(peers_sdk_get_pid(sdk));
    g_autofree char *text = peers_sdk_ask(sdk, "%s %u %u %d", verb, argument, messages, BODY_SMALL);

    note(run, CLIENT_SDK, rate, messages / atof(text));
    note(run, CLIENT_SDK, cpu_figure,
         (measure_cpu_usec(peers_sdk_get_pid(sdk)) - cpu_usec) / messages);
}

static void
measure_sdk_c2d(Run *run, PeersSdk *sdk)
{
    double p50 = 0, p99 = 0;

    g_free(peers_sdk_ask(sdk, "c2d %d", C2D_COUNT)); /* listening */
    measure_c2d_lines(run->h, peers_sdk_get_device(sdk), peers_sdk_get_lines(sdk), C2D_COUNT, FALSE,
                      &p50, &p99);
    peers_sdk_wait(sdk); /* until the last is completed, or it would come again */
    note(run, CLIENT_SDK, FIGURE_C2D_P50, p50);
    note(run, CLIENT_SDK, FIGURE_C2D_P99, p99);
}

static void
measure_sdk(Run *run)
{
    gboolean is_first_time = run->figures[CLIENT_SDK][FIGURE_PSS].n == 0;
    g_autoptr(PeersSdk) sdk = peers_sdk_new(run->h, run->form->sdk, harness_get_hub_port(run->h));
    double p50 = 0, p99 = 0;

    g_free(peers_sdk_ask(sdk, "send 16 1000 %d", BODY_SMALL)); /* warm */
    if (is_first_time)
        watch_idle(run, CLIENT_SDK, peers_sdk_get_pid(sdk));
    if (run->form->sdk_batches)
        ask_sdk_rate(run, sdk, "batch", BATCH, MESSAGES / 2, FIGURE_BATCH_RATE, FIGURE_BATCH_CPU);
    ask_sdk_rate(run, sdk, "send", run->form->sdk_window, run->form->sdk_messages,
                 FIGURE_PIPELINED_RATE, FIGURE_PIPELINED_CPU);
    g_autofree char *text =
        peers_sdk_ask(sdk, "latency %d %d %d", LATENCY_RATE, LATENCY_COUNT, BODY_SMALL);
    (void)sscanf(text, "%lf %lf", &p50, &p99);
    note(run, CLIENT_SDK, FIGURE_LATENCY_P50, p50);
    note(run, CLIENT_SDK, FIGURE_LATENCY_P99, p99);
    if (!run->form->is_polled) /* it asks once a second at most */
        measure_sdk_c2d(run, sdk);
}

/* paho */

static void
measure_paho(Run *run)
{
    double best = 0, best_cpu_usec = 0;

    for (guint i = 0; i < G_N_ELEMENTS(paho_windows); i++) {
        double cpu_usec = 0;
        double per_sec = peers_run_paho(run->h, run->form->name, harness_get_hub_port(run->h),
                                        paho_windows[i], MESSAGES, BODY_SMALL, &cpu_usec);
        if (per_sec > best)
            best_cpu_usec = cpu_usec;
        best = MAX(best, per_sec);
    }
    note(run, CLIENT_PAHO, FIGURE_PIPELINED_RATE, best);
    note(run, CLIENT_PAHO, FIGURE_PIPELINED_CPU, best_cpu_usec);
}

/* Bytes */

typedef struct {
    guint64 sent, received;
} Bytes;

static Bytes
read_relay(Relay *relay)
{
    g_usleep(G_USEC_PER_SEC /
             4); /* what is not an answer to anything, such as credit, comes late */
    return (Bytes){relay_get_sent(relay), relay_get_received(relay)};
}

static void
note_bytes(Run *run, Client client, Figure sent, Relay *relay, const Bytes *before, guint messages)
{
    Bytes now = read_relay(relay);

    note(run, client, sent, (double)(now.sent - before->sent) / messages);
    note(run, client, sent + 1, (double)(now.received - before->received) / messages);
}

/* @alone: the figure of the first of the four for this size */
static void
count_spoke(Run *run, Relay *relay, guint body_size, Figure alone)
{
    Bytes before = read_relay(relay);

    g_free(measure_load_sized(run->h, "latency", LATENCY_RATE, LATENCY_COUNT, body_size));
    note_bytes(run, CLIENT_SPOKE, alone, relay, &before, LATENCY_COUNT);
    before = read_relay(relay);
    g_free(measure_load_sized(run->h, "batch", BATCH, MESSAGES / 6, body_size));
    note_bytes(run, CLIENT_SPOKE, alone + 2, relay, &before, MESSAGES / 6);
}

static void
count_sdk(Run *run, PeersSdk *sdk, Relay *relay, guint body_size, Figure alone)
{
    const char *verb = run->form->sdk_batches ? "batch" : "send";
    Bytes before = read_relay(relay);

    g_free(peers_sdk_ask(sdk, "latency %d %d %u", LATENCY_RATE, LATENCY_COUNT, body_size));
    note_bytes(run, CLIENT_SDK, alone, relay, &before, LATENCY_COUNT);
    before = read_relay(relay);
    g_free(peers_sdk_ask(sdk, "%s %d %d %u", verb, BATCH, MESSAGES / 6, body_size));
    note_bytes(run, CLIENT_SDK, alone + 2, relay, &before, MESSAGES / 6);
}

/* Connecting is part of each run: the difference of two leaves the messages. */
static void
count_paho(Run *run, Relay *relay, guint window, guint body_size, Figure sent)
{
    guint port = relay_get_port(relay);
    double cpu_usec = 0;
    Bytes counts[3] = {read_relay(relay)};

    for (guint i = 1; i < 3; i++) {
        peers_run_paho(run->h, run->form->name, port, window, i * 2000, body_size, &cpu_usec);
        counts[i] = read_relay(relay);
    }
    note(run, CLIENT_PAHO, sent,
         (double)(counts[2].sent - 2 * counts[1].sent + counts[0].sent) / 2000);
    note(run, CLIENT_PAHO, sent + 1,
         (double)(counts[2].received - 2 * counts[1].received + counts[0].received) / 2000);
}

static void
count_bytes(Run *run, Relay *relay)
{
    static const struct {
        guint body_size;
        Figure alone;
    } sizes[] = {{BODY_SMALL, FIGURE_SENT_ALONE_SMALL}, {BODY_LARGE, FIGURE_SENT_ALONE_LARGE}};

    start_spoke(run, relay_get_port(relay));
    for (guint i = 0; i < G_N_ELEMENTS(sizes); i++)
        count_spoke(run, relay, sizes[i].body_size, sizes[i].alone);
    (void)harness_stop_daemon(run->h);
    if (peers_have_sdk()) {
        g_autoptr(PeersSdk) sdk = peers_sdk_new(run->h, run->form->sdk, relay_get_port(relay));
        for (guint i = 0; i < G_N_ELEMENTS(sizes); i++)
            count_sdk(run, sdk, relay, sizes[i].body_size, sizes[i].alone);
    }
    for (guint i = 0; run->form->has_paho && i < G_N_ELEMENTS(sizes); i++) {
        count_paho(run, relay, 1, sizes[i].body_size, sizes[i].alone);
        count_paho(run, relay, BATCH, sizes[i].body_size, sizes[i].alone + 2);
    }
}

/* Output */

static void
print_figure(Run *run, Figure figure)
{
    guint n = 0;

    for (Client client = 0; client < N_CLIENTS; client++)
        n += run->figures[client][figure].n;
    if (n == 0)
        return;
    g_print("%-54s", figure_names[figure]);
    for (Client client = 0; client < N_CLIENTS; client++) {
        const MeasureSamples *samples = &run->figures[client][figure];
        double value = measure_median(samples);
        if (samples->n == 0)
            g_print("%12s", "-");
        else
            g_print("%12.*f", value < 100 ? 1 : 0, value);
    }
    g_print("\n");
}

static void
print_table(Run *run)
{
    g_print("\n%-54s%12s%12s%12s\n", run->form->name, "spoke", "Node SDK", "paho");
    for (Figure figure = 0; figure < N_FIGURES; figure++)
        print_figure(run, figure);
}

static void
look_for_sdk(void)
{
    if (!peers_have_sdk())
        g_print("The Node SDK is not there: bring it with tests/sdk/run\n");
}

void
section_bytes(void)
{
    static MeasureSamples figures[G_N_ELEMENTS(forms)][N_CLIENTS][N_FIGURES];
    g_autoptr(Harness) h = harness_new();

    look_for_sdk();
    g_print("\nBytes that TCP carries for each message with two properties, TLS included\n");
    for (guint i = 0; i < G_N_ELEMENTS(forms); i++) {
        Run run = {h, &forms[i], figures[i]};
        harness_set_transport(h, forms[i].name);
        g_autoptr(Relay) relay = relay_new(harness_get_hub_port(h));
        count_bytes(&run, relay);
        print_table(&run);
    }
}

void
section_transports(void)
{
    static MeasureSamples figures[G_N_ELEMENTS(forms)][N_CLIENTS][N_FIGURES];
    g_autoptr(Harness) h = harness_new();

    look_for_sdk();
    for (guint round = 0; round < ROUNDS; round++)
        for (guint i = 0; i < G_N_ELEMENTS(forms); i++) {
            Run run = {h, &forms[i], figures[i]};
            measure_spoke(&run);
            if (peers_have_sdk())
                measure_sdk(&run);
            if (forms[i].has_paho)
                measure_paho(&run);
            print_progress(figures[i], &forms[i]);
        }
    g_print("\nTransports: medians of %d rounds; messages of 200 bytes with two properties\n",
            ROUNDS);
    for (guint i = 0; i < G_N_ELEMENTS(forms); i++)
        print_table(&(Run){h, &forms[i], figures[i]});
}
