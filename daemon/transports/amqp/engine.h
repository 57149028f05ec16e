/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "daemon/cause.h"
#include "daemon/transports/amqp/stream.h"

#include <proton/engine.h>

/*
 * Proton's engine between a stream and those who own links. It never opens a socket: bytes that
 * arrive are pushed in, what it wants to say is fetched and written, both on the main loop. Calls
 * that make it want to say something are followed by spoke_amqp_engine_wake(); what many calls ask
 * for in one round of the loop leaves together.
 */
typedef struct SpokeAmqpEngine SpokeAmqpEngine;

typedef struct {
    void (*opened)(gpointer user_data);
    /* Before bytes are made: who gathers, hand on now. */
    void (*flush)(gpointer user_data);
    /* Once, and the last. */
    void (*ended)(SpokeCause cause, const char *detail, gpointer user_data);
} SpokeAmqpEngineEvents;

/* Who owns a link: a struct with this as its first member, which is the link's context. */
typedef struct SpokeAmqpLinkOwner SpokeAmqpLinkOwner;
typedef struct {
    void (*opened)(SpokeAmqpLinkOwner *owner, pn_link_t *link);
    /* Refused, or detached later. The owner lets go of it with spoke_amqp_engine_drop_link(). */
    void (*closed)(SpokeAmqpLinkOwner *owner, pn_link_t *link, const char *condition,
                   const char *description);
    void (*flow)(SpokeAmqpLinkOwner *owner, pn_link_t *link); /* its credit changed */
    void (*delivery)(SpokeAmqpLinkOwner *owner, pn_link_t *link, pn_delivery_t *delivery);
} SpokeAmqpLinkHandler;
struct SpokeAmqpLinkOwner {
    const SpokeAmqpLinkHandler *handler;
};

typedef struct {
    const char *host;
    guint keepalive_sec; /* the peer may be silent that long, and is given twice as long */
    gboolean use_sasl;   /* FALSE: the certificate says it all */
} SpokeAmqpEngineOptions;

/* @stream: (transfer full): connected, not started */
SpokeAmqpEngine *spoke_amqp_engine_new(const SpokeAmqpEngineOptions *options,
                                       SpokeAmqpStream *stream, const SpokeAmqpEngineEvents *events,
                                       gpointer user_data);
/* Not from within an event. Links and deliveries go, too; their owners let go of them first. */
void spoke_amqp_engine_free(SpokeAmqpEngine *engine);

void spoke_amqp_engine_wake(SpokeAmqpEngine *engine);
/* Says goodbye: ended(SPOKE_CAUSE_CLOSED) follows. */
void spoke_amqp_engine_close(SpokeAmqpEngine *engine);

/* A new link with a name of its own, not opened yet. (transfer none) */
pn_link_t *spoke_amqp_engine_add_link(SpokeAmqpEngine *engine, gboolean is_sender,
                                      SpokeAmqpLinkOwner *owner);
/* Before it is opened: com.microsoft:client-version. */
void spoke_amqp_link_set_product(pn_link_t *link, const char *product);
/* Detaches it and forgets it; its deliveries go. NULL is none. */
void spoke_amqp_engine_drop_link(SpokeAmqpEngine *engine, pn_link_t *link);

/* Bytes that wait to be written. */
gsize spoke_amqp_engine_get_backlog(SpokeAmqpEngine *engine);
