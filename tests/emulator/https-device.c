/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Each request brings its credential and is judged by itself: no link comes of it, so that it
 * disturbs none. */

#include "https-device.h"

#include "access.h"
#include "c2d.h"
#include "error.h"
#include "faults.h"
#include "https-answer.h"
#include "https-batch.h"
#include "https-properties.h"
#include "hub.h"
#include "json-text.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define BATCH_TYPE "application/vnd.microsoft.iothub.json"

/* A lock on the wire: hubs use UUIDs, of which this one needs half. */
#define LOCK_SIZE 36

typedef struct {
    EmuHub *hub;                /* borrowed */
    SoupServerMessage *message; /* borrowed */
    const EmuHttpsPath *path;   /* borrowed */
    EmuIdentity *identity;      /* borrowed; who sent it */
    gint64 now_usec;            /* the hub's clock */
    EmuHttpsOutcome outcome;
} Request;

typedef gboolean (*Handler)(Request *request, GError **error);

static const char *
header(const Request *request, const char *name)
{
    return soup_message_headers_get_one(soup_server_message_get_request_headers(request->message),
                                        name);
}

/* CONNACK codes serve as names of refusals in faults and counters. */
static gboolean
check_refusal(Request *request, GError **error)
{
    guint code = 0;

    if (!emu_faults_refuses_login(emu_hub_faults(request->hub), request->path->device_id, &code))
        return TRUE;
    g_set_error(error, EMU_ERROR, code == 3 ? EMU_ERROR_UNAVAILABLE : EMU_ERROR_UNAUTHORIZED,
                code == 3 ? "Refused on request" : "Unauthorized");
    return FALSE;
}

static gboolean
log_in(Request *request, GTlsCertificate *peer, GError **error)
{
    EmuRegistry *registry = emu_hub_registry(request->hub);
    const EmuHubOptions *options = emu_hub_options(request->hub);
    const char *token = header(request, "Authorization");
    const EmuCredential credential = {token, token != NULL ? strlen(token) : 0, peer};
    gint64 expiry_sec = 0;

    if (!check_refusal(request, error))
        return FALSE;
    EmuIdentity *identity =
        emu_registry_find(registry, request->path->device_id, request->path->module_id);
    if (identity == NULL) {
        g_set_error(error, EMU_ERROR, EMU_ERROR_NOT_FOUND, "%s is not registered",
                    request->path->device_id);
        return FALSE;
    }
    if (!emu_access_check_credential(registry, options->host, identity, &credential,
                                     request->now_usec / G_USEC_PER_SEC, options->sas_grace_sec,
                                     &expiry_sec, error))
        return FALSE;
    request->identity = identity;
    identity->last_activity_usec = request->now_usec;
    return TRUE;
}

static void
count_refusal(Request *request, const GError *error)
{
    EmuHubStats *stats = emu_hub_stats(request->hub);

    stats->refused[g_error_matches(error, EMU_ERROR, EMU_ERROR_UNAVAILABLE) ? 3 : 5]++;
    g_message("Request for %s refused: %s", request->path->device_id, error->message);
}

static gboolean
is_batch(const Request *request)
{
    const char *type = soup_message_headers_get_content_type(
        soup_server_message_get_request_headers(request->message), NULL);

    return type != NULL && g_ascii_strcasecmp(type, BATCH_TYPE) == 0;
}

static EmuHttpsMessage *
single_message(const Request *request, GBytes *body)
{
    EmuHttpsMessage *single = g_new0(EmuHttpsMessage, 1);
    g_autoptr(GString) bag = g_string_new(NULL);
    SoupMessageHeadersIter iter;
    const char *name = NULL;
    const char *value = NULL;

    soup_message_headers_iter_init(&iter,
                                   soup_server_message_get_request_headers(request->message));
    while (soup_message_headers_iter_next(&iter, &name, &value))
        emu_https_add_property(bag, name, value);
    single->bag = g_strdup(bag->str);
    single->body = g_bytes_ref(body);
    return single;
}

static GPtrArray *
read_messages(const Request *request, GError **error)
{
    SoupMessageBody *body = soup_server_message_get_request_body(request->message);

    /* What went over the limit was not collected. */
    if (!soup_message_body_get_accumulate(body) || body->length > (goffset)EMU_HTTPS_BODY_MAX) {
        g_set_error(error, EMU_ERROR, EMU_ERROR_TOO_LARGE, "The request is over the limit of %zu",
                    EMU_HTTPS_BODY_MAX);
        return NULL;
    }
    g_autoptr(GBytes) bytes = soup_message_body_flatten(body);
    if (is_batch(request))
        return emu_https_batch_parse(g_bytes_get_data(bytes, NULL), g_bytes_get_size(bytes), error);

    GPtrArray *messages = g_ptr_array_new_with_free_func(emu_https_message_free);
    g_ptr_array_add(messages, single_message(request, bytes));
    return messages;
}

