/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/devices.h"

#include "daemon/devices-private.h"
#include "daemon/error.h"

/*
 * Each entry keeps the part of the configuration it was made from; whether that was a file or a
 * caller decides what a reload does to it.
 */
typedef struct {
    SpokeDevice *device;    /* owned */
    SpokeDeviceConfig *own; /* owned for one that was added; NULL: the configuration has it */
    gboolean is_wanted;     /* scratch, while a configuration is taken up */
} Entry;

struct SpokeDevices {
    SpokeSurroundings around;  /* spool borrowed, the others owned */
    char *transport_dir;       /* owned */
    const SpokeConfig *config; /* borrowed */
    GPtrArray *entries;        /* owned; of Entry */
    GHashTable *by_name;       /* owned; → Entry, borrowed */
    GHashTable *keys;          /* owned; keys of identities, borrowed */
    SpokeDevicesEvents events;
    gpointer user_data;
    void (*certificates_changed)(gpointer); /* nullable */
    gpointer certificates_data;
    gboolean is_stopping;
    void (*stopped)(gpointer);
    gpointer stopped_data;
};

static void
entry_free(Entry *entry)
{
    spoke_device_free(entry->device);
    spoke_device_config_free(entry->own);
    g_free(entry);
}

static Entry *
nth(SpokeDevices *self, guint index)
{
    return g_ptr_array_index(self->entries, index);
}

static const char *
key_of(SpokeDevice *device)
{
    return spoke_device_get_identity(device)->key;
}

static Entry *
insert(SpokeDevices *self, SpokeDevice *device, SpokeDeviceConfig *own)
{
    Entry *entry = g_new0(Entry, 1);

    entry->device = device;
    entry->own = own;
    g_ptr_array_add(self->entries, entry);
    g_hash_table_insert(self->by_name, (char *)spoke_device_get_name(device), entry);
    g_hash_table_add(self->keys, (char *)key_of(device));
    if (self->events.added != NULL)
        self->events.added(device, self->user_data);
    return entry;
}

static void
take_out(SpokeDevices *self, Entry *entry)
{
    if (self->events.removed != NULL)
        self->events.removed(entry->device, self->user_data);
    g_hash_table_remove(self->by_name, spoke_device_get_name(entry->device));
    g_hash_table_remove(self->keys, key_of(entry->device));
    g_ptr_array_remove(self->entries, entry);
    spoke_lines_prune(self->around.lines);
}

/* @staying: names that the configuration goes on with; NULL: all do */
static gboolean
is_taken(SpokeDevices *self, const char *key, GHashTable *staying)
{
    for (guint i = 0; i < self->entries->len; i++) {
        SpokeDevice *device = nth(self, i)->device;

        if (g_str_equal(key_of(device), key) &&
            (staying == NULL || nth(self, i)->own != NULL ||
             g_hash_table_contains(staying, spoke_device_get_name(device))))
            return TRUE;
    }
    return FALSE;
}

static gboolean
check_new(SpokeDevices *self, const SpokeDeviceConfig *own, GHashTable *staying, GError **error)
{
    const SpokeConnectionString *string = own->connection_string;
    g_autoptr(SpokeIdentity) identity =
        spoke_identity_new(own->name, string->host_name, string->device_id, string->module_id);

    if (g_hash_table_contains(self->by_name, own->name)) {
        g_set_error(error, SPOKE_ERROR, SPOKE_ERROR_DEVICE_EXISTS,
                    "There is a device with the name %s already", own->name);
        return FALSE;
    }
    if (g_hash_table_contains(self->keys, identity->key) &&
        is_taken(self, identity->key, staying)) {
        g_set_error(error, SPOKE_ERROR, SPOKE_ERROR_DEVICE_EXISTS,
                    "The device %s of %s is there already, under another name", identity->device_id,
                    identity->hub);
        return FALSE;
    }
    if (self->entries->len >= SPOKE_DEVICES_MAX) {
        g_set_error(error, SPOKE_ERROR, SPOKE_ERROR_LIMIT_REACHED,
                    "%u devices are there, the limit is %u", self->entries->len, SPOKE_DEVICES_MAX);
        return FALSE;
    }
    return TRUE;
}

/* From the configuration: one that no connection can carry is there all the same, and says why. */
static gboolean
add_configured(SpokeDevices *self, const SpokeDeviceConfig *own, GError **error)
{
    SpokeDevice *device = spoke_device_new(&self->around, self->config, own, error);

    if (device == NULL)
        return FALSE;
    (void)insert(self, device, NULL);
    (void)spoke_device_join(device, self->config, own, NULL);
    return TRUE;
}

