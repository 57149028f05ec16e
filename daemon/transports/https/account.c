/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/transports/https/account.h"

#include "daemon/transports/https/login.h"
#include "daemon/transports/https/poll.h"
#include "daemon/transports/https/uplink.h"

#include <string.h>

/* Source: iot-hub-protocol.md, 4. */
#define API_VERSION "api-version=2021-04-12"

static void
account_clear(gpointer data)
{
    SpokeAccount *account = data;

    spoke_uplink_free(account->uplink);
    spoke_poll_free(account->poll);
    spoke_identity_unref(account->identity);
    spoke_secret_unref(account->token);
    g_free(account->path);
}

SpokeAccount *
spoke_account_new(SpokeIdentity *identity, SpokePool *pool, const SpokeAccountEvents *events,
                  gpointer user_data)
{
    SpokeAccount *account = g_rc_box_new0(SpokeAccount);
    g_autofree char *id = g_uri_escape_string(identity->device_id, NULL, FALSE);

    account->identity = spoke_identity_ref(identity);
    account->path = g_strdup_printf("/devices/%s/messages/", id);
    account->pool = pool;
    account->events = events;
    account->user_data = user_data;
    account->uplink = spoke_uplink_new(account);
    account->poll = spoke_poll_new(account);
    return account;
}

void
spoke_account_drop(SpokeAccount *account)
{
    g_clear_handle_id(&account->say_id, g_source_remove);
    spoke_login_cancel(account);
    spoke_uplink_stop(account->uplink);
    spoke_poll_stop(account->poll);
    account->pool = NULL;
    g_rc_box_release_full(account, account_clear);
}

void
spoke_account_finish(SpokeAccount *account)
{
    account->is_finishing = TRUE;
    spoke_login_cancel(account);
}

gboolean
spoke_account_is_busy(const SpokeAccount *account)
{
    return spoke_uplink_is_busy(account->uplink) || spoke_poll_is_busy(account->poll);
}

SpokeAccount *
spoke_account_enter(SpokeAccount *account)
{
    return g_rc_box_acquire(account);
}

void
spoke_account_leave(SpokeAccount *account)
{
    if (account->is_finishing && !spoke_account_is_dropped(account) &&
        !spoke_account_is_busy(account))
        account->events->finished(account, account->user_data);
    g_rc_box_release_full(account, account_clear);
}

gboolean
spoke_account_is_dropped(const SpokeAccount *account)
{
    return account->pool == NULL;
}

void
spoke_account_fill(SpokeAccount *account, SpokeRequest *request, const char *method,
                   const char *tail)
{
    g_autofree char *path =
        g_strconcat(account->path, tail, strchr(tail, '?') != NULL ? "&" : "?", API_VERSION, NULL);

    spoke_request_set_target(request, method, path);
    spoke_request_authorize(request, account->token);
}

gboolean
spoke_account_judge(SpokeAccount *account, SpokeRequest *request, gboolean has_lock,
                    SpokeAnswer *ret_answer, SpokeStatusKind *ret_kind)
{
    const char *failure = NULL;
    SpokeCause cause = spoke_request_get_failure(request, &failure);
    gint64 now_usec = g_get_real_time();

    if (cause != SPOKE_CAUSE_NONE) {
        account->events->broken(cause, failure, account->user_data);
        return FALSE;
    }
    spoke_request_get_answer(request, ret_answer);
    *ret_kind = spoke_status_get_kind(ret_answer);
    if (*ret_kind != SPOKE_STATUS_ACCOUNT && (*ret_kind != SPOKE_STATUS_LOCK || has_lock))
        return TRUE;

    g_autofree char *detail = spoke_status_describe(ret_answer, now_usec);

    account->events->refused(account, spoke_status_get_cause(ret_answer, now_usec), detail,
                             spoke_status_get_wait(ret_answer, now_usec), account->user_data);
    return FALSE;
}
