/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "clients/spokectl/duration.h"
#include "clients/spokectl/json.h"
#include "clients/spokectl/status-text.h"
#include "clients/spokectl/verbs.h"

#include <glib-unix.h>
#include <stdio.h>
#include <string.h>

/*
 * Counters as they go: a panel that is drawn over and over on a terminal, a line for each reading
 * elsewhere. The watch tells whether there is a daemon to ask, so that monitoring one that was
 * stopped does not start it again.
 */
typedef struct {
    SpokeCtl *ctl; /* borrowed */
    guint64 interval_msec;
    gint64 count; /* readings still to come; 0: no end */
    gboolean live;

    gboolean here; /* the daemon is */
    gboolean seen; /* it was, once */
    guint interval_source;
    guint rows_drawn; /* of the panel */

    gint64 last_usec; /* monotonic; of the last reading, 0 before the first */
    guint64 last_sent;
    guint64 last_received;
    guint64 last_queued;
} Monitor;

typedef struct {
    double sent;
    double received;
    double queued; /* may be negative */
} Rates;

/* Counters begin anew with the daemon. */
static double
rate(guint64 now, guint64 before, gint64 passed_usec)
{
    return now < before ? 0 : (double)(now - before) * G_USEC_PER_SEC / (double)passed_usec;
}

static Rates
take_rates(Monitor *self, const SpokeStatus *status, gint64 now_usec)
{
    gint64 passed = now_usec - self->last_usec;
    Rates rates = {0};

    if (self->last_usec > 0 && passed > 0) {
        rates.sent = rate(status->sent_messages, self->last_sent, passed);
        rates.received = rate(status->received_messages, self->last_received, passed);
        rates.queued = ((double)status->queued_messages - (double)self->last_queued) *
                       G_USEC_PER_SEC / (double)passed;
    }
    self->last_usec = now_usec;
    self->last_sent = status->sent_messages;
    self->last_received = status->received_messages;
    self->last_queued = status->queued_messages;
    return rates;
}

static char *
format_state(const SpokeStatus *status)
{
    g_autofree char *since = status->connected_since_usec != 0
                                 ? spoke_duration_format((guint64)MAX(
                                       g_get_real_time() - (gint64)status->connected_since_usec, 0))
                                 : NULL;

    return g_strdup_printf("%s%s%s%s%s", status->state,
                           status->transport[0] != '\0' ? " over " : "", status->transport,
                           since != NULL ? " for " : "", since != NULL ? since : "");
}

static void
add_counter(GString *panel, const char *label, guint64 number, const char *rest)
{
    g_autofree char *text = spoke_terminal_format_number(number);

    g_string_append_printf(panel, "%12s %15s%s\n", label, text, rest);
}

/* "    1,234/s"; @sign: before a number that grows, "" or "+" */
static char *
format_rate(double per_sec, const char *sign)
{
    g_autofree char *number = spoke_terminal_format_number((guint64)(ABS(per_sec) + 0.5));
    g_autofree char *text = g_strconcat(per_sec < -0.5 ? "-" : sign, number, "/s", NULL);

    return g_strdup_printf("%14s", text);
}

static char *
format_panel(const SpokeStatus *status, const Rates *rates)
{
    GString *panel = g_string_new(NULL);
    g_autofree char *state = format_state(status);
    g_autofree char *sent = format_rate(rates->sent, "");
    g_autofree char *received = format_rate(rates->received, "");
    g_autofree char *growth = format_rate(rates->queued, "+");
    g_autofree char *bytes = spoke_terminal_format_bytes(status->queued_bytes);
    g_autofree char *max = spoke_terminal_format_bytes(status->queue_bytes_max);
    g_autofree char *queued = g_strconcat(growth, "   ", bytes, " of ", max, NULL);

    g_string_append_printf(panel, "%s, %s: %s%s%s\n", status->device_id, status->hub,
                           spoke_terminal_colour(stdout, spoke_status_get_colour(status)), state,
                           spoke_terminal_colour(stdout, SPOKE_COLOUR_PLAIN));
    add_counter(panel, "sent", status->sent_messages, sent);
    add_counter(panel, "in flight", status->in_flight_messages, "");
    add_counter(panel, "queued", status->queued_messages, queued);
    add_counter(panel, "received", status->received_messages, received);
    add_counter(panel, "waiting", status->waiting_messages,
                status->receive_paused ? "   the rest is left at the hub" : "");
    add_counter(panel, "dead letters", status->dead_letters, "");
    if (status->last_error_name[0] != '\0')
        g_string_append_printf(panel, "%s: %s\n", status->last_error_name, status->last_error_text);
    return g_string_free(panel, FALSE);
}

/* Over the last one, which may have been longer. */
static void
print_panel(Monitor *self, const SpokeStatus *status, const Rates *rates)
{
    g_autofree char *panel = format_panel(status, rates);

    if (self->rows_drawn > 0)
        (void)printf("\x1b[%uA\x1b[J", self->rows_drawn);
    (void)fputs(panel, stdout);
    self->rows_drawn = spoke_terminal_count_rows(panel, spoke_terminal_get_width(stdout));
}

