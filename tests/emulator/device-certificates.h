/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

typedef struct EmuHub EmuHub;

/* Certificates for devices, for those who have none to try. */

typedef enum {
    EMU_ISSUE_SELF_SIGNED, /* the hub knows it by its thumbprint */
    EMU_ISSUE_SIGNED,      /* by an authority for tests, which the hub knows from then on */
} EmuIssue;

typedef struct {
    char *certificate; /* owned; PEM: what the device shows */
    char *key;         /* owned; PEM */
    char *thumbprint;  /* owned; SHA-256 */
} EmuIssued;

void emu_issued_clear(EmuIssued *issued);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(EmuIssued, emu_issued_clear)

/**
 * emu_device_certificate_issue:
 * @module_id: (nullable)
 * @days: how long it is valid; below 0 it has run out so long ago
 *
 * Makes a certificate and has the identity, which is made if it is not there, use it. The
 * authority for tests is device-ca.pem in the state directory.
 */
gboolean emu_device_certificate_issue(EmuHub *hub, const char *device_id, const char *module_id,
                                      EmuIssue issue, int days, EmuIssued *ret_issued,
                                      GError **error);
