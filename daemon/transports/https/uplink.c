/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/transports/https/uplink.h"

#include "daemon/transports/https/batch.h"
#include "daemon/transports/https/headers.h"

/*
 * The first `n_asked` items are in the request. `suspects` of them are known to hold a bad message:
 * the batch they were in was refused. Then half as many are asked next, until they are through.
 */
typedef struct {
    SpokeMessage *message; /* owned */
    char *id;              /* owned; NULL if the message has its own */
} Item;

struct SpokeUplink {
    SpokeAccount *account; /* borrowed: it owns us */
    GQueue items;          /* of owned Item */
    guint n_asked;
    guint suspects;
    SpokeRequest *request; /* borrowed; NULL between two */
    SpokeBatch batch;      /* what the request holds; text is NULL without */
    guint gather_id;
};

static void
item_free(Item *item)
{
    spoke_message_unref(item->message);
    g_free(item->id);
    g_slice_free(Item, item);
}

/* Filling in a request */

static void
add_lines(SpokeRequest *request, GPtrArray *lines)
{
    for (guint i = 0; i < lines->len; i++)
        spoke_request_add_header(request, g_ptr_array_index(lines, i));
}

static gboolean
fill_single(SpokeUplink *uplink, SpokeRequest *request, const Item *item)
{
    g_autoptr(GPtrArray) lines = spoke_headers_format(item->message, item->id);

    if (lines == NULL)
        return FALSE;
    spoke_account_fill(uplink->account, request, "POST", "events");
    add_lines(request, lines);
    spoke_request_set_body(request, spoke_message_body(item->message), item->message->body_size);
    uplink->n_asked = 1;
    return TRUE;
}

static guint
get_limit(const SpokeUplink *uplink)
{
    return uplink->suspects > 0 ? MAX(uplink->suspects / 2, 1) : G_MAXUINT;
}

/* Returns: how many messages there are in the batch now, from the first on */
static guint
gather(SpokeUplink *uplink, guint limit)
{
    spoke_batch_clear(&uplink->batch);
    spoke_batch_init(&uplink->batch);
    for (GList *link = uplink->items.head; link != NULL && uplink->batch.n < limit;
         link = link->next) {
        const Item *item = link->data;

        if (!spoke_batch_add(&uplink->batch, item->message, item->id))
            break;
    }
    return uplink->batch.n;
}

static void
fill_batch(SpokeUplink *uplink, SpokeRequest *request)
{
    GString *text = spoke_batch_end(&uplink->batch);
    g_autofree char *to = g_strconcat("iothub-to: ", uplink->account->path, "events", NULL);

    spoke_account_fill(uplink->account, request, "POST", "events");
    spoke_request_add_header(request, to);
    spoke_request_add_header(request, "Content-Type: " SPOKE_BATCH_CONTENT_TYPE);
    spoke_request_set_body(request, text->str, text->len);
    uplink->n_asked = uplink->batch.n;
}

/* As many as may go together. One alone goes as headers and a bare body if it can: that is
 * shorter. Returns: FALSE if the first can go in neither form */
static gboolean
fill(SpokeUplink *uplink, SpokeRequest *request)
{
    guint limit = MIN(get_limit(uplink), uplink->items.length);

    if (limit > 1 && gather(uplink, limit) > 1) {
        fill_batch(uplink, request);
        return TRUE;
    }
    if (fill_single(uplink, request, g_queue_peek_head(&uplink->items))) {
        spoke_batch_clear(&uplink->batch);
        return TRUE;
    }
    if (gather(uplink, 1) == 0) {
        spoke_batch_clear(&uplink->batch);
        return FALSE;
    }
    fill_batch(uplink, request);
    return TRUE;
}

/* After the request, or without one */

/* All with one verdict. (transfer none): @detail. Returns: FALSE if the account is gone */
static gboolean
settle(SpokeUplink *uplink, guint n, SpokeVerdict verdict, const char *detail)
{
    SpokeAccount *account = uplink->account;
    g_autofree SpokeSettlement *settlements = g_new(SpokeSettlement, n);
    g_autoptr(GPtrArray) items = g_ptr_array_new_full(n, (GDestroyNotify)item_free);

    for (guint i = 0; i < n; i++) {
        Item *item = g_queue_pop_head(&uplink->items);

        settlements[i] =
            (SpokeSettlement){.message = item->message, .verdict = verdict, .detail = detail};
        g_ptr_array_add(items, item);
    }
    uplink->suspects -= MIN(n, uplink->suspects);
    account->events->settled(account, settlements, n, account->user_data);
    return !spoke_account_is_dropped(account);
}

