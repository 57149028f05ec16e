/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "clients/examples/json-text.h"
#include "clients/examples/machine-metrics.h"

#include <math.h>
#include <poll.h>
#include <signal.h>
#include <spoke.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

/*
 * Sends this machine's vital signs every few seconds: an example of a whole program on libspoke,
 * with a loop of its own around poll(). A restart of the daemon needs no code here: the next
 * reading reaches the new one. Only when the bus itself is gone is a new client opened.
 */
#define COUNT_ENDLESS    G_MAXINT /* no --count */
#define LAST_ANSWER_USEC (30 * G_USEC_PER_SEC)

typedef struct {
    double interval_sec;
    int count;    /* 0: no end */
    char *device; /* owned */
    gboolean print;
    gboolean quiet;
} Options;

typedef struct {
    const Options *options; /* borrowed */
    SpokeClient *client;    /* owned; NULL while there is no bus */
    int signal_fd;          /* owned */
    gboolean interrupted;   /* SIGINT or SIGTERM came */
    char *summary;          /* owned; of the last reading */
    gboolean waiting;       /* its answer is still to come */
    gboolean failed;        /* it was not accepted */
} Machine;

static void
on_sent(SpokeClient *client, const uint64_t *ids, size_t n, const SpokeFailure *failure,
        void *user_data)
{
    Machine *machine = user_data;

    machine->waiting = FALSE;
    machine->failed = failure != NULL;
    if (failure != NULL)
        g_printerr("spoke-machine: A reading was not accepted: %s\n", failure->text);
    else if (!machine->options->quiet)
        g_print("message %" G_GUINT64_FORMAT ": %s\n", (guint64)ids[0], machine->summary);
}

/* "load 0.42, 1234 MiB available" */
static char *
summarise(JsonNode *reading)
{
    JsonObject *root = json_node_get_object(reading);
    JsonObject *load =
        json_object_has_member(root, "load") ? json_object_get_object_member(root, "load") : NULL;
    JsonObject *memory = json_object_has_member(root, "memory")
                             ? json_object_get_object_member(root, "memory")
                             : NULL;
    double avg1 = load != NULL ? json_object_get_double_member(load, "avg1") : 0;
    gint64 available =
        memory != NULL ? json_object_get_int_member_with_default(memory, "availableBytes", 0) : 0;

    return g_strdup_printf("load %.2f, %" G_GINT64_FORMAT " MiB available", avg1,
                           available / (1024 * 1024));
}

/* Opens a client if there is none. */
static gboolean
ensure_client(Machine *machine)
{
    if (machine->client != NULL)
        return TRUE;

    int r = spoke_client_open(machine->options->device, &machine->client);
    if (r < 0)
        g_printerr("spoke-machine: No connection to the system bus: %s\n", g_strerror(-r));
    return r >= 0;
}

static void
drop_client(Machine *machine)
{
    spoke_client_free(machine->client);
    machine->client = NULL;
}

static void
send_reading(Machine *machine, JsonNode *reading, gint64 now_usec)
{
    static const SpokeProperty properties[] = {{"kind", "machine-metrics"}};
    g_autofree char *json = json_text_new(reading);
    SpokeOutgoing message = {
        SPOKE_OUTGOING_INIT,
        .body = json,
        .body_size = strlen(json),
        .properties = properties,
        .n_properties = G_N_ELEMENTS(properties),
        .content_type = "application/json",
        .content_encoding = "utf-8",
        .creation_time_usec = (uint64_t)now_usec,
    };

    g_free(machine->summary);
    machine->summary = summarise(reading);
    machine->failed = TRUE; /* until on_sent() knows better */
    if (!ensure_client(machine))
        return;
    int r = spoke_client_send(machine->client, &message, on_sent, NULL, machine);
    machine->waiting = r >= 0;
    if (r < 0)
        g_printerr("spoke-machine: A reading can't be sent: %s\n", g_strerror(-r));
}

static void
take_reading(Machine *machine)
{
    gint64 now_usec = g_get_real_time();
    g_autoptr(JsonNode) reading = machine_metrics_read("/", g_get_host_name(), now_usec);

    if (!machine->options->print) {
        send_reading(machine, reading, now_usec);
        return;
    }
    g_autofree char *json = json_text_new(reading);
    (void)puts(json);
    (void)fflush(stdout);
}

/* Calls the callbacks that are due. */
static void
serve(Machine *machine)
{
    int r = machine->client != NULL ? 1 : 0;

    while (r > 0)
        r = spoke_client_process(machine->client);
    if (r < 0) {
        g_printerr("spoke-machine: The system bus is gone\n");
        drop_client(machine);
    }
}

/* @due_usec: monotonic, as is libspoke's own deadline */
static int
milliseconds_until(Machine *machine, gint64 due_usec)
{
    uint64_t client_usec = UINT64_MAX;

    if (machine->client != NULL)
        (void)spoke_client_get_timeout(machine->client, &client_usec);
    gint64 left_usec = MIN(due_usec, (gint64)MIN(client_usec, G_MAXINT64)) - g_get_monotonic_time();
    return left_usec <= 0 ? 0 : (int)MIN(left_usec / 1000 + 1, G_MAXINT);
}

