/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/config.h"
#include "daemon/devices.h"
#include "daemon/error.h"
#include "daemon/events.h"
#include "daemon/lock.h"
#include "daemon/log.h"
#include "daemon/spool.h"
#include "daemon/strangers.h"
#include "dbus/bus-source.h"
#include "dbus/manager-bus.h"

#include <errno.h>
#include <glib-unix.h>
#include <locale.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

/*
 * spoked: puts the parts together in the order they need each other (log, configuration, spool,
 * devices, bus), runs the main loop, and takes them apart in the reverse order. What it does beyond
 * that is to talk to the service manager.
 *
 * It ends by SIGTERM or SIGINT, draining first (a second signal cuts that short), or when the bus
 * is lost: a reconnection would have lost the name, so the service manager is left to start it
 * anew.
 */
#define STATE_DIR "/var/lib/spoked"

/* Exit statuses; spoked(8) lists them. */
#define EXIT_USAGE        EX_USAGE       /* 64 */
#define EXIT_NO_BUS       EX_UNAVAILABLE /* 69 */
#define EXIT_SPOOL        EX_IOERR       /* 74 */
#define EXIT_ALREADY_RUNS EX_TEMPFAIL    /* 75 */
#define EXIT_BAD_CONFIG   EX_CONFIG      /* 78 */

typedef struct {
    char *config_path; /* owned, all of them; NULL: the default */
    char *state_dir;
    char *transport_dir;
    char *bus;
    gboolean check_config;
    gboolean version;
    char **environment; /* as it was when we started: see main() */
} Arguments;

typedef struct {
    Arguments arguments;
    GMainLoop *loop;
    int lock_fd;
    SpokeConfig *config; /* owned, as is all below */
    SpokeSpool *spool;
    SpokeDevices *devices;
    sd_bus *bus;
    GSource *bus_source;
    SpokeManagerBus *manager;
    guint watchdog_id;
    guint reload_id;
    guint stop_ids[2];
    gboolean is_stopping;
    int exit_status;
} Daemon;

static void
arguments_clear(Arguments *arguments)
{
    g_free(arguments->config_path);
    g_free(arguments->state_dir);
    g_free(arguments->transport_dir);
    g_free(arguments->bus);
    g_strfreev(arguments->environment);
}