/* What the faults say of a request with so many messages. */
static EmuVerdict
judge(Request *request, guint n)
{
    return emu_faults_judge_many(emu_hub_faults(request->hub), request->identity->device_id, n,
                                 g_get_monotonic_time());
}

static gboolean
check_verdict(EmuVerdict verdict, GError **error)
{
    if (verdict == EMU_VERDICT_THROTTLE)
        g_set_error(error, EMU_ERROR, EMU_ERROR_THROTTLED, "Too many messages, come back later");
    else if (verdict == EMU_VERDICT_QUOTA)
        g_set_error(error, EMU_ERROR, EMU_ERROR_QUOTA, "The messages of this day are used up");
    return verdict != EMU_VERDICT_THROTTLE && verdict != EMU_VERDICT_QUOTA;
}

/* Stores all messages of a request, or none. */
static gboolean
store(Request *request, const GPtrArray *messages, GError **error)
{
    EmuTelemetry *telemetry = emu_hub_telemetry(request->hub);
    const EmuIdentity *identity = request->identity;
    g_autoptr(EmuOrigin) origin =
        emu_origin_new(identity->device_id, identity->module_id, identity->generation_id, NULL,
                       emu_identity_auth_type(identity));

    for (guint i = 0; i < messages->len; i++) {
        const EmuHttpsMessage *message = g_ptr_array_index(messages, i);
        const EmuArrival arrival = {
            .origin = origin,
            .bag = message->bag,
            .bag_size = strlen(message->bag),
            .body = g_bytes_get_data(message->body, NULL),
            .body_size = g_bytes_get_size(message->body),
            .enqueued_usec = request->now_usec,
        };
        /* Only a single message can be too large: a batch fits into the limit as a whole. */
        if (!emu_telemetry_add(telemetry, &arrival, error))
            return FALSE;
    }
    return emu_telemetry_commit(telemetry, error);
}

static gboolean
post_events(Request *request, GError **error)
{
    g_autoptr(GPtrArray) messages = read_messages(request, error);

    if (messages == NULL)
        return FALSE;
    EmuVerdict verdict = judge(request, messages->len);
    if (verdict == EMU_VERDICT_CUT) {
        request->outcome = EMU_HTTPS_CUT;
        return TRUE;
    }
    if (!check_verdict(verdict, error) || !store(request, messages, error))
        return FALSE;

    request->identity->messages_received += messages->len;
    request->outcome = verdict == EMU_VERDICT_STORE_CUT ? EMU_HTTPS_CUT : EMU_HTTPS_STORED;
    soup_server_message_set_status(request->message, SOUP_STATUS_NO_CONTENT, NULL);
    return TRUE;
}

static char *
lock_to_text(guint64 lock)
{
    return g_strdup_printf("00000000-0000-4000-%04" PRIx64 "-%012" PRIx64, lock >> 48,
                           lock & 0xffffffffffffu);
}

static gboolean
lock_from_text(const char *text, guint64 *ret_lock)
{
    unsigned high = 0;
    guint64 low = 0;
    int n = 0;

    if (strlen(text) != LOCK_SIZE ||
        sscanf(text, "00000000-0000-4000-%4x-%12" SCNx64 "%n", &high, &low, &n) != 2 ||
        n != LOCK_SIZE)
        return FALSE;
    *ret_lock = (guint64)high << 48 | low;
    return TRUE;
}

static void
add_header(const char *name, const char *value, gpointer user_data)
{
    soup_message_headers_append(user_data, name, value);
}

static void
add_number(SoupMessageHeaders *headers, const char *name, guint64 number)
{
    g_autofree char *text = g_strdup_printf("%" G_GUINT64_FORMAT, number);

    soup_message_headers_append(headers, name, text);
}

static void
write_c2d(Request *request, const EmuC2dMessage *c2d)
{
    SoupMessageHeaders *headers = soup_server_message_get_response_headers(request->message);
    g_autofree char *lock = lock_to_text(c2d->lock);
    g_autofree char *etag = g_strdup_printf("\"%s\"", lock);
    g_autofree char *to = g_strdup_printf("/devices/%s/messages/deviceBound", c2d->device_id);
    g_autofree char *enqueued = emu_time_to_text(c2d->enqueued_usec);

    soup_message_headers_append(headers, "ETag", etag);
    soup_message_headers_append(headers, "iothub-to", to);
    soup_message_headers_append(headers, "iothub-enqueuedtime", enqueued);
    add_number(headers, "iothub-sequencenumber", c2d->sequence);
    add_number(headers, "iothub-deliverycount", c2d->delivery_count);
    guint lost = emu_https_list_headers(c2d->bag, add_header, headers);
    if (lost > 0)
        g_message("%u properties of message %s cannot go as headers", lost, c2d->message_id);
    soup_message_body_append_bytes(soup_server_message_get_response_body(request->message),
                                   c2d->body);
    soup_server_message_set_status(request->message, SOUP_STATUS_OK, NULL);
}

