/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/transports/https/status.h"

#include "daemon/utc.h"

#include <curl/curl.h>
#include <string.h>

#define SKEW_MAX_USEC  (5 * 60 * G_USEC_PER_SEC)
#define WAIT_MAX_SEC   G_GINT64_CONSTANT(86400)
#define TEXT_BYTES_MAX 200
#define DATE_MAX_SEC   G_GINT64_CONSTANT(253402300799) /* the end of 9999 */

/* Causes of single statuses. Source: iot-hub-protocol.md, 4.5. */
static const struct {
    guint status;
    SpokeCause cause;
} causes[] = {
    {401, SPOKE_CAUSE_AUTHENTICATION_FAILED},
    {403, SPOKE_CAUSE_QUOTA_EXCEEDED},
    {404, SPOKE_CAUSE_NOT_FOUND},
    {407, SPOKE_CAUSE_PROXY},
    {408, SPOKE_CAUSE_UNAVAILABLE},
    {429, SPOKE_CAUSE_THROTTLED},
};

/* What stands after "ErrorCode:" in the body, or the header. (transfer full): possibly empty */
static char *
get_error_code(const SpokeAnswer *answer)
{
    static const char mark[] = "ErrorCode:";

    if (answer->error_code != NULL)
        return g_strndup(answer->error_code, TEXT_BYTES_MAX);

    const char *found =
        answer->body != NULL ? g_strstr_len(answer->body, (gssize)answer->body_size, mark) : NULL;

    if (found == NULL)
        return g_strdup("");

    const char *start = found + strlen(mark);
    const char *end = start;

    while (end < answer->body + answer->body_size && g_ascii_isalnum(*end))
        end++;
    return g_strndup(start, MIN((gsize)(end - start), TEXT_BYTES_MAX));
}

/*
 * The front end of the hub answers 400 as well, to what has nothing to do with the message: then
 * there is no error code, and a message must not be given up for it. The same goes for a version of
 * the API that the hub does not know.
 */
static gboolean
is_about_message(const SpokeAnswer *answer)
{
    g_autofree char *code = get_error_code(answer);

    return code[0] != '\0' && strstr(code, "ProtocolVersion") == NULL;
}

SpokeStatusKind
spoke_status_get_kind(const SpokeAnswer *answer)
{
    if (answer->status >= 200 && answer->status < 300)
        return SPOKE_STATUS_DONE;
    switch (answer->status) {
    case 400:
    case 415:
        return is_about_message(answer) ? SPOKE_STATUS_MESSAGE : SPOKE_STATUS_ACCOUNT;
    case 413:
        return SPOKE_STATUS_MESSAGE;
    case 412:
        return SPOKE_STATUS_LOCK;
    default:
        return SPOKE_STATUS_ACCOUNT;
    }
}

/* Returns: microseconds since 1970, or -1, also for a year that no clock has */
static gint64
parse_date(const char *text)
{
    gint64 seconds = text != NULL ? curl_getdate(text, NULL) : -1;

    return seconds >= 0 && seconds <= DATE_MAX_SEC ? seconds * G_USEC_PER_SEC : -1;
}

static gboolean
is_clock_wrong(const SpokeAnswer *answer, gint64 now_usec)
{
    gint64 hub_usec = parse_date(answer->date);

    return hub_usec >= 0 && ABS(hub_usec - now_usec) > SKEW_MAX_USEC;
}

SpokeCause
spoke_status_get_cause(const SpokeAnswer *answer, gint64 now_usec)
{
    g_autofree char *code = get_error_code(answer);

    if (answer->status == 401 && is_clock_wrong(answer, now_usec))
        return SPOKE_CAUSE_CLOCK;
    /* 403 is for quotas, and for a device that was switched off. Source: page, 7.3 (403012). */
    if (answer->status == 403 &&
        (strstr(code, "Disabled") != NULL || strstr(code, "NotActivated") != NULL))
        return SPOKE_CAUSE_AUTHENTICATION_FAILED;
    for (size_t i = 0; i < G_N_ELEMENTS(causes); i++)
        if (causes[i].status == answer->status)
            return causes[i].cause;
    return answer->status >= 500 ? SPOKE_CAUSE_UNAVAILABLE : SPOKE_CAUSE_PROTOCOL;
}

/* The string after "Message": in the body, without its "ErrorCode:…;", made fit for a log line.
 * (transfer full) (nullable) */
static char *
get_text(const SpokeAnswer *answer)
{
    static const char mark[] = "\"Message\":";

    if (answer->body == NULL)
        return NULL;

    const char *limit = answer->body + answer->body_size;
    const char *at = g_strstr_len(answer->body, (gssize)answer->body_size, mark);

    if (at == NULL)
        return NULL;
    at += strlen(mark);
    while (at < limit && *at == ' ')
        at++;
    if (at == limit || *at++ != '"')
        return NULL;

    g_autoptr(GString) text = g_string_new(NULL);

    for (; at < limit && *at != '"' && text->len < TEXT_BYTES_MAX; at++) {
        if (*at == '\\' && ++at == limit)
            break;
        g_string_append_c(text, g_ascii_iscntrl(*at) ? ' ' : *at);
    }
    if (g_str_has_prefix(text->str, "ErrorCode:") && strchr(text->str, ';') != NULL)
        g_string_erase(text, 0, strchr(text->str, ';') - text->str + 1);
    /* It should never say back what it was sent; but this is a place where it would be seen. */
    if (text->len == 0 || strstr(text->str, "sig=") != NULL)
        return NULL;
    return g_utf8_make_valid(text->str, (gssize)text->len);
}

static char *
describe_clocks(const SpokeAnswer *answer, gint64 now_usec)
{
    char hub[SPOKE_UTC_SIZE] = "", machine[SPOKE_UTC_SIZE] = "";

    (void)spoke_utc_format(parse_date(answer->date), hub);
    (void)spoke_utc_format(now_usec / G_USEC_PER_SEC * G_USEC_PER_SEC, machine);
    return g_strdup_printf("the hub's clock says %s, this machine's %s", hub, machine);
}

char *
spoke_status_describe(const SpokeAnswer *answer, gint64 now_usec)
{
    g_autofree char *code = get_error_code(answer);
    g_autofree char *valid_code = g_utf8_make_valid(code, -1);
    g_autofree char *text = answer->status == 401 && is_clock_wrong(answer, now_usec)
                                ? describe_clocks(answer, now_usec)
                                : get_text(answer);

    return g_strdup_printf("HTTP %u%s%s%s%s", answer->status, code[0] != '\0' ? " " : "",
                           valid_code, text != NULL ? ": " : "", text != NULL ? text : "");
}

gint64
spoke_status_get_wait(const SpokeAnswer *answer, gint64 now_usec)
{
    guint64 seconds = 0;

    if (answer->retry_after == NULL)
        return 0;
    if (g_ascii_string_to_unsigned(answer->retry_after, 10, 0, G_MAXUINT32, &seconds, NULL))
        return MIN((gint64)seconds, WAIT_MAX_SEC) * G_USEC_PER_SEC;

    /* A date is on the hub's clock, which need not be ours. */
    gint64 until_usec = parse_date(answer->retry_after);
    gint64 hub_usec = parse_date(answer->date);

    if (until_usec < 0)
        return 0;
    return CLAMP(until_usec - (hub_usec >= 0 ? hub_usec : now_usec), 0,
                 WAIT_MAX_SEC * G_USEC_PER_SEC);
}
