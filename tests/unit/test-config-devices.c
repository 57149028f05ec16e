/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/config-draft.h"
#include "daemon/devices.h"
#include "daemon/error.h"
#include "tests/unit/config-fixture.h"
#include "tests/unit/pem-fixture.h"

#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* What several sections and files say together: devices, certificates, the proxy. */

#define KEY     "SharedAccessKey=S3CR3TIzNDU2Nzg5MDEyMw=="
#define OTHER   "HostName=h.net;DeviceId=e;" KEY
#define X509    "HostName=h.net;DeviceId=x;x509=true"
#define DEVICE  "[Device cellar]\n"
#define GATEWAY HUB DEVICE "ConnectionString=" OTHER "\n"
#define PROXY   "[Proxy]\nUrl=http://proxy.net:8080\n"

static const SpokeDeviceConfig *
nth(const SpokeConfig *config, guint index)
{
    g_assert_cmpuint(index, <, config->devices->len);
    return g_ptr_array_index(config->devices, index);
}

/* A certificate and its key as c.pem and k.pem, and another key as other.pem. */
static void
put_certificate(Fixture *fixture)
{
    g_auto(Pem) pem = {NULL, NULL};
    g_auto(Pem) other = {NULL, NULL};

    pem_make_valid(&pem);
    pem_make_valid(&other);
    put(fixture, "c.pem", pem.certificate);
    put(fixture, "k.pem", pem.key);
    put(fixture, "other.pem", other.key);
    put(fixture, "creds/c.pem", pem.certificate);
    put(fixture, "creds/k.pem", pem.key);
}

static void
assert_path(Fixture *fixture, const char *path, const char *expected)
{
    g_autofree char *full = expand(fixture, expected);

    g_assert_cmpstr(path, ==, full);
}

/* Devices */

static void
test_devices_come_by_name(Fixture *fixture, gconstpointer data)
{
    put(fixture, "e", "HostName=Other.net;DeviceId=e;ModuleId=m;" KEY "\n");
    put(fixture, "creds/f", "HostName=h.net;DeviceId=f;" KEY);

    g_autoptr(SpokeConfig) config =
        load_text(fixture, "[Device Z.z_9-]\nConnectionStringFile=@/e\nOwnConnection=yes\n" HUB
                           "[Device  a\t]\nConnectionStringCredential=f\n"
                           "[Device 0]\nConnectionString=" OTHER "\n");

    g_assert_cmpuint(config->devices->len, ==, 4);
    g_assert_true(spoke_config_get_self(config) == nth(config, 0));
    g_assert_cmpstr(nth(config, 0)->name, ==, "self");
    g_assert_cmpstr(nth(config, 0)->connection_string->device_id, ==, "d");
    g_assert_cmpstr(nth(config, 1)->name, ==, "0");
    g_assert_cmpstr(nth(config, 1)->connection_string->device_id, ==, "e");
    g_assert_false(nth(config, 1)->owns_connection);
    g_assert_cmpstr(nth(config, 2)->name, ==, "Z.z_9-");
    g_assert_cmpstr(nth(config, 2)->connection_string->host_name, ==, "Other.net");
    g_assert_cmpstr(nth(config, 2)->connection_string->module_id, ==, "m");
    g_assert_true(nth(config, 2)->owns_connection);
    g_assert_cmpstr(nth(config, 3)->name, ==, "a");
    g_assert_cmpstr(nth(config, 3)->connection_string->device_id, ==, "f");
    for (guint i = 0; i < 4; i++) {
        g_assert_null(nth(config, i)->certificate_file);
        g_assert_null(nth(config, i)->users);
    }
}

