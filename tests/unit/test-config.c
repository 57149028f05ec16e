/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/config.h"

#include "daemon/config-file.h"
#include "daemon/config-keys.h"
#include "daemon/error.h"
#include "tests/unit/config-fixture.h"

#include <glib/gstdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void
test_load_gives_defaults(Fixture *fixture, gconstpointer data)
{
    g_autoptr(SpokeConfig) config = load_text(fixture, HUB);

    g_assert_cmpstr(spoke_config_get_self(config)->connection_string->device_id, ==, "d");
    g_assert_null(config->ca_file);
    g_assert_cmpuint(config->mqtt_port, ==, 8883);
    g_assert_cmpuint(config->keepalive_sec, ==, 180);
    g_assert_cmpuint(config->connect_timeout_sec, ==, 30);
    g_assert_cmpint(config->token_lifetime_sec, ==, 3600);
    g_assert_cmpuint(config->outbox.bytes_max, ==, 256 * 1024 * 1024);
    g_assert_cmpint(config->outbox.when_full, ==, SPOKE_WHEN_FULL_REJECT);
    g_assert_cmpint(config->outbox.default_ttl_usec, ==, 0);
    g_assert_cmpint(config->flush_window_usec, ==, G_USEC_PER_SEC);
    g_assert_cmpuint(config->delivery.messages_max, ==, 256);
    g_assert_cmpuint(config->delivery.bytes_max, ==, 4 * 1024 * 1024);
    g_assert_cmpuint(config->delivery.delivery_count_max, ==, 10);
    g_assert_cmpuint(config->delivery.dead_letters_max, ==, 100);
    g_assert_cmpint(config->shutdown_timeout_usec, ==, 10 * G_USEC_PER_SEC);
    g_assert_false(config->debug);
}

static void
test_load_reads_every_key(Fixture *fixture, gconstpointer data)
{
    g_autofree char *ca_file =
        write_file(fixture, "ca.pem", 0644, "# ours\n-----BEGIN CERTIFICATE-----\n");
    g_autofree char *text = g_strconcat(
        HUB "CAFile=", ca_file,
        "\nMqttPort=18883\nKeepAliveSec=5\nTokenLifetimeSec=120\nConnectTimeoutSec=7\n"
        "[Spool]\nBytesMax=3G\nWhenFull=drop-oldest\nFlushWindowSec=0.25\nDefaultTtlSec=1.5\n"
        "[Inbox]\nMessagesMax=1\nBytesMax=1048576\nMaxDeliveryCount=100\nDeadLettersMax=0\n"
        "[Daemon]\nShutdownTimeoutSec=0\nLogLevel=debug\n",
        NULL);
    g_autoptr(SpokeConfig) config = load_text(fixture, text);

    g_assert_cmpstr(config->ca_file, ==, ca_file);
    g_assert_cmpuint(config->mqtt_port, ==, 18883);
    g_assert_cmpuint(config->keepalive_sec, ==, 5);
    g_assert_cmpint(config->token_lifetime_sec, ==, 120);
    g_assert_cmpuint(config->connect_timeout_sec, ==, 7);
    g_assert_cmpuint(config->outbox.bytes_max, ==, G_GUINT64_CONSTANT(3) << 30);
    g_assert_cmpint(config->outbox.when_full, ==, SPOKE_WHEN_FULL_DROP_OLDEST);
    g_assert_cmpint(config->flush_window_usec, ==, 250000);
    g_assert_cmpint(config->outbox.default_ttl_usec, ==, 1500000);
    g_assert_cmpuint(config->delivery.messages_max, ==, 1);
    g_assert_cmpuint(config->delivery.bytes_max, ==, 1048576);
    g_assert_cmpuint(config->delivery.delivery_count_max, ==, 100);
    g_assert_cmpuint(config->delivery.dead_letters_max, ==, 0);
    g_assert_cmpint(config->shutdown_timeout_usec, ==, 0);
    g_assert_true(config->debug);
}

