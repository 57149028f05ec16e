/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "dbus/add-device.h"

#include "daemon/certificate.h"
#include "dbus/error-bus.h"
#include "dbus/options.h"

#include <errno.h>
#include <fcntl.h>
#include <glib-unix.h>
#include <string.h>
#include <unistd.h>

/*
 * The descriptor is read as it becomes readable: whoever passes a pipe and writes nothing must not
 * stop the daemon. It is not made non-blocking, for that would be so for the caller, too. What was
 * read is wiped.
 */
struct SpokeAddDevice {
    SpokeDeviceConfig *config; /* owned; NULL once it is the devices' */
    int fd;                    /* owned */
    char text[SPOKE_CONNECTION_STRING_BYTES_MAX + 1];
    size_t size;
    SpokeCall *call;       /* borrowed: we are its request; NULL before begin() */
    SpokeDevices *devices; /* borrowed */
    guint read_id;         /* sources */
    guint timeout_id;
};

enum { OPTION_CERTIFICATE, OPTION_KEY, OPTION_OWN, OPTION_USERS, N_OPTIONS };

static const SpokeOption options[N_OPTIONS] = {
    [OPTION_CERTIFICATE] = {"certificate", SPOKE_OPTION_TEXT, 1, 4096},
    [OPTION_KEY] = {"private-key", SPOKE_OPTION_TEXT, 1, 4096},
    [OPTION_OWN] = {"own-connection", SPOKE_OPTION_FLAG},
    [OPTION_USERS] = {"users", SPOKE_OPTION_TEXT, 1, 4096},
};

#define NAME_MAX_BYTES 64

static gboolean
invalid(GError **error, SpokeError code, const char *text)
{
    g_set_error_literal(error, SPOKE_ERROR, code, text);
    return FALSE;
}

static gboolean
check_name(const char *name, GError **error)
{
    size_t size = strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.");

    if (size > 0 && size <= NAME_MAX_BYTES && name[size] == '\0')
        return TRUE;
    return invalid(error, SPOKE_ERROR_INVALID_ARGUMENT,
                   "A device's name is 1 to 64 of A-Z a-z 0-9 - _ .");
}

static gboolean
take_users(SpokeDeviceConfig *config, const char *text, GError **error)
{
    g_autoptr(GStrvBuilder) builder = g_strv_builder_new();
    g_auto(GStrv) words = g_strsplit_set(text, " ,", -1);

    for (char **word = words; *word != NULL; word++) {
        guint64 uid = 0;

        if (**word == '\0')
            continue;
        if (!g_ascii_string_to_unsigned(*word, 10, 0, G_MAXUINT32 - 1, &uid, NULL))
            return invalid(error, SPOKE_ERROR_INVALID_OPTION,
                           "Option users is a list of user ids, as in \"1000 1001\"");
        g_strv_builder_add(builder, *word);
    }
    config->users = g_strv_builder_end(builder);
    return TRUE;
}

static gboolean
take_options(SpokeDeviceConfig *config, const SpokeOptionValue *values, GError **error)
{
    const char *certificate = values[OPTION_CERTIFICATE].text, *key = values[OPTION_KEY].text;

    if ((certificate == NULL) != (key == NULL))
        return invalid(error, SPOKE_ERROR_INVALID_OPTION,
                       "Options certificate and private-key go together");
    if (certificate != NULL && (!g_path_is_absolute(certificate) || !g_path_is_absolute(key)))
        return invalid(error, SPOKE_ERROR_INVALID_OPTION,
                       "Options certificate and private-key are paths from the root");
    config->certificate_file = g_strdup(certificate);
    config->key_file = g_strdup(key);
    config->owns_connection = values[OPTION_OWN].flag;
    return !values[OPTION_USERS].is_set || take_users(config, values[OPTION_USERS].text, error);
}

static gboolean
take_descriptor(SpokeAddDevice *self, int fd, GError **error)
{
    self->fd = fcntl(fd, F_DUPFD_CLOEXEC, 3);
    if (self->fd >= 0)
        return TRUE;
    return invalid(error, SPOKE_ERROR_INVALID_ARGUMENT, "The descriptor can't be used");
}

