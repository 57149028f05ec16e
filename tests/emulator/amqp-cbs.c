/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Claims-based security: tokens are messages to $cbs, and so are the answers. A token lets the
 * identity it names onto the connection; a newer one prolongs that. Source: protocol page, 3.3. */

#include "amqp-private.h"

#include "access.h"
#include "error.h"
#include "faults.h"

#include <string.h>

#define CREDIT_MAX  100
#define REQUEST_MAX ((size_t)64 * 1024)
#define QUEUED_MAX  1000 /* answers that wait for credit */
#define TOKEN_TYPE  "servicebus.windows.net:sastoken"

/* The names under which a client may reach this hub without a gateway's being in between. */
static const char *const local_names[] = {"localhost", "127.0.0.1", "[::1]"};

typedef struct {
    EmuAmqpValue message_id; /* code 0: it has none */
    char *audience;          /* owned */
    EmuAmqpReader token;     /* borrowed from the request */
} Request;

static void
request_clear(Request *request)
{
    g_clear_pointer(&request->audience, g_free);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Request, request_clear)

static gboolean
malformed(GError **error, const char *what)
{
    g_set_error(error, EMU_ERROR, EMU_ERROR_ARGUMENT, "%s", what);
    return FALSE;
}

static gboolean
parse_request(EmuAmqpReader data, Request *request, GError **error)
{
    EmuAmqpMessage message;
    EmuAmqpValue value;
    const char *wrong = emu_amqp_message_parse(data.data, data.size, &message);

    if (wrong != NULL)
        return malformed(error, wrong);
    (void)emu_amqp_message_field(&message, EMU_AMQP_MESSAGE_ID, &request->message_id);
    if (!emu_amqp_message_find(&message, "operation", &value) ||
        !emu_amqp_text_equals(&value, "put-token"))
        return malformed(error, "The operation is not put-token");
    if (!emu_amqp_message_find(&message, "type", &value) ||
        !emu_amqp_text_equals(&value, TOKEN_TYPE))
        return malformed(error, "The type is not " TOKEN_TYPE);
    if (!emu_amqp_message_find(&message, "name", &value) || !emu_amqp_is_text(&value))
        return malformed(error, "There is no name");
    request->audience = emu_amqp_to_text(&value);
    if (!emu_amqp_is_text(&message.value))
        return malformed(error, "The body is not a string");
    request->token = (EmuAmqpReader){message.value.data, message.value.size};
    return TRUE;
}

/* The host that tokens for this audience may name: SDKs take the name they dial, which is the
 * hub's or, behind a gateway, another. NULL: it is none of ours. */
static const char *
host_of(EmuAmqpSession *session, const EmuAmqpAddress *audience)
{
    const char *host = emu_hub_options(session->hub)->host;

    if (g_ascii_strcasecmp(audience->host, host) == 0)
        return host;
    for (size_t i = 0; i < G_N_ELEMENTS(local_names); i++) {
        if (g_ascii_strcasecmp(audience->host, local_names[i]) == 0)
            return local_names[i];
    }
    return NULL;
}

static EmuIdentity *
find_identity(EmuAmqpSession *session, const EmuAmqpAddress *audience, GError **error)
{
    EmuIdentity *identity = emu_amqp_address_find(audience, emu_hub_registry(session->hub));

    if (identity == NULL)
        g_set_error(error, EMU_ERROR, EMU_ERROR_NOT_FOUND,
                    "Device %s%s%s at IotHub %s not registered.", audience->device_id,
                    audience->module_id != NULL ? "/" : "",
                    audience->module_id != NULL ? audience->module_id : "",
                    emu_hub_options(session->hub)->host);
    return identity;
}

/* A renewal is no login: faults that refuse logins leave it alone. */
static gboolean
check_refusal(EmuAmqpSession *session, const EmuIdentity *identity, GError **error)
{
    EmuAmqpDevice *device = emu_amqp_devices_find(session->devices, identity);
    guint code = 0;

    if ((device != NULL && device->expiry_sec != 0) ||
        !emu_faults_refuses_login(emu_hub_faults(session->hub), identity->device_id, &code))
        return TRUE;
    g_set_error(error, EMU_ERROR, code == 3 ? EMU_ERROR_UNAVAILABLE : EMU_ERROR_TOKEN,
                "%s is refused on request", identity->device_id);
    return FALSE;
}