static void
test_devices_need_good_names(Fixture *fixture, gconstpointer data)
{
    static const char *const names[] = {"a b",
                                        "a/b",
                                        "a=b",
                                        "\xc3\xa4",
                                        "S3CR3T+",
                                        "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
                                        "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"};

    for (guint i = 0; i < G_N_ELEMENTS(names); i++) {
        g_autofree char *text = g_strdup_printf(HUB "[Device %s]\n", names[i]);

        assert_text_refused(fixture, text,
                            "@/spoked.conf:3: [Device NAME]: a name is 1 to 64 letters (A-Z, a-z), "
                            "digits, '-', '_' or '.'");
    }
    assert_text_refused(fixture, HUB "[Device]\n",
                        "@/spoked.conf:3: [Device]: the name is missing, as in [Device cellar]");
    assert_text_refused(fixture, HUB "[Device self]\n",
                        "@/spoked.conf:3: [Device self]: self is the machine's own device, which "
                        "stands in [Hub]; choose another name");
    assert_text_refused(fixture, HUB "[Devices a]\n",
                        "@/spoked.conf:3: [Devices a]: unknown section; known are Hub, Device "
                        "NAME, Proxy, Spool, Inbox, Daemon");
    assert_text_refused(fixture, HUB "[Hub a]\n",
                        "@/spoked.conf:3: [Hub a]: unknown section; known are Hub, Device NAME, "
                        "Proxy, Spool, Inbox, Daemon");
}

static void
test_devices_keep_errors_apart(Fixture *fixture, gconstpointer data)
{
    assert_text_refused(fixture, GATEWAY "OwnConnection=maybe\n",
                        "@/spoked.conf:5: [Device cellar] OwnConnection: must be yes or no");
    assert_text_refused(fixture, GATEWAY "CAFile=/ca.pem\n",
                        "@/spoked.conf:5: [Device cellar] CAFile: unknown key; known are "
                        "ConnectionString, ConnectionStringFile, ConnectionStringCredential, "
                        "CertificateFile, CertificateCredential, PrivateKeyFile, "
                        "PrivateKeyCredential, Users, OwnConnection");
    assert_text_refused(fixture, HUB "Users=root\n",
                        "@/spoked.conf:3: [Hub] Users: unknown key; known are ConnectionString, "
                        "ConnectionStringFile, ConnectionStringCredential, CertificateFile, "
                        "CertificateCredential, PrivateKeyFile, PrivateKeyCredential, CAFile, "
                        "Transport, MqttPort, AmqpPort, HttpsPort, PollIntervalSec, KeepAliveSec, "
                        "TokenLifetimeSec, ConnectTimeoutSec");
    assert_text_refused(fixture, GATEWAY "[Hub]\n" DEVICE "ConnectionString=x\n",
                        "@/spoked.conf:7: [Device cellar] ConnectionString: stands there twice, "
                        "first in line 4");
    assert_text_refused(fixture, HUB DEVICE "ConnectionString=HostName=h.net;" KEY "\n",
                        "@/spoked.conf:4: [Device cellar] ConnectionString: DeviceId is missing");
    assert_text_refused(fixture, HUB DEVICE "ConnectionStringFile=@/none\n",
                        "@/spoked.conf:4: [Device cellar] ConnectionStringFile: @/none: there is "
                        "no such file");
}

static void
test_devices_need_a_connection_string(Fixture *fixture, gconstpointer data)
{
    put(fixture, "creds/connection-string", OTHER);

    assert_text_refused(fixture, HUB "\n" DEVICE,
                        "@/spoked.conf:4: [Device cellar] ConnectionString: no connection string "
                        "is given; set ConnectionStringFile=, or see spoked.conf(5) for other "
                        "ways");
    assert_text_refused(fixture, GATEWAY "ConnectionStringCredential=c\n",
                        "@/spoked.conf:5: [Device cellar] ConnectionStringCredential: there can be "
                        "only one source, but @/spoked.conf:4 has ConnectionString=; an empty "
                        "ConnectionString= in a later file takes that back");
}

static void
test_devices_merge_by_name(Fixture *fixture, gconstpointer data)
{
    put(fixture, "vendor.conf", DEVICE "OwnConnection=yes\nUsers=1\n");
    put(fixture, "spoked.conf.d/a.conf",
        DEVICE "Users=2 3\n[Device attic]\nConnectionString="
               "HostName=h.net;DeviceId=attic;" KEY "\n");
    put(fixture, "spoked.conf.d/b.conf", DEVICE "ConnectionString=\nConnectionStringFile=@/f\n");
    put(fixture, "f", "HostName=h.net;DeviceId=f;" KEY);

    g_autoptr(SpokeConfig) config = load_text(fixture, GATEWAY);

    g_assert_cmpuint(config->devices->len, ==, 3);
    g_assert_cmpstr(nth(config, 1)->name, ==, "attic");
    g_assert_null(nth(config, 1)->users);
    g_assert_cmpstr(nth(config, 2)->name, ==, "cellar");
    g_assert_cmpstr(nth(config, 2)->connection_string->device_id, ==, "f");
    g_assert_true(nth(config, 2)->owns_connection);
    g_autofree char *users = g_strjoinv(",", nth(config, 2)->users);
    g_assert_cmpstr(users, ==, "2,3");
}