/* Both ends of every range are in, and what lies beyond is out, in the table's own words. */
static void
test_load_keeps_ranges(Fixture *fixture, gconstpointer data)
{
    for (guint i = 0; i < spoke_config_n_keys; i++) {
        const SpokeConfigKey *key = &spoke_config_keys[i];

        if (key->min == NULL)
            continue;

        g_autofree char *lowest =
            g_strdup_printf(HUB "[%s]\n%s=%s\n", key->section, key->name, key->min);
        g_autofree char *highest =
            g_strdup_printf(HUB "[%s]\n%s=%s\n", key->section, key->name, key->max);
        g_autoptr(SpokeConfig) low = load_text(fixture, lowest);
        g_autoptr(SpokeConfig) high = load_text(fixture, highest);
        g_autofree char *beyond =
            g_strdup_printf(HUB "[%s]\n%s=9%s\n", key->section, key->name, key->max);

        g_autoptr(GError) error = NULL;
        put(fixture, "spoked.conf", beyond);
        g_autoptr(SpokeConfig) config =
            spoke_config_load_full(fixture->vendor, fixture->path, NULL, &error);
        g_autofree char *place =
            g_strdup_printf("%s:4: [%s] %s: ", fixture->path, key->section, key->name);
        g_autofree char *range = g_strdup_printf("from %s to %s", key->min, key->max);

        g_assert_error(error, SPOKE_ERROR, SPOKE_ERROR_INVALID_CONFIG);
        g_assert_true(g_str_has_prefix(error->message, place));
        g_assert_true(g_str_has_suffix(error->message, range));
    }
}

static void
test_load_refuses_bad_values(Fixture *fixture, gconstpointer data)
{
    static const struct {
        const char *text;
        const char *expected;
    } rows[] = {
        {"[Hub]\nMqttPort=0", "[Hub] MqttPort: \"0\" is not a whole number from 1 to 65535"},
        {"[Hub]\nMqttPort=65536",
         "[Hub] MqttPort: \"65536\" is not a whole number from 1 to 65535"},
        {"[Hub]\nMqttPort=mqtt", "[Hub] MqttPort: \"mqtt\" is not a whole number from 1 to 65535"},
        {"[Hub]\nMqttPort=-1", "[Hub] MqttPort: \"-1\" is not a whole number from 1 to 65535"},
        {"[Hub]\nMqttPort=8883 # TLS",
         "[Hub] MqttPort: \"8883 # TLS\" is not a whole number from 1 to 65535"},
        {"[Hub]\nMqttPort=S3CR3TS3CR3TS3CR3T",
         "[Hub] MqttPort: this is not a whole number from 1 to 65535"},
        {"[Hub]\nMqttPort=99999999999999999999",
         "[Hub] MqttPort: this is not a whole number from 1 to 65535"},
        {"[Hub]\nKeepAliveSec=4", "[Hub] KeepAliveSec: \"4\" is not a whole number from 5 to 1177"},
        {"[Hub]\nKeepAliveSec=10s",
         "[Hub] KeepAliveSec: \"10s\" is not a whole number from 5 to 1177"},
        {"[Hub]\nTokenLifetimeSec=64",
         "[Hub] TokenLifetimeSec: \"64\" is not a whole number from 65 to 31536000"},
        {"[Hub]\nConnectTimeoutSec=0.5",
         "[Hub] ConnectTimeoutSec: \"0.5\" is not a whole number from 1 to 300"},
        {"[Hub]\nCAFile=ca.pem",
         "[Hub] CAFile: must be a path from the root, as /etc/spoked/ca.pem"},
        {"[Spool]\nBytesMax=256MB", "[Spool] BytesMax: \"256MB\" is not a size (a whole number, "
                                    "or with K, M, G or T) from 64K to 1T"},
        {"[Spool]\nBytesMax=256m", "[Spool] BytesMax: \"256m\" is not a size (a whole number, "
                                   "or with K, M, G or T) from 64K to 1T"},
        {"[Spool]\nBytesMax=1.5G", "[Spool] BytesMax: \"1.5G\" is not a size (a whole number, "
                                   "or with K, M, G or T) from 64K to 1T"},
        {"[Spool]\nBytesMax=M", "[Spool] BytesMax: \"M\" is not a size (a whole number, or with K, "
                                "M, G or T) from 64K to 1T"},
        {"[Spool]\nBytesMax=99999999999999T", "[Spool] BytesMax: \"99999999999999T\" is not a size "
                                              "(a whole number, or with K, M, G or T) "
                                              "from 64K to 1T"},
        {"[Spool]\nWhenFull=drop", "[Spool] WhenFull: must be reject or drop-oldest"},
        {"[Spool]\nFlushWindowSec=0",
         "[Spool] FlushWindowSec: \"0\" is not a number of seconds from 0.01 to 60"},
        {"[Spool]\nFlushWindowSec=0.009999",
         "[Spool] FlushWindowSec: \"0.009999\" is not a number of seconds from 0.01 to 60"},
        {"[Spool]\nFlushWindowSec=60.000001",
         "[Spool] FlushWindowSec: \"60.000001\" is not a number of seconds from 0.01 to 60"},
        {"[Spool]\nFlushWindowSec=1,5",
         "[Spool] FlushWindowSec: \"1,5\" is not a number of seconds from 0.01 to 60"},
        {"[Spool]\nFlushWindowSec=1.",
         "[Spool] FlushWindowSec: \"1.\" is not a number of seconds from 0.01 to 60"},
        {"[Spool]\nFlushWindowSec=.5",
         "[Spool] FlushWindowSec: \".5\" is not a number of seconds from 0.01 to 60"},
        {"[Spool]\nFlushWindowSec=1.0000001",
         "[Spool] FlushWindowSec: \"1.0000001\" is not a number of seconds from 0.01 to 60"},
        {"[Spool]\nDefaultTtlSec=-1",
         "[Spool] DefaultTtlSec: \"-1\" is not a number of seconds from 0 to 315360000"},
        {"[Inbox]\nMessagesMax=0",
         "[Inbox] MessagesMax: \"0\" is not a whole number from 1 to 10000"},
        {"[Inbox]\nBytesMax=1K",
         "[Inbox] BytesMax: \"1K\" is not a size (a whole number, or with K, "
         "M, G or T) from 128K to 1G"},
        {"[Inbox]\nMaxDeliveryCount=101",
         "[Inbox] MaxDeliveryCount: \"101\" is not a whole number from 1 to 100"},
        {"[Inbox]\nDeadLettersMax=all",
         "[Inbox] DeadLettersMax: \"all\" is not a whole number from 0 to 10000"},
        {"[Daemon]\nShutdownTimeoutSec=301",
         "[Daemon] ShutdownTimeoutSec: \"301\" is not a number of seconds from 0 to 300"},
        {"[Daemon]\nLogLevel=7", "[Daemon] LogLevel: must be info or debug"},
    };

    for (guint i = 0; i < G_N_ELEMENTS(rows); i++) {
        g_autofree char *text = g_strconcat(HUB "\n", rows[i].text, "\n", NULL);
        g_autofree char *expected = g_strconcat("@/spoked.conf:5: ", rows[i].expected, NULL);

        assert_text_refused(fixture, text, expected);
    }
}

