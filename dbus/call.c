/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "dbus/call.h"

#include "dbus/error-bus.h"

#include <stdarg.h>

struct SpokeCall {
    sd_bus_message *message; /* owned; NULL once answered */
    SpokeCaller *caller;     /* owned */
    size_t bytes;
    gboolean holds;
    SpokeCallFunc act;
    gpointer object;  /* borrowed */
    gpointer request; /* owned */
    GDestroyNotify free_request;
};

static void
act_for_caller(SpokeCaller *caller, gpointer user_data)
{
    SpokeCall *self = user_data;

    self->act(self, self->object, self->request);
}

static void
check_sent(SpokeCall *self, int r)
{
    if (r < 0 && !spoke_bus_is_gone(r))
        g_warning("An answer to %s could not be sent: %s", spoke_caller_get_name(self->caller),
                  g_strerror(-r));
}

static void
close_call(SpokeCall *self)
{
    g_clear_pointer(&self->message, sd_bus_message_unref);
    spoke_call_free(self);
}

SpokeCall *
spoke_call_new(sd_bus_message *m, SpokeCallers *callers, size_t bytes, GError **error)
{
    SpokeCaller *caller = spoke_callers_get(callers, sd_bus_message_get_sender(m), error);

    if (caller == NULL || !spoke_caller_enter(caller, bytes, error))
        return NULL;

    SpokeCall *self = g_new0(SpokeCall, 1);
    self->message = sd_bus_message_ref(m);
    self->caller = spoke_caller_ref(caller);
    self->bytes = bytes;
    return self;
}

void
spoke_call_free(SpokeCall *call)
{
    if (call == NULL)
        return;
    if (call->message != NULL) {
        check_sent(call, sd_bus_reply_method_errorf(
                             call->message, spoke_error_get_bus_name(SPOKE_ERROR_CANCELLED),
                             "The call was given up; whether it took effect is not known"));
        sd_bus_message_unref(call->message);
    }
    if (call->free_request != NULL)
        call->free_request(call->request);
    if (call->holds)
        spoke_caller_release(call->caller);
    spoke_caller_leave(call->caller, call->bytes);
    spoke_caller_unref(call->caller);
    g_free(call);
}

void
spoke_call_start(SpokeCall *call, SpokeCallFunc act, gpointer object, gpointer request,
                 GDestroyNotify free_request)
{
    call->act = act;
    call->object = object;
    call->request = request;
    call->free_request = free_request;
    spoke_caller_when_known(call->caller, act_for_caller, call, (GDestroyNotify)spoke_call_free);
}

SpokeCaller *
spoke_call_get_caller(SpokeCall *call)
{
    return call->caller;
}

gboolean
spoke_call_hold(SpokeCall *call, GError **error)
{
    call->holds = spoke_caller_hold(call->caller, error);
    return call->holds;
}

void
spoke_call_answer(SpokeCall *call, const char *types, ...)
{
    sd_bus_message *reply = spoke_call_new_reply(call);
    int r = 0;
    va_list values;

    va_start(values, types);
    if (reply != NULL)
        r = sd_bus_message_appendv(reply, types, values);
    va_end(values);
    spoke_call_send_reply(call, reply, r);
}

void
spoke_call_fail(SpokeCall *call, const GError *error)
{
    g_auto(sd_bus_error) bus_error = SD_BUS_ERROR_NULL;

    (void)spoke_error_to_bus(error, &bus_error);
    check_sent(call, sd_bus_reply_method_error(call->message, &bus_error));
    close_call(call);
}

sd_bus_message *
spoke_call_new_reply(SpokeCall *call)
{
    sd_bus_message *reply = NULL;

    check_sent(call, sd_bus_message_new_method_return(call->message, &reply));
    return reply;
}

void
spoke_call_send_reply(SpokeCall *call, sd_bus_message *reply, int r)
{
    if (r < 0) {
        g_warning("An answer to %s could not be made: %s", spoke_caller_get_name(call->caller),
                  g_strerror(-r));
        check_sent(call, sd_bus_reply_method_errorf(call->message,
                                                    spoke_error_get_bus_name(SPOKE_ERROR_FAILED),
                                                    "The answer could not be made"));
    } else if (reply != NULL && sd_bus_message_get_expect_reply(call->message)) {
        check_sent(call, sd_bus_send(NULL, reply, NULL));
    }
    sd_bus_message_unref(reply);
    close_call(call);
}
