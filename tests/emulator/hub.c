/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Ties the hub's parts together and holds what none of them can know alone: which link serves
 * which identity. One link per identity; the newer closes the older. One timer serves all that
 * runs out by itself: locks and lives of C2D messages, and faults. */

#include "hub.h"

#include "c2d.h"
#include "error.h"
#include "faults.h"
#include "store.h"
#include "timer.h"

struct EmuHub {
    EmuHubOptions options;   /* owned */
    EmuStore *store;         /* owned */
    EmuRegistry *registry;   /* owned */
    EmuTelemetry *telemetry; /* owned */
    EmuC2d *c2d;             /* owned */
    EmuFaults *faults;       /* owned */
    GPtrArray *links;        /* owned; EmuLink (borrowed) */
    EmuHubStats stats;
    GSource *timer; /* owned */
};

static void
disconnect_free(EmuDisconnect *disconnect)
{
    g_free(disconnect->device_id);
    g_free(disconnect->reason);
    g_free(disconnect);
}

/* Deadlines of C2D are wall clock, which may jump: never sleep through that for long. */
#define NAP_USEC ((gint64)30 * G_USEC_PER_SEC)

/* Sets the timer for whatever runs out next. */
static void
arm_timer(EmuHub *self)
{
    gint64 now_usec = g_get_monotonic_time();
    gint64 ready_usec = emu_faults_next_deadline(self->faults);
    gint64 c2d_usec = emu_c2d_next_deadline(self->c2d);

    if (c2d_usec != G_MAXINT64)
        ready_usec =
            MIN(ready_usec, now_usec + CLAMP(c2d_usec - emu_hub_now_usec(self), 0, NAP_USEC));
    g_source_set_ready_time(self->timer, ready_usec == G_MAXINT64 ? -1 : ready_usec);
}

static gboolean
on_timer(gpointer user_data)
{
    EmuHub *self = user_data;

    emu_faults_expire(self->faults, g_get_monotonic_time());
    emu_c2d_expire(self->c2d, emu_hub_now_usec(self));
    arm_timer(self);
    return G_SOURCE_CONTINUE;
}

static void
on_c2d_ready(const char *device_id, gpointer user_data)
{
    EmuHub *self = user_data;
    EmuIdentity *identity = emu_registry_find(self->registry, device_id, NULL);

    if (identity != NULL && identity->link != NULL)
        identity->link->ops->wake(identity->link->self);
}

static void
on_c2d_sooner(gpointer user_data)
{
    arm_timer(user_data);
}

static const EmuC2dEvents c2d_events = {.ready = on_c2d_ready, .sooner = on_c2d_sooner};

static void
on_faults_changed(gpointer user_data)
{
    EmuHub *self = user_data;

    /* A moved clock may have ended locks and lives. */
    g_source_set_ready_time(self->timer, 0);
    emu_hub_wake_all(self);
}

EmuHub *
emu_hub_new(const EmuHubOptions *options, GError **error)
{
    g_autoptr(EmuHub) self = g_new0(EmuHub, 1);
    g_autofree char *file = g_build_filename(options->state_dir, "hub.db", NULL);

    self->options = *options;
    self->options.host = g_strdup(options->host);
    self->options.state_dir = g_strdup(options->state_dir);
    self->options.journal = g_strdup(options->journal);
    self->links = g_ptr_array_new();
    self->stats.started_usec = g_get_monotonic_time();
    g_queue_init(&self->stats.disconnects);
    self->timer = emu_timer_new(on_timer, self);

    self->store = emu_store_open(file, error);
    if (self->store == NULL)
        return NULL;
    self->telemetry = emu_telemetry_new(options->keep, options->journal, error);
    if (self->telemetry == NULL)
        return NULL;

    const EmuC2dLimits limits = {
        .lock_usec = options->lock_sec * G_USEC_PER_SEC,
        .max_deliveries = options->max_deliveries,
        .count_locks = options->count_locks,
        .ttl_usec = options->c2d_ttl_sec * G_USEC_PER_SEC,
    };
    self->registry = emu_registry_new(self->store);
    self->faults = emu_faults_new(on_faults_changed, self);
    self->c2d = emu_c2d_new(self->store, &limits, &c2d_events, self);
    arm_timer(self);
    return g_steal_pointer(&self);
}

void
emu_hub_free(EmuHub *self)
{
    if (self == NULL)
        return;

    if (self->registry != NULL)
        emu_hub_drop(self, NULL, "hub-stopping");
    emu_source_clear(&self->timer);
    emu_c2d_free(self->c2d);
    emu_faults_free(self->faults);
    emu_telemetry_free(self->telemetry);
    emu_registry_free(self->registry);
    emu_store_free(self->store);
    g_queue_clear_full(&self->stats.disconnects, (GDestroyNotify)disconnect_free);
    g_ptr_array_unref(self->links);
    g_free(self->options.host);
    g_free(self->options.state_dir);
    g_free(self->options.journal);
    g_free(self);
}

const EmuHubOptions *
emu_hub_options(EmuHub *self)
{
    return &self->options;
}

EmuStore *
emu_hub_store(EmuHub *self)
{
    return self->store;
}

EmuRegistry *
emu_hub_registry(EmuHub *self)
{
    return self->registry;
}

EmuTelemetry *
emu_hub_telemetry(EmuHub *self)
{
    return self->telemetry;
}

EmuC2d *
emu_hub_c2d(EmuHub *self)
{
    return self->c2d;
}

