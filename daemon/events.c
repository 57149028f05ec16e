/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/events.h"

#include "daemon/identity.h"
#include "daemon/log.h"

#include <syslog.h>

/*
 * The ids are public: operators search for them and data/spoked.catalog explains each, so an id is
 * never reused for anything else.
 */
#define EVENT_STARTED         "13b55a82f6294b1d973f1cf5c61a5a87"
#define EVENT_STOPPED         "92ed29439c8c473f9267235cd0f796cf"
#define EVENT_FAILED          "0ec63c861c0445f1bebe9c6334db2598"
#define EVENT_LINK_UP         "ff5d138007254db4876a323b5ace9f2e"
#define EVENT_LINK_DOWN       "744ae8513ed743ec8b2559704e7b8150"
#define EVENT_TOKEN_RENEWED   "41e7d8119ee947b4927934ab1ee0fcd5"
#define EVENT_CONFIG_RELOADED "947297e64efc4802b0dd12ba51b706a3"
#define EVENT_CONFIG_REJECTED "f338dcad1939488684040bad4895243e"
#define EVENT_SPOOL_CORRUPT   "d494fe8cb7b646e18bc2039bdf9b8112"
#define EVENT_SPOOL_FULL      "fbc9e3b6ff184521870770a4b1afe73d"
#define EVENT_SPOOL_FAILED    "eea26857d89f41c8aa92e603d34992c5"
#define EVENT_STRANGERS       "c544df0acdae409fb5c6594905f216a9"
#define EVENT_REJECTED        "03e24740f16240aab12c6fecc9b1e3a8"
#define EVENT_DEAD_LETTER     "3b11681277234333a321299e4ac47e65"
#define EVENT_RECEIVE_PAUSED  "5b84060a556a49f8b3a3f2243c279364"
#define EVENT_CLOCK_UNSET     "8d105e2fe7f344af84ee3cdc851b58ca"
#define EVENT_DEVICE_DOWN     "5d0e8a6b7c0f4c55b1d1fb1d2ab0a6f1"
#define EVENT_DEVICE_UP       "e1f7a5d0c94c4d0a9ac0a0a4f3f9a2c7"
#define EVENT_CERTIFICATE     "b7c3f0d86e3a4b0f8a55f9d0b0c1e4d2"

/* Which of several devices a sentence is about: nothing for the machine's own. */
static const char *
about(const char *name, char **ret_text)
{
    *ret_text = g_str_equal(name, SPOKE_DEVICE_SELF) ? g_strdup("") : g_strdup_printf("%s: ", name);
    return *ret_text;
}

static char *
number(guint64 value)
{
    return g_strdup_printf("%" G_GUINT64_FORMAT, value);
}

/* "250 ms", "12.3 s": for people; the fields have the exact figures. */
static char *
duration(gint64 usec)
{
    if (usec < G_USEC_PER_SEC)
        return g_strdup_printf("%" G_GINT64_FORMAT " ms", MAX(usec, 0) / 1000);
    return g_strdup_printf("%.1f s", (double)usec / G_USEC_PER_SEC);
}

void
spoke_event_started(const char *version, const char *hub, const char *device)
{
    g_autofree char *text =
        g_strdup_printf("spoked %s started for device %s of %s", version, device, hub);

    spoke_log_entry(LOG_INFO, EVENT_STARTED, text, "SPOKE_VERSION", version, "SPOKE_HUB", hub,
                    "SPOKE_DEVICE", device, NULL);
}

void
spoke_event_stopped(guint64 queued_messages)
{
    g_autofree char *queued = number(queued_messages);
    g_autofree char *text =
        queued_messages == 0
            ? g_strdup("spoked stopped; nothing is left to send")
            : g_strdup_printf("spoked stopped; %s %s on disk for the next start", queued,
                              queued_messages == 1 ? "message waits" : "messages wait");

    spoke_log_entry(LOG_INFO, EVENT_STOPPED, text, "SPOKE_QUEUED_MESSAGES", queued, NULL);
}

