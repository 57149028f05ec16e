/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

/*
 * What a caller of the public API can be told. dbus/error-bus.c gives each code its bus name;
 * everything from another error domain reaches callers as Failed.
 */
#define SPOKE_ERROR spoke_error_quark()

typedef enum {
    SPOKE_ERROR_FAILED,
    SPOKE_ERROR_INVALID_ARGUMENT,
    SPOKE_ERROR_INVALID_PROPERTY, /* an app property's name or value, or their number */
    SPOKE_ERROR_INVALID_OPTION,   /* a known option with a value it can't have */
    SPOKE_ERROR_UNKNOWN_OPTION,
    SPOKE_ERROR_TOO_LARGE,
    SPOKE_ERROR_QUEUE_FULL,     /* the outbox's byte limit, or the disk, is full */
    SPOKE_ERROR_STORAGE_FAILED, /* the disk failed in another way */
    SPOKE_ERROR_LIMIT_REACHED,  /* too many subscriptions or waiting callers */
    SPOKE_ERROR_NOT_PERMITTED,
    SPOKE_ERROR_NO_SUCH_DEVICE,
    SPOKE_ERROR_NO_SUCH_MESSAGE,
    SPOKE_ERROR_NO_SUCH_SUBSCRIPTION,
    SPOKE_ERROR_TIMEOUT,
    SPOKE_ERROR_SHUTDOWN,
    SPOKE_ERROR_CANCELLED,
    SPOKE_ERROR_INVALID_CONFIG,
    SPOKE_ERROR_NOT_SUPPORTED, /* the transport can't do this */
    SPOKE_ERROR_DEVICE_EXISTS,
    SPOKE_ERROR_NOT_CONNECTED,
    SPOKE_N_ERRORS,
} SpokeError;

GQuark spoke_error_quark(void);
