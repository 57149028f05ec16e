/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "policy/rules-file.h"

#include <string.h>

/*
 * The form is that of spoked.conf: [Section], Key=Value, comments. Each line is cut out as a copy,
 * so what is read stays as it was. What is quoted in an error is made printable first.
 */

#define SECTION_PREFIX   "Rule "
#define PRIORITY_DEFAULT 500
#define POLL_SEC_MAX     86400
#define SHOWN_BYTES_MAX  64

/* A rule while it grows. */
typedef struct {
    SpokeRule *rule; /* owned */
    char *path;      /* owned; where it stands last */
    guint line;
    GHashTable *keys; /* owned; set; those that the file being read has given */
} Section;

struct SpokeRulesDraft {
    GPtrArray *sections; /* owned; of Section, in the order of their first reading */

    /* The file being read. */
    const char *path; /* borrowed */
    guint line;
    Section *section; /* borrowed; NULL before the first */
};

static void
section_free(gpointer data)
{
    Section *section = data;

    spoke_rule_free(section->rule);
    g_free(section->path);
    g_hash_table_unref(section->keys);
    g_free(section);
}

SpokeRulesDraft *
spoke_rules_draft_new(void)
{
    SpokeRulesDraft *draft = g_new0(SpokeRulesDraft, 1);

    draft->sections = g_ptr_array_new_with_free_func(section_free);
    return draft;
}

void
spoke_rules_draft_free(SpokeRulesDraft *draft)
{
    if (draft == NULL)
        return;

    g_ptr_array_unref(draft->sections);
    g_free(draft);
}

static gboolean G_GNUC_PRINTF(2, 3) fail(GError **error, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    if (error != NULL)
        *error =
            g_error_new_valist(SPOKE_RULES_ERROR, SPOKE_RULES_ERROR_INVALID, format, arguments);
    va_end(arguments);
    return FALSE;
}

/* Something of the file's, for an error's text. (transfer full) */
static char *
show(const char *text)
{
    g_autofree char *start = g_strndup(text, SHOWN_BYTES_MAX);

    return g_strescape(start, NULL);
}

static gboolean
read_effect(SpokeRule *rule, const char *value, GError **error)
{
    if (*value == '\0') {
        rule->effect = SPOKE_N_EFFECTS;
        return TRUE;
    }
    return spoke_effect_from_string(value, &rule->effect) ||
           fail(error, "must be prefer, avoid, forbid or none");
}

static gboolean
read_transports(SpokeRule *rule, const char *value, GError **error)
{
    rule->protocols = 0;
    return *value == '\0' || spoke_protocols_parse(value, &rule->protocols) ||
           fail(error, "must be a list of some of mqtt, mqtt-ws, amqp, amqp-ws and https");
}

static gboolean
read_number(const char *value, guint otherwise, guint max, guint *ret_number, GError **error)
{
    guint64 number = otherwise;

    if (*value != '\0' && !spoke_number_parse(value, max, &number))
        return fail(error, "must be a whole number from 0 to %u", max);

    *ret_number = (guint)number;
    return TRUE;
}

static gboolean
read_priority(SpokeRule *rule, const char *value, GError **error)
{
    return read_number(value, PRIORITY_DEFAULT, SPOKE_RULE_PRIORITY_MAX, &rule->priority, error);
}

static gboolean
read_poll_sec(SpokeRule *rule, const char *value, GError **error)
{
    return read_number(value, 0, POLL_SEC_MAX, &rule->poll_sec, error);
}

/* It goes into sentences of ours, and on to terminals. */
static gboolean
read_because(SpokeRule *rule, const char *value, GError **error)
{
    size_t size = strlen(value);

    if (size > SPOKE_RULE_BECAUSE_MAX)
        return fail(error, "%zu bytes are over the limit of %d", size, SPOKE_RULE_BECAUSE_MAX);
    for (const char *c = value; *c != '\0'; c = g_utf8_next_char(c))
        if (!g_unichar_isprint(g_utf8_get_char(c)))
            return fail(error, "there is a character in it that can't be shown");

    g_free(rule->because);
    rule->because = g_strndup(value, size - g_str_has_suffix(value, "."));
    return TRUE;
}

