/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* One MQTT connection as IoT Hub treats it: strict where the hub closes the socket, and without
 * any packet to say why, because 3.1.1 has none.
 *
 * Messages are taken as they are decoded and committed at the end of the round, where the
 * journal is written; PUBACKs are in the output by then but leave only after it. A C2D message is
 * locked when it is sent, and PUBACK completes it; without one the lock runs out and the message
 * comes again, over this connection under its old packet id. */

#include "mqtt-session.h"

#include "bag.h"
#include "c2d.h"
#include "error.h"
#include "faults.h"
#include "hub.h"
#include "mqtt-acks.h"
#include "mqtt-login.h"
#include "mqtt-outbound.h"
#include "mqtt-packet.h"
#include "mqtt-subscriptions.h"
#include "pipe.h"
#include "timer.h"
#include "topic.h"

#include <string.h>

#define CONNECT_TIMEOUT_SEC 30
#define REQUEST_ID_MAX      1024
/* Source: MQTT 3.1.1, section 3.9.3. */
#define SUBACK_FAILURE 0x80

/* The hub's cap on one and a half keep-alives. Source: protocol page, 2.2. */
#define SILENCE_MAX_SEC 1767

#define NAP_USEC ((gint64)30 * G_USEC_PER_SEC)

typedef enum {
    STATE_GREETING, /* no CONNECT yet */
    STATE_OPEN,
    STATE_REFUSED, /* CONNACK with an error is on its way */
    STATE_CLOSED,
} State;

struct EmuMqttSession {
    EmuHub *hub;           /* borrowed, outlives us */
    EmuPipe *pipe;         /* owned */
    GTlsCertificate *peer; /* owned; NULL: the client showed none */
    GSource *timer;        /* owned; NULL once closed */
    guint ending;          /* idle source that calls ended */
    EmuSessionEnded ended;
    gpointer user_data;

    State state;
    gboolean black_hole;
    gint64 heard_usec; /* monotonic; the last input */
    gint64 now_usec;   /* the hub's clock at the last input */
    gint64 silence_usec;

    EmuLink link;
    char *claimed_id;  /* owned; the device a CONNECT names that a black hole keeps waiting */
    EmuOrigin *origin; /* owned; NULL before login */
    EmuSubscriptions *subscriptions; /* owned; likewise */
    char *telemetry_prefix;          /* owned; likewise */
    size_t prefix_size;
    gint64 expiry_sec; /* of the token; wall clock */

    char *will_topic;  /* owned; NULL: no will */
    GBytes *will_body; /* owned */
    gboolean will_retain;

    EmuHeldAcks *held;     /* owned */
    EmuOutbound *outbound; /* owned */
};

/* Adds a will to what arrived, as the hub does when a connection ends without DISCONNECT. */
static void
publish_will(EmuMqttSession *self)
{
    g_autofree char *topic = g_steal_pointer(&self->will_topic);
    g_autoptr(GError) error = NULL;
    EmuTelemetry *telemetry = emu_hub_telemetry(self->hub);
    EmuArrival arrival = {
        .origin = self->origin,
        .body_size = g_bytes_get_size(self->will_body),
        .body = g_bytes_get_data(self->will_body, NULL),
        .enqueued_usec = emu_hub_now_usec(self->hub),
        .flags = EMU_ARRIVAL_WILL | (self->will_retain ? EMU_ARRIVAL_RETAIN : 0),
    };

    (void)emu_topic_classify(topic, strlen(topic), self->telemetry_prefix, self->prefix_size,
                             &arrival.bag, &arrival.bag_size);
    if (!emu_telemetry_add(telemetry, &arrival, &error) || !emu_telemetry_commit(telemetry, &error))
        g_message("The will of %s is lost: %s", self->origin->device_id, error->message);
}

static gboolean
on_ending(gpointer user_data)
{
    EmuMqttSession *self = user_data;

    self->ending = 0;
    self->ended(self, self->user_data);
    return G_SOURCE_REMOVE;
}

