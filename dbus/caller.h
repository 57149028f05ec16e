/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "dbus/bus-types.h"

/*
 * Who calls. Each connection that calls us is looked up once, without blocking, and remembered
 * until it leaves the bus; what it sends meanwhile waits in order.
 *
 * Messages carry two stamps of their sender. The app: "thermostat.service" for a service of the
 * system, else "alice/python3"; "unknown" if the sender had gone before it could be looked up. The
 * flow, within which order is kept: one per service, else one per process.
 */
typedef struct SpokeCallers SpokeCallers;
typedef struct SpokeCaller SpokeCaller;

/* Connections remembered at a time. Each costs a match rule, of which dbus-daemon grants 512 to a
 * connection. Beyond it those go that neither wait for an answer nor hold anything. It is well over
 * SPOKE_QUOTA_MAX, so that those who hold something for long leave room for the others. */
#define SPOKE_CALLERS_MAX 448
/* Calls of one caller that wait for their answer, and the bytes of messages in them */
#define SPOKE_CALLER_CALLS_MAX 4096
#define SPOKE_CALLER_BYTES_MAX (16 * 1024 * 1024)
/* The same for all callers together */
#define SPOKE_CALLERS_BYTES_MAX (64 * 1024 * 1024)

typedef void (*SpokeCallerFunc)(SpokeCaller *caller, gpointer user_data);

/* @left: the connection @name, which had called us, is gone from the bus. (transfer full) */
SpokeCallers *spoke_callers_new(sd_bus *bus, void (*left)(const char *name, gpointer user_data),
                                gpointer user_data);
/* Drops what waits for a look-up, uncalled. Callers that are still referenced live on. */
void spoke_callers_free(SpokeCallers *callers);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(SpokeCallers, spoke_callers_free)

/**
 * spoke_callers_get:
 * @name: unique name of the connection
 *
 * Finds the caller or begins to look it up.
 *
 * Errors: SPOKE_ERROR_LIMIT_REACHED
 *
 * Returns: (transfer none) (nullable)
 */
SpokeCaller *spoke_callers_get(SpokeCallers *callers, const char *name,
                               GError **error) G_GNUC_WARN_UNUSED_RESULT;

/**
 * spoke_caller_when_known:
 * @func: called at once if the caller has been looked up (all its calls but the first few: this is
 *   the hot path), else as soon as it has been, in the order of these calls
 * @free_data: called in place of @func if it never comes to that
 */
void spoke_caller_when_known(SpokeCaller *caller, SpokeCallerFunc func, gpointer user_data,
                             GDestroyNotify free_data);

SpokeCaller *spoke_caller_ref(SpokeCaller *caller);
void spoke_caller_unref(SpokeCaller *caller);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(SpokeCaller, spoke_caller_unref)

/* Counts a call that will be answered later, with @bytes of contents. A caller's only call may be
 * of any size. Errors: SPOKE_ERROR_LIMIT_REACHED */
gboolean spoke_caller_enter(SpokeCaller *caller, size_t bytes, GError **error);
void spoke_caller_leave(SpokeCaller *caller, size_t bytes);

/* It is known who it is, and we shall hear when it leaves the bus. */
gboolean spoke_caller_is_present(SpokeCaller *caller);
/* It holds one thing more for long that must end when it leaves the bus, so it may not be forgotten
 * before it has released all, or left. Counts against its user's share, see dbus/quota.h. Errors:
 * SPOKE_ERROR_NOT_PERMITTED (it is not present), _LIMIT_REACHED */
gboolean spoke_caller_hold(SpokeCaller *caller, GError **error) G_GNUC_WARN_UNUSED_RESULT;
void spoke_caller_release(SpokeCaller *caller);

const char *spoke_caller_get_name(SpokeCaller *caller);             /* unique name */
gboolean spoke_caller_get_uid(SpokeCaller *caller, uid_t *ret_uid); /* FALSE if unknown */
const char *spoke_caller_get_user(SpokeCaller *caller);             /* decimal; NULL if unknown */
GRefString *spoke_caller_get_app(SpokeCaller *caller);              /* (transfer none) */
guint64 spoke_caller_get_flow(SpokeCaller *caller);
