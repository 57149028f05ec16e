/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "dbus/device-handlers.h"

#include "dbus/call.h"
#include "dbus/error-bus.h"
#include "dbus/options.h"

/*
 * Cloud-to-device messages down. Here the bus's words become those of daemon/delivery.h: the owner
 * of a subscription is the caller's unique name, the user its uid in decimal.
 */

/* How many properties a filter may name. Source: dbus/org.spoked1.Device.xml, Subscribe. */
#define FILTER_PROPERTIES_MAX 16

static const char *const modes[] = {"observe", "handle", NULL};
G_STATIC_ASSERT(SPOKE_SUBSCRIBE_OBSERVE == 0 && SPOKE_SUBSCRIBE_HANDLE == 1);

enum { SUBSCRIBE_MODE, SUBSCRIBE_FILTER, SUBSCRIBE_LOCK, SUBSCRIBE_CREDIT, N_SUBSCRIBE_OPTIONS };

static const SpokeOption subscribe_options[N_SUBSCRIBE_OPTIONS] = {
    [SUBSCRIBE_MODE] = {"mode", SPOKE_OPTION_CHOICE, .choices = modes},
    [SUBSCRIBE_FILTER] = {"filter", SPOKE_OPTION_PROPERTIES, .max = FILTER_PROPERTIES_MAX},
    [SUBSCRIBE_LOCK] = {"lock", SPOKE_OPTION_NUMBER, SPOKE_LOCK_MSEC_MIN, SPOKE_LOCK_MSEC_MAX},
    [SUBSCRIBE_CREDIT] = {"credit", SPOKE_OPTION_NUMBER, 1, SPOKE_CREDIT_MAX},
};

enum { RECEIVE_FILTER, RECEIVE_LOCK, RECEIVE_DEAD_LETTER, N_RECEIVE_OPTIONS };

static const SpokeOption receive_options[N_RECEIVE_OPTIONS] = {
    [RECEIVE_FILTER] = {"filter", SPOKE_OPTION_PROPERTIES, .max = FILTER_PROPERTIES_MAX},
    [RECEIVE_LOCK] = {"lock", SPOKE_OPTION_NUMBER, SPOKE_LOCK_MSEC_MIN, SPOKE_LOCK_MSEC_MAX},
    [RECEIVE_DEAD_LETTER] = {"dead-letter", SPOKE_OPTION_FLAG},
};

typedef struct {
    SpokeSubscribeMode mode;
    GBytes *filter; /* owned; NULL for all */
    guint64 lock_msec;
    guint credit;
} SubscribeRequest;

typedef struct {
    gint64 timeout_usec;
    GBytes *filter; /* owned; NULL for all */
    guint64 lock_msec;
    gboolean dead_letter;
} ReceiveRequest;

typedef struct {
    guint64 id;
    SpokeSettle settle;
} SettleRequest;

static void
subscribe_request_free(SubscribeRequest *request)
{
    g_clear_pointer(&request->filter, g_bytes_unref);
    g_free(request);
}
G_DEFINE_AUTOPTR_CLEANUP_FUNC(SubscribeRequest, subscribe_request_free)

static void
receive_request_free(ReceiveRequest *request)
{
    g_clear_pointer(&request->filter, g_bytes_unref);
    g_free(request);
}
G_DEFINE_AUTOPTR_CLEANUP_FUNC(ReceiveRequest, receive_request_free)

static gboolean
check_subscribe_options(const SpokeOptionValue *values, GError **error)
{
    if (values[SUBSCRIBE_MODE].number == SPOKE_SUBSCRIBE_HANDLE ||
        (!values[SUBSCRIBE_LOCK].is_set && !values[SUBSCRIBE_CREDIT].is_set))
        return TRUE;

    g_set_error(error, SPOKE_ERROR, SPOKE_ERROR_INVALID_OPTION,
                "Option %s needs mode \"handle\": an observer locks nothing",
                values[SUBSCRIBE_LOCK].is_set ? "lock" : "credit");
    return FALSE;
}

