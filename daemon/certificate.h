/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

/*
 * A client certificate on disk: PEM, with its chain behind it, and its key. Read to check it and to
 * know when it ends; what proves the identity to the hub is the transport's reading of the files.
 */
typedef struct {
    gint64 expiry_usec; /* wall clock: when the first of the chain ends */
    gint64 start_usec;  /* wall clock: before this it is not valid */
    char *digest;       /* owned; SHA-256 of the certificate's file: tells whether it has changed */
} SpokeCertificate;

/* Errors: SPOKE_ERROR_INVALID_CONFIG: a file that can't be read, is no PEM, whose key does not fit
 * the certificate, or a key file that others can read. That it has expired is no error here.
 * (transfer full) (nullable) */
SpokeCertificate *spoke_certificate_read(const char *certificate_file, const char *key_file,
                                         GError **error) G_GNUC_WARN_UNUSED_RESULT;
void spoke_certificate_free(SpokeCertificate *certificate);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(SpokeCertificate, spoke_certificate_free)