/* The end, whoever wanted it. What arrived before is committed and answered. */
static void
close_session(EmuMqttSession *self, const char *reason)
{
    g_autoptr(GError) error = NULL;

    if (self->state == STATE_CLOSED)
        return;

    State before = self->state;
    self->state = STATE_CLOSED;
    if (!emu_telemetry_commit(emu_hub_telemetry(self->hub), &error)) {
        g_warning("%s", error->message);
        emu_pipe_abort(self->pipe);
    }
    emu_pipe_close(self->pipe);
    emu_source_clear(&self->timer);
    if (self->will_topic != NULL && before == STATE_OPEN)
        publish_will(self);
    if (before == STATE_GREETING)
        g_message("A connection ended before it logged in: %s", reason);
    emu_hub_remove_link(self->hub, &self->link, reason);
    self->ending = g_idle_add(on_ending, self);
}

/* The client broke a rule. */
static void
violate(EmuMqttSession *self, const char *what)
{
    g_autofree char *reason = g_strdup_printf("protocol-error: %s", what);

    if (self->state == STATE_CLOSED)
        return;
    emu_hub_stats(self->hub)->protocol_errors++;
    close_session(self, reason);
}

/* Sets the timer for whatever comes first: silence, the token's end, a held PUBACK. The token's
 * end is wall clock, which may jump: so it is looked at now and then. */
static void
arm_timer(EmuMqttSession *self)
{
    gint64 ready_usec = self->heard_usec + self->silence_usec;

    if (self->state == STATE_OPEN) {
        gint64 end_sec = self->expiry_sec + emu_hub_options(self->hub)->sas_grace_sec;
        gint64 left_usec = end_sec * G_USEC_PER_SEC - emu_hub_now_usec(self->hub);
        ready_usec = MIN(ready_usec, g_get_monotonic_time() + CLAMP(left_usec, 0, NAP_USEC));
        ready_usec = MIN(ready_usec, emu_held_acks_next_due(self->held));
    }
    g_source_set_ready_time(self->timer, self->black_hole ? -1 : ready_usec);
}

static void
release_held(EmuMqttSession *self, gint64 now_usec)
{
    if (emu_held_acks_release(self->held, now_usec, emu_pipe_output(self->pipe)) == 0)
        return;
    emu_pipe_flush(self->pipe);
    if (self->state != STATE_CLOSED && !self->black_hole)
        emu_pipe_resume(self->pipe);
}

/* Answers a message of QoS 1, now or when the faults allow it. */
static void
acknowledge(EmuMqttSession *self, guint16 packet_id)
{
    gint64 due_usec =
        emu_faults_ack_due(emu_hub_faults(self->hub), self->origin->device_id, self->heard_usec);

    if (due_usec == 0 && emu_held_acks_count(self->held) == 0) {
        emu_mqtt_write_puback(emu_pipe_output(self->pipe), packet_id);
        return;
    }

    emu_held_acks_add(self->held, packet_id, due_usec);
    if (emu_held_acks_count(self->held) >= EMU_HELD_ACKS_MAX)
        emu_pipe_pause(self->pipe);
}

/* A fault that held PUBACKs for good may have gone: they are due now. */
static void
review_held(EmuMqttSession *self)
{
    gint64 now_usec = g_get_monotonic_time();
    gint64 due_usec =
        emu_faults_ack_due(emu_hub_faults(self->hub), self->origin->device_id, now_usec);

    if (due_usec == G_MAXINT64)
        return;
    emu_held_acks_set_due(self->held, due_usec);
    release_held(self, now_usec);
}

static void
send_c2d(EmuMqttSession *self, const EmuC2dMessage *message, gboolean wants_ack)
{
    g_autoptr(GString) bag = g_string_new(NULL);
    g_autofree char *to =
        g_strdup_printf("/devices/%s/messages/deviceBound", self->origin->device_id);
    guint16 packet_id = 0;

    emu_bag_append(bag, "$.to", to);
    g_string_append_printf(bag, "&%s", message->bag);
    g_autofree char *topic = emu_topic_devicebound(self->origin->device_id, bag->str);
    if (wants_ack)
        packet_id = emu_outbound_add(self->outbound, message->sequence, message->lock);

    gsize size = 0;
    const void *body = g_bytes_get_data(message->body, &size);
    emu_mqtt_write_publish(emu_pipe_output(self->pipe), packet_id, message->deliveries > 1, topic,
                           body, size);
    if (!wants_ack)
        (void)emu_c2d_complete(emu_hub_c2d(self->hub), message->lock, emu_hub_now_usec(self->hub),
                               NULL);
}

