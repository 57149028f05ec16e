/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "daemon/connection.h"
#include "daemon/deadlines.h"
#include "daemon/events.h"
#include "daemon/flow.h"
#include "daemon/patience.h"

#include <gio/gio.h>

/*
 * Inside of the connection, which is two files: connection.c has the transport's life, attachment.c
 * what each identity does on it. And what a test replaces.
 */

typedef enum {
    SPOKE_GOAL_STAY,
    SPOKE_GOAL_RENEW,  /* close, and come back at once with a new token */
    SPOKE_GOAL_RETURN, /* likewise, with a new configuration */
    SPOKE_GOAL_REST,   /* close: nobody is left who could use it now */
    SPOKE_GOAL_STOP,   /* send what there is, close, never come back */
} SpokeGoal;

typedef enum {
    SPOKE_PLACE_OUT,
    SPOKE_PLACE_ASKED, /* attach() was called */
    SPOKE_PLACE_IN,
} SpokePlace;

/* When an attachment has something to do. All but those on the wall clock are on the boot clock. */
typedef enum {
    SPOKE_DUE_RETRY, /* set: it is out, and waits */
    SPOKE_DUE_ACK,   /* look whether acknowledgements come */
    SPOKE_DUE_POLL,
    SPOKE_DUE_RENEW,      /* by the wall clock, as is the next */
    SPOKE_DUE_RETRY_WALL, /* the clock was set while we waited */
    SPOKE_N_DUES,
} SpokeDue;

struct SpokeAttachment {
    SpokeConnection *connection;         /* borrowed; NULL: on none */
    SpokeIdentity *identity;             /* owned */
    SpokeCredentials *credentials;       /* owned */
    SpokeFlow *flow;                     /* owned */
    const SpokeAttachmentEvents *events; /* borrowed */
    gpointer user_data;

    SpokePlace place;
    gboolean is_receiving;
    gboolean is_poll_owed; /* its time came while nothing could be received */
    gboolean is_down;      /* refused alone, and the journal knows */
    gint64 due_usec[SPOKE_N_DUES];
    gint64 token_expiry_usec;    /* wall clock; 0 without one */
    gint64 attached_usec;        /* boot clock; 0 unless IN */
    gint64 connected_since_usec; /* wall clock; 0 unless IN */
    gint64 next_attempt_usec;    /* wall clock; while RETRY is set */
    gint64 progress_usec;        /* boot clock: the last acknowledgement, or first message */
    guint64 progress;            /* of the transport, when last looked at */
    gint64 polled_usec;          /* boot clock; 0: never */
    SpokePatience patience;
    SpokeCause last_error;
    char *last_detail; /* owned */
};

struct SpokeConnection {
    SpokeConnectionOptions options; /* owned, strings and all */
    GPtrArray *attachments;         /* owned; of SpokeAttachment, borrowed */
    GHashTable *by_identity;        /* owned; SpokeIdentity → SpokeAttachment, both borrowed */
    SpokeDeadlines *deadlines;      /* owned */
    double (*random)(void);
    gboolean watches_network;
    GNetworkMonitor *monitor; /* owned; NULL before start() and when not watched */
    gulong monitor_id;

    SpokeConnectionState state;
    SpokeGoal goal;
    gboolean is_started;
    gboolean is_open;        /* the transport takes identities */
    gboolean is_closing;     /* the transport was told to close */
    gboolean is_clock_unset; /* and the journal knows */

    const SpokeTransportModule *given;  /* by a test; NULL */
    const SpokeTransportModule *module; /* NULL until one is loaded */
    SpokeTransport *transport;          /* owned; NULL while OFFLINE */
    guint attach_id;                    /* source: some are still to be attached */
    guint n_in;                         /* attachments that are IN */
    SpokeLoad load;                     /* of all attachments */
    gint64 attempt_usec;                /* boot clock: when the last attempt began */
    gint64 attached_usec;               /* boot clock: since somebody is IN; or 0 */
    gint64 heard_usec;                  /* boot clock: the last that the hub said of anybody */
    gint64 left_usec;                   /* boot clock: when a renewal took us off the line; or 0 */
    gint64 next_attempt_usec;           /* wall clock; while an attempt is scheduled */
    SpokePatience patience;
    SpokeStreak streak;
    SpokeCause last_error; /* of the attempts, none of which has succeeded since */
    char *last_detail;     /* owned */

    void (*stopped)(gpointer); /* NULL unless stopping */
    gpointer stopped_data;
    guint stopped_id; /* source */
};

/* How much later the wall clock's alarm for an attempt is than the boot clock's: it is there for
 * steps, not for drift. */
#define SPOKE_CONNECTION_WALL_SLACK_USEC (2 * G_USEC_PER_SEC)

