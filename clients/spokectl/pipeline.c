/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "clients/spokectl/pipeline.h"

#include "clients/spokectl/batch.h"
#include "clients/spokectl/json.h"
#include "clients/spokectl/lines.h"
#include "clients/spokectl/progress.h"
#include "clients/spokectl/status-text.h"
#include "clients/spokectl/terminal.h"

#include <errno.h>
#include <glib-unix.h>
#include <stdio.h>
#include <unistd.h>

/*
 * What one read() brings becomes one batch: a slow producer's line leaves at once, a fast one fills
 * the pipe while earlier batches are under way and is sent in large ones. Nothing is read while the
 * window is full, so the producer waits too.
 *
 * A batch is ready, then in flight, then accepted. If the daemon went away or its queue is full,
 * the batches it did not accept are held until it is back, and sent again in their order with the
 * same message-ids.
 */
#define WINDOW_BATCHES  8
#define READ_BYTES      (256 * 1024)
#define TICK_MSEC       100
#define FULL_RETRY_MSEC 1000
#define NOTE_PAUSE_USEC (60 * G_USEC_PER_SEC)

typedef struct {
    SpokeCtl *ctl;                       /* borrowed */
    const SpokePipelineOptions *options; /* borrowed */
    SpokeLines *lines;                   /* owned */
    char *run_id;                        /* owned; begins every message-id */
    char *buffer;                        /* owned; READ_BYTES */
    guint64 line_number;
    gboolean input_ended;
    guint input_source;

    GQueue ready;  /* owned batches, in order */
    GList *flying; /* batches the client has, in order */
    GList *held;   /* owned batches, in order */
    gboolean watching;
    guint retry_source;
    gboolean accepted_any;
    guint64 lost_lines; /* refused for good, and those behind them */
    guint64 lost_first; /* the first one's number */

    SpokeProgress progress;
    guint64 outcomes[SPOKE_OUTCOME_UNKNOWN + 1];
    SpokeExit exit_code;
    SpokeProgressLine *line; /* owned */
    gboolean line_shown;
    gint64 noted_usec; /* when it last said on stderr that it waits */
    guint tick_source;
    guint timeout_source;
} Pipeline;

static void send_ready(Pipeline *self);
static gboolean on_readable(gint fd, GIOCondition condition, gpointer user_data);

static void
clear_line(Pipeline *self)
{
    if (self->line_shown)
        spoke_terminal_clear_line(stderr);
    self->line_shown = FALSE;
}

static gboolean
on_tick(gpointer user_data)
{
    Pipeline *self = user_data;
    g_autofree char *text =
        spoke_progress_line_format(self->line, &self->progress, g_get_monotonic_time());

    spoke_terminal_show_line(stderr, text);
    self->line_shown = TRUE;
    return G_SOURCE_CONTINUE;
}

static void
note(Pipeline *self, const char *text)
{
    if (self->progress.note == text)
        return;
    self->progress.note = text;
    if (text == NULL || self->tick_source != 0)
        return; /* the progress line has it */
    if (self->noted_usec == 0 || g_get_monotonic_time() - self->noted_usec > NOTE_PAUSE_USEC) {
        g_printerr("spokectl: %s; waiting\n", text);
        self->noted_usec = g_get_monotonic_time();
    }
}

/* The worst outcome has the highest number. */
static void
worsen(Pipeline *self, SpokeExit exit_code)
{
    self->exit_code = MAX(self->exit_code, exit_code);
}

static void
end_input(Pipeline *self)
{
    self->input_ended = TRUE;
    self->progress.all_read = TRUE;
    g_clear_handle_id(&self->input_source, g_source_remove);
}

static gboolean
is_settled(Pipeline *self)
{
    return !self->options->wait || self->progress.settled >= self->progress.accepted;
}

static gboolean
on_timeout(gpointer user_data)
{
    Pipeline *self = user_data;

    self->timeout_source = 0;
    clear_line(self);
    g_printerr("spokectl: Time is up: %s\n", self->progress.waiting > 0
                                                 ? "not all lines were accepted"
                                                 : "what is left stays queued and goes out later");
    spoke_ctl_end(self->ctl, SPOKE_EXIT_TIMEOUT);
    return G_SOURCE_REMOVE;
}

