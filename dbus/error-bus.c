/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "dbus/error-bus.h"

#include "dbus/text-bus.h"

#include <string.h>

/*
 * Where GError and sd-bus's errors meet. The names are public API: a code may be added, a name may
 * not change.
 */
#define QUOTE_BYTES_MAX 64

static const char *const bus_names[] = {
    [SPOKE_ERROR_FAILED] = SPOKE_BUS_NAME ".Error.Failed",
    [SPOKE_ERROR_INVALID_ARGUMENT] = SPOKE_BUS_NAME ".Error.InvalidArgument",
    [SPOKE_ERROR_INVALID_PROPERTY] = SPOKE_BUS_NAME ".Error.InvalidProperty",
    [SPOKE_ERROR_INVALID_OPTION] = SPOKE_BUS_NAME ".Error.InvalidOption",
    [SPOKE_ERROR_UNKNOWN_OPTION] = SPOKE_BUS_NAME ".Error.UnknownOption",
    [SPOKE_ERROR_TOO_LARGE] = SPOKE_BUS_NAME ".Error.TooLarge",
    [SPOKE_ERROR_QUEUE_FULL] = SPOKE_BUS_NAME ".Error.QueueFull",
    [SPOKE_ERROR_STORAGE_FAILED] = SPOKE_BUS_NAME ".Error.StorageFailed",
    [SPOKE_ERROR_LIMIT_REACHED] = SPOKE_BUS_NAME ".Error.LimitReached",
    [SPOKE_ERROR_NOT_PERMITTED] = SPOKE_BUS_NAME ".Error.NotPermitted",
    [SPOKE_ERROR_NO_SUCH_DEVICE] = SPOKE_BUS_NAME ".Error.NoSuchDevice",
    [SPOKE_ERROR_NO_SUCH_MESSAGE] = SPOKE_BUS_NAME ".Error.NoSuchMessage",
    [SPOKE_ERROR_NO_SUCH_SUBSCRIPTION] = SPOKE_BUS_NAME ".Error.NoSuchSubscription",
    [SPOKE_ERROR_TIMEOUT] = SPOKE_BUS_NAME ".Error.Timeout",
    [SPOKE_ERROR_SHUTDOWN] = SPOKE_BUS_NAME ".Error.Shutdown",
    [SPOKE_ERROR_CANCELLED] = SPOKE_BUS_NAME ".Error.Cancelled",
    [SPOKE_ERROR_INVALID_CONFIG] = SPOKE_BUS_NAME ".Error.InvalidConfig",
    [SPOKE_ERROR_NOT_SUPPORTED] = SPOKE_BUS_NAME ".Error.NotSupported",
    [SPOKE_ERROR_DEVICE_EXISTS] = SPOKE_BUS_NAME ".Error.DeviceExists",
    [SPOKE_ERROR_NOT_CONNECTED] = SPOKE_BUS_NAME ".Error.NotConnected",
};
G_STATIC_ASSERT(G_N_ELEMENTS(bus_names) == SPOKE_N_ERRORS);

const char *
spoke_error_get_bus_name(SpokeError code)
{
    g_return_val_if_fail(code < SPOKE_N_ERRORS, bus_names[SPOKE_ERROR_FAILED]);

    return bus_names[code];
}

int
spoke_error_to_bus(const GError *error, sd_bus_error *ret_error)
{
    if (error->domain != SPOKE_ERROR || error->code < 0 || error->code >= SPOKE_N_ERRORS) {
        g_warning("A call failed: %s", error->message);
        return sd_bus_error_set_const(ret_error, bus_names[SPOKE_ERROR_FAILED],
                                      "The daemon could not do this, its journal has the cause");
    }

    /* A text that sd-bus refuses could not be sent, and the caller would wait for ever. */
    g_autofree char *text = spoke_text_make_sendable(error->message);
    return sd_bus_error_set(ret_error, bus_names[error->code], text);
}

char *
spoke_error_quote(const char *text)
{
    size_t size = strlen(text);

    if (size > QUOTE_BYTES_MAX)
        size = (size_t)(g_utf8_find_prev_char(text, text + QUOTE_BYTES_MAX + 1) - text);

    GString *quote = g_string_new_len(text, (gssize)size);
    for (size_t i = 0; i < quote->len; i++) {
        if (g_ascii_iscntrl(quote->str[i]))
            quote->str[i] = '?';
    }
    if (text[size] != '\0')
        g_string_append(quote, "…");
    return g_string_free(quote, FALSE);
}

gboolean
spoke_error_set_malformed(GError **error)
{
    g_set_error_literal(error, SPOKE_ERROR, SPOKE_ERROR_INVALID_ARGUMENT,
                        "The message is malformed");
    return FALSE;
}

gboolean
spoke_error_set_bad_text(GError **error, const char *what)
{
    g_set_error(error, SPOKE_ERROR, SPOKE_ERROR_INVALID_ARGUMENT,
                "%s can't be read as text: it holds a Unicode noncharacter (U+FFFE, U+FFFF, U+FDD0 "
                "to U+FDEF and their like), which sd-bus refuses, or it is not UTF-8, or the "
                "message is malformed",
                what);
    return FALSE;
}