/* connection.c, for attachment.c */
gint64 spoke_connection_now(SpokeConnection *connection, SpokeClockKind kind);
/* An attachment has something to do at @at_usec. */
void spoke_connection_expect(SpokeConnection *connection, SpokeDue due, gint64 at_usec);
/* Brings in the attachment that waited, or makes an attempt if there is no connection. */
void spoke_connection_bring_in(SpokeConnection *connection, SpokeAttachment *attachment);
/* Closes, drained, and comes back with a new token. */
void spoke_connection_renew(SpokeConnection *connection);
/* Something that draining waits for may be over. */
void spoke_connection_look_drained(SpokeConnection *connection);
/* The transport is of no use any more. */
void spoke_connection_give_up(SpokeConnection *connection, SpokeCause cause, const char *detail);
/* Whose it is; NULL: several share it. */
const char *spoke_connection_get_only_name(SpokeConnection *connection);
gboolean spoke_connection_is_waiting(SpokeConnection *connection); /* an attempt is scheduled */

/* attachment.c, for connection.c */
/* Whether it has a token to show and does not wait; if there is no token it waits from now on. */
gboolean spoke_attachment_is_ready(SpokeAttachment *attachment);
/* Asks the transport to attach it. */
void spoke_attachment_ask(SpokeAttachment *attachment);
void spoke_attachment_note_attached(SpokeAttachment *attachment);
/* The hub, or the module, has put it out alone. */
void spoke_attachment_note_detached(SpokeAttachment *attachment, SpokeCause cause,
                                    const char *detail, gint64 wait_usec);
void spoke_attachment_note_settled(SpokeAttachment *attachment, const SpokeSettlement *settlements,
                                   guint n);
void spoke_attachment_note_arrived(SpokeAttachment *attachment, SpokeMessage *message,
                                   gpointer token);
/* There is no transport any more. Returns: the cause to go by */
SpokeCause spoke_attachment_leave(SpokeAttachment *attachment, SpokeCause cause);
void spoke_attachment_set_error(SpokeAttachment *attachment, SpokeCause cause, const char *detail);
void spoke_attachment_run_dues(SpokeAttachment *attachment);
/* The earliest on that clock. */
gint64 spoke_attachment_get_due(SpokeAttachment *attachment, SpokeClockKind clock);
void spoke_attachment_clear_due(SpokeAttachment *attachment, SpokeDue due);
/* Nothing is on its way, and if @with_queue, nothing waits. */
gboolean spoke_attachment_is_drained(SpokeAttachment *attachment, gboolean with_queue);
void spoke_attachment_tell_changed(SpokeAttachment *attachment);
/* Somebody has less on the way than before: those that waited for room send. */
void spoke_attachments_share_room(SpokeConnection *connection);

/* What it is made of; lines.c fills in the machine's own, a test others. */
typedef struct {
    const SpokeTransportModule *module; /* NULL: loaded from the transport directory when needed */
    SpokeClock *clock;                  /* (transfer full) */
    double (*random)(void);             /* 0 <= n < 1 */
    gboolean watches_network;           /* follow GNetworkMonitor */
} SpokeConnectionParts;

/* Copies @options. (transfer full) */
SpokeConnection *spoke_connection_new_from(const SpokeConnectionOptions *options,
                                           const SpokeConnectionParts *parts);

/* GNetworkMonitor says that something has changed, and whether there is a network now. */
void spoke_connection_network_changed(SpokeConnection *connection, gboolean is_available);

/* Wall clock readings before this are no time of day: the machine has no battery behind its clock,
 * and nobody has set it yet. 2025-01-01T00:00:00Z. */
#define SPOKE_CONNECTION_CLOCK_SANE_USEC G_GINT64_CONSTANT(1735689600000000)

/* No acknowledgement for so long while some are awaited: the peer fell silent. The SDKs wait 30 to
 * 120 s. Source: iot-hub-protocol.md, 2.10. */
#define SPOKE_CONNECTION_ACK_USEC (60 * G_USEC_PER_SEC)

/* Unless so many bytes got through meanwhile, more than pings account for: then the line is slow. A
 * message of 256 KiB takes three minutes at the speed of an old modem. */
#define SPOKE_CONNECTION_ACK_BYTES 1024

/* How long a renewal waits for what is in flight. What is left then is sent again. */
#define SPOKE_CONNECTION_DRAIN_USEC (10 * G_USEC_PER_SEC)

/* A module says goodbye within this, or is dropped. */
#define SPOKE_CONNECTION_CLOSE_USEC (5 * G_USEC_PER_SEC)

/* A change of the network brings an attempt within this, spread over all the machines on it. */
#define SPOKE_CONNECTION_NETWORK_USEC G_USEC_PER_SEC