void
spoke_event_failed(const char *text)
{
    g_autofree char *line = g_strdup_printf("spoked can't go on: %s", text);

    spoke_log_entry(LOG_ERR, EVENT_FAILED, line, "SPOKE_DETAIL", text, NULL);
}

void
spoke_event_link_up(SpokeStreak *streak, const char *transport, const char *host, guint16 port,
                    gint64 took_usec)
{
    g_autofree char *port_text = number(port);
    g_autofree char *took = number((guint64)MAX(took_usec, 0));
    g_autofree char *took_text = duration(took_usec);
    g_autofree char *failures = number(streak->failures);
    g_autoptr(GString) text = g_string_new(NULL);

    g_string_printf(text, "Connected to %s:%s over %s in %s", host, port_text, transport,
                    took_text);
    if (streak->failures > 0)
        g_string_append_printf(text, ", after %s failed attempt%s", failures,
                               streak->failures == 1 ? "" : "s");

    spoke_log_entry(LOG_INFO, EVENT_LINK_UP, text->str, "SPOKE_TRANSPORT", transport, "SPOKE_HOST",
                    host, "SPOKE_PORT", port_text, "SPOKE_TOOK_USEC", took, "SPOKE_FAILURES",
                    failures, NULL);
    streak->cause = SPOKE_CAUSE_NONE;
    streak->failures = 0;
}

void
spoke_event_link_down(SpokeStreak *streak, const char *host, const char *name, SpokeCause cause,
                      const char *detail, gint64 retry_usec)
{
    streak->failures++;
    if (cause == streak->cause)
        return;
    streak->cause = cause;

    const char *cause_name = spoke_cause_to_string(cause);
    const char *remedy = spoke_cause_get_remedy(cause);
    g_autofree char *retry = number((guint64)MAX(retry_usec, 0));
    g_autofree char *wait_text = duration(retry_usec);
    g_autofree char *retry_text =
        retry_usec < 1000 ? g_strdup("at once") : g_strconcat("in ", wait_text, NULL);
    g_autofree char *whose = NULL;
    g_autoptr(GString) text = g_string_new(NULL);

    g_string_printf(text, "%sNot connected: %s", name != NULL ? about(name, &whose) : "",
                    cause_name);
    if (detail != NULL && *detail != '\0')
        g_string_append_printf(text, " (%s)", detail);
    g_string_append_printf(text, "; next attempt %s. %s", retry_text, remedy);

    /* A slow pace means that waiting alone will hardly help. */
    int priority = spoke_cause_get_pace(cause) == SPOKE_PACE_SLOW ? LOG_ERR : LOG_WARNING;
    spoke_log_entry(priority, EVENT_LINK_DOWN, text->str, "SPOKE_HOST", host, "SPOKE_NAME",
                    name != NULL ? name : "", "SPOKE_CAUSE", cause_name, "SPOKE_DETAIL",
                    detail != NULL ? detail : "", "SPOKE_RETRY_USEC", retry, NULL);
}

/* Several times on a quiet day, hence a debug line. */
void
spoke_event_token_renewed(const char *name, gint64 expiry_usec, gint64 down_usec)
{
    if (!spoke_log_is_debug())
        return;

    g_autoptr(GDateTime) expiry = g_date_time_new_from_unix_utc(expiry_usec / G_USEC_PER_SEC);
    g_autofree char *expiry_text =
        expiry != NULL ? g_date_time_format_iso8601(expiry) : g_strdup("the far future");
    g_autofree char *expiry_field = number((guint64)MAX(expiry_usec, 0));
    g_autofree char *down = number((guint64)MAX(down_usec, 0));
    g_autofree char *down_text = duration(down_usec);
    g_autofree char *whose = NULL;
    g_autofree char *text =
        g_strdup_printf("%sToken renewed, good until %s; the link was away for %s",
                        about(name, &whose), expiry_text, down_text);

    spoke_log_entry(LOG_DEBUG, EVENT_TOKEN_RENEWED, text, "SPOKE_NAME", name, "SPOKE_EXPIRY_USEC",
                    expiry_field, "SPOKE_DOWN_USEC", down, NULL);
}