static void
test_load_refuses_unknown_keys(Fixture *fixture, gconstpointer data)
{
    assert_text_refused(
        fixture, HUB "\nPort=8883\n",
        "@/spoked.conf:4: [Hub] Port: unknown key; known are ConnectionString, "
        "ConnectionStringFile, ConnectionStringCredential, CertificateFile, "
        "CertificateCredential, PrivateKeyFile, PrivateKeyCredential, CAFile, Transport, MqttPort, "
        "AmqpPort, HttpsPort, PollIntervalSec, KeepAliveSec, TokenLifetimeSec, ConnectTimeoutSec");
    assert_text_refused(fixture, HUB "[Spool]\nbytesmax=1M\n",
                        "@/spoked.conf:4: [Spool] bytesmax: unknown key; known are BytesMax, "
                        "WhenFull, FlushWindowSec, DefaultTtlSec");
    assert_text_refused(
        fixture, HUB "[Hubs]\n",
        "@/spoked.conf:3: [Hubs]: unknown section; known are Hub, Device NAME, Proxy, "
        "Spool, Inbox, Daemon");
}

/* A connection string that lost its key, or was broken into two lines. */
static void
test_load_hides_what_may_be_secret(Fixture *fixture, gconstpointer data)
{
    assert_text_refused(fixture, "[Daemon]\nS3CR3Tabcdefghijklm==\n",
                        "@/spoked.conf:2: [Daemon]: unknown key; known are ShutdownTimeoutSec, "
                        "LogLevel");
    assert_text_refused(fixture, "[Daemon]\nS3CR3T+/abcde=x\n",
                        "@/spoked.conf:2: [Daemon]: unknown key; known are ShutdownTimeoutSec, "
                        "LogLevel");
    assert_text_refused(fixture, "[Hub]\nS3CR3Tabcdefghijklm\n",
                        "@/spoked.conf:2: neither a [Section] nor a Key=Value nor a # comment");
    assert_text_refused(fixture,
                        "[Hub]\nConnectionString=HostName=h;DeviceId=d;"
                        "SharedAccessKey=S3CR3T\n",
                        "@/spoked.conf:2: [Hub] ConnectionString: SharedAccessKey is not base64: "
                        "copy it again, with the = at its end");
    assert_text_refused(fixture, "[S3CR3T&]\n",
                        "@/spoked.conf:1: unknown section; known are Hub, Device NAME, Proxy, "
                        "Spool, Inbox, Daemon");
}

