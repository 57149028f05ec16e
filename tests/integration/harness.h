/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <gio/gio.h>
#include <json-glib/json-glib.h>

/*
 * A house for one test: a folder, a private bus with the installed bus policy, an iothub-emulator
 * with one device, and the real spoked. Programs are found through the environment that meson
 * sets. Whatever is waited for has a deadline; on failure the logs of all programs are printed
 * and the test aborts, so a test reads as a list of what has to be true.
 */
typedef struct Harness Harness;

#define HARNESS_BUS_NAME  "org.spoked1"
#define HARNESS_MANAGER   "/org/spoked1"
#define HARNESS_SELF      "/org/spoked1/device/self"
#define HARNESS_DEVICE_ID "machine"
#define HARNESS_WAIT_SEC  90

/* Bus and hub run, the daemon doesn't yet. */
Harness *harness_new(void);
void harness_free(Harness *h); /* ends all of it, removes the folder */
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Harness, harness_free)

const char *harness_get_dir(Harness *h);
GDBusConnection *harness_get_bus(Harness *h);
const char *harness_get_bus_address(Harness *h);
/* One more connection to the bus: another application. (transfer full) */
GDBusConnection *harness_connect(Harness *h);

/* Prints the logs, then the text, and aborts. */
void harness_fail(Harness *h, const char *format, ...) G_GNUC_PRINTF(2, 3) G_GNUC_NORETURN;

/* The configuration besides ConnectionStringFile, CAFile, Transport and the ports, for the next
 * start or reload: lines of [Hub], then others under the section headers they bring. */
void harness_configure(Harness *h, const char *text);
/* For the next start or reload: "mqtt", the default, or "mqtt-ws", "amqp", "amqp-ws", "https". */
void harness_set_transport(Harness *h, const char *name);
/* The state directory of the next start; by default a folder of the harness. */
void harness_set_state_dir(Harness *h, const char *path);
/* An environment variable of the next start. */
void harness_set_daemon_env(Harness *h, const char *name, const char *value);
void harness_set_connection_string(Harness *h, const char *text);

void harness_start_daemon(Harness *h); /* returns when it owns its name */
/* Starts and waits for its end, which is expected. Returns: exit status; its log is in @ret_log. */
int harness_run_daemon(Harness *h, char **ret_log);
void harness_kill_daemon(Harness *h, int signal); /* and waits for its end */
int harness_stop_daemon(Harness *h);              /* SIGTERM; returns the exit status */
GPid harness_get_daemon_pid(Harness *h);          /* 0 when it doesn't run */
char *harness_read_daemon_log(Harness *h);        /* (transfer full) */

void harness_start_hub(Harness *h);
void harness_kill_hub(Harness *h, int signal);
guint harness_get_hub_port(Harness *h);    /* that of the transport */
char *harness_get_hub_journal(Harness *h); /* path; (transfer full) */

/* The control API. @body: JSON or NULL. A status that is not 2xx fails the test, except in
 * _status(). */
JsonNode *harness_hub(Harness *h, const char *method, const char *path, const char *body);
guint harness_hub_status(Harness *h, const char *method, const char *path, const char *body);

/* Calls a method on the device, on @bus or, if NULL, the harness's own. @parameters: in GVariant's
 * text form. Fails the test on an error. (transfer full) */
GVariant *harness_call(Harness *h, GDBusConnection *bus, const char *method, const char *parameters,
                       ...);
/* The same for a call that has to be refused with org.spoked1.Error.@name and a sentence. */
void harness_refused(Harness *h, GDBusConnection *bus, const char *name, const char *method,
                     const char *parameters, ...);
GVariant *harness_property(Harness *h, const char *name); /* (transfer full) */
guint64 harness_counter(Harness *h, const char *name);

/* Runs the main context until @check is true. */
typedef gboolean (*HarnessCheck)(Harness *h, gpointer user_data);
void harness_wait(Harness *h, const char *what, HarnessCheck check, gpointer user_data);
void harness_wait_state(Harness *h, const char *state);
void harness_wait_counter(Harness *h, const char *property, guint64 value);
/* Until the hub has at least @n messages in all. */
void harness_wait_arrived(Harness *h, guint64 n);
/* What arrived at the hub: array of messages as the control API gives them, from @since on. */
JsonArray *harness_arrived(Harness *h, guint64 since); /* (transfer full) */
