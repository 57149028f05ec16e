/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "policy/condition.h"

#include <string.h>

G_DEFINE_QUARK(spoke_rules_error, spoke_rules_error)

/* The order is the order of bits in a value. A unit test compares it with daemon/cause.c. */
static const char *const causes[] = {
    "Closed",        "Dns",         "TcpRefused",   "TcpTimeout",     "Network",
    "Tls",           "Certificate", "Protocol",     "BadCredentials", "AuthenticationFailed",
    "Unavailable",   "ClosedByHub", "Evicted",      "KeepAlive",      "Credentials",
    "Clock",         "Storage",     "Internal",     "NotFound",       "Throttled",
    "QuotaExceeded", "Proxy",       "NotInstalled", "Unsupported",    NULL,
};
G_STATIC_ASSERT(G_N_ELEMENTS(causes) <= 64);

static const char *const credentials[] = {"key", "token", "certificate", NULL};

/* Whether Transport= names a protocol, seen from one of them. */
enum { NAMED_NONE, NAMED_THIS, NAMED_OTHER };
static const char *const namings[] = {"none", "this", "other", NULL};

static const char *const booleans[] = {"no", "yes", NULL};

typedef enum { KIND_COUNT, KIND_SIZE, KIND_SECONDS, KIND_BOOLEAN, KIND_WORDS } Kind;

typedef struct {
    const char *key;
    Kind kind;
    const char *const *words; /* KIND_WORDS: those there are; the value has a bit for each */
    gboolean (*holds)(guint64 value, const SpokeFacts *facts, const SpokeHistory *history,
                      SpokeProtocol protocol);
    void (*describe)(const SpokeFacts *facts, const SpokeHistory *history, GString *text);
} Row;

static gboolean
has_identities_min(guint64 value, const SpokeFacts *facts, const SpokeHistory *history,
                   SpokeProtocol protocol)
{
    return spoke_facts_count_identities(facts) >= value;
}

static gboolean
has_identities_max(guint64 value, const SpokeFacts *facts, const SpokeHistory *history,
                   SpokeProtocol protocol)
{
    return spoke_facts_count_identities(facts) <= value;
}

static void
describe_identities(const SpokeFacts *facts, const SpokeHistory *history, GString *text)
{
    guint n = spoke_facts_count_identities(facts);

    g_string_append_printf(text, "%u %s", n, n == 1 ? "identity" : "identities");
}

static guint
credentials_of(const SpokeFacts *facts)
{
    return (facts->with_key > 0) | (guint)(facts->with_token > 0) << 1 |
           (guint)(facts->with_certificate > 0) << 2;
}

static gboolean
has_credentials(guint64 value, const SpokeFacts *facts, const SpokeHistory *history,
                SpokeProtocol protocol)
{
    return (credentials_of(facts) & value) != 0;
}

static void
describe_credentials(const SpokeFacts *facts, const SpokeHistory *history, GString *text)
{
    guint in_use = credentials_of(facts);
    const char *separator = "login by ";

    for (guint i = 0; credentials[i] != NULL; i++) {
        if ((in_use & 1u << i) == 0)
            continue;
        g_string_append(text, separator);
        g_string_append(text, credentials[i]);
        separator = " and ";
    }
}

static gboolean
has_push_need(guint64 value, const SpokeFacts *facts, const SpokeHistory *history,
              SpokeProtocol protocol)
{
    return !facts->needs_push == !value;
}

static void
describe_push_need(const SpokeFacts *facts, const SpokeHistory *history, GString *text)
{
    g_string_append(text, facts->needs_push ? "push is needed" : "push is not needed");
}

static gboolean
has_settle_need(guint64 value, const SpokeFacts *facts, const SpokeHistory *history,
                SpokeProtocol protocol)
{
    return !facts->needs_settle == !value;
}

static void
describe_settle_need(const SpokeFacts *facts, const SpokeHistory *history, GString *text)
{
    g_string_append(text, facts->needs_settle ? "settlement at the hub is needed"
                                              : "settlement at the hub is not needed");
}

static gboolean
has_proxy(guint64 value, const SpokeFacts *facts, const SpokeHistory *history,
          SpokeProtocol protocol)
{
    return !facts->has_proxy == !value;
}

