/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

/* A certificate that signs itself, with its key, made on the spot. */
typedef struct {
    char *certificate; /* owned; PEM */
    char *key;         /* owned; PEM */
} Pem;

/* Seconds of the wall clock */
void pem_make(Pem *ret_pem, gint64 start_sec, gint64 end_sec);
/* Valid now. */
void pem_make_valid(Pem *ret_pem);
void pem_clear(Pem *pem);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Pem, pem_clear)
