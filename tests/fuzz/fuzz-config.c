/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/config.h"
#include "daemon/error.h"
#include "daemon/identity.h"
#include "tests/fuzz/fuzz.h"

#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* The input is a whole configuration file, read through a file that exists in memory only. */
static char *
fill_file(const uint8_t *data, size_t size)
{
    static int fd = -1;

    if (fd < 0) {
        fd = memfd_create("fuzz-config", MFD_CLOEXEC);
        g_assert_cmpint(fd, >=, 0);
        g_assert_cmpint(fchmod(fd, 0600), ==, 0);
    }
    g_assert_cmpint(ftruncate(fd, 0), ==, 0);
    g_assert_cmpint(pwrite(fd, data, size, 0), ==, (gssize)size);
    return g_strdup_printf("/proc/self/fd/%d", fd);
}

static void
check_device(const SpokeDeviceConfig *device)
{
    size_t size = strspn(device->name, G_CSET_A_2_Z G_CSET_a_2_z G_CSET_DIGITS "-_.");

    g_assert_cmpuint(size, ==, strlen(device->name));
    g_assert_cmpuint(size, >, 0);
    g_assert_nonnull(device->connection_string);
    g_assert_true(device->connection_string->x509 == (device->certificate_file != NULL));
    g_assert_true((device->certificate_file != NULL) == (device->key_file != NULL));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *path = fill_file(data, size);
    g_autoptr(SpokeConfig) config = spoke_config_load_full("/proc/none", path, NULL, &error);

    if (config == NULL) {
        g_assert_error(error, SPOKE_ERROR, SPOKE_ERROR_INVALID_CONFIG);
        g_assert_true(g_str_has_prefix(error->message, path));
        g_assert_true(g_utf8_validate(error->message, -1, NULL));
        return 0;
    }

    for (guint i = 0; i < config->devices->len; i++)
        check_device(g_ptr_array_index(config->devices, i));
    g_assert_cmpstr(spoke_config_get_self(config)->name, ==, SPOKE_DEVICE_SELF);
    g_assert_cmpuint(config->mqtt_port, >, 0);
    g_assert_cmpuint(config->keepalive_sec, >=, 5);
    g_assert_cmpuint(config->keepalive_sec, <=, 1177);
    g_assert_cmpuint(config->outbox.bytes_max, >=, 65536);
    g_assert_cmpint(config->flush_window_usec, >=, 10000);
    return 0;
}