static void
describe_proxy(const SpokeFacts *facts, const SpokeHistory *history, GString *text)
{
    g_string_append(text, facts->has_proxy ? "a proxy is set" : "no proxy is set");
}

static gboolean
is_metered(guint64 value, const SpokeFacts *facts, const SpokeHistory *history,
           SpokeProtocol protocol)
{
    return !facts->is_metered == !value;
}

static void
describe_metered(const SpokeFacts *facts, const SpokeHistory *history, GString *text)
{
    g_string_append(text, facts->is_metered ? "the link is metered" : "the link is not metered");
}

static gboolean
is_memory_below(guint64 value, const SpokeFacts *facts, const SpokeHistory *history,
                SpokeProtocol protocol)
{
    return facts->memory_bytes != 0 && facts->memory_bytes < value;
}

static gboolean
is_free_below(guint64 value, const SpokeFacts *facts, const SpokeHistory *history,
              SpokeProtocol protocol)
{
    return facts->free_bytes != 0 && facts->free_bytes < value;
}

static void
append_size(GString *text, guint64 bytes)
{
    static const char *const units[] = {"KiB", "MiB", "GiB", "TiB"};
    guint unit = 0;

    for (bytes /= 1024; bytes >= 10 * 1024 && unit < G_N_ELEMENTS(units) - 1; unit++)
        bytes /= 1024;
    g_string_append_printf(text, "%" G_GUINT64_FORMAT " %s", bytes, units[unit]);
}

static void
describe_memory(const SpokeFacts *facts, const SpokeHistory *history, GString *text)
{
    append_size(text, facts->memory_bytes);
    g_string_append(text, " of memory");
}

static void
describe_free(const SpokeFacts *facts, const SpokeHistory *history, GString *text)
{
    append_size(text, facts->free_bytes);
    g_string_append(text, " of memory free");
}

static gboolean
is_named(guint64 value, const SpokeFacts *facts, const SpokeHistory *history,
         SpokeProtocol protocol)
{
    guint naming = NAMED_OTHER;

    if (facts->named == 0)
        naming = NAMED_NONE;
    else if ((facts->named & SPOKE_PROTOCOL_BIT(protocol)) != 0)
        naming = NAMED_THIS;
    return (value & 1u << naming) != 0;
}

static void
describe_named(const SpokeFacts *facts, const SpokeHistory *history, GString *text)
{
    const char *separator = "Transport=";

    if (facts->named == 0)
        g_string_append(text, "no Transport= is set");
    for (guint i = 0; i < SPOKE_N_PROTOCOLS; i++) {
        if ((facts->named & SPOKE_PROTOCOL_BIT(i)) == 0)
            continue;
        g_string_append(text, separator);
        g_string_append(text, spoke_protocol_to_string(i));
        separator = ",";
    }
}

static gboolean
has_failed(const SpokeHistory *history)
{
    return history->last_outcome != NULL && *history->last_outcome != '\0';
}

static gboolean
is_last_outcome(guint64 value, const SpokeFacts *facts, const SpokeHistory *history,
                SpokeProtocol protocol)
{
    if (!has_failed(history))
        return FALSE;

    for (guint i = 0; causes[i] != NULL; i++)
        if ((value & G_GUINT64_CONSTANT(1) << i) != 0 &&
            g_str_equal(causes[i], history->last_outcome))
            return TRUE;
    return FALSE;
}

static void
describe_last_outcome(const SpokeFacts *facts, const SpokeHistory *history, GString *text)
{
    g_string_append(text, has_failed(history) ? history->last_outcome : "no failure");
}

static gboolean
has_failures_min(guint64 value, const SpokeFacts *facts, const SpokeHistory *history,
                 SpokeProtocol protocol)
{
    return history->failures >= value;
}

static void
describe_failures(const SpokeFacts *facts, const SpokeHistory *history, GString *text)
{
    g_string_append_printf(text, "%u %s in a row", history->failures,
                           history->failures == 1 ? "failure" : "failures");
}

static gboolean
is_within(guint64 value, gint64 ago_usec)
{
    return ago_usec <= (gint64)value * G_USEC_PER_SEC;
}

