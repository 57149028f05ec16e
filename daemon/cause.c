/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/cause.h"

/*
 * One row per cause. The pace follows iot-hub-protocol.md, 7.5, save that nothing is given up for
 * good: where the SDKs stop, we go on slowly, because somebody may be mending the hub's side and
 * nobody would restart a daemon on a thousand machines.
 */
typedef struct {
    const char *name; /* public API: may be added to, a name may not change */
    const char *remedy;
    SpokePace pace;
} Row;

static const Row rows[] = {
    [SPOKE_CAUSE_NONE] = {"", "", SPOKE_PACE_NORMAL},
    [SPOKE_CAUSE_CLOSED] = {"Closed", "Nothing to do: the daemon closed the connection itself.",
                            SPOKE_PACE_NORMAL},
    [SPOKE_CAUSE_DNS] = {"Dns",
                         "Check the machine's DNS servers (resolvectl status) and the spelling of "
                         "HostName in the connection string.",
                         SPOKE_PACE_NORMAL},
    [SPOKE_CAUSE_TCP_REFUSED] = {"TcpRefused",
                                 "Check that the host listens on this port and that no firewall "
                                 "rejects it; MQTT needs port 8883, AMQP 5671, all others 443.",
                                 SPOKE_PACE_NORMAL},
    [SPOKE_CAUSE_TCP_TIMEOUT] = {"TcpTimeout",
                                 "Ask the network's admin to let TCP to this port out: a firewall "
                                 "on the way seems to drop it. A transport over port 443 (mqtt-ws, "
                                 "amqp-ws, https) gets through more often.",
                                 SPOKE_PACE_NORMAL},
    [SPOKE_CAUSE_NETWORK] = {"Network",
                             "Check that the machine is online: cable or radio, address and "
                             "default route (networkctl status, ip route).",
                             SPOKE_PACE_NORMAL},
    [SPOKE_CAUSE_TLS] = {"Tls",
                         "Check for a proxy or firewall that breaks TLS open, and that the peer "
                         "speaks TLS 1.2 on this port.",
                         SPOKE_PACE_NORMAL},
    [SPOKE_CAUSE_CERTIFICATE] = {"Certificate",
                                 "Check the machine's clock, then install the root that signed the "
                                 "server's certificate (package ca-certificates, or CAFile= in "
                                 "[Hub]), and check that HostName or GatewayHostName is the name "
                                 "in it.",
                                 SPOKE_PACE_SLOW},
    [SPOKE_CAUSE_PROTOCOL] = {"Protocol",
                              "Check that HostName and the port of the transport in use lead to an "
                              "IoT hub: the peer does not speak the protocol expected there.",
                              SPOKE_PACE_SLOW},
    [SPOKE_CAUSE_BAD_CREDENTIALS] = {"BadCredentials",
                                     "Copy the connection string of this device from the hub "
                                     "again: the hub calls what was sent malformed.",
                                     SPOKE_PACE_SLOW},
    [SPOKE_CAUSE_AUTHENTICATION_FAILED] = {"AuthenticationFailed",
                                           "Check in the hub that the device exists, is enabled "
                                           "and has the key of the connection string (or the "
                                           "certificate's thumbprint or authority), that the "
                                           "certificate has not ended, and that this machine's "
                                           "clock is right to a few minutes.",
                                           SPOKE_PACE_SLOW},
    [SPOKE_CAUSE_UNAVAILABLE] = {"Unavailable",
                                 "Wait: the hub is busy, being serviced or throttling this "
                                 "device; if it stays so, look at the hub's quota and metrics.",
                                 SPOKE_PACE_SLOW},
    [SPOKE_CAUSE_CLOSED_BY_HUB] = {"ClosedByHub",
                                   "Wait for the next attempt; if it keeps happening, look in the "
                                   "hub's connection log for throttling, quota or a second client "
                                   "with the same device id.",
                                   SPOKE_PACE_NORMAL},
    [SPOKE_CAUSE_EVICTED] = {"Evicted",
                             "The hub closes the connection again and again: find the other client "
                             "that uses this device id and give it an identity of its own; or the "
                             "hub limits this device (look at its quota and throttling).",
                             SPOKE_PACE_SLOW},
    [SPOKE_CAUSE_KEEPALIVE] = {"KeepAlive",
                               "Check the line for losses; if a NAT or firewall forgets quiet "
                               "connections, lower KeepAliveSec= in [Hub].",
                               SPOKE_PACE_NORMAL},
    [SPOKE_CAUSE_CREDENTIALS] = {"Credentials",
                                 "Put a connection string with a SharedAccessKey, or with a token "
                                 "that has not expired, into the configuration and reload it.",
                                 SPOKE_PACE_SLOW},
    [SPOKE_CAUSE_CLOCK] = {"Clock",
                           "Set the machine's clock or let NTP reach its server (timedatectl "
                           "status); the connection follows by itself.",
                           SPOKE_PACE_NORMAL},
    [SPOKE_CAUSE_STORAGE] = {"Storage",
                             "Make room on the disk that holds the state directory, or check it "
                             "for errors: arriving messages cannot be stored.",
                             SPOKE_PACE_NORMAL},
    [SPOKE_CAUSE_INTERNAL] = {"Internal",
                              "Report this with the journal of spoked: it is a mistake in the "
                              "daemon, not in the set-up.",
                              SPOKE_PACE_SLOW},
    [SPOKE_CAUSE_NOT_FOUND] = {"NotFound",
                               "Create the device in the hub, or enable it there, or correct "
                               "DeviceId (and ModuleId) in its connection string: the hub does not "
                               "serve it.",
                               SPOKE_PACE_SLOW},
    [SPOKE_CAUSE_THROTTLED] = {"Throttled",
                               "Wait: the hub limits how fast it takes messages; send less, or add "
                               "units to the hub.",
                               SPOKE_PACE_SLOW},
    [SPOKE_CAUSE_QUOTA_EXCEEDED] = {"QuotaExceeded",
                                    "The hub's quota is used up, until midnight UTC if it is the "
                                    "day's: add units to the hub, or wait.",
                                    SPOKE_PACE_SLOW},
    [SPOKE_CAUSE_PROXY] = {"Proxy",
                           "Check [Proxy] in the configuration: address, port, user and password, "
                           "and that the proxy allows CONNECT to the hub's port; or choose a "
                           "transport that can use a proxy.",
                           SPOKE_PACE_NORMAL},
    [SPOKE_CAUSE_NOT_INSTALLED] = {"NotInstalled",
                                   "Install the transport (on Debian: the package spoked-amqp or "
                                   "spoked-https), or choose another: Transport= in [Hub].",
                                   SPOKE_PACE_SLOW},
    [SPOKE_CAUSE_UNSUPPORTED] = {"Unsupported",
                                 "Choose a transport that can carry it: Transport= in [Hub].",
                                 SPOKE_PACE_SLOW},
};
G_STATIC_ASSERT(G_N_ELEMENTS(rows) == SPOKE_N_CAUSES);

