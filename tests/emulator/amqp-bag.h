/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "amqp-message.h"

/**
 * emu_amqp_to_bag:
 *
 * Adds what a device's message carries beside its body to @bag, the form in which the hub keeps
 * it. Source: protocol page, 3.5.
 */
void emu_amqp_to_bag(const EmuAmqpMessage *message, GString *bag);
