/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "daemon/file-watch.h"

/*
 * The certificate of one device over time: has its files watched, knows when it ends, and complains
 * in the journal from 30 days before that on, once a day.
 */
typedef struct SpokeCertificateKeeper SpokeCertificateKeeper;

/* @watch: borrowed, outlives us; nullable. (transfer full) */
SpokeCertificateKeeper *spoke_certificate_keeper_new(const char *device_name,
                                                     SpokeFileWatch *watch);
void spoke_certificate_keeper_free(SpokeCertificateKeeper *keeper);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(SpokeCertificateKeeper, spoke_certificate_keeper_free)

/* Reads the two, also if they are the same as before; both NULL for none. What can't be read is the
 * transport's to complain about when it connects. */
void spoke_certificate_keeper_take(SpokeCertificateKeeper *keeper, const char *certificate_file,
                                   const char *key_file);
/* Of what was read; NULL if there is none, or if it could not be. (transfer none) */
const char *spoke_certificate_keeper_get_digest(SpokeCertificateKeeper *keeper);
gint64 spoke_certificate_keeper_get_expiry(SpokeCertificateKeeper *keeper); /* wall usec; 0: none */

/* Complains if it is time to; called by itself every day. @now_usec: wall clock */
void spoke_certificate_keeper_look(SpokeCertificateKeeper *keeper, gint64 now_usec);