EmuFaults *
emu_hub_faults(EmuHub *self)
{
    return self->faults;
}

EmuHubStats *
emu_hub_stats(EmuHub *self)
{
    return &self->stats;
}

gint64
emu_hub_now_usec(EmuHub *self)
{
    return g_get_real_time() + emu_faults_skew_usec(self->faults);
}

void
emu_hub_add_link(EmuHub *self, EmuLink *link)
{
    g_ptr_array_add(self->links, link);
}

void
emu_hub_attach(EmuHub *self, EmuLink *link, EmuIdentity *identity, const char *client_id)
{
    if (identity->link != NULL) {
        self->stats.evicted++;
        identity->link->ops->close(identity->link->self,
                                   "evicted: 400027 ConnectionForcefullyClosedOnNewConnection");
    }

    link->identity = identity;
    identity->link = link;
    g_free(identity->client_id);
    identity->client_id = g_strdup(client_id);
    identity->connected_since_usec = identity->last_activity_usec = emu_hub_now_usec(self);
    self->stats.accepted++;
    self->stats.open++;
    g_message("%s connected", client_id);
}

static void
remember_disconnect(EmuHub *self, const EmuIdentity *identity, const char *reason)
{
    EmuDisconnect *disconnect = g_new0(EmuDisconnect, 1);

    disconnect->device_id = identity->module_id == NULL
                                ? g_strdup(identity->device_id)
                                : g_strconcat(identity->device_id, "/", identity->module_id, NULL);
    disconnect->reason = g_strdup(reason);
    disconnect->time_usec = emu_hub_now_usec(self);
    g_message("%s disconnected: %s", disconnect->device_id, reason);
    g_queue_push_head(&self->stats.disconnects, disconnect);
    if (self->stats.disconnects.length > EMU_HUB_DISCONNECTS_MAX)
        disconnect_free(g_queue_pop_tail(&self->stats.disconnects));
}

void
emu_hub_remove_link(EmuHub *self, EmuLink *link, const char *reason)
{
    EmuIdentity *identity = g_steal_pointer(&link->identity);

    g_ptr_array_remove_fast(self->links, link);
    if (identity == NULL)
        return;

    self->stats.open--;
    remember_disconnect(self, identity, reason);
    identity->link = NULL;
    identity->connected_since_usec = 0;
    g_free(identity->disconnect_reason);
    identity->disconnect_reason = g_strdup(reason);
}

guint
emu_hub_drop(EmuHub *self, const char *device_id, const char *reason)
{
    g_autoptr(GPtrArray) links = g_ptr_array_copy(self->links, NULL, NULL);
    guint dropped = 0;

    for (guint i = 0; i < links->len; i++) {
        EmuLink *link = g_ptr_array_index(links, i);
        if (!g_ptr_array_find(self->links, link, NULL))
            continue;
        const char *owner = link->identity != NULL ? link->identity->device_id : link->visitor;
        if (owner == NULL || (device_id != NULL && !g_str_equal(owner, device_id)))
            continue;
        link->ops->close(link->self, reason);
        dropped++;
    }
    return dropped;
}

void
emu_hub_wake_all(EmuHub *self)
{
    g_autoptr(GPtrArray) links = g_ptr_array_copy(self->links, NULL, NULL);

    for (guint i = 0; i < links->len; i++) {
        EmuLink *link = g_ptr_array_index(links, i);
        if (g_ptr_array_find(self->links, link, NULL))
            link->ops->wake(link->self);
    }
}

EmuIdentity *
emu_hub_put_identity(EmuHub *self, const char *device_id, const char *module_id,
                     const EmuIdentityChange *change, gboolean *ret_created, GError **error)
{
    EmuIdentity *identity =
        emu_registry_put(self->registry, device_id, module_id, change, ret_created, error);

    if (identity == NULL || identity->enabled)
        return identity;
    if (module_id == NULL)
        emu_hub_drop(self, device_id, "device-disabled");
    else if (identity->link != NULL)
        identity->link->ops->close(identity->link->self, "module-disabled");
    return identity;
}

gboolean
emu_hub_remove_identity(EmuHub *self, const char *device_id, const char *module_id, GError **error)
{
    EmuIdentity *identity = emu_registry_find(self->registry, device_id, module_id);

    if (identity == NULL) {
        g_set_error(error, EMU_ERROR, EMU_ERROR_NOT_FOUND, "%s %s does not exist",
                    module_id != NULL ? "Module" : "Device",
                    module_id != NULL ? module_id : device_id);
        return FALSE;
    }

    if (module_id == NULL) {
        emu_hub_drop(self, device_id, "device-deleted");
        emu_c2d_forget(self->c2d, device_id);
    } else if (identity->link != NULL) {
        identity->link->ops->close(identity->link->self, "module-deleted");
    }
    return emu_registry_remove(self->registry, identity, error);
}

char *
emu_hub_connection_string(EmuHub *self, const EmuIdentity *identity)
{
    gboolean has_key = identity->authentication == EMU_AUTHENTICATION_SAS;

    return g_strdup_printf("HostName=%s;DeviceId=%s%s%s;%s%s", self->options.host,
                           identity->device_id, identity->module_id != NULL ? ";ModuleId=" : "",
                           identity->module_id != NULL ? identity->module_id : "",
                           has_key ? "SharedAccessKey=" : "x509=true",
                           has_key ? identity->primary_key : "");
}
