/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "daemon/cause.h"
#include "daemon/delivery.h"

/*
 * What an operator may search the journal for. Each function writes one structured entry with its
 * MESSAGE_ID, SPOKE_* fields and text; data/spoked.catalog says what to do about each. Nothing
 * secret goes in: names, sizes, counts. Main loop or start-up only.
 */
void spoke_event_started(const char *version, const char *hub, const char *device);
void spoke_event_stopped(guint64 queued_messages);
/* The process ends because of it, at start-up or later. */
void spoke_event_failed(const char *text);
/* What is remembered of a connection, so that a day without a line is one entry and not a thousand.
 */
typedef struct {
    SpokeCause cause; /* NONE: the link is up, or was never tried */
    guint64 failures; /* since it was up, whatever their cause */
} SpokeStreak;

void spoke_event_link_up(SpokeStreak *streak, const char *transport, const char *host, guint16 port,
                         gint64 took_usec);
/* A failure that repeats with the same cause is logged when it begins; the next link_up ends it.
 * @name: of the only identity on the connection; NULL: there are several */
void spoke_event_link_down(SpokeStreak *streak, const char *host, const char *name,
                           SpokeCause cause, const char *detail, gint64 retry_usec);
/* @name, here and below: of the device on this machine. */
void spoke_event_token_renewed(const char *name, gint64 expiry_usec, gint64 down_usec);
void spoke_event_config_reloaded(const char *path);
void spoke_event_config_rejected(const char *text);
void spoke_event_spool_corrupt(const char *set_aside, guint64 saved, guint64 lost);
void spoke_event_spool_full(gboolean full);
void spoke_event_spool_failed(const char *text);
/* Start-up found messages of an identity that is not served; see strangers.h. */
void spoke_event_strangers(const char *identity, guint64 queued, guint64 received);
/* The hub will never take a message that was accepted from an application. */
void spoke_event_rejected(const char *name, guint64 id, const char *app, gsize bytes,
                          const char *reason);
void spoke_event_dead_letter(const char *name, guint64 id, const char *reason,
                             guint delivery_count);
void spoke_event_receive_paused(const char *name, SpokePause pause);
void spoke_event_clock_unset(void);
/* One identity of several on a connection is refused alone, or can't be carried by the transport;
 * and it is back. Once each. @retry_usec: -1 for never */
void spoke_event_device_down(const char *name, const char *device_id, SpokeCause cause,
                             const char *detail, gint64 retry_usec);
void spoke_event_device_up(const char *name, const char *device_id);
/* A client certificate is about to end, or has. Times by the wall clock. */
void spoke_event_certificate_expires(const char *name, const char *file, gint64 expiry_usec,
                                     gint64 now_usec);
