/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "clients/spokectl/json.h"
#include "clients/spokectl/pairs.h"
#include "clients/spokectl/pipeline.h"
#include "clients/spokectl/status-text.h"
#include "clients/spokectl/terminal.h"
#include "clients/spokectl/verbs.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* Telemetry: one message from the command line or a file, or a stream of lines (pipeline.c). */

typedef struct {
    char *file;
    gboolean lines;
    char **properties;
    char *content_type;
    char *content_encoding;
    char *message_id;
    char *correlation_id;
    char *user_id;
    char *ttl;
    char *expiry;
    gboolean stamp;
    gboolean urgent;
    char *durability;
    gboolean wait;
    char *timeout;
} Arguments; /* all owned */

typedef struct {
    SpokeCtl *ctl; /* borrowed */
    gboolean wait;
    guint64 timeout_msec;

    /* On a terminal, while the hub lets us wait: */
    guint line_source;
    guint waited_sec;
    guint64 id; /* 0: not accepted yet */
    char *hub;  /* owned; why the hub does not have it, NULL: no idea */
} Send;

static void
clear_arguments(Arguments *arguments)
{
    g_free(arguments->file);
    g_strfreev(arguments->properties);
    g_free(arguments->content_type);
    g_free(arguments->content_encoding);
    g_free(arguments->message_id);
    g_free(arguments->correlation_id);
    g_free(arguments->user_id);
    g_free(arguments->ttl);
    g_free(arguments->expiry);
    g_free(arguments->durability);
    g_free(arguments->timeout);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Arguments, clear_arguments)

static void
print_json(guint64 id, const char *outcome, const char *detail)
{
    JsonBuilder *builder = spoke_json_begin();

    spoke_json_add_number(builder, "id", id);
    spoke_json_add_string(builder, "outcome", outcome);
    if (detail[0] != '\0')
        spoke_json_add_string(builder, "detail", detail);
    g_autofree char *line = spoke_json_end(builder);
    (void)puts(line);
}

/* A script learns it from the exit status. */
static void
print_success(SpokeCtl *ctl, guint64 id, const char *text)
{
    if (spoke_terminal_is_live(stdout))
        (void)printf("Message %" G_GUINT64_FORMAT " %s\n", id, text);
}

static void
end_line(Send *send)
{
    if (send->line_source != 0 && send->waited_sec > 0)
        spoke_terminal_clear_line(stderr);
    g_clear_handle_id(&send->line_source, g_source_remove);
}

static void
on_sent(SpokeClient *client, const uint64_t *ids, size_t n, const SpokeFailure *failure,
        void *user_data)
{
    Send *send = user_data;

    if (failure != NULL) {
        end_line(send);
        spoke_ctl_fail(send->ctl, failure);
    } else if (send->wait) {
        send->id = ids[0];
    } else {
        if (send->ctl->json)
            print_json(ids[0], "queued", "");
        else
            print_success(send->ctl, ids[0], "is queued");
        spoke_ctl_end(send->ctl, SPOKE_EXIT_OK);
    }
}

static void
on_settled(SpokeClient *client, uint64_t id, SpokeOutcome outcome, const char *detail,
           void *user_data)
{
    Send *send = user_data;

    if (send->ctl->ended)
        return;
    end_line(send);
    if (send->ctl->json)
        print_json(id, spoke_outcome_to_string(outcome), detail);
    else if (outcome == SPOKE_OUTCOME_ACCEPTED)
        print_success(send->ctl, id, "has reached the hub");
    else
        g_printerr("spokectl: The hub will not have the message: %s%s%s\n",
                   spoke_outcome_to_string(outcome), detail[0] != '\0' ? ": " : "", detail);
    spoke_ctl_end(send->ctl, spoke_advice_get_outcome_exit(outcome));
}

static gboolean
on_timeout(gpointer user_data)
{
    Send *send = user_data;

    end_line(send);
    g_printerr("spokectl: Time is up; the message stays queued and goes out later\n");
    spoke_ctl_end(send->ctl, SPOKE_EXIT_TIMEOUT);
    return G_SOURCE_REMOVE;
}

