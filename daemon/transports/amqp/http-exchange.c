/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/transports/amqp/http-exchange.h"

#include <stdio.h>
#include <string.h>

/*
 * The answer is read a byte at a time, since what follows it belongs to somebody else. It is a few
 * hundred bytes, once a connection.
 */
#define HEAD_BYTES_MAX 16384

typedef struct {
    SpokeSecret *request; /* owned */
    GString *head;        /* owned */
    char byte;
} Exchange;

static void
exchange_free(gpointer data)
{
    Exchange *exchange = data;

    spoke_secret_unref(exchange->request);
    g_string_free(exchange->head, TRUE);
    g_free(exchange);
}

void
spoke_http_head_free(SpokeHttpHead *head)
{
    if (head == NULL)
        return;

    g_clear_pointer(&head->headers, g_hash_table_unref);
    g_free(head);
}

static void
take_header(GHashTable *headers, const char *line)
{
    const char *colon = strchr(line, ':');

    if (colon == NULL)
        return;

    g_autofree char *name = g_strndup(line, (gsize)(colon - line));

    g_hash_table_replace(headers, g_ascii_strdown(name, -1), g_strstrip(g_strdup(colon + 1)));
}

/* Returns: (nullable): NULL for what is not the head of an HTTP/1 answer */
static SpokeHttpHead *
parse(const GString *text)
{
    g_autofree char *valid = g_utf8_make_valid(text->str, (gssize)text->len);
    g_auto(GStrv) lines = g_strsplit(valid, "\n", -1);
    g_autoptr(SpokeHttpHead) head = g_new0(SpokeHttpHead, 1);
    guint status = 0;

    if (sscanf(lines[0], "HTTP/1.%*1[01] %3u", &status) != 1 || status > 999)
        return NULL;
    head->status = status;
    head->headers = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
    for (guint i = 1; lines[i] != NULL; i++)
        take_header(head->headers, lines[i]);
    return g_steal_pointer(&head);
}

static gboolean
is_complete(const GString *head)
{
    return g_str_has_suffix(head->str, "\r\n\r\n") || g_str_has_suffix(head->str, "\n\n");
}

static void read_byte(GTask *task);

static void
on_byte(GObject *source, GAsyncResult *result, gpointer user_data)
{
    g_autoptr(GTask) task = user_data;
    Exchange *exchange = g_task_get_task_data(task);
    g_autoptr(GError) error = NULL;
    gssize n = g_input_stream_read_finish(G_INPUT_STREAM(source), result, &error);

    if (n < 0) {
        g_task_return_error(task, g_steal_pointer(&error));
        return;
    }
    if (n == 0) {
        g_task_return_new_error(task, G_IO_ERROR, G_IO_ERROR_CONNECTION_CLOSED,
                                "The connection was closed in place of an answer");
        return;
    }
    g_string_append_c(exchange->head, exchange->byte);
    if (exchange->head->len >= HEAD_BYTES_MAX) {
        g_task_return_new_error(task, G_IO_ERROR, G_IO_ERROR_INVALID_DATA,
                                "The head of the answer is over the limit of %d bytes",
                                HEAD_BYTES_MAX);
        return;
    }
    if (!is_complete(exchange->head)) {
        read_byte(g_steal_pointer(&task));
        return;
    }

    SpokeHttpHead *head = parse(exchange->head);

    if (head != NULL)
        g_task_return_pointer(task, head, (GDestroyNotify)spoke_http_head_free);
    else
        g_task_return_new_error(task, G_IO_ERROR, G_IO_ERROR_INVALID_DATA,
                                "The answer is not HTTP");
}

/* @task: (transfer full) */
static void
read_byte(GTask *task)
{
    GIOStream *stream = g_task_get_source_object(task);
    Exchange *exchange = g_task_get_task_data(task);

    g_input_stream_read_async(g_io_stream_get_input_stream(stream), &exchange->byte, 1,
                              G_PRIORITY_DEFAULT, g_task_get_cancellable(task), on_byte, task);
}

static void
on_written(GObject *source, GAsyncResult *result, gpointer user_data)
{
    g_autoptr(GTask) task = user_data;
    g_autoptr(GError) error = NULL;

    if (!g_output_stream_write_all_finish(G_OUTPUT_STREAM(source), result, NULL, &error))
        g_task_return_error(task, g_steal_pointer(&error));
    else
        read_byte(g_steal_pointer(&task));
}

void
spoke_http_exchange_async(GIOStream *stream, SpokeSecret *request, GCancellable *cancellable,
                          GAsyncReadyCallback callback, gpointer user_data)
{
    GTask *task = g_task_new(stream, cancellable, callback, user_data);
    Exchange *exchange = g_new0(Exchange, 1);

    exchange->request = spoke_secret_ref(request);
    exchange->head = g_string_new(NULL);
    g_task_set_task_data(task, exchange, exchange_free);
    g_output_stream_write_all_async(g_io_stream_get_output_stream(stream),
                                    spoke_secret_peek(request), spoke_secret_get_size(request),
                                    G_PRIORITY_DEFAULT, cancellable, on_written, task);
}

SpokeHttpHead *
spoke_http_exchange_finish(GIOStream *stream, GAsyncResult *result, GError **error)
{
    return g_task_propagate_pointer(G_TASK(result), error);
}
