/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/lines.h"

#include "daemon/connection-options.h"
#include "daemon/devices-private.h"
#include "daemon/error.h"
#include "daemon/module.h"
#include "daemon/transport-names.h"

/*
 * A handful of connections, found by walking. One that has lost its last attachment is pruned
 * later, not at once: it has yet to say goodbye.
 */
struct SpokeLines {
    SpokeClockShare *clock; /* owned */
    SpokeConnectionParts parts;
    GPtrArray *connections; /* owned; of SpokeConnection, owned */
    gboolean is_started;

    guint n_stopping;
    void (*stopped)(gpointer); /* NULL unless stopping */
    gpointer stopped_data;
    guint stopped_id; /* source */
};

SpokeLines *
spoke_lines_new_from(SpokeClockShare *clock, const SpokeConnectionParts *parts)
{
    SpokeLines *self = g_new0(SpokeLines, 1);

    self->clock = spoke_clock_share_ref(clock);
    self->parts = *parts;
    self->connections = g_ptr_array_new_with_free_func((GDestroyNotify)spoke_connection_free);
    return self;
}

SpokeLines *
spoke_lines_new(SpokeClockShare *clock)
{
    const SpokeConnectionParts parts = {.random = spoke_retry_random, .watches_network = TRUE};

    return spoke_lines_new_from(clock, &parts);
}

void
spoke_lines_free(SpokeLines *self)
{
    if (self == NULL)
        return;

    g_clear_handle_id(&self->stopped_id, g_source_remove);
    g_ptr_array_unref(self->connections);
    spoke_clock_share_unref(self->clock);
    g_free(self);
}

static SpokeConnection *
nth(SpokeLines *self, guint index)
{
    return g_ptr_array_index(self->connections, index);
}

/* One more fits onto it. @options lead to the same transport and place. */
static SpokeConnection *
find_room(SpokeLines *self, const SpokeConnectionOptions *options, guint identities_max)
{
    if (options->certificate_file != NULL)
        return NULL;
    for (guint i = 0; i < self->connections->len; i++) {
        if (spoke_connection_options_equal(spoke_connection_get_options(nth(self, i)), options) &&
            spoke_connection_get_n_attachments(nth(self, i)) < identities_max)
            return nth(self, i);
    }
    return NULL;
}

static SpokeConnection *
add_connection(SpokeLines *self, const SpokeConnectionOptions *options)
{
    SpokeConnectionParts parts = self->parts;

    parts.clock = spoke_clock_share_view(self->clock);

    SpokeConnection *connection = spoke_connection_new_from(options, &parts);

    g_ptr_array_add(self->connections, connection);
    if (self->is_started)
        spoke_connection_start(connection);
    return connection;
}

static gboolean
check_alone(const SpokeConnectionOptions *options, guint identities_max, gboolean may_be_alone,
            GError **error)
{
    if (identities_max == 1) {
        g_autofree char *others = spoke_transport_names_join(2, "and");

        g_set_error(error, SPOKE_ERROR, SPOKE_ERROR_NOT_SUPPORTED,
                    "The transport %s carries one device; %s carry many (set Transport= in [Hub])",
                    options->transport, others);
        return FALSE;
    }
    if (options->certificate_file != NULL && !may_be_alone) {
        g_set_error_literal(error, SPOKE_ERROR, SPOKE_ERROR_NOT_SUPPORTED,
                            "A device with a certificate can't share a connection; "
                            "OwnConnection=yes, or the option own-connection, gives it one "
                            "of its own");
        return FALSE;
    }
    return TRUE;
}

static const SpokeTransportModule *
load_module(SpokeLines *self, const SpokeConnectionOptions *options, GError **error)
{
    return self->parts.module != NULL
               ? self->parts.module
               : spoke_module_load(options->transport_dir, options->transport, error);
}

/* Where it is, if that can stay: others on the same line want the same, or follow. */
static gboolean
keep(SpokeConnection *present, const SpokeConnectionOptions *options, guint identities_max)
{
    const SpokeConnectionOptions *old =
        present != NULL ? spoke_connection_get_options(present) : NULL;

    if (old == NULL || spoke_connection_get_n_attachments(present) > identities_max ||
        (!spoke_connection_options_can_share(old, options) &&
         spoke_connection_get_n_attachments(present) > 1))
        return FALSE;
    spoke_connection_set_options(present, options);
    return TRUE;
}

gboolean
spoke_lines_join(SpokeLines *self, SpokeAttachment *attachment,
                 const SpokeConnectionOptions *options, gboolean is_main, gboolean may_be_alone,
                 GError **error)
{
    SpokeConnection *present = spoke_attachment_get_connection(attachment);
    const SpokeTransportModule *module = is_main ? NULL : load_module(self, options, error);

    if (!is_main && module == NULL)
        return FALSE;
    if (!is_main && (module->identities_max == 1 || options->certificate_file != NULL) &&
        !check_alone(options, module->identities_max, may_be_alone, error)) {
        if (present != NULL)
            spoke_connection_remove(present, attachment);
        return FALSE;
    }
    if (keep(present, options, is_main ? G_MAXUINT : module->identities_max))
        return TRUE;

    if (present != NULL)
        spoke_connection_remove(present, attachment);

    SpokeConnection *connection =
        module != NULL ? find_room(self, options, module->identities_max) : NULL;

    if (connection == NULL)
        connection = add_connection(self, options);
    spoke_connection_add(connection, attachment);
    return TRUE;
}

void
spoke_lines_prune(SpokeLines *self)
{
    for (guint i = self->connections->len; i > 0; i--) {
        if (spoke_connection_get_n_attachments(nth(self, i - 1)) == 0 && self->stopped == NULL &&
            spoke_connection_get_state(nth(self, i - 1)) == SPOKE_CONNECTION_OFFLINE)
            g_ptr_array_remove_index(self->connections, i - 1);
    }
}

void
spoke_lines_start(SpokeLines *self)
{
    self->is_started = TRUE;
    for (guint i = 0; i < self->connections->len; i++)
        spoke_connection_start(nth(self, i));
}

void
spoke_lines_retry(SpokeLines *self)
{
    for (guint i = 0; i < self->connections->len; i++)
        spoke_connection_retry(nth(self, i));
}

static void
on_connection_stopped(gpointer user_data)
{
    SpokeLines *self = user_data;

    if (--self->n_stopping == 0)
        self->stopped(self->stopped_data);
}

static gboolean
on_nothing_to_stop(gpointer user_data)
{
    SpokeLines *self = user_data;

    self->stopped_id = 0;
    self->stopped(self->stopped_data);
    return G_SOURCE_REMOVE;
}

void
spoke_lines_stop(SpokeLines *self, gint64 timeout_usec, void (*done)(gpointer), gpointer user_data)
{
    g_return_if_fail(self->stopped == NULL);

    self->stopped = done;
    self->stopped_data = user_data;
    self->n_stopping = self->connections->len;
    if (self->n_stopping == 0)
        self->stopped_id = g_idle_add_full(G_PRIORITY_DEFAULT, on_nothing_to_stop, self, NULL);
    for (guint i = 0; i < self->connections->len; i++)
        spoke_connection_stop(nth(self, i), timeout_usec, on_connection_stopped, self);
}
