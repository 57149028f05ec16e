/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "daemon/connection-string.h"
#include "daemon/delivery.h"
#include "daemon/outbox.h"
#include "daemon/proxy.h"

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
 *             "connection-string" if such a credential is there); CertificateFile= and
 *             PrivateKeyFile= | CertificateCredential= and PrivateKeyCredential= (with x509=true);
 *             Transport=mqtt|mqtt-ws|amqp|amqp-ws|https; CAFile=; MqttPort=8883; AmqpPort=5671;
 *             HttpsPort=443 (WebSocket too); PollIntervalSec=1500 (HTTPS; 1–86400);
 *             KeepAliveSec=180 (5–1177); TokenLifetimeSec=3600 (65–31536000); ConnectTimeoutSec=30
 * [Device NAME]  a further device (gateway): the same three ways to give its connection string, the
 *             same four for its certificate, OwnConnection=no (whether a device with a certificate,
 *             which can't share, gets a connection of its own; refused otherwise), Users= (names or
 *             uids that may use it; empty: all who may use spoked). NAME: 1 to 64 of A-Z a-z 0-9
 *             - _ . and not "self"
 * [Proxy]     Url=http://[user@]host:port; User=; PasswordFile= | PasswordCredential=; NoProxy=;
 *             UseEnvironment=yes
 * [Spool]     BytesMax=256M; WhenFull=reject|drop-oldest; FlushWindowSec=1 (0.01–60);
 *             DefaultTtlSec=0
 * [Inbox]     MessagesMax=256; BytesMax=4M; MaxDeliveryCount=10 (1–100); DeadLettersMax=100
 * [Daemon]    ShutdownTimeoutSec=10; LogLevel=info|debug
 */

/* One identity. */
typedef struct {
    char *name;                               /* owned; "self" for the machine's own */
    SpokeConnectionString *connection_string; /* owned */
    char *certificate_file;                   /* owned; NULL without X.509 */
    char *key_file;                           /* owned; likewise */
    gboolean owns_connection;                 /* with X.509: may have one of its own */
    char **users;                             /* owned; decimal uids; NULL: all who may call */
} SpokeDeviceConfig;

void spoke_device_config_free(SpokeDeviceConfig *device);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(SpokeDeviceConfig, spoke_device_config_free)

typedef struct {
    char **files;       /* owned; those that were read, in that order */
    GPtrArray *devices; /* owned; of SpokeDeviceConfig; the first is "self", the others by name */
    char *transport;    /* owned; the name of one: "mqtt", … */
    char *ca_file;      /* owned; NULL: the system's */
    guint16 mqtt_port;
    guint16 amqp_port;
    guint16 https_port;
    SpokeProxySettings *proxy; /* owned; NULL: none */
    guint keepalive_sec;
    guint connect_timeout_sec;
    gint64 token_lifetime_sec;
    gint64 poll_interval_usec;
    SpokeOutboxOptions outbox; /* of each device */
    gint64 flush_window_usec;
    SpokeDeliveryOptions delivery; /* likewise */
    gint64 shutdown_timeout_usec;
    gboolean debug;
} SpokeConfig;

/* The machine's own. (transfer none) */
const SpokeDeviceConfig *spoke_config_get_self(const SpokeConfig *config);

#define SPOKE_CONFIG_FILE        "/etc/spoked/spoked.conf"
#define SPOKE_CONFIG_VENDOR_FILE "/usr/lib/spoked/spoked.conf"

/**
 * spoke_config_load:
 * @path: (nullable): main file; must exist unless it is SPOKE_CONFIG_FILE, which NULL stands for
 * @environment: (nullable): as of g_get_environ(): $CREDENTIALS_DIRECTORY, and a proxy
 *
 * Errors: SPOKE_ERROR_INVALID_CONFIG: "FILE:LINE: [Section] Key: what is wrong and what is right".
 * Never quotes a value that may be secret.
 *
 * Returns: (transfer full) (nullable)
 */
SpokeConfig *spoke_config_load(const char *path, char **environment,
                               GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* With another file of vendor defaults; it may be missing. */
SpokeConfig *spoke_config_load_full(const char *vendor_path, const char *path, char **environment,
                                    GError **error) G_GNUC_WARN_UNUSED_RESULT;
void spoke_config_free(SpokeConfig *config);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(SpokeConfig, spoke_config_free)
