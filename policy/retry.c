/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "policy/retry.h"

#include <errno.h>
#include <sys/random.h>

/*
 * Full jitter: the wait is drawn evenly between nothing and a ceiling, and the ceiling doubles with
 * each failure. A fleet that lost its hub at one moment thus comes back spread over the ceiling,
 * where a fixed wait with a little jitter would bring it back in waves.
 */

/* Source: iot-hub-protocol.md, 7.4, "suggested for a new client". */
static const struct {
    gint64 base_usec;
    gint64 cap_usec;
} paces[] = {
    [SPOKE_PACE_NORMAL] = {1 * G_USEC_PER_SEC, 60 * G_USEC_PER_SEC},
    [SPOKE_PACE_SLOW] = {10 * G_USEC_PER_SEC, 300 * G_USEC_PER_SEC},
};

/* 2^10 bases are over either cap; beyond, the shift would overflow some day. */
#define DOUBLINGS_MAX 10

void
spoke_retry_reset(SpokeRetry *retry)
{
    retry->failures = 0;
}

gint64
spoke_retry_next(SpokeRetry *retry, SpokePace pace, double random)
{
    g_return_val_if_fail((guint)pace < G_N_ELEMENTS(paces), paces[0].cap_usec);
    g_return_val_if_fail(random >= 0 && random < 1, paces[pace].cap_usec);

    guint doublings = MIN(retry->failures, DOUBLINGS_MAX);
    gint64 ceiling_usec = MIN(paces[pace].base_usec << doublings, paces[pace].cap_usec);

    if (retry->failures < G_MAXUINT)
        retry->failures++;
    return (gint64)((double)ceiling_usec * random);
}

double
spoke_retry_random(void)
{
    guint64 bits = 0;

    /* Early at boot the kernel's generator may not be seeded yet: then its best effort, for we may
     * not block, and a poor number is no secret told. */
    if (getrandom(&bits, sizeof bits, GRND_NONBLOCK) != sizeof bits &&
        getrandom(&bits, sizeof bits, GRND_INSECURE) != sizeof bits)
        return g_random_double();

    return (double)(bits >> 11) / (double)(G_GUINT64_CONSTANT(1) << 53);
}