static void
print_line(const SpokeStatus *status, const Rates *rates)
{
    g_autofree char *time = spoke_terminal_format_time((guint64)g_get_real_time());

    (void)printf("%s %s sent=%" G_GUINT64_FORMAT " (%.0f/s) in-flight=%" G_GUINT64_FORMAT
                 " queued=%" G_GUINT64_FORMAT " (%+.0f/s) received=%" G_GUINT64_FORMAT
                 " (%.0f/s) waiting=%" G_GUINT64_FORMAT " dead-letters=%" G_GUINT64_FORMAT "%s%s\n",
                 time, status->state, status->sent_messages, rates->sent,
                 status->in_flight_messages, status->queued_messages, rates->queued,
                 status->received_messages, rates->received, status->waiting_messages,
                 status->dead_letters, status->last_error_name[0] != '\0' ? " error=" : "",
                 status->last_error_name);
}

static void
show(Monitor *self, const SpokeStatus *status)
{
    Rates rates = take_rates(self, status, g_get_monotonic_time());

    if (self->ctl->json) {
        g_autofree char *line = spoke_json_status(status);
        (void)puts(line);
    } else if (self->live) {
        print_panel(self, status, &rates);
    } else {
        print_line(status, &rates);
    }
    (void)fflush(stdout);
    if (self->count > 0 && --self->count == 0)
        spoke_ctl_end(self->ctl, SPOKE_EXIT_OK);
}

static void
on_status(SpokeClient *client, const SpokeStatus *status, const SpokeFailure *failure,
          void *user_data)
{
    Monitor *self = user_data;

    if (!self->ctl->ended && status != NULL)
        show(self, status); /* of a failure the watch tells */
}

static gboolean
on_interval(gpointer user_data)
{
    Monitor *self = user_data;

    if (self->here)
        (void)spoke_client_get_status(self->ctl->client, on_status, self);
    return G_SOURCE_CONTINUE;
}

static void
on_watch(SpokeClient *client, const SpokeStatus *status, const SpokeFailure *failure,
         void *user_data)
{
    Monitor *self = user_data;
    gboolean was_here = self->here;

    if (self->ctl->ended)
        return;
    self->here = failure == NULL;
    if (failure != NULL && !self->seen) {
        spoke_ctl_fail(self->ctl, failure);
    } else if (failure != NULL && was_here) {
        g_printerr("spokectl: spoked is away; waiting for it\n");
        self->rows_drawn = 0;
        self->last_usec = 0;
    } else if (failure == NULL && !was_here) {
        self->seen = TRUE;
        show(self, status);
    }
}

static gboolean
on_signal(gpointer user_data)
{
    Monitor *self = user_data;

    if (self->live)
        (void)putchar('\n'); /* behind the terminal's ^C */
    spoke_ctl_end(self->ctl, SPOKE_EXIT_OK);
    return G_SOURCE_CONTINUE;
}

static SpokeExit
monitor_now(Monitor *self)
{
    SpokeCtl *ctl = self->ctl;

    if (!spoke_ctl_open(ctl))
        return ctl->exit_code;

    guint interrupt = g_unix_signal_add(SIGINT, on_signal, self);
    guint terminate = g_unix_signal_add(SIGTERM, on_signal, self);
    self->interval_source =
        g_timeout_add((guint)CLAMP(self->interval_msec, 100, G_MAXUINT), on_interval, self);
    SpokeExit exit_code = spoke_ctl_run(ctl, spoke_client_watch(ctl->client, on_watch, self));
    g_source_remove(self->interval_source);
    g_source_remove(interrupt);
    g_source_remove(terminate);
    spoke_ctl_clear(ctl);
    return exit_code;
}

static SpokeExit
run_monitor(SpokeCtl *ctl, int argc, char **argv)
{
    g_autofree char *interval = NULL;
    Monitor self = {.ctl = ctl, .interval_msec = 1000};
    const GOptionEntry entries[] = {
        {"interval", 'i', 0, G_OPTION_ARG_FILENAME, &interval, "Time between readings (1s)",
         "TIME"},
        {"count", 'n', 0, G_OPTION_ARG_INT64, &self.count, "End after so many readings", "N"},
        {NULL},
    };

    if (!spoke_ctl_parse(ctl, entries, 0, &argc, &argv) ||
        !spoke_ctl_parse_duration(ctl, "--interval", interval, 100, &self.interval_msec))
        return SPOKE_EXIT_USAGE;
    if (self.count < 0)
        return spoke_ctl_usage(ctl, g_error_new(G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE,
                                                "--count has to be 1 at least"));
    self.live = !ctl->json && spoke_terminal_is_live(stdout);
    return monitor_now(&self);
}

const SpokeVerb spoke_verb_monitor = {
    .name = "monitor",
    .arguments = "",
    .summary = "Show counters and rates live",
    .description = "",
    .run = run_monitor,
};