static void
on_watched(SpokeClient *client, const SpokeStatus *status, const SpokeFailure *failure,
           void *user_data)
{
    Send *send = user_data;

    g_free(send->hub);
    send->hub = status != NULL ? spoke_status_describe_hub(status) : g_strdup("spoked is away");
}

static gboolean
on_line(gpointer user_data)
{
    Send *send = user_data;

    send->waited_sec++;
    if (send->id != 0) {
        g_autofree char *text = g_strdup_printf(
            "Message %" G_GUINT64_FORMAT " is queued; %s: waiting for %u s", send->id,
            send->hub != NULL ? send->hub : "the hub has not answered", send->waited_sec);
        spoke_terminal_show_line(stderr, text);
    }
    return G_SOURCE_CONTINUE;
}

static SpokeExit
send_one(Send *send, const SpokeOutgoing *message)
{
    SpokeCtl *ctl = send->ctl;

    if (!spoke_ctl_open(ctl))
        return ctl->exit_code;
    if (send->timeout_msec != SPOKE_FOREVER)
        (void)g_timeout_add((guint)MIN(send->timeout_msec, G_MAXUINT), on_timeout, send);
    if (send->wait && !ctl->json && spoke_terminal_is_live(stderr) &&
        spoke_client_watch(ctl->client, on_watched, send) >= 0)
        send->line_source = g_timeout_add_seconds(1, on_line, send);

    SpokeExit exit_code =
        spoke_ctl_run(ctl, spoke_client_send(ctl->client, message, on_sent,
                                             send->wait ? on_settled : NULL, send));
    spoke_ctl_clear(ctl); /* the last callbacks come while @send is still there */
    end_line(send);
    g_clear_pointer(&send->hub, g_free);
    return exit_code;
}

/* @path: "-" for standard input. Returns: descriptor, or -1 after an error message */
static int
open_input(const char *path)
{
    if (g_str_equal(path, "-"))
        return STDIN_FILENO;

    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        g_printerr("spokectl: Can't open %s: %s\n", path, g_strerror(errno));
    return fd;
}

/* Up to one byte more than a body may have, so that /dev/zero is refused too. */
static GByteArray *
read_body(int fd, const char *path)
{
    g_autoptr(GByteArray) body = g_byte_array_new();
    guint8 buffer[16384];

    while (body->len <= SPOKE_BODY_BYTES_MAX) {
        ssize_t size = read(fd, buffer, sizeof buffer);
        if (size < 0 && errno == EINTR)
            continue;
        if (size < 0) {
            g_printerr("spokectl: Can't read %s: %s\n", path, g_strerror(errno));
            return NULL;
        }
        if (size == 0)
            return g_steal_pointer(&body);
        g_byte_array_append(body, buffer, (guint)size);
    }
    g_printerr("spokectl: %s is over the limit of %d bytes for one message; --lines sends each "
               "line as one\n",
               g_str_equal(path, "-") ? "Standard input" : path, SPOKE_BODY_BYTES_MAX);
    return NULL;
}

static SpokeExit
send_file(Send *send, SpokeOutgoing *message, const char *path)
{
    int fd = open_input(path);
    if (fd < 0)
        return SPOKE_EXIT_FAILURE;

    g_autoptr(GByteArray) body = read_body(fd, path);
    if (fd != STDIN_FILENO)
        (void)close(fd);
    if (body == NULL)
        return SPOKE_EXIT_FAILURE;
    message->body = body->data;
    message->body_size = body->len;
    return send_one(send, message);
}

static SpokeExit
send_lines(Send *send, const SpokeOutgoing *template, const char *path)
{
    int fd = open_input(path);
    if (fd < 0)
        return SPOKE_EXIT_FAILURE;

    SpokeExit exit_code = spoke_pipeline_run(send->ctl, &(SpokePipelineOptions){
                                                            .template = template,
                                                            .fd = fd,
                                                            .wait = send->wait,
                                                            .timeout_msec = send->timeout_msec,
                                                        });
    if (fd != STDIN_FILENO)
        (void)close(fd);
    return exit_code;
}

