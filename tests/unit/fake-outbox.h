/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "daemon/outbox.h"

/*
 * An outbox in memory, in place of the spool's: a test links this file instead. It hands out and
 * takes back as outbox.h says, and writes down what became of each message.
 */
SpokeOutbox *fake_outbox_new(void);
void fake_outbox_free(SpokeOutbox *outbox); /* nothing may be taken any more */

/* @n messages of @body_size bytes, with ids that go on from 1 */
void fake_outbox_put(SpokeOutbox *outbox, guint n, size_t body_size);

/* "1+ 2- …": id and outcome (+ accepted, - rejected) in the order of settling. (transfer full) */
char *fake_outbox_describe_settled(SpokeOutbox *outbox);
