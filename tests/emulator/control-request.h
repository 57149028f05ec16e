/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <json-glib/json-glib.h>
#include <libsoup/soup.h>

typedef struct EmuHub EmuHub;

/* What control.c hands to the handlers of the control API, and what they make of it. */

typedef struct {
    EmuHub *hub;                /* borrowed */
    SoupServerMessage *message; /* borrowed; only a feed needs it */
    const char *names[2];       /* borrowed: the path's variable parts, decoded */
    GHashTable *query;          /* borrowed; NULL without one */
    JsonObject *body;           /* borrowed; NULL without one */
} EmuRequest;

typedef struct {
    guint status;       /* 200 unless set */
    JsonNode *node;     /* owned; NULL answers without a body */
    gboolean streaming; /* the handler answers by itself */
} EmuReply;

/* TRUE with @reply filled in, or FALSE with an EMU_ERROR. */
typedef gboolean (*EmuHandler)(const EmuRequest *request, EmuReply *reply, GError **error);

typedef struct {
    const char *method;
    const char *path; /* parts separated by '/'; '*' is variable */
    EmuHandler handler;
} EmuRoute;

/* The routes, each table ended by a NULL method. */
extern const EmuRoute emu_certificate_routes[];
extern const EmuRoute emu_device_routes[];
extern const EmuRoute emu_message_routes[];
extern const EmuRoute emu_c2d_routes[];
extern const EmuRoute emu_fault_routes[];

/* Reads a number from the query; @fallback when it is not there, EMU_ERROR_ARGUMENT if wrong. */
gboolean emu_request_number(const EmuRequest *request, const char *name, guint64 fallback,
                            guint64 *ret_number, GError **error);

/**
 * emu_request_check_members:
 * @names: NULL-terminated
 *
 * EMU_ERROR_ARGUMENT if the body is missing or has a member that is not in @names.
 */
gboolean emu_request_check_members(const EmuRequest *request, const char *const *names,
                                   GError **error);

/* Reads a member of the body: NULL or 0 when it is not there, EMU_ERROR_ARGUMENT if its type is
 * another. The text is borrowed from the body. */
gboolean emu_request_text(const EmuRequest *request, const char *name, const char **ret_text,
                          GError **error);
gboolean emu_request_integer(const EmuRequest *request, const char *name, gint64 min, gint64 max,
                             gint64 *number, GError **error);

/* Shorthand for one member of an object under construction. */
void emu_json_add_text(JsonBuilder *json, const char *name, const char *value);
void emu_json_add_number(JsonBuilder *json, const char *name, gint64 value);
void emu_json_add_time(JsonBuilder *json, const char *name, gint64 usec); /* 0: null */