/* Takes messages off the device's queue while the client has room for more. */
static void
feed_c2d(EmuMqttSession *self)
{
    if (self->state != STATE_OPEN || self->black_hole)
        return;
    int qos = emu_subscriptions_qos(self->subscriptions, EMU_FILTER_DEVICEBOUND);
    if (qos < 0)
        return;

    while (emu_outbound_has_room(self->outbound) && !emu_pipe_is_full(self->pipe)) {
        g_autoptr(EmuC2dMessage) message = emu_c2d_take(
            emu_hub_c2d(self->hub), self->origin->device_id, emu_hub_now_usec(self->hub));
        if (message == NULL)
            break;
        send_c2d(self, message, qos > 0);
    }
    emu_pipe_flush(self->pipe);
}

static gboolean
on_timer(gpointer user_data)
{
    EmuMqttSession *self = user_data;
    gint64 now_usec = g_get_monotonic_time();
    gint64 end_sec = self->expiry_sec + emu_hub_options(self->hub)->sas_grace_sec;

    if (self->state == STATE_OPEN &&
        emu_hub_now_usec(self->hub) >= end_sec * (gint64)G_USEC_PER_SEC) {
        close_session(self, "token-expired: 401003 IotHubUnauthorized");
    } else if (now_usec >= self->heard_usec + self->silence_usec) {
        close_session(self, self->state == STATE_OPEN ? "keep-alive-timeout" : "login-timeout");
    } else {
        release_held(self, now_usec);
        if (self->state != STATE_CLOSED)
            arm_timer(self);
    }
    return G_SOURCE_CONTINUE;
}

static void
refuse(EmuMqttSession *self, EmuConnackCode code, const char *reason)
{
    EmuHubStats *stats = emu_hub_stats(self->hub);

    if (code < G_N_ELEMENTS(stats->refused))
        stats->refused[code]++;
    g_message("Login refused with code %d: %s", code, reason);
    self->state = STATE_REFUSED;
    emu_mqtt_write_connack(emu_pipe_output(self->pipe), FALSE, code);
    emu_pipe_finish(self->pipe);
}

/* The will has to be a message that this client could send itself. */
static const char *
take_will(EmuMqttSession *self, const EmuMqttConnect *connect)
{
    const char *rest = NULL;
    size_t rest_size = 0;

    if (!connect->has_will)
        return NULL;
    if (connect->will_qos == 2)
        return "Will with QoS 2";
    if (emu_topic_classify(connect->will_topic.text, connect->will_topic.size,
                           self->telemetry_prefix, self->prefix_size, &rest,
                           &rest_size) != EMU_TOPIC_TELEMETRY)
        return "Will on a topic other than the device's own events";

    self->will_topic = g_strndup(connect->will_topic.text, connect->will_topic.size);
    self->will_body = g_bytes_new(connect->will_body.text, connect->will_body.size);
    self->will_retain = connect->will_retain;
    return NULL;
}

static void
open_session(EmuMqttSession *self, const EmuMqttConnect *connect, const EmuLogin *login)
{
    const EmuIdentity *identity = login->identity;
    gint64 silence_usec = (gint64)connect->keep_alive_sec * G_USEC_PER_SEC * 3 / 2;
    gboolean present = FALSE;

    self->origin = emu_origin_new(identity->device_id, identity->module_id, identity->generation_id,
                                  login->model_id, login->auth_type);
    self->telemetry_prefix = emu_topic_telemetry_prefix(identity->device_id, identity->module_id);
    self->prefix_size = strlen(self->telemetry_prefix);
    const char *wrong = take_will(self, connect);
    if (wrong != NULL) {
        violate(self, wrong);
        return;
    }

    self->state = STATE_OPEN;
    self->expiry_sec = login->expiry_sec;
    self->silence_usec = SILENCE_MAX_SEC * G_USEC_PER_SEC;
    if (connect->keep_alive_sec != 0)
        self->silence_usec = MIN(self->silence_usec, silence_usec);
    emu_hub_attach(self->hub, &self->link, login->identity, login->client_id);
    self->subscriptions =
        emu_subscriptions_new(emu_hub_store(self->hub), identity->device_id, identity->module_id,
                              !connect->clean_session, &present);
    emu_mqtt_write_connack(emu_pipe_output(self->pipe), present, EMU_CONNACK_ACCEPTED);
    arm_timer(self);
    feed_c2d(self);
}