static const Row *
row_of(SpokeCause cause)
{
    g_return_val_if_fail((guint)cause < SPOKE_N_CAUSES, &rows[SPOKE_CAUSE_INTERNAL]);

    return &rows[cause];
}

const char *
spoke_cause_to_string(SpokeCause cause)
{
    return row_of(cause)->name;
}

const char *
spoke_cause_get_remedy(SpokeCause cause)
{
    return row_of(cause)->remedy;
}

SpokePace
spoke_cause_get_pace(SpokeCause cause)
{
    return row_of(cause)->pace;
}

gboolean
spoke_cause_is_of_network(SpokeCause cause)
{
    switch (cause) {
    case SPOKE_CAUSE_BAD_CREDENTIALS:
    case SPOKE_CAUSE_AUTHENTICATION_FAILED:
    case SPOKE_CAUSE_UNAVAILABLE:
    case SPOKE_CAUSE_EVICTED:
    case SPOKE_CAUSE_CREDENTIALS:
    case SPOKE_CAUSE_CLOCK:
    case SPOKE_CAUSE_STORAGE:
    case SPOKE_CAUSE_INTERNAL:
    case SPOKE_CAUSE_NOT_FOUND:
    case SPOKE_CAUSE_THROTTLED:
    case SPOKE_CAUSE_QUOTA_EXCEEDED:
    case SPOKE_CAUSE_NOT_INSTALLED:
    case SPOKE_CAUSE_UNSUPPORTED:
        return FALSE;
    default:
        return TRUE;
    }
}
