/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/transports/mqtt/paho-private.h"

#include "daemon/mailbox.h"

/*
 * The main loop's side of a client: it fills in tasks, opens letters and tells the owner. See
 * paho-private.h for how the two sides meet.
 */

static SpokeMailbox *mailbox; /* the process's; lives as long */

void
spoke_paho_post(SpokePahoItem *letter, SpokePahoLetter kind)
{
    letter->kind = kind;
    spoke_mailbox_drop(mailbox, letter);
}

void
spoke_paho_arrival_free(SpokePahoArrival *arrival)
{
    g_free(arrival->topic);
    g_free(arrival->body);
    g_free(arrival);
}

static void
client_release(SpokePahoClient *client)
{
    for (guint i = 0; i < SPOKE_PAHO_WINDOW; i++)
        spoke_message_unref(client->publications[i].message);
    g_free(client->publications);
    spoke_paho_tls_free(client->tls);
    pthread_mutex_destroy(&client->lock);
    pthread_cond_destroy(&client->answered);
    g_free(client->lost_detail);
    g_free(client->host);
    g_clear_handle_id(&client->prod_id, g_source_remove);
    g_free(client->filter);
    g_free(client->path);
    g_free(client->ca_file);
    g_free(client->certificate_file);
    g_free(client->key_file);
    g_free(client->proxy_host);
    g_free(client->proxy_user);
    g_clear_pointer(&client->proxy_password, spoke_secret_unref);
    g_free(client->client_id);
    g_free(client->user_name);
    g_clear_pointer(&client->password, spoke_secret_unref);
    g_free(client->events_topic);
    g_free(client);
}

static void
end(SpokePahoClient *client, SpokeCause cause, const char *detail)
{
    if (client->events == NULL || client->has_ended)
        return;
    client->has_ended = TRUE;
    client->events->lost(cause, detail, client->user_data);
}

/*
 * paho 1.3 may leave the last packets that came over a WebSocket in its buffers until something
 * else arrives. So when acknowledgements are due and none come, the hub is made to say something:
 * to confirm once more the subscription we have.
 */
#define PROD_MSEC 250

static gboolean
on_prod_time(gpointer user_data)
{
    SpokePahoClient *client = user_data;

    if (client->n_unsettled == 0) {
        client->prod_id = 0;
        return G_SOURCE_REMOVE;
    }
    client->n_silent = client->has_settled ? 0 : client->n_silent + 1;
    client->has_settled = FALSE;
    /* After 1, 2, 4, 8, … ticks of silence. */
    if (client->n_silent > 0 && (client->n_silent & (client->n_silent - 1)) == 0 &&
        client->filter != NULL)
        spoke_paho_client_subscribe(client, client->filter, client->is_subscribed);
    return G_SOURCE_CONTINUE;
}

static void
note_published(SpokePahoClient *client, guint n)
{
    client->n_unsettled += n;
    if (client->path == NULL || client->prod_id != 0 || client->n_unsettled == 0)
        return;
    client->has_settled = FALSE;
    client->n_silent = 0;
    client->prod_id = g_timeout_add(PROD_MSEC, on_prod_time, client);
}

static void
note_settled(SpokePahoClient *client, guint n)
{
    client->n_unsettled -= n;
    client->has_settled = TRUE;
}

static void
deliver_arrival(SpokePahoArrival *arrival)
{
    SpokePahoClient *client = arrival->item.client;

    if (client->events != NULL && !client->has_ended)
        client->events->arrived(arrival->topic, arrival->topic_size, arrival->body,
                                arrival->body_size, client->user_data);
    spoke_paho_arrival_free(arrival);
}

static void
deliver_gone(SpokePahoClient *client)
{
    client->is_gone = TRUE;
    if (client->events == NULL)
        client_release(client);
    else
        end(client, SPOKE_CAUSE_CLOSED, NULL);
}

