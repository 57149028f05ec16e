/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "dbus/caller.h"

#include "daemon/error.h"
#include "dbus/process.h"
#include "dbus/quota.h"

#include <string.h>

/*
 * A caller goes through: looked up → known → gone. The look-up is two messages to the bus driver,
 * sent together: a match that tells when the name loses its owner, then the question for its
 * credentials. The driver serves them in that order, so a caller that is there when the answer is
 * made can't leave unnoticed; one that has left already gets an error for an answer.
 *
 * sd_bus_track and sd_bus_query_sender_creds() would do the same and wait for the driver, on the
 * main loop.
 */
#define DRIVER_NAME      "org.freedesktop.DBus"
#define DRIVER_PATH      "/org/freedesktop/DBus"
#define DRIVER_INTERFACE "org.freedesktop.DBus"

struct SpokeCallers {
    guint ref_count;
    sd_bus *bus;         /* owned */
    GHashTable *by_name; /* owned: name (the caller's) → SpokeCaller (a reference) */
    SpokeQuota *quota;   /* owned: of what callers hold */
    guint64 uses;
    size_t bytes; /* in calls that wait for their answer */
    void (*left)(const char *name, gpointer user_data);
    gpointer left_data;
};

struct SpokeCaller {
    guint ref_count;
    SpokeCallers *callers;    /* a reference */
    char *name;               /* owned */
    sd_bus_slot *match_slot;  /* owned; NULL once forgotten */
    sd_bus_slot *lookup_slot; /* owned; NULL once known */
    GQueue waiting;           /* of Waiting */
    gboolean is_tracked;      /* the match is in force */
    gboolean is_known;
    gboolean is_gone;
    guint holds;     /* 0 once gone */
    char *user;      /* owned; NULL if unknown */
    uid_t uid;       /* valid if user */
    GRefString *app; /* owned; set once known */
    guint64 flow;
    guint calls;
    size_t bytes;
    guint64 last_use;
};

typedef struct {
    SpokeCallerFunc func;
    gpointer user_data;
    GDestroyNotify free_data;
} Waiting;

/* What the driver says of a connection. */
typedef struct {
    gboolean has_uid;
    uint32_t uid;
    uint32_t pid; /* 0 if unknown */
    int pidfd;    /* -1, or borrowed from the message */
} Credentials;

static void
callers_unref(SpokeCallers *self)
{
    if (--self->ref_count > 0)
        return;
    g_hash_table_unref(self->by_name);
    spoke_quota_free(self->quota);
    sd_bus_unref(self->bus);
    g_free(self);
}

/* FNV-1a: two senders with the same hash are only kept in order with each other. */
static guint64
hash_text(const char *text)
{
    guint64 hash = G_GUINT64_CONSTANT(0xcbf29ce484222325);

    for (; *text != '\0'; text++)
        hash = (hash ^ (guint8)*text) * G_GUINT64_CONSTANT(0x100000001b3);
    return hash;
}

static void
drop_waiting(SpokeCaller *self)
{
    Waiting *waiting;

    while ((waiting = g_queue_pop_head(&self->waiting)) != NULL) {
        waiting->free_data(waiting->user_data);
        g_free(waiting);
    }
}

/* The table's reference goes, and with the match the last that could come of the caller. */
static void
forget(SpokeCaller *self)
{
    g_clear_pointer(&self->match_slot, sd_bus_slot_unref);
    g_clear_pointer(&self->lookup_slot, sd_bus_slot_unref);
    g_hash_table_remove(self->callers->by_name, self->name);
}

static void
set_gone(SpokeCaller *self)
{
    g_autoptr(SpokeCaller) caller = spoke_caller_ref(self);

    caller->is_gone = TRUE;
    caller->callers->left(caller->name, caller->callers->left_data);
    while (caller->holds > 0)
        spoke_caller_release(caller);
    forget(caller);
}

static int
on_name_owner_changed(sd_bus_message *m, void *userdata, sd_bus_error *ret_error)
{
    SpokeCaller *self = userdata;
    const char *name = NULL;
    const char *old_owner = NULL;
    const char *new_owner = NULL;

    int r = sd_bus_message_read(m, "sss", &name, &old_owner, &new_owner);
    if (r < 0)
        return r;
    /* While the look-up runs its answer decides. */
    if (*new_owner == '\0' && self->is_known)
        set_gone(self);
    return 0;
}