static void
test_devices_are_unique(Fixture *fixture, gconstpointer data)
{
    assert_text_refused(
        fixture, HUB DEVICE "ConnectionString=HostName=H.NET;DeviceId=d;" KEY "\n",
        "@/spoked.conf:4: [Device cellar] ConnectionString: this is the same device of "
        "the same hub as in [Hub]");
    put(fixture, "spoked.conf.d/a.conf",
        "[Device attic]\nConnectionStringFile=@/f\n[Device barn]\nConnectionStringFile=@/f\n");
    put(fixture, "f", "HostName=h.net;DeviceId=d;ModuleId=m;" KEY);
    assert_text_refused(fixture, HUB,
                        "@/spoked.conf.d/a.conf:4: [Device barn] ConnectionStringFile: this is the "
                        "same device and module of the same hub as in [Device attic]");

    put(fixture, "spoked.conf.d/a.conf",
        "[Device id]\nConnectionString=HostName=h.net;DeviceId=D;" KEY "\n"
        "[Device hub]\nConnectionString=HostName=i.net;DeviceId=d;" KEY "\n"
        "[Device module]\nConnectionString=HostName=h.net;DeviceId=d;ModuleId=m;" KEY "\n");
    g_autoptr(SpokeConfig) config = load(fixture);
    g_assert_cmpuint(config->devices->len, ==, 4);
}

static void
test_devices_hide_inline_secrets(Fixture *fixture, gconstpointer data)
{
    g_autofree char *string = g_strconcat(fixture->folder, "/f", NULL);
    g_autofree char *text = g_strconcat("[Hub]\nConnectionStringFile=", string,
                                        "\n" DEVICE "ConnectionString=" OTHER "\n", NULL);
    g_autofree char *path = write_file(fixture, "spoked.conf", 0604, text);
    put(fixture, "f", STRING);

    assert_refused(fixture, "@/spoked.conf:4: [Device cellar] ConnectionString: the key in it can "
                            "be read by every user of this machine (mode 0604); run `chmod o= "
                            "@/spoked.conf`, or use ConnectionStringFile=");
}

/* The last one that fits, and the first that does not. */
static void
test_devices_are_limited(Fixture *fixture, gconstpointer data)
{
    guint number = 0;

    put(fixture, "spoked.conf", HUB);
    for (guint file = 0; file < 4; file++) {
        g_autofree char *name = g_strdup_printf("spoked.conf.d/%u.conf", file);
        g_autoptr(GString) text = g_string_new(NULL);

        for (guint i = 0; i < SPOKE_DEVICES_MAX / 4; i++)
            g_string_append_printf(text, "[Device %u]\n", number++);
        put(fixture, name, text->str);
    }

    assert_refused(fixture, "@/spoked.conf.d/3.conf:25000: [Device 99999]: with [Hub] there can be "
                            "100000 devices at most");
}

/* An aim, where nothing slows us down; else a bound on what no machine should need. */
static void
test_devices_load_fast(Fixture *fixture, gconstpointer data)
{
    g_autoptr(GString) text = g_string_new(HUB);
    gint64 best_usec = G_MAXINT64;

    for (guint i = 0; i < 1000; i++)
        g_string_append_printf(text,
                               "[Device sensor-%u]\nConnectionString=HostName=h.net;"
                               "DeviceId=sensor-%u;SharedAccessKey="
                               "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=\nUsers=root 1000\n",
                               i, i);
    put(fixture, "spoked.conf", text->str);

    for (guint i = 0; i < 5; i++) {
        gint64 start_usec = g_get_monotonic_time();
        g_autoptr(SpokeConfig) config = load(fixture);

        best_usec = MIN(best_usec, g_get_monotonic_time() - start_usec);
        g_assert_cmpuint(config->devices->len, ==, 1001);
    }

    g_test_minimized_result((double)best_usec / 1000, "1000 devices in %.1f ms",
                            (double)best_usec / 1000);
    g_assert_cmpint(best_usec, <, G_USEC_PER_SEC);
    if (g_test_perf())
        g_assert_cmpint(best_usec, <, 50000);
}