static gboolean
has_failed_within(guint64 value, const SpokeFacts *facts, const SpokeHistory *history,
                  SpokeProtocol protocol)
{
    return has_failed(history) && is_within(value, history->tried_ago_usec);
}

static gboolean
has_worked_within(guint64 value, const SpokeFacts *facts, const SpokeHistory *history,
                  SpokeProtocol protocol)
{
    return history->has_worked && is_within(value, history->worked_ago_usec);
}

static void
append_age(GString *text, gint64 usec)
{
    static const struct {
        gint64 sec;
        const char *name;
    } units[] = {{86400, "d"}, {3600, "h"}, {60, "min"}, {1, "s"}};
    gint64 sec = MAX(usec, 0) / G_USEC_PER_SEC;
    guint unit = 0;

    while (unit < G_N_ELEMENTS(units) - 1 && sec < 2 * units[unit].sec)
        unit++;
    g_string_append_printf(text, "%" G_GINT64_FORMAT " %s ago", sec / units[unit].sec,
                           units[unit].name);
}

static void
describe_failed(const SpokeFacts *facts, const SpokeHistory *history, GString *text)
{
    append_age(text, history->tried_ago_usec);
}

static void
describe_worked(const SpokeFacts *facts, const SpokeHistory *history, GString *text)
{
    g_string_append(text, "worked ");
    append_age(text, history->worked_ago_usec);
}

static const Row rows[] = {
    [SPOKE_CONDITION_IDENTITIES_MIN] = {"IdentitiesMin", KIND_COUNT, NULL, has_identities_min,
                                        describe_identities},
    [SPOKE_CONDITION_IDENTITIES_MAX] = {"IdentitiesMax", KIND_COUNT, NULL, has_identities_max,
                                        describe_identities},
    [SPOKE_CONDITION_CREDENTIALS] = {"Credentials", KIND_WORDS, credentials, has_credentials,
                                     describe_credentials},
    [SPOKE_CONDITION_NEEDS_PUSH] = {"NeedsPush", KIND_BOOLEAN, booleans, has_push_need,
                                    describe_push_need},
    [SPOKE_CONDITION_NEEDS_SETTLE] = {"NeedsSettle", KIND_BOOLEAN, booleans, has_settle_need,
                                      describe_settle_need},
    [SPOKE_CONDITION_PROXY] = {"Proxy", KIND_BOOLEAN, booleans, has_proxy, describe_proxy},
    [SPOKE_CONDITION_METERED] = {"Metered", KIND_BOOLEAN, booleans, is_metered, describe_metered},
    [SPOKE_CONDITION_MEMORY_BELOW] = {"MemoryBelow", KIND_SIZE, NULL, is_memory_below,
                                      describe_memory},
    [SPOKE_CONDITION_FREE_BELOW] = {"FreeMemoryBelow", KIND_SIZE, NULL, is_free_below,
                                    describe_free},
    [SPOKE_CONDITION_NAMED] = {"Named", KIND_WORDS, namings, is_named, describe_named},
    [SPOKE_CONDITION_LAST_OUTCOME] = {"LastOutcome", KIND_WORDS, causes, is_last_outcome,
                                      describe_last_outcome},
    [SPOKE_CONDITION_FAILURES_MIN] = {"FailuresMin", KIND_COUNT, NULL, has_failures_min,
                                      describe_failures},
    [SPOKE_CONDITION_FAILED_WITHIN] = {"FailedWithinSec", KIND_SECONDS, NULL, has_failed_within,
                                       describe_failed},
    [SPOKE_CONDITION_WORKED_WITHIN] = {"WorkedWithinSec", KIND_SECONDS, NULL, has_worked_within,
                                       describe_worked},
};
G_STATIC_ASSERT(G_N_ELEMENTS(rows) == SPOKE_N_CONDITIONS);

gboolean
spoke_number_parse(const char *text, guint64 max, guint64 *ret_number)
{
    return g_ascii_isdigit(*text) && g_ascii_string_to_unsigned(text, 10, 0, max, ret_number, NULL);
}