static const struct {
    const char *name;
    gboolean (*read)(SpokeRule *rule, const char *value, GError **error);
} keys[] = {
    {"Transports", read_transports}, {"Effect", read_effect},    {"Priority", read_priority},
    {"Because", read_because},       {"PollSec", read_poll_sec},
};

static gboolean
read_condition(SpokeRule *rule, SpokeCondition condition, const char *value, GError **error)
{
    rule->conditions &= ~(1u << condition);
    if (*value == '\0')
        return TRUE;
    if (!spoke_condition_parse(condition, value, &rule->values[condition], error))
        return FALSE;

    rule->conditions |= 1u << condition;
    return TRUE;
}

static gboolean
read_value(SpokeRule *rule, const char *key, const char *value, GError **error)
{
    SpokeCondition condition = SPOKE_CONDITION_IDENTITIES_MIN;

    for (guint i = 0; i < G_N_ELEMENTS(keys); i++)
        if (g_str_equal(keys[i].name, key))
            return keys[i].read(rule, value, error);
    if (spoke_condition_from_key(key, &condition))
        return read_condition(rule, condition, value, error);
    return fail(error, "there is no such key");
}

static gboolean
read_key(Section *section, const char *key, const char *value, GError **error)
{
    g_autofree char *shown = show(key);

    if (!g_hash_table_add(section->keys, g_strdup(key)))
        return fail(error, "%s stands in this rule for the second time", shown);
    if (!read_value(section->rule, key, value, error)) {
        g_prefix_error(error, "%s: ", shown);
        return FALSE;
    }
    return TRUE;
}

static Section *
find_section(SpokeRulesDraft *draft, const char *name)
{
    for (guint i = 0; i < draft->sections->len; i++) {
        Section *section = g_ptr_array_index(draft->sections, i);

        if (g_str_equal(section->rule->name, name))
            return section;
    }
    return NULL;
}

static Section *
add_section(SpokeRulesDraft *draft, const char *name)
{
    Section *section = g_new0(Section, 1);

    section->rule = g_new0(SpokeRule, 1);
    section->rule->name = g_strdup(name);
    section->rule->priority = PRIORITY_DEFAULT;
    section->rule->effect = SPOKE_N_EFFECTS;
    section->rule->because = g_strdup("");
    section->keys = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    g_ptr_array_add(draft->sections, section);
    return section;
}

static gboolean
check_name(const char *name, GError **error)
{
    size_t size = strlen(name);

    if (size == 0 || size > SPOKE_RULE_NAME_MAX ||
        strspn(name, G_CSET_a_2_z G_CSET_DIGITS "-") != size)
        return fail(error, "the name of a rule is 1 to %d of a-z, 0-9 and -", SPOKE_RULE_NAME_MAX);
    return TRUE;
}

/* @title: what stands between the brackets */
static gboolean
begin_section(SpokeRulesDraft *draft, const char *title, GError **error)
{
    if (!g_str_has_prefix(title, SECTION_PREFIX))
        return fail(error, "the only kind of section is [Rule NAME]");

    const char *name = title + strlen(SECTION_PREFIX);
    if (!check_name(name, error))
        return FALSE;

    Section *section = find_section(draft, name);
    if (section != NULL && g_strcmp0(section->path, draft->path) == 0)
        return fail(error, "rule %s stands in this file already, on line %u", name, section->line);
    if (section == NULL && draft->sections->len == SPOKE_RULES_MAX)
        return fail(error, "there are more than %d rules", SPOKE_RULES_MAX);
    if (section == NULL)
        section = add_section(draft, name);

    g_free(section->path);
    section->path = g_strdup(draft->path);
    section->line = draft->line;
    g_hash_table_remove_all(section->keys);
    draft->section = section;
    return TRUE;
}