static void
take_connect(EmuMqttSession *self, const EmuMqttFrame *frame)
{
    g_auto(EmuLogin) login = {0};
    g_autoptr(GError) error = NULL;
    EmuMqttConnect connect;

    const char *wrong = emu_mqtt_parse_connect(frame, &connect);
    if (wrong != NULL) {
        violate(self, wrong);
        return;
    }

    EmuConnackCode code = emu_mqtt_login(self->hub, &connect, self->peer, &login, &error);
    if (code == EMU_CONNACK_ACCEPTED)
        open_session(self, &connect, &login);
    else
        refuse(self, code, error->message);
}

/* Takes one D2C message; closes the connection where the hub would. */
static void
take_telemetry(EmuMqttSession *self, const EmuMqttPublish *publish, const char *bag,
               size_t bag_size)
{
    g_autoptr(GError) error = NULL;
    EmuVerdict verdict =
        emu_faults_judge(emu_hub_faults(self->hub), self->origin->device_id, self->heard_usec);
    EmuArrival arrival = {
        .origin = self->origin,
        .bag = bag,
        .bag_size = bag_size,
        .body = publish->body,
        .body_size = publish->body_size,
        .enqueued_usec = self->now_usec,
        .flags = (publish->duplicate ? EMU_ARRIVAL_DUPLICATE : 0) |
                 (publish->retain ? EMU_ARRIVAL_RETAIN : 0),
    };

    if (verdict == EMU_VERDICT_THROTTLE) {
        close_session(self, "throttled: 429002");
        return;
    }
    if (verdict == EMU_VERDICT_QUOTA) {
        close_session(self, "quota-exceeded: 403002");
        return;
    }
    if (verdict == EMU_VERDICT_CUT) {
        close_session(self, "fault: cut");
        return;
    }
    if (!emu_telemetry_add(emu_hub_telemetry(self->hub), &arrival, &error)) {
        violate(self, error->message);
        return;
    }
    self->link.identity->messages_received++;
    if (verdict == EMU_VERDICT_STORE_CUT)
        close_session(self, "fault: cut");
    else if (publish->qos == 1)
        acknowledge(self, publish->packet_id);
}

/* Twins are not kept yet. A client that listens for the answer is told so. */
static void
answer_twin(EmuMqttSession *self, const char *query, size_t query_size)
{
    g_autofree char *request_id = emu_topic_request_id(query, query_size);
    g_autoptr(GDateTime) now = g_date_time_new_now_utc();
    g_autofree char *time = g_date_time_format(now, "%Y-%m-%dT%H:%M:%SZ");
    g_autofree char *tracking_id = g_uuid_string_random();

    if (request_id == NULL || strlen(request_id) > REQUEST_ID_MAX) {
        violate(self, "Twin request without a usable $rid");
        return;
    }
    if (emu_subscriptions_qos(self->subscriptions, EMU_FILTER_TWIN_RESULT) < 0)
        return;

    g_autofree char *topic = g_strdup_printf("$iothub/twin/res/501/?$rid=%s", request_id);
    g_autofree char *body =
        g_strdup_printf("{\"errorCode\":%d,\"trackingId\":\"%s\",\"message\":"
                        "\"This emulator does not keep twins yet\",\"timestampUtc\":\"%s\"}",
                        EMU_ERROR_NOT_HERE, tracking_id, time);
    emu_mqtt_write_publish(emu_pipe_output(self->pipe), 0, FALSE, topic, body, strlen(body));
}