static SubscribeRequest *
read_subscribe(sd_bus_message *m, GError **error)
{
    SpokeOptionValue values[N_SUBSCRIBE_OPTIONS] = {0};
    SubscribeRequest *request = NULL;

    if (spoke_options_read(m, subscribe_options, N_SUBSCRIBE_OPTIONS, values, error) &&
        check_subscribe_options(values, error)) {
        request = g_new0(SubscribeRequest, 1);
        request->mode = (SpokeSubscribeMode)values[SUBSCRIBE_MODE].number;
        request->filter = g_steal_pointer(&values[SUBSCRIBE_FILTER].properties);
        request->lock_msec =
            values[SUBSCRIBE_LOCK].is_set ? values[SUBSCRIBE_LOCK].number : SPOKE_LOCK_MSEC_DEFAULT;
        request->credit = values[SUBSCRIBE_CREDIT].is_set ? (guint)values[SUBSCRIBE_CREDIT].number
                                                          : SPOKE_CREDIT_DEFAULT;
    }
    spoke_options_clear(values, N_SUBSCRIBE_OPTIONS);
    return request;
}

static gboolean
check_receive_options(const SpokeOptionValue *values, GError **error)
{
    if (!values[RECEIVE_LOCK].is_set || !values[RECEIVE_DEAD_LETTER].flag)
        return TRUE;

    g_set_error_literal(error, SPOKE_ERROR, SPOKE_ERROR_INVALID_OPTION,
                        "Options lock and dead-letter don't go together: a dead letter is taken "
                        "for good");
    return FALSE;
}

static ReceiveRequest *
read_receive(sd_bus_message *m, GError **error)
{
    SpokeOptionValue values[N_RECEIVE_OPTIONS] = {0};
    ReceiveRequest *request = NULL;
    uint64_t timeout_msec = 0;

    if (sd_bus_message_read_basic(m, 't', &timeout_msec) < 0) {
        spoke_error_set_malformed(error);
        return NULL;
    }
    if (spoke_options_read(m, receive_options, N_RECEIVE_OPTIONS, values, error) &&
        check_receive_options(values, error)) {
        request = g_new0(ReceiveRequest, 1);
        request->timeout_usec = (gint64)MIN(timeout_msec, SPOKE_WAIT_MSEC_MAX) * 1000;
        request->filter = g_steal_pointer(&values[RECEIVE_FILTER].properties);
        request->lock_msec = values[RECEIVE_LOCK].number;
        request->dead_letter = values[RECEIVE_DEAD_LETTER].flag;
    }
    spoke_options_clear(values, N_RECEIVE_OPTIONS);
    return request;
}

/* Somebody to give messages to must be on the bus, and we must hear when they leave. */
static gboolean
check_presence(SpokeCaller *caller, GError **error)
{
    if (spoke_caller_is_present(caller))
        return TRUE;

    g_set_error_literal(error, SPOKE_ERROR, SPOKE_ERROR_NOT_PERMITTED,
                        "The bus does not know who is calling");
    return FALSE;
}

static void
subscribe(SpokeCall *call, gpointer object, gpointer user_data)
{
    SpokeDeviceBus *self = object;
    const SubscribeRequest *request = user_data;
    SpokeCaller *caller = spoke_call_get_caller(call);
    g_autoptr(GError) error = NULL;

    if (!spoke_caller_hold(caller, &error)) {
        spoke_call_fail(call, error);
        return;
    }
    guint32 subscription = spoke_delivery_subscribe(
        spoke_device_get_delivery(self->device), spoke_caller_get_name(caller), request->mode,
        request->filter, request->lock_msec, request->credit, &error);
    if (subscription == 0) {
        spoke_caller_release(caller);
        spoke_call_fail(call, error);
        return;
    }
    if (spoke_listeners_is_slow(self->tree->listeners, spoke_caller_get_name(caller)))
        spoke_delivery_set_slow(spoke_device_get_delivery(self->device),
                                spoke_caller_get_name(caller), TRUE);
    spoke_call_answer(call, "u", subscription);
}

