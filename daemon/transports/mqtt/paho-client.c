/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/transports/mqtt/paho-client.h"

#include <MQTTAsync.h>
#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "daemon/mailbox.h"
#include "daemon/transports/mqtt/bag.h"
#include "daemon/transports/mqtt/paho-tls.h"
#include "daemon/transports/mqtt/paho-worker.h"
#include "daemon/transports/mqtt/reach.h"
#include "daemon/transports/mqtt/topic.h"

/*
 * Three parties: the main loop, our worker (paho-worker.h) and paho's two threads. What the main
 * loop wants is a task for the worker; what happens is a letter for the main loop. Both are Items,
 * and one that stands for a message travels down as a task and up again as a letter: no
 * allocation per message.
 *
 * Life: the worker destroys paho's handle and then posts LETTER_GONE, the last letter; nothing but
 * the main loop touches the client after that. So an owner that calls free() only detaches.
 *
 * paho acknowledges an arrived message right after messageArrived() returned, whatever it returns,
 * and holds its lock meanwhile. So the callback waits until the main loop has the message on disk;
 * and if it can't have it, cuts the socket, and the acknowledgement goes nowhere. It never returns
 * 0: that would queue the message in paho's memory and acknowledge it.
 */

/* The hub's lock on a C2D message lasts 60 s. Source: iot-hub-protocol.md, 5. */
#define ANSWER_SEC 30
/* We time the attempt ourselves. */
#define PAHO_CONNECT_SEC 86400

typedef enum {
    LETTER_CONNECTED,
    LETTER_LOST,
    LETTER_SETTLED,
    LETTER_ARRIVED,
    LETTER_GONE,
} LetterKind;

typedef struct {
    SpokePahoTask task; /* first: a task is cast to its Item */
    LetterKind kind;    /* once it is a letter */
    SpokePahoClient *client;
} Item;

typedef struct Publication Publication;

struct Publication {
    Item item;
    Publication *next_free;
    SpokeMessage *message; /* owned while published */
    SpokeVerdict verdict;
    char message_id[SPOKE_MESSAGE_ID_BYTES_MAX + 1]; /* "" for none */
};

typedef struct {
    Item item;
    char *filter; /* owned */
    gboolean on;
} Subscription;

typedef struct {
    Item item;
    char *topic; /* owned */
    size_t topic_size;
    void *body; /* owned */
    size_t body_size;
} Arrival;

typedef enum { ANSWER_NONE, ANSWER_TAKEN, ANSWER_REFUSED } Answer;

struct SpokePahoClient {
    char *host; /* owned, constant, as the following */
    guint16 port;
    char *ca_file;
    guint keepalive_sec;
    char *client_id;
    char *user_name;
    SpokeSecret *password;
    char *events_topic;
    SpokePahoTls *tls; /* owned */

    /* The main loop's */
    const SpokePahoEvents *events; /* borrowed, outlives us; NULL once detached */
    gpointer user_data;
    gboolean has_ended;  /* lost() was called */
    gboolean is_leaving; /* the destroy task is on its way */
    gboolean is_gone;    /* and done */
    Publication *publications;
    Publication *free_publications;

    /* The worker's */
    MQTTAsync handle;

    Item connect, diagnose, destroy, connected, lost, gone; /* each on its way once at most */

    pthread_mutex_t lock; /* guards the following */
    pthread_cond_t answered;
    Answer answer;
    gboolean is_waiting; /* messageArrived() does */
    gboolean is_closing; /* whatever arrives now is not for us */
    gboolean is_refused; /* cut by ourselves, for want of storage */
    gboolean is_resolving;
    gboolean is_lost; /* the letter is on its way */
    SpokeCause lost_cause;
    char *lost_detail; /* owned */
};

static SpokeMailbox *mailbox; /* the process's; lives as long */

/* Letters, from any thread */

static void
post(Item *letter, LetterKind kind)
{
    letter->kind = kind;
    spoke_mailbox_drop(mailbox, letter);
}

/* Takes @detail over. The first reason counts. */
static void
post_lost(SpokePahoClient *client, SpokeCause cause, char *detail)
{
    pthread_mutex_lock(&client->lock);
    gboolean is_first = !client->is_lost;
    client->is_lost = TRUE;
    if (is_first) {
        client->lost_cause = client->is_refused ? SPOKE_CAUSE_STORAGE : cause;
        client->lost_detail = g_steal_pointer(&detail);
    }
    pthread_mutex_unlock(&client->lock);

    g_free(detail);
    if (is_first)
        post(&client->lost, LETTER_LOST);
}

