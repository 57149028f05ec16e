/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/transports/https/poll.h"

#include "daemon/transports/https/headers.h"

#include <string.h>

/*
 * `wanted` says that the hub may have something: set by a poll, cleared when it has nothing.
 * A message that arrives just after receive() went off is handed over all the same: the daemon
 * settles it as it likes, which costs the hub's delivery count no more than we would.
 */
struct SpokePoll {
    SpokeAccount *account; /* borrowed: it owns us */
    gboolean on;
    gboolean wanted;
    gboolean is_late; /* asked while a request was under way, which may say "nothing" too early */
    guint n_held;     /* arrived and not settled */
    SpokeRequest *request; /* borrowed; NULL between two */
    GQueue verdicts;       /* of Verdict: those on their way */
};

typedef struct {
    SpokePoll *poll; /* borrowed: it owns us */
    char *lock;      /* owned */
    SpokeVerdict verdict;
    SpokeRequest *request; /* borrowed; NULL once ended */
} Verdict;

static void ask(SpokePoll *poll);

/* Settling */

static void
verdict_free(Verdict *verdict)
{
    if (verdict->request != NULL)
        spoke_request_cancel(verdict->request);
    g_free(verdict->lock);
    g_free(verdict);
}

/* Without the quotes that it has as an ETag, and fit for a path. (transfer full) */
static char *
make_path_of_lock(const char *lock)
{
    size_t size = strlen(lock);
    gboolean is_quoted = size >= 2 && lock[0] == '"' && lock[size - 1] == '"';
    g_autofree char *bare = is_quoted ? g_strndup(lock + 1, size - 2) : g_strdup(lock);

    return g_uri_escape_string(bare, NULL, FALSE);
}

/* Source: iot-hub-protocol.md, 4, rows 3 to 5. */
static gboolean
prepare_verdict(SpokeRequest *request, gpointer user_data)
{
    static const struct {
        const char *method;
        const char *tail;
    } rows[] = {
        [SPOKE_VERDICT_ACCEPT] = {"DELETE", ""},
        [SPOKE_VERDICT_RELEASE] = {"POST", "/abandon"},
        [SPOKE_VERDICT_REJECT] = {"DELETE", "?reject"},
    };
    Verdict *verdict = user_data;
    g_autofree char *lock = make_path_of_lock(verdict->lock);
    g_autofree char *tail = g_strconcat("devicebound/", lock, rows[verdict->verdict].tail, NULL);
    g_autofree char *match = g_strconcat("If-Match: ", verdict->lock, NULL);

    spoke_account_fill(verdict->poll->account, request, rows[verdict->verdict].method, tail);
    spoke_request_add_header(request, match);
    return TRUE;
}

static void
on_told(SpokeRequest *request, gpointer user_data)
{
    Verdict *verdict = user_data;
    SpokeAccount *account = spoke_account_enter(verdict->poll->account);
    SpokeAnswer answer;
    SpokeStatusKind kind = SPOKE_STATUS_DONE;

    verdict->request = NULL;
    g_queue_remove(&verdict->poll->verdicts, verdict);
    verdict_free(verdict);
    if (spoke_account_judge(account, request, TRUE, &answer, &kind) && kind != SPOKE_STATUS_DONE)
        g_debug("A message was not settled at the hub, which will send it again: HTTP %u",
                answer.status);
    spoke_account_leave(account);
}

static const SpokeRequestFuncs verdict_funcs = {.prepare = prepare_verdict, .done = on_told};

void
spoke_poll_settle(SpokePoll *poll, const char *lock, SpokeVerdict how)
{
    Verdict *verdict = g_new0(Verdict, 1);

    verdict->poll = poll;
    verdict->lock = g_strdup(lock);
    verdict->verdict = how;
    g_queue_push_tail(&poll->verdicts, verdict);
    verdict->request = spoke_request_start(poll->account->pool, &verdict_funcs, verdict);
    poll->n_held--;
    ask(poll);
}

/* Asking */

static gboolean
prepare_get(SpokeRequest *request, gpointer user_data)
{
    SpokePoll *poll = user_data;

    poll->request = NULL;
    if (!poll->on || !poll->wanted || poll->account->is_finishing)
        return FALSE;
    poll->request = request;
    spoke_account_fill(poll->account, request, "GET", "devicebound");
    return TRUE;
}