static void
test_load_refuses_bad_lines(Fixture *fixture, gconstpointer data)
{
    assert_text_refused(fixture, "# first\n\nMqttPort=1\n",
                        "@/spoked.conf:3: a key before the first [Section]");
    assert_text_refused(fixture, "[Hub\n",
                        "@/spoked.conf:1: a section is written [Name], alone on its line");
    assert_text_refused(fixture, "[Hub] # here\n",
                        "@/spoked.conf:1: a section is written [Name], alone on its line");
    assert_text_refused(fixture, "[]\n",
                        "@/spoked.conf:1: a section is written [Name], alone on its line");
    assert_text_refused(fixture, "[Hub]\n=8883\n",
                        "@/spoked.conf:2: neither a [Section] nor a Key=Value nor a # comment");
    assert_text_refused(fixture, "[Hub]\nCAFile=/caf\xe9\n", "@/spoked.conf:2: not text in UTF-8");
}

static void
test_load_refuses_nul(Fixture *fixture, gconstpointer data)
{
    static const char text[] = "[Hub]\nCAFile=/a\0b\n";
    g_autoptr(GError) error = NULL;

    g_file_set_contents(fixture->path, text, sizeof text - 1, &error);
    g_assert_no_error(error);

    assert_refused(fixture, "@/spoked.conf:2: not text in UTF-8");
}

static void
test_load_takes_every_form_of_line(Fixture *fixture, gconstpointer data)
{
    g_autoptr(SpokeConfig) config =
        load_text(fixture, "\xef\xbb\xbf# mark before\r\n; comment\r\n  [Hub]  \r\n"
                           "\tMqttPort \t=  1883 \r\nConnectionString=" STRING ";\r\n\r\n"
                           "[Daemon]\n[Hub]\nKeepAliveSec=60");

    g_assert_cmpuint(config->mqtt_port, ==, 1883);
    g_assert_cmpuint(config->keepalive_sec, ==, 60);
}

static void
test_load_refuses_repeated_keys(Fixture *fixture, gconstpointer data)
{
    assert_text_refused(fixture, HUB "MqttPort=1\n[Spool]\n[Hub]\nMqttPort=1\n",
                        "@/spoked.conf:6: [Hub] MqttPort: stands there twice, first in line 3");
}

static void
test_load_lets_later_files_win(Fixture *fixture, gconstpointer data)
{
    put(fixture, "vendor.conf", "[Hub]\nMqttPort=1\nKeepAliveSec=11\nConnectTimeoutSec=21\n");
    put(fixture, "spoked.conf.d/20-b.conf", "[Hub]\nMqttPort=4\n");
    put(fixture, "spoked.conf.d/10-a.conf", "[Hub]\nMqttPort=3\nKeepAliveSec=13\n");
    put(fixture, "spoked.conf.d/.hidden.conf", "nonsense");
    put(fixture, "spoked.conf.d/30-c.conf.bak", "nonsense");
    put(fixture, "spoked.conf.d/README", "nonsense");
    g_autoptr(SpokeConfig) config = load_text(fixture, HUB "MqttPort=2\nKeepAliveSec=12\n");

    g_assert_cmpuint(config->mqtt_port, ==, 4);
    g_assert_cmpuint(config->keepalive_sec, ==, 13);
    g_assert_cmpuint(config->connect_timeout_sec, ==, 21);

    g_autofree char *files = g_strjoinv(" ", config->files);
    g_autofree char *expected = expand(
        fixture, "@/vendor.conf @/spoked.conf @/spoked.conf.d/10-a.conf @/spoked.conf.d/20-b.conf");
    g_assert_cmpstr(files, ==, expected);
}

static void
test_load_takes_back_with_empty_value(Fixture *fixture, gconstpointer data)
{
    g_autofree char *ca_file = write_file(fixture, "ca.pem", 0644, "-----BEGIN CERTIFICATE-----\n");
    g_autofree char *text = g_strconcat(HUB "MqttPort=2\nCAFile=", ca_file, "\n", NULL);

    put(fixture, "spoked.conf.d/a.conf", "[Hub]\nMqttPort=\nCAFile=\n");
    g_autoptr(SpokeConfig) config = load_text(fixture, text);

    g_assert_cmpuint(config->mqtt_port, ==, 8883);
    g_assert_null(config->ca_file);
}

