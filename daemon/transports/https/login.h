/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "daemon/transports/https/account.h"

/*
 * Whether the hub accepts an identity. HTTP knows no login, and each request could be the one that
 * is refused; but who says that a device is connected must know. So the hub is asked for something
 * that needs the identity's rights and changes nothing: to complete a message under a lock that
 * does not exist. That it has none such (412) is the answer of a hub that has let us in.
 */

/* The account's event accepted(), refused() or broken() follows. One at a time. */
void spoke_login_start(SpokeAccount *account);
/* None of them will. */
void spoke_login_cancel(SpokeAccount *account);