static void
on_certificates_changed(gpointer user_data)
{
    SpokeDevices *self = user_data;

    if (self->certificates_changed != NULL && !self->is_stopping)
        self->certificates_changed(self->certificates_data);
}

SpokeDevices *
spoke_devices_new_from(SpokeSpool *spool, const SpokeConfig *config, const char *transport_dir,
                       SpokeClockShare *clock, SpokeLines *lines, GError **error)
{
    g_autoptr(SpokeDevices) self = g_new0(SpokeDevices, 1);

    self->transport_dir = g_strdup(transport_dir);
    self->around = (SpokeSurroundings){
        .spool = spool,
        .clock = clock,
        .lines = lines,
        .watch = spoke_file_watch_new(SPOKE_FILE_WATCH_QUIET_MSEC, on_certificates_changed, self),
        .transport_dir = self->transport_dir,
    };
    self->config = config;
    self->entries = g_ptr_array_new_with_free_func((GDestroyNotify)entry_free);
    self->by_name = g_hash_table_new(g_str_hash, g_str_equal);
    self->keys = g_hash_table_new(g_str_hash, g_str_equal);
    for (guint i = 0; i < config->devices->len; i++) {
        if (!add_configured(self, g_ptr_array_index(config->devices, i), error))
            return NULL;
    }
    return g_steal_pointer(&self);
}

SpokeDevices *
spoke_devices_new(SpokeSpool *spool, const SpokeConfig *config, const char *transport_dir,
                  GError **error)
{
    SpokeClock *clock = spoke_clock_new(error);

    if (clock == NULL)
        return NULL;

    SpokeClockShare *share = spoke_clock_share_new(clock);

    return spoke_devices_new_from(spool, config, transport_dir, share, spoke_lines_new(share),
                                  error);
}

void
spoke_devices_free(SpokeDevices *self)
{
    if (self == NULL)
        return;

    g_hash_table_unref(self->by_name);
    g_hash_table_unref(self->keys);
    g_ptr_array_unref(self->entries);
    spoke_lines_free(self->around.lines);
    spoke_file_watch_free(self->around.watch);
    spoke_clock_share_unref(self->around.clock);
    g_free(self->transport_dir);
    g_free(self);
}

void
spoke_devices_set_events(SpokeDevices *self, const SpokeDevicesEvents *events, gpointer user_data)
{
    self->events = *events;
    self->user_data = user_data;
}

void
spoke_devices_watch_certificates(SpokeDevices *self, void (*changed)(gpointer), gpointer user_data)
{
    self->certificates_changed = changed;
    self->certificates_data = user_data;
}

void
spoke_devices_start(SpokeDevices *self)
{
    spoke_lines_start(self->around.lines);
}

/* Whether every device of @config that is there may change so, and every one that is not may come.
 */
static gboolean
check_config(SpokeDevices *self, const SpokeConfig *config, GError **error)
{
    g_autoptr(GHashTable) staying = g_hash_table_new(g_str_hash, g_str_equal);

    for (guint i = 0; i < config->devices->len; i++)
        g_hash_table_add(staying, ((SpokeDeviceConfig *)config->devices->pdata[i])->name);
    for (guint i = 0; i < config->devices->len; i++) {
        const SpokeDeviceConfig *own = g_ptr_array_index(config->devices, i);
        const Entry *entry = g_hash_table_lookup(self->by_name, own->name);
        gboolean ok;

        if (entry == NULL) {
            ok = check_new(self, own, staying, error);
        } else if (entry->own != NULL) {
            g_set_error(error, SPOKE_ERROR, SPOKE_ERROR_DEVICE_EXISTS,
                        "it has been added while the daemon ran; remove it first");
            ok = FALSE;
        } else {
            ok = spoke_device_check(entry->device, own, error);
        }
        if (!ok) {
            if (i > 0)
                g_prefix_error(error, "[Device %s]: ", own->name);
            return FALSE;
        }
    }
    return TRUE;
}

static gboolean
take_up(SpokeDevices *self, const SpokeDeviceConfig *own, GError **error)
{
    Entry *entry = g_hash_table_lookup(self->by_name, own->name);

    if (entry == NULL) {
        if (!add_configured(self, own, error))
            return FALSE;
    } else {
        spoke_device_reconfigure(entry->device, self->config, own);
    }
    return TRUE;
}