void
spoke_event_config_reloaded(const char *path)
{
    g_autofree char *text = g_strdup_printf("Configuration read again from %s", path);

    spoke_log_entry(LOG_INFO, EVENT_CONFIG_RELOADED, text, "SPOKE_PATH", path, NULL);
}

void
spoke_event_config_rejected(const char *text)
{
    g_autofree char *line = g_strdup_printf("Configuration rejected: %s", text);

    spoke_log_entry(LOG_ERR, EVENT_CONFIG_REJECTED, line, "SPOKE_DETAIL", text, NULL);
}

void
spoke_event_spool_corrupt(const char *set_aside, guint64 saved, guint64 lost)
{
    g_autofree char *saved_text = number(saved);
    g_autofree char *lost_text = number(lost);
    g_autofree char *text =
        g_strdup_printf("The message store was damaged and is set aside as %s; %s messages were "
                        "saved from it, %s are known to be lost",
                        set_aside, saved_text, lost_text);

    spoke_log_entry(LOG_CRIT, EVENT_SPOOL_CORRUPT, text, "SPOKE_PATH", set_aside, "SPOKE_SAVED",
                    saved_text, "SPOKE_LOST", lost_text, NULL);
}

void
spoke_event_spool_full(gboolean full)
{
    spoke_log_entry(full ? LOG_ERR : LOG_INFO, EVENT_SPOOL_FULL,
                    full ? "The disk of the message store is full; new messages are refused until "
                           "there is room"
                         : "The disk of the message store has room again",
                    "SPOKE_FULL", full ? "1" : "0", NULL);
}

void
spoke_event_spool_failed(const char *text)
{
    g_autofree char *line = g_strdup_printf("The message store failed: %s", text);

    spoke_log_entry(LOG_ERR, EVENT_SPOOL_FAILED, line, "SPOKE_DETAIL", text, NULL);
}

void
spoke_event_strangers(const char *identity, guint64 queued, guint64 received)
{
    g_autofree char *queued_text = number(queued);
    g_autofree char *received_text = number(received);
    g_autofree char *text =
        g_strdup_printf("The message store holds messages of another identity, %s: %s to send and "
                        "%s received; they wait there until spoked is started as that one again",
                        identity, queued_text, received_text);

    spoke_log_entry(LOG_WARNING, EVENT_STRANGERS, text, "SPOKE_IDENTITY", identity,
                    "SPOKE_QUEUED_MESSAGES", queued_text, "SPOKE_RECEIVED_MESSAGES", received_text,
                    NULL);
}

void
spoke_event_rejected(const char *name, guint64 id, const char *app, gsize bytes, const char *reason)
{
    g_autofree char *id_text = number(id);
    g_autofree char *bytes_text = number(bytes);
    g_autofree char *whose = NULL;
    g_autofree char *text = g_strdup_printf("%sMessage %s from %s, %s bytes, is given up: %s",
                                            about(name, &whose), id_text, app, bytes_text, reason);

    spoke_log_entry(LOG_ERR, EVENT_REJECTED, text, "SPOKE_NAME", name, "SPOKE_MESSAGE", id_text,
                    "SPOKE_APP", app, "SPOKE_BYTES", bytes_text, "SPOKE_REASON", reason, NULL);
}

void
spoke_event_dead_letter(const char *name, guint64 id, const char *reason, guint delivery_count)
{
    g_autofree char *id_text = number(id);
    g_autofree char *count = number(delivery_count);
    g_autofree char *whose = NULL;
    g_autofree char *text = g_strdup_printf("%sMessage %s became a dead letter: %s, handed out %s "
                                            "time%s",
                                            about(name, &whose), id_text, reason, count,
                                            delivery_count == 1 ? "" : "s");

    spoke_log_entry(LOG_WARNING, EVENT_DEAD_LETTER, text, "SPOKE_NAME", name, "SPOKE_MESSAGE",
                    id_text, "SPOKE_REASON", reason, "SPOKE_DELIVERY_COUNT", count, NULL);
}