/* Users */

static void
test_users_become_numbers(Fixture *fixture, gconstpointer data)
{
    g_autoptr(SpokeConfig) config =
        load_text(fixture, GATEWAY "Users=root \t 1000 0 01000 nobody root\n");
    const char *const *users = (const char *const *)nth(config, 1)->users;

    g_assert_cmpuint(g_strv_length((char **)users), ==, 3);
    g_assert_cmpstr(users[0], ==, "0");
    g_assert_cmpstr(users[1], ==, "1000");
    g_assert_cmpstr(users[2], ==, "65534");
}

static void
test_users_must_be_there(Fixture *fixture, gconstpointer data)
{
    assert_text_refused(fixture, GATEWAY "Users=root nosuchuser\n",
                        "@/spoked.conf:5: [Device cellar] Users: there is no user nosuchuser on "
                        "this machine");
    assert_text_refused(fixture, GATEWAY "Users=4294967295\n",
                        "@/spoked.conf:5: [Device cellar] Users: there is no user 4294967295 on "
                        "this machine");
    assert_text_refused(fixture, GATEWAY "Users=root,nobody\n",
                        "@/spoked.conf:5: [Device cellar] Users: must be names or numbers of "
                        "users, separated by spaces");
    assert_text_refused(fixture, GATEWAY "Users=S3CR3T+/x=\n",
                        "@/spoked.conf:5: [Device cellar] Users: must be names or numbers of "
                        "users, separated by spaces");
    put(fixture, "spoked.conf.d/a.conf", DEVICE "Users=\n");
    g_autoptr(SpokeConfig) config = load_text(fixture, GATEWAY "Users=nosuchuser\n");
    g_assert_null(nth(config, 1)->users);
}

/* Certificates */

static void
test_certificate_comes_from_files(Fixture *fixture, gconstpointer data)
{
    put_certificate(fixture);

    g_autoptr(SpokeConfig) config =
        load_text(fixture, "[Hub]\nConnectionString=HostName=h.net;DeviceId=d;x509=true\n"
                           "CertificateFile=@/c.pem\nPrivateKeyFile=@/k.pem\n" DEVICE
                           "ConnectionString=" X509 "\nCertificateFile=@/c.pem\n"
                           "PrivateKeyCredential=k.pem\n");

    assert_path(fixture, nth(config, 0)->certificate_file, "@/c.pem");
    assert_path(fixture, nth(config, 0)->key_file, "@/k.pem");
    assert_path(fixture, nth(config, 1)->certificate_file, "@/c.pem");
    assert_path(fixture, nth(config, 1)->key_file, "@/creds/k.pem");
}

static void
test_certificate_comes_from_credentials(Fixture *fixture, gconstpointer data)
{
    static const char text[] = HUB DEVICE "ConnectionString=" X509 "\nCertificateCredential=c.pem\n"
                                          "PrivateKeyCredential=k.pem\n";
    put_certificate(fixture);

    g_autoptr(SpokeConfig) config = load_text(fixture, text);

    assert_path(fixture, nth(config, 1)->certificate_file, "@/creds/c.pem");
    assert_path(fixture, nth(config, 1)->key_file, "@/creds/k.pem");
    g_clear_pointer(&fixture->environment, g_strfreev);
    assert_refused(fixture, "@/spoked.conf:5: [Device cellar] CertificateCredential: the daemon "
                            "was started without credentials; give its unit "
                            "LoadCredential=c.pem:PATH (systemctl edit spoked)");
}

