/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "clients/libspoke/client.h"

/*
 * One method call under way: it remembers whom to tell. Every call is answered once: by the daemon,
 * by the bus, or with ECANCELED at the end of the client.
 */

/* @reply: NULL with a failure. The call is freed afterwards. */
typedef void (*SpokeAnswerFunc)(SpokeCall *call, sd_bus_message *reply,
                                const SpokeFailure *failure);

struct SpokeCall {
    SpokeClient *client;  /* borrowed; set by spoke_call_start() like the next three */
    SpokeCall *next;      /* in client->calls */
    SpokeCall **previous; /* what points here */
    sd_bus_slot *slot;    /* owned */

    SpokeAnswerFunc answer;
    union {
        SpokeDoneFunc done;
        SpokeSentFunc sent;
        SpokeFlushedFunc flushed;
        SpokeReceivedFunc received;
        SpokeStatusFunc status;
        SpokeDevicesFunc devices;
    } callback;
    SpokeSettledFunc settled;                           /* NULL: nobody asks */
    size_t n;                                           /* messages in the batch */
    uint8_t durabilities[SPOKE_BATCH_MESSAGES_MAX / 4]; /* two bits each: what they asked for */
    SpokeSubscription *subscription;                    /* borrowed; NULL once that is gone */
    void *user_data;
};

/* @ret_m: (transfer full) */
int spoke_call_new_message(SpokeClient *client, const char *path, const char *interface,
                           const char *member, sd_bus_message **ret_m);
/* Sends @m. @call: copied. @timeout_usec: 0 for the bus's default, UINT64_MAX for none */
int spoke_call_start(SpokeClient *client, sd_bus_message *m, uint64_t timeout_usec,
                     const SpokeCall *call);
/* Answers all that wait. */
void spoke_call_cancel_all(SpokeClient *client, const SpokeFailure *failure);

/* An answer for SpokeDoneFunc callbacks. */
void spoke_call_answer_done(SpokeCall *call, sd_bus_message *reply, const SpokeFailure *failure);

/* Time for the way to the daemon and back, on top of what the daemon was told to wait. */
#define SPOKE_CALL_GRACE_USEC UINT64_C(25000000)
/* Timeout of a call in which the daemon waits for @wait_msec. */
uint64_t spoke_call_timeout(uint64_t wait_msec);