/* @line: stripped, and ours to change */
static gboolean
read_line(SpokeRulesDraft *draft, char *line, GError **error)
{
    size_t size = strlen(line);

    if (*line == '\0' || *line == '#' || *line == ';')
        return TRUE;
    if (*line == '[') {
        if (line[size - 1] != ']')
            return fail(error, "a section is written [Rule NAME], alone on its line");
        line[size - 1] = '\0';
        return begin_section(draft, line + 1, error);
    }

    char *equals = strchr(line, '=');
    if (equals == NULL || equals == line)
        return fail(error, "neither a [Rule NAME] nor a Key=Value nor a # comment");
    if (draft->section == NULL)
        return fail(error, "a key before the first [Rule NAME]");
    *equals = '\0';
    return read_key(draft->section, g_strchomp(line), g_strchug(equals + 1), error);
}

static gboolean
read_lines(SpokeRulesDraft *draft, const char *text, size_t size, GError **error)
{
    static const char byte_order_mark[] = "\xef\xbb\xbf";
    const char *rest = text, *end = text + size;

    if (size >= strlen(byte_order_mark) &&
        memcmp(text, byte_order_mark, strlen(byte_order_mark)) == 0)
        rest += strlen(byte_order_mark);

    while (rest < end) {
        const char *newline = memchr(rest, '\n', (size_t)(end - rest));
        size_t length = (size_t)((newline != NULL ? newline : end) - rest);
        g_autofree char *line = g_strndup(rest, length);

        draft->line++;
        if (!g_utf8_validate_len(rest, length, NULL))
            return fail(error, "not text in UTF-8");
        if (!read_line(draft, g_strstrip(line), error))
            return FALSE;
        rest += length + (newline != NULL);
    }
    return TRUE;
}

/* Puts the place before the text. Returns: FALSE */
static gboolean
blame(const char *path, guint line, GError **error)
{
    g_autofree char *shown = g_filename_display_name(path);

    g_prefix_error(error, "%s:%u: ", shown, line);
    return FALSE;
}

gboolean
spoke_rules_draft_read(SpokeRulesDraft *draft, const char *path, const char *text, size_t size,
                       GError **error)
{
    draft->path = path;
    draft->line = 0;
    draft->section = NULL;
    if (size > SPOKE_RULES_FILE_BYTES_MAX) {
        draft->line = 1;
        fail(error, "%zu bytes are over the limit of %d", size, SPOKE_RULES_FILE_BYTES_MAX);
        return blame(path, draft->line, error);
    }

    return read_lines(draft, text, size, error) || blame(path, draft->line, error);
}

static gboolean
check_complete(const SpokeRule *rule, GError **error)
{
    if (rule->effect == SPOKE_EFFECT_NONE)
        return TRUE;
    if (rule->effect == SPOKE_N_EFFECTS)
        return fail(error, "rule %s has no Effect=", rule->name);
    if (rule->protocols == 0)
        return fail(error, "rule %s has no Transports=", rule->name);
    if (*rule->because == '\0')
        return fail(error, "rule %s has no Because=", rule->name);
    return TRUE;
}

static SpokeRule *
copy_rule(const SpokeRule *rule)
{
    SpokeRule *copy = g_memdup2(rule, sizeof *rule);

    copy->name = g_strdup(rule->name);
    copy->because = g_strdup(rule->because);
    return copy;
}

SpokeRules *
spoke_rules_draft_finish(SpokeRulesDraft *draft, GError **error)
{
    g_autoptr(GPtrArray) rules = g_ptr_array_new_with_free_func((GDestroyNotify)spoke_rule_free);

    for (guint i = 0; i < draft->sections->len; i++) {
        const Section *section = g_ptr_array_index(draft->sections, i);

        if (!check_complete(section->rule, error)) {
            blame(section->path, section->line, error);
            return NULL;
        }
        g_ptr_array_add(rules, copy_rule(section->rule));
    }
    return spoke_rules_new(g_steal_pointer(&rules));
}