gboolean
spoke_size_parse(const char *text, guint64 *ret_bytes)
{
    static const char suffixes[] = "KMGT";
    size_t size = strlen(text);
    const char *suffix = size > 0 ? strchr(suffixes, text[size - 1]) : NULL;
    guint shift = suffix != NULL && *suffix != '\0' ? 10 * (guint)(suffix - suffixes + 1) : 0;
    g_autofree char *digits = g_strndup(text, size - (shift != 0));
    guint64 number = 0;

    if (!spoke_number_parse(digits, (guint64)G_MAXINT64 >> shift, &number))
        return FALSE;

    *ret_bytes = number << shift;
    return TRUE;
}

static gboolean
find_word(const char *const *words, const char *word, guint64 *ret_index)
{
    for (guint i = 0; words[i] != NULL; i++) {
        if (g_str_equal(words[i], word)) {
            *ret_index = i;
            return TRUE;
        }
    }
    return FALSE;
}

static gboolean
parse_words(const char *const *words, const char *text, guint64 *ret_bits)
{
    g_auto(GStrv) given = g_strsplit_set(text, " \t,", -1);
    guint64 bits = 0, index = 0;

    for (char **word = given; *word != NULL; word++) {
        if (**word == '\0')
            continue;
        if (!find_word(words, *word, &index))
            return FALSE;
        bits |= G_GUINT64_CONSTANT(1) << index;
    }
    *ret_bits = bits;
    return bits != 0;
}

static gboolean
parse_value(const Row *row, const char *text, guint64 *ret_value)
{
    switch (row->kind) {
    case KIND_COUNT:
        return spoke_number_parse(text, G_MAXINT32, ret_value);
    case KIND_SIZE:
        return spoke_size_parse(text, ret_value);
    case KIND_SECONDS:
        return spoke_number_parse(text, G_MAXINT32, ret_value);
    case KIND_BOOLEAN:
        return find_word(row->words, text, ret_value);
    case KIND_WORDS:
        return parse_words(row->words, text, ret_value);
    default:
        return FALSE;
    }
}

/* What would have been right. (transfer full) */
static char *
describe_kind(const Row *row)
{
    static const char *const texts[] = {
        [KIND_COUNT] = "a whole number from 0 to 2147483647",
        [KIND_SIZE] = "a size (a whole number of bytes, or with K, M, G or T)",
        [KIND_SECONDS] = "a whole number of seconds from 0 to 2147483647",
        [KIND_BOOLEAN] = "yes or no",
    };

    if (row->kind != KIND_WORDS)
        return g_strdup(texts[row->kind]);
    g_autofree char *words = g_strjoinv(", ", (char **)row->words);
    return g_strdup_printf("a list of some of these words: %s", words);
}

gboolean
spoke_condition_from_key(const char *key, SpokeCondition *ret_condition)
{
    for (guint i = 0; i < SPOKE_N_CONDITIONS; i++) {
        if (g_str_equal(rows[i].key, key)) {
            *ret_condition = i;
            return TRUE;
        }
    }
    return FALSE;
}

gboolean
spoke_condition_parse(SpokeCondition condition, const char *text, guint64 *ret_value,
                      GError **error)
{
    g_return_val_if_fail((guint)condition < SPOKE_N_CONDITIONS, FALSE);

    if (parse_value(&rows[condition], text, ret_value))
        return TRUE;

    g_autofree char *wanted = describe_kind(&rows[condition]);
    g_autofree char *shown = g_strescape(text, NULL);
    g_set_error(error, SPOKE_RULES_ERROR, SPOKE_RULES_ERROR_INVALID, "\"%.64s\" is not %s", shown,
                wanted);
    return FALSE;
}

gboolean
spoke_condition_holds(SpokeCondition condition, guint64 value, const SpokeFacts *facts,
                      SpokeProtocol protocol)
{
    return rows[condition].holds(value, facts, &facts->history[protocol], protocol);
}

void
spoke_condition_describe(SpokeCondition condition, const SpokeFacts *facts, SpokeProtocol protocol,
                         GString *text)
{
    rows[condition].describe(facts, &facts->history[protocol], text);
}

const char *const *
spoke_condition_get_causes(void)
{
    return causes;
}