static gboolean prepare(SpokeRequest *request, gpointer user_data);
static void on_done(SpokeRequest *request, gpointer user_data);

static const SpokeRequestFuncs request_funcs = {.prepare = prepare, .done = on_done};

static gboolean
on_gathered(gpointer user_data)
{
    SpokeUplink *uplink = user_data;

    uplink->gather_id = 0;
    uplink->request = spoke_request_start(uplink->account->pool, &request_funcs, uplink);
    return G_SOURCE_REMOVE;
}

static void
go_on(SpokeUplink *uplink)
{
    if (uplink->request == NULL && uplink->gather_id == 0 && uplink->items.length > 0 &&
        !uplink->account->is_finishing)
        uplink->gather_id = g_idle_add_full(G_PRIORITY_DEFAULT, on_gathered, uplink, NULL);
}

/* The first message fits nowhere: its properties need a batch, in which there is no room for its
 * body. */
static gboolean
on_unfit(gpointer user_data)
{
    SpokeUplink *uplink = user_data;
    SpokeAccount *account = spoke_account_enter(uplink->account);

    uplink->gather_id = 0;
    if (settle(uplink, 1, SPOKE_VERDICT_REJECT,
               "too large for HTTPS with properties that no header can carry"))
        go_on(uplink);
    spoke_account_leave(account);
    return G_SOURCE_REMOVE;
}

static gboolean
prepare(SpokeRequest *request, gpointer user_data)
{
    SpokeUplink *uplink = user_data;

    uplink->request = NULL;
    if (uplink->items.length == 0 || uplink->account->is_finishing)
        return FALSE;

    if (fill(uplink, request)) {
        uplink->request = request;
        return TRUE;
    }
    uplink->gather_id = g_idle_add_full(G_PRIORITY_DEFAULT, on_unfit, uplink, NULL);
    return FALSE;
}

/* A batch with a bad message in it is asked again in halves; a bad message alone is given up.
 * Returns: FALSE if the account is gone */
static gboolean
on_refused(SpokeUplink *uplink, const SpokeAnswer *answer, guint n)
{
    g_autofree char *detail = spoke_status_describe(answer, g_get_real_time());

    if (n == 1)
        return settle(uplink, 1, SPOKE_VERDICT_REJECT, detail);
    g_debug("The hub refuses a batch of %u messages: %s", n, detail);
    uplink->suspects = n;
    return TRUE;
}

static void
on_done(SpokeRequest *request, gpointer user_data)
{
    SpokeUplink *uplink = user_data;
    SpokeAccount *account = spoke_account_enter(uplink->account);
    guint n = uplink->n_asked;
    SpokeAnswer answer;
    SpokeStatusKind kind = SPOKE_STATUS_DONE;

    uplink->request = NULL;
    uplink->n_asked = 0;
    spoke_batch_clear(&uplink->batch);
    if (spoke_account_judge(account, request, FALSE, &answer, &kind)) {
        gboolean is_up = kind == SPOKE_STATUS_DONE ? settle(uplink, n, SPOKE_VERDICT_ACCEPT, NULL)
                                                   : on_refused(uplink, &answer, n);

        if (is_up)
            go_on(uplink);
    }
    spoke_account_leave(account);
}

/* Public functions */

SpokeUplink *
spoke_uplink_new(SpokeAccount *account)
{
    SpokeUplink *uplink = g_new0(SpokeUplink, 1);

    uplink->account = account;
    return uplink;
}

void
spoke_uplink_free(SpokeUplink *uplink)
{
    g_free(uplink);
}

void
spoke_uplink_stop(SpokeUplink *uplink)
{
    g_clear_handle_id(&uplink->gather_id, g_source_remove);
    if (uplink->request != NULL)
        spoke_request_cancel(g_steal_pointer(&uplink->request));
    spoke_batch_clear(&uplink->batch);
    g_queue_clear_full(&uplink->items, (GDestroyNotify)item_free);
}

void
spoke_uplink_send(SpokeUplink *uplink, const SpokeOutgoing *messages, guint n)
{
    for (guint i = 0; i < n; i++) {
        Item *item = g_slice_new(Item);

        item->message = spoke_message_ref(messages[i].message);
        item->id = g_strdup(messages[i].message_id);
        g_queue_push_tail(&uplink->items, item);
    }
    go_on(uplink);
}

gboolean
spoke_uplink_is_busy(const SpokeUplink *uplink)
{
    return uplink->request != NULL;
}