/* Why a connection failed */

static SpokeCause
cause_of_connack(int code, char **ret_detail)
{
    static const struct {
        SpokeCause cause;
        const char *detail;
    } rows[] = {
        [1] = {SPOKE_CAUSE_PROTOCOL, "unacceptable protocol version"},
        [2] = {SPOKE_CAUSE_BAD_CREDENTIALS, "client id rejected"},
        [3] = {SPOKE_CAUSE_UNAVAILABLE, "server unavailable"},
        [4] = {SPOKE_CAUSE_BAD_CREDENTIALS, "malformed user name or token"},
        [5] = {SPOKE_CAUSE_AUTHENTICATION_FAILED, "not authorized"},
    };

    if (code >= (int)G_N_ELEMENTS(rows)) {
        *ret_detail = g_strdup_printf("CONNACK %d", code);
        return SPOKE_CAUSE_PROTOCOL;
    }
    *ret_detail = g_strdup_printf("CONNACK %d: %s", code, rows[code].detail);
    return rows[code].cause;
}

/* For a failure after TCP had come about. */
static SpokeCause
cause_of_tls(SpokePahoClient *client, char **ret_detail)
{
    *ret_detail = spoke_paho_tls_dup_certificate_error(client->tls);
    if (*ret_detail != NULL)
        return SPOKE_CAUSE_CERTIFICATE;

    if (spoke_paho_tls_get_phase(client->tls) == SPOKE_PAHO_TLS_DONE) {
        *ret_detail = g_strdup("the hub closed the connection before it answered the login");
        return SPOKE_CAUSE_CLOSED_BY_HUB;
    }
    *ret_detail = spoke_paho_tls_dup_error(client->tls);
    if (*ret_detail == NULL)
        *ret_detail = g_strdup("the peer closed the connection during the handshake");
    return SPOKE_CAUSE_TLS;
}

/* On the worker: it takes its time. */
static void
run_diagnose(SpokePahoTask *task)
{
    SpokePahoClient *client = ((Item *)task)->client;
    char *detail = NULL;
    SpokeCause cause = spoke_reach_try(client->host, client->port, &detail);

    if (cause == SPOKE_CAUSE_NONE && client->ca_file != NULL &&
        !spoke_paho_tls_is_ca_file(client->ca_file)) {
        cause = SPOKE_CAUSE_CERTIFICATE;
        detail = g_strdup_printf("CA file %s holds no certificate in PEM form", client->ca_file);
    } else if (cause == SPOKE_CAUSE_NONE) { /* it has just gone */
        cause = SPOKE_CAUSE_NETWORK;
    }
    post_lost(client, cause, detail);
}

/* paho's callbacks, on its threads and under its lock: what calls paho here may deadlock */

static void
on_connected(void *context, MQTTAsync_successData *unused)
{
    SpokePahoClient *client = context;

    post(&client->connected, LETTER_CONNECTED);
}

static void
on_connect_failed(void *context, MQTTAsync_failureData *data)
{
    SpokePahoClient *client = context;
    int code = data != NULL ? data->code : MQTTASYNC_FAILURE;
    char *detail = NULL;

    if (code > 0) {
        SpokeCause cause = cause_of_connack(code, &detail);

        post_lost(client, cause, detail);
    } else if (spoke_paho_tls_get_phase(client->tls) != SPOKE_PAHO_TLS_WAITING) {
        SpokeCause cause = cause_of_tls(client, &detail);

        post_lost(client, cause, detail);
    } else {
        spoke_paho_worker_add(&client->diagnose.task, &client->diagnose.task);
    }
}

static void
on_connection_lost(void *context, char *unused)
{
    SpokePahoClient *client = context;

    if (spoke_paho_tls_get_end(client->tls) == SPOKE_PAHO_TLS_PEER_SILENT)
        post_lost(client, SPOKE_CAUSE_KEEPALIVE,
                  g_strdup("no answer to a ping within the keep-alive time"));
    else
        post_lost(client, SPOKE_CAUSE_CLOSED_BY_HUB, NULL);
}

