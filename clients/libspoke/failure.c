/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "clients/libspoke/failure.h"

#include <errno.h>
#include <string.h>

/*
 * The one table in which D-Bus error names become numbers. A name that ends in a dot stands for all
 * that begin so. Where the bus speaks of rules and service files, there are better words.
 */
static const struct {
    const char *name;
    int error;
    const char *text; /* NULL: the error's own is good */
} errors[] = {
    {"org.spoked1.Error.Failed", -EIO},
    {"org.spoked1.Error.InvalidArgument", -EINVAL},
    {"org.spoked1.Error.InvalidProperty", -EINVAL},
    {"org.spoked1.Error.InvalidOption", -EINVAL},
    {"org.spoked1.Error.UnknownOption", -EOPNOTSUPP},
    {"org.spoked1.Error.TooLarge", -EMSGSIZE},
    {"org.spoked1.Error.QueueFull", -ENOSPC},
    {"org.spoked1.Error.StorageFailed", -EIO},
    {"org.spoked1.Error.LimitReached", -EMFILE},
    {"org.spoked1.Error.NotPermitted", -EPERM},
    {"org.spoked1.Error.NoSuchDevice", -ENODEV},
    {"org.spoked1.Error.NoSuchMessage", -ENOMSG},
    {"org.spoked1.Error.NoSuchSubscription", -ENOENT},
    {"org.spoked1.Error.Timeout", -ETIMEDOUT},
    {"org.spoked1.Error.Shutdown", -ESHUTDOWN},
    {"org.spoked1.Error.Cancelled", -ECANCELED},
    {"org.spoked1.Error.InvalidConfig", -EBADMSG},
    {"org.spoked1.Error.DeviceExists", -EEXIST},
    {"org.spoked1.Error.NotSupported", -EPROTONOSUPPORT},
    {"org.spoked1.Error.NotConnected", -ENETUNREACH}, /* the bus's connection is ENOTCONN */

    {"org.freedesktop.DBus.Error.AccessDenied", -EACCES, "This user may not talk to spoked"},
    {"org.freedesktop.DBus.Error.InteractiveAuthorizationRequired", -EACCES},
    {"org.freedesktop.DBus.Error.AuthFailed", -EACCES},
    {"org.freedesktop.DBus.Error.LimitsExceeded", -EMFILE,
     "Too many calls wait for their answer already, 128 on the system bus"},
    /* The daemon has no object for the device. */
    {"org.freedesktop.DBus.Error.UnknownObject", -ENODEV},
    {"org.freedesktop.DBus.Error.ServiceUnknown", -EHOSTUNREACH, "spoked is not running"},
    {"org.freedesktop.DBus.Error.NameHasNoOwner", -EHOSTUNREACH, "spoked is not running"},
    {"org.freedesktop.DBus.Error.TimedOut", -EHOSTUNREACH}, /* of an activation */
    {"org.freedesktop.DBus.Error.Spawn.", -EHOSTUNREACH},
    {"org.freedesktop.systemd1.", -EHOSTUNREACH}, /* could not start the unit */
    /* The bus says so when the daemon died, sd-bus when the time was up. */
    {"org.freedesktop.DBus.Error.NoReply", -ECONNRESET,
     "spoked went away, or did not answer in time"},
    {"org.freedesktop.DBus.Error.Timeout", -ECONNRESET, "spoked did not answer in time"},
    {"org.freedesktop.DBus.Error.Disconnected", -ENOTCONN},
};

const SpokeFailure spoke_failure_bad_answer = {
    .error = -EPROTO,
    .name = "org.freedesktop.DBus.Error.InconsistentMessage",
    .text = "spoked gave an answer that this version of libspoke does not understand",
};

const SpokeFailure spoke_failure_cancelled = {
    .error = -ECANCELED,
    .name = "org.spoked1.Error.Cancelled",
    .text = "The client was closed before the answer came",
};

const SpokeFailure spoke_failure_disconnected = {
    .error = -ENOTCONN,
    .name = "org.freedesktop.DBus.Error.Disconnected",
    .text = "The system bus is gone",
};

static bool
name_matches(const char *pattern, const char *name)
{
    size_t length = strlen(pattern);

    if (pattern[length - 1] == '.')
        return strncmp(pattern, name, length) == 0;
    return strcmp(pattern, name) == 0;
}

SpokeFailure
spoke_failure_from_bus(const sd_bus_error *error)
{
    SpokeFailure failure = {
        .name = error->name,
        .text = error->message != NULL ? error->message : "",
    };

    for (size_t i = 0; i < sizeof errors / sizeof errors[0]; i++) {
        if (!name_matches(errors[i].name, error->name))
            continue;
        failure.error = errors[i].error;
        if (errors[i].text != NULL)
            failure.text = errors[i].text;
        return failure;
    }
    int number = sd_bus_error_get_errno(error);
    failure.error = number > 0 ? -number : -EIO;
    return failure;
}
