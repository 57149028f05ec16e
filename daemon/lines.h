/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "daemon/clock-share.h"
#include "daemon/connection.h"

/*
 * Which identity is on which connection. Those that lead to the same host share one as far as the
 * transport can carry them: AMQP 1,000 at a time, HTTPS any number, MQTT one, and a second one is
 * refused. An identity with a certificate is alone on its connection, because the certificate
 * stands for the connection as a whole.
 */
typedef struct SpokeLines SpokeLines;

/* (transfer full) */
SpokeLines *spoke_lines_new(SpokeClockShare *clock);
void spoke_lines_free(SpokeLines *lines); /* attachments are on no connection then */
G_DEFINE_AUTOPTR_CLEANUP_FUNC(SpokeLines, spoke_lines_free)

/**
 * spoke_lines_join:
 * @options: copied
 * @is_main: the machine's own identity, which may always have a connection
 * @may_be_alone: with a certificate: whether a connection of its own is allowed
 *
 * Puts @attachment on a connection: its present one if that fits (which follows @options, if they
 * have changed in what they all share), another one, or a new one.
 *
 * Errors: SPOKE_ERROR_NOT_SUPPORTED: the transport can't carry it beside the others; the text says
 * which could. FAILED: there is no such transport here. Then it is on none.
 */
gboolean spoke_lines_join(SpokeLines *lines, SpokeAttachment *attachment,
                          const SpokeConnectionOptions *options, gboolean is_main,
                          gboolean may_be_alone, GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* @attachment has left: a connection without any goes. */
void spoke_lines_prune(SpokeLines *lines);

void spoke_lines_start(SpokeLines *lines);
/* Those that wait after a failure try again at once. */
void spoke_lines_retry(SpokeLines *lines);
/* See spoke_connection_stop(). */
void spoke_lines_stop(SpokeLines *lines, gint64 timeout_usec, void (*done)(gpointer),
                      gpointer user_data);
