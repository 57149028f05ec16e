/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* A short list in memory, written through to hub.db. */

#include "authorities.h"

#include "error.h"
#include "store.h"

#include <string.h>

struct EmuAuthorities {
    EmuStore *store; /* borrowed, outlives us */
    GPtrArray *list; /* owned; EmuAuthority (owned) */
};

static void
authority_free(gpointer data)
{
    EmuAuthority *authority = data;

    if (authority->certificate != NULL)
        gnutls_x509_crt_deinit(authority->certificate);
    g_free(authority->thumbprint);
    g_free(authority->name);
    g_free(authority->pem);
    g_free(authority);
}
G_DEFINE_AUTOPTR_CLEANUP_FUNC(EmuAuthority, authority_free)

static char *
subject_of(gnutls_x509_crt_t certificate)
{
    gnutls_datum_t name = {NULL, 0};

    if (gnutls_x509_crt_get_dn3(certificate, &name, 0) < 0)
        return g_strdup("");
    char *copy = g_strndup((const char *)name.data, name.size);
    gnutls_free(name.data);
    return copy;
}

static EmuAuthority *
read_authority(const char *pem, GError **error)
{
    g_autoptr(EmuAuthority) authority = g_new0(EmuAuthority, 1);
    const gnutls_datum_t datum = {(unsigned char *)pem, (unsigned)strlen(pem)};
    gnutls_datum_t clean = {NULL, 0};

    if (gnutls_x509_crt_init(&authority->certificate) < 0)
        g_error("GnuTLS cannot allocate a certificate");
    if (gnutls_x509_crt_import(authority->certificate, &datum, GNUTLS_X509_FMT_PEM) < 0) {
        g_set_error(error, EMU_ERROR, EMU_ERROR_ARGUMENT, "This is no certificate in PEM form");
        return NULL;
    }
    if (gnutls_x509_crt_get_ca_status(authority->certificate, NULL) <= 0) {
        g_set_error(error, EMU_ERROR, EMU_ERROR_ARGUMENT,
                    "The certificate is not one of an authority (CA:TRUE)");
        return NULL;
    }
    /* A file may hold more than the certificate, even a key: only the certificate is kept. */
    if (gnutls_x509_crt_export2(authority->certificate, GNUTLS_X509_FMT_PEM, &clean) < 0)
        g_error("GnuTLS cannot write a certificate that it has read");
    authority->pem = g_strndup((const char *)clean.data, clean.size);
    gnutls_free(clean.data);
    authority->thumbprint = emu_thumbprint_of(authority->certificate);
    authority->name = subject_of(authority->certificate);
    authority->expiry_sec = gnutls_x509_crt_get_expiration_time(authority->certificate);
    return g_steal_pointer(&authority);
}

EmuAuthorities *
emu_authorities_new(EmuStore *store)
{
    EmuAuthorities *self = g_new0(EmuAuthorities, 1);

    self->store = store;
    self->list = g_ptr_array_new_with_free_func(authority_free);
    sqlite3_stmt *row = emu_store_prepare(store, "SELECT pem FROM authorities ORDER BY thumbprint");
    while (sqlite3_step(row) == SQLITE_ROW) {
        g_autofree char *pem = emu_column_text(row, 0);
        EmuAuthority *authority = read_authority(pem, NULL);
        if (authority != NULL)
            g_ptr_array_add(self->list, authority);
    }
    sqlite3_reset(row);
    return self;
}

void
emu_authorities_free(EmuAuthorities *self)
{
    if (self == NULL)
        return;

    g_ptr_array_unref(self->list);
    g_free(self);
}

const EmuAuthority *
emu_authorities_find(EmuAuthorities *self, const char *thumbprint)
{
    for (guint i = 0; i < self->list->len; i++) {
        const EmuAuthority *authority = g_ptr_array_index(self->list, i);
        if (g_ascii_strcasecmp(authority->thumbprint, thumbprint) == 0)
            return authority;
    }
    return NULL;
}

const EmuAuthority *
emu_authorities_add(EmuAuthorities *self, const char *pem, GError **error)
{
    g_autoptr(EmuAuthority) authority = read_authority(pem, error);

    if (authority == NULL)
        return NULL;
    const EmuAuthority *known = emu_authorities_find(self, authority->thumbprint);
    if (known != NULL)
        return known;
    if (self->list->len == EMU_AUTHORITIES_MAX) {
        g_set_error(error, EMU_ERROR, EMU_ERROR_ARGUMENT, "The hub has its %d authorities already",
                    EMU_AUTHORITIES_MAX);
        return NULL;
    }

    sqlite3_stmt *insert =
        emu_store_prepare(self->store, "INSERT INTO authorities VALUES (?1, ?2)");
    emu_bind_text(insert, 1, authority->thumbprint);
    emu_bind_text(insert, 2, authority->pem);
    if (!emu_store_finish(self->store, insert, error))
        return NULL;
    known = authority;
    g_ptr_array_add(self->list, g_steal_pointer(&authority));
    return known;
}

gboolean
emu_authorities_remove(EmuAuthorities *self, const char *thumbprint, GError **error)
{
    const EmuAuthority *authority = emu_authorities_find(self, thumbprint);

    if (authority == NULL) {
        g_set_error(error, EMU_ERROR, EMU_ERROR_NOT_FOUND, "Authority %s is not registered",
                    thumbprint);
        return FALSE;
    }
    sqlite3_stmt *row =
        emu_store_prepare(self->store, "DELETE FROM authorities WHERE thumbprint = ?1");
    emu_bind_text(row, 1, authority->thumbprint);
    if (!emu_store_finish(self->store, row, error))
        return FALSE;
    g_ptr_array_remove(self->list, (gpointer)authority);
    return TRUE;
}

const GPtrArray *
emu_authorities_list(EmuAuthorities *self)
{
    return self->list;
}

/* The authority's own dates count too: it may have run out since it was registered. */
static guint
valid_now(EmuAuthorities *self, gint64 now_sec, gnutls_x509_crt_t *certificates)
{
    guint n = 0;

    for (guint i = 0; i < self->list->len; i++) {
        const EmuAuthority *authority = g_ptr_array_index(self->list, i);
        if (authority->expiry_sec >= now_sec &&
            gnutls_x509_crt_get_activation_time(authority->certificate) <= now_sec)
            certificates[n++] = authority->certificate;
    }
    return n;
}

gboolean
emu_authorities_check(EmuAuthorities *self, const EmuChain *chain, gint64 now_sec, GError **error)
{
    gnutls_x509_crt_t certificates[EMU_AUTHORITIES_MAX];
    guint n = valid_now(self, now_sec, certificates);

    return emu_chain_check_issuer(chain, certificates, n, now_sec, error);
}
