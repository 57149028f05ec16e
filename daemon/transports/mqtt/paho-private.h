/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "daemon/transports/mqtt/paho-client.h"
#include "daemon/transports/mqtt/paho-tls.h"
#include "daemon/transports/mqtt/paho-worker.h"

#include <MQTTAsync.h>
#include <pthread.h>

/*
 * What the two sides of a client share: paho-client.c, all of which runs on the main loop, and
 * paho-session.c, all of which runs on the worker's thread or paho's.
 *
 * What the main loop wants is a task for the worker; what happens is a letter for the main loop.
 * Both are SpokePahoItems, and one that stands for a message travels down as a task and up again as
 * a letter: no allocation per message.
 *
 * Life: the worker destroys paho's handle and then posts SPOKE_PAHO_LETTER_GONE, the last letter;
 * nothing but the main loop touches the client after that. So an owner that calls free() only
 * detaches.
 */
typedef enum {
    SPOKE_PAHO_LETTER_CONNECTED,
    SPOKE_PAHO_LETTER_LOST,
    SPOKE_PAHO_LETTER_SETTLED,
    SPOKE_PAHO_LETTER_ARRIVED,
    SPOKE_PAHO_LETTER_GONE,
} SpokePahoLetter;

typedef struct {
    SpokePahoTask task;   /* first: a task is cast to its SpokePahoItem */
    SpokePahoLetter kind; /* once it is a letter */
    SpokePahoClient *client;
} SpokePahoItem;

typedef struct SpokePahoPublication SpokePahoPublication;

struct SpokePahoPublication {
    SpokePahoItem item;
    SpokePahoPublication *next_free;
    SpokeMessage *message; /* owned while published */
    SpokeVerdict verdict;
    char message_id[SPOKE_MESSAGE_ID_BYTES_MAX + 1]; /* "" for none */
};

typedef struct {
    SpokePahoItem item;
    char *filter; /* owned */
    gboolean on;
} SpokePahoSubscription;

typedef struct {
    SpokePahoItem item;
    char *topic; /* owned */
    size_t topic_size;
    void *body; /* owned */
    size_t body_size;
} SpokePahoArrival;

typedef enum {
    SPOKE_PAHO_ANSWER_NONE,
    SPOKE_PAHO_ANSWER_TAKEN,
    SPOKE_PAHO_ANSWER_REFUSED
} SpokePahoAnswer;

struct SpokePahoClient {
    char *host; /* owned, constant, as the following */
    guint16 port;
    char *path; /* NULL for plain MQTT */
    char *ca_file;
    char *certificate_file; /* NULL without X.509 */
    char *key_file;
    char *proxy_host; /* NULL: none */
    guint16 proxy_port;
    char *proxy_user;
    SpokeSecret *proxy_password;
    guint keepalive_sec;
    gboolean is_clean;
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
    SpokePahoPublication *publications;
    SpokePahoPublication *free_publications;
    guint n_unsettled;    /* publications that are out */
    gboolean has_settled; /* some have come back since the last tick of the prodder */
    guint n_silent;       /* ticks without any, in a row */
    guint prod_id;        /* source; 0 unless WebSocket and n_unsettled > 0 */
    char *filter;         /* owned: last subscribed to, or from; NULL before */
    gboolean is_subscribed;

    /* The worker's */
    MQTTAsync handle;

    /* Each on its way once at most */
    SpokePahoItem connect, diagnose, destroy; /* tasks */
    SpokePahoItem connected, lost, gone;      /* letters */

    pthread_mutex_t lock; /* guards the following */
    pthread_cond_t answered;
    SpokePahoAnswer answer;
    gboolean is_waiting;  /* messageArrived() does */
    gboolean is_closing;  /* whatever arrives now is not for us */
    gboolean is_refused;  /* cut by ourselves, for want of storage */
    gboolean is_resolved; /* the host's name was, or could not be */
    gboolean is_lost;     /* the letter is on its way */
    SpokeCause lost_cause;
    char *lost_detail; /* owned */
};

/* paho-client.c, from any thread: the letter is the main loop's now. */
void spoke_paho_post(SpokePahoItem *letter, SpokePahoLetter kind);
void spoke_paho_arrival_free(SpokePahoArrival *arrival);

/* paho-session.c: tasks */
void spoke_paho_run_connect(SpokePahoTask *task);
void spoke_paho_run_diagnose(SpokePahoTask *task);
void spoke_paho_run_subscription(SpokePahoTask *task);
void spoke_paho_run_publish(SpokePahoTask *task);
void spoke_paho_run_destroy(SpokePahoTask *task);
