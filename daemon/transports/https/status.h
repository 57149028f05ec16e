/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "daemon/cause.h"

/*
 * What an answer of the hub means for the daemon. No I/O.
 */

typedef enum {
    SPOKE_STATUS_DONE,    /* 2xx */
    SPOKE_STATUS_MESSAGE, /* the message, or one of the batch, is bad; all else is well */
    SPOKE_STATUS_LOCK,    /* what the request was about is gone: 412 */
    SPOKE_STATUS_ACCOUNT, /* the identity, or the hub, can't go on for now */
} SpokeStatusKind;

/* An answer. Texts are the hub's, NULL where it said nothing. */
typedef struct {
    guint status;
    const char *error_code;  /* header iothub-errorcode */
    const char *date;        /* header Date */
    const char *retry_after; /* header Retry-After: seconds or a date */
    const char *body;        /* JSON, perhaps */
    size_t body_size;
} SpokeAnswer;

SpokeStatusKind spoke_status_get_kind(const SpokeAnswer *answer);

/* For ACCOUNT. @now_usec: wall clock. CLOCK, where the hub's time and ours are so far apart that no
 * token can be good. */
SpokeCause spoke_status_get_cause(const SpokeAnswer *answer, gint64 now_usec);

/* Returns: (transfer full): one line, "HTTP 429 ThrottlingException: text" */
char *spoke_status_describe(const SpokeAnswer *answer, gint64 now_usec);

/* Returns: microseconds that the hub asks to stay away, 0 if it doesn't say; a day at most */
gint64 spoke_status_get_wait(const SpokeAnswer *answer, gint64 now_usec);
