/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

/* The emulator's errors carry the hub's own numbers, so that every protocol head can derive its
 * status from the code: HTTP status and twin status are the number divided by 1000.
 * Source: protocol page, section 7.3. */
typedef enum {
    EMU_ERROR_ARGUMENT = 400004,     /* ArgumentInvalid */
    EMU_ERROR_EVICTED = 400027,      /* ConnectionForcefullyClosedOnNewConnection */
    EMU_ERROR_UNAUTHORIZED = 401002, /* IotHubUnauthorizedAccess */
    EMU_ERROR_TOKEN = 401003,        /* IotHubUnauthorized: the token itself */
    EMU_ERROR_QUOTA = 403002,        /* IotHubQuotaExceeded */
    EMU_ERROR_QUEUE_FULL = 403004,   /* DeviceMaximumQueueDepthExceeded */
    EMU_ERROR_EXPIRY = 403009,       /* the expiry time is in the past or out of range */
    EMU_ERROR_DISABLED = 403012,     /* the device is disabled */
    EMU_ERROR_NOT_FOUND = 404001,    /* DeviceNotFound; here also: any other thing asked for */
    EMU_ERROR_METHOD = 405000,       /* HTTP: no such method on this path */
    EMU_ERROR_EXISTS = 409001,       /* DeviceAlreadyExists */
    EMU_ERROR_LOCK_LOST = 412002,    /* DeviceMessageLockLost */
    EMU_ERROR_TOO_LARGE = 413001,    /* MessageTooLarge */
    EMU_ERROR_THROTTLED = 429001,    /* ThrottlingException */
    EMU_ERROR_SERVER = 500001,       /* ServerError */
    EMU_ERROR_NOT_HERE = 501000,     /* not a hub number: this emulator lacks the feature */
    EMU_ERROR_UNAVAILABLE = 503001,  /* ServiceUnavailable */
} EmuErrorCode;

#define EMU_ERROR (emu_error_quark())
GQuark emu_error_quark(void);
