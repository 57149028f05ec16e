/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "daemon/transport.h"

/*
 * One MQTT connection, made by paho.mqtt.c on its threads and seen from the main loop: functions
 * return at once, events come on the main loop and never from within a function.
 *
 * Life: new() → connected() → lost(), or lost() alone; close() brings lost(SPOKE_CAUSE_CLOSED).
 * After lost() nothing comes. free() at any time; it brings nothing.
 */
typedef struct SpokePahoClient SpokePahoClient;

/* More than 64 in flight gain nothing (docs: platform measurements of paho), but cover slow lines
 * and hubs. The bytes must fit in the socket's send buffer: see paho-tls.c. */
#define SPOKE_PAHO_WINDOW       128
#define SPOKE_PAHO_WINDOW_BYTES (256 * 1024)

typedef struct {
    const char *host; /* also the name the certificate must be for */
    guint16 port;
    const char *path;             /* of the WebSocket, "/…"; NULL for plain MQTT */
    const char *ca_file;          /* PEM; NULL for the system's */
    const char *certificate_file; /* PEM; NULL without X.509, as the following */
    const char *key_file;
    const SpokeProxy *proxy; /* NULL: none */
    guint keepalive_sec;
    /* Without the session of before: else the hub sends C2D before it can be told not to. Source:
     * iot-hub-protocol.md, 2.3. */
    gboolean is_clean;
    const char *client_id;
    const char *user_name;
    SpokeSecret *password;    /* NULL for none */
    const char *events_topic; /* what messages are published under; the bag is appended */
} SpokePahoOptions;

typedef struct {
    void (*connected)(gpointer user_data);
    void (*lost)(SpokeCause cause, const char *detail, gpointer user_data);
    void (*settled)(const SpokeSettlement *settlements, guint n, gpointer user_data);
    /* QoS 1: paho's thread waits, and nothing is sent, until spoke_paho_client_answer(). The texts
     * live during the call; @topic may hold anything. */
    void (*arrived)(const char *topic, size_t topic_size, const void *body, size_t body_size,
                    gpointer user_data);
} SpokePahoEvents;

/* Copies @options; @events outlive the client. Starts connecting. (transfer full) */
SpokePahoClient *spoke_paho_client_new(const SpokePahoOptions *options,
                                       const SpokePahoEvents *events, gpointer user_data);
void spoke_paho_client_free(SpokePahoClient *client);

/* QoS 1. At most SPOKE_PAHO_WINDOW unsettled ones at a time. */
void spoke_paho_client_publish(SpokePahoClient *client, const SpokeOutgoing *messages, guint n);

/* @filter: copied */
void spoke_paho_client_subscribe(SpokePahoClient *client, const char *filter, gboolean on);

/* About the message that arrived. @is_taken FALSE: the connection is cut before it could be
 * acknowledged; lost(SPOKE_CAUSE_STORAGE) follows. */
void spoke_paho_client_answer(SpokePahoClient *client, gboolean is_taken);

/* Sends DISCONNECT if it can. */
void spoke_paho_client_close(SpokePahoClient *client);

/* Bytes that the peer has acknowledged. */
guint64 spoke_paho_client_get_progress(SpokePahoClient *client);

/* Why no connection has come about so far. (transfer full): @ret_detail */
SpokeCause spoke_paho_client_get_obstacle(SpokePahoClient *client, char **ret_detail);