/* How often before: 0 where the hub does not tell. Source: iot-hub-protocol.md, 4.3. */
static guint
read_delivery_count(SpokeRequest *request)
{
    const char *text = spoke_request_get_header(request, "iothub-deliverycount");
    guint64 count = 0;

    if (text == NULL || !g_ascii_string_to_unsigned(text, 10, 0, G_MAXUINT16, &count, NULL))
        return 0;
    return (guint)count;
}

/* Returns: (transfer full) */
static SpokeMessage *
make_message(SpokeRequest *request, const SpokeAnswer *answer)
{
    g_autoptr(GByteArray) system = g_byte_array_new();
    g_autoptr(GByteArray) properties = g_byte_array_new();
    const char *name = NULL, *value = NULL;
    gconstpointer position = NULL;

    while ((position = spoke_request_next_header(request, position, &name, &value)) != NULL)
        spoke_headers_parse(name, value, system, properties);
    return spoke_message_new(system->data, system->len, properties->data, properties->len,
                             answer->body, answer->body_size);
}

static void
hand_over(SpokePoll *poll, SpokeRequest *request, const SpokeAnswer *answer)
{
    SpokeAccount *account = poll->account;
    const char *lock = spoke_request_get_header(request, "ETag");

    if (lock == NULL) { /* nothing that could be settled; the next would be the same */
        g_debug("A message of %zu bytes from the hub has no lock", answer->body_size);
        poll->wanted = FALSE;
        return;
    }
    if (account->is_finishing) { /* nobody is there for it any more */
        poll->n_held++;
        spoke_poll_settle(poll, lock, SPOKE_VERDICT_RELEASE);
        return;
    }

    g_autoptr(SpokeMessage) message = make_message(request, answer);

    message->delivery_count = read_delivery_count(request);
    poll->n_held++;
    account->events->arrived(account, message, lock, account->user_data);
}

static void
on_got(SpokeRequest *request, gpointer user_data)
{
    SpokePoll *poll = user_data;
    SpokeAccount *account = spoke_account_enter(poll->account);
    SpokeAnswer answer;
    SpokeStatusKind kind = SPOKE_STATUS_DONE;

    poll->request = NULL;
    if (spoke_account_judge(account, request, FALSE, &answer, &kind)) {
        if (answer.status == 200)
            hand_over(poll, request, &answer);
        else
            poll->wanted = poll->is_late;
        poll->is_late = FALSE;
        if (!spoke_account_is_dropped(account))
            ask(poll);
    }
    spoke_account_leave(account);
}

static const SpokeRequestFuncs get_funcs = {.prepare = prepare_get, .done = on_got};

static void
ask(SpokePoll *poll)
{
    if (poll->on && poll->wanted && poll->request == NULL && poll->n_held < SPOKE_POLL_HELD_MAX &&
        !poll->account->is_finishing)
        poll->request = spoke_request_start(poll->account->pool, &get_funcs, poll);
}

/* Public functions */

SpokePoll *
spoke_poll_new(SpokeAccount *account)
{
    SpokePoll *poll = g_new0(SpokePoll, 1);

    poll->account = account;
    return poll;
}

void
spoke_poll_free(SpokePoll *poll)
{
    g_free(poll);
}

void
spoke_poll_stop(SpokePoll *poll)
{
    poll->on = FALSE;
    if (poll->request != NULL)
        spoke_request_cancel(g_steal_pointer(&poll->request));
    g_queue_clear_full(&poll->verdicts, (GDestroyNotify)verdict_free);
}

void
spoke_poll_receive(SpokePoll *poll, gboolean on)
{
    poll->on = on;
    poll->wanted = on && poll->wanted;
    ask(poll);
}

void
spoke_poll_ask(SpokePoll *poll)
{
    poll->wanted = TRUE;
    poll->is_late = poll->request != NULL;
    ask(poll);
}

gboolean
spoke_poll_is_busy(const SpokePoll *poll)
{
    return poll->request != NULL || poll->verdicts.length > 0;
}
