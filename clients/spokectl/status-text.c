/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "clients/spokectl/status-text.h"

#include "clients/spokectl/duration.h"

#include <string.h>

/* From here on the end of a certificate is shown in colour. */
#define CERTIFICATE_SOON_DAYS 30

SpokeColour
spoke_status_get_colour(const SpokeStatus *status)
{
    static const struct {
        const char *state;
        SpokeColour colour;
    } colours[] = {
        {"connected", SPOKE_COLOUR_GREEN},
        {"connecting", SPOKE_COLOUR_YELLOW},
        {"draining", SPOKE_COLOUR_YELLOW},
        {"offline", SPOKE_COLOUR_RED},
    };

    for (gsize i = 0; i < G_N_ELEMENTS(colours); i++)
        if (g_str_equal(colours[i].state, status->state))
            return colours[i].colour;
    return SPOKE_COLOUR_PLAIN;
}

static void G_GNUC_PRINTF(3, 4) add(GString *text, const char *label, const char *format, ...)
{
    va_list arguments;

    g_string_append_printf(text, "%16s: ", label);
    va_start(arguments, format);
    g_string_append_vprintf(text, format, arguments);
    va_end(arguments);
    g_string_append_c(text, '\n');
}

/* "2024-05-06 07:08:09 (3 min ago)" or "(in 12 s)" */
static char *
format_moment(guint64 usec, gint64 now_usec)
{
    g_autofree char *time = spoke_terminal_format_time(usec);
    gboolean past = usec <= (guint64)now_usec;
    g_autofree char *span =
        spoke_duration_format(past ? (guint64)now_usec - usec : usec - (guint64)now_usec);

    return past ? g_strdup_printf("%s (%s ago)", time, span)
                : g_strdup_printf("%s (in %s)", time, span);
}

static void
add_moment(GString *text, const char *label, guint64 usec, gint64 now_usec)
{
    if (usec == 0)
        return;

    g_autofree char *moment = format_moment(usec, now_usec);
    add(text, label, "%s", moment);
}

/* Days are what people plan with; hours matter at the very end only. */
static char *
format_days(guint64 usec)
{
    guint64 days = usec / G_TIME_SPAN_DAY;

    return days >= 2 ? g_strdup_printf("%" G_GUINT64_FORMAT " days", days)
                     : spoke_duration_format(usec);
}

static void
add_certificate(GString *text, guint64 end_usec, gint64 now_usec)
{
    const char *plain = spoke_terminal_colour(stdout, SPOKE_COLOUR_PLAIN);
    gboolean past = end_usec <= (guint64)now_usec;

    if (end_usec == 0)
        return;

    guint64 away = past ? (guint64)now_usec - end_usec : end_usec - (guint64)now_usec;
    SpokeColour colour = past                                             ? SPOKE_COLOUR_RED
                         : away < CERTIFICATE_SOON_DAYS * G_TIME_SPAN_DAY ? SPOKE_COLOUR_YELLOW
                                                                          : SPOKE_COLOUR_PLAIN;
    g_autofree char *time = spoke_terminal_format_time(end_usec);
    g_autofree char *days = format_days(away);
    add(text, past ? "Certificate ended" : "Certificate ends", "%s (%s%s%s%s%s)", time,
        spoke_terminal_colour(stdout, colour), past ? "" : "in ", days, past ? " ago" : "", plain);
}

static gboolean
is_capable(const SpokeStatus *status, const char *capability)
{
    return g_strv_contains(status->capabilities, capability);
}

/* What the protocol brings, in the words of someone who uses it. */
static void
add_capabilities(GString *text, const SpokeStatus *status)
{
    if (status->transport[0] == '\0')
        return;

    add(text, "Cloud messages", "%s; verdicts on them %s",
        is_capable(status, "push") ? "come by themselves"
                                   : "are asked for ('spokectl check-now' does it now)",
        is_capable(status, "settle") ? "reach the hub" : "are kept here");
    add(text, "Connection", "%s",
        is_capable(status, "multiplex") ? "carries many devices" : "carries one device");
}