/* Nothing of the memory may reach the disk or another user: it has held the device's key. */
static void
protect_memory(void)
{
    const struct rlimit none = {0, 0};

    umask(077);
    (void)setrlimit(RLIMIT_CORE, &none);
    (void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
    /* An arena per thread, each of which keeps what it once had, is for programs that compute; a
     * single one costs a third more CPU under load, waiting for its lock. */
    (void)mallopt(M_ARENA_MAX, 2);
}

static gboolean
parse_arguments(int argc, char **argv, Arguments *arguments, GError **error)
{
    const GOptionEntry entries[] = {
        {"config", 'c', 0, G_OPTION_ARG_FILENAME, &arguments->config_path,
         "Read this file instead of " SPOKE_CONFIG_FILE, "FILE"},
        {"state-dir", 0, 0, G_OPTION_ARG_FILENAME, &arguments->state_dir,
         "Keep messages here (default: $STATE_DIRECTORY or " STATE_DIR ")", "DIR"},
        {"transport-dir", 0, 0, G_OPTION_ARG_FILENAME, &arguments->transport_dir,
         "Load transports from here (default: " SPOKE_TRANSPORT_DIR ")", "DIR"},
        {"bus", 0, 0, G_OPTION_ARG_STRING, &arguments->bus,
         "Serve on the \"system\" bus (the default) or the \"session\" bus", "BUS"},
        {"check-config", 0, 0, G_OPTION_ARG_NONE, &arguments->check_config,
         "Check the configuration and exit", NULL},
        {"version", 0, 0, G_OPTION_ARG_NONE, &arguments->version, "Show the version and exit",
         NULL},
        {NULL},
    };
    g_autoptr(GOptionContext) context = g_option_context_new(NULL);

    g_option_context_set_summary(context, "Connects this machine to Azure IoT Hub; see spoked(8).");
    g_option_context_add_main_entries(context, entries, NULL);
    if (!g_option_context_parse(context, &argc, &argv, error))
        return FALSE;
    if (argc > 1) {
        g_set_error(error, SPOKE_ERROR, SPOKE_ERROR_INVALID_ARGUMENT,
                    "There is no argument \"%s\", see --help", argv[1]);
        return FALSE;
    }
    if (arguments->bus != NULL && !g_str_equal(arguments->bus, "system") &&
        !g_str_equal(arguments->bus, "session")) {
        g_set_error(error, SPOKE_ERROR, SPOKE_ERROR_INVALID_ARGUMENT,
                    "--bus=%s: it can be system or session", arguments->bus);
        return FALSE;
    }
    return TRUE;
}

/* $STATE_DIRECTORY may list several, of which the first is ours. Source: systemd.exec(5). */
static void
complete_arguments(Arguments *arguments)
{
    const char *state_dirs = g_getenv("STATE_DIRECTORY");

    if (arguments->state_dir == NULL && state_dirs != NULL && *state_dirs != '\0')
        arguments->state_dir = g_strndup(state_dirs, strcspn(state_dirs, ":"));
    if (arguments->state_dir == NULL)
        arguments->state_dir = g_strdup(STATE_DIR);
    if (arguments->transport_dir == NULL)
        arguments->transport_dir = g_strdup(SPOKE_TRANSPORT_DIR);
}

/* For the service manager and who looks at it: one line of what is going on. */
static char *
describe(Daemon *self)
{
    SpokeDevice *main_device = spoke_devices_get_nth(self->devices, 0);
    SpokeAttachment *attachment = spoke_device_get_attachment(main_device);
    const char *hub = spoke_device_get_identity(main_device)->hub;
    const char *detail = NULL;
    SpokeCause cause = spoke_attachment_get_last_error(attachment, &detail);

    switch (spoke_attachment_get_state(attachment)) {
    case SPOKE_CONNECTION_CONNECTED:
        return g_strdup_printf("Connected to %s over %s", hub,
                               spoke_attachment_get_transport(attachment));
    case SPOKE_CONNECTION_CONNECTING:
        return g_strdup_printf("Connecting to %s", hub);
    case SPOKE_CONNECTION_DRAINING:
        return g_strdup_printf("Settling what is on its way to %s", hub);
    case SPOKE_CONNECTION_OFFLINE:
        break;
    }
    if (cause == SPOKE_CAUSE_NONE)
        return g_strdup_printf("Not connected to %s yet", hub);
    return g_strdup_printf("Not connected to %s: %s. %s", hub, spoke_cause_to_string(cause),
                           spoke_cause_get_remedy(cause));
}

static void
tell_status(Daemon *self, const char *state)
{
    g_autofree char *status = describe(self);

    (void)sd_notifyf(0, "%s%sSTATUS=%s", state, *state != '\0' ? "\n" : "", status);
}

static void
on_changed(gpointer user_data)
{
    Daemon *self = user_data;

    if (!self->is_stopping)
        tell_status(self, "");
}

static gboolean
on_watchdog(gpointer user_data)
{
    (void)sd_notify(0, "WATCHDOG=1");
    return G_SOURCE_CONTINUE;
}

static void
on_stopped(gpointer user_data)
{
    Daemon *self = user_data;

    g_main_loop_quit(self->loop);
}

static void
stop(Daemon *self, int exit_status)
{
    self->exit_status = MAX(self->exit_status, exit_status);
    if (self->is_stopping) {
        g_main_loop_quit(self->loop);
        return;
    }

    self->is_stopping = TRUE;
    (void)sd_notifyf(0, "STOPPING=1\nSTATUS=Stopping, %" G_GUINT64_FORMAT " messages are queued",
                     spoke_devices_get_queued(self->devices));
    spoke_devices_stop(self->devices, self->config->shutdown_timeout_usec, on_stopped, self);
}

static gboolean
on_stop_signal(gpointer user_data)
{
    stop(user_data, EXIT_SUCCESS);
    return G_SOURCE_CONTINUE;
}

static void
on_bus_closed(int bus_errno, gpointer user_data)
{
    g_autofree char *text =
        g_strdup_printf("The connection to the bus is lost: %s", g_strerror(bus_errno));

    spoke_event_failed(text);
    stop(user_data, EXIT_FAILURE);
}

static void
on_spool_corrupt(const char *set_aside, guint64 saved, guint64 lost, gpointer user_data)
{
    spoke_event_spool_corrupt(set_aside, saved, lost);
}

static void
on_spool_full(gboolean is_full, gpointer user_data)
{
    spoke_event_spool_full(is_full);
}

static void
on_spool_failed(const char *text, gpointer user_data)
{
    spoke_event_spool_failed(text);
}

static void
on_stranger(const char *identity, guint64 queued, guint64 received, gpointer user_data)
{
    Daemon *self = user_data;

    if (!spoke_devices_serve(self->devices, identity))
        spoke_event_strangers(identity, queued, received);
}

static const SpokeSpoolEvents spool_events = {
    .corrupt = on_spool_corrupt,
    .full = on_spool_full,
    .failed = on_spool_failed,
};

static gboolean
take_config(Daemon *self, GError **error)
{
    g_autoptr(SpokeConfig) config =
        spoke_config_load(self->arguments.config_path, self->arguments.environment, error);

    if (config == NULL || !spoke_devices_reconfigure(self->devices, config, error))
        return FALSE;
    spoke_log_setup(config->debug);
    spoke_spool_set_flush_window(self->spool, config->flush_window_usec);
    spoke_config_free(self->config);
    self->config = g_steal_pointer(&config);
    return TRUE;
}

static gboolean
reload(gpointer user_data, GError **error)
{
    Daemon *self = user_data;
    g_autoptr(GError) why = NULL;

    if (self->is_stopping) {
        g_set_error_literal(error, SPOKE_ERROR, SPOKE_ERROR_SHUTDOWN, "The daemon is stopping");
        return FALSE;
    }
    (void)sd_notifyf(0, "RELOADING=1\nMONOTONIC_USEC=%" G_GINT64_FORMAT, g_get_monotonic_time());
    gboolean ok = take_config(self, &why);
    if (ok) {
        g_autofree char *files = g_strjoinv(", ", self->config->files);
        spoke_event_config_reloaded(files);
    } else {
        spoke_event_config_rejected(why->message);
        g_propagate_error(error, g_steal_pointer(&why));
    }
    tell_status(self, "READY=1");
    return ok;
}

static gboolean
on_reload_signal(gpointer user_data)
{
    (void)reload(user_data, NULL); /* it has been logged */
    return G_SOURCE_CONTINUE;
}

static void
on_certificates_changed(gpointer user_data)
{
    (void)reload(user_data, NULL); /* likewise */
}

static const SpokeManagerEvents manager_events = {
    .reload = reload,
    .changed = on_changed,
};

static gboolean
open_state(Daemon *self, int *ret_status, GError **error)
{
    gboolean busy = FALSE;

    self->config =
        spoke_config_load(self->arguments.config_path, self->arguments.environment, error);
    if (self->config == NULL) {
        *ret_status = EXIT_BAD_CONFIG;
        return FALSE;
    }
    spoke_log_setup(self->config->debug);

    self->lock_fd = spoke_lock_take(self->arguments.state_dir, &busy, error);
    if (self->lock_fd < 0) {
        *ret_status = busy ? EXIT_ALREADY_RUNS : EXIT_SPOOL;
        return FALSE;
    }

    const SpokeSpoolOptions options = {
        .directory = self->arguments.state_dir,
        .flush_window_usec = self->config->flush_window_usec,
        .events = &spool_events,
    };
    *ret_status = EXIT_SPOOL;
    self->spool = spoke_spool_open(&options, error);
    if (self->spool == NULL)
        return FALSE;
    self->devices =
        spoke_devices_new(self->spool, self->config, self->arguments.transport_dir, error);
    return self->devices != NULL && spoke_strangers_find(self->spool, on_stranger, self, error);
}

static int
connect_bus(Daemon *self)
{
    if (g_strcmp0(self->arguments.bus, "session") == 0)
        return sd_bus_open_user_with_description(&self->bus, "spoked");
    return sd_bus_open_system_with_description(&self->bus, "spoked");
}

/* The objects first, so that they are there when the name is. */
static gboolean
open_bus(Daemon *self, GError **error)
{
    int r = connect_bus(self);
    if (r < 0) {
        g_set_error(error, SPOKE_ERROR, SPOKE_ERROR_FAILED, "Can't connect to the bus: %s",
                    g_strerror(-r));
        return FALSE;
    }
    self->manager = spoke_manager_bus_new(self->bus, self->devices, &manager_events, self, error);
    if (self->manager == NULL)
        return FALSE;

    r = sd_bus_request_name(self->bus, SPOKE_BUS_NAME, 0);
    if (r < 0) {
        g_set_error(error, SPOKE_ERROR, SPOKE_ERROR_FAILED, "Can't have the name %s on the bus: %s",
                    SPOKE_BUS_NAME, r == -EEXIST ? "another process has it" : g_strerror(-r));
        return FALSE;
    }
    self->bus_source = spoke_bus_source_new(self->bus, on_bus_closed, self);
    g_source_attach(self->bus_source, NULL);
    return TRUE;
}

static void
attach_sources(Daemon *self)
{
    uint64_t watchdog_usec = 0;

    self->stop_ids[0] = g_unix_signal_add(SIGTERM, on_stop_signal, self);
    self->stop_ids[1] = g_unix_signal_add(SIGINT, on_stop_signal, self);
    if (sd_watchdog_enabled(0, &watchdog_usec) > 0)
        self->watchdog_id = g_timeout_add((guint)(watchdog_usec / 2000), on_watchdog, self);
}

static void
run(Daemon *self)
{
    const SpokeIdentity *identity =
        spoke_device_get_identity(spoke_devices_get_nth(self->devices, 0));

    attach_sources(self);
    spoke_devices_watch_certificates(self->devices, on_certificates_changed, self);
    spoke_devices_start(self->devices);
    spoke_event_started(SPOKE_VERSION, identity->hub, identity->device_id);
    tell_status(self, "READY=1");
    (void)malloc_trim(0);

    g_main_loop_run(self->loop);
}

/* Also what was half built. The devices go first: they answer the calls that wait for them. The bus
 * goes last, so that callers hear it and nobody takes the name while the spool is being written. */
static void
take_apart(Daemon *self)
{
    g_clear_handle_id(&self->watchdog_id, g_source_remove);
    g_clear_handle_id(&self->reload_id, g_source_remove);
    g_clear_handle_id(&self->stop_ids[0], g_source_remove);
    g_clear_handle_id(&self->stop_ids[1], g_source_remove);
    if (self->bus_source != NULL)
        g_source_destroy(self->bus_source);
    g_clear_pointer(&self->bus_source, g_source_unref);
    g_clear_pointer(&self->devices, spoke_devices_free);
    g_clear_pointer(&self->manager, spoke_manager_bus_free);
    g_clear_pointer(&self->spool, spoke_spool_free);
    g_clear_pointer(&self->bus, sd_bus_flush_close_unref);
    g_clear_pointer(&self->config, spoke_config_free);
    if (self->lock_fd >= 0)
        (void)close(self->lock_fd);
    g_main_loop_unref(self->loop);
}

static int
serve(Daemon *self)
{
    g_autoptr(GError) error = NULL;
    guint64 queued = 0;
    int status = EXIT_SUCCESS;

    self->loop = g_main_loop_new(NULL, FALSE);
    /* First of all: a SIGHUP that comes early waits for the loop instead of ending us. */
    self->reload_id = g_unix_signal_add(SIGHUP, on_reload_signal, self);
    if (!open_state(self, &status, &error)) {
        spoke_event_failed(error->message);
    } else if (!open_bus(self, &error)) {
        status = EXIT_NO_BUS;
        spoke_event_failed(error->message);
    } else {
        run(self);
        queued = spoke_devices_get_queued(self->devices);
        status = self->exit_status;
    }

    gboolean ran = self->is_stopping;
    take_apart(self);
    if (ran)
        spoke_event_stopped(queued);
    return status;
}

static int
check_config(const Arguments *arguments)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(SpokeConfig) config =
        spoke_config_load(arguments->config_path, arguments->environment, &error);

    if (config == NULL) {
        g_printerr("%s\n", error->message);
        return EXIT_BAD_CONFIG;
    }
    g_autofree char *files = g_strjoinv(", ", config->files);
    guint n = config->devices->len;
    g_print("The configuration is good, with %u %s (%s)\n", n, n == 1 ? "device" : "devices",
            *files != '\0' ? files : "no file");
    return EXIT_SUCCESS;
}