static void
take_publish(EmuMqttSession *self, const EmuMqttFrame *frame)
{
    EmuMqttPublish publish;
    const char *rest = NULL;
    size_t rest_size = 0;

    const char *wrong = emu_mqtt_parse_publish(frame, &publish);
    if (wrong == NULL && publish.qos == 2)
        wrong = "PUBLISH with QoS 2";
    if (wrong != NULL) {
        violate(self, wrong);
        return;
    }

    switch (emu_topic_classify(publish.topic.text, publish.topic.size, self->telemetry_prefix,
                               self->prefix_size, &rest, &rest_size)) {
    case EMU_TOPIC_TELEMETRY:
        take_telemetry(self, &publish, rest, rest_size);
        return;
    case EMU_TOPIC_TWIN_GET:
    case EMU_TOPIC_TWIN_REPORTED:
        answer_twin(self, rest, rest_size);
        break;
    case EMU_TOPIC_METHOD_ANSWER: /* nobody asked: no method can be called yet */
        break;
    case EMU_TOPIC_UNKNOWN:
        violate(self, "PUBLISH on a topic the hub does not have");
        break;
    }
    if (self->state == STATE_OPEN && publish.qos == 1)
        acknowledge(self, publish.packet_id);
}

/* Adds one filter. NULL, or what is wrong with it. */
static const char *
subscribe(EmuMqttSession *self, EmuMqttFilters *filters, guint8 *ret_granted)
{
    EmuMqttText text;
    guint8 qos = 0;

    const char *wrong = emu_mqtt_next_filter(filters, &text, &qos);
    if (wrong != NULL)
        return wrong;

    g_autofree char *filter = g_strndup(text.text, text.size);
    EmuFilter kind =
        emu_topic_filter_kind(filter, self->origin->device_id, self->origin->module_id);
    if (kind == EMU_FILTER_UNKNOWN)
        return "SUBSCRIBE to a filter the hub does not have";
    if (emu_faults_refuses_subscribe(emu_hub_faults(self->hub), self->origin->device_id)) {
        *ret_granted = SUBACK_FAILURE;
        return NULL;
    }
    *ret_granted = MIN(qos, 1);
    if (!emu_subscriptions_add(self->subscriptions, filter, kind, *ret_granted))
        return "SUBSCRIBE to more filters than the hub allows";
    return NULL;
}

static void
take_subscribe(EmuMqttSession *self, const EmuMqttFrame *frame)
{
    g_autoptr(GByteArray) granted = g_byte_array_new();
    EmuMqttFilters filters;

    const char *wrong = emu_mqtt_parse_filters(frame, &filters);
    while (wrong == NULL && filters.rest_size > 0) {
        guint8 qos = 0;
        wrong = subscribe(self, &filters, &qos);
        g_byte_array_append(granted, &qos, 1);
    }
    if (wrong != NULL) {
        violate(self, wrong);
        return;
    }

    emu_subscriptions_save(self->subscriptions);
    emu_mqtt_write_suback(emu_pipe_output(self->pipe), filters.packet_id, granted->data,
                          granted->len);
    feed_c2d(self);
}

static void
take_unsubscribe(EmuMqttSession *self, const EmuMqttFrame *frame)
{
    EmuMqttFilters filters;

    const char *wrong = emu_mqtt_parse_filters(frame, &filters);
    while (wrong == NULL && filters.rest_size > 0) {
        EmuMqttText text;
        wrong = emu_mqtt_next_filter(&filters, &text, NULL);
        if (wrong == NULL) {
            g_autofree char *filter = g_strndup(text.text, text.size);
            emu_subscriptions_remove(self->subscriptions, filter);
        }
    }
    if (wrong != NULL) {
        violate(self, wrong);
        return;
    }

    emu_subscriptions_save(self->subscriptions);
    emu_mqtt_write_unsuback(emu_pipe_output(self->pipe), filters.packet_id);
}

