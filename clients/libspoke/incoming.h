/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "clients/libspoke/client.h"

/* A message from the hub, taken from the bus. */
typedef struct {
    SpokeIncoming message;     /* strings borrowed from the bus message */
    SpokeProperty *properties; /* owned */
    char *body;                /* owned; a copy with a NUL behind it */
    const char *mode;          /* borrowed from the bus message */
    uint32_t subscription;     /* 0: for a receiver */
} SpokeArrival;

/* Reads the four arguments of MessageReceived and of the answer to Receive. */
int spoke_arrival_read(sd_bus_message *m, SpokeArrival *ret_arrival);
void spoke_arrival_clear(SpokeArrival *arrival);