int
main(int argc, char **argv)
{
    Daemon self = {.lock_fd = -1};
    g_autoptr(GError) error = NULL;
    int status = EXIT_SUCCESS;

    /* First of all, while there is one thread. Where NetworkManager runs, GIO's own choice asks it
     * with calls that block, over a bus connection of its own that ends the process with the bus;
     * netlink tells all we ask for. */
    (void)g_setenv("GIO_USE_NETWORK_MONITOR", "netlink", TRUE);
    /* Likewise: which proxy there is, if any, the configuration says; paho for one would take one
     * from here in any case. */
    self.arguments.environment = spoke_proxy_take_environment();
    protect_memory();
    /* For what is printed; the log and errors on the bus stay in one language. */
    setlocale(LC_CTYPE, "");
    spoke_log_setup(FALSE);
    if (!parse_arguments(argc, argv, &self.arguments, &error)) {
        g_printerr("spoked: %s\n", error->message);
        arguments_clear(&self.arguments);
        return EXIT_USAGE;
    }

    complete_arguments(&self.arguments);
    if (self.arguments.version)
        g_print("spoked " SPOKE_VERSION "\n");
    else if (self.arguments.check_config)
        status = check_config(&self.arguments);
    else
        status = serve(&self);
    arguments_clear(&self.arguments);
    return status;
}