static void
on_published(void *context, MQTTAsync_successData *unused)
{
    Publication *publication = context;

    publication->verdict = SPOKE_VERDICT_ACCEPT;
    post(&publication->item, LETTER_SETTLED);
}

static Arrival *
arrival_new(SpokePahoClient *client, const char *topic, int topic_size,
            const MQTTAsync_message *message)
{
    Arrival *arrival = g_new0(Arrival, 1);

    arrival->item.client = client;
    arrival->topic_size = topic_size > 0 ? (size_t)topic_size : strlen(topic);
    arrival->topic = g_memdup2(topic, arrival->topic_size);
    arrival->body_size = (size_t)message->payloadlen;
    arrival->body = g_memdup2(message->payload, arrival->body_size);
    return arrival;
}

static void
arrival_free(Arrival *arrival)
{
    g_free(arrival->topic);
    g_free(arrival->body);
    g_free(arrival);
}

/* Returns: whether the main loop took the message over */
static gboolean
hand_over(SpokePahoClient *client, Arrival *arrival)
{
    struct timespec deadline;
    int r = 0;

    clock_gettime(CLOCK_MONOTONIC, &deadline);
    deadline.tv_sec += ANSWER_SEC;

    pthread_mutex_lock(&client->lock);
    if (client->is_closing) {
        pthread_mutex_unlock(&client->lock);
        arrival_free(arrival);
        return FALSE;
    }
    client->answer = ANSWER_NONE;
    client->is_waiting = TRUE;
    post(&arrival->item, LETTER_ARRIVED);
    while (client->answer == ANSWER_NONE && !client->is_closing && r != ETIMEDOUT)
        r = pthread_cond_timedwait(&client->answered, &client->lock, &deadline);
    client->is_waiting = FALSE;
    gboolean is_taken = client->answer == ANSWER_TAKEN;
    if (!is_taken) {
        client->is_refused = !client->is_closing;
        client->is_closing = TRUE;
    }
    pthread_mutex_unlock(&client->lock);
    return is_taken;
}

static int
on_message_arrived(void *context, char *topic, int topic_size, MQTTAsync_message *message)
{
    SpokePahoClient *client = context;

    if (!hand_over(client, arrival_new(client, topic, topic_size, message)))
        spoke_paho_tls_cut(client->tls);
    MQTTAsync_freeMessage(&message);
    MQTTAsync_free(topic);
    return 1;
}

/* Tasks, on the worker's thread */

static gboolean
is_closing(SpokePahoClient *client)
{
    pthread_mutex_lock(&client->lock);
    gboolean closing = client->is_closing;
    pthread_mutex_unlock(&client->lock);
    return closing;
}

static void
set_resolving(SpokePahoClient *client, gboolean resolving)
{
    pthread_mutex_lock(&client->lock);
    client->is_resolving = resolving;
    pthread_mutex_unlock(&client->lock);
}

/* paho would resolve the name under its lock, and not say when it fails. */
static SpokeCause
check_before_connecting(SpokePahoClient *client, char **ret_detail)
{
    if (client->ca_file != NULL && access(client->ca_file, R_OK) < 0) {
        *ret_detail = g_strdup_printf("CA file %s: %s", client->ca_file, g_strerror(errno));
        return SPOKE_CAUSE_CERTIFICATE;
    }
    if (strchr(client->host, ':') != NULL) {
        *ret_detail = g_strdup_printf("the MQTT library cannot check a certificate for the bare "
                                      "address %s: use a host name",
                                      client->host);
        return SPOKE_CAUSE_CERTIFICATE;
    }

    set_resolving(client, TRUE);
    SpokeCause cause = spoke_reach_resolve(client->host, ret_detail);
    set_resolving(client, FALSE);
    return cause;
}

static int
connect_handle(SpokePahoClient *client)
{
    MQTTAsync_SSLOptions ssl = MQTTAsync_SSLOptions_initializer;
    MQTTAsync_connectOptions options = MQTTAsync_connectOptions_initializer;

    ssl.enableServerCertAuth = 1;
    ssl.verify = 1;
    ssl.trustStore = client->ca_file;
    ssl.disableDefaultTrustStore = client->ca_file != NULL;
    ssl.ssl_error_cb = spoke_paho_tls_on_error;
    ssl.ssl_error_context = client->tls;
    options.ssl = &ssl;
    options.MQTTVersion = MQTTVERSION_3_1_1;
    options.cleansession = 0;
    options.keepAliveInterval = (int)client->keepalive_sec;
    options.maxInflight = SPOKE_PAHO_WINDOW;
    options.connectTimeout = PAHO_CONNECT_SEC;
    options.username = client->user_name;
    options.password = client->password != NULL ? spoke_secret_peek(client->password) : NULL;
    options.onSuccess = on_connected;
    options.onFailure = on_connect_failed;
    options.context = client;
    spoke_paho_tls_expect(client->tls);
    return MQTTAsync_connect(client->handle, &options);
}