/* A mistake is found where it stands, even if a later file would cover it. */
static void
test_load_checks_covered_values(Fixture *fixture, gconstpointer data)
{
    put(fixture, "spoked.conf.d/a.conf", "[Hub]\nMqttPort=1\n");
    assert_text_refused(fixture, HUB "MqttPort=x\n",
                        "@/spoked.conf:3: [Hub] MqttPort: \"x\" is not a whole number from 1 to "
                        "65535");
}

static void
test_load_names_the_drop_in(Fixture *fixture, gconstpointer data)
{
    put(fixture, "spoked.conf.d/a.conf", "\n[Daemon]\nLogLevel=loud\n");
    assert_text_refused(fixture, HUB,
                        "@/spoked.conf.d/a.conf:3: [Daemon] LogLevel: must be info or debug");
}

static void
test_load_needs_the_main_file(Fixture *fixture, gconstpointer data)
{
    assert_refused(fixture, "@/spoked.conf: there is no such file");
    g_assert_cmpint(g_mkdir(fixture->path, 0700), ==, 0);
    assert_refused(fixture, "@/spoked.conf: not a regular file");
}

static void
test_load_limits_file_size(Fixture *fixture, gconstpointer data)
{
    g_autofree char *text = g_strnfill(SPOKE_CONFIG_FILE_BYTES_MAX, '\n');
    g_autofree char *too_long = g_strnfill(SPOKE_CONFIG_FILE_BYTES_MAX + 1, '\n');

    memcpy(text, HUB, strlen(HUB));
    g_autoptr(SpokeConfig) config = load_text(fixture, text);

    assert_text_refused(fixture, too_long, "@/spoked.conf: larger than the limit of 1048576 bytes");
}

static void
test_load_refuses_readable_inline_secret(Fixture *fixture, gconstpointer data)
{
    g_autofree char *path = write_file(fixture, "spoked.conf", 0644, HUB);

    assert_refused(fixture, "@/spoked.conf:2: [Hub] ConnectionString: the key in it can be read "
                            "by every user of this machine (mode 0644); run `chmod o= "
                            "@/spoked.conf`, or use ConnectionStringFile=");
    g_assert_cmpint(chmod(path, 0640), ==, 0);
    g_autoptr(SpokeConfig) config = load(fixture);
}

static void
test_load_reads_connection_string_file(Fixture *fixture, gconstpointer data)
{
    g_autofree char *file = write_file(fixture, "string", 0600, STRING "\n");
    g_autofree char *text = g_strconcat("[Hub]\nConnectionStringFile=", file, "\n", NULL);
    g_autofree char *path = write_file(fixture, "spoked.conf", 0644, text);
    g_autoptr(SpokeConfig) config = load(fixture);

    g_assert_cmpstr(spoke_config_get_self(config)->connection_string->host_name, ==, "h.net");
    g_assert_cmpint(chmod(file, 0400), ==, 0);
    g_autoptr(SpokeConfig) again = load(fixture);
}

static void
test_load_refuses_open_connection_string_file(Fixture *fixture, gconstpointer data)
{
    static const mode_t modes[] = {0604, 0640, 0660, 0620, 0601, 0644, 0666};
    g_autofree char *file = write_file(fixture, "string", 0600, STRING);
    g_autofree char *text = g_strconcat("[Hub]\nConnectionStringFile=", file, "\n", NULL);

    for (guint i = 0; i < G_N_ELEMENTS(modes); i++) {
        g_autofree char *expected = g_strdup_printf(
            "@/spoked.conf:2: [Hub] ConnectionStringFile: @/string: other users can read or change "
            "it (mode %04o); run `chmod 600 @/string`",
            (guint)modes[i]);

        g_assert_cmpint(chmod(file, modes[i]), ==, 0);
        assert_text_refused(fixture, text, expected);
    }
}

static void
test_load_refuses_foreign_connection_string_file(Fixture *fixture, gconstpointer data)
{
    g_autofree char *file = write_file(fixture, "string", 0600, STRING);
    g_autofree char *text = g_strconcat("[Hub]\nConnectionStringFile=", file, "\n", NULL);
    g_autofree char *expected = g_strdup_printf(
        "@/spoked.conf:2: [Hub] ConnectionStringFile: @/string: it belongs to user 12345; it must "
        "belong to root or to %s, the user the daemon runs as",
        g_get_user_name());

    g_assert_cmpint(chown(file, 12345, 12345), ==, 0);
    assert_text_refused(fixture, text, expected);
}

