/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/log.h"

#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <syslog.h>
#include <unistd.h>

/* We name our fields and texts; a source line of this file in every entry would tell nothing. */
#define SD_JOURNAL_SUPPRESS_LOCATION
#include <systemd/sd-journal.h>

/*
 * The writer runs on whatever thread logs, so it keeps nothing but the two settings below, and each
 * line leaves in a single write.
 */
#define OUR_DOMAIN "spoked"

static gint debug_wanted; /* atomic */
static GLogLevelFlags fatal_mask = G_LOG_FATAL_MASK;

/* Source: systemd.exec(5), $JOURNAL_STREAM: device and inode of the journal's socket. */
static gboolean
stderr_is_journal(void)
{
    const char *stream = g_getenv("JOURNAL_STREAM");
    struct stat st;

    if (stream == NULL || fstat(STDERR_FILENO, &st) < 0)
        return FALSE;

    g_autofree char *ours = g_strdup_printf("%ju:%ju", (uintmax_t)st.st_dev, (uintmax_t)st.st_ino);
    return strcmp(stream, ours) == 0;
}

static const char *
level_name(int priority)
{
    if (priority <= LOG_ERR)
        return "error";
    if (priority == LOG_WARNING)
        return "warning";
    if (priority == LOG_NOTICE)
        return "notice";
    return priority == LOG_INFO ? "info" : "debug";
}

/* Control characters, which a peer may have put into a text, do not reach the terminal. */
static void
print_line(const char *level, const char *text, size_t size)
{
    g_autoptr(GString) line = g_string_sized_new(size + 32);

    g_string_append_printf(line, "spoked: %s: ", level);
    for (size_t i = 0; i < size; i++)
        g_string_append_c(line, g_ascii_iscntrl(text[i]) ? ' ' : text[i]);
    g_string_append_c(line, '\n');

    /* There is nowhere to report to that the report could not be written. */
    ssize_t r = write(STDERR_FILENO, line->str, line->len);
    (void)r;
}

static int
priority_of(GLogLevelFlags level)
{
    if (level & G_LOG_LEVEL_ERROR)
        return LOG_ERR;
    if (level & (G_LOG_LEVEL_CRITICAL | G_LOG_LEVEL_WARNING))
        return LOG_WARNING;
    if (level & G_LOG_LEVEL_MESSAGE)
        return LOG_NOTICE;
    return level & G_LOG_LEVEL_INFO ? LOG_INFO : LOG_DEBUG;
}

static const GLogField *
find_field(const GLogField *fields, gsize n, const char *key)
{
    for (gsize i = 0; i < n; i++) {
        if (strcmp(fields[i].key, key) == 0)
            return &fields[i];
    }
    return NULL;
}

static void
print_fields(GLogLevelFlags level, const GLogField *fields, gsize n)
{
    const GLogField *message = find_field(fields, n, "MESSAGE");

    if (message == NULL)
        return;

    size_t size = message->length < 0 ? strlen(message->value) : (size_t)message->length;
    print_line(level_name(priority_of(level)), message->value, size);
}

/* Debug lines of ours when they were asked for; else as $G_MESSAGES_DEBUG says. */
static gboolean
is_dropped(GLogLevelFlags level, const char *domain)
{
    if (!(level & (G_LOG_LEVEL_DEBUG | G_LOG_LEVEL_INFO)))
        return FALSE;
    if (spoke_log_is_debug() && g_strcmp0(domain, OUR_DOMAIN) == 0)
        return FALSE;
    return g_log_writer_default_would_drop(level, domain);
}

static GLogWriterOutput
write_log(GLogLevelFlags level, const GLogField *fields, gsize n, gpointer user_data)
{
    const GLogField *domain = find_field(fields, n, "GLIB_DOMAIN");

    if (is_dropped(level, domain != NULL ? domain->value : NULL))
        return G_LOG_WRITER_HANDLED;

    if (!stderr_is_journal() ||
        g_log_writer_journald(level, fields, n, NULL) != G_LOG_WRITER_HANDLED)
        print_fields(level, fields, n);

    /* G_DEBUG=fatal-warnings is the default writer's doing, and so becomes ours. */
    if (level & fatal_mask)
        g_abort();
    return G_LOG_WRITER_HANDLED;
}

void
spoke_log_setup(gboolean debug)
{
    static gboolean installed = FALSE;

    g_atomic_int_set(&debug_wanted, debug);
    if (installed)
        return;

    /* There is no other way to read the mask than to set it. */
    fatal_mask = g_log_set_always_fatal(G_LOG_FATAL_MASK);
    g_log_set_always_fatal(fatal_mask);
    g_log_set_writer_func(write_log, NULL, NULL);
    installed = TRUE;
}

gboolean
spoke_log_is_debug(void)
{
    return g_atomic_int_get(&debug_wanted);
}

void
spoke_log_entry(int priority, const char *message_id, const char *text, ...)
{
    if (!stderr_is_journal()) {
        print_line(level_name(priority), text, strlen(text));
        return;
    }

    g_autoptr(GPtrArray) fields = g_ptr_array_new_with_free_func(g_free);
    va_list args;

    g_ptr_array_add(fields, g_strconcat("MESSAGE=", text, NULL));
    g_ptr_array_add(fields, g_strconcat("MESSAGE_ID=", message_id, NULL));
    g_ptr_array_add(fields, g_strdup_printf("PRIORITY=%d", priority));
    g_ptr_array_add(fields, g_strdup("SYSLOG_IDENTIFIER=spoked"));
    va_start(args, text);
    for (const char *name = va_arg(args, const char *); name != NULL;
         name = va_arg(args, const char *))
        g_ptr_array_add(fields, g_strconcat(name, "=", va_arg(args, const char *), NULL));
    va_end(args);

    g_autofree struct iovec *vectors = g_new(struct iovec, fields->len);
    for (guint i = 0; i < fields->len; i++) {
        vectors[i].iov_base = g_ptr_array_index(fields, i);
        vectors[i].iov_len = strlen(vectors[i].iov_base);
    }
    (void)sd_journal_sendv(vectors, (int)fields->len);
}