/*
 * With its last client paho ends, with the next one it starts: which is good, as its threads wake
 * up ten times a second even without a connection, and fresh ones connect a second faster (they
 * look again soon whether TCP has come about). But each start leaves some 80 bytes in OpenSSL's
 * tables for ever. Memory is to stay flat however long a machine is offline, so after this many
 * starts a client that never connects keeps paho running.
 */
#define PAHO_STARTS_MAX 2000

static void
limit_starts(void)
{
    static guint n_starts;
    static MQTTAsync anchor;

    if (++n_starts == PAHO_STARTS_MAX)
        (void)MQTTAsync_createWithOptions(&anchor, "tcp://localhost", "anchor",
                                          MQTTCLIENT_PERSISTENCE_NONE, NULL, NULL);
}

static int
make_handle(SpokePahoClient *client)
{
    limit_starts();
    g_autofree char *uri = g_strdup_printf("ssl://%s:%u", client->host, client->port);
    int rc = MQTTAsync_createWithOptions(&client->handle, uri, client->client_id,
                                         MQTTCLIENT_PERSISTENCE_NONE, NULL, NULL);

    if (rc != MQTTASYNC_SUCCESS)
        return rc;
    return MQTTAsync_setCallbacks(client->handle, client, on_connection_lost, on_message_arrived,
                                  NULL);
}

static void
run_connect(SpokePahoTask *task)
{
    SpokePahoClient *client = ((Item *)task)->client;
    char *detail = NULL;
    SpokeCause cause = check_before_connecting(client, &detail);

    if (cause != SPOKE_CAUSE_NONE) {
        post_lost(client, cause, detail);
        return;
    }
    if (is_closing(client)) /* run_destroy() is next */
        return;

    int rc = make_handle(client);
    if (rc == MQTTASYNC_SUCCESS)
        rc = connect_handle(client);
    if (rc != MQTTASYNC_SUCCESS)
        post_lost(client, SPOKE_CAUSE_INTERNAL, g_strdup(MQTTAsync_strerror(rc)));
}

static void
on_subscribe_failed(void *context, MQTTAsync_failureData *data)
{
    if (data != NULL && data->code > 0)
        g_warning("The hub refuses the subscription to cloud-to-device messages");
}

static void
run_subscription(SpokePahoTask *task)
{
    Subscription *subscription = (Subscription *)task;
    MQTTAsync_responseOptions options = MQTTAsync_responseOptions_initializer;
    MQTTAsync handle = subscription->item.client->handle;

    options.onFailure = on_subscribe_failed;
    if (subscription->on)
        (void)MQTTAsync_subscribe(handle, subscription->filter, 1, &options);
    else
        (void)MQTTAsync_unsubscribe(handle, subscription->filter, &options);
    g_free(subscription->filter);
    g_free(subscription);
}

static void
run_publish(SpokePahoTask *task)
{
    static GString *topic; /* the worker's */
    Publication *publication = (Publication *)task;
    const SpokeMessage *message = publication->message;
    MQTTAsync_responseOptions options = MQTTAsync_responseOptions_initializer;

    if (topic == NULL)
        topic = g_string_sized_new(1024);
    g_string_assign(topic, publication->item.client->events_topic);
    spoke_bag_append(topic, spoke_message_system(message), message->system_size,
                     publication->message_id[0] != '\0' ? publication->message_id : NULL,
                     spoke_message_properties(message), message->properties_size);
    if (topic->len > SPOKE_TOPIC_BYTES_MAX) {
        publication->verdict = SPOKE_VERDICT_REJECT;
        post(&publication->item, LETTER_SETTLED);
        return;
    }

    options.onSuccess = on_published;
    options.context = publication;
    /* A failure means that the connection is gone: lost() is on its way and says it for all. */
    (void)MQTTAsync_send(publication->item.client->handle, topic->str, (int)message->body_size,
                         spoke_message_body(message), 1, 0, &options);
}