static int
on_match_added(sd_bus_message *m, void *userdata, sd_bus_error *ret_error)
{
    SpokeCaller *self = userdata;

    self->is_tracked = !sd_bus_message_is_method_error(m, NULL);
    if (!self->is_tracked)
        g_warning("The bus does not let us watch %s: %s", self->name,
                  sd_bus_message_get_error(m)->message);
    return 0;
}

static int
read_credential(sd_bus_message *m, Credentials *credentials)
{
    const char *key = NULL;

    int r = sd_bus_message_read_basic(m, 's', &key);
    if (r < 0)
        return r;
    if (g_str_equal(key, "UnixUserID")) {
        r = sd_bus_message_read(m, "v", "u", &credentials->uid);
        credentials->has_uid = r >= 0;
        return r;
    }
    if (g_str_equal(key, "ProcessID"))
        return sd_bus_message_read(m, "v", "u", &credentials->pid);
    if (g_str_equal(key, "ProcessFD"))
        return sd_bus_message_read(m, "v", "h", &credentials->pidfd);
    return sd_bus_message_skip(m, "v");
}

/* Source: D-Bus Specification, org.freedesktop.DBus.GetConnectionCredentials. */
static int
read_credentials(sd_bus_message *m, Credentials *credentials)
{
    int r = sd_bus_message_enter_container(m, 'a', "{sv}");
    if (r < 0)
        return r;
    while ((r = sd_bus_message_enter_container(m, 'e', "sv")) > 0) {
        r = read_credential(m, credentials);
        if (r < 0)
            return r;
        r = sd_bus_message_exit_container(m);
        if (r < 0)
            return r;
    }
    return r;
}

static void
stamp(SpokeCaller *self, const Credentials *credentials)
{
    g_auto(SpokeProcess) process = {NULL};
    g_autofree char *user = NULL;
    g_autofree char *app = NULL;
    g_autofree char *flow = NULL;

    if (credentials->has_uid) {
        self->uid = credentials->uid;
        self->user = g_strdup_printf("%u", credentials->uid);
        user = spoke_process_format_user(credentials->uid);
    }
    gboolean found =
        credentials->has_uid &&
        spoke_process_read((pid_t)credentials->pid, credentials->uid, credentials->pidfd, &process);
    if (process.unit != NULL) {
        app = g_strdup(process.unit);
        flow = g_strdup(process.unit);
    } else if (found) {
        app = g_strconcat(user, "/", process.comm, NULL);
        flow = g_strdup_printf("%u:%" G_GUINT64_FORMAT, credentials->pid, process.start_time);
    } else {
        app = user != NULL ? g_strconcat(user, "/unknown", NULL) : g_strdup("unknown");
        flow = g_strdup(self->name);
    }

    self->app = g_ref_string_new(app);
    self->flow = hash_text(flow);
}

static void
run_waiting(SpokeCaller *self)
{
    Waiting *waiting;

    while ((waiting = g_queue_pop_head(&self->waiting)) != NULL) {
        waiting->func(self, waiting->user_data);
        g_free(waiting);
    }
}

static int
on_credentials(sd_bus_message *m, void *userdata, sd_bus_error *ret_error)
{
    g_autoptr(SpokeCaller) self = spoke_caller_ref(userdata);
    Credentials credentials = {.pidfd = -1};
    gboolean failed = sd_bus_message_is_method_error(m, NULL);

    if (!failed && read_credentials(m, &credentials) < 0)
        g_warning("The bus gave credentials of %s that can't be read", self->name);
    stamp(self, &credentials);
    self->is_known = TRUE;
    self->is_gone = failed;
    g_clear_pointer(&self->lookup_slot, sd_bus_slot_unref);

    run_waiting(self);
    if (failed)
        set_gone(self);
    else if (!self->is_tracked)
        forget(self);
    return 0;
}

