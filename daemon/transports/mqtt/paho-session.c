/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/transports/mqtt/paho-private.h"

#include "daemon/transports/mqtt/bag.h"
#include "daemon/transports/mqtt/reach.h"
#include "daemon/transports/mqtt/topic.h"

#include <errno.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/*
 * A client's session with the hub, seen from the threads: tasks on our worker's, callbacks on
 * paho's two. Nothing here touches what is the main loop's.
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
        spoke_paho_post(&client->lost, SPOKE_PAHO_LETTER_LOST);
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

    if (spoke_paho_tls_get_phase(client->tls) == SPOKE_PAHO_TLS_DONE &&
        spoke_paho_tls_get_end(client->tls) == SPOKE_PAHO_TLS_PEER_SILENT) {
        *ret_detail =
            g_strdup_printf("the server answers the %s otherwise than a hub does",
                            client->path != NULL ? "WebSocket upgrade or the login" : "login");
        return SPOKE_CAUSE_PROTOCOL;
    }
    if (spoke_paho_tls_get_phase(client->tls) == SPOKE_PAHO_TLS_DONE) {
        *ret_detail = g_strdup("the hub closed the connection before it answered the login");
        return SPOKE_CAUSE_CLOSED_BY_HUB;
    }
    *ret_detail = spoke_paho_tls_dup_error(client->tls);
    if (*ret_detail == NULL)
        *ret_detail = g_strdup("the peer closed the connection during the handshake");
    return SPOKE_CAUSE_TLS;
}

static SpokeCause
try_proxy(SpokePahoClient *client, char **ret_detail)
{
    const SpokeProxy proxy = {
        .host = client->proxy_host,
        .port = client->proxy_port,
        .user = client->proxy_user,
        .password = client->proxy_password,
    };

    return spoke_reach_try_proxy(&proxy, client->host, client->port, ret_detail);
}

/* On the worker: it takes its time. */
void
spoke_paho_run_diagnose(SpokePahoTask *task)
{
    SpokePahoClient *client = ((SpokePahoItem *)task)->client;
    char *detail = NULL;
    SpokeCause cause = client->proxy_host != NULL
                           ? try_proxy(client, &detail)
                           : spoke_reach_try(client->host, client->port, &detail);

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

    spoke_paho_post(&client->connected, SPOKE_PAHO_LETTER_CONNECTED);
}

/* Under the lock, so that it comes before spoke_paho_run_destroy() or not at all. */
static void
diagnose(SpokePahoClient *client)
{
    pthread_mutex_lock(&client->lock);
    if (!client->is_closing)
        spoke_paho_worker_add(&client->diagnose.task, &client->diagnose.task);
    pthread_mutex_unlock(&client->lock);
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
        diagnose(client);
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
    SpokePahoPublication *publication = context;

    publication->verdict = SPOKE_VERDICT_ACCEPT;
    spoke_paho_post(&publication->item, SPOKE_PAHO_LETTER_SETTLED);
}

static SpokePahoArrival *
arrival_new(SpokePahoClient *client, const char *topic, int topic_size,
            const MQTTAsync_message *message)
{
    SpokePahoArrival *arrival = g_new0(SpokePahoArrival, 1);

    arrival->item.client = client;
    arrival->topic_size = topic_size > 0 ? (size_t)topic_size : strlen(topic);
    arrival->topic = g_memdup2(topic, arrival->topic_size);
    arrival->body_size = (size_t)message->payloadlen;
    arrival->body = g_memdup2(message->payload, arrival->body_size);
    return arrival;
}