void
spoke_event_receive_paused(const char *name, SpokePause pause)
{
    static const struct {
        const char *reason;
        const char *text;
    } pauses[] = {
        [SPOKE_PAUSE_NOT] = {"", "Messages from the hub are taken again"},
        [SPOKE_PAUSE_FULL] = {"inbox-full", "The inbox is full; further messages wait at the hub"},
        [SPOKE_PAUSE_STORAGE] = {"storage", "The disk takes no messages from the hub; they wait "
                                            "there"},
    };
    gboolean is_paused = pause != SPOKE_PAUSE_NOT;
    g_autofree char *whose = NULL;
    g_autofree char *text = g_strconcat(about(name, &whose), pauses[pause].text, NULL);

    spoke_log_entry(is_paused ? LOG_WARNING : LOG_INFO, EVENT_RECEIVE_PAUSED, text, "SPOKE_NAME",
                    name, "SPOKE_PAUSED", is_paused ? "1" : "0", "SPOKE_REASON",
                    pauses[pause].reason, NULL);
}

void
spoke_event_clock_unset(void)
{
    spoke_log_entry(LOG_NOTICE, EVENT_CLOCK_UNSET,
                    "The clock is not set; connecting waits until it is", NULL);
}

void
spoke_event_device_down(const char *name, const char *device_id, SpokeCause cause,
                        const char *detail, gint64 retry_usec)
{
    const char *cause_name = spoke_cause_to_string(cause);
    g_autofree char *wait_text = duration(retry_usec);
    g_autoptr(GString) text = g_string_new(NULL);

    g_string_printf(text, "Device %s (%s) is not connected: %s", name, device_id, cause_name);
    if (*detail != '\0')
        g_string_append_printf(text, " (%s)", detail);
    if (retry_usec >= 0)
        g_string_append_printf(text, "; next attempt %s%s", retry_usec < 1000 ? "at once" : "in ",
                               retry_usec < 1000 ? "" : wait_text);
    g_string_append_printf(text, ". %s", spoke_cause_get_remedy(cause));
    spoke_log_entry(LOG_WARNING, EVENT_DEVICE_DOWN, text->str, "SPOKE_NAME", name, "SPOKE_DEVICE",
                    device_id, "SPOKE_CAUSE", cause_name, "SPOKE_DETAIL", detail, NULL);
}

void
spoke_event_device_up(const char *name, const char *device_id)
{
    g_autofree char *text = g_strdup_printf("Device %s (%s) is connected again", name, device_id);

    spoke_log_entry(LOG_INFO, EVENT_DEVICE_UP, text, "SPOKE_NAME", name, "SPOKE_DEVICE", device_id,
                    NULL);
}

void
spoke_event_certificate_expires(const char *name, const char *file, gint64 expiry_usec,
                                gint64 now_usec)
{
    g_autoptr(GDateTime) end = g_date_time_new_from_unix_utc(expiry_usec / G_USEC_PER_SEC);
    g_autofree char *end_text =
        end != NULL ? g_date_time_format(end, "%Y-%m-%d") : g_strdup("some day");
    g_autofree char *expiry = number((guint64)MAX(expiry_usec, 0));
    gboolean is_over = expiry_usec <= now_usec;
    g_autofree char *text =
        g_strdup_printf("The certificate of device %s (%s) %s on %s. Put a new one in its place; "
                        "the daemon takes it up by itself.",
                        name, file, is_over ? "ended" : "ends", end_text);

    spoke_log_entry(is_over ? LOG_ERR : LOG_WARNING, EVENT_CERTIFICATE, text, "SPOKE_NAME", name,
                    "SPOKE_PATH", file, "SPOKE_EXPIRY_USEC", expiry, NULL);
}