/* Returns: how many of @letters, from the first on, are settlements of one client; they are done */
static guint
deliver_settlements(SpokePahoItem **letters, guint n)
{
    SpokePahoClient *client = letters[0]->client;
    SpokeSettlement settlements[SPOKE_PAHO_WINDOW];
    guint n_taken = 0;

    for (; n_taken < n && n_taken < SPOKE_PAHO_WINDOW; n_taken++) {
        if (letters[n_taken]->kind != SPOKE_PAHO_LETTER_SETTLED ||
            letters[n_taken]->client != client)
            break;

        SpokePahoPublication *publication = (SpokePahoPublication *)letters[n_taken];

        settlements[n_taken] = (SpokeSettlement){
            .message = g_steal_pointer(&publication->message),
            .verdict = publication->verdict,
            .detail =
                publication->verdict == SPOKE_VERDICT_REJECT ? "its properties are too long" : NULL,
        };
        publication->next_free = client->free_publications;
        client->free_publications = publication;
    }
    note_settled(client, n_taken);
    if (client->events != NULL && !client->has_ended)
        client->events->settled(settlements, n_taken, client->user_data);
    for (guint i = 0; i < n_taken; i++)
        spoke_message_unref(settlements[i].message);
    return n_taken;
}

static void
deliver(gpointer *letters, guint n, gpointer unused)
{
    for (guint i = 0; i < n;) {
        SpokePahoItem *item = letters[i];
        SpokePahoClient *client = item->client;

        switch (item->kind) {
        case SPOKE_PAHO_LETTER_CONNECTED:
            if (client->events != NULL && !client->has_ended)
                client->events->connected(client->user_data);
            break;
        case SPOKE_PAHO_LETTER_LOST:
            end(client, client->lost_cause, client->lost_detail);
            break;
        case SPOKE_PAHO_LETTER_SETTLED:
            i += deliver_settlements((SpokePahoItem **)letters + i, n - i);
            continue;
        case SPOKE_PAHO_LETTER_ARRIVED:
            deliver_arrival((SpokePahoArrival *)item);
            break;
        case SPOKE_PAHO_LETTER_GONE:
            deliver_gone(client);
            break;
        }
        i++;
    }
}

static void
take_proxy(SpokePahoClient *client, const SpokeProxy *proxy)
{
    if (proxy == NULL)
        return;
    client->proxy_host = g_strdup(proxy->host);
    client->proxy_port = proxy->port;
    client->proxy_user = g_strdup(proxy->user);
    client->proxy_password = proxy->password != NULL ? spoke_secret_ref(proxy->password) : NULL;
}

static void
init_lock(SpokePahoClient *client)
{
    pthread_condattr_t attributes;

    pthread_mutex_init(&client->lock, NULL);
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&client->answered, &attributes);
    pthread_condattr_destroy(&attributes);
}

static void
init_items(SpokePahoClient *client)
{
    client->connect = (SpokePahoItem){.task.run = spoke_paho_run_connect, .client = client};
    client->diagnose = (SpokePahoItem){.task.run = spoke_paho_run_diagnose, .client = client};
    client->destroy = (SpokePahoItem){.task.run = spoke_paho_run_destroy, .client = client};
    client->connected = client->lost = client->gone = (SpokePahoItem){.client = client};

    client->publications = g_new0(SpokePahoPublication, SPOKE_PAHO_WINDOW);
    for (guint i = 0; i < SPOKE_PAHO_WINDOW; i++) {
        SpokePahoPublication *publication = &client->publications[i];

        publication->item = (SpokePahoItem){.task.run = spoke_paho_run_publish, .client = client};
        publication->next_free = client->free_publications;
        client->free_publications = publication;
    }
}

SpokePahoClient *
spoke_paho_client_new(const SpokePahoOptions *options, const SpokePahoEvents *events,
                      gpointer user_data)
{
    SpokePahoClient *client = g_new0(SpokePahoClient, 1);

    if (mailbox == NULL)
        mailbox = spoke_mailbox_new(NULL, deliver, NULL, NULL);
    client->host = g_strdup(options->host);
    client->port = options->port;
    client->path = g_strdup(options->path);
    client->ca_file = g_strdup(options->ca_file);
    client->certificate_file = g_strdup(options->certificate_file);
    client->key_file = g_strdup(options->key_file);
    take_proxy(client, options->proxy);
    client->keepalive_sec = options->keepalive_sec;
    client->is_clean = options->is_clean;
    client->client_id = g_strdup(options->client_id);
    client->user_name = g_strdup(options->user_name);
    client->password = options->password != NULL ? spoke_secret_ref(options->password) : NULL;
    client->events_topic = g_strdup(options->events_topic);
    client->tls = spoke_paho_tls_new(options->host);
    client->events = events;
    client->user_data = user_data;
    init_lock(client);
    init_items(client);
    spoke_paho_worker_add(&client->connect.task, &client->connect.task);
    return client;
}

