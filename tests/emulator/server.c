/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The program around the hub: state directory, heads, the words at the start, signals. */

#include "server.h"

#include "amqp-session.h"
#include "authorities.h"
#include "certificates.h"
#include "control.h"
#include "devices-file.h"
#include "https-session.h"
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
    EmuTlsServer *amqp;        /* owned; NULL if its port could not be had */
    EmuTlsServer *https;       /* owned; NULL if its port could not be had */
    EmuControl *control;       /* owned */
    GMainLoop *loop;           /* owned */
} Server;

static void
server_clear(Server *server)
{
    g_clear_pointer(&server->control, emu_control_free);
    g_clear_pointer(&server->https, emu_tls_server_free);
    g_clear_pointer(&server->amqp, emu_tls_server_free);
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
add_authorities(EmuHub *hub, char **files, GError **error)
{
    EmuAuthorities *authorities = emu_registry_authorities(emu_hub_registry(hub));

    for (size_t i = 0; files != NULL && files[i] != NULL; i++) {
        g_autofree char *pem = NULL;
        if (!g_file_get_contents(files[i], &pem, NULL, error))
            return FALSE;
        if (emu_authorities_add(authorities, pem, error) == NULL) {
            g_prefix_error(error, "%s: ", files[i]);
            return FALSE;
        }
    }
    return TRUE;
}

/* A head on a port that few may take: done without, loudly, unless it was asked for. */
static gboolean
listen_if_possible(Server *server, const EmuSessionKind *kind, const EmuPort *port,
                   const char *option, GTlsCertificate *certificate, GTlsDatabase *trust,
                   EmuTlsServer **ret_head, GError **error)
{
    const EmuOptions *options = server->options;
    g_autoptr(GError) local = NULL;

    *ret_head = emu_tls_server_new(server->hub, kind, certificate, trust,
                                   (const char *const *)options->listen, port->number,
                                   options->listen_default, &local);
    if (*ret_head != NULL)
        return TRUE;
    if (port->asked_for) {
        g_propagate_error(error, g_steal_pointer(&local));
        return FALSE;
    }
    g_warning("NOT listening on port %u (%s): choose another one with %s", port->number,
              local->message, option);
    return TRUE;
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
    if (server->mqtt == NULL ||
        !listen_if_possible(server, &emu_amqp_sessions, &options->amqp_port, "--amqp-port",
                            certificate, trust, &server->amqp, error) ||
        !listen_if_possible(server, &emu_https_sessions, &options->https_port, "--https-port",
                            certificate, trust, &server->https, error))
        return FALSE;
    server->control = emu_control_new(server->hub, options->control_port, error);
    return server->control != NULL;
}

/* For a human: where it is, whom to trust, how devices connect. */
static void
announce(Server *server, const char *ca_file)
{
    g_autoptr(GPtrArray) identities = emu_registry_list(emu_hub_registry(server->hub));

    g_print("iothub-emulator %s\n", SPOKE_VERSION);
    g_print("  MQTT over TLS  port %u\n", emu_tls_server_port(server->mqtt));
    if (server->amqp != NULL)
        g_print("  AMQP over TLS  port %u\n", emu_tls_server_port(server->amqp));
    if (server->https != NULL)
        g_print("  HTTPS and WebSockets  port %u\n", emu_tls_server_port(server->https));
    g_print("  control API    http://127.0.0.1:%u/\n", emu_control_port(server->control));
    g_print("  CA certificate %s\n", ca_file);
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
    if (server->amqp != NULL) {
        json_builder_set_member_name(json, "amqpPort");
        json_builder_add_int_value(json, emu_tls_server_port(server->amqp));
    }
    if (server->https != NULL) {
        json_builder_set_member_name(json, "httpsPort");
        json_builder_add_int_value(json, emu_tls_server_port(server->https));
    }
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
        !add_authorities(server->hub, options->authorities, error) ||
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
