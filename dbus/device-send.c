/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "dbus/device-handlers.h"

#include "dbus/call.h"
#include "dbus/error-bus.h"
#include "dbus/text-bus.h"

#include <string.h>

/*
 * Telemetry up. A message is read and checked on arrival, gets its sender's stamps once the caller
 * is known, and the call is answered when the outbox has it as safe as it asked for.
 */

/* What a signal Settled without a detail takes on the bus, about */
#define SETTLED_BYTES 256

static const char *const outcome_names[] = {
    [SPOKE_OUTCOME_ACCEPTED] = "accepted",
    [SPOKE_OUTCOME_REJECTED] = "rejected",
    [SPOKE_OUTCOME_EXPIRED] = "expired",
    [SPOKE_OUTCOME_DROPPED] = "dropped",
};

static void
stamp(SpokeMessage *message, SpokeCaller *caller)
{
    message->app = g_ref_string_acquire(spoke_caller_get_app(caller));
    message->flow = spoke_caller_get_flow(caller);
}

static void
on_put(const guint64 *ids, guint n, const GError *error, gpointer user_data)
{
    SpokeCall *call = user_data;

    if (error != NULL)
        spoke_call_fail(call, error);
    else
        spoke_call_answer(call, "t", (uint64_t)ids[0]);
}

static void
on_batch_put(const guint64 *ids, guint n, const GError *error, gpointer user_data)
{
    SpokeCall *call = user_data;
    int r = 0;

    if (error != NULL) {
        spoke_call_fail(call, error);
        return;
    }
    sd_bus_message *reply = spoke_call_new_reply(call);
    if (reply != NULL)
        r = sd_bus_message_append_array(reply, 't', ids, n * sizeof *ids);
    spoke_call_send_reply(call, reply, r);
}

static void
put_message(SpokeCall *call, gpointer object, gpointer request)
{
    SpokeDeviceBus *self = object;
    SpokeMessage *message = request;
    g_autoptr(GError) error = NULL;

    stamp(message, spoke_call_get_caller(call));
    if (!spoke_device_send(self->device, &message, 1, on_put, call, &error))
        spoke_call_fail(call, error);
}

static void
put_batch(SpokeCall *call, gpointer object, gpointer request)
{
    SpokeDeviceBus *self = object;
    GPtrArray *messages = request;
    g_autoptr(GError) error = NULL;

    for (guint i = 0; i < messages->len; i++)
        stamp(messages->pdata[i], spoke_call_get_caller(call));
    if (!spoke_device_send(self->device, (SpokeMessage **)messages->pdata, messages->len,
                           on_batch_put, call, &error))
        spoke_call_fail(call, error);
}

static int
send_one(sd_bus_message *m, SpokeDeviceBus *self, SpokeBodyType type, sd_bus_error *ret_error)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(SpokeMessage) message =
        spoke_message_reader_read(self->tree->reader, m, type, g_get_real_time(), &error);

    if (message == NULL)
        return spoke_error_to_bus(error, ret_error);
    SpokeCall *call = spoke_call_new(m, self->tree->callers, spoke_message_cost(message), &error);
    if (call == NULL)
        return spoke_error_to_bus(error, ret_error);

    spoke_device_bus_start(self, call, put_message, g_steal_pointer(&message),
                           (GDestroyNotify)spoke_message_unref);
    return 1; /* on_put() answers */
}

static void
on_flushed(guint64 remaining, gpointer user_data)
{
    spoke_call_answer(user_data, "t", (uint64_t)remaining);
}

static void
flush(SpokeCall *call, gpointer object, gpointer request)
{
    SpokeDeviceBus *self = object;
    const gint64 *timeout_usec = request;
    g_autoptr(GError) error = NULL;

    if (*timeout_usec > 0 && spoke_caller_is_present(spoke_call_get_caller(call)) &&
        !spoke_call_hold(call, &error)) {
        spoke_call_fail(call, error);
        return;
    }
    spoke_device_flush(self->device, *timeout_usec, on_flushed, call);
}

int
spoke_device_method_send_text(sd_bus_message *m, void *userdata, sd_bus_error *ret_error)
{
    return send_one(m, userdata, SPOKE_BODY_TEXT, ret_error);
}

int
spoke_device_method_send(sd_bus_message *m, void *userdata, sd_bus_error *ret_error)
{
    return send_one(m, userdata, SPOKE_BODY_BYTES, ret_error);
}

int
spoke_device_method_send_batch(sd_bus_message *m, void *userdata, sd_bus_error *ret_error)
{
    SpokeDeviceBus *self = userdata;
    g_autoptr(GError) error = NULL;
    g_autoptr(GPtrArray) messages =
        spoke_message_reader_read_batch(self->tree->reader, m, g_get_real_time(), &error);
    size_t bytes = 0;

    if (messages == NULL)
        return spoke_error_to_bus(error, ret_error);
    for (guint i = 0; i < messages->len; i++)
        bytes += spoke_message_cost(messages->pdata[i]);
    SpokeCall *call = spoke_call_new(m, self->tree->callers, bytes, &error);
    if (call == NULL)
        return spoke_error_to_bus(error, ret_error);

    spoke_device_bus_start(self, call, put_batch, g_steal_pointer(&messages),
                           (GDestroyNotify)g_ptr_array_unref);
    return 1; /* on_batch_put() answers */
}

int
spoke_device_method_flush(sd_bus_message *m, void *userdata, sd_bus_error *ret_error)
{
    SpokeDeviceBus *self = userdata;
    g_autoptr(GError) error = NULL;
    uint64_t timeout_msec = 0;

    int r = sd_bus_message_read_basic(m, 't', &timeout_msec);
    if (r < 0)
        return r;
    SpokeCall *call = spoke_call_new(m, self->tree->callers, 0, &error);
    if (call == NULL)
        return spoke_error_to_bus(error, ret_error);

    gint64 *timeout_usec = g_new(gint64, 1);
    *timeout_usec = (gint64)MIN(timeout_msec, SPOKE_WAIT_MSEC_MAX) * 1000;
    spoke_device_bus_start(self, call, flush, timeout_usec, g_free);
    return 1; /* on_flushed() answers */
}

void
spoke_device_emit_settled(SpokeDeviceBus *self, guint64 id, const char *notify,
                          SpokeOutcome outcome, const char *detail)
{
    g_autoptr(sd_bus_message) signal = NULL;
    const char *name = spoke_message_notify_name(notify, self->tree->bus_id);

    if (name == NULL)
        return; /* asked for on a bus that is no more */
    if (spoke_listeners_is_slow(self->tree->senders, name))
        return;
    int r = sd_bus_message_new_signal(self->tree->bus, &signal, self->path, SPOKE_DEVICE_INTERFACE,
                                      "Settled");
    if (r >= 0)
        r = sd_bus_message_append(signal, "ts", (uint64_t)id, outcome_names[outcome]);
    if (r >= 0)
        r = spoke_text_append(signal, detail != NULL ? detail : "");
    if (r >= 0)
        r = sd_bus_send_to(self->tree->bus, signal, name, NULL);
    if (r >= 0)
        spoke_listeners_note(self->tree->senders, name,
                             SETTLED_BYTES + (detail ? strlen(detail) : 0));
    else if (!spoke_bus_is_gone(r))
        g_warning("%s could not be told what became of message %" G_GUINT64_FORMAT ": %s", name, id,
                  g_strerror(-r));
}