static void
unsubscribe(SpokeCall *call, gpointer object, gpointer request)
{
    SpokeDeviceBus *self = object;
    SpokeCaller *caller = spoke_call_get_caller(call);
    g_autoptr(GError) error = NULL;

    if (!spoke_delivery_unsubscribe(spoke_device_get_delivery(self->device),
                                    spoke_caller_get_name(caller), GPOINTER_TO_UINT(request),
                                    &error)) {
        spoke_call_fail(call, error);
        return;
    }
    spoke_caller_release(caller);
    spoke_call_answer(call, "");
}

static void
on_received(const SpokeDelivered *delivered, const GError *error, gpointer user_data)
{
    SpokeCall *call = user_data;

    if (error != NULL) {
        spoke_call_fail(call, error);
        return;
    }
    sd_bus_message *reply = spoke_call_new_reply(call);
    spoke_call_send_reply(call, reply, reply != NULL ? spoke_message_write(reply, delivered) : 0);
}

static void
receive(SpokeCall *call, gpointer object, gpointer user_data)
{
    SpokeDeviceBus *self = object;
    const ReceiveRequest *request = user_data;
    SpokeCaller *caller = spoke_call_get_caller(call);
    g_autoptr(GError) error = NULL;

    if (!check_presence(caller, &error) ||
        (request->timeout_usec > 0 && !spoke_call_hold(call, &error)) ||
        !spoke_delivery_receive(spoke_device_get_delivery(self->device),
                                spoke_caller_get_name(caller), spoke_caller_get_user(caller),
                                request->timeout_usec, request->filter, request->lock_msec,
                                request->dead_letter, on_received, call, &error))
        spoke_call_fail(call, error);
}

static void
on_settled(const GError *error, gpointer user_data)
{
    SpokeCall *call = user_data;

    if (error != NULL)
        spoke_call_fail(call, error);
    else
        spoke_call_answer(call, "");
}

static void
settle(SpokeCall *call, gpointer object, gpointer user_data)
{
    SpokeDeviceBus *self = object;
    const SettleRequest *request = user_data;
    SpokeCaller *caller = spoke_call_get_caller(call);
    g_autoptr(GError) error = NULL;

    if (!check_presence(caller, &error) ||
        !spoke_delivery_settle(spoke_device_get_delivery(self->device),
                               spoke_caller_get_name(caller), spoke_caller_get_user(caller),
                               request->id, request->settle, on_settled, call, &error))
        spoke_call_fail(call, error);
}

static int
method_settle(sd_bus_message *m, SpokeDeviceBus *self, SpokeSettle how, sd_bus_error *ret_error)
{
    g_autoptr(GError) error = NULL;
    const char *text = NULL;
    guint64 id = 0;

    int r = sd_bus_message_read_basic(m, 's', &text);
    if (r < 0)
        return r;
    if (!spoke_message_parse_id(text, &id)) {
        g_autofree char *quote = spoke_error_quote(text);
        (void)spoke_delivery_set_no_message(&error, quote);
        return spoke_error_to_bus(error, ret_error);
    }
    SpokeCall *call = spoke_call_new(m, self->tree->callers, 0, &error);
    if (call == NULL)
        return spoke_error_to_bus(error, ret_error);

    SettleRequest *request = g_new(SettleRequest, 1);
    *request = (SettleRequest){id, how};
    spoke_device_bus_start(self, call, settle, request, g_free);
    return 1; /* on_settled() answers */
}

int
spoke_device_method_subscribe(sd_bus_message *m, void *userdata, sd_bus_error *ret_error)
{
    SpokeDeviceBus *self = userdata;
    g_autoptr(GError) error = NULL;
    g_autoptr(SubscribeRequest) request = read_subscribe(m, &error);

    if (request == NULL)
        return spoke_error_to_bus(error, ret_error);
    SpokeCall *call = spoke_call_new(m, self->tree->callers, 0, &error);
    if (call == NULL)
        return spoke_error_to_bus(error, ret_error);

    spoke_device_bus_start(self, call, subscribe, g_steal_pointer(&request),
                           (GDestroyNotify)subscribe_request_free);
    return 1; /* subscribe() answers */
}

