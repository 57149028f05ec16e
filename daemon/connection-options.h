/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "daemon/connection.h"

/*
 * Copies and comparisons of SpokeConnectionOptions, whose strings are owned in a copy.
 */
void spoke_connection_options_copy(SpokeConnectionOptions *options, /* replaced */
                                   const SpokeConnectionOptions *source);
void spoke_connection_options_clear(SpokeConnectionOptions *options);

/* Whether a connection made with one would be the same as with the other. */
gboolean spoke_connection_options_equal(const SpokeConnectionOptions *a,
                                        const SpokeConnectionOptions *b);
/* Whether they lead to the same place by the same proof, whatever the way there: identities whose
 * options differ in this can't share a connection. */
gboolean spoke_connection_options_can_share(const SpokeConnectionOptions *a,
                                            const SpokeConnectionOptions *b);
