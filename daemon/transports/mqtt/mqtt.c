/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/transport.h"

#include "daemon/transports/mqtt/bag.h"
#include "daemon/transports/mqtt/paho-client.h"
#include "daemon/transports/mqtt/topic.h"

#include <gmodule.h>
#include <string.h>

/*
 * MQTT 3.1.1 over TLS or WebSocket, as IoT Hub speaks it: one identity per connection, whose login
 * is the connection. open() has nothing to do, attach() connects. All here runs on the main loop;
 * paho-client.h knows the threads.
 */
struct SpokeTransport {
    char *host; /* owned, constant, as the following */
    guint16 port;
    const char *path; /* static: of the WebSocket; NULL without */
    char *ca_file;
    char *certificate_file;
    char *key_file;
    SpokeProxy proxy; /* owned; host NULL: none */
    guint keepalive_sec;
    guint connect_timeout_sec;
    char *product;
    const SpokeTransportEvents *events; /* borrowed, outlives us */
    gpointer user_data;

    SpokeIdentity *identity; /* owned; NULL before attach() */
    char *devicebound;       /* owned; NULL for a module */
    SpokePahoClient *client; /* owned; NULL before attach() and after the end */
    gboolean is_off;         /* C2D is not wanted */
    gsize n_arrivals;        /* names the one that is not settled */
    guint opened_id;         /* sources */
    guint closed_id;
    guint timeout_id;
};

/* Source: iot-hub-protocol.md, 11. */
#define PORT    8883
#define WS_PORT 443

/* Source: iot-hub-protocol.md, 2.11. */
#define WS_PATH "/$iothub/websocket"

static void
end(SpokeTransport *self, SpokeCause cause, const char *detail)
{
    g_clear_handle_id(&self->timeout_id, g_source_remove);
    g_clear_pointer(&self->client, spoke_paho_client_free);
    self->events->closed(cause, detail, self->user_data); /* may free us */
}

static void
on_connected(gpointer user_data)
{
    SpokeTransport *self = user_data;

    g_clear_handle_id(&self->timeout_id, g_source_remove);
    self->events->attached(self->identity, self->user_data);
}

static void
on_lost(SpokeCause cause, const char *detail, gpointer user_data)
{
    g_autofree char *copy = g_strdup(detail); /* @detail is the client's, which goes */

    end(user_data, cause, copy);
}

static void
on_settled(const SpokeSettlement *settlements, guint n, gpointer user_data)
{
    SpokeTransport *self = user_data;

    self->events->settled(self->identity, settlements, n, self->user_data);
}

/* Returns: (nullable): where in @topic the bag begins */
static const char *
find_bag(SpokeTransport *self, const char *topic, size_t topic_size)
{
    size_t size = self->devicebound != NULL ? strlen(self->devicebound) : 0;

    if (size == 0)
        return NULL;
    if (topic_size == size - 1 && memcmp(topic, self->devicebound, size - 1) == 0)
        return topic + topic_size; /* without the last slash, so without a bag */
    return topic_size >= size && memcmp(topic, self->devicebound, size) == 0 ? topic + size : NULL;
}

static void
on_arrived(const char *topic, size_t topic_size, const void *body, size_t body_size,
           gpointer user_data)
{
    SpokeTransport *self = user_data;
    const char *bag = find_bag(self, topic, topic_size);
    gpointer token = GSIZE_TO_POINTER(++self->n_arrivals);

    if (bag == NULL) { /* nothing we asked for: let the hub forget it */
        g_debug("A message of %zu bytes arrived on a topic that is not ours", body_size);
        spoke_paho_client_answer(self->client, TRUE);
        return;
    }

    g_autoptr(GByteArray) system = g_byte_array_new();
    g_autoptr(GByteArray) properties = g_byte_array_new();

    spoke_bag_parse(bag, topic_size - (size_t)(bag - topic), system, properties);
    g_autoptr(SpokeMessage) message = spoke_message_new(system->data, system->len, properties->data,
                                                        properties->len, body, body_size);
    self->events->arrived(self->identity, message, token, self->user_data);
}