SpokeAddDevice *
spoke_add_device_read(sd_bus_message *m, GError **error)
{
    g_autoptr(SpokeAddDevice) self = g_new0(SpokeAddDevice, 1);
    SpokeOptionValue values[N_OPTIONS] = {0};
    const char *name = NULL;
    int fd = -1;

    self->fd = -1;
    self->config = g_new0(SpokeDeviceConfig, 1);
    if (sd_bus_message_read_basic(m, 's', &name) < 0) {
        spoke_error_set_malformed(error);
        return NULL;
    }
    self->config->name = g_strdup(name);

    gboolean ok = check_name(name, error) &&
                  spoke_options_read(m, options, N_OPTIONS, values, error) &&
                  take_options(self->config, values, error);
    spoke_options_clear(values, N_OPTIONS);
    if (!ok)
        return NULL;
    if (sd_bus_message_read_basic(m, 'h', &fd) < 0) {
        spoke_error_set_malformed(error);
        return NULL;
    }
    return take_descriptor(self, fd, error) ? g_steal_pointer(&self) : NULL;
}

void
spoke_add_device_free(SpokeAddDevice *self)
{
    if (self == NULL)
        return;

    g_clear_handle_id(&self->read_id, g_source_remove);
    g_clear_handle_id(&self->timeout_id, g_source_remove);
    if (self->fd >= 0)
        (void)close(self->fd);
    spoke_device_config_free(self->config);
    explicit_bzero(self->text, sizeof self->text);
    g_free(self);
}

/* Frees @self, with the call. */
static void
fail(SpokeAddDevice *self, SpokeError code, const char *text)
{
    g_autoptr(GError) error = g_error_new_literal(SPOKE_ERROR, (int)code, text);

    spoke_call_fail(self->call, error);
}

static gboolean
check_certificate(const SpokeDeviceConfig *config, GError **error)
{
    gboolean is_x509 = config->connection_string->x509;

    if (is_x509 != (config->certificate_file != NULL))
        return invalid(error, SPOKE_ERROR_INVALID_CONFIG,
                       is_x509 ? "The connection string says x509=true, so the options certificate "
                                 "and private-key are needed"
                               : "There is a certificate, but the connection string does not say "
                                 "x509=true");
    if (!is_x509)
        return TRUE;

    g_autoptr(SpokeCertificate) certificate =
        spoke_certificate_read(config->certificate_file, config->key_file, error);

    g_prefix_error(error, "The certificate: ");
    return certificate != NULL;
}

/* The credential is there as a whole. */
static void
add(SpokeAddDevice *self)
{
    g_autoptr(GError) error = NULL;
    SpokeDevice *device = NULL;

    self->config->connection_string = spoke_connection_string_parse(self->text, &error);
    g_prefix_error(&error, "The connection string: ");
    if (self->config->connection_string != NULL && check_certificate(self->config, &error))
        device = spoke_devices_add(self->devices, g_steal_pointer(&self->config), &error);
    if (device == NULL) {
        spoke_call_fail(self->call, error);
        return;
    }

    char *path = NULL;

    (void)sd_bus_path_encode(SPOKE_BUS_DEVICE_PREFIX, spoke_device_get_name(device), &path);
    spoke_call_answer(self->call, "o", path);
    free(path);
}

static gboolean
on_readable(int fd, GIOCondition condition, gpointer user_data)
{
    SpokeAddDevice *self = user_data;
    ssize_t n = read(fd, self->text + self->size, sizeof self->text - self->size);

    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return G_SOURCE_CONTINUE;

    self->size += n > 0 ? (size_t)n : 0;
    if (n > 0 && self->size < sizeof self->text)
        return G_SOURCE_CONTINUE;

    self->read_id = 0;
    if (n < 0)
        fail(self, SPOKE_ERROR_INVALID_ARGUMENT,
             "The credential can't be read from the descriptor");
    else if (self->size == sizeof self->text || memchr(self->text, '\0', self->size) != NULL)
        fail(self, SPOKE_ERROR_INVALID_CONFIG, "This is no connection string");
    else
        add(self);
    return G_SOURCE_REMOVE;
}

static gboolean
on_timeout(gpointer user_data)
{
    SpokeAddDevice *self = user_data;

    self->timeout_id = 0;
    fail(self, SPOKE_ERROR_TIMEOUT,
         "The credential was not written to its end within five seconds; close the other end");
    return G_SOURCE_REMOVE;
}

void
spoke_add_device_begin(SpokeAddDevice *self, SpokeCall *call, SpokeDevices *devices)
{
    self->call = call;
    self->devices = devices;
    self->read_id = g_unix_fd_add(self->fd, G_IO_IN | G_IO_HUP | G_IO_ERR, on_readable, self);
    self->timeout_id = g_timeout_add_seconds(SPOKE_ADD_DEVICE_TIMEOUT_SEC, on_timeout, self);
}