static void
add_head(GString *text, const SpokeStatus *status)
{
    const char *bold = spoke_terminal_colour(stdout, SPOKE_COLOUR_BOLD);
    const char *plain = spoke_terminal_colour(stdout, SPOKE_COLOUR_PLAIN);

    g_string_append_printf(text, "%s%s%s", bold, status->name, plain);
    if (status->device_id[0] != '\0')
        g_string_append_printf(text, " is device %s", status->device_id);
    if (status->module_id[0] != '\0')
        g_string_append_printf(text, ", module %s,", status->module_id);
    if (status->hub[0] != '\0')
        g_string_append_printf(text, " of %s", status->hub);
    g_string_append_c(text, '\n');
}

static void
add_connection(GString *text, const SpokeStatus *status, gint64 now_usec)
{
    const char *colour = spoke_terminal_colour(stdout, spoke_status_get_colour(status));
    const char *plain = spoke_terminal_colour(stdout, SPOKE_COLOUR_PLAIN);

    add(text, "State", "%s%s%s%s%s", colour, status->state, plain,
        status->transport[0] != '\0' ? " over " : "", status->transport);
    add_moment(text, "Since", status->connected_since_usec, now_usec);
    if (status->last_error_name[0] != '\0')
        add(text, "Last error", "%s%s%s: %s", spoke_terminal_colour(stdout, SPOKE_COLOUR_YELLOW),
            status->last_error_name, plain, status->last_error_text);
    add_moment(text, "Next attempt", status->next_attempt_usec, now_usec);
    add_moment(text, "Token expires", status->token_expiry_usec, now_usec);
    add_certificate(text, status->certificate_expiry_usec, now_usec);
    add_capabilities(text, status);
}

static void
add_queue(GString *text, const SpokeStatus *status)
{
    g_autofree char *queued = spoke_terminal_format_number(status->queued_messages);
    g_autofree char *bytes = spoke_terminal_format_bytes(status->queued_bytes);
    g_autofree char *max = spoke_terminal_format_bytes(status->queue_bytes_max);
    g_autofree char *in_flight = spoke_terminal_format_number(status->in_flight_messages);
    g_autofree char *sent = spoke_terminal_format_number(status->sent_messages);
    const char *are = status->queued_messages == 1 ? "message" : "messages";

    add(text, "Queue", "%s %s, %s of %s; %s in flight", queued, are, bytes, max, in_flight);
    add(text, "Sent", "%s since spoked started", sent);
}

static void
add_inbox(GString *text, const SpokeStatus *status)
{
    g_autofree char *waiting = spoke_terminal_format_number(status->waiting_messages);
    g_autofree char *received = spoke_terminal_format_number(status->received_messages);

    add(text, "Received", "%s since spoked started; %s waiting", received, waiting);
    if (status->receive_paused)
        add(text, "",
            "%sThe rest is left at the hub%s: messages wait for a program to take them, or "
            "the disk is full",
            spoke_terminal_colour(stdout, SPOKE_COLOUR_YELLOW),
            spoke_terminal_colour(stdout, SPOKE_COLOUR_PLAIN));
    if (status->dead_letters > 0)
        add(text, "Dead letters",
            "%" G_GUINT64_FORMAT " ('spokectl receive --dead-letter' takes the oldest)",
            status->dead_letters);
}

char *
spoke_status_format(const SpokeStatus *status, gint64 now_usec)
{
    GString *text = g_string_new(NULL);

    add_head(text, status);
    add_connection(text, status, now_usec);
    add_queue(text, status);
    add_inbox(text, status);
    return g_string_free(text, FALSE);
}

char *
spoke_status_describe_hub(const SpokeStatus *status)
{
    if (g_str_equal(status->state, "connected"))
        return NULL;
    /* While the next attempt runs, what ended the last one is still the news. */
    if (status->last_error_name[0] != '\0')
        return g_strdup_printf("the hub is away (%s)", status->last_error_name);
    return g_strdup("the hub is away");
}