static void
test_certificate_must_be_wanted(Fixture *fixture, gconstpointer data)
{
    put_certificate(fixture);

    assert_text_refused(fixture, "[Hub]\nConnectionString=" X509 "\n",
                        "@/spoked.conf:2: [Hub] ConnectionString: it says x509=true, so "
                        "CertificateFile= and PrivateKeyFile= (or CertificateCredential= and "
                        "PrivateKeyCredential=) must be set");
    assert_text_refused(fixture, "[Hub]\nConnectionString=" X509 "\nCertificateFile=@/c.pem\n",
                        "@/spoked.conf:3: [Hub] CertificateFile: its private key is missing: set "
                        "PrivateKeyFile= or PrivateKeyCredential=");
    assert_text_refused(fixture, "[Hub]\nConnectionString=" X509 "\nPrivateKeyFile=@/k.pem\n",
                        "@/spoked.conf:3: [Hub] PrivateKeyFile: the certificate it is for is "
                        "missing: set CertificateFile= or CertificateCredential=");
    assert_text_refused(fixture, HUB "CertificateFile=@/c.pem\nPrivateKeyFile=@/k.pem\n",
                        "@/spoked.conf:3: [Hub] CertificateFile: there is a key or a token in the "
                        "connection string; to use a certificate it must say x509=true instead");
    assert_text_refused(fixture,
                        "[Hub]\nConnectionString=" X509 "\nCertificateFile=@/c.pem\n"
                        "CertificateCredential=c.pem\nPrivateKeyFile=@/k.pem\n",
                        "@/spoked.conf:4: [Hub] CertificateCredential: there can be only one "
                        "source, but @/spoked.conf:3 has CertificateFile=; an empty "
                        "CertificateFile= in a later file takes that back");
}

/* Also where the string is the credential that needs no key. */
static void
test_certificate_is_asked_for_by_default_credential(Fixture *fixture, gconstpointer data)
{
    put(fixture, "creds/connection-string", X509);

    assert_text_refused(fixture, "",
                        "@/spoked.conf: [Hub] ConnectionString: it says x509=true, so "
                        "CertificateFile= and PrivateKeyFile= (or CertificateCredential= and "
                        "PrivateKeyCredential=) must be set");
}

static void
test_certificate_must_be_good(Fixture *fixture, gconstpointer data)
{
    static const char start[] = "[Hub]\nConnectionString=" X509 "\n";
    g_autofree char *other =
        g_strconcat(start, "CertificateFile=@/c.pem\nPrivateKeyFile=@/other.pem\n", NULL);
    g_autofree char *none =
        g_strconcat(start, "CertificateFile=@/none\nPrivateKeyFile=@/k.pem\n", NULL);
    g_autofree char *relative = g_strconcat(start, "CertificateFile=c.pem\n", NULL);
    g_autofree char *open =
        g_strconcat(start, "PrivateKeyFile=@/k.pem\nCertificateFile=@/c.pem\n", NULL);
    g_autofree char *key_file = expand(fixture, "@/k.pem");
    put_certificate(fixture);

    assert_text_refused(fixture, other,
                        "@/spoked.conf:3: [Hub] CertificateFile: @/other.pem: the key does not "
                        "belong to the certificate in @/c.pem");
    assert_text_refused(fixture, none,
                        "@/spoked.conf:3: [Hub] CertificateFile: @/none: there is no such file");
    assert_text_refused(fixture, relative,
                        "@/spoked.conf:3: [Hub] CertificateFile: must be a path from the root: it "
                        "begins with /");
    g_assert_cmpint(chmod(key_file, 0644), ==, 0);
    assert_text_refused(fixture, open,
                        "@/spoked.conf:4: [Hub] CertificateFile: @/k.pem: every user of this "
                        "machine can read the key (mode 0644); run `chmod o= @/k.pem`");
}

/* Proxy */

static void
test_proxy_is_none_by_default(Fixture *fixture, gconstpointer data)
{
    g_autoptr(SpokeConfig) config = load_text(fixture, HUB);

    g_assert_null(config->proxy);
}

static void
test_proxy_comes_from_the_section(Fixture *fixture, gconstpointer data)
{
    fixture_set_environment(fixture, "https_proxy", "http://other:1");
    put(fixture, "password", "S3CR3T: with spaces \r\n");

    g_autoptr(SpokeConfig) config = load_text(
        fixture, HUB PROXY "User=alice\nPasswordFile=@/password\nNoProxy=.lan, 10.0.0.0/8\n");

    g_assert_cmpstr(config->proxy->host, ==, "proxy.net");
    g_assert_cmpuint(config->proxy->port, ==, 8080);
    g_assert_cmpstr(config->proxy->user, ==, "alice");
    g_assert_cmpstr(spoke_secret_peek(config->proxy->password), ==, "S3CR3T: with spaces ");
    g_assert_false(spoke_proxy_settings_apply_to(config->proxy, "hub.lan"));
    g_assert_true(spoke_proxy_settings_apply_to(config->proxy, "h.net"));
}