/* Whatever happened: read on, wait on, or end. */
static void
go_on(Pipeline *self)
{
    gboolean room = g_queue_is_empty(&self->ready) && self->held == NULL &&
                    g_list_length(self->flying) < WINDOW_BATCHES;

    if (self->input_ended) {
        if (self->progress.waiting == 0 && is_settled(self))
            spoke_ctl_end(self->ctl, self->exit_code);
        else if (self->timeout_source == 0 && self->options->timeout_msec != SPOKE_FOREVER)
            self->timeout_source =
                g_timeout_add((guint)MIN(self->options->timeout_msec, G_MAXUINT), on_timeout, self);
    } else if (room && self->input_source == 0) {
        self->input_source =
            g_unix_fd_add(self->options->fd, G_IO_IN | G_IO_HUP | G_IO_ERR, on_readable, self);
    } else if (!room) {
        g_clear_handle_id(&self->input_source, g_source_remove);
    }
}

static void
print_accepted(SpokeBatch *batch, const uint64_t *ids, size_t n)
{
    for (guint i = 0; i < n; i++) {
        JsonBuilder *builder = spoke_json_begin();
        spoke_json_add_number(builder, "line", spoke_batch_get_number(batch, i));
        spoke_json_add_number(builder, "id", ids[i]);
        g_autofree char *text = spoke_json_end(builder);
        (void)puts(text);
    }
}

static void
accept_batch(Pipeline *self, SpokeBatch *batch, const uint64_t *ids, size_t n)
{
    self->accepted_any = TRUE;
    note(self, NULL);
    self->progress.accepted += n;
    self->progress.waiting -= n;
    if (self->ctl->json)
        print_accepted(batch, ids, n);
    if (self->options->wait) {
        batch->unsettled = n;
        g_clear_pointer(&batch->bytes, g_byte_array_unref);
    } else {
        spoke_batch_free(batch);
    }
}

/* These lines will not be sent, nor any after them. */
static void
give_up(Pipeline *self, SpokeBatch *batch, const SpokeFailure *failure)
{
    guint n = spoke_batch_count(batch);

    clear_line(self);
    if (self->lost_lines == 0)
        spoke_ctl_report(self->ctl, failure); /* what follows it fails for the same reason */
    self->lost_lines += n;
    self->lost_first = MIN(self->lost_first, spoke_batch_get_number(batch, 0));
    worsen(self, spoke_advice_get_exit(failure->error));
    self->progress.waiting -= n;
    spoke_batch_free(batch);

    end_input(self);
    while (!g_queue_is_empty(&self->ready)) {
        SpokeBatch *next = g_queue_pop_head(&self->ready);

        self->progress.waiting -= spoke_batch_count(next);
        self->lost_lines += spoke_batch_count(next);
        spoke_batch_free(next);
    }
}

static void
resume(Pipeline *self)
{
    while (self->held != NULL) {
        GList *last = g_list_last(self->held);

        g_queue_push_head(&self->ready, last->data);
        self->held = g_list_delete_link(self->held, last);
    }
    send_ready(self);
    go_on(self);
}

static gboolean
on_retry(gpointer user_data)
{
    Pipeline *self = user_data;

    self->retry_source = 0;
    resume(self);
    return G_SOURCE_REMOVE;
}

static void
on_daemon(SpokeClient *client, const SpokeStatus *status, const SpokeFailure *failure,
          void *user_data)
{
    Pipeline *self = user_data;

    g_clear_pointer(&self->progress.hub, g_free);
    if (status != NULL)
        self->progress.hub = spoke_status_describe_hub(status);
    if (status != NULL && self->held != NULL && self->retry_source == 0)
        resume(self);
}

static void
watch_daemon(Pipeline *self)
{
    if (!self->watching)
        self->watching = spoke_client_watch(self->ctl->client, on_daemon, self) >= 0;
}

static gint
compare_batches(gconstpointer a, gconstpointer b)
{
    guint64 x = spoke_batch_get_number(a, 0);
    guint64 y = spoke_batch_get_number(b, 0);

    return x < y ? -1 : x > y;
}

static void
hold(Pipeline *self, SpokeBatch *batch, gboolean full)
{
    /* A batch that is all or nothing may never fit; half of it will. Those behind it stay whole. */
    if (full && self->held == NULL && spoke_batch_count(batch) > 1)
        self->held = g_list_prepend(NULL, spoke_batch_split(batch));
    self->held = g_list_insert_sorted(self->held, batch, compare_batches);
    note(self, full ? "The queue is full" : "spoked is away");
    if (full && self->retry_source == 0)
        self->retry_source = g_timeout_add(FULL_RETRY_MSEC, on_retry, self);
    if (!full)
        watch_daemon(self);
}