static int
look_up(SpokeCaller *self)
{
    sd_bus *bus = self->callers->bus;
    g_autofree char *match =
        g_strdup_printf("type='signal',sender='" DRIVER_NAME "',path='" DRIVER_PATH
                        "',interface='" DRIVER_INTERFACE "',member='NameOwnerChanged',arg0='%s'",
                        self->name);

    int r = sd_bus_add_match_async(bus, &self->match_slot, match, on_name_owner_changed,
                                   on_match_added, self);
    if (r < 0)
        return r;
    return sd_bus_call_method_async(bus, &self->lookup_slot, DRIVER_NAME, DRIVER_PATH,
                                    DRIVER_INTERFACE, "GetConnectionCredentials", on_credentials,
                                    self, "s", self->name);
}

/* The one that was used longest ago among those that can be forgotten. */
static SpokeCaller *
find_idle(SpokeCallers *self)
{
    SpokeCaller *idle = NULL;
    GHashTableIter iter;
    gpointer value;

    g_hash_table_iter_init(&iter, self->by_name);
    while (g_hash_table_iter_next(&iter, NULL, &value)) {
        SpokeCaller *caller = value;
        if (!caller->is_known || caller->holds > 0 || caller->calls > 0)
            continue;
        if (idle == NULL || caller->last_use < idle->last_use)
            idle = caller;
    }
    return idle;
}

static gboolean
make_room(SpokeCallers *self, GError **error)
{
    if (g_hash_table_size(self->by_name) < SPOKE_CALLERS_MAX)
        return TRUE;

    SpokeCaller *idle = find_idle(self);
    if (idle == NULL) {
        g_set_error(error, SPOKE_ERROR, SPOKE_ERROR_LIMIT_REACHED,
                    "%u programs are being served already, which is the limit; try again",
                    SPOKE_CALLERS_MAX);
        return FALSE;
    }
    forget(idle);
    return TRUE;
}

static SpokeCaller *
caller_new(SpokeCallers *callers, const char *name)
{
    SpokeCaller *self = g_new0(SpokeCaller, 1);

    self->ref_count = 1;
    self->callers = callers;
    callers->ref_count++;
    self->name = g_strdup(name);
    g_queue_init(&self->waiting);
    return self;
}

SpokeCallers *
spoke_callers_new(sd_bus *bus, void (*left)(const char *, gpointer), gpointer user_data)
{
    SpokeCallers *self = g_new0(SpokeCallers, 1);

    self->ref_count = 1;
    self->bus = sd_bus_ref(bus);
    self->by_name =
        g_hash_table_new_full(g_str_hash, g_str_equal, NULL, (GDestroyNotify)spoke_caller_unref);
    self->quota = spoke_quota_new();
    self->left = left;
    self->left_data = user_data;
    return self;
}

void
spoke_callers_free(SpokeCallers *callers)
{
    GHashTableIter iter;
    gpointer value;

    if (callers == NULL)
        return;
    g_hash_table_iter_init(&iter, callers->by_name);
    while (g_hash_table_iter_next(&iter, NULL, &value)) {
        SpokeCaller *caller = value;
        g_clear_pointer(&caller->match_slot, sd_bus_slot_unref);
        g_clear_pointer(&caller->lookup_slot, sd_bus_slot_unref);
        drop_waiting(caller);
    }
    g_hash_table_remove_all(callers->by_name);
    callers_unref(callers);
}

SpokeCaller *
spoke_callers_get(SpokeCallers *callers, const char *name, GError **error)
{
    SpokeCaller *caller = g_hash_table_lookup(callers->by_name, name);

    if (caller == NULL) {
        if (!make_room(callers, error))
            return NULL;
        caller = caller_new(callers, name);
        g_hash_table_insert(callers->by_name, caller->name, caller);
        int r = look_up(caller);
        if (r < 0) {
            forget(caller);
            g_set_error(error, SPOKE_ERROR, SPOKE_ERROR_FAILED,
                        "The bus can't be asked who is calling: %s", g_strerror(-r));
            return NULL;
        }
    }
    caller->last_use = ++callers->uses;
    return caller;
}