/* Returns: whether the main loop took the message over */
static gboolean
hand_over(SpokePahoClient *client, SpokePahoArrival *arrival)
{
    struct timespec deadline;
    int r = 0;

    clock_gettime(CLOCK_MONOTONIC, &deadline);
    deadline.tv_sec += ANSWER_SEC;

    pthread_mutex_lock(&client->lock);
    if (client->is_closing) {
        pthread_mutex_unlock(&client->lock);
        spoke_paho_arrival_free(arrival);
        return FALSE;
    }
    client->answer = SPOKE_PAHO_ANSWER_NONE;
    client->is_waiting = TRUE;
    spoke_paho_post(&arrival->item, SPOKE_PAHO_LETTER_ARRIVED);
    while (client->answer == SPOKE_PAHO_ANSWER_NONE && !client->is_closing && r != ETIMEDOUT)
        r = pthread_cond_timedwait(&client->answered, &client->lock, &deadline);
    client->is_waiting = FALSE;
    gboolean is_taken = client->answer == SPOKE_PAHO_ANSWER_TAKEN;
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
note_resolved(SpokePahoClient *client)
{
    pthread_mutex_lock(&client->lock);
    client->is_resolved = TRUE;
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
    if (client->certificate_file != NULL &&
        !spoke_paho_tls_is_key_pair(client->certificate_file, client->key_file, ret_detail))
        return SPOKE_CAUSE_CREDENTIALS;
    if (strchr(client->host, ':') != NULL) {
        *ret_detail = g_strdup_printf("the MQTT library cannot check a certificate for the bare "
                                      "address %s: use a host name",
                                      client->host);
        return SPOKE_CAUSE_CERTIFICATE;
    }

    /* Behind a proxy it is the proxy that knows the hub. */
    SpokeCause cause = spoke_reach_resolve(
        client->proxy_host != NULL ? client->proxy_host : client->host, ret_detail);

    note_resolved(client);
    return cause == SPOKE_CAUSE_DNS && client->proxy_host != NULL ? SPOKE_CAUSE_PROXY : cause;
}

/* "user:password@host:port", percent-encoded. Without a scheme: paho (1.3.12) expects "https://" of
 * a proxy for TLS and would look up any other as a part of the name. (transfer full) (nullable) */
static char *
describe_proxy(SpokePahoClient *client)
{
    GString *text = g_string_new(NULL);

    if (client->proxy_host == NULL)
        return g_string_free(text, TRUE);
    if (client->proxy_user != NULL)
        g_string_append_uri_escaped(text, client->proxy_user, NULL, FALSE);
    if (client->proxy_password != NULL) {
        g_string_append_c(text, ':');
        g_string_append_uri_escaped(text, spoke_secret_peek(client->proxy_password), NULL, FALSE);
    }
    g_string_append_printf(text, "%s%s:%u", client->proxy_user != NULL ? "@" : "",
                           client->proxy_host, client->proxy_port);
    return g_string_free(text, FALSE);
}

static int
connect_handle(SpokePahoClient *client)
{
    MQTTAsync_SSLOptions ssl = MQTTAsync_SSLOptions_initializer;
    MQTTAsync_connectOptions options =
        client->path != NULL ? (MQTTAsync_connectOptions)MQTTAsync_connectOptions_initializer_ws
                             : (MQTTAsync_connectOptions)MQTTAsync_connectOptions_initializer;
    g_autofree char *proxy = describe_proxy(client);

    ssl.enableServerCertAuth = 1;
    ssl.verify = 1;
    ssl.trustStore = client->ca_file;
    ssl.disableDefaultTrustStore = client->ca_file != NULL;
    ssl.keyStore = client->certificate_file;
    ssl.privateKey = client->key_file;
    ssl.ssl_error_cb = spoke_paho_tls_on_error;
    ssl.ssl_error_context = client->tls;
    options.ssl = &ssl;
    options.MQTTVersion = MQTTVERSION_3_1_1;
    options.cleansession = client->is_clean;
    options.keepAliveInterval = (int)client->keepalive_sec;
    options.maxInflight = SPOKE_PAHO_WINDOW;
    options.connectTimeout = PAHO_CONNECT_SEC;
    options.username = client->user_name;
    options.password = client->password != NULL ? spoke_secret_peek(client->password) : NULL;
    options.onSuccess = on_connected;
    options.onFailure = on_connect_failed;
    options.context = client;
    options.httpsProxy = proxy;
    spoke_paho_tls_expect(client->tls);

    int rc = MQTTAsync_connect(client->handle, &options);

    if (proxy != NULL)
        explicit_bzero(proxy, strlen(proxy));
    return rc;
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
    g_autofree char *uri =
        g_strdup_printf("%s://%s:%u%s", client->path != NULL ? "wss" : "ssl", client->host,
                        client->port, client->path != NULL ? client->path : "");
    int rc = MQTTAsync_createWithOptions(&client->handle, uri, client->client_id,
                                         MQTTCLIENT_PERSISTENCE_NONE, NULL, NULL);

    if (rc != MQTTASYNC_SUCCESS)
        return rc;
    return MQTTAsync_setCallbacks(client->handle, client, on_connection_lost, on_message_arrived,
                                  NULL);
}

void
spoke_paho_run_connect(SpokePahoTask *task)
{
    SpokePahoClient *client = ((SpokePahoItem *)task)->client;
    char *detail = NULL;
    SpokeCause cause = check_before_connecting(client, &detail);

    if (cause != SPOKE_CAUSE_NONE) {
        post_lost(client, cause, detail);
        return;
    }
    if (is_closing(client)) /* spoke_paho_run_destroy() is next */
        return;

    int rc = make_handle(client);
    if (rc == MQTTASYNC_SUCCESS)
        rc = connect_handle(client);
    if (rc != MQTTASYNC_SUCCESS)
        post_lost(client, SPOKE_CAUSE_INTERNAL, g_strdup(MQTTAsync_strerror(rc)));
}

/* Without it nothing would arrive while all looks well: a new connection is tried. A code below 0
 * means that the connection is gone, which is told elsewhere. */
static void
on_subscribe_failed(void *context, MQTTAsync_failureData *data)
{
    if (data != NULL && data->code > 0)
        post_lost(context, SPOKE_CAUSE_PROTOCOL,
                  g_strdup_printf("the hub refuses the subscription to cloud-to-device messages "
                                  "(SUBACK %d)",
                                  data->code));
}

void
spoke_paho_run_subscription(SpokePahoTask *task)
{
    SpokePahoSubscription *subscription = (SpokePahoSubscription *)task;
    SpokePahoClient *client = subscription->item.client;
    MQTTAsync_responseOptions options = MQTTAsync_responseOptions_initializer;

    options.onFailure = on_subscribe_failed;
    options.context = client;
    int rc = subscription->on
                 ? MQTTAsync_subscribe(client->handle, subscription->filter, 1, &options)
                 : MQTTAsync_unsubscribe(client->handle, subscription->filter, &options);
    if (rc != MQTTASYNC_SUCCESS && rc != MQTTASYNC_DISCONNECTED) /* on_connection_lost() says it */
        post_lost(client, SPOKE_CAUSE_INTERNAL,
                  g_strdup_printf("%s: %s", subscription->on ? "subscribe" : "unsubscribe",
                                  MQTTAsync_strerror(rc)));
    g_free(subscription->filter);
    g_free(subscription);
}

void
spoke_paho_run_publish(SpokePahoTask *task)
{
    static GString *topic; /* the worker's */
    SpokePahoPublication *publication = (SpokePahoPublication *)task;
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
        spoke_paho_post(&publication->item, SPOKE_PAHO_LETTER_SETTLED);
        return;
    }

    options.onSuccess = on_published;
    options.context = publication;
    /* A failure means that the connection is gone: lost() is on its way and says it for all. */
    (void)MQTTAsync_send(publication->item.client->handle, topic->str, (int)message->body_size,
                         spoke_message_body(message), 1, 0, &options);
}

void
spoke_paho_run_destroy(SpokePahoTask *task)
{
    SpokePahoClient *client = ((SpokePahoItem *)task)->client;

    if (client->handle != NULL)
        MQTTAsync_destroy(&client->handle);
    spoke_paho_post(&client->gone, SPOKE_PAHO_LETTER_GONE);
}