/* Lets go of a messageArrived() that waits, so that the worker gets at paho's lock. */
static void
leave(SpokePahoClient *client)
{
    if (client->is_leaving)
        return;
    client->is_leaving = TRUE;
    g_clear_handle_id(&client->prod_id, g_source_remove);
    pthread_mutex_lock(&client->lock);
    client->is_closing = TRUE;
    pthread_cond_signal(&client->answered);
    pthread_mutex_unlock(&client->lock);
    spoke_paho_worker_add(&client->destroy.task, &client->destroy.task);
}

void
spoke_paho_client_free(SpokePahoClient *client)
{
    if (client == NULL)
        return;

    client->events = NULL;
    if (client->is_gone)
        client_release(client);
    else
        leave(client);
}

void
spoke_paho_client_close(SpokePahoClient *client)
{
    leave(client);
}

void
spoke_paho_client_publish(SpokePahoClient *client, const SpokeOutgoing *messages, guint n)
{
    SpokePahoTask *first = NULL, *last = NULL;

    for (guint i = 0; i < n; i++) {
        SpokePahoPublication *publication = client->free_publications;

        g_return_if_fail(publication != NULL);
        client->free_publications = publication->next_free;
        publication->message = spoke_message_ref(messages[i].message);
        g_strlcpy(publication->message_id,
                  messages[i].message_id != NULL ? messages[i].message_id : "",
                  sizeof publication->message_id);
        if (last != NULL)
            last->next = &publication->item.task;
        else
            first = &publication->item.task;
        last = &publication->item.task;
    }
    if (first != NULL)
        spoke_paho_worker_add(first, last);
    note_published(client, n);
}

void
spoke_paho_client_subscribe(SpokePahoClient *client, const char *filter, gboolean on)
{
    if (client->is_leaving) /* nothing comes after the destroy task */
        return;

    SpokePahoSubscription *subscription = g_new0(SpokePahoSubscription, 1);

    subscription->item = (SpokePahoItem){.task.run = spoke_paho_run_subscription, .client = client};
    subscription->filter = g_strdup(filter);
    subscription->on = on;
    if (filter != client->filter) {
        g_free(client->filter);
        client->filter = g_strdup(filter);
    }
    client->is_subscribed = on;
    spoke_paho_worker_add(&subscription->item.task, &subscription->item.task);
}

void
spoke_paho_client_answer(SpokePahoClient *client, gboolean is_taken)
{
    pthread_mutex_lock(&client->lock);
    if (client->is_waiting) {
        client->answer = is_taken ? SPOKE_PAHO_ANSWER_TAKEN : SPOKE_PAHO_ANSWER_REFUSED;
        pthread_cond_signal(&client->answered);
    }
    pthread_mutex_unlock(&client->lock);
}

guint64
spoke_paho_client_get_progress(SpokePahoClient *client)
{
    return spoke_paho_tls_get_acknowledged(client->tls);
}

SpokeCause
spoke_paho_client_get_obstacle(SpokePahoClient *client, char **ret_detail)
{
    pthread_mutex_lock(&client->lock);
    gboolean is_resolved = client->is_resolved;
    pthread_mutex_unlock(&client->lock);

    if (!is_resolved) {
        *ret_detail =
            g_strdup_printf("no DNS server answers for %s",
                            client->proxy_host != NULL ? client->proxy_host : client->host);
        return SPOKE_CAUSE_DNS;
    }
    switch (spoke_paho_tls_get_phase(client->tls)) {
    case SPOKE_PAHO_TLS_WAITING:
        if (client->proxy_host != NULL) {
            *ret_detail = g_strdup_printf("the proxy %s port %u does not answer, or can't reach %s",
                                          client->proxy_host, client->proxy_port, client->host);
            return SPOKE_CAUSE_PROXY;
        }
        *ret_detail = g_strdup_printf("%s port %u does not answer", client->host, client->port);
        return SPOKE_CAUSE_TCP_TIMEOUT;
    case SPOKE_PAHO_TLS_HANDSHAKING:
        *ret_detail = g_strdup("the peer does not go on with the TLS handshake");
        return SPOKE_CAUSE_TLS;
    case SPOKE_PAHO_TLS_DONE:
        break;
    }
    *ret_detail = g_strdup("the hub does not answer the login");
    return SPOKE_CAUSE_KEEPALIVE;
}
