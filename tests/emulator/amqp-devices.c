/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* A table by name. A device's token covers its modules, so a module may be in the table without a
 * token of its own. */

#include "amqp-devices.h"

#include "amqp-session.h"

struct EmuAmqpDevices {
    GHashTable *table;      /* owned; name (in the entry) → EmuAmqpDevice (owned) */
    gint64 next_expiry_sec; /* 0: to be looked for */
};

static void
device_free(gpointer data)
{
    EmuAmqpDevice *device = data;

    g_clear_pointer(&device->origin, emu_origin_unref);
    g_free(device->device_id);
    g_free(device->name);
    g_free(device);
}

EmuAmqpDevices *
emu_amqp_devices_new(void)
{
    EmuAmqpDevices *self = g_new0(EmuAmqpDevices, 1);

    self->table = g_hash_table_new_full(g_str_hash, g_str_equal, NULL, device_free);
    self->next_expiry_sec = G_MAXINT64;
    return self;
}

void
emu_amqp_devices_free(EmuAmqpDevices *self)
{
    if (self == NULL)
        return;

    g_hash_table_unref(self->table);
    g_free(self);
}

guint
emu_amqp_devices_count(EmuAmqpDevices *self)
{
    return g_hash_table_size(self->table);
}

guint
emu_amqp_devices_connected(EmuAmqpDevices *self)
{
    GHashTableIter iter;
    gpointer value = NULL;
    guint connected = 0;

    g_hash_table_iter_init(&iter, self->table);
    while (g_hash_table_iter_next(&iter, NULL, &value)) {
        const EmuAmqpDevice *device = value;
        connected += device->link.identity != NULL;
    }
    return connected;
}

static char *
name_of(const EmuIdentity *identity)
{
    return identity->module_id == NULL
               ? g_strdup(identity->device_id)
               : g_strconcat(identity->device_id, "/", identity->module_id, NULL);
}

EmuAmqpDevice *
emu_amqp_devices_find(EmuAmqpDevices *self, const EmuIdentity *identity)
{
    g_autofree char *name = name_of(identity);

    return g_hash_table_lookup(self->table, name);
}

EmuAmqpDevice *
emu_amqp_devices_add(EmuAmqpDevices *self, EmuAmqpSession *session, const EmuIdentity *identity)
{
    EmuAmqpDevice *device = emu_amqp_devices_find(self, identity);

    if (device != NULL || emu_amqp_devices_count(self) >= EMU_AMQP_DEVICES_MAX)
        return device;
    device = g_new0(EmuAmqpDevice, 1);
    device->session = session;
    device->name = name_of(identity);
    device->device_id = g_strdup(identity->device_id);
    g_hash_table_insert(self->table, device->name, device);
    return device;
}

GPtrArray *
emu_amqp_devices_list(EmuAmqpDevices *self)
{
    GPtrArray *list = g_ptr_array_sized_new(emu_amqp_devices_count(self));
    GHashTableIter iter;
    gpointer device = NULL;

    g_hash_table_iter_init(&iter, self->table);
    while (g_hash_table_iter_next(&iter, NULL, &device))
        g_ptr_array_add(list, device);
    return list;
}

void
emu_amqp_devices_remove(EmuAmqpDevices *self, EmuAmqpDevice *device)
{
    self->next_expiry_sec = 0;
    g_hash_table_remove(self->table, device->name);
}

void
emu_amqp_devices_grant(EmuAmqpDevices *self, EmuAmqpDevice *device, gint64 expiry_sec)
{
    self->next_expiry_sec = 0;
    device->expiry_sec = expiry_sec;
}

gboolean
emu_amqp_devices_cover(EmuAmqpDevices *self, const EmuIdentity *identity, gint64 now_sec)
{
    const EmuAmqpDevice *own = emu_amqp_devices_find(self, identity);
    const EmuAmqpDevice *device = g_hash_table_lookup(self->table, identity->device_id);

    return (own != NULL && own->expiry_sec > now_sec) ||
           (device != NULL && device->expiry_sec > now_sec);
}

gint64
emu_amqp_devices_next_expiry(EmuAmqpDevices *self)
{
    GHashTableIter iter;
    gpointer value = NULL;

    if (self->next_expiry_sec != 0)
        return self->next_expiry_sec;
    self->next_expiry_sec = G_MAXINT64;
    g_hash_table_iter_init(&iter, self->table);
    while (g_hash_table_iter_next(&iter, NULL, &value)) {
        const EmuAmqpDevice *device = value;
        if (device->expiry_sec != 0)
            self->next_expiry_sec = MIN(self->next_expiry_sec, device->expiry_sec);
    }
    return self->next_expiry_sec;
}