void
spoke_caller_when_known(SpokeCaller *caller, SpokeCallerFunc func, gpointer user_data,
                        GDestroyNotify free_data)
{
    /* While the waiting ones are being run, a new one goes behind them. */
    if (caller->is_known && g_queue_is_empty(&caller->waiting)) {
        func(caller, user_data);
        return;
    }

    Waiting *waiting = g_new(Waiting, 1);
    *waiting = (Waiting){func, user_data, free_data};
    g_queue_push_tail(&caller->waiting, waiting);
}

SpokeCaller *
spoke_caller_ref(SpokeCaller *caller)
{
    caller->ref_count++;
    return caller;
}

void
spoke_caller_unref(SpokeCaller *caller)
{
    if (caller == NULL || --caller->ref_count > 0)
        return;
    sd_bus_slot_unref(caller->match_slot);
    sd_bus_slot_unref(caller->lookup_slot);
    drop_waiting(caller);
    g_clear_pointer(&caller->app, g_ref_string_release);
    g_free(caller->user);
    g_free(caller->name);
    callers_unref(caller->callers);
    g_free(caller);
}

gboolean
spoke_caller_enter(SpokeCaller *caller, size_t bytes, GError **error)
{
    SpokeCallers *callers = caller->callers;

    if (caller->calls >= SPOKE_CALLER_CALLS_MAX) {
        g_set_error(error, SPOKE_ERROR, SPOKE_ERROR_LIMIT_REACHED,
                    "%u calls wait for their answer already, which is the limit; wait for some",
                    SPOKE_CALLER_CALLS_MAX);
        return FALSE;
    }
    if (caller->calls > 0 && caller->bytes + bytes > SPOKE_CALLER_BYTES_MAX) {
        g_set_error(error, SPOKE_ERROR, SPOKE_ERROR_LIMIT_REACHED,
                    "Calls with %zu bytes wait for their answer, the limit is %u; wait for some",
                    caller->bytes, SPOKE_CALLER_BYTES_MAX);
        return FALSE;
    }
    if (callers->bytes > 0 && callers->bytes + bytes > SPOKE_CALLERS_BYTES_MAX) {
        g_set_error(error, SPOKE_ERROR, SPOKE_ERROR_LIMIT_REACHED,
                    "All programs' calls together have %zu bytes and wait for their answer, the "
                    "limit is %u; try again",
                    callers->bytes, SPOKE_CALLERS_BYTES_MAX);
        return FALSE;
    }

    caller->calls++;
    caller->bytes += bytes;
    callers->bytes += bytes;
    return TRUE;
}

void
spoke_caller_leave(SpokeCaller *caller, size_t bytes)
{
    caller->calls--;
    caller->bytes -= bytes;
    caller->callers->bytes -= bytes;
}

gboolean
spoke_caller_is_present(SpokeCaller *caller)
{
    return caller->user != NULL && caller->is_tracked && !caller->is_gone;
}

gboolean
spoke_caller_hold(SpokeCaller *caller, GError **error)
{
    if (!spoke_caller_is_present(caller)) {
        g_set_error_literal(error, SPOKE_ERROR, SPOKE_ERROR_NOT_PERMITTED,
                            "The bus does not know who is calling");
        return FALSE;
    }
    if (!spoke_quota_take(caller->callers->quota, caller->uid, error))
        return FALSE;
    caller->holds++;
    return TRUE;
}

void
spoke_caller_release(SpokeCaller *caller)
{
    if (caller->holds == 0)
        return; /* it has left meanwhile */
    caller->holds--;
    spoke_quota_give(caller->callers->quota, caller->uid);
}

const char *
spoke_caller_get_name(SpokeCaller *caller)
{
    return caller->name;
}

gboolean
spoke_caller_get_uid(SpokeCaller *caller, uid_t *ret_uid)
{
    if (caller->user == NULL)
        return FALSE;
    *ret_uid = caller->uid;
    return TRUE;
}

const char *
spoke_caller_get_user(SpokeCaller *caller)
{
    return caller->user;
}

GRefString *
spoke_caller_get_app(SpokeCaller *caller)
{
    return caller->app;
}

guint64
spoke_caller_get_flow(SpokeCaller *caller)
{
    return caller->flow;
}