static void
test_load_refuses_unreadable_files(Fixture *fixture, gconstpointer data)
{
    g_autofree char *path = write_file(fixture, "spoked.conf", 0000, HUB);
    g_autofree char *expected = g_strdup_printf(
        "@/spoked.conf: not readable by %s, the user the daemon runs as", g_get_user_name());

    assert_refused(fixture, expected);
}

static void
test_load_refuses_unreadable_connection_string_file(Fixture *fixture, gconstpointer data)
{
    g_autofree char *file = write_file(fixture, "string", 0000, STRING);
    g_autofree char *text = g_strconcat("[Hub]\nConnectionStringFile=", file, "\n", NULL);
    g_autofree char *expected = g_strdup_printf(
        "@/spoked.conf:2: [Hub] ConnectionStringFile: @/string: not readable by %s, the user the "
        "daemon runs as; run `chown %s: @/string`",
        g_get_user_name(), g_get_user_name());

    assert_text_refused(fixture, text, expected);
}

static void
test_load_refuses_bad_connection_string_file(Fixture *fixture, gconstpointer data)
{
    g_autofree char *text =
        g_strdup_printf("[Hub]\nConnectionStringFile=%s/string\n", fixture->folder);

    assert_text_refused(
        fixture, text,
        "@/spoked.conf:2: [Hub] ConnectionStringFile: @/string: there is no such file");
    put(fixture, "string", "DeviceId=d;SharedAccessKey=S3CR3TIzNDU2Nzg5MDEyMw==");
    assert_refused(fixture,
                   "@/spoked.conf:2: [Hub] ConnectionStringFile: @/string: HostName is missing");
    put(fixture, "string", "");
    assert_refused(fixture, "@/spoked.conf:2: [Hub] ConnectionStringFile: @/string: the connection "
                            "string is empty");
    assert_text_refused(fixture, "[Hub]\nConnectionStringFile=string\n",
                        "@/spoked.conf:2: [Hub] ConnectionStringFile: must be a path from the "
                        "root: it begins with /");
}

static void
test_load_reads_credentials(Fixture *fixture, gconstpointer data)
{
    put(fixture, "creds/hub",
        "HostName=a.net;DeviceId=d;SharedAccessKey=S3CR3TIzNDU2Nzg5MDEyMw==\n");
    put(fixture, "creds/connection-string",
        "HostName=b.net;DeviceId=d;SharedAccessKey=S3CR3TIzNDU2Nzg5MDEyMw==\n");
    g_autoptr(SpokeConfig) named = load_text(fixture, "[Hub]\nConnectionStringCredential=hub\n");
    g_autoptr(SpokeConfig) found = load_text(fixture, "");
    g_autoptr(SpokeConfig) other = load_text(fixture, HUB);

    g_assert_cmpstr(spoke_config_get_self(named)->connection_string->host_name, ==, "a.net");
    g_assert_cmpstr(spoke_config_get_self(found)->connection_string->host_name, ==, "b.net");
    g_assert_cmpstr(spoke_config_get_self(other)->connection_string->host_name, ==, "h.net");
}

static void
test_load_refuses_bad_credentials(Fixture *fixture, gconstpointer data)
{
    static const char *const names[] = {"../etc", "..", ".", "a/b", "a b", STRING, "S3CR3T=="};

    for (guint i = 0; i < G_N_ELEMENTS(names); i++) {
        g_autofree char *text = g_strdup_printf("[Hub]\nConnectionStringCredential=%s\n", names[i]);
        assert_text_refused(fixture, text,
                            "@/spoked.conf:2: [Hub] ConnectionStringCredential: must be the name "
                            "of a credential: letters, digits, '-', '_', '.'");
    }
    assert_text_refused(fixture, "[Hub]\nConnectionStringCredential=hub\n",
                        "@/spoked.conf:2: [Hub] ConnectionStringCredential: @/creds/hub: there is "
                        "no such file");
    g_clear_pointer(&fixture->environment, g_strfreev);
    assert_refused(fixture, "@/spoked.conf:2: [Hub] ConnectionStringCredential: the daemon was "
                            "started without credentials; give its unit LoadCredential=hub:PATH "
                            "(systemctl edit spoked)");
}

