/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/transports/amqp/failure.h"

static SpokeCause
of_socket(const GError *error)
{
    if (g_error_matches(error, G_IO_ERROR, G_IO_ERROR_CONNECTION_REFUSED))
        return SPOKE_CAUSE_TCP_REFUSED;
    if (g_error_matches(error, G_IO_ERROR, G_IO_ERROR_TIMED_OUT))
        return SPOKE_CAUSE_TCP_TIMEOUT;
    return SPOKE_CAUSE_NETWORK;
}

/* Closed or reset: which of the two depends on what the peer had not read yet. */
static gboolean
is_hang_up(const GError *error)
{
    return error == NULL || g_error_matches(error, G_TLS_ERROR, G_TLS_ERROR_EOF) ||
           g_error_matches(error, G_IO_ERROR, G_IO_ERROR_CONNECTION_CLOSED) ||
           g_error_matches(error, G_IO_ERROR, G_IO_ERROR_CLOSED);
}

SpokeCause
spoke_amqp_failure_get_cause(SpokeAmqpStage stage, gboolean has_proxy, const GError *error)
{
    if (has_proxy && stage <= SPOKE_AMQP_STAGE_PROXY)
        return SPOKE_CAUSE_PROXY;

    switch (stage) {
    case SPOKE_AMQP_STAGE_RESOLVE:
        return error != NULL && error->domain == G_RESOLVER_ERROR ? SPOKE_CAUSE_DNS
                                                                  : SPOKE_CAUSE_NETWORK;
    case SPOKE_AMQP_STAGE_TCP:
        return error != NULL && error->domain == G_RESOLVER_ERROR ? SPOKE_CAUSE_DNS
                                                                  : of_socket(error);
    case SPOKE_AMQP_STAGE_PROXY:
        return SPOKE_CAUSE_PROXY;
    case SPOKE_AMQP_STAGE_TLS:
        return g_error_matches(error, G_TLS_ERROR, G_TLS_ERROR_BAD_CERTIFICATE)
                   ? SPOKE_CAUSE_CERTIFICATE
                   : SPOKE_CAUSE_TLS;
    case SPOKE_AMQP_STAGE_UPGRADE:
        if (error != NULL && error->domain == G_TLS_ERROR && !is_hang_up(error))
            return SPOKE_CAUSE_TLS;
        return SPOKE_CAUSE_PROTOCOL;
    case SPOKE_AMQP_STAGE_GREETING:
    case SPOKE_AMQP_STAGE_OPEN:
        break;
    }
    if (is_hang_up(error))
        return SPOKE_CAUSE_CLOSED_BY_HUB;
    if (g_error_matches(error, G_IO_ERROR, G_IO_ERROR_INVALID_DATA))
        return SPOKE_CAUSE_PROTOCOL;
    /* A client's certificate that is not liked is refused after the handshake of TLS 1.3. */
    return error->domain == G_TLS_ERROR ? SPOKE_CAUSE_TLS : SPOKE_CAUSE_NETWORK;
}

SpokeCause
spoke_amqp_failure_of_silence(SpokeAmqpStage stage, gboolean has_proxy, const char **ret_detail)
{
    static const struct {
        SpokeCause cause;
        const char *detail;
    } rows[] = {
        [SPOKE_AMQP_STAGE_RESOLVE] = {SPOKE_CAUSE_DNS, "No answer from the name servers"},
        [SPOKE_AMQP_STAGE_TCP] = {SPOKE_CAUSE_TCP_TIMEOUT, "No answer to the TCP connection"},
        [SPOKE_AMQP_STAGE_PROXY] = {SPOKE_CAUSE_PROXY, "No answer to CONNECT"},
        [SPOKE_AMQP_STAGE_TLS] = {SPOKE_CAUSE_TLS, "No answer in the TLS handshake"},
        [SPOKE_AMQP_STAGE_UPGRADE] = {SPOKE_CAUSE_PROTOCOL, "No answer to the WebSocket upgrade"},
        [SPOKE_AMQP_STAGE_GREETING] = {SPOKE_CAUSE_PROTOCOL, "No answer to the AMQP greeting"},
        [SPOKE_AMQP_STAGE_OPEN] = {SPOKE_CAUSE_KEEPALIVE, "No answer"},
    };

    *ret_detail = rows[stage].detail;
    return has_proxy && stage <= SPOKE_AMQP_STAGE_PROXY ? SPOKE_CAUSE_PROXY : rows[stage].cause;
}
