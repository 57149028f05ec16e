/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/bench/peers.h"

#include "tests/bench/measure.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>

/* What a peer needs to log in; and the SDK as a program on two pipes. */

#define PAHO_DEVICE "paho"
#define SDK_DEVICE  "sdk"

struct PeersSdk {
    Harness *h;              /* borrowed */
    GSubprocess *process;    /* owned */
    GOutputStream *input;    /* the process's */
    GDataInputStream *lines; /* owned */
};

/* (transfer full) */
static JsonNode *
new_device(Harness *h, const char *id)
{
    g_autofree char *path = g_strdup_printf("/devices/%s", id);

    json_node_unref(harness_hub(h, "PUT", path, "{}"));
    return harness_hub(h, "GET", path, NULL);
}

/* A token that never runs out. (transfer full) */
static char *
make_password(const char *id, const char *base64_key)
{
    g_autofree char *resource = g_strdup_printf("localhost%%2Fdevices%%2F%s", id);
    g_autofree char *text = g_strdup_printf("%s\n1999999999", resource);
    gsize size = 0;
    g_autofree guchar *key = g_base64_decode(base64_key, &size);
    guint8 digest[32];
    gsize digest_size = sizeof digest;
    g_autoptr(GHmac) hmac = g_hmac_new(G_CHECKSUM_SHA256, key, size);

    g_hmac_update(hmac, (const guchar *)text, (gssize)strlen(text));
    g_hmac_get_digest(hmac, digest, &digest_size);
    g_autofree char *signature = g_base64_encode(digest, digest_size);
    g_autofree char *escaped = g_uri_escape_string(signature, NULL, FALSE);
    return g_strdup_printf("SharedAccessSignature sr=%s&sig=%s&se=1999999999", resource, escaped);
}

static char *
ca_file(Harness *h)
{
    return g_build_filename(harness_get_dir(h), "hub", "ca.pem", NULL);
}

double
peers_run_paho(Harness *h, const char *form, guint port, guint window, guint messages,
               guint body_size, double *ret_cpu_usec)
{
    g_autoptr(JsonNode) device = new_device(h, PAHO_DEVICE);
    g_autofree char *password = make_password(
        PAHO_DEVICE, json_object_get_string_member(json_node_get_object(device), "primaryKey"));
    g_autofree char *uri = g_str_equal(form, "mqtt")
                               ? g_strdup_printf("ssl://localhost:%u", port)
                               : g_strdup_printf("wss://localhost:%u/$iothub/websocket", port);
    g_autofree char *ca = ca_file(h);
    g_autofree char *in_flight = g_strdup_printf("%u", window);
    g_autofree char *count = g_strdup_printf("%u", messages);
    g_autofree char *size = g_strdup_printf("%u", body_size);
    double seconds = 1;

    g_autofree char *text =
        measure_run(h,
                    (const char *[]){g_getenv("BENCH_PAHO"), uri, ca, PAHO_DEVICE, password,
                                     in_flight, count, size, NULL},
                    NULL);
    (void)sscanf(text, "%*u %lf %lf", &seconds, ret_cpu_usec);
    return messages / seconds;
}

gboolean
peers_have_sdk(void)
{
    g_autofree char *path =
        g_build_filename(g_getenv("BENCH_SDK_MODULES"), "installed-lock.json", NULL);

    return g_file_test(path, G_FILE_TEST_EXISTS);
}

static void
die_with_parent(gpointer user_data)
{
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
}

static char *
read_line(PeersSdk *sdk)
{
    char *line = g_data_input_stream_read_line(sdk->lines, NULL, NULL, NULL);

    if (line == NULL)
        harness_fail(sdk->h, "the SDK's process has ended");
    return line;
}

PeersSdk *
peers_sdk_new(Harness *h, const char *transport, guint port)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(JsonNode) device = new_device(h, SDK_DEVICE);
    g_autofree char *ca = ca_file(h);
    g_autofree char *port_text = g_strdup_printf("%u", port);
    g_autoptr(GSubprocessLauncher) launcher =
        g_subprocess_launcher_new(G_SUBPROCESS_FLAGS_STDIN_PIPE | G_SUBPROCESS_FLAGS_STDOUT_PIPE);
    const char *string =
        json_object_get_string_member(json_node_get_object(device), "connectionString");
    PeersSdk *sdk = g_new0(PeersSdk, 1);

    sdk->h = h;
    g_subprocess_launcher_setenv(launcher, "NODE_EXTRA_CA_CERTS", ca, TRUE);
    g_subprocess_launcher_set_child_setup(launcher, die_with_parent, NULL, NULL);
    sdk->process = g_subprocess_launcher_spawn(launcher, &error, "node", g_getenv("BENCH_SDK"),
                                               g_getenv("BENCH_SDK_MODULES"), string, transport,
                                               port_text, NULL);
    if (sdk->process == NULL)
        harness_fail(h, "node: %s", error->message);
    sdk->input = g_subprocess_get_stdin_pipe(sdk->process);
    sdk->lines = g_data_input_stream_new(g_subprocess_get_stdout_pipe(sdk->process));
    g_free(read_line(sdk)); /* ready */
    return sdk;
}

void
peers_sdk_free(PeersSdk *sdk)
{
    if (sdk == NULL)
        return;

    g_subprocess_force_exit(sdk->process);
    (void)g_subprocess_wait(sdk->process, NULL, NULL);
    g_object_unref(sdk->lines);
    g_object_unref(sdk->process);
    g_free(sdk);
}

GPid
peers_sdk_get_pid(PeersSdk *sdk)
{
    const char *id = g_subprocess_get_identifier(sdk->process);

    return id != NULL ? atoi(id) : 0;
}

const char *
peers_sdk_get_device(PeersSdk *sdk)
{
    return SDK_DEVICE;
}

char *
peers_sdk_ask(PeersSdk *sdk, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    g_autofree char *words = g_strdup_vprintf(format, arguments);
    va_end(arguments);
    g_autofree char *line = g_strconcat(words, "\n", NULL);

    if (!g_output_stream_write_all(sdk->input, line, strlen(line), NULL, NULL, NULL))
        harness_fail(sdk->h, "the SDK's process has ended");
    return read_line(sdk);
}

void
peers_sdk_wait(PeersSdk *sdk)
{
    g_free(read_line(sdk));
}

GDataInputStream *
peers_sdk_get_lines(PeersSdk *sdk)
{
    return sdk->lines;
}