static void
test_load_needs_one_source(Fixture *fixture, gconstpointer data)
{
    assert_text_refused(fixture, "[Daemon]\nLogLevel=info\n",
                        "@/spoked.conf: [Hub] ConnectionString: no connection string is given; set "
                        "ConnectionStringFile=, or see spoked.conf(5) for other ways");
    put(fixture, "spoked.conf.d/a.conf", "[Hub]\nConnectionStringCredential=c\n");
    assert_text_refused(fixture, HUB,
                        "@/spoked.conf.d/a.conf:2: [Hub] ConnectionStringCredential: there can be "
                        "only one source, but @/spoked.conf:2 has ConnectionString=; an empty "
                        "ConnectionString= in a later file takes that back");
    put(fixture, "creds/c", "HostName=c.net;DeviceId=d;SharedAccessKey=S3CR3TIzNDU2Nzg5MDEyMw==");
    put(fixture, "spoked.conf.d/b.conf", "[Hub]\nConnectionString=\n");
    g_autoptr(SpokeConfig) config = load(fixture);
    g_assert_cmpstr(spoke_config_get_self(config)->connection_string->host_name, ==, "c.net");
}

static void
test_load_looks_into_ca_file(Fixture *fixture, gconstpointer data)
{
    g_autofree char *text = g_strdup_printf(HUB "CAFile=%s/ca.pem\n", fixture->folder);

    assert_text_refused(fixture, text,
                        "@/spoked.conf:3: [Hub] CAFile: @/ca.pem: there is no such file");
    put(fixture, "ca.pem", "-----BEGIN PRIVATE KEY-----\n");
    assert_refused(fixture, "@/spoked.conf:3: [Hub] CAFile: @/ca.pem: there is no certificate in "
                            "PEM form in it");
}

/* ---- what is said elsewhere about the same keys ---- */

static char *
read_source(const char *path)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *full_path = g_build_filename(SPOKE_SOURCE_DIR, path, NULL);
    char *text = NULL;

    g_file_get_contents(full_path, &text, NULL, &error);
    g_assert_no_error(error);
    return text;
}

static gboolean
count_key(guint line, const char *section, const char *name, const char *value, gpointer user_data,
          GError **error)
{
    if (name == NULL)
        return TRUE;
    if (g_str_has_prefix(section, SPOKE_CONFIG_DEVICE " "))
        section = SPOKE_CONFIG_DEVICE;

    const SpokeConfigKey *key = spoke_config_key_find(section, name);

    g_assert_nonnull(key);
    g_assert_cmpstr(value, ==, key->fallback);
    (*(guint *)user_data)++;
    return TRUE;
}

static gboolean
refuse_key(guint line, const char *section, const char *name, const char *value, gpointer user_data,
           GError **error)
{
    g_assert_null(name);
    g_assert_false(g_str_has_prefix(section, SPOKE_CONFIG_DEVICE));
    return TRUE;
}

/* With "#Key=" made "Key=", and so the section of a device, it must be the table, key by key. */
static void
test_default_file_shows_every_key(void)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *text = read_source("data/spoked.conf");
    g_autoptr(GRegex) comment = g_regex_new("^#(\\w+=|\\[Device )", G_REGEX_MULTILINE, 0, &error);
    g_autofree char *bare = g_regex_replace(comment, text, -1, 0, "\\1", 0, &error);
    g_autoptr(SpokeConfigText) as_is = spoke_config_text_new(text, strlen(text));
    g_autoptr(SpokeConfigText) uncommented = spoke_config_text_new(bare, strlen(bare));
    guint n = 0, line = 0;

    spoke_config_text_walk(as_is, refuse_key, NULL, &line, &error);
    g_assert_no_error(error);
    spoke_config_text_walk(uncommented, count_key, &n, &line, &error);
    g_assert_no_error(error);
    g_assert_cmpuint(n, ==, spoke_config_n_keys);
}

/* The page's part from @heading on, up to the next of its kind. (transfer full) */
static char *
cut_section(const char *page, const char *heading)
{
    g_autofree char *line = g_strdup_printf(
        "\n[%s%s]\n=", heading, g_str_equal(heading, SPOKE_CONFIG_DEVICE) ? " NAME" : "");
    const char *start = strstr(page, line);

    g_assert_nonnull(start);
    const char *end = strstr(start + 1, "\n[");
    return end != NULL ? g_strndup(start, (size_t)(end - start)) : g_strdup(start);
}

/* A key's entry as one line. (transfer full) */
static char *
cut_entry(const char *section, const char *name)
{
    g_autofree char *line = g_strdup_printf("\n%s=\n", name);
    const char *start = strstr(section, line);

    g_assert_nonnull(start);
    const char *end = strstr(start + 1, "\n\n");
    g_autofree char *entry =
        end != NULL ? g_strndup(start, (size_t)(end - start)) : g_strdup(start);
    g_auto(GStrv) lines = g_strsplit(entry, "\n    ", 0);
    return g_strjoinv(" ", lines);
}

