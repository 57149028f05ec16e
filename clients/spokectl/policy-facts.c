/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "clients/spokectl/policy-facts.h"

#include "clients/spokectl/duration.h"
#include "policy/condition.h"

#include <string.h>

#define WORD_WORKED "ok"
#define WORD_AUTO   "auto"
#define WORD_NONE   "none"

/* Every kind of value has one reader; @member is of the facts or of one history. */
typedef gboolean (*ReadFunc)(const char *value, gpointer member, GError **error);

typedef struct {
    const char *name;
    ReadFunc read;
    size_t offset;
} Row;

static gboolean
fail(GError **error, const char *what)
{
    g_set_error_literal(error, G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE, what);
    return FALSE;
}

static gboolean
read_count(const char *value, gpointer member, GError **error)
{
    guint64 number = 0;

    if (!spoke_number_parse(value, G_MAXINT32, &number))
        return fail(error, "must be a whole number from 0 to 2147483647");

    *(guint *)member = (guint)number;
    return TRUE;
}

static gboolean
read_boolean(const char *value, gpointer member, GError **error)
{
    gboolean yes = g_str_equal(value, "yes");

    if (!yes && !g_str_equal(value, "no"))
        return fail(error, "must be yes or no");

    *(gboolean *)member = yes;
    return TRUE;
}

static gboolean
read_size(const char *value, gpointer member, GError **error)
{
    return spoke_size_parse(value, member) ||
           fail(error, "must be a size: a whole number of bytes, or with K, M, G or T");
}

static gboolean
read_protocols(const char *value, const char *none, SpokeProtocols *ret_protocols, GError **error)
{
    if (g_str_equal(value, none)) {
        *ret_protocols = 0;
        return TRUE;
    }
    if (spoke_protocols_parse(value, ret_protocols))
        return TRUE;

    g_set_error(error, G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE,
                "must be %s or some of mqtt, mqtt-ws, amqp, amqp-ws and https, with commas between",
                none);
    return FALSE;
}

static gboolean
read_installed(const char *value, gpointer member, GError **error)
{
    return read_protocols(value, WORD_NONE, member, error);
}

static gboolean
read_named(const char *value, gpointer member, GError **error)
{
    return read_protocols(value, WORD_AUTO, member, error);
}

static gboolean
read_outcome(const char *value, gpointer member, GError **error)
{
    const char *const *causes = spoke_condition_get_causes();
    const char **outcome = member;

    if (g_strv_contains(causes, value) || g_str_equal(value, WORD_WORKED)) {
        *outcome = g_str_equal(value, WORD_WORKED) ? "" : value;
        return TRUE;
    }

    g_autofree char *names = g_strjoinv(", ", (char **)causes);
    g_set_error(error, G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE, "must be %s or one of %s",
                WORD_WORKED, names);
    return FALSE;
}

static gboolean
read_age(const char *value, gpointer member, GError **error)
{
    guint64 msec = 0;

    if (!spoke_duration_parse(value, &msec, error))
        return FALSE;

    *(gint64 *)member = (gint64)MIN(msec, G_MAXINT64 / 1000) * 1000;
    return TRUE;
}

static gboolean
read_worked(const char *value, gpointer member, GError **error)
{
    SpokeHistory *history = member;

    history->has_worked = TRUE;
    return read_age(value, &history->worked_ago_usec, error);
}

static const Row of_machine[] = {
    {"identities", read_count, G_STRUCT_OFFSET(SpokeFacts, with_key)},
    {"tokens", read_count, G_STRUCT_OFFSET(SpokeFacts, with_token)},
    {"certificates", read_count, G_STRUCT_OFFSET(SpokeFacts, with_certificate)},
    {"push", read_boolean, G_STRUCT_OFFSET(SpokeFacts, needs_push)},
    {"settle", read_boolean, G_STRUCT_OFFSET(SpokeFacts, needs_settle)},
    {"proxy", read_boolean, G_STRUCT_OFFSET(SpokeFacts, has_proxy)},
    {"metered", read_boolean, G_STRUCT_OFFSET(SpokeFacts, is_metered)},
    {"memory", read_size, G_STRUCT_OFFSET(SpokeFacts, memory_bytes)},
    {"free-memory", read_size, G_STRUCT_OFFSET(SpokeFacts, free_bytes)},
    {"installed", read_installed, G_STRUCT_OFFSET(SpokeFacts, installed)},
    {"transport", read_named, G_STRUCT_OFFSET(SpokeFacts, named)},
    {NULL},
};

static const Row of_protocol[] = {
    {"last", read_outcome, G_STRUCT_OFFSET(SpokeHistory, last_outcome)},
    {"ago", read_age, G_STRUCT_OFFSET(SpokeHistory, tried_ago_usec)},
    {"failures", read_count, G_STRUCT_OFFSET(SpokeHistory, failures)},
    {"worked", read_worked, 0},
    {NULL},
};

static gboolean
read_fact(const Row *rows, gpointer members, const char *name, const char *value, GError **error)
{
    for (const Row *row = rows; row->name != NULL; row++)
        if (g_str_equal(row->name, name))
            return row->read(value, (char *)members + row->offset, error);
    return fail(error, "there is no such fact; see spokectl(1)");
}

/* "push", or "mqtt.last" of a protocol's history */
static gboolean
read_named_fact(SpokeFacts *facts, const char *name, const char *value, GError **error)
{
    g_auto(GStrv) parts = g_strsplit(name, ".", 2);
    SpokeProtocol protocol = SPOKE_PROTOCOL_MQTT;

    if (parts[0] == NULL || parts[1] == NULL)
        return read_fact(of_machine, facts, name, value, error);
    if (!spoke_protocol_from_string(parts[0], &protocol))
        return fail(error, "before the dot stands mqtt, mqtt-ws, amqp, amqp-ws or https");
    return read_fact(of_protocol, &facts->history[protocol], parts[1], value, error);
}

static gboolean
read_word(SpokeFacts *facts, const char *word, GError **error)
{
    const char *equals = strchr(word, '=');

    if (equals == NULL) {
        g_set_error(error, G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE, "'%s' is not FACT=VALUE",
                    word);
        return FALSE;
    }

    g_autofree char *name = g_strndup(word, (gsize)(equals - word));
    if (read_named_fact(facts, name, equals + 1, error))
        return TRUE;
    g_prefix_error(error, "%s: ", name);
    return FALSE;
}

/* What follows from what was given. */
static void
complete(SpokeFacts *facts)
{
    if (spoke_facts_count_identities(facts) == 0)
        facts->with_key = 1;

    for (guint i = 0; i < SPOKE_N_PROTOCOLS; i++) {
        SpokeHistory *history = &facts->history[i];

        if (history->last_outcome == NULL)
            continue;
        if (*history->last_outcome != '\0')
            history->failures = MAX(history->failures, 1);
        else if (!history->has_worked) {
            history->has_worked = TRUE;
            history->worked_ago_usec = history->tried_ago_usec;
        }
    }
}

gboolean
spoke_policy_facts_parse(char **words, SpokeFacts *ret_facts, GError **error)
{
    SpokeFacts facts = {.installed = SPOKE_PROTOCOLS_ALL};

    for (char **word = words; word != NULL && *word != NULL; word++)
        if (!read_word(&facts, *word, error))
            return FALSE;
    complete(&facts);
    *ret_facts = facts;
    return TRUE;
}
