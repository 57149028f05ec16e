/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/transports/https/login.h"

/* The nil UUID: the hub's locks are random ones. Source: iot-hub-protocol.md, 4, row 3. */
#define NO_LOCK "00000000-0000-0000-0000-000000000000"

static gboolean
prepare(SpokeRequest *request, gpointer user_data)
{
    SpokeAccount *account = user_data;

    account->login = request;
    spoke_account_fill(account, request, "DELETE", "devicebound/" NO_LOCK);
    spoke_request_add_header(request, "If-Match: \"" NO_LOCK "\"");
    return TRUE;
}

static void
on_answered(SpokeRequest *request, gpointer user_data)
{
    SpokeAccount *account = spoke_account_enter(user_data);
    SpokeAnswer answer;
    SpokeStatusKind kind = SPOKE_STATUS_DONE;

    account->login = NULL;
    if (spoke_account_judge(account, request, TRUE, &answer, &kind))
        account->events->accepted(account, account->user_data);
    spoke_account_leave(account);
}

static const SpokeRequestFuncs funcs = {.prepare = prepare, .done = on_answered};

void
spoke_login_start(SpokeAccount *account)
{
    g_return_if_fail(account->login == NULL);

    account->login = spoke_request_start(account->pool, &funcs, account);
}

void
spoke_login_cancel(SpokeAccount *account)
{
    if (account->login != NULL)
        spoke_request_cancel(g_steal_pointer(&account->login));
}