/* Until @due_usec, a signal, or, if @for_answer, until the daemon has answered. */
static void
serve_until(Machine *machine, gint64 due_usec, gboolean for_answer)
{
    while (!machine->interrupted && g_get_monotonic_time() < due_usec) {
        serve(machine);
        if (for_answer && (machine->client == NULL || !machine->waiting))
            return;

        struct pollfd fds[] = {{.fd = machine->signal_fd, .events = POLLIN}, {.fd = -1}};
        if (machine->client != NULL) {
            fds[1].fd = spoke_client_get_fd(machine->client);
            fds[1].events = (short)spoke_client_get_events(machine->client);
        }
        (void)poll(fds, G_N_ELEMENTS(fds), milliseconds_until(machine, due_usec));
        machine->interrupted = fds[0].revents != 0;
    }
}

/* From now on a descriptor tells of them. */
static int
catch_signals(void)
{
    sigset_t signals;

    (void)sigemptyset(&signals);
    (void)sigaddset(&signals, SIGINT);
    (void)sigaddset(&signals, SIGTERM);
    (void)sigprocmask(SIG_BLOCK, &signals, NULL);
    return signalfd(-1, &signals, SFD_CLOEXEC);
}

static int
run(const Options *options)
{
    Machine machine = {.options = options, .signal_fd = catch_signals()};
    gint64 interval_usec = (gint64)(options->interval_sec * G_USEC_PER_SEC);
    gint64 due_usec = g_get_monotonic_time();

    if (!options->print && !ensure_client(&machine))
        return 3;
    for (int n = 1; !machine.interrupted; n++) {
        take_reading(&machine);
        if (n == options->count)
            break;
        due_usec += interval_usec;
        serve_until(&machine, due_usec, FALSE);
    }
    /* The last reading gets the time it needs. */
    serve_until(&machine, g_get_monotonic_time() + LAST_ANSWER_USEC, TRUE);
    machine.failed |= machine.waiting;
    drop_client(&machine);
    g_free(machine.summary);
    (void)close(machine.signal_fd);
    return options->count > 0 && !machine.interrupted && machine.failed;
}

/* A number of seconds, or one with a unit. */
static gboolean
parse_interval(const char *text, double *ret_sec)
{
    static const struct {
        const char *name;
        double sec;
    } units[] = {{"", 1}, {"ms", 0.001}, {"s", 1}, {"min", 60}, {"h", 3600}};
    char *end = NULL;
    double number = g_ascii_strtod(text, &end);

    for (guint i = 0; end != text && i < G_N_ELEMENTS(units); i++) {
        if (!g_str_equal(end, units[i].name))
            continue;
        *ret_sec = number * units[i].sec;
        return isfinite(*ret_sec) && *ret_sec >= 0.1 && *ret_sec <= 365.0 * 86400;
    }
    return FALSE;
}

/* Returns: exit status, or -1 to go on */
static int
parse_options(int argc, char **argv, Options *options)
{
    g_autofree char *interval = NULL;
    gboolean version = FALSE;
    gboolean right = FALSE;
    int count = COUNT_ENDLESS;
    const GOptionEntry entries[] = {
        {"interval", 'i', 0, G_OPTION_ARG_FILENAME, &interval,
         "Time between readings: 5, 500ms, 1min (default: 5 seconds)", "TIME"},
        {"count", 'n', 0, G_OPTION_ARG_INT, &count, "End after so many readings", "N"},
        {"device", 'd', 0, G_OPTION_ARG_FILENAME, &options->device,
         "Identity to send for (default: self, the machine's own)", "NAME"},
        {"print", 'p', 0, G_OPTION_ARG_NONE, &options->print,
         "Print each object on standard output and send nothing", NULL},
        {"quiet", 'q', 0, G_OPTION_ARG_NONE, &options->quiet,
         "Do not print a line for each reading", NULL},
        {"version", 0, 0, G_OPTION_ARG_NONE, &version, "Print the version", NULL},
        {NULL},
    };
    g_autoptr(GOptionContext) context = g_option_context_new(NULL);
    g_autoptr(GError) error = NULL;

    g_option_context_set_summary(context, "Sends this machine's vital signs to its IoT hub.");
    g_option_context_add_main_entries(context, entries, NULL);
    if (!g_option_context_parse(context, &argc, &argv, &error)) {
        g_printerr("spoke-machine: %s\n", error->message);
        return 2;
    }
    if (version) {
        g_print("spoke-machine %s\n", SPOKE_VERSION);
        return 0;
    }
    if (argc > 1)
        g_printerr("spoke-machine: '%s' is one argument too many; --help lists the options\n",
                   argv[1]);
    else if (count < 1)
        g_printerr("spoke-machine: --count has to be 1 at least\n");
    else if (interval != NULL && !parse_interval(interval, &options->interval_sec))
        g_printerr("spoke-machine: --interval can't be '%s'; right are 5, 1.5s, 500ms, 1min, 1h: "
                   "from 100ms to 8760h\n",
                   interval);
    else
        right = TRUE;
    options->count = count == COUNT_ENDLESS ? 0 : count;
    return right ? -1 : 2;
}

int
main(int argc, char **argv)
{
    Options options = {.interval_sec = 5};

    int status = parse_options(argc, argv, &options);
    if (status < 0)
        status = run(&options);
    g_free(options.device);
    return status;
}