int
spoke_device_method_unsubscribe(sd_bus_message *m, void *userdata, sd_bus_error *ret_error)
{
    SpokeDeviceBus *self = userdata;
    g_autoptr(GError) error = NULL;
    uint32_t subscription = 0;

    int r = sd_bus_message_read_basic(m, 'u', &subscription);
    if (r < 0)
        return r;
    SpokeCall *call = spoke_call_new(m, self->tree->callers, 0, &error);
    if (call == NULL)
        return spoke_error_to_bus(error, ret_error);

    spoke_device_bus_start(self, call, unsubscribe, GUINT_TO_POINTER(subscription), NULL);
    return 1; /* unsubscribe() answers */
}

int
spoke_device_method_receive(sd_bus_message *m, void *userdata, sd_bus_error *ret_error)
{
    SpokeDeviceBus *self = userdata;
    g_autoptr(GError) error = NULL;
    g_autoptr(ReceiveRequest) request = read_receive(m, &error);

    if (request == NULL)
        return spoke_error_to_bus(error, ret_error);
    SpokeCall *call = spoke_call_new(m, self->tree->callers, 0, &error);
    if (call == NULL)
        return spoke_error_to_bus(error, ret_error);

    spoke_device_bus_start(self, call, receive, g_steal_pointer(&request),
                           (GDestroyNotify)receive_request_free);
    return 1; /* on_received() answers */
}

int
spoke_device_method_complete(sd_bus_message *m, void *userdata, sd_bus_error *ret_error)
{
    return method_settle(m, userdata, SPOKE_SETTLE_COMPLETE, ret_error);
}

int
spoke_device_method_abandon(sd_bus_message *m, void *userdata, sd_bus_error *ret_error)
{
    return method_settle(m, userdata, SPOKE_SETTLE_ABANDON, ret_error);
}

int
spoke_device_method_reject(sd_bus_message *m, void *userdata, sd_bus_error *ret_error)
{
    return method_settle(m, userdata, SPOKE_SETTLE_REJECT, ret_error);
}

void
spoke_device_emit_received(SpokeDeviceBus *self, const char *owner, const SpokeDelivered *delivered)
{
    g_autoptr(sd_bus_message) signal = NULL;

    int r = sd_bus_message_new_signal(self->tree->bus, &signal, self->path, SPOKE_DEVICE_INTERFACE,
                                      "MessageReceived");
    if (r >= 0)
        r = spoke_message_write(signal, delivered);
    if (r >= 0)
        r = sd_bus_send_to(self->tree->bus, signal, owner, NULL);
    if (r >= 0)
        spoke_listeners_note(self->tree->listeners, owner, spoke_message_cost(delivered->message));
    else if (!spoke_bus_is_gone(r))
        g_warning("Message %" G_GUINT64_FORMAT " could not be sent to %s: %s",
                  delivered->message->id, owner, g_strerror(-r));
}

static void
check_now(SpokeCall *call, gpointer object, gpointer request)
{
    SpokeDeviceBus *self = object;
    g_autoptr(GError) error = NULL;

    if (spoke_attachment_check_now(spoke_device_get_attachment(self->device))) {
        spoke_call_answer(call, "");
        return;
    }
    g_set_error_literal(&error, SPOKE_ERROR, SPOKE_ERROR_NOT_CONNECTED,
                        "There is no connection to the hub now; it is asked when there is one");
    spoke_call_fail(call, error);
}

int
spoke_device_method_check_now(sd_bus_message *m, void *userdata, sd_bus_error *ret_error)
{
    SpokeDeviceBus *self = userdata;
    g_autoptr(GError) error = NULL;
    SpokeCall *call = spoke_call_new(m, self->tree->callers, 0, &error);

    if (call == NULL)
        return spoke_error_to_bus(error, ret_error);
    spoke_device_bus_start(self, call, check_now, NULL, NULL);
    return 1; /* check_now() answers */
}