static gboolean
is_away(int error)
{
    return error == -ECONNRESET || error == -EHOSTUNREACH || error == -ESHUTDOWN;
}

static void
on_sent(SpokeClient *client, const uint64_t *ids, size_t n, const SpokeFailure *failure,
        void *user_data)
{
    SpokeBatch *batch = user_data;
    Pipeline *self = batch->owner;

    /* A queue smaller than the batch takes it in parts. */
    gboolean full =
        failure != NULL && (failure->error == -ENOSPC ||
                            (failure->error == -EMSGSIZE && spoke_batch_count(batch) > 1));

    self->flying = g_list_remove(self->flying, batch);
    if (failure == NULL)
        accept_batch(self, batch, ids, n);
    else if (self->ctl->ended)
        spoke_batch_free(batch);
    else if (full || (is_away(failure->error) && self->accepted_any))
        hold(self, batch, full);
    else
        give_up(self, batch, failure);
    if (!self->ctl->ended) {
        send_ready(self);
        go_on(self);
    }
}

static void
print_settled(guint64 id, SpokeOutcome outcome, const char *detail)
{
    JsonBuilder *builder = spoke_json_begin();

    spoke_json_add_number(builder, "id", id);
    spoke_json_add_string(builder, "outcome", spoke_outcome_to_string(outcome));
    if (detail[0] != '\0')
        spoke_json_add_string(builder, "detail", detail);
    g_autofree char *text = spoke_json_end(builder);
    (void)puts(text);
}

static void
on_settled(SpokeClient *client, uint64_t id, SpokeOutcome outcome, const char *detail,
           void *user_data)
{
    SpokeBatch *batch = user_data;
    Pipeline *self = batch->owner;

    if (!self->ctl->ended) {
        self->progress.settled++;
        self->outcomes[outcome]++;
        if (outcome != SPOKE_OUTCOME_ACCEPTED)
            self->progress.failed++;
        worsen(self, spoke_advice_get_outcome_exit(outcome));
        if (self->ctl->json)
            print_settled(id, outcome, detail);
    }
    if (--batch->unsettled == 0)
        spoke_batch_free(batch);
    if (!self->ctl->ended)
        go_on(self);
}

static void
send_ready(Pipeline *self)
{
    while (self->held == NULL && g_list_length(self->flying) < WINDOW_BATCHES) {
        SpokeBatch *batch = g_queue_pop_head(&self->ready);
        if (batch == NULL)
            return;

        int r = spoke_batch_send(batch, self->ctl->client, self->options->template, self->run_id,
                                 on_sent, self->options->wait ? on_settled : NULL);
        if (r < 0) {
            spoke_batch_free(batch);
            spoke_ctl_fail_errno(self->ctl, r);
            return;
        }
        self->flying = g_list_append(self->flying, batch);
    }
}

static gboolean
check_size(Pipeline *self, gsize size)
{
    if (size <= SPOKE_BODY_BYTES_MAX)
        return TRUE;

    clear_line(self);
    g_printerr("spokectl: Line %" G_GUINT64_FORMAT " is over the limit of %d bytes; it was not "
               "accepted, nor any after it\n",
               self->line_number, SPOKE_BODY_BYTES_MAX);
    worsen(self, SPOKE_EXIT_FAILURE);
    end_input(self);
    return FALSE;
}

static void
fill_batches(Pipeline *self)
{
    g_autoptr(SpokeBatch) batch = spoke_batch_new(self);
    const char *text = NULL;
    gsize size = 0;

    while (spoke_lines_next(self->lines, &text, &size)) {
        self->line_number++;
        if (size == 0)
            continue;
        if (!check_size(self, size))
            break;
        spoke_batch_add(batch, text, size, self->line_number);
        self->progress.waiting++;
        if (spoke_batch_is_full(batch)) {
            g_queue_push_tail(&self->ready, batch);
            batch = spoke_batch_new(self);
        }
    }
    if (spoke_batch_count(batch) > 0)
        g_queue_push_tail(&self->ready, g_steal_pointer(&batch));
}

