/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "clients/spokectl/advice.h"

#include <errno.h>
#include <glib.h>
#include <string.h>

/* From an error to what the person at the terminal does next. */

static const struct {
    int error;
    SpokeExit exit_code;
    const char *text;
} advice[] = {
    {-EHOSTUNREACH, SPOKE_EXIT_UNREACHABLE,
     "Start it with 'systemctl start spoked'; 'journalctl -u spoked' says why it stopped"},
    {-ENOTCONN, SPOKE_EXIT_UNREACHABLE, "Try again once the system bus is there"},
    {-ECONNRESET, SPOKE_EXIT_UNREACHABLE,
     "What was asked for may have been done or not: see 'systemctl status spoked' before you "
     "repeat it"},
    {-ESHUTDOWN, SPOKE_EXIT_UNREACHABLE,
     "spoked is stopping: try again when 'systemctl status spoked' says it runs"},
    {-ETIMEDOUT, SPOKE_EXIT_TIMEOUT, NULL},
    {-EACCES, SPOKE_EXIT_FAILURE,
     "Root may, and the members of group spoked: 'usermod --append --groups spoked NAME', then log "
     "in again"},
    {-ENODEV, SPOKE_EXIT_FAILURE, "'spokectl devices' lists the names there are"},
    {-ENOSPC, SPOKE_EXIT_FAILURE,
     "'spokectl status' says whether the hub is reached, which empties the queue; [Spool] "
     "BytesMax= in spoked.conf is its limit, 'df /var/lib/spoked' shows the disk"},
    {-EIO, SPOKE_EXIT_FAILURE, "'journalctl -u spoked' has the cause"},
    {-ENOMSG, SPOKE_EXIT_FAILURE,
     "It was settled before, or its lock ran out and somebody else has it: receive it again, with "
     "a longer --lock"},
    {-ENETUNREACH, SPOKE_EXIT_FAILURE, "'spokectl status' says why"},
    {-EEXIST, SPOKE_EXIT_FAILURE,
     "'spokectl devices' shows it; 'spokectl remove-device' takes off one that was added"},
    {-EILSEQ, SPOKE_EXIT_FAILURE, "Text has to be UTF-8; only a body may hold other bytes"},
    {-EPROTO, SPOKE_EXIT_FAILURE, "Do spokectl and spoked come from the same version?"},
};

SpokeExit
spoke_advice_get_exit(int error)
{
    for (gsize i = 0; i < G_N_ELEMENTS(advice); i++)
        if (advice[i].error == error)
            return advice[i].exit_code;
    return SPOKE_EXIT_FAILURE;
}

/* Of a private bus systemctl and journalctl know nothing. */
static const struct {
    int error;
    const char *text;
} elsewhere[] = {
    {-EHOSTUNREACH, "DBUS_SYSTEM_BUS_ADDRESS leads to a bus that is not the system's: start spoked "
                    "there, with the same address, or unset the variable"},
    {-ENOTCONN, "DBUS_SYSTEM_BUS_ADDRESS leads to a bus that is not the system's: try again once "
                "it is there, or unset the variable"},
};

static gboolean
is_elsewhere(const char *bus_address)
{
    return bus_address != NULL && bus_address[0] != '\0' &&
           strstr(bus_address, "/run/dbus/system_bus_socket") == NULL;
}

const char *
spoke_advice_get_text(int error, const char *bus_address)
{
    for (gsize i = 0; is_elsewhere(bus_address) && i < G_N_ELEMENTS(elsewhere); i++)
        if (elsewhere[i].error == error)
            return elsewhere[i].text;
    for (gsize i = 0; i < G_N_ELEMENTS(advice); i++)
        if (advice[i].error == error)
            return advice[i].text;
    return NULL;
}

SpokeExit
spoke_advice_get_outcome_exit(SpokeOutcome outcome)
{
    static const SpokeExit exits[] = {
        [SPOKE_OUTCOME_ACCEPTED] = SPOKE_EXIT_OK,
        [SPOKE_OUTCOME_REJECTED] = SPOKE_EXIT_REJECTED,
        [SPOKE_OUTCOME_EXPIRED] = SPOKE_EXIT_EXPIRED,
        [SPOKE_OUTCOME_DROPPED] = SPOKE_EXIT_DROPPED,
        [SPOKE_OUTCOME_UNKNOWN] = SPOKE_EXIT_FAILURE,
    };

    return (gsize)outcome < G_N_ELEMENTS(exits) ? exits[outcome] : SPOKE_EXIT_FAILURE;
}
