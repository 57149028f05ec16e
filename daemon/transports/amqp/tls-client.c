/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/transports/amqp/tls-client.h"

#include "daemon/transports/amqp/system-trust.h"

/*
 * A connection of GIO's that is to trust the system's certificates holds a copy of them for as long
 * as it lives, and the process another: megabytes, for one glance at the beginning. So it is made
 * to trust nobody, and what it then asks about is verified here: see system-trust.h. With a file of
 * one's own, which is small, GIO does it all.
 */
#define REFUSAL_KEY "spoke-refusal"
#define HOST_KEY    "spoke-host"

static void
note_refusal(GTlsConnection *tls, GTlsCertificateFlags flags)
{
    g_object_set_data(G_OBJECT(tls), REFUSAL_KEY, GUINT_TO_POINTER(flags));
}

static gboolean
on_refused(GTlsConnection *tls, GTlsCertificate *certificate, GTlsCertificateFlags errors,
           gpointer unused)
{
    note_refusal(tls, errors);
    return FALSE;
}

static const char *
get_host(GTlsConnection *tls)
{
    return g_object_get_data(G_OBJECT(tls), HOST_KEY);
}

/* @errors always says that the issuer is not trusted: all is looked at anew. */
static gboolean
on_accept_by_system(GTlsConnection *tls, GTlsCertificate *certificate, GTlsCertificateFlags errors,
                    gpointer unused)
{
    GTlsCertificateFlags flags = spoke_system_trust_verify(certificate, get_host(tls));

    note_refusal(tls, flags);
    return flags == 0;
}

/* (transfer full) (nullable) */
static GTlsDatabase *
load_trust(const char *path, GError **error)
{
    g_autoptr(GError) failure = NULL;
    GList *certificates = g_tls_certificate_list_new_from_file(path, &failure);
    gboolean is_empty = certificates == NULL;

    g_list_free_full(certificates, g_object_unref);

    GTlsDatabase *database = !is_empty ? g_tls_file_database_new(path, &failure) : NULL;

    if (database != NULL)
        return database;
    if (failure != NULL && failure->domain != G_TLS_ERROR)
        g_set_error(error, G_TLS_ERROR, G_TLS_ERROR_MISC, "Cannot read %s: %s", path,
                    failure->message);
    else
        g_set_error(error, G_TLS_ERROR, G_TLS_ERROR_MISC, "%s holds no certificate", path);
    return NULL;
}

static gboolean
show_certificate(GTlsConnection *tls, const SpokeEndpoint *endpoint, GError **error)
{
    const char *path = endpoint->certificate_file;
    const char *key_path = endpoint->key_file != NULL ? endpoint->key_file : path;

    if (path == NULL)
        return TRUE;

    g_autoptr(GTlsCertificate) certificate =
        g_tls_certificate_new_from_files(path, key_path, error);

    if (certificate == NULL) {
        g_prefix_error(error, "Cannot use the client's certificate %s with its key: ", path);
        return FALSE;
    }
    g_tls_connection_set_certificate(tls, certificate);
    return TRUE;
}

/* A bare address is no server name: as a GNetworkAddress it would be sent as one, which servers
 * refuse. Source: RFC 6066, section 3. (transfer full) */
static GSocketConnectable *
make_identity(const SpokeEndpoint *endpoint)
{
    GSocketAddress *address = g_inet_socket_address_new_from_string(endpoint->host, endpoint->port);

    return address != NULL ? G_SOCKET_CONNECTABLE(address)
                           : g_network_address_new(endpoint->host, endpoint->port);
}

GTlsConnection *
spoke_tls_client_new(GIOStream *base, const SpokeEndpoint *endpoint, SpokeCause *ret_cause,
                     GError **error)
{
    g_autoptr(GTlsDatabase) database = NULL;
    g_autoptr(GSocketConnectable) server = make_identity(endpoint);
    GTlsBackend *backend = g_tls_backend_get_default();
    gboolean is_system = endpoint->ca_file == NULL;

    *ret_cause = SPOKE_CAUSE_CERTIFICATE;
    if (!is_system && (database = load_trust(endpoint->ca_file, error)) == NULL)
        return NULL;

    /* The database from the very beginning: made without one, it loads the system's. */
    *ret_cause = SPOKE_CAUSE_TLS;
    g_autoptr(GTlsConnection) tls = g_initable_new(
        g_tls_backend_get_client_connection_type(backend), NULL, error, "base-io-stream", base,
        "server-identity", server, "database", database, "require-close-notify", FALSE, NULL);
    if (tls == NULL)
        return NULL;
    g_object_set_data_full(G_OBJECT(tls), HOST_KEY, g_strdup(endpoint->host), g_free);

    *ret_cause = SPOKE_CAUSE_CREDENTIALS;
    if (!show_certificate(tls, endpoint, error))
        return NULL;

    g_signal_connect(tls, "accept-certificate",
                     is_system ? G_CALLBACK(on_accept_by_system) : G_CALLBACK(on_refused), NULL);
    return g_steal_pointer(&tls);
}

char *
spoke_tls_client_describe_refusal(GTlsConnection *tls)
{
    static const struct {
        GTlsCertificateFlags flag;
        const char *text;
    } rows[] = {
        {G_TLS_CERTIFICATE_UNKNOWN_CA, "its issuer certificate is not trusted here"},
        {G_TLS_CERTIFICATE_NOT_ACTIVATED, "it is not valid yet"},
        {G_TLS_CERTIFICATE_EXPIRED, "it has expired"},
        {G_TLS_CERTIFICATE_REVOKED, "it is revoked"},
        {G_TLS_CERTIFICATE_INSECURE, "it is made with an insecure algorithm"},
    };
    GTlsCertificateFlags flags = GPOINTER_TO_UINT(g_object_get_data(G_OBJECT(tls), REFUSAL_KEY));
    const char *separator = ": ";

    if (flags == 0)
        return NULL;

    GString *text = g_string_new("The server's certificate can't be accepted");

    if (flags & G_TLS_CERTIFICATE_BAD_IDENTITY) {
        g_string_append_printf(text, "%sit is not for host name %s", separator, get_host(tls));
        separator = ", ";
    }
    for (guint i = 0; i < G_N_ELEMENTS(rows); i++)
        if (flags & rows[i].flag) {
            g_string_append_printf(text, "%s%s", separator, rows[i].text);
            separator = ", ";
        }
    return g_string_free(text, FALSE);
}