static void
take_puback(EmuMqttSession *self, const EmuMqttFrame *frame)
{
    g_autoptr(GError) error = NULL;
    guint16 packet_id = 0;

    const char *wrong = emu_mqtt_parse_puback(frame, &packet_id);
    if (wrong != NULL) {
        violate(self, wrong);
        return;
    }

    guint64 lock = emu_outbound_take(self->outbound, packet_id);
    if (lock == 0)
        return;
    if (!emu_c2d_complete(emu_hub_c2d(self->hub), lock, emu_hub_now_usec(self->hub), &error))
        g_message("%s acknowledged too late: %s", self->origin->device_id, error->message);
    feed_c2d(self);
}

static void
take_packet(EmuMqttSession *self, const EmuMqttFrame *frame)
{
    if ((self->state == STATE_GREETING) != (frame->type == EMU_MQTT_CONNECT)) {
        violate(self, self->state == STATE_GREETING ? "First packet is not CONNECT"
                                                    : "Second CONNECT on one connection");
        return;
    }

    switch (frame->type) {
    case EMU_MQTT_CONNECT:
        take_connect(self, frame);
        break;
    case EMU_MQTT_PUBLISH:
        take_publish(self, frame);
        break;
    case EMU_MQTT_PUBACK:
        take_puback(self, frame);
        break;
    case EMU_MQTT_SUBSCRIBE:
        take_subscribe(self, frame);
        break;
    case EMU_MQTT_UNSUBSCRIBE:
        take_unsubscribe(self, frame);
        break;
    case EMU_MQTT_PINGREQ:
        emu_mqtt_write_pingresp(emu_pipe_output(self->pipe));
        break;
    case EMU_MQTT_DISCONNECT:
        g_clear_pointer(&self->will_topic, g_free);
        close_session(self, "client-disconnect");
        break;
    default:
        violate(self, "A packet type that clients do not send, or QoS 2 needs");
        break;
    }
}

/* Enters or leaves a black hole: in it nothing is read, sent, or timed. */
static void
review_black_hole(EmuMqttSession *self)
{
    const char *device_id = self->origin != NULL ? self->origin->device_id : self->claimed_id;
    gboolean black_hole = emu_faults_is_black_hole(emu_hub_faults(self->hub), device_id);

    if (black_hole == self->black_hole)
        return;
    self->black_hole = black_hole;
    if (black_hole) {
        emu_pipe_pause(self->pipe);
    } else {
        self->heard_usec = g_get_monotonic_time();
        emu_pipe_resume(self->pipe);
    }
}

/* A CONNECT of a device in a black hole is left where it is. */
static gboolean
is_swallowed(EmuMqttSession *self, const EmuMqttFrame *frame)
{
    EmuMqttConnect connect;

    if (frame->type != EMU_MQTT_CONNECT || emu_mqtt_parse_connect(frame, &connect) != NULL)
        return FALSE;
    g_free(self->claimed_id);
    self->claimed_id = g_strndup(connect.client_id.text, connect.client_id.size);
    if (self->claimed_id != NULL)
        *strchrnul(self->claimed_id, '/') = '\0';
    review_black_hole(self);
    return self->black_hole;
}

static size_t
pipe_take(gpointer user_data, const guint8 *data, size_t size)
{
    EmuMqttSession *self = user_data;
    size_t taken = 0;

    self->heard_usec = g_get_monotonic_time();
    self->now_usec = emu_hub_now_usec(self->hub);
    while (self->state <= STATE_OPEN && emu_held_acks_count(self->held) < EMU_HELD_ACKS_MAX) {
        const char *wrong = NULL;
        EmuMqttFrame frame;
        ssize_t n = emu_mqtt_next(data + taken, size - taken, EMU_MQTT_PACKET_MAX, &frame, &wrong);
        if (n == 0)
            break;
        if (n < 0) {
            violate(self, wrong);
            break;
        }
        if (self->state == STATE_GREETING && is_swallowed(self, &frame))
            break;
        taken += (size_t)n;
        take_packet(self, &frame);
    }
    if (self->link.identity != NULL)
        self->link.identity->last_activity_usec = self->now_usec;
    return taken;
}