static void
test_man_page_explains_every_key(void)
{
    g_autofree char *page = read_source("data/man/spoked.conf.5.rst");

    for (guint i = 0; i < spoke_config_n_keys; i++) {
        const SpokeConfigKey *key = &spoke_config_keys[i];
        g_autofree char *section = cut_section(page, key->section);
        g_autofree char *entry = cut_entry(section, key->name);
        g_autofree char *fallback =
            g_strdup_printf("Default: %s", *key->fallback != '\0' ? key->fallback : "none");
        const char *found = strstr(entry, fallback);

        g_assert_nonnull(found);
        g_assert_nonnull(strchr(".,;", found[strlen(fallback)]));
        if (key->min != NULL) {
            g_autofree char *range = g_strdup_printf(" %s to %s", key->min, key->max);
            g_assert_nonnull(strstr(entry, range));
        }
    }
}

static void
test_man_page_explains_nothing_else(void)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *page = read_source("data/man/spoked.conf.5.rst");
    g_autoptr(GRegex) entry = g_regex_new("^(\\w+)=$", G_REGEX_MULTILINE, 0, &error);
    g_autoptr(GMatchInfo) match = NULL;
    guint n = 0;

    for (g_regex_match(entry, page, 0, &match); g_match_info_matches(match);
         g_match_info_next(match, NULL))
        n++;

    g_assert_cmpuint(n, ==, spoke_config_n_keys);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    fixture_add("/config/load/gives-defaults", test_load_gives_defaults);
    fixture_add("/config/load/reads-every-key", test_load_reads_every_key);
    fixture_add("/config/load/keeps-ranges", test_load_keeps_ranges);
    fixture_add("/config/load/refuses-bad-values", test_load_refuses_bad_values);
    fixture_add("/config/load/refuses-unknown-keys", test_load_refuses_unknown_keys);
    fixture_add("/config/load/hides-what-may-be-secret", test_load_hides_what_may_be_secret);
    fixture_add("/config/load/refuses-bad-lines", test_load_refuses_bad_lines);
    fixture_add("/config/load/refuses-nul", test_load_refuses_nul);
    fixture_add("/config/load/takes-every-form-of-line", test_load_takes_every_form_of_line);
    fixture_add("/config/load/refuses-repeated-keys", test_load_refuses_repeated_keys);
    fixture_add("/config/load/lets-later-files-win", test_load_lets_later_files_win);
    fixture_add("/config/load/takes-back-with-empty-value", test_load_takes_back_with_empty_value);
    fixture_add("/config/load/checks-covered-values", test_load_checks_covered_values);
    fixture_add("/config/load/names-the-drop-in", test_load_names_the_drop_in);
    fixture_add("/config/load/needs-the-main-file", test_load_needs_the_main_file);
    fixture_add("/config/load/limits-file-size", test_load_limits_file_size);
    fixture_add("/config/load/refuses-readable-inline-secret",
                test_load_refuses_readable_inline_secret);
    fixture_add("/config/load/reads-connection-string-file",
                test_load_reads_connection_string_file);
    fixture_add("/config/load/refuses-open-connection-string-file",
                test_load_refuses_open_connection_string_file);
    fixture_add("/config/load/refuses-bad-connection-string-file",
                test_load_refuses_bad_connection_string_file);
    fixture_add("/config/load/reads-credentials", test_load_reads_credentials);
    fixture_add("/config/load/refuses-bad-credentials", test_load_refuses_bad_credentials);
    fixture_add("/config/load/needs-one-source", test_load_needs_one_source);
    fixture_add("/config/load/looks-into-ca-file", test_load_looks_into_ca_file);
    /* Only root can give a file away, and nothing is unreadable for root. */
    if (geteuid() == 0) {
        fixture_add("/config/load/refuses-foreign-connection-string-file",
                    test_load_refuses_foreign_connection_string_file);
    } else {
        fixture_add("/config/load/refuses-unreadable-files", test_load_refuses_unreadable_files);
        fixture_add("/config/load/refuses-unreadable-connection-string-file",
                    test_load_refuses_unreadable_connection_string_file);
    }
    g_test_add_func("/config/default-file/shows-every-key", test_default_file_shows_every_key);
    g_test_add_func("/config/man-page/explains-every-key", test_man_page_explains_every_key);
    g_test_add_func("/config/man-page/explains-nothing-else", test_man_page_explains_nothing_else);
    return g_test_run();
}