static void
test_proxy_takes_password_credential(Fixture *fixture, gconstpointer data)
{
    put(fixture, "creds/proxy", "S3CR3T");

    g_autoptr(SpokeConfig) config =
        load_text(fixture, HUB "[Proxy]\nUrl=http://alice@proxy.net\nPasswordCredential=proxy\n");

    g_assert_cmpstr(config->proxy->user, ==, "alice");
    g_assert_cmpstr(spoke_secret_peek(config->proxy->password), ==, "S3CR3T");
}

static void
test_proxy_comes_from_the_environment(Fixture *fixture, gconstpointer data)
{
    fixture_set_environment(fixture, "https_proxy", "http://alice:S3CR3T@other:1");

    g_autoptr(SpokeConfig) config = load_text(fixture, HUB "[Proxy]\nUseEnvironment=yes\n");
    g_autoptr(SpokeConfig) without = load_text(fixture, HUB "[Proxy]\nUseEnvironment=no\n");

    g_assert_cmpstr(config->proxy->host, ==, "other");
    g_assert_null(without->proxy);
    fixture_set_environment(fixture, "https_proxy", "socks5://S3CR3T@other:1");
    assert_text_refused(fixture, HUB,
                        "@/spoked.conf: [Proxy] UseEnvironment: the environment variable "
                        "https_proxy: only proxies that speak HTTP can be used: http://HOST:PORT; "
                        "change it, or set UseEnvironment=no");
}

static void
test_proxy_refuses_bad_values(Fixture *fixture, gconstpointer data)
{
    static const struct {
        const char *text, *expected;
    } rows[] = {
        {"Url=https://proxy",
         "3: [Proxy] Url: only proxies that speak HTTP can be used: http://HOST:PORT"},
        {"Url=http://u:S3CR3T@proxy", "3: [Proxy] Url: a password has no place in it: use "
                                      "PasswordFile= or PasswordCredential="},
        {"User=a:b",
         "3: [Proxy] User: the user of a proxy can't be empty or have a colon in the name"},
        {"NoProxy=10.0.0.0/33",
         "3: [Proxy] NoProxy: the hosts that need no proxy are names, .domains, addresses, "
         "networks (10.0.0.0/8) or *, separated by commas or spaces"},
        {"UseEnvironment=1", "3: [Proxy] UseEnvironment: must be yes or no"},
        {"PasswordFile=secret",
         "3: [Proxy] PasswordFile: must be a path from the root: it begins with /"},
        {"User=a", "3: [Proxy] User: it belongs to the proxy in Url=, which is not set"},
        {"NoProxy=a", "3: [Proxy] NoProxy: it belongs to the proxy in Url=, which is not set"},
        {"PasswordFile=@/password\nUrl=http://p",
         "3: [Proxy] PasswordFile: there is a password for the proxy, but no user"},
        {"PasswordFile=@/empty\nUrl=http://u@p", "3: [Proxy] PasswordFile: @/empty: it is empty"},
        {"PasswordFile=@/two\nUrl=http://u@p",
         "3: [Proxy] PasswordFile: there is a control character in the proxy's password"},
        {"PasswordFile=@/none\nUrl=http://u@p",
         "3: [Proxy] PasswordFile: @/none: there is no such file"},
        {"Url=http://u@p\nPasswordFile=@/password\nPasswordCredential=p",
         "5: [Proxy] PasswordCredential: there can be only one source, but @/spoked.conf:4 has "
         "PasswordFile=; an empty PasswordFile= in a later file takes that back"},
    };
    g_autofree char *string = expand(fixture, "[Hub]\nConnectionStringFile=@/f\n");

    put(fixture, "f", STRING);
    put(fixture, "vendor.conf", string);
    put(fixture, "password", "S3CR3T\n");
    put(fixture, "empty", "\n");
    put(fixture, "two", "S3CR3T\nS3CR3T\n");
    for (guint i = 0; i < G_N_ELEMENTS(rows); i++) {
        g_autofree char *text = g_strconcat("\n[Proxy]\n", rows[i].text, "\n", NULL);
        g_autofree char *expected = g_strconcat("@/spoked.conf:", rows[i].expected, NULL);

        assert_text_refused(fixture, text, expected);
    }
}