static void
pipe_round(gpointer user_data)
{
    EmuMqttSession *self = user_data;
    g_autoptr(GError) error = NULL;

    if (!emu_telemetry_commit(emu_hub_telemetry(self->hub), &error)) {
        /* Nothing of this round was stored: nothing of it may be acknowledged. */
        g_warning("%s", error->message);
        emu_pipe_abort(self->pipe);
        close_session(self, "server-error: 500001");
        return;
    }
    if (emu_held_acks_count(self->held) > 0)
        arm_timer(self);
}

static void
pipe_room(gpointer user_data)
{
    feed_c2d(user_data);
}

static void
pipe_lost(gpointer user_data, const char *reason)
{
    close_session(user_data, reason);
}

static const EmuPipeOps pipe_ops = {
    .take = pipe_take,
    .round = pipe_round,
    .room = pipe_room,
    .lost = pipe_lost,
};

static void
link_close(gpointer user_data, const char *reason)
{
    close_session(user_data, reason);
}

static void
link_wake(gpointer user_data)
{
    EmuMqttSession *self = user_data;

    if (self->state > STATE_OPEN)
        return;
    review_black_hole(self);
    if (self->origin != NULL && !self->black_hole)
        review_held(self);
    feed_c2d(self);
    if (self->state <= STATE_OPEN)
        arm_timer(self);
}

static const EmuLinkOps link_ops = {.close = link_close, .wake = link_wake};

EmuMqttSession *
emu_mqtt_session_new(EmuHub *hub, GIOStream *stream, GSocket *socket, GTlsCertificate *peer,
                     EmuSessionEnded ended, gpointer user_data)
{
    EmuMqttSession *self = g_new0(EmuMqttSession, 1);

    self->hub = hub;
    g_set_object(&self->peer, peer);
    self->ended = ended;
    self->user_data = user_data;
    self->heard_usec = g_get_monotonic_time();
    self->silence_usec = CONNECT_TIMEOUT_SEC * G_USEC_PER_SEC;
    self->held = emu_held_acks_new();
    self->outbound = emu_outbound_new(emu_hub_c2d(hub));
    self->timer = emu_timer_new(on_timer, self);
    self->link = (EmuLink){.ops = &link_ops, .self = self};
    self->pipe = emu_pipe_new(stream, socket, EMU_MQTT_PACKET_MAX, &pipe_ops, self);
    emu_hub_add_link(hub, &self->link);
    arm_timer(self);
    emu_pipe_resume(self->pipe);
    review_black_hole(self);
    return self;
}

void
emu_mqtt_session_free(EmuMqttSession *self)
{
    if (self == NULL)
        return;

    close_session(self, "hub-stopping");
    g_clear_handle_id(&self->ending, g_source_remove);
    emu_pipe_free(self->pipe);
    g_clear_object(&self->peer);
    g_clear_pointer(&self->origin, emu_origin_unref);
    g_clear_pointer(&self->subscriptions, emu_subscriptions_free);
    g_clear_pointer(&self->will_body, g_bytes_unref);
    g_free(self->will_topic);
    g_free(self->claimed_id);
    g_free(self->telemetry_prefix);
    emu_held_acks_free(self->held);
    emu_outbound_free(self->outbound);
    g_free(self);
}

static gpointer
kind_open(EmuHub *hub, GIOStream *stream, GSocket *socket, GTlsCertificate *peer,
          EmuSessionEnded ended, gpointer user_data)
{
    return emu_mqtt_session_new(hub, stream, socket, peer, ended, user_data);
}

static void
kind_free(gpointer session)
{
    emu_mqtt_session_free(session);
}

/* A client may expect no more than one packet in a frame: paho.mqtt.c leaves the second where it is
 * until something else comes. */
static size_t
kind_packet_size(const guint8 *data, size_t size)
{
    EmuMqttFrame frame;
    const char *error = NULL;
    ssize_t packet = emu_mqtt_next(data, size, SIZE_MAX, &frame, &error);

    return packet > 0 ? (size_t)packet : size;
}

const EmuSessionKind emu_mqtt_sessions = {
    .open = kind_open, .free = kind_free, .packet_size = kind_packet_size};
