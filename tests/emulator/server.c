/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The program around the hub: state directory, heads, the words at the start, signals. */

#include "server.h"

#include "certificates.h"
#include "control.h"
#include "devices-file.h"
#include "mqtt-session.h"
#include "tls-server.h"

#include <errno.h>
#include <gio/gio.h>
#include <glib-unix.h>
#include <json-glib/json-glib.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

typedef struct {
    const EmuOptions *options; /* borrowed */
    EmuHub *hub;               /* owned */
    EmuTlsServer *mqtt;        /* owned */
    EmuControl *control;       /* owned */
    GMainLoop *loop;           /* owned */
} Server;

static void
server_clear(Server *server)
{
    g_clear_pointer(&server->control, emu_control_free);
    g_clear_pointer(&server->mqtt, emu_tls_server_free);
    g_clear_pointer(&server->hub, emu_hub_free);
    g_clear_pointer(&server->loop, g_main_loop_unref);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Server, server_clear)

static gboolean
on_signal(gpointer user_data)
{
    g_main_loop_quit(user_data);
    return G_SOURCE_CONTINUE;
}

static gboolean
add_devices(EmuHub *hub, const EmuOptions *options, GError **error)
{
    for (size_t i = 0; options->devices != NULL && options->devices[i] != NULL; i++) {
        if (!emu_devices_add(hub, options->devices[i], error))
            return FALSE;
    }
    return options->devices_file == NULL || emu_devices_load(hub, options->devices_file, error);
}

static gboolean
listen_everywhere(Server *server, GError **error)
{
    const EmuOptions *options = server->options;
    g_autoptr(GTlsCertificate) certificate =
        emu_certificates_ensure(options->hub.state_dir, options->hub.host, error);

    if (certificate == NULL)
        return FALSE;
    g_autoptr(GTlsDatabase) trust = emu_certificates_trust(options->hub.state_dir, error);
    if (trust == NULL)
        return FALSE;
    server->mqtt = emu_tls_server_new(server->hub, &emu_mqtt_sessions, certificate, trust,
                                      (const char *const *)options->listen, options->mqtt_port,
                                      options->listen_default, error);
    if (server->mqtt == NULL)
        return FALSE;
    server->control = emu_control_new(server->hub, options->control_port, error);
    return server->control != NULL;
}

/* For a human: where it is, whom to trust, how devices connect. */
static void
announce(Server *server, const char *ca_file)
{
    g_autoptr(GPtrArray) identities = emu_registry_list(emu_hub_registry(server->hub));

    g_print("iothub-emulator %s\n"
            "  MQTT over TLS  port %u\n"
            "  control API    http://127.0.0.1:%u/\n"
            "  CA certificate %s\n",
            SPOKE_VERSION, emu_tls_server_port(server->mqtt), emu_control_port(server->control),
            ca_file);
    for (guint i = 0; i < identities->len; i++) {
        g_autofree char *text =
            emu_hub_connection_string(server->hub, g_ptr_array_index(identities, i));
        g_print("  %s\n", text);
    }
}

static char *
ready_text(Server *server, const char *ca_file)
{
    g_autoptr(JsonBuilder) json = json_builder_new();

    json_builder_begin_object(json);
    json_builder_set_member_name(json, "mqttPort");
    json_builder_add_int_value(json, emu_tls_server_port(server->mqtt));
    json_builder_set_member_name(json, "controlPort");
    json_builder_add_int_value(json, emu_control_port(server->control));
    json_builder_set_member_name(json, "pid");
    json_builder_add_int_value(json, getpid());
    json_builder_set_member_name(json, "caFile");
    json_builder_add_string_value(json, ca_file);
    json_builder_end_object(json);
    g_autoptr(JsonNode) node = json_builder_get_root(json);
    return json_to_string(node, FALSE);
}

/* For programs: the control port beside the state, the ready file, systemd. */
static gboolean
tell_programs(Server *server, const char *ca_file, GError **error)
{
    const EmuOptions *options = server->options;
    g_autofree char *port_file = g_build_filename(options->hub.state_dir, "control.port", NULL);
    g_autofree char *port = g_strdup_printf("%u\n", emu_control_port(server->control));
    g_autofree char *ready = ready_text(server, ca_file);

    if (!g_file_set_contents(port_file, port, -1, error))
        return FALSE;
    if (options->ready_file != NULL && !g_file_set_contents(options->ready_file, ready, -1, error))
        return FALSE;
    (void)sd_notify(FALSE, "READY=1");
    return TRUE;
}

/* From the start to the signal that ends it. */
static gboolean
serve(Server *server, const char *state_dir, GError **error)
{
    const EmuOptions *options = server->options;
    g_autofree char *ca_file = g_build_filename(state_dir, "ca.pem", NULL);

    server->hub = emu_hub_new(&options->hub, error);
    if (server->hub == NULL || !add_devices(server->hub, options, error) ||
        !listen_everywhere(server, error) || !tell_programs(server, ca_file, error))
        return FALSE;
    if (!options->quiet)
        announce(server, ca_file);

    g_main_loop_run(server->loop);
    (void)sd_notify(FALSE, "STOPPING=1");
    g_autofree char *port_file = g_build_filename(options->hub.state_dir, "control.port", NULL);
    (void)unlink(port_file);
    return TRUE;
}

gboolean
emu_server_run(const EmuOptions *options, GError **error)
{
    g_auto(Server) server = {.options = options};
    g_autofree char *absolute = g_canonicalize_filename(options->hub.state_dir, NULL);

    if (g_mkdir_with_parents(absolute, 0700) < 0) {
        g_set_error(error, G_IO_ERROR, (int)g_io_error_from_errno(errno), "%s: %s", absolute,
                    g_strerror(errno));
        return FALSE;
    }

    /* One of an earlier run would tell lies. */
    if (options->ready_file != NULL)
        (void)unlink(options->ready_file);
    /* Before anybody hears that we are ready: who hears it may send a signal at once. */
    server.loop = g_main_loop_new(NULL, FALSE);
    guint term = g_unix_signal_add(SIGTERM, on_signal, server.loop);
    guint interrupt = g_unix_signal_add(SIGINT, on_signal, server.loop);
    gboolean done = serve(&server, absolute, error);
    g_source_remove(term);
    g_source_remove(interrupt);
    return done;
}