static gboolean
on_readable(gint fd, GIOCondition condition, gpointer user_data)
{
    Pipeline *self = user_data;

    ssize_t size = read(fd, self->buffer, READ_BYTES);
    if (size < 0 && (errno == EINTR || errno == EAGAIN))
        return G_SOURCE_CONTINUE;
    if (size < 0) {
        clear_line(self);
        g_printerr("spokectl: Can't read on: %s\n", g_strerror(errno));
        worsen(self, SPOKE_EXIT_FAILURE);
    }

    if (size > 0)
        spoke_lines_feed(self->lines, self->buffer, (gsize)size);
    else
        spoke_lines_end(self->lines);
    fill_batches(self);
    if (!self->input_ended && spoke_lines_get_pending(self->lines) > SPOKE_BODY_BYTES_MAX) {
        self->line_number++;
        (void)check_size(self, spoke_lines_get_pending(self->lines));
    }
    if (size <= 0)
        end_input(self);
    send_ready(self);
    go_on(self);
    return G_SOURCE_CONTINUE; /* whoever wanted it gone has removed it */
}

static gboolean
on_signal(gpointer user_data)
{
    Pipeline *self = user_data;

    clear_line(self);
    if (self->progress.waiting > 0)
        g_printerr("spokectl: %" G_GUINT64_FORMAT " %s read but not accepted\n",
                   self->progress.waiting, self->progress.waiting == 1 ? "line was" : "lines were");
    if (!is_settled(self))
        g_printerr("spokectl: What was accepted stays queued and goes out later\n");
    spoke_ctl_end(self->ctl, SPOKE_EXIT_FAILURE);
    return G_SOURCE_CONTINUE;
}

static void
print_summary(Pipeline *self, gboolean live)
{
    clear_line(self);
    if (live) {
        g_autofree char *text =
            spoke_progress_line_summarise(self->line, &self->progress, g_get_monotonic_time());
        g_printerr("%s\n", text);
    }
    if (self->lost_lines > 0)
        g_printerr("spokectl: Not accepted: %" G_GUINT64_FORMAT " %s, from line %" G_GUINT64_FORMAT
                   " on; nothing was read after that\n",
                   self->lost_lines, self->lost_lines == 1 ? "line" : "lines", self->lost_first);
    for (guint i = SPOKE_OUTCOME_ACCEPTED + 1; i < G_N_ELEMENTS(self->outcomes); i++)
        if (self->outcomes[i] > 0)
            g_printerr("spokectl: %" G_GUINT64_FORMAT " %s\n", self->outcomes[i],
                       spoke_outcome_to_string(i));
}

static void
clear_pipeline(Pipeline *self)
{
    g_clear_handle_id(&self->input_source, g_source_remove);
    g_clear_handle_id(&self->retry_source, g_source_remove);
    g_clear_handle_id(&self->tick_source, g_source_remove);
    g_clear_handle_id(&self->timeout_source, g_source_remove);
    g_queue_clear_full(&self->ready, (GDestroyNotify)spoke_batch_free);
    g_list_free_full(g_steal_pointer(&self->held), (GDestroyNotify)spoke_batch_free);
    g_list_free(g_steal_pointer(&self->flying));
    g_clear_pointer(&self->lines, spoke_lines_free);
    g_clear_pointer(&self->line, g_free);
    g_clear_pointer(&self->progress.hub, g_free);
    g_clear_pointer(&self->run_id, g_free);
    g_clear_pointer(&self->buffer, g_free);
}

static char *
make_run_id(void)
{
    return g_strdup_printf("%08x%08x", g_random_int(), g_random_int());
}

SpokeExit
spoke_pipeline_run(SpokeCtl *ctl, const SpokePipelineOptions *options)
{
    gboolean live = spoke_terminal_is_live(stderr) && !ctl->json && !isatty(options->fd);

    if (!spoke_ctl_open(ctl))
        return ctl->exit_code;

    Pipeline self = {
        .ctl = ctl,
        .options = options,
        .lines = spoke_lines_new(),
        .run_id = make_run_id(),
        .buffer = g_malloc(READ_BYTES),
        .line = spoke_progress_line_new(g_get_monotonic_time()),
        .lost_first = G_MAXUINT64,
        .progress = {.wait = options->wait},
    };
    guint interrupt = g_unix_signal_add(SIGINT, on_signal, &self);
    guint terminate = g_unix_signal_add(SIGTERM, on_signal, &self);
    if (live) {
        self.tick_source = g_timeout_add(TICK_MSEC, on_tick, &self);
        watch_daemon(&self);
    }

    go_on(&self);
    SpokeExit exit_code = spoke_ctl_run(ctl, 0);
    print_summary(&self, live);
    /* Its last callbacks come from here, while what they use is still there. */
    spoke_ctl_clear(ctl);
    g_source_remove(interrupt);
    g_source_remove(terminate);
    clear_pipeline(&self);
    return exit_code;
}
