/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

/*
 * The one thread of ours that calls paho. Nearly every function of MQTTAsync takes a lock that
 * paho's own threads hold while they resolve a name, shake hands and run our callbacks, so none of
 * them is for the main loop. It serves all clients, one task after the other, so what is asked
 * for in an order happens in that order; and with the last client it waits until paho's threads
 * have ended, as the next one needs fresh ones.
 */
typedef struct SpokePahoTask SpokePahoTask;

struct SpokePahoTask {
    SpokePahoTask *next;              /* the worker's own while the task waits */
    void (*run)(SpokePahoTask *self); /* on the worker's thread; may free @self or pass it on */
};

/* @first to @last, chained by next, are taken over until they run. From any thread. */
void spoke_paho_worker_add(SpokePahoTask *first, SpokePahoTask *last);