static gboolean
parse_durability(const char *text, SpokeDurability *ret_durability, GError **error)
{
    static const char *const names[] = {
        [SPOKE_DURABILITY_SYNCED] = "synced",
        [SPOKE_DURABILITY_FLUSHED] = "flushed",
        [SPOKE_DURABILITY_VOLATILE] = "volatile",
    };

    for (gsize i = 0; i < G_N_ELEMENTS(names); i++) {
        if (text == NULL || g_str_equal(names[i], text)) {
            *ret_durability = (SpokeDurability)i;
            return TRUE;
        }
    }
    g_set_error(error, G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE,
                "--durability is one of synced, flushed, volatile, not '%s'", text);
    return FALSE;
}

static gboolean
parse_expiry(const char *text, guint64 *ret_usec, GError **error)
{
    if (text == NULL)
        return TRUE;

    g_autoptr(GTimeZone) here = g_time_zone_new_local();
    g_autoptr(GDateTime) time = g_date_time_new_from_iso8601(text, here);
    if (time == NULL || g_date_time_to_unix(time) <= 0) {
        g_set_error(error, G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE,
                    "--expiry: '%s' is not a date and time; right is 2030-12-31T23:59:59Z", text);
        return FALSE;
    }
    *ret_usec = (guint64)g_date_time_to_unix(time) * G_USEC_PER_SEC;
    return TRUE;
}

/* What has nothing to do with where the body comes from. */
static gboolean
fill_message(const Arguments *arguments, SpokeOutgoing *message, GError **error)
{
    message->message_id = arguments->message_id;
    message->correlation_id = arguments->correlation_id;
    message->user_id = arguments->user_id;
    message->content_type = arguments->content_type;
    message->content_encoding = arguments->content_encoding;
    message->urgent = arguments->urgent;
    if (arguments->stamp)
        message->creation_time_usec = (guint64)g_get_real_time();
    return parse_durability(arguments->durability, &message->durability, error) &&
           parse_expiry(arguments->expiry, &message->expiry_usec, error);
}

/* One body, from one place. */
static const char *
check_combination(const Arguments *arguments, const char *body)
{
    gboolean lines = arguments->lines || g_strcmp0(body, "-") == 0;

    if (body == NULL && arguments->file == NULL && !arguments->lines)
        return "What? Give a BODY, --file, or '-' for one message per line of standard input";
    if (body != NULL && !g_str_equal(body, "-") && (arguments->file != NULL || arguments->lines))
        return "A BODY on the command line excludes --file and --lines";
    if (body != NULL && arguments->file != NULL)
        return "'-' is standard input, and --file names another";
    if (lines && arguments->message_id != NULL)
        return "--message-id is for a single message; lines get an id each";
    if (arguments->timeout != NULL && !arguments->wait)
        return "--timeout goes with --wait: without it nothing is waited for";
    if (arguments->ttl != NULL && arguments->expiry != NULL)
        return "--ttl and --expiry say the same in two ways; give one";
    return NULL;
}

static SpokeExit
send_parsed(Send *send, Arguments *arguments, SpokeOutgoing *message, const char *body)
{
    g_autoptr(GError) error = NULL;

    const char *wrong = check_combination(arguments, body);
    if (wrong != NULL)
        return spoke_ctl_usage(
            send->ctl, g_error_new_literal(G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE, wrong));
    g_autofree SpokeProperty *pairs =
        spoke_pairs_parse(arguments->properties, &message->n_properties, &error);
    if (pairs == NULL || !fill_message(arguments, message, &error))
        return spoke_ctl_usage(send->ctl, g_steal_pointer(&error));

    message->properties = pairs;
    if (arguments->lines || g_strcmp0(body, "-") == 0)
        return send_lines(send, message, arguments->file != NULL ? arguments->file : "-");
    if (arguments->file != NULL)
        return send_file(send, message, arguments->file);
    message->body = body;
    message->body_size = strlen(body);
    return send_one(send, message);
}

