/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

#include "registry.h"
#include "telemetry.h"

typedef struct EmuStore EmuStore;
typedef struct EmuC2d EmuC2d;
typedef struct EmuFaults EmuFaults;

/* The hub behind the protocol heads: identities and who is connected as which. It speaks no
 * protocol; a head brings links. */
typedef struct EmuHub EmuHub;

typedef struct {
    char *host;           /* owned; the hub's HostName */
    char *state_dir;      /* owned */
    guint keep;           /* messages that stay readable */
    char *journal;        /* owned; NULL for none */
    gint64 sas_grace_sec; /* how long past its expiry a token is taken */
    gint64 lock_sec;      /* how long a delivered C2D message waits for its settlement */
    guint max_deliveries; /* C2D: then it is dead-lettered */
    gboolean count_locks; /* C2D: a lock that runs out counts as a delivery */
    gint64 c2d_ttl_sec;   /* C2D without an expiry of its own */
} EmuHubOptions;

/* What a connection brings for each identity it carries. All members are set. */
typedef struct {
    /* The hub wants the link gone: it calls emu_hub_remove_link() and closes before it
     * returns.
     * @reason is a word and, after ": ", more. */
    void (*close)(gpointer self, const char *reason);
    /* Something may have changed: C2D waits, faults or the clock are other than before. */
    void (*wake)(gpointer self);
} EmuLinkOps;

/* One identity on one connection. Part of the head's own struct. */
struct EmuLink {
    const EmuLinkOps *ops; /* static */
    gpointer self;         /* borrowed: passed to ops */
    EmuIdentity *identity; /* borrowed; NULL while not attached */
    char *visitor;         /* owned by the head; whose requests come over it though it is not
                            * attached; NULL for nobody's */
};

typedef struct {
    char *device_id; /* owned */
    char *reason;    /* owned */
    gint64 time_usec;
} EmuDisconnect;

typedef struct {
    guint64 accepted;   /* connections whose login succeeded */
    guint64 refused[6]; /* by CONNACK code; other protocols use the code of the same meaning */
    guint64 evicted;
    guint64 protocol_errors;
    guint open;          /* attached links */
    gint64 started_usec; /* monotonic */
    GQueue disconnects;  /* of EmuDisconnect, newest first, at most EMU_HUB_DISCONNECTS_MAX */
} EmuHubStats;

#define EMU_HUB_DISCONNECTS_MAX 100

EmuHub *emu_hub_new(const EmuHubOptions *options, GError **error);
void emu_hub_free(EmuHub *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(EmuHub, emu_hub_free)

/* The parts, all (transfer none). */
const EmuHubOptions *emu_hub_options(EmuHub *self);
EmuStore *emu_hub_store(EmuHub *self);
EmuRegistry *emu_hub_registry(EmuHub *self);
EmuTelemetry *emu_hub_telemetry(EmuHub *self);
EmuC2d *emu_hub_c2d(EmuHub *self);
EmuFaults *emu_hub_faults(EmuHub *self);
EmuHubStats *emu_hub_stats(EmuHub *self);

/* The hub's clock: wall clock, moved by the fault clock-skew. */
gint64 emu_hub_now_usec(EmuHub *self);

/* A link exists, though nobody knows yet whose: from now on it can be woken. */
void emu_hub_add_link(EmuHub *self, EmuLink *link);

/**
 * emu_hub_attach:
 *
 * Marks @identity connected over @link. An older link of the identity is closed first: the newer
 * one wins.
 */
void emu_hub_attach(EmuHub *self, EmuLink *link, EmuIdentity *identity, const char *client_id);

/* The link is going, attached or not. */
void emu_hub_remove_link(EmuHub *self, EmuLink *link, const char *reason);

/* Closes the links of one device and its modules, or all of them. Returns how many. */
guint emu_hub_drop(EmuHub *self, const char *device_id, const char *reason);

/* Tells every link that something may have changed. */
void emu_hub_wake_all(EmuHub *self);

/* Creates or changes an identity; a disabled one loses its link. Errors: emu_registry_put(). */
EmuIdentity *emu_hub_put_identity(EmuHub *self, const char *device_id, const char *module_id,
                                  const EmuIdentityChange *change, gboolean *ret_created,
                                  GError **error);

/* Deletes an identity with its links and its queue. EMU_ERROR_NOT_FOUND. */
gboolean emu_hub_remove_identity(EmuHub *self, const char *device_id, const char *module_id,
                                 GError **error);

/* Returns: (transfer full): the connection string of an identity. */
char *emu_hub_connection_string(EmuHub *self, const EmuIdentity *identity);
