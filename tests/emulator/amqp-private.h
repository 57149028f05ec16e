/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "amqp-acks.h"
#include "amqp-address.h"
#include "amqp-batch.h"
#include "amqp-condition.h"
#include "amqp-devices.h"
#include "amqp-session.h"
#include "hub.h"
#include "pipe.h"

#include <proton/engine.h>
#include <proton/transport.h>

/* What the files of the AMQP head share: the connection and the links on it. Each file is one
 * concern of theirs:
 *
 *   amqp-session      bytes and events in and out, time, the end
 *   amqp-sasl         what comes before the connection
 *   amqp-links        who may attach what, and how links end
 *   amqp-receive      transfers from their frames
 *   amqp-cbs          tokens
 *   amqp-telemetry    messages from devices
 *   amqp-acks         what is to be accepted, and when
 *   amqp-devicebound  messages to devices */

/* max-message-size. Source: protocol page, 3.2. */
#define EMU_AMQP_TRANSFER_MAX ((size_t)1024 * 1024)

typedef enum {
    EMU_AMQP_GREETING, /* no OPEN yet */
    EMU_AMQP_OPEN,
    EMU_AMQP_LEAVING, /* what is to be said is on its way, then the connection ends */
    EMU_AMQP_CLOSED,
} EmuAmqpState;

struct EmuAmqpSession {
    EmuHub *hub;           /* borrowed, outlives us */
    EmuPipe *pipe;         /* owned */
    GTlsCertificate *peer; /* owned; NULL: the client showed none */
    GSource *timer;        /* owned; NULL once closed */
    guint ending;          /* idle source that calls ended */
    EmuSessionEnded ended;
    gpointer user_data;

    pn_transport_t *transport;   /* owned */
    pn_connection_t *connection; /* owned */
    pn_collector_t *collector;   /* owned */

    EmuAmqpState state;
    const char *reason; /* static; why it is LEAVING */
    gboolean black_hole;
    gboolean busy;          /* events are being handled: output is pulled afterwards */
    gint64 heard_usec;      /* monotonic; the last input */
    gint64 now_usec;        /* the hub's clock at the last input */
    gint64 tick_usec;       /* monotonic; when Proton wants to be called */
    guint32 message_format; /* of the transfer that is being handled */

    EmuLink link;            /* so that the hub wakes us; nobody's identity */
    EmuAmqpDevices *devices; /* owned */
    gboolean single;         /* the one in there came by SASL or certificate: no other joins */
    pn_link_t *cbs_replies;  /* borrowed; NULL while there is none */
    guint32 last_reply_tag;

    EmuAmqpAcks *acks;   /* owned */
    EmuAmqpBatch *batch; /* owned: the transfer that is being handled */
    GByteArray *bytes;   /* owned; likewise */
    GByteArray *body;    /* owned; a body in several sections, put together */
    GString *bag;        /* owned; of the message that is being handled */
};

/* Our end of a link: what Proton keeps as the link's context. */
struct EmuAmqpEnd {
    EmuAmqpSession *session; /* borrowed */
    pn_link_t *link;         /* borrowed */
    EmuAmqpNode node;
    EmuAmqpDevice *device; /* borrowed; NULL on $cbs */
    GByteArray *partial;   /* owned; the beginning of a transfer; NULL while there is none */
    guint32 message_format;
    guint held; /* deliveries in the session's acks */
};

/* Handles what Proton has to tell and sends what it has to send. Does nothing when that is going
 * to happen anyway. */
void emu_amqp_session_pump(EmuAmqpSession *self);

/* Moves what Proton has to send into the pipe, as far as there is room. */
void emu_amqp_session_pull(EmuAmqpSession *self);

/* Ends the connection at once and without a word. */
void emu_amqp_session_cut(EmuAmqpSession *self, const char *reason);

/* Says why, then ends the connection. @reason is static. */
void emu_amqp_session_leave(EmuAmqpSession *self, const EmuAmqpCause *cause, const char *message,
                            const char *reason);

/* Stops reading if a fault wants it, or starts again. TRUE: nothing may be answered now. */
gboolean emu_amqp_session_review_black_hole(EmuAmqpSession *self);

/* Offers SASL, if the client wants it. */
void emu_amqp_sasl_init(EmuAmqpSession *self);

/* The client attached or detached a link, or its session ended. */
void emu_amqp_links_attached(EmuAmqpSession *self, pn_link_t *link);
void emu_amqp_links_detached(pn_link_t *link, gboolean closed);
void emu_amqp_links_session_ended(EmuAmqpSession *self, pn_session_t *session);

/* Lets go of all links, without a word to anybody: Proton goes next. */
void emu_amqp_links_forget(EmuAmqpSession *self);

/* Ends a link for the hub's reasons. @end is gone afterwards. */
void emu_amqp_end_close(EmuAmqpEnd *end, const EmuAmqpCause *cause, const char *message);

/* The same for all links of a device; the hub hears @reason. */
void emu_amqp_device_close(EmuAmqpDevice *device, const EmuAmqpCause *cause, const char *message,
                           const char *reason);

/* Ends the links of devices whose tokens have run out. */
void emu_amqp_links_expire(EmuAmqpSession *self);

/**
 * emu_amqp_end_receive:
 * @size_max: what is over that closes the link, and @end is gone
 *
 * Takes in what has come of a delivery.
 *
 * Returns: TRUE when the transfer is complete: then it is the session's bytes.
 */
gboolean emu_amqp_end_receive(EmuAmqpEnd *end, pn_delivery_t *delivery, size_t size_max);

/* Answers a delivery with rejected, unless the client does not want to know. */
void emu_amqp_reject(pn_delivery_t *delivery, const EmuAmqpCause *cause, const char *message);

/* A delivery of each kind of link has news. */
void emu_amqp_cbs_request(EmuAmqpEnd *end, pn_delivery_t *delivery);
void emu_amqp_cbs_reply_settled(EmuAmqpEnd *end, pn_delivery_t *delivery);
void emu_amqp_telemetry_delivery(EmuAmqpEnd *end, pn_delivery_t *delivery);
void emu_amqp_devicebound_outcome(EmuAmqpEnd *end, pn_delivery_t *delivery);

/* Gives the client credit again when it has used half of it. */
void emu_amqp_cbs_grant(EmuAmqpEnd *end);
void emu_amqp_telemetry_grant(EmuAmqpEnd *end);

/* Sends what waits for the device, as far as its credit goes. */
void emu_amqp_devicebound_feed(EmuAmqpEnd *end);
