/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "daemon/transports/https/request.h"

/*
 * One identity on the pool: its token, whether the hub accepts it (login.h), its telemetry on the
 * way up (uplink.h) and its C2D messages (poll.h). Each request brings the token.
 */
typedef struct SpokeAccount SpokeAccount;
typedef struct SpokeUplink SpokeUplink;
typedef struct SpokePoll SpokePoll;

/* All from the main loop; after each the account may be dropped. */
typedef struct {
    /* The login succeeded. */
    void (*accepted)(SpokeAccount *account, gpointer user_data);
    void (*settled)(SpokeAccount *account, const SpokeSettlement *settlements, guint n,
                    gpointer user_data);
    /* @lock: what spoke_poll_settle() wants */
    void (*arrived)(SpokeAccount *account, SpokeMessage *message, const char *lock,
                    gpointer user_data);
    /* The hub does not want this identity now. */
    void (*refused)(SpokeAccount *account, SpokeCause cause, const char *detail, gint64 wait_usec,
                    gpointer user_data);
    /* No request gets through. */
    void (*broken)(SpokeCause cause, const char *detail, gpointer user_data);
    /* After spoke_account_finish(): nothing is under way any more. */
    void (*finished)(SpokeAccount *account, gpointer user_data);
} SpokeAccountEvents;

struct SpokeAccount {
    SpokeIdentity *identity; /* owned */
    SpokeSecret *token;      /* owned; NULL with a client certificate */
    char *path;              /* owned: "/devices/ID/messages/" */
    SpokePool *pool;         /* borrowed; NULL once dropped */
    const SpokeAccountEvents *events;
    gpointer user_data;
    SpokeUplink *uplink; /* owned */
    SpokePoll *poll;     /* owned */
    SpokeRequest *login; /* borrowed; NULL but while one is under way */
    gboolean is_finishing;
    guint say_id; /* the owner's source: something is to be said of it; goes with the account */
};

SpokeAccount *spoke_account_new(SpokeIdentity *identity, SpokePool *pool,
                                const SpokeAccountEvents *events, gpointer user_data);
/* Cancels all it asked; nothing comes any more. Gives up the owner's reference. */
void spoke_account_drop(SpokeAccount *account);

/* What is under way ends, and verdicts are told; nothing else begins. */
void spoke_account_finish(SpokeAccount *account);
gboolean spoke_account_is_busy(const SpokeAccount *account);

/* For the end of a request: both around all that may call events. */
SpokeAccount *spoke_account_enter(SpokeAccount *account);
void spoke_account_leave(SpokeAccount *account);
gboolean spoke_account_is_dropped(const SpokeAccount *account);

/* Sets what all requests have in common. @tail: after "/devices/ID/messages/", with a query or
 * without */
void spoke_account_fill(SpokeAccount *account, SpokeRequest *request, const char *method,
                        const char *tail);

/**
 * spoke_account_judge:
 * @has_lock: the request was about one C2D message, whose lock may be lost
 * @ret_answer: filled in unless FALSE is returned
 *
 * Looks at an ended request. Where it means the end for the identity or for the way to the hub,
 * says so to the owner.
 *
 * Returns: FALSE if it did, and there is nothing more to do
 */
gboolean spoke_account_judge(SpokeAccount *account, SpokeRequest *request, gboolean has_lock,
                             SpokeAnswer *ret_answer, SpokeStatusKind *ret_kind);
