/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "tests/integration/harness.h"

/*
 * Other clients on the same work, straight to the hub: paho.mqtt.c in a program of ours, and
 * Microsoft's device SDK for Node. Each has a device of its own.
 */

/* Returns: messages a second. @form: "mqtt" or "mqtt-ws" */
double peers_run_paho(Harness *h, const char *form, guint port, guint window, guint messages,
                      guint body_size, double *ret_cpu_usec);

/* A process that runs the SDK and does as it is told. */
typedef struct PeersSdk PeersSdk;

/* The folder that `tests/sdk/run BUILD-DIR` fills. */
gboolean peers_have_sdk(void);
/* Connected. @transport: a class of the SDK, such as "AmqpWs" */
PeersSdk *peers_sdk_new(Harness *h, const char *transport, guint port);
void peers_sdk_free(PeersSdk *sdk); /* ends it */
G_DEFINE_AUTOPTR_CLEANUP_FUNC(PeersSdk, peers_sdk_free)

GPid peers_sdk_get_pid(PeersSdk *sdk);
const char *peers_sdk_get_device(PeersSdk *sdk);
/* Gives it a line (see peer-sdk.mjs) and waits for the one that answers. (transfer full) */
char *peers_sdk_ask(PeersSdk *sdk, const char *format, ...) G_GNUC_PRINTF(2, 3);
/* For one more line. */
void peers_sdk_wait(PeersSdk *sdk);
GDataInputStream *peers_sdk_get_lines(PeersSdk *sdk);
