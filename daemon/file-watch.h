/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

/*
 * Tells that files have changed on disk, by whatever way: written anew, renamed over, taken away,
 * their modes changed, or a link on the way to them leading elsewhere. Changes that come together
 * are told once, when it has been quiet for a while. Costs nothing as long as there is nothing to
 * watch.
 */
typedef struct SpokeFileWatch SpokeFileWatch;

/* Long enough for a certificate and its key to be replaced one after the other. */
#define SPOKE_FILE_WATCH_QUIET_MSEC 1000

/* @changed: from the main loop, @quiet_msec after the last change (five times that at most after
 * the first); files may be added and removed in it. (transfer full) */
SpokeFileWatch *spoke_file_watch_new(guint quiet_msec, void (*changed)(gpointer),
                                     gpointer user_data);
void spoke_file_watch_free(SpokeFileWatch *watch);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(SpokeFileWatch, spoke_file_watch_free)

/* From now on: what is changed after this returns is told. @path: absolute; need not exist. To be
 * removed as often as it was added. */
void spoke_file_watch_add(SpokeFileWatch *watch, const char *path);
void spoke_file_watch_remove(SpokeFileWatch *watch, const char *path);