static gboolean
put_token(EmuAmqpSession *session, const Request *request, GError **error)
{
    const EmuHubOptions *options = emu_hub_options(session->hub);
    EmuRegistry *registry = emu_hub_registry(session->hub);
    g_auto(EmuAmqpAddress) audience = {0};
    gint64 now_sec = emu_hub_now_usec(session->hub) / G_USEC_PER_SEC;
    gint64 expiry_sec = 0;

    if (!emu_amqp_audience_parse(request->audience, &audience))
        return malformed(error, "The name is not that of a device or module");
    const char *host = host_of(session, &audience);
    if (host == NULL || session->single) {
        g_set_error(error, EMU_ERROR, EMU_ERROR_UNAUTHORIZED,
                    host == NULL ? "The name is not of this hub"
                                 : "This connection is one identity's own");
        return FALSE;
    }
    EmuIdentity *identity = find_identity(session, &audience, error);
    if (identity == NULL || !check_refusal(session, identity, error) ||
        !emu_access_check(registry, host, identity, (const char *)request->token.data,
                          request->token.size, now_sec, options->sas_grace_sec, &expiry_sec, error))
        return FALSE;

    EmuAmqpDevice *device = emu_amqp_devices_add(session->devices, session, identity);
    if (device == NULL) {
        g_set_error(error, EMU_ERROR, EMU_ERROR_QUOTA, "%d identities are on this connection",
                    EMU_AMQP_DEVICES_MAX);
        return FALSE;
    }
    emu_amqp_devices_grant(session->devices, device, expiry_sec);
    return TRUE;
}

/* The hub's number starts with the status, but a disabled device is as if it were not there.
 * Source: protocol page, 7.5. */
static gint32
status_of(const GError *error)
{
    if (error == NULL)
        return 200;
    return error->code == EMU_ERROR_DISABLED ? 404 : error->code / 1000;
}

/* Counts a refused login under the CONNACK code of the same meaning. */
static void
count_refusal(EmuAmqpSession *session, const GError *error)
{
    EmuHubStats *stats = emu_hub_stats(session->hub);

    g_message("Token refused: %s", error->message);
    if (error->code == EMU_ERROR_ARGUMENT)
        stats->refused[4]++;
    else
        stats->refused[error->code == EMU_ERROR_UNAVAILABLE ? 3 : 5]++;
}

static void
write_reply(GByteArray *out, const EmuAmqpValue *message_id, gint32 status, const char *text)
{
    emu_amqp_write_descriptor(out, EMU_AMQP_PROPERTIES);
    guint properties = emu_amqp_begin_list(out);
    for (int field = 0; field < EMU_AMQP_CORRELATION_ID; field++)
        emu_amqp_write_null(out);
    if (message_id->code != 0)
        emu_amqp_write_value(out, message_id);
    else
        emu_amqp_write_null(out);
    emu_amqp_end(out, properties, EMU_AMQP_CORRELATION_ID + 1);

    emu_amqp_write_descriptor(out, EMU_AMQP_APPLICATION_PROPERTIES);
    guint application = emu_amqp_begin_map(out);
    emu_amqp_write_string(out, "status-code");
    emu_amqp_write_int(out, status);
    emu_amqp_write_string(out, "status-description");
    emu_amqp_write_string(out, text);
    emu_amqp_end(out, application, 4);

    emu_amqp_write_descriptor(out, EMU_AMQP_AMQP_VALUE);
    emu_amqp_write_null(out);
}

static void
send_reply(EmuAmqpSession *session, const Request *request, const GError *error)
{
    g_autoptr(GByteArray) reply = g_byte_array_new();
    pn_link_t *link = session->cbs_replies;
    guint32 tag = GUINT32_TO_LE(++session->last_reply_tag);

    if (link == NULL) {
        g_message("A token came, but nobody listens for the answer");
        return;
    }
    if (pn_link_queued(link) >= QUEUED_MAX) {
        emu_amqp_session_cut(session, "protocol-error: answers to tokens are not taken");
        return;
    }

    write_reply(reply, &request->message_id, status_of(error),
                error != NULL ? error->message : "OK");
    pn_delivery_t *delivery = pn_delivery(link, pn_dtag((const char *)&tag, sizeof tag));
    (void)pn_link_send(link, (const char *)reply->data, reply->len);
    (void)pn_link_advance(link);
    if (pn_link_remote_snd_settle_mode(link) == PN_SND_SETTLED)
        pn_delivery_settle(delivery);
}

void
emu_amqp_cbs_grant(EmuAmqpEnd *end)
{
    int credit = pn_link_credit(end->link);

    if (credit <= CREDIT_MAX / 2)
        pn_link_flow(end->link, CREDIT_MAX - credit);
}

void
emu_amqp_cbs_request(EmuAmqpEnd *end, pn_delivery_t *delivery)
{
    EmuAmqpSession *session = end->session;
    g_auto(Request) request = {.audience = NULL};
    g_autoptr(GError) error = NULL;

    if (!emu_amqp_end_receive(end, delivery, REQUEST_MAX))
        return;

    EmuAmqpReader data = {session->bytes->data, session->bytes->len};
    if (!parse_request(data, &request, &error) || !put_token(session, &request, &error))
        count_refusal(session, error);
    pn_delivery_update(delivery, PN_ACCEPTED);
    pn_delivery_settle(delivery);
    emu_amqp_cbs_grant(end);
    send_reply(session, &request, error);
    (void)emu_amqp_session_review_black_hole(session);
}

void
emu_amqp_cbs_reply_settled(EmuAmqpEnd *end, pn_delivery_t *delivery)
{
    if (pn_delivery_updated(delivery))
        pn_delivery_settle(delivery);
}
