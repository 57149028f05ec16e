/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The hub's errors in AMQP's words. Source: protocol page, 3.9 and 7.3. */

#include "amqp-condition.h"

#include "error.h"
#include "json-text.h"

#include <string.h>

const EmuAmqpCause emu_amqp_cause_argument = {"com.microsoft:argument-error", 400004};
const EmuAmqpCause emu_amqp_cause_address = {"amqp:not-found", 404006};
const EmuAmqpCause emu_amqp_cause_disabled = {"amqp:not-found", 403012};
const EmuAmqpCause emu_amqp_cause_forced = {"amqp:connection:forced", 400029};
const EmuAmqpCause emu_amqp_cause_full = {"amqp:resource-limit-exceeded", 400004};
const EmuAmqpCause emu_amqp_cause_idle = {"amqp:resource-limit-exceeded", 404104};
const EmuAmqpCause emu_amqp_cause_lock_lost = {"com.microsoft:message-lock-lost", 412002};
const EmuAmqpCause emu_amqp_cause_not_allowed = {"amqp:not-allowed", 400004};
const EmuAmqpCause emu_amqp_cause_not_here = {"amqp:not-implemented", 501000};
const EmuAmqpCause emu_amqp_cause_quota = {"amqp:resource-limit-exceeded", 403002};
const EmuAmqpCause emu_amqp_cause_server = {"amqp:internal-error", 500001};
const EmuAmqpCause emu_amqp_cause_stolen = {"amqp:link:stolen", 400027};
const EmuAmqpCause emu_amqp_cause_throttled = {"com.microsoft:device-container-throttled", 429001};
const EmuAmqpCause emu_amqp_cause_too_large = {"amqp:link:message-size-exceeded", 413001};
const EmuAmqpCause emu_amqp_cause_unauthorized = {"amqp:unauthorized-access", 401003};
const EmuAmqpCause emu_amqp_cause_unknown = {"amqp:not-found", 404001};
const EmuAmqpCause emu_amqp_cause_dropped = {"amqp:link:detach-forced", 404104};

static const struct {
    guint code;
    const EmuAmqpCause *cause;
} errors[] = {
    {EMU_ERROR_ARGUMENT, &emu_amqp_cause_argument},
    {EMU_ERROR_UNAUTHORIZED, &emu_amqp_cause_unauthorized},
    {EMU_ERROR_TOKEN, &emu_amqp_cause_unauthorized},
    {EMU_ERROR_DISABLED, &emu_amqp_cause_disabled},
    {EMU_ERROR_NOT_FOUND, &emu_amqp_cause_unknown},
    {EMU_ERROR_LOCK_LOST, &emu_amqp_cause_lock_lost},
    {EMU_ERROR_TOO_LARGE, &emu_amqp_cause_too_large},
};

/* By the word that a reason starts with. */
static const struct {
    const char *word;
    const EmuAmqpCause *cause;
} reasons[] = {
    {"evicted", &emu_amqp_cause_stolen},           {"device-disabled", &emu_amqp_cause_disabled},
    {"module-disabled", &emu_amqp_cause_disabled}, {"device-deleted", &emu_amqp_cause_unknown},
    {"module-deleted", &emu_amqp_cause_unknown},
};

const EmuAmqpCause *
emu_amqp_cause_of(const GError *error)
{
    for (size_t i = 0; error->domain == EMU_ERROR && i < G_N_ELEMENTS(errors); i++) {
        if (errors[i].code == (guint)error->code)
            return errors[i].cause;
    }
    return &emu_amqp_cause_server;
}

const EmuAmqpCause *
emu_amqp_cause_of_reason(const char *reason)
{
    for (size_t i = 0; i < G_N_ELEMENTS(reasons); i++) {
        if (g_str_has_prefix(reason, reasons[i].word))
            return reasons[i].cause;
    }
    return &emu_amqp_cause_dropped;
}

void
emu_amqp_condition_set(pn_condition_t *condition, const EmuAmqpCause *cause, const char *message)
{
    g_autofree char *time = emu_time_to_text(g_get_real_time());
    g_autofree char *id = g_uuid_string_random();
    g_autoptr(GString) text = g_string_new(NULL);

    g_string_append_printf(text, "{\"errorCode\":%u,\"trackingId\":\"%s-G:0-TimeStamp:%s\",",
                           cause->code, id, time);
    g_string_append(text, "\"message\":");
    emu_json_append_string(text, message, strlen(message));
    g_string_append_printf(text, ",\"timestampUtc\":\"%s\"}", time);
    (void)pn_condition_set_name(condition, cause->name);
    (void)pn_condition_set_description(condition, text->str);
}
