/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/transports/https/failure.h"

#include <errno.h>

static SpokeCause
cause_of_connect(const SpokeFailure *failure)
{
    if (failure->uses_proxy)
        return SPOKE_CAUSE_PROXY;
    switch (failure->os_error) {
    case ECONNREFUSED:
        return SPOKE_CAUSE_TCP_REFUSED;
    case ETIMEDOUT:
        return SPOKE_CAUSE_TCP_TIMEOUT;
    default:
        return SPOKE_CAUSE_NETWORK;
    }
}

static SpokeCause
cause_of_timeout(const SpokeFailure *failure)
{
    if (failure->is_secured)
        return SPOKE_CAUSE_KEEPALIVE;
    if (failure->is_connected && (!failure->uses_proxy || failure->connect_status != 0))
        return SPOKE_CAUSE_TLS;
    if (failure->uses_proxy)
        return SPOKE_CAUSE_PROXY;
    return failure->is_resolved ? SPOKE_CAUSE_TCP_TIMEOUT : SPOKE_CAUSE_DNS;
}

/* A connection that breaks off: by whom depends on how far it came. */
static SpokeCause
cause_of_break(const SpokeFailure *failure)
{
    if (failure->uses_proxy && !failure->is_secured)
        return SPOKE_CAUSE_PROXY;
    if (!failure->is_secured)
        return SPOKE_CAUSE_TLS;
    /* Who hangs up and has never answered may be anything that speaks TLS. */
    return failure->has_answered ? SPOKE_CAUSE_CLOSED_BY_HUB : SPOKE_CAUSE_PROTOCOL;
}

SpokeCause
spoke_failure_get_cause(const SpokeFailure *failure)
{
    if (failure->connect_status >= 300) /* whatever curl calls it */
        return SPOKE_CAUSE_PROXY;
    switch (failure->code) {
    case CURLE_OK:
        return SPOKE_CAUSE_NONE;
    case CURLE_COULDNT_RESOLVE_HOST:
        return SPOKE_CAUSE_DNS;
    case CURLE_COULDNT_RESOLVE_PROXY:
    case CURLE_PROXY:
        return SPOKE_CAUSE_PROXY;
    case CURLE_COULDNT_CONNECT:
        return cause_of_connect(failure);
    case CURLE_OPERATION_TIMEDOUT:
        return cause_of_timeout(failure);
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_SSL_CIPHER:
        return SPOKE_CAUSE_TLS;
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_ISSUER_ERROR:
    case CURLE_SSL_INVALIDCERTSTATUS:
        return SPOKE_CAUSE_CERTIFICATE;
    case CURLE_SSL_CERTPROBLEM:
        return SPOKE_CAUSE_BAD_CREDENTIALS;
    case CURLE_GOT_NOTHING:
        return failure->is_secured ? SPOKE_CAUSE_CLOSED_BY_HUB : cause_of_break(failure);
    case CURLE_SEND_ERROR:
    case CURLE_RECV_ERROR:
    case CURLE_PARTIAL_FILE:
        return cause_of_break(failure);
    case CURLE_INTERFACE_FAILED:
        return SPOKE_CAUSE_NETWORK;
    case CURLE_UNSUPPORTED_PROTOCOL:
    case CURLE_WEIRD_SERVER_REPLY:
    case CURLE_BAD_CONTENT_ENCODING:
    case CURLE_WRITE_ERROR: /* an answer larger than any the hub gives */
        return SPOKE_CAUSE_PROTOCOL;
    case CURLE_OUT_OF_MEMORY: /* also curl's word for a header line over 100 KiB */
        return failure->is_secured ? SPOKE_CAUSE_PROTOCOL : SPOKE_CAUSE_INTERNAL;
    default:
        return SPOKE_CAUSE_INTERNAL;
    }
}
