/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "tests/integration/harness.h"

/*
 * The behaviour suite of the transports: written once, run once for each form. What may differ is a
 * column of Form; a test that asks for form->name does so to set the stage, not to judge.
 *
 * Each topic is a file, transport-TOPIC.c, that adds its tests.
 */
typedef struct {
    const char *name;
    const char *port_key; /* in spoked.conf */
    /* What physics imposes. */
    gboolean pushes;      /* C2D comes by itself; otherwise it is polled for */
    gboolean settles;     /* a handler's verdict reaches the hub; otherwise the daemon's queue */
    gboolean multiplexes; /* many devices on a connection */
    gboolean renews;      /* a token in band; otherwise by a new connection */
    gboolean trims;       /* spaces around a C2D property's value: headers do */
    gboolean needs_name;  /* can't check a certificate for a bare IPv6 address, and says so */
    guint wire_bytes;     /* that a message of 1,024 bytes may take, TLS included */
    gboolean is_link;     /* the hub knows a connection; otherwise requests only */
    /* What the protocol can say: names of LastError. */
    const char *unknown_device, *disabled_device, *cut, *evicted, *throttled, *quota;
    /* Mappings of a process that speaks it, and such as it must not have; both ended by NULL. */
    const char *libraries[3], *strangers[4];
} Form;

void transport_add(const Form *form, const char *path, void (*test)(gconstpointer form));

/* Topics */
void transport_add_c2d(const Form *form);
void transport_add_gateway(const Form *form);
void transport_add_login(const Form *form);
void transport_add_messages(const Form *form);
void transport_add_proxy(const Form *form);
void transport_add_trouble(const Form *form);

/* The house, on this form; C2D is polled for every second where it has to be. The daemon doesn't
 * run yet. (transfer full) */
Harness *transport_house(const Form *form);
/* The same, connected. (transfer full) */
Harness *transport_connected(const Form *form);
/* Key by key over the configuration of the harness: a drop-in, for the next start or reload. */
void transport_configure(Harness *h, const char *text);
/* @format: as for g_strdup_printf() */
void transport_configure_hub(Harness *h, const char *format, ...) G_GNUC_PRINTF(2, 3);
/* kill -9, and a start: without the patience that failures have taught it. */
void transport_restart(Harness *h);

/* An ay without a zero at its end. (transfer floating) */
GVariant *transport_bytes(const char *text);
/* Sends @body, which the daemon takes. */
void transport_send(Harness *h, const char *body);
/* As many as @n, numbered from @first on, as fast as batches go. */
void transport_send_numbered(Harness *h, guint first, guint n);
/* Waits until the numbers below @n have arrived; each for the first time in order. How often one
 * was repeated is of no matter, unless @once. */
void transport_wait_numbered(Harness *h, guint n, gboolean once);

/* The same by the hub's journal, which outlives the hub; repeats don't matter. */
void transport_wait_written(Harness *h, guint n);

/* Waits for a LastError of the device @path, or, if NULL, of the machine's own. */
void transport_wait_error(Harness *h, const char *path, const char *name);
/* A property of an object. (transfer full) */
GVariant *transport_property(Harness *h, const char *path, const char *name);
/* A number of the hub's /stats. */
gint64 transport_stat(Harness *h, const char *name);
/* A port that the hub's ready file names: "mqttPort", … */
guint16 transport_hub_port(Harness *h, const char *name);
void transport_fault(Harness *h, const char *json);
void transport_clear_faults(Harness *h);

/* An application that listens for C2D, and what it received: GVariants of MessageReceived. */
typedef struct {
    GDBusConnection *bus;
    GPtrArray *received;
} Listener;

/* @path: NULL for the machine's own device. @options: of Subscribe, in GVariant's text form */
Listener *transport_listen(Harness *h, const char *path, const char *options);
void listener_free(Listener *listener); /* leaves the bus, as a crash would */
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Listener, listener_free)
/* Waits for the @n-th message, counted from 1. (transfer none) */
GVariant *listener_wait(Harness *h, Listener *listener, guint n);
char *listener_body(GVariant *received); /* (transfer full) */
/* A string among its system properties, or fails. */
const char *listener_system(GVariant *received, const char *name);
/* How: Complete, Abandon, Reject. */
void listener_settle(Harness *h, Listener *listener, const char *how, GVariant *received);
/* The cloud sends to @device_id. @members: more of the control API's, with commas before them. */
void transport_cloud_sends(Harness *h, const char *device_id, const char *message_id,
                           const char *members);
/* Waits for a state of a message at the hub: "Completed", … */
void transport_wait_fate(Harness *h, const char *device_id, const char *message_id,
                         const char *state);
/* A member of what the hub says of it. */
gint64 transport_fate_number(Harness *h, const char *message_id, const char *member);

/* Lets time pass: only for what has to last, or must not happen. */
void transport_pass(guint msec);