/* Those of the configuration that it does not name any more. */
static void
remove_unwanted(SpokeDevices *self, const SpokeConfig *config)
{
    for (guint i = 0; i < self->entries->len; i++)
        nth(self, i)->is_wanted = nth(self, i)->own != NULL;
    for (guint i = 0; i < config->devices->len; i++) {
        const SpokeDeviceConfig *own = g_ptr_array_index(config->devices, i);
        Entry *entry = g_hash_table_lookup(self->by_name, own->name);

        if (entry != NULL)
            entry->is_wanted = TRUE;
    }
    for (guint i = self->entries->len; i > 0; i--) {
        if (!nth(self, i - 1)->is_wanted)
            take_out(self, nth(self, i - 1));
    }
}

gboolean
spoke_devices_reconfigure(SpokeDevices *self, const SpokeConfig *config, GError **error)
{
    if (!check_config(self, config, error))
        return FALSE;

    self->config = config;
    remove_unwanted(self, config); /* first: one may be there again under another name */
    for (guint i = 0; i < config->devices->len; i++) {
        g_autoptr(GError) why = NULL;

        if (!take_up(self, g_ptr_array_index(config->devices, i), &why))
            g_warning("A device could not be added: %s", why->message);
    }
    for (guint i = 0; i < self->entries->len; i++) {
        if (nth(self, i)->own != NULL)
            spoke_device_reconfigure(nth(self, i)->device, config, nth(self, i)->own);
    }
    spoke_lines_prune(self->around.lines);
    spoke_lines_retry(self->around.lines);
    return TRUE;
}

static void
on_lines_stopped(gpointer user_data)
{
    SpokeDevices *self = user_data;

    for (guint i = 0; i < self->entries->len; i++)
        spoke_device_stopped(nth(self, i)->device);
    self->stopped(self->stopped_data);
}

void
spoke_devices_stop(SpokeDevices *self, gint64 timeout_usec, void (*done)(gpointer),
                   gpointer user_data)
{
    g_return_if_fail(!self->is_stopping);

    self->is_stopping = TRUE;
    self->stopped = done;
    self->stopped_data = user_data;
    for (guint i = 0; i < self->entries->len; i++)
        spoke_device_stop(nth(self, i)->device);
    spoke_lines_stop(self->around.lines, timeout_usec, on_lines_stopped, self);
}

SpokeDevice *
spoke_devices_add(SpokeDevices *self, SpokeDeviceConfig *own, GError **error)
{
    g_autoptr(SpokeDeviceConfig) config = own;

    if (self->is_stopping) {
        g_set_error_literal(error, SPOKE_ERROR, SPOKE_ERROR_SHUTDOWN, "The daemon is stopping");
        return NULL;
    }
    if (!check_new(self, config, NULL, error))
        return NULL;

    g_autoptr(SpokeDevice) device = spoke_device_new(&self->around, self->config, config, error);

    if (device == NULL || !spoke_device_join(device, self->config, config, error)) {
        g_clear_pointer(&device, spoke_device_free);
        spoke_lines_prune(self->around.lines);
        return NULL;
    }
    return insert(self, g_steal_pointer(&device), g_steal_pointer(&config))->device;
}

gboolean
spoke_devices_remove(SpokeDevices *self, const char *name, GError **error)
{
    Entry *entry = g_hash_table_lookup(self->by_name, name);

    if (entry == NULL) {
        g_set_error(error, SPOKE_ERROR, SPOKE_ERROR_NO_SUCH_DEVICE, "There is no device %s", name);
        return FALSE;
    }
    if (g_str_equal(name, SPOKE_DEVICE_SELF)) {
        g_set_error(error, SPOKE_ERROR, SPOKE_ERROR_NOT_PERMITTED,
                    "The device %s is the machine's own, and stays as long as spoked runs", name);
        return FALSE;
    }
    if (entry->own == NULL) {
        g_set_error(error, SPOKE_ERROR, SPOKE_ERROR_NOT_PERMITTED,
                    "The device %s stands in the configuration: take it out there and reload",
                    name);
        return FALSE;
    }
    take_out(self, entry);
    return TRUE;
}

SpokeDevice *
spoke_devices_find(SpokeDevices *self, const char *name)
{
    const Entry *entry = g_hash_table_lookup(self->by_name, name);

    return entry != NULL ? entry->device : NULL;
}

guint
spoke_devices_get_n(SpokeDevices *self)
{
    return self->entries->len;
}

SpokeDevice *
spoke_devices_get_nth(SpokeDevices *self, guint index)
{
    return nth(self, index)->device;
}

guint64
spoke_devices_get_queued(SpokeDevices *self)
{
    guint64 queued = 0;

    for (guint i = 0; i < self->entries->len; i++)
        queued += spoke_outbox_get_messages(spoke_device_get_outbox(nth(self, i)->device));
    return queued;
}

gboolean
spoke_devices_serve(SpokeDevices *self, const char *key)
{
    return g_hash_table_contains(self->keys, key);
}
