/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "clients/libspoke/spoke.h"

#include <json-glib/json-glib.h>

/*
 * What --json prints: one object a line, names in camelCase, times in ISO 8601 and UTC, what a
 * message does not have left out. A body is "body" where it is UTF-8 text, else "bodyBase64".
 * Everything returned is (transfer full), without a newline.
 */
char *spoke_json_incoming(const SpokeIncoming *message);
char *spoke_json_status(const SpokeStatus *status);
char *spoke_json_failure(const SpokeFailure *failure, const char *advice);
/* The app properties alone, as one object. */
char *spoke_json_properties(const SpokeProperty *properties, gsize n);

/* For what a single verb prints: the builder is freed. */
JsonBuilder *spoke_json_begin(void);
void spoke_json_add_string(JsonBuilder *builder, const char *name, const char *value);
void spoke_json_add_number(JsonBuilder *builder, const char *name, guint64 value);
void spoke_json_add_boolean(JsonBuilder *builder, const char *name, gboolean value);
/* Nothing for 0. @usec: since 1970 in UTC */
void spoke_json_add_time(JsonBuilder *builder, const char *name, guint64 usec);
char *spoke_json_end(JsonBuilder *builder);
