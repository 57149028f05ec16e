/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/transports/amqp/condition.h"

#include <string.h>

/* A detail goes to the journal and to D-Bus: a sentence, not a page. */
#define DETAIL_BYTES_MAX 512

typedef struct {
    const char *name;
    SpokeCause cause;
    gboolean is_message_fault; /* where a message was refused with it */
} Row;

/* Source: iot-hub-protocol.md, 3.9, and AMQP 1.0, part 2.8. */
static const Row rows[] = {
    {"amqp:unauthorized-access", SPOKE_CAUSE_AUTHENTICATION_FAILED, FALSE},
    {"amqp:not-found", SPOKE_CAUSE_NOT_FOUND, FALSE},
    {"amqp:resource-limit-exceeded", SPOKE_CAUSE_QUOTA_EXCEEDED, FALSE},
    {"amqp:internal-error", SPOKE_CAUSE_UNAVAILABLE, FALSE},
    {"amqp:resource-locked", SPOKE_CAUSE_UNAVAILABLE, FALSE},
    {"amqp:resource-deleted", SPOKE_CAUSE_NOT_FOUND, FALSE},
    {"amqp:not-allowed", SPOKE_CAUSE_PROTOCOL, TRUE},
    {"amqp:not-implemented", SPOKE_CAUSE_PROTOCOL, TRUE},
    {"amqp:decode-error", SPOKE_CAUSE_PROTOCOL, TRUE},
    {"amqp:invalid-field", SPOKE_CAUSE_PROTOCOL, TRUE},
    {"amqp:precondition-failed", SPOKE_CAUSE_PROTOCOL, TRUE},
    {"amqp:illegal-state", SPOKE_CAUSE_PROTOCOL, FALSE},
    {"amqp:frame-size-too-small", SPOKE_CAUSE_PROTOCOL, FALSE},
    {"amqp:connection:forced", SPOKE_CAUSE_UNAVAILABLE, FALSE},
    {"amqp:connection:framing-error", SPOKE_CAUSE_PROTOCOL, FALSE},
    {"amqp:connection:redirect", SPOKE_CAUSE_PROTOCOL, FALSE},
    {"amqp:session:window-violation", SPOKE_CAUSE_PROTOCOL, FALSE},
    {"amqp:session:errant-link", SPOKE_CAUSE_PROTOCOL, FALSE},
    {"amqp:session:handle-in-use", SPOKE_CAUSE_PROTOCOL, FALSE},
    {"amqp:session:unattached-handle", SPOKE_CAUSE_PROTOCOL, FALSE},
    {"amqp:link:detach-forced", SPOKE_CAUSE_UNAVAILABLE, FALSE},
    {"amqp:link:transfer-limit-exceeded", SPOKE_CAUSE_PROTOCOL, FALSE},
    {"amqp:link:message-size-exceeded", SPOKE_CAUSE_PROTOCOL, TRUE},
    {"amqp:link:redirect", SPOKE_CAUSE_PROTOCOL, FALSE},
    {"amqp:link:stolen", SPOKE_CAUSE_EVICTED, FALSE},
    {"com.microsoft:timeout", SPOKE_CAUSE_UNAVAILABLE, FALSE},
    {"com.microsoft:server-busy", SPOKE_CAUSE_UNAVAILABLE, FALSE},
    {"com.microsoft:device-container-throttled", SPOKE_CAUSE_THROTTLED, FALSE},
    {"com.microsoft:quota-exceeded", SPOKE_CAUSE_QUOTA_EXCEEDED, FALSE},
    {"com.microsoft:iot-hub-suspended", SPOKE_CAUSE_QUOTA_EXCEEDED, FALSE},
    {"com.microsoft:iot-hub-not-found-error", SPOKE_CAUSE_NOT_FOUND, FALSE},
    {"com.microsoft:argument-error", SPOKE_CAUSE_PROTOCOL, TRUE},
    {"com.microsoft:argument-out-of-range", SPOKE_CAUSE_PROTOCOL, TRUE},
    {"com.microsoft:precondition-failed", SPOKE_CAUSE_PROTOCOL, TRUE},
};

static const Row *
find_row(const char *name)
{
    for (guint i = 0; name != NULL && i < G_N_ELEMENTS(rows); i++)
        if (strcmp(rows[i].name, name) == 0)
            return &rows[i];
    return NULL;
}

SpokeCause
spoke_amqp_condition_get_cause(const char *name, SpokeAmqpScope scope)
{
    const Row *row = find_row(name);

    if (row == NULL)
        return SPOKE_CAUSE_CLOSED_BY_HUB;
    /* Of a connection this says that we fell silent. Source: iot-hub-protocol.md, 3.2. */
    if (scope == SPOKE_AMQP_SCOPE_CONNECTION && row->cause == SPOKE_CAUSE_QUOTA_EXCEEDED &&
        g_str_equal(name, "amqp:resource-limit-exceeded"))
        return SPOKE_CAUSE_KEEPALIVE;
    return row->cause;
}

gboolean
spoke_amqp_condition_is_message_fault(const char *name)
{
    const Row *row = find_row(name);

    return row == NULL || row->is_message_fault;
}

SpokeCause
spoke_amqp_status_get_cause(gint64 status)
{
    if (status >= 200 && status < 300)
        return SPOKE_CAUSE_NONE;
    if (status >= 500 && status < 600)
        return SPOKE_CAUSE_UNAVAILABLE;

    switch (status) {
    case 400:
        return SPOKE_CAUSE_BAD_CREDENTIALS;
    case 401:
    case 403:
        return SPOKE_CAUSE_AUTHENTICATION_FAILED;
    case 404:
        return SPOKE_CAUSE_NOT_FOUND;
    case 429:
        return SPOKE_CAUSE_THROTTLED;
    default:
        return SPOKE_CAUSE_PROTOCOL;
    }
}

static void
hide_token(GString *text)
{
    const char *token = strstr(text->str, "SharedAccessSignature");

    if (token == NULL)
        return;
    g_string_truncate(text, (gsize)(token - text->str));
    g_string_append(text, "…");
}

/* Valid UTF-8 without control characters; cut between characters. */
static char *
make_printable(const GString *text)
{
    g_autofree char *cut = g_strndup(text->str, DETAIL_BYTES_MAX);
    const char *end = NULL;

    if (text->len > DETAIL_BYTES_MAX && !g_utf8_validate(cut, -1, &end))
        cut[end - cut] = '\0';

    char *printable = g_utf8_make_valid(cut, -1);

    for (char *at = printable; *at != '\0'; at++)
        if (g_ascii_iscntrl(*at))
            *at = ' ';
    return printable;
}

char *
spoke_amqp_condition_format(const char *name, const char *description)
{
    if (name == NULL && description == NULL)
        return NULL;

    g_autoptr(GString) text = g_string_new(name);

    if (description != NULL && *description != '\0') {
        if (text->len > 0)
            g_string_append(text, ": ");
        g_string_append(text, description);
    }
    hide_token(text);
    return make_printable(text);
}
