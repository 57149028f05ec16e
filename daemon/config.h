/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "daemon/connection-string.h"
#include "daemon/delivery.h"
#include "daemon/outbox.h"

/*
 * The configuration, read and checked as a whole: vendor defaults /usr/lib/spoked/spoked.conf, then
 * the main file, then the drop-ins MAIN.d/ *.conf in order of their names; later wins key by key.
 * One table describes every key (section, name, type, range, default); an unknown section or
 * key, or a bad value, is an error with file, line and key. data/man/spoked.conf.5.rst documents
 * each key in the table; a test compares the two. "Key=" takes an earlier file's value back.
 *
 * A file with an inline ConnectionString= must not be readable by other users (mode & 007).
 *
 * [Hub]       ConnectionString= | ConnectionStringFile= (0600, root or ours) |
 *             ConnectionStringCredential= (name in $CREDENTIALS_DIRECTORY; default
 *             "connection-string" if such a credential is there); CAFile=; MqttPort=8883;
 *             KeepAliveSec=180 (5–1177); TokenLifetimeSec=3600 (65–31536000); ConnectTimeoutSec=30
 * [Spool]     BytesMax=256M; WhenFull=reject|drop-oldest; FlushWindowSec=1 (0.01–60);
 *             DefaultTtlSec=0
 * [Inbox]     MessagesMax=256; BytesMax=4M; MaxDeliveryCount=10 (1–100); DeadLettersMax=100
 * [Daemon]    ShutdownTimeoutSec=10; LogLevel=info|debug
 */
typedef struct {
    char **files;                             /* owned; those that were read, in that order */
    SpokeConnectionString *connection_string; /* owned; never NULL in a loaded one */
    char *ca_file;                            /* owned; NULL: the system's */
    guint16 mqtt_port;
    guint keepalive_sec;
    guint connect_timeout_sec;
    gint64 token_lifetime_sec;
    SpokeOutboxOptions outbox;
    gint64 flush_window_usec;
    SpokeDeliveryOptions delivery;
    gint64 shutdown_timeout_usec;
    gboolean debug;
} SpokeConfig;

#define SPOKE_CONFIG_FILE        "/etc/spoked/spoked.conf"
#define SPOKE_CONFIG_VENDOR_FILE "/usr/lib/spoked/spoked.conf"

/**
 * spoke_config_load:
 * @path: (nullable): main file; must exist unless it is SPOKE_CONFIG_FILE, which NULL stands for
 *
 * Errors: SPOKE_ERROR_INVALID_CONFIG: "FILE:LINE: [Section] Key: what is wrong and what is right".
 * Never quotes a value that may be secret.
 *
 * Returns: (transfer full) (nullable)
 */
SpokeConfig *spoke_config_load(const char *path, GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* With another file of vendor defaults (it may be missing) and another $CREDENTIALS_DIRECTORY
 * (nullable). */
SpokeConfig *spoke_config_load_full(const char *vendor_path, const char *path,
                                    const char *credentials_directory,
                                    GError **error) G_GNUC_WARN_UNUSED_RESULT;
void spoke_config_free(SpokeConfig *config);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(SpokeConfig, spoke_config_free)