static void
run_destroy(SpokePahoTask *task)
{
    SpokePahoClient *client = ((Item *)task)->client;

    if (client->handle != NULL)
        MQTTAsync_destroy(&client->handle);
    post(&client->gone, LETTER_GONE);
}

/* The main loop's side */

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
    g_free(client->ca_file);
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

static void
deliver_arrival(Arrival *arrival)
{
    SpokePahoClient *client = arrival->item.client;

    if (client->events != NULL && !client->has_ended)
        client->events->arrived(arrival->topic, arrival->topic_size, arrival->body,
                                arrival->body_size, client->user_data);
    arrival_free(arrival);
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
deliver_settlements(Item **letters, guint n)
{
    SpokePahoClient *client = letters[0]->client;
    SpokeSettlement settlements[SPOKE_PAHO_WINDOW];
    guint n_taken = 0;

    for (; n_taken < n && n_taken < SPOKE_PAHO_WINDOW; n_taken++) {
        if (letters[n_taken]->kind != LETTER_SETTLED || letters[n_taken]->client != client)
            break;

        Publication *publication = (Publication *)letters[n_taken];

        settlements[n_taken] = (SpokeSettlement){
            .message = g_steal_pointer(&publication->message),
            .verdict = publication->verdict,
            .detail =
                publication->verdict == SPOKE_VERDICT_REJECT ? "its properties are too long" : NULL,
        };
        publication->next_free = client->free_publications;
        client->free_publications = publication;
    }
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
        Item *item = letters[i];
        SpokePahoClient *client = item->client;

        switch (item->kind) {
        case LETTER_CONNECTED:
            if (client->events != NULL && !client->has_ended)
                client->events->connected(client->user_data);
            break;
        case LETTER_LOST:
            end(client, client->lost_cause, client->lost_detail);
            break;
        case LETTER_SETTLED:
            i += deliver_settlements((Item **)letters + i, n - i);
            continue;
        case LETTER_ARRIVED:
            deliver_arrival((Arrival *)item);
            break;
        case LETTER_GONE:
            deliver_gone(client);
            break;
        }
        i++;
    }
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
    client->connect = (Item){.task.run = run_connect, .client = client};
    client->diagnose = (Item){.task.run = run_diagnose, .client = client};
    client->destroy = (Item){.task.run = run_destroy, .client = client};
    client->connected = client->lost = client->gone = (Item){.client = client};

    client->publications = g_new0(Publication, SPOKE_PAHO_WINDOW);
    for (guint i = 0; i < SPOKE_PAHO_WINDOW; i++) {
        Publication *publication = &client->publications[i];

        publication->item = (Item){.task.run = run_publish, .client = client};
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
    client->ca_file = g_strdup(options->ca_file);
    client->keepalive_sec = options->keepalive_sec;
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
        Publication *publication = client->free_publications;

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
}

void
spoke_paho_client_subscribe(SpokePahoClient *client, const char *filter, gboolean on)
{
    Subscription *subscription = g_new0(Subscription, 1);

    subscription->item = (Item){.task.run = run_subscription, .client = client};
    subscription->filter = g_strdup(filter);
    subscription->on = on;
    spoke_paho_worker_add(&subscription->item.task, &subscription->item.task);
}

void
spoke_paho_client_answer(SpokePahoClient *client, gboolean is_taken)
{
    pthread_mutex_lock(&client->lock);
    if (client->is_waiting) {
        client->answer = is_taken ? ANSWER_TAKEN : ANSWER_REFUSED;
        pthread_cond_signal(&client->answered);
    }
    pthread_mutex_unlock(&client->lock);
}

SpokeCause
spoke_paho_client_get_obstacle(SpokePahoClient *client, char **ret_detail)
{
    pthread_mutex_lock(&client->lock);
    gboolean is_resolving = client->is_resolving;
    pthread_mutex_unlock(&client->lock);

    if (is_resolving) {
        *ret_detail = g_strdup_printf("no DNS server answers for %s", client->host);
        return SPOKE_CAUSE_DNS;
    }
    switch (spoke_paho_tls_get_phase(client->tls)) {
    case SPOKE_PAHO_TLS_WAITING:
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