static const SpokePahoEvents client_events = {
    .connected = on_connected,
    .lost = on_lost,
    .settled = on_settled,
    .arrived = on_arrived,
};

static gboolean
on_opened(gpointer user_data)
{
    SpokeTransport *self = user_data;

    self->opened_id = 0;
    self->events->opened(self->user_data);
    return G_SOURCE_REMOVE;
}

static gboolean
on_closed_unused(gpointer user_data)
{
    SpokeTransport *self = user_data;

    self->closed_id = 0;
    end(self, SPOKE_CAUSE_CLOSED, NULL);
    return G_SOURCE_REMOVE;
}

static gboolean
on_timeout(gpointer user_data)
{
    SpokeTransport *self = user_data;
    g_autofree char *detail = NULL;
    SpokeCause cause = spoke_paho_client_get_obstacle(self->client, &detail);

    self->timeout_id = 0;
    end(self, cause, detail);
    return G_SOURCE_REMOVE;
}

static void
take_proxy(SpokeTransport *self, const SpokeProxy *proxy)
{
    if (proxy == NULL)
        return;
    self->proxy.host = g_strdup(proxy->host);
    self->proxy.port = proxy->port;
    self->proxy.user = g_strdup(proxy->user);
    self->proxy.password = proxy->password != NULL ? spoke_secret_ref(proxy->password) : NULL;
}

static SpokeTransport *
mqtt_create(const SpokeEndpoint *endpoint, const SpokeTransportEvents *events, gpointer user_data)
{
    SpokeTransport *self = g_new0(SpokeTransport, 1);

    self->host = g_strdup(endpoint->host);
    self->port = endpoint->port;
    self->ca_file = g_strdup(endpoint->ca_file);
    self->certificate_file = g_strdup(endpoint->certificate_file);
    self->key_file = g_strdup(endpoint->key_file);
    take_proxy(self, endpoint->proxy);
    self->keepalive_sec = endpoint->keepalive_sec;
    self->connect_timeout_sec = endpoint->connect_timeout_sec;
    self->product = g_strdup(endpoint->product);
    self->events = events;
    self->user_data = user_data;
    return self;
}

static SpokeTransport *
mqtt_ws_create(const SpokeEndpoint *endpoint, const SpokeTransportEvents *events,
               gpointer user_data)
{
    SpokeTransport *self = mqtt_create(endpoint, events, user_data);

    self->path = WS_PATH;
    return self;
}

static void
mqtt_open(SpokeTransport *self)
{
    self->opened_id = g_idle_add_full(G_PRIORITY_DEFAULT, on_opened, self, NULL);
}

static void
mqtt_attach(SpokeTransport *self, SpokeIdentity *identity, SpokeSecret *token)
{
    g_return_if_fail(self->client == NULL);

    g_autofree char *client_id = spoke_topic_client_id(identity);
    g_autofree char *user_name = spoke_topic_user_name(identity, self->product);
    g_autofree char *events_topic = spoke_topic_events(identity);
    const SpokePahoOptions options = {
        .host = self->host,
        .port = self->port,
        .path = self->path,
        .ca_file = self->ca_file,
        .certificate_file = self->certificate_file,
        .key_file = self->key_file,
        .proxy = self->proxy.host != NULL ? &self->proxy : NULL,
        .keepalive_sec = self->keepalive_sec,
        .is_clean = self->is_off,
        .client_id = client_id,
        .user_name = user_name,
        .password = token,
        .events_topic = events_topic,
    };

    self->identity = spoke_identity_ref(identity);
    self->devicebound = spoke_topic_devicebound(identity);
    self->client = spoke_paho_client_new(&options, &client_events, self);
    self->timeout_id = g_timeout_add_seconds(self->connect_timeout_sec, on_timeout, self);
}

