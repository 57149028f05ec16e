/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "clients/spokectl/message-text.h"

#include "clients/spokectl/duration.h"
#include "clients/spokectl/json.h"
#include "clients/spokectl/terminal.h"

#include <stdio.h>
#include <string.h>

gboolean
spoke_output_parse(const char *name, gboolean json, SpokeOutput *ret_output, GError **error)
{
    static const char *const names[] = {
        [SPOKE_OUTPUT_FULL] = "full",
        [SPOKE_OUTPUT_BODY] = "body",
        [SPOKE_OUTPUT_JSON] = "json",
    };

    if (name == NULL) {
        *ret_output = json ? SPOKE_OUTPUT_JSON : SPOKE_OUTPUT_FULL;
        return TRUE;
    }
    for (gsize i = 0; i < G_N_ELEMENTS(names); i++) {
        if (g_str_equal(names[i], name)) {
            *ret_output = (SpokeOutput)i;
            return TRUE;
        }
    }
    g_set_error(error, G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE,
                "--output is one of full, body, json, not '%s'", name);
    return FALSE;
}

static void
append_text(GString *text, const char *name, const char *separator, const char *value,
            gboolean escape)
{
    if (value == NULL)
        return;

    g_autofree char *line = g_strconcat("  ", name, separator, value, NULL);
    g_autofree char *safe = spoke_terminal_escape(line, strlen(line), FALSE);
    g_string_append(text, escape ? safe : line);
    g_string_append_c(text, '\n');
}

static void
append_time(GString *text, const char *name, guint64 usec)
{
    if (usec == 0)
        return;

    g_autofree char *time = spoke_terminal_format_time(usec);
    append_text(text, name, ": ", time, FALSE);
}

static void
append_head(GString *text, const SpokeIncoming *message)
{
    g_string_append_printf(text, "Message %s", message->id);
    if (message->delivery_count > 1)
        g_string_append_printf(text, ", delivery %u", message->delivery_count);
    if (message->lock_msec != 0) {
        g_autofree char *lock = spoke_duration_format(message->lock_msec * 1000);
        g_string_append_printf(text, ", locked for %s", lock);
    }
    g_string_append_c(text, '\n');
}

static void
append_body(GString *text, const SpokeIncoming *message, gboolean escape)
{
    if (message->body_size == 0)
        return;

    g_string_append_c(text, '\n');
    if (!escape) {
        g_string_append_len(text, message->body, (gssize)message->body_size);
    } else if (memchr(message->body, '\0', message->body_size) != NULL) {
        g_string_append_printf(text, "(%zu bytes, not text: --output=body writes them as they are)",
                               message->body_size);
    } else {
        g_autofree char *safe = spoke_terminal_escape(message->body, message->body_size, TRUE);
        g_string_append(text, safe);
    }
    if (text->str[text->len - 1] != '\n')
        g_string_append_c(text, '\n');
}

static GString *
format_message(const SpokeIncoming *message, gboolean escape)
{
    GString *text = g_string_new(NULL);

    append_head(text, message);
    append_text(text, "message-id", ": ", message->message_id, escape);
    append_text(text, "correlation-id", ": ", message->correlation_id, escape);
    append_text(text, "user-id", ": ", message->user_id, escape);
    append_text(text, "to", ": ", message->to, escape);
    append_text(text, "content-type", ": ", message->content_type, escape);
    append_text(text, "content-encoding", ": ", message->content_encoding, escape);
    append_text(text, "ack", ": ", message->ack, escape);
    append_text(text, "dead letter", ": ", message->dead_letter, escape);
    append_time(text, "created", message->creation_time_usec);
    append_time(text, "expires", message->expiry_usec);
    append_time(text, "received", message->received_time_usec);
    for (gsize i = 0; i < message->n_properties; i++)
        append_text(text, message->properties[i].name, " = ", message->properties[i].value, escape);
    append_body(text, message, escape);
    g_string_append_c(text, '\n');
    return text;
}

char *
spoke_message_format(const SpokeIncoming *message, gboolean escape)
{
    return g_string_free(format_message(message, escape), FALSE);
}

gboolean
spoke_message_print(const SpokeIncoming *message, SpokeOutput output)
{
    if (output == SPOKE_OUTPUT_BODY) {
        (void)fwrite(message->body, 1, message->body_size, stdout);
    } else if (output == SPOKE_OUTPUT_JSON) {
        g_autofree char *line = spoke_json_incoming(message);
        (void)puts(line);
    } else {
        g_autoptr(GString) text = format_message(message, spoke_terminal_is_live(stdout));
        (void)fwrite(text->str, 1, text->len, stdout);
    }
    return fflush(stdout) == 0 && !ferror(stdout);
}
