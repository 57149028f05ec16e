/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "clients/spokectl/ctl.h"

/* One for each verb; main.c has them in a table. */
extern const SpokeVerb spoke_verb_status;
extern const SpokeVerb spoke_verb_monitor;
extern const SpokeVerb spoke_verb_send;
extern const SpokeVerb spoke_verb_flush;
extern const SpokeVerb spoke_verb_listen;
extern const SpokeVerb spoke_verb_receive;
extern const SpokeVerb spoke_verb_check_now;
extern const SpokeVerb spoke_verb_complete;
extern const SpokeVerb spoke_verb_abandon;
extern const SpokeVerb spoke_verb_reject;
extern const SpokeVerb spoke_verb_devices;
extern const SpokeVerb spoke_verb_add_device;
extern const SpokeVerb spoke_verb_remove_device;
extern const SpokeVerb spoke_verb_reload;
extern const SpokeVerb spoke_verb_policy;
