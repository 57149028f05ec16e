/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>

/*
 * The bus disconnects who sends a string that is not UTF-8, and sd-bus does not look at what it
 * sends.
 */
bool spoke_utf8_is_valid(const char *text);