static void
test_proxy_refuses_open_password_file(Fixture *fixture, gconstpointer data)
{
    g_autofree char *path = write_file(fixture, "password", 0644, "S3CR3T\n");

    assert_text_refused(fixture, HUB PROXY "User=u\nPasswordFile=@/password\n",
                        "@/spoked.conf:6: [Proxy] PasswordFile: @/password: other users can read "
                        "or change it (mode 0644); run `chmod 600 @/password`");
}

/* The numbers by which config-*.c find keys are those of the table. */
static void
test_keys_are_where_they_are_looked_for(void)
{
    static const char *const who[] = {"ConnectionString",           "ConnectionStringFile",
                                      "ConnectionStringCredential", "CertificateFile",
                                      "CertificateCredential",      "PrivateKeyFile",
                                      "PrivateKeyCredential"};
    static const char *const proxy[] = {
        "Url", "User", "PasswordFile", "PasswordCredential", "NoProxy", "UseEnvironment"};
    guint n = 0;

    for (guint i = 0; i < G_N_ELEMENTS(who); i++) {
        g_assert_cmpstr(spoke_config_key_first("Hub", &n)[i].name, ==, who[i]);
        g_assert_cmpstr(spoke_config_key_first("Device", &n)[i].name, ==, who[i]);
    }
    g_assert_cmpint(G_N_ELEMENTS(who), ==, SPOKE_CONFIG_USERS);
    g_assert_cmpstr(spoke_config_key_first("Device", &n)[SPOKE_CONFIG_USERS].name, ==, "Users");

    for (guint i = 0; i < G_N_ELEMENTS(proxy); i++)
        g_assert_cmpstr(spoke_config_key_first("Proxy", &n)[i].name, ==, proxy[i]);
    g_assert_cmpuint(n, ==, SPOKE_CONFIG_PROXY_N_KEYS);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    fixture_add("/config-devices/devices/come-by-name", test_devices_come_by_name);
    fixture_add("/config-devices/devices/need-good-names", test_devices_need_good_names);
    fixture_add("/config-devices/devices/keep-errors-apart", test_devices_keep_errors_apart);
    fixture_add("/config-devices/devices/need-a-connection-string",
                test_devices_need_a_connection_string);
    fixture_add("/config-devices/devices/merge-by-name", test_devices_merge_by_name);
    fixture_add("/config-devices/devices/are-unique", test_devices_are_unique);
    fixture_add("/config-devices/devices/hide-inline-secrets", test_devices_hide_inline_secrets);
    fixture_add("/config-devices/devices/are-limited", test_devices_are_limited);
    fixture_add("/config-devices/devices/load-fast", test_devices_load_fast);
    fixture_add("/config-devices/users/become-numbers", test_users_become_numbers);
    fixture_add("/config-devices/users/must-be-there", test_users_must_be_there);
    fixture_add("/config-devices/certificate/comes-from-files", test_certificate_comes_from_files);
    fixture_add("/config-devices/certificate/comes-from-credentials",
                test_certificate_comes_from_credentials);
    fixture_add("/config-devices/certificate/must-be-wanted", test_certificate_must_be_wanted);
    fixture_add("/config-devices/certificate/is-asked-for-by-default-credential",
                test_certificate_is_asked_for_by_default_credential);
    fixture_add("/config-devices/certificate/must-be-good", test_certificate_must_be_good);
    fixture_add("/config-devices/proxy/is-none-by-default", test_proxy_is_none_by_default);
    fixture_add("/config-devices/proxy/comes-from-the-section", test_proxy_comes_from_the_section);
    fixture_add("/config-devices/proxy/takes-password-credential",
                test_proxy_takes_password_credential);
    fixture_add("/config-devices/proxy/comes-from-the-environment",
                test_proxy_comes_from_the_environment);
    fixture_add("/config-devices/proxy/refuses-bad-values", test_proxy_refuses_bad_values);
    fixture_add("/config-devices/proxy/refuses-open-password-file",
                test_proxy_refuses_open_password_file);
    g_test_add_func("/config-devices/keys/are-where-they-are-looked-for",
                    test_keys_are_where_they_are_looked_for);
    return g_test_run();
}
