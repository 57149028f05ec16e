/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* A timer that is moved often: one source for its life instead of one per deadline. */

#include "timer.h"

static gboolean
dispatch(GSource *source, GSourceFunc callback, gpointer user_data)
{
    g_source_set_ready_time(source, -1);
    (void)callback(user_data);
    return G_SOURCE_CONTINUE;
}

static GSourceFuncs timer_funcs = {.dispatch = dispatch};

GSource *
emu_timer_new(GSourceFunc func, gpointer user_data)
{
    GSource *source = g_source_new(&timer_funcs, sizeof(GSource));

    g_source_set_callback(source, func, user_data, NULL);
    g_source_attach(source, NULL);
    return source;
}

void
emu_source_clear(GSource **source)
{
    if (*source == NULL)
        return;

    g_source_destroy(*source);
    g_clear_pointer(source, g_source_unref);
}
