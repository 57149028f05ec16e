/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/certificate-keeper.h"

#include "daemon/certificate.h"
#include "daemon/events.h"

/* How long before its end a certificate is complained about. */
#define DAY_SEC      (24 * 3600)
#define DAY_USEC     (DAY_SEC * (gint64)G_USEC_PER_SEC)
#define WARNING_USEC (30 * DAY_USEC)

struct SpokeCertificateKeeper {
    char *device_name;             /* owned */
    SpokeFileWatch *watch;         /* borrowed; NULL: nobody watches */
    char *certificate_file;        /* owned; NULL: there is none, as with the others */
    char *key_file;                /* owned */
    SpokeCertificate *certificate; /* owned; NULL: could not be read */
    guint timer_id;                /* source */
    gint64 complained_day;         /* days since 1970; -1: never */
};

SpokeCertificateKeeper *
spoke_certificate_keeper_new(const char *device_name, SpokeFileWatch *watch)
{
    SpokeCertificateKeeper *self = g_new0(SpokeCertificateKeeper, 1);

    self->device_name = g_strdup(device_name);
    self->watch = watch;
    self->complained_day = -1;
    return self;
}

/* The new before the old: what is both is watched on. */
static void
replace_files(SpokeCertificateKeeper *self, const char *certificate_file, const char *key_file)
{
    g_autofree char *old_certificate_file = g_steal_pointer(&self->certificate_file);
    g_autofree char *old_key_file = g_steal_pointer(&self->key_file);

    self->certificate_file = g_strdup(certificate_file);
    self->key_file = g_strdup(key_file);
    if (self->watch == NULL)
        return;
    if (certificate_file != NULL) {
        spoke_file_watch_add(self->watch, certificate_file);
        spoke_file_watch_add(self->watch, key_file);
    }
    if (old_certificate_file != NULL) {
        spoke_file_watch_remove(self->watch, old_certificate_file);
        spoke_file_watch_remove(self->watch, old_key_file);
    }
}

void
spoke_certificate_keeper_free(SpokeCertificateKeeper *self)
{
    if (self == NULL)
        return;

    replace_files(self, NULL, NULL);
    g_clear_handle_id(&self->timer_id, g_source_remove);
    spoke_certificate_free(self->certificate);
    g_free(self->device_name);
    g_free(self);
}

static gboolean
on_day(gpointer user_data)
{
    spoke_certificate_keeper_look(user_data, g_get_real_time());
    return G_SOURCE_CONTINUE;
}

void
spoke_certificate_keeper_take(SpokeCertificateKeeper *self, const char *certificate_file,
                              const char *key_file)
{
    g_return_if_fail((certificate_file == NULL) == (key_file == NULL));

    replace_files(self, certificate_file, key_file);
    g_clear_pointer(&self->certificate, spoke_certificate_free);
    if (certificate_file == NULL) {
        g_clear_handle_id(&self->timer_id, g_source_remove);
        return;
    }

    self->certificate = spoke_certificate_read(certificate_file, key_file, NULL);
    if (self->timer_id == 0)
        self->timer_id = g_timeout_add_seconds(DAY_SEC, on_day, self);
    spoke_certificate_keeper_look(self, g_get_real_time());
}

const char *
spoke_certificate_keeper_get_digest(SpokeCertificateKeeper *self)
{
    return self->certificate != NULL ? self->certificate->digest : NULL;
}

gint64
spoke_certificate_keeper_get_expiry(SpokeCertificateKeeper *self)
{
    return self->certificate != NULL ? self->certificate->expiry_usec : 0;
}

/* A reload looks, too: the day is counted by the clock on the wall. */
void
spoke_certificate_keeper_look(SpokeCertificateKeeper *self, gint64 now_usec)
{
    if (self->certificate == NULL || self->complained_day == now_usec / DAY_USEC ||
        self->certificate->expiry_usec - now_usec >= WARNING_USEC)
        return;

    self->complained_day = now_usec / DAY_USEC;
    spoke_event_certificate_expires(self->device_name, self->certificate_file,
                                    self->certificate->expiry_usec, now_usec);
}
