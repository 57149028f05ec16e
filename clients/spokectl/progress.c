/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "clients/spokectl/progress.h"

#include "clients/spokectl/terminal.h"

/* Rates jump about less when they are taken over a second at least. */
#define RATE_WINDOW_USEC G_USEC_PER_SEC

struct SpokeProgressLine {
    gint64 start_usec;
    gint64 window_usec;   /* when the window began */
    guint64 window_count; /* and where the counter was */
    double rate;          /* of the last full window, 0 before */
};

static guint64
count_of(const SpokeProgress *progress)
{
    return progress->wait ? progress->settled : progress->accepted;
}

static double
rate_of(guint64 count, gint64 usec)
{
    return usec > 0 ? (double)count * G_USEC_PER_SEC / (double)usec : 0;
}

static void
update_rate(SpokeProgressLine *line, guint64 count, gint64 now_usec)
{
    gint64 passed = now_usec - line->window_usec;

    if (passed >= RATE_WINDOW_USEC) {
        line->rate = rate_of(count - line->window_count, passed);
        line->window_usec = now_usec;
        line->window_count = count;
    } else if (line->window_usec == line->start_usec) {
        line->rate = rate_of(count, passed);
    }
}

SpokeProgressLine *
spoke_progress_line_new(gint64 now_usec)
{
    SpokeProgressLine *line = g_new0(SpokeProgressLine, 1);

    line->start_usec = line->window_usec = now_usec;
    return line;
}

char *
spoke_progress_line_format(SpokeProgressLine *line, const SpokeProgress *progress, gint64 now_usec)
{
    update_rate(line, count_of(progress), now_usec);

    g_autofree char *accepted = spoke_terminal_format_number(progress->accepted);
    g_autofree char *delivered = spoke_terminal_format_number(progress->settled - progress->failed);
    g_autofree char *waiting = spoke_terminal_format_number(progress->waiting);
    g_autofree char *rate = spoke_terminal_format_number((guint64)line->rate);
    GString *text = g_string_new(NULL);

    g_string_append_printf(text, "%s accepted", accepted);
    if (progress->wait)
        g_string_append_printf(text, ", %s delivered", delivered);
    g_string_append_printf(text, "  %s/s", rate);
    if (progress->waiting > 0)
        g_string_append_printf(text, "  %s waiting", waiting);
    if (progress->failed > 0)
        g_string_append_printf(text, "  %" G_GUINT64_FORMAT " lost", progress->failed);
    if (progress->note != NULL)
        g_string_append_printf(text, "  (%s)", progress->note);
    return g_string_free(text, FALSE);
}

char *
spoke_progress_line_summarise(SpokeProgressLine *line, const SpokeProgress *progress,
                              gint64 now_usec)
{
    gint64 passed = now_usec - line->start_usec;
    guint64 good = progress->wait ? progress->settled - progress->failed : progress->accepted;
    g_autofree char *number = spoke_terminal_format_number(good);
    g_autofree char *rate = spoke_terminal_format_number((guint64)rate_of(good, passed));

    return g_strdup_printf("%s %s %s in %.1f s (%s/s)", number, good == 1 ? "message" : "messages",
                           progress->wait ? "delivered" : "accepted",
                           (double)passed / G_USEC_PER_SEC, rate);
}
