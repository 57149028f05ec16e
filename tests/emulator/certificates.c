/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The emulator's own certificate authority and the server certificate it signs, both made at first
 * start. */

#include "certificates.h"

#include "certificate-pair.h"

#define CA_DAYS   3650
#define LEAF_DAYS 825 /* some clients refuse server certificates that live longer */

static gboolean
add_name(EmuPair *leaf, const char *name, GError **error)
{
    return emu_gnutls_check(
        gnutls_x509_crt_set_subject_alt_name(leaf->certificate, GNUTLS_SAN_DNSNAME, name,
                                             (unsigned)strlen(name), GNUTLS_FSAN_APPEND),
        "Adding a name", error);
}

static gboolean
add_address(EmuPair *leaf, const char *text, GError **error)
{
    g_autoptr(GInetAddress) address = g_inet_address_new_from_string(text);

    return emu_gnutls_check(
        gnutls_x509_crt_set_subject_alt_name(
            leaf->certificate, GNUTLS_SAN_IPADDRESS, g_inet_address_to_bytes(address),
            (unsigned)g_inet_address_get_native_size(address), GNUTLS_FSAN_APPEND),
        "Adding an address", error);
}

static gboolean
add_names(EmuPair *leaf, const char *host, GError **error)
{
    if (!add_name(leaf, "localhost", error) || !add_name(leaf, "*.localhost", error) ||
        !add_address(leaf, "127.0.0.1", error) || !add_address(leaf, "::1", error))
        return FALSE;
    if (g_hostname_is_ip_address(host))
        return add_address(leaf, host, error);
    return g_ascii_strcasecmp(host, "localhost") == 0 || add_name(leaf, host, error);
}

static gboolean
make_authority(EmuPair *ca, GError **error)
{
    return emu_pair_prepare(ca, "iothub-emulator CA", CA_DAYS, error) &&
           emu_pair_sign_authority(ca, error);
}

static gboolean
make_server(EmuPair *leaf, const EmuPair *ca, const char *host, GError **error)
{
    return emu_pair_prepare(leaf, host, LEAF_DAYS, error) && add_names(leaf, host, error) &&
           emu_pair_sign_leaf(leaf, ca, GNUTLS_KP_TLS_WWW_SERVER, error);
}

/* The server's pair is good if this authority signed it and it covers @host. */
static gboolean
is_good_server(const EmuPair *leaf, const EmuPair *ca, const char *host)
{
    unsigned status = 0;

    return gnutls_x509_crt_verify(leaf->certificate, &ca->certificate, 1, 0, &status) >= 0 &&
           status == 0 && gnutls_x509_crt_check_hostname(leaf->certificate, host) != 0;
}

GTlsCertificate *
emu_certificates_ensure(const char *state_dir, const char *host, GError **error)
{
    g_autofree char *ca_file = g_build_filename(state_dir, "ca.pem", NULL);
    g_autofree char *ca_key_file = g_build_filename(state_dir, "ca-key.pem", NULL);
    g_autofree char *server_file = g_build_filename(state_dir, "server.pem", NULL);
    g_autofree char *server_key_file = g_build_filename(state_dir, "server-key.pem", NULL);
    g_auto(EmuPair) ca = {NULL, NULL};
    g_auto(EmuPair) leaf = {NULL, NULL};

    emu_pair_init(&ca);
    if (!emu_pair_load(&ca, ca_file, ca_key_file)) {
        emu_pair_init(&ca);
        if (!make_authority(&ca, error) || !emu_pair_save(&ca, ca_file, ca_key_file, error))
            return NULL;
    }

    emu_pair_init(&leaf);
    if (!emu_pair_load(&leaf, server_file, server_key_file) || !is_good_server(&leaf, &ca, host)) {
        emu_pair_init(&leaf);
        if (!make_server(&leaf, &ca, host, error) ||
            !emu_pair_save(&leaf, server_file, server_key_file, error))
            return NULL;
    }

    return g_tls_certificate_new_from_files(server_file, server_key_file, error);
}

GTlsDatabase *
emu_certificates_trust(const char *state_dir, GError **error)
{
    g_autofree char *absolute = g_canonicalize_filename(state_dir, NULL);
    g_autofree char *ca_file = g_build_filename(absolute, "ca.pem", NULL);

    return g_tls_file_database_new(ca_file, error);
}
