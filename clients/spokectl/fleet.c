/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "clients/spokectl/fleet.h"

#include <errno.h>

/* Below what the system bus allows a connection to have under way, 128. */
#define CALLS_MAX 32

typedef struct {
    SpokeClient *client; /* borrowed */
    const SpokeFleetFuncs *funcs;
    gpointer user_data;
    char **names; /* owned */
    gsize next;   /* in names; whom to ask */
    guint n_calls;
    gboolean ended; /* done() was called, or must not be */
} Fleet;

static void
end(Fleet *self, const SpokeFailure *failure)
{
    if (!self->ended && (failure == NULL || failure->error != -ECANCELED))
        self->funcs->done(failure, self->user_data);
    self->ended = TRUE;
}

static void
fail_errno(Fleet *self, int error)
{
    const SpokeFailure failure = {
        .error = error,
        .name = "org.spoked1.Error.Failed",
        .text = g_strerror(-error),
    };

    end(self, &failure);
}

static void on_status(SpokeClient *client, const SpokeStatus *status, const SpokeFailure *failure,
                      void *user_data);

/* Asks on. Frees @self when there is nothing left to wait for. */
static void
go_on(Fleet *self)
{
    while (!self->ended && self->n_calls < CALLS_MAX && self->names[self->next] != NULL) {
        int r = spoke_client_get_device_status(self->client, self->names[self->next++], on_status,
                                               self);
        if (r < 0)
            fail_errno(self, r);
        else
            self->n_calls++;
    }
    if (self->n_calls > 0)
        return;
    end(self, NULL);
    g_strfreev(self->names);
    g_free(self);
}

static void
on_status(SpokeClient *client, const SpokeStatus *status, const SpokeFailure *failure,
          void *user_data)
{
    Fleet *self = user_data;

    self->n_calls--;
    if (status != NULL && !self->ended)
        self->funcs->device(status, self->user_data);
    else if (failure != NULL && failure->error != -ENODEV)
        end(self, failure);
    go_on(self);
}

static void
on_devices(SpokeClient *client, const char *const *names, size_t n, const SpokeFailure *failure,
           void *user_data)
{
    Fleet *self = user_data;

    self->names = g_new0(char *, n + 1);
    for (size_t i = 0; i < n; i++)
        self->names[i] = g_strdup(names[i]);
    if (failure != NULL)
        end(self, failure);
    go_on(self);
}

int
spoke_fleet_read(SpokeClient *client, const SpokeFleetFuncs *funcs, gpointer user_data)
{
    Fleet *self = g_new0(Fleet, 1);

    self->client = client;
    self->funcs = funcs;
    self->user_data = user_data;
    int r = spoke_client_list_devices(client, on_devices, self);
    if (r < 0)
        g_free(self);
    return r;
}