static gboolean
get_devicebound(Request *request, GError **error)
{
    g_autoptr(EmuC2dMessage) c2d =
        emu_c2d_take(emu_hub_c2d(request->hub), request->identity->device_id, request->now_usec);

    if (c2d == NULL)
        soup_server_message_set_status(request->message, SOUP_STATUS_NO_CONTENT, NULL);
    else
        write_c2d(request, c2d);
    return TRUE;
}

/* If-Match, if it is there, says once more which lock is meant; one SDK quotes it. */
static gboolean
matches_lock(const Request *request)
{
    const char *text = header(request, "If-Match");

    if (text == NULL || g_str_equal(text, "*"))
        return TRUE;
    g_autofree char *bare = g_strdup(text);
    size_t size = strlen(bare);
    if (size >= 2 && bare[0] == '"' && bare[size - 1] == '"') {
        bare[size - 1] = '\0';
        return g_ascii_strcasecmp(bare + 1, request->path->lock) == 0;
    }
    return g_ascii_strcasecmp(bare, request->path->lock) == 0;
}

static gboolean
find_lock(const Request *request, guint64 *ret_lock, GError **error)
{
    if (!lock_from_text(request->path->lock, ret_lock)) {
        g_set_error(error, EMU_ERROR, EMU_ERROR_ARGUMENT, "The lock token is none of this hub");
        return FALSE;
    }
    if (matches_lock(request) &&
        emu_c2d_is_of(emu_hub_c2d(request->hub), *ret_lock, request->identity->device_id))
        return TRUE;
    g_set_error(error, EMU_ERROR, EMU_ERROR_LOCK_LOST, "This lock holds no message of the device");
    return FALSE;
}

/* The query holds a bare `reject`. */
static gboolean
wants_reject(const Request *request)
{
    const char *query = g_uri_get_query(soup_server_message_get_uri(request->message));
    g_auto(GStrv) pairs = g_strsplit(query != NULL ? query : "", "&", -1);

    for (size_t i = 0; pairs[i] != NULL; i++) {
        pairs[i][strcspn(pairs[i], "=")] = '\0';
        if (g_ascii_strcasecmp(pairs[i], "reject") == 0)
            return TRUE;
    }
    return FALSE;
}

static gboolean
settle(Request *request, GError **error)
{
    EmuC2d *c2d = emu_hub_c2d(request->hub);
    guint64 lock = 0;

    if (!find_lock(request, &lock, error))
        return FALSE;
    gboolean done = request->path->endpoint == EMU_HTTPS_ABANDON
                        ? emu_c2d_abandon(c2d, lock, request->now_usec, error)
                    : wants_reject(request) ? emu_c2d_reject(c2d, lock, request->now_usec, error)
                                            : emu_c2d_complete(c2d, lock, request->now_usec, error);
    if (!done)
        return FALSE;
    soup_server_message_set_status(request->message, SOUP_STATUS_NO_CONTENT, NULL);
    return TRUE;
}

static const Handler handlers[] = {
    [EMU_HTTPS_EVENTS] = post_events,
    [EMU_HTTPS_DEVICEBOUND] = get_devicebound,
    [EMU_HTTPS_LOCK] = settle,
    [EMU_HTTPS_ABANDON] = settle,
};
G_STATIC_ASSERT(G_N_ELEMENTS(handlers) == EMU_N_HTTPS_ENDPOINTS);

static gboolean
check_method(const Request *request, GError **error)
{
    const char *method = soup_server_message_get_method(request->message);

    if (g_str_equal(method, emu_https_endpoint_method(request->path->endpoint)))
        return TRUE;
    g_set_error(error, EMU_ERROR, EMU_ERROR_METHOD, "This path has no %s", method);
    return FALSE;
}

EmuHttpsOutcome
emu_https_device_serve(EmuHub *hub, SoupServerMessage *message, const EmuHttpsPath *path,
                       GTlsCertificate *peer)
{
    Request request = {
        .hub = hub,
        .message = message,
        .path = path,
        .now_usec = emu_hub_now_usec(hub),
        .outcome = EMU_HTTPS_ANSWERED,
    };
    g_autoptr(GError) error = NULL;

    if (!check_method(&request, &error)) {
        emu_https_answer_error(message, error, request.now_usec);
        return EMU_HTTPS_ANSWERED;
    }
    if (!log_in(&request, peer, &error))
        count_refusal(&request, error);
    if (error != NULL || !handlers[path->endpoint](&request, &error))
        emu_https_answer_error(message, error, request.now_usec);
    return request.outcome;
}
