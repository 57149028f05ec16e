/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/strangers.h"

#include "daemon/spool-private.h"
#include "daemon/store-inbox.h"

/*
 * The store keeps a tally of what an identity has to send; its inbox is small enough to be counted.
 * The writer's thread, which owns the store, makes a list; the main loop tells of it.
 */
typedef struct {
    char *identity; /* owned */
    guint64 queued;
    guint64 received;
} Stranger;

typedef struct {
    SpokeSpoolOp op;
    GArray *strangers; /* owned, of Stranger */
} Search;

static void
stranger_clear(gpointer data)
{
    g_free(((Stranger *)data)->identity);
}

static gboolean
search_run(SpokeSpoolOp *op, SpokeStore *store, GError **error)
{
    Search *search = (Search *)op;
    GPtrArray *identities = spoke_store_get_identities(store);

    g_array_set_size(search->strangers, 0);
    for (guint i = 0; i < identities->len; i++) {
        const SpokeStoreIdentity *identity = identities->pdata[i];
        guint64 received = 0;
        guint64 queued = 0;

        if (!spoke_store_count_inbox(store, identity->key, &received, error))
            return FALSE;
        for (guint lane = 0; lane < SPOKE_N_LANES; lane++)
            queued += identity->lanes[lane].messages;
        if (queued == 0 && received == 0)
            continue;
        Stranger stranger = {g_strdup(identity->name), queued, received};
        g_array_append_val(search->strangers, stranger);
    }
    return TRUE;
}

static const SpokeSpoolOpClass search_class = {.need = SPOKE_SPOOL_READS, .run = search_run};

gboolean
spoke_strangers_find(SpokeSpool *spool, SpokeStrangerFunc stranger, gpointer user_data,
                     GError **error)
{
    g_autoptr(GArray) strangers = g_array_new(FALSE, FALSE, sizeof(Stranger));
    Search search = {.op.class = &search_class, .strangers = strangers};

    g_array_set_clear_func(strangers, stranger_clear);
    if (!spoke_spool_call(spool, &search.op, error))
        return FALSE;
    for (guint i = 0; i < strangers->len; i++) {
        const Stranger *found = &g_array_index(strangers, Stranger, i);
        stranger(found->identity, found->queued, found->received, user_data);
    }
    return TRUE;
}
