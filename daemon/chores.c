/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/chores.h"

/* Few are scheduled at any time, so they are kept in a plain array. */
struct SpokeChores {
    GPtrArray *scheduled; /* owned, of borrowed SpokeChore */
    GSource *source;      /* owned; NULL with a clock */
    SpokeClock *clock;    /* owned; NULL with a source */
    gint64 alarm_usec;    /* when the source is ready, or the clock rings; SPOKE_CHORE_NEVER */
    gboolean is_held;
};

static gint64
find_next_due(SpokeChores *chores)
{
    gint64 due_usec = SPOKE_CHORE_NEVER;

    for (guint i = 0; i < chores->scheduled->len; i++)
        due_usec = MIN(due_usec, ((SpokeChore *)chores->scheduled->pdata[i])->due_usec);
    return due_usec;
}

static gint64
get_now(SpokeChores *chores)
{
    return chores->clock != NULL ? chores->clock->now(chores->clock, SPOKE_CLOCK_BOOT)
                                 : g_get_monotonic_time();
}

/* Changing the ready time wakes the loop, so it is changed only when it must. */
static void
set_alarm(SpokeChores *chores, gint64 at_usec)
{
    if (at_usec == chores->alarm_usec)
        return;
    chores->alarm_usec = at_usec;
    if (chores->clock != NULL)
        chores->clock->set_alarm(chores->clock, SPOKE_CLOCK_BOOT, at_usec);
    else
        g_source_set_ready_time(chores->source, at_usec == SPOKE_CHORE_NEVER ? -1 : at_usec);
}

static SpokeChore *
take_due(SpokeChores *chores, gint64 now_usec)
{
    for (guint i = 0; i < chores->scheduled->len; i++) {
        SpokeChore *chore = chores->scheduled->pdata[i];
        if (chore->due_usec > now_usec)
            continue;
        g_ptr_array_remove_index_fast(chores->scheduled, i);
        chore->due_usec = SPOKE_CHORE_NEVER;
        return chore;
    }
    return NULL;
}

void
spoke_chores_hold(SpokeChores *chores)
{
    chores->is_held = TRUE;
}

void
spoke_chores_run_due(SpokeChores *chores)
{
    gint64 now_usec = get_now(chores);
    SpokeChore *chore = NULL;

    chores->is_held = TRUE;
    /* No more rounds than there are chores: one that comes due again waits for the next time. */
    for (guint n = chores->scheduled->len; n > 0 && (chore = take_due(chores, now_usec)) != NULL;
         n--)
        chore->run(chore->user_data);
    chores->is_held = FALSE;
    set_alarm(chores, find_next_due(chores));
}

static gboolean
dispatch(GSource *source, GSourceFunc callback, gpointer user_data)
{
    return callback(user_data);
}

static gboolean
on_ready(gpointer user_data)
{
    spoke_chores_run_due(user_data);
    return G_SOURCE_CONTINUE;
}

static void
on_alarm(gpointer user_data)
{
    SpokeChores *chores = user_data;

    chores->alarm_usec = SPOKE_CHORE_NEVER; /* it rings once, and may ring early */
    spoke_chores_run_due(chores);
}

static GSourceFuncs source_funcs = {.dispatch = dispatch};

static SpokeChores *
chores_new(void)
{
    SpokeChores *chores = g_new0(SpokeChores, 1);

    chores->scheduled = g_ptr_array_new();
    chores->alarm_usec = SPOKE_CHORE_NEVER;
    return chores;
}

SpokeChores *
spoke_chores_new(void)
{
    SpokeChores *chores = chores_new();

    chores->source = g_source_new(&source_funcs, sizeof(GSource));
    g_source_set_static_name(chores->source, "spoke-chores");
    g_source_set_callback(chores->source, on_ready, chores, NULL);
    g_source_attach(chores->source, NULL);
    return chores;
}

SpokeChores *
spoke_chores_new_on(SpokeClock *clock)
{
    SpokeChores *chores = chores_new();

    chores->clock = clock;
    clock->due = on_alarm;
    clock->user_data = chores;
    return chores;
}

void
spoke_chores_free(SpokeChores *chores)
{
    if (chores == NULL)
        return;

    if (chores->source != NULL) {
        g_source_destroy(chores->source);
        g_source_unref(chores->source);
    }
    if (chores->clock != NULL)
        chores->clock->free(chores->clock);
    g_ptr_array_unref(chores->scheduled);
    g_free(chores);
}

void
spoke_chores_schedule(SpokeChores *chores, SpokeChore *chore, gint64 due_usec)
{
    if (chore->due_usec <= due_usec)
        return;
    if (chore->due_usec == SPOKE_CHORE_NEVER)
        g_ptr_array_add(chores->scheduled, chore);
    chore->due_usec = due_usec;
    if (!chores->is_held && due_usec < chores->alarm_usec)
        set_alarm(chores, due_usec);
}

void
spoke_chores_cancel(SpokeChores *chores, SpokeChore *chore)
{
    chore->due_usec = SPOKE_CHORE_NEVER;
    (void)g_ptr_array_remove_fast(chores->scheduled, chore);
    if (!chores->is_held)
        set_alarm(chores, find_next_due(chores));
}