static SpokeExit
run_send(SpokeCtl *ctl, int argc, char **argv)
{
    g_auto(Arguments) a = {0};
    const GOptionEntry entries[] = {
        {"file", 'F', 0, G_OPTION_ARG_FILENAME, &a.file,
         "Send a whole file as one message; - for standard input", "FILE"},
        {"lines", 'l', 0, G_OPTION_ARG_NONE, &a.lines,
         "Send each line of the file, or of standard input, as one message", NULL},
        {"property", 'p', 0, G_OPTION_ARG_FILENAME_ARRAY, &a.properties,
         "Add an app property (may be repeated)", "NAME=VALUE"},
        {"content-type", 0, 0, G_OPTION_ARG_FILENAME, &a.content_type,
         "What the body is: application/json", "TYPE"},
        {"content-encoding", 0, 0, G_OPTION_ARG_FILENAME, &a.content_encoding,
         "How it is encoded: utf-8", "ENCODING"},
        {"message-id", 0, 0, G_OPTION_ARG_FILENAME, &a.message_id,
         "Id by which the cloud tells repeats (default: made up)", "ID"},
        {"correlation-id", 0, 0, G_OPTION_ARG_FILENAME, &a.correlation_id,
         "Id of what this belongs to", "ID"},
        {"user-id", 0, 0, G_OPTION_ARG_FILENAME, &a.user_id, "Who sends it", "ID"},
        {"stamp", 0, 0, G_OPTION_ARG_NONE, &a.stamp,
         "Say that it was created now, or when its line was read", NULL},
        {"ttl", 0, 0, G_OPTION_ARG_FILENAME, &a.ttl, "Drop it if it is not sent within that time",
         "TIME"},
        {"expiry", 0, 0, G_OPTION_ARG_FILENAME, &a.expiry, "Drop it if it is not sent by then",
         "DATE"},
        {"urgent", 'u', 0, G_OPTION_ARG_NONE, &a.urgent, "Overtake all that is not urgent", NULL},
        {"durability", 0, 0, G_OPTION_ARG_FILENAME, &a.durability,
         "synced (on disk before spokectl ends; default), flushed, volatile", "CLASS"},
        {"wait", 'w', 0, G_OPTION_ARG_NONE, &a.wait, "Wait until the hub has it", NULL},
        {"timeout", 't', 0, G_OPTION_ARG_FILENAME, &a.timeout,
         "With --wait: how long at most (default: for ever)", "TIME"},
        {NULL},
    };
    SpokeOutgoing message = {SPOKE_OUTGOING_INIT};
    Send send = {.ctl = ctl, .timeout_msec = SPOKE_FOREVER};

    if (!spoke_ctl_parse(ctl, entries, 1, &argc, &argv) ||
        !spoke_ctl_parse_duration(ctl, "--timeout", a.timeout, 0, &send.timeout_msec) ||
        !spoke_ctl_parse_duration(ctl, "--ttl", a.ttl, 1, &message.ttl_msec))
        return SPOKE_EXIT_USAGE;
    send.wait = a.wait;

    const char *body = argc > 1 ? argv[1] : ctl->rest != NULL ? ctl->rest[0] : NULL;
    return send_parsed(&send, &a, &message, body);
}

const SpokeVerb spoke_verb_send = {
    .name = "send",
    .arguments = "[BODY | -]",
    .summary = "Send telemetry to the hub",
    .description =
        "spokectl ends when the message is safe on this machine; the hub gets it as soon as it is\n"
        "reached. With --wait the exit status tells what became of it: 0 the hub has it, 5\n"
        "rejected, 6 expired, 7 dropped from a full queue, 4 not known yet when the time was up.\n"
        "\n"
        "  spokectl send hello -p room=kitchen\n"
        "  spokectl send --file report.json --content-type application/json --wait\n"
        "  tail -F -n 0 app.log | spokectl send - -p source=app.log\n",
    .run = run_send,
};
