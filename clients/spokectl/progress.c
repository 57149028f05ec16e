/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "clients/spokectl/progress.h"

#include "clients/spokectl/duration.h"
#include "clients/spokectl/terminal.h"

#include <math.h>

/* What lies that far back counts 1/e of what is happening now. */
#define RATE_MEMORY_SEC 3.0
/* Guesses about the end are worth nothing before that. */
#define GUESS_AFTER_USEC (2 * G_USEC_PER_SEC)
/* A hub that answers nothing for so long is said to. */
#define SILENCE_USEC (5 * G_USEC_PER_SEC)

struct SpokeProgressLine {
    gint64 start_usec;
    gint64 last_usec;   /* of the last format */
    guint64 last_count; /* at that time */
    gint64 moved_usec;  /* when the count last changed */
    double sum;         /* messages and seconds, both fading: their quotient is the rate */
    double sec;
};

static guint64
count_of(const SpokeProgress *progress)
{
    return progress->wait ? progress->settled : progress->accepted;
}

/* Both sums fade alike, so that the rate is right from the first second on. */
static double
update_rate(SpokeProgressLine *line, guint64 count, gint64 now_usec)
{
    double passed_sec = (double)(now_usec - line->last_usec) / G_USEC_PER_SEC;
    double kept = exp(-passed_sec / RATE_MEMORY_SEC);

    if (count != line->last_count)
        line->moved_usec = now_usec;
    line->sum = line->sum * kept + (double)(count - line->last_count);
    line->sec = line->sec * kept + passed_sec;
    line->last_usec = now_usec;
    line->last_count = count;
    return line->sec > 0 ? line->sum / line->sec : 0;
}

static void
append_rate(GString *text, double rate)
{
    if (rate > 0 && rate < 9.95) {
        g_string_append_printf(text, "  %.1f/s", rate);
    } else {
        g_autofree char *number = spoke_terminal_format_number((guint64)(rate + 0.5));
        g_string_append_printf(text, "  %s/s", number);
    }
}

static void
append_counts(GString *text, const SpokeProgress *progress)
{
    g_autofree char *accepted = spoke_terminal_format_number(progress->accepted);
    g_autofree char *delivered = spoke_terminal_format_number(progress->settled - progress->failed);
    g_autofree char *all = spoke_terminal_format_number(progress->accepted + progress->waiting);

    if (progress->wait)
        g_string_append_printf(text, "%s of %s%s delivered", delivered, all,
                               progress->all_read ? "" : " so far");
    else
        g_string_append_printf(text, "%s accepted", accepted);
}

static void
append_end(GString *text, const SpokeProgressLine *line, const SpokeProgress *progress, double rate)
{
    guint64 left = progress->accepted + progress->waiting - count_of(progress);

    if (!progress->all_read || left == 0 || line->last_usec - line->start_usec < GUESS_AFTER_USEC)
        return;
    double left_sec = (double)left / rate;
    if (left_sec < 1 || left_sec > 100 * 24 * 3600)
        return;
    g_autofree char *span = spoke_duration_format((guint64)(left_sec * G_USEC_PER_SEC));
    g_string_append_printf(text, "  about %s left", span);
}

/* What holds it up comes in the place of a rate that would only fall. */
static void
append_pace(GString *text, const SpokeProgressLine *line, const SpokeProgress *progress,
            double rate)
{
    gint64 silence_usec = line->last_usec - line->moved_usec;

    if (progress->note != NULL) {
        g_autofree char *waiting = spoke_terminal_format_number(progress->waiting);
        g_string_append_printf(text, "  %s: %s waiting", progress->note, waiting);
    } else if (progress->wait && progress->hub != NULL) {
        g_string_append_printf(text, "  %s: waiting", progress->hub);
    } else if (progress->wait && progress->settled < progress->accepted &&
               silence_usec >= SILENCE_USEC) {
        g_autofree char *span = spoke_duration_format((guint64)silence_usec);
        g_string_append_printf(text, "  no answer from the hub for %s", span);
    } else {
        append_rate(text, rate);
        append_end(text, line, progress, rate);
    }
}

SpokeProgressLine *
spoke_progress_line_new(gint64 now_usec)
{
    SpokeProgressLine *line = g_new0(SpokeProgressLine, 1);

    line->start_usec = line->last_usec = line->moved_usec = now_usec;
    return line;
}

char *
spoke_progress_line_format(SpokeProgressLine *line, const SpokeProgress *progress, gint64 now_usec)
{
    GString *text = g_string_new(NULL);
    double rate = update_rate(line, count_of(progress), now_usec);

    append_counts(text, progress);
    if (progress->failed > 0)
        g_string_append_printf(text, ", %" G_GUINT64_FORMAT " lost", progress->failed);
    append_pace(text, line, progress, rate);
    return g_string_free(text, FALSE);
}

char *
spoke_progress_line_summarise(SpokeProgressLine *line, const SpokeProgress *progress,
                              gint64 now_usec)
{
    gint64 passed = now_usec - line->start_usec;
    guint64 good = progress->wait ? progress->settled - progress->failed : progress->accepted;
    double rate = passed > 0 ? (double)good * G_USEC_PER_SEC / (double)passed : 0;
    g_autofree char *number = spoke_terminal_format_number(good);
    g_autofree char *per_sec = spoke_terminal_format_number((guint64)rate);

    return g_strdup_printf("%s %s %s in %.1f s (%s/s)", number, good == 1 ? "message" : "messages",
                           progress->wait ? "delivered" : "accepted",
                           (double)passed / G_USEC_PER_SEC, per_sec);
}