static void
mqtt_close(SpokeTransport *self)
{
    g_clear_handle_id(&self->timeout_id, g_source_remove);
    if (self->client != NULL)
        spoke_paho_client_close(self->client); /* on_lost() follows */
    else if (self->closed_id == 0)
        self->closed_id = g_idle_add_full(G_PRIORITY_DEFAULT, on_closed_unused, self, NULL);
}

/* The identity and its connection are one. */
static void
mqtt_detach(SpokeTransport *self, SpokeIdentity *identity)
{
    mqtt_close(self);
}

static void
mqtt_send(SpokeTransport *self, SpokeIdentity *identity, const SpokeOutgoing *messages, guint n)
{
    g_return_if_fail(self->client != NULL);

    spoke_paho_client_publish(self->client, messages, n);
}

static void
mqtt_receive(SpokeTransport *self, SpokeIdentity *identity, gboolean on)
{
    self->is_off = !on;
    if (self->client == NULL || self->devicebound == NULL)
        return;

    g_autofree char *filter = g_strconcat(self->devicebound, "#", NULL);

    spoke_paho_client_subscribe(self->client, filter, on);
}

static void
mqtt_poll(SpokeTransport *self, SpokeIdentity *identity)
{
    /* Messages come by themselves. */
}

static guint64
mqtt_get_progress(SpokeTransport *self)
{
    return self->client != NULL ? spoke_paho_client_get_progress(self->client) : 0;
}

/* MQTT knows no reject: the daemon has the message, so the hub need not keep it. */
static void
mqtt_settle(SpokeTransport *self, gpointer token, SpokeVerdict verdict)
{
    if (self->client != NULL && token == GSIZE_TO_POINTER(self->n_arrivals))
        spoke_paho_client_answer(self->client, verdict != SPOKE_VERDICT_RELEASE);
}

static void
mqtt_free(SpokeTransport *self)
{
    g_clear_handle_id(&self->opened_id, g_source_remove);
    g_clear_handle_id(&self->closed_id, g_source_remove);
    g_clear_handle_id(&self->timeout_id, g_source_remove);
    g_clear_pointer(&self->client, spoke_paho_client_free);
    g_clear_pointer(&self->identity, spoke_identity_unref);
    g_free(self->devicebound);
    g_free(self->host);
    g_free(self->ca_file);
    g_free(self->certificate_file);
    g_free(self->key_file);
    g_free((char *)self->proxy.host);
    g_free((char *)self->proxy.user);
    spoke_secret_unref(self->proxy.password);
    g_free(self->product);
    g_free(self);
}

/* All but what tells the two forms apart. */
#define COMMON                                                                                     \
    .abi = SPOKE_TRANSPORT_ABI, .capabilities = SPOKE_CAPABILITY_PUSH | SPOKE_CAPABILITY_PROXY,    \
    .identities_max = 1, .window = SPOKE_PAHO_WINDOW, .window_bytes = SPOKE_PAHO_WINDOW_BYTES,     \
    .connection_window = SPOKE_PAHO_WINDOW, .connection_bytes = SPOKE_PAHO_WINDOW_BYTES,           \
    .open = mqtt_open, .attach = mqtt_attach, .detach = mqtt_detach, .send = mqtt_send,            \
    .receive = mqtt_receive, .poll = mqtt_poll, .get_progress = mqtt_get_progress,                 \
    .settle = mqtt_settle, .close = mqtt_close, .free = mqtt_free

static const SpokeTransportModule mqtt_module = {
    COMMON,
    .name = "mqtt",
    .default_port = PORT,
    .create = mqtt_create,
};

static const SpokeTransportModule mqtt_ws_module = {
    COMMON,
    .name = "mqtt-ws",
    .default_port = WS_PORT,
    .create = mqtt_ws_create,
};

/* The module's one symbol: SPOKE_TRANSPORT_SYMBOL. */
G_MODULE_EXPORT extern const SpokeTransportModule *const spoke_transport_modules[];
const SpokeTransportModule *const spoke_transport_modules[] = {&mqtt_module, &mqtt_ws_module, NULL};
