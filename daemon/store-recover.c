/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/store-recover.h"

#include "daemon/store-damaged.h"
#include "daemon/store-salvage.h"
#include "daemon/store-schema.h"
#include "daemon/store-view.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

/* The successor is made beside the damaged file under a name of its own; only when it is complete
 * and closed do the two change places. */
#define NEW_SUFFIX    ".new"
#define VIEW_SUFFIX   ".view" /* the damaged file with its log mended; gone again at the end */
#define SET_ASIDE_MAX 5
#define ID_LEAP       (G_GUINT64_CONSTANT(1) << 32) /* if the next id was lost */

typedef struct {
    const char *path;      /* of the damaged file */
    const char *new_path;  /* of its successor */
    const SpokeView *view; /* borrowed; NULL: the log is sound */

    /* From the store while it was open, or from the file */
    SpokeStoreMeta meta;
    gboolean is_meta_known;
    guint64 id_limit;
    guint generation;
    GPtrArray *names; /* owned, of char *: of the identities below */
    GArray *keys;     /* owned, of guint */
    GArray *expected; /* owned, of SpokeStoreLoss */
} Recovery;

void
spoke_store_damage_clear(SpokeStoreDamage *damage)
{
    g_clear_pointer(&damage->set_aside, g_free);
    g_clear_pointer(&damage->losses, g_array_unref);
}

static void
recovery_init(Recovery *recovery, const char *path, const char *new_path)
{
    *recovery = (Recovery){
        .path = path,
        .new_path = new_path,
        .names = g_ptr_array_new_with_free_func(g_free),
        .keys = g_array_new(FALSE, FALSE, sizeof(guint)),
        .expected = g_array_new(FALSE, FALSE, sizeof(SpokeStoreLoss)),
        .id_limit = SPOKE_ID_MAX,
    };
    spoke_store_meta_init(&recovery->meta);
}

static void
recovery_clear(Recovery *recovery)
{
    g_ptr_array_unref(recovery->names);
    g_array_unref(recovery->keys);
    g_array_unref(recovery->expected);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Recovery, recovery_clear)

/* What was known of the queue while the store was open is better than what its file says. */
static void
note_known(Recovery *recovery, SpokeStore *damaged)
{
    GPtrArray *identities = spoke_store_get_identities(damaged);

    recovery->meta = *spoke_store_get_meta(damaged);
    recovery->is_meta_known = TRUE;
    recovery->id_limit = spoke_store_get_last_id(damaged) + 1;
    recovery->generation = spoke_store_get_generation(damaged) + 1;
    for (guint i = 0; i < identities->len; i++) {
        const SpokeStoreIdentity *identity = identities->pdata[i];
        g_ptr_array_add(recovery->names, g_strdup(identity->name));
        g_array_append_val(recovery->keys, identity->key);
        for (SpokeLane lane = 0; lane < SPOKE_N_LANES; lane++) {
            SpokeStoreLoss expected = {identity->key, lane,
                                       (gint64)identity->committed[lane].messages,
                                       (gint64)identity->committed[lane].bytes};
            g_array_append_val(recovery->expected, expected);
        }
    }
}

/* Compares what is there with what was expected. */
static void
count_losses(const SpokeSalvage *salvage, SpokeStoreDamage *damage)
{
    g_autoptr(GHashTable) seen = g_hash_table_new(NULL, NULL);
    guint64 expected = 0;

    for (guint i = 0; i < salvage->expected->len; i++) {
        SpokeStoreLoss loss = g_array_index(salvage->expected, SpokeStoreLoss, i);
        if (!g_hash_table_add(seen, GUINT_TO_POINTER(loss.identity << 1 | loss.lane)))
            continue;
        expected += (guint64)MAX(loss.messages, 0);
        SpokeStoreIdentity *identity = spoke_store_find_identity(salvage->to, loss.identity);
        if (identity != NULL) {
            loss.messages -= (gint64)identity->lanes[loss.lane].messages;
            loss.bytes -= (gint64)identity->lanes[loss.lane].bytes;
        }
        g_array_append_val(damage->losses, loss);
    }
    damage->saved = salvage->n_saved + salvage->n_arrivals;
    damage->lost = expected > salvage->n_saved ? expected - salvage->n_saved : 0;
    if (expected == 0 && salvage->n_saved == 0)
        damage->lost = salvage->n_gaps; /* a message each, for all one knows */
}

static gboolean
add_known_identities(Recovery *recovery, SpokeStore *store, GError **error)
{
    for (guint i = 0; i < recovery->names->len; i++) {
        guint key = g_array_index(recovery->keys, guint, i);
        if (spoke_store_ensure_identity(store, recovery->names->pdata[i], key, error) == NULL)
            return FALSE;
    }
    return TRUE;
}

/* What the file says of itself, if nothing better is known. */
static void
read_meta(Recovery *recovery, SpokeSalvage *salvage)
{
    const SpokeView *view = recovery->view;
    SpokeStoreMeta *meta = &recovery->meta;

    if (recovery->is_meta_known || salvage->from == NULL ||
        !spoke_schema_read_meta(salvage->from, meta, NULL))
        return;
    recovery->is_meta_known = view == NULL || spoke_view_is_certain(view, SPOKE_PAGE_META);
    recovery->id_limit = recovery->is_meta_known ? meta->next_id : meta->next_id + ID_LEAP;
}

/* Fills the new store with what is known and what is found. */
static gboolean
fill(Recovery *recovery, SpokeSalvage *salvage, gboolean with_rows, GError **error)
{
    SpokeStoreMeta *meta = &recovery->meta;

    read_meta(recovery, salvage);
    salvage->id_limit = recovery->id_limit;
    if (!spoke_store_begin(salvage->to, error) ||
        !add_known_identities(recovery, salvage->to, error) ||
        (with_rows && !spoke_salvage_copy(salvage, error)))
        return FALSE;
    if (salvage->max_id >= meta->next_id || !recovery->is_meta_known)
        meta->next_id = MIN(MAX(salvage->max_id, meta->next_id) + ID_LEAP, SPOKE_ID_MAX);
    spoke_store_set_meta(salvage->to, meta);
    return spoke_store_commit(salvage->to, error);
}

/* Without a view SQLite sees of a damaged log what it takes to be all of it. */
static sqlite3 *
open_damaged(Recovery *recovery)
{
    g_autofree char *view_path = g_strconcat(recovery->path, VIEW_SUFFIX, NULL);
    gboolean has_view =
        recovery->view != NULL && spoke_view_publish(recovery->view, recovery->path, view_path);

    return spoke_damaged_open(has_view ? view_path : recovery->path, recovery->new_path);
}

static void
close_damaged(Recovery *recovery, sqlite3 *db)
{
    g_autofree char *view_path = g_strconcat(recovery->path, VIEW_SUFFIX, NULL);

    sqlite3_close(db);
    spoke_view_unpublish(view_path);
}

/* Makes the new file. */
static gboolean
make_successor(Recovery *recovery, gboolean with_rows, SpokeStoreDamage *damage, GError **error)
{
    if (!spoke_store_create(recovery->new_path, &recovery->meta, error))
        return FALSE;
    sqlite3 *from = open_damaged(recovery);
    g_autoptr(SpokeStore) to = spoke_store_open(recovery->new_path, error);
    SpokeSalvage salvage = {.path = recovery->path,
                            .view = recovery->view,
                            .from = from,
                            .to = to,
                            .expected = recovery->expected};

    gboolean is_filled = to != NULL && fill(recovery, &salvage, with_rows, error);
    if (is_filled)
        count_losses(&salvage, damage);
    close_damaged(recovery, from);
    return is_filled;
}

static void
sync_directory(const char *path)
{
    g_autofree char *directory = g_path_get_dirname(path);

    int fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return;
    (void)fsync(fd);
    close(fd);
}

static gboolean
move(const char *from, const char *to, GError **error)
{
    if (rename(from, to) == 0)
        return TRUE;
    g_set_error(error, SPOKE_STORE_ERROR, SPOKE_STORE_ERROR_FAILED, "Can't rename %s to %s: %s",
                from, to, g_strerror(errno));
    return FALSE;
}

/* A name to set a file aside by: the first that is free, or else the last of all, for they must not
 * fill the disk. @is_set: the last that was used instead */
static char *
name_aside(const char *path, gboolean is_set)
{
    guint n = 1;

    for (; n < SET_ASIDE_MAX; n++) {
        g_autofree char *name = g_strdup_printf("%s.corrupt-%u", path, n);
        if (access(name, F_OK) < 0)
            break;
    }
    g_autofree char *name = g_strdup_printf("%s.corrupt-%u", path, n);
    if (is_set && n > 1 && access(name, F_OK) < 0)
        n--;
    return g_strdup_printf("%s.corrupt-%u", path, n);
}

/* The log goes where its file went: not before it, for without the log the file may look sound, and
 * not after the new one has come, for the log is not that one's. */
static gboolean
set_log_aside(const char *path, const char *aside, GError **error)
{
    g_autofree char *log_path = g_strconcat(path, "-wal", NULL);
    g_autofree char *log_aside = g_strconcat(aside, "-wal", NULL);

    return access(log_path, F_OK) < 0 || move(log_path, log_aside, error);
}

/* Moves the damaged file and its log aside, and the new one to its place. */
static gboolean
replace_file(Recovery *recovery, SpokeStoreDamage *damage, GError **error)
{
    g_autofree char *aside = name_aside(recovery->path, FALSE);
    g_autofree char *log_aside = g_strconcat(aside, "-wal", NULL);

    (void)unlink(log_aside); /* another file's */
    if (!move(recovery->path, aside, error) || !set_log_aside(recovery->path, aside, error) ||
        !move(recovery->new_path, recovery->path, error))
        return FALSE;
    sync_directory(recovery->path);
    damage->set_aside = g_steal_pointer(&aside);
    return TRUE;
}

SpokeStore *
spoke_store_recover(const char *path, SpokeStore *damaged, SpokeStoreDamage *ret_damage,
                    GError **error)
{
    g_autofree char *new_path = g_strconcat(path, NEW_SUFFIX, NULL);
    g_autoptr(GError) local_error = NULL;
    g_auto(Recovery) recovery;
    g_auto(SpokeView) view;

    recovery_init(&recovery, path, new_path);
    *ret_damage = (SpokeStoreDamage){.losses = g_array_new(FALSE, FALSE, sizeof(SpokeStoreLoss))};
    if (damaged != NULL) {
        note_known(&recovery, damaged);
        spoke_store_abandon(damaged);
    }
    g_autoptr(SpokeWal) wal = spoke_wal_read(path);
    spoke_view_init(&view, path, wal);
    recovery.view = wal != NULL ? &view : NULL;
    gboolean is_made = make_successor(&recovery, TRUE, ret_damage, &local_error);
    if (g_error_matches(local_error, SPOKE_STORE_ERROR, SPOKE_STORE_ERROR_FULL))
        is_made = make_successor(&recovery, FALSE, ret_damage, error);
    else if (!is_made)
        g_propagate_error(error, g_steal_pointer(&local_error));
    if (!is_made || !replace_file(&recovery, ret_damage, error))
        return NULL;

    SpokeStore *store = spoke_store_open(path, error);
    if (store != NULL)
        spoke_store_set_generation(store, recovery.generation);
    return store;
}

gboolean
spoke_store_ensure(const char *path, GError **error)
{
    g_autofree char *new_path = g_strconcat(path, NEW_SUFFIX, NULL);
    SpokeStoreMeta meta;

    if (access(path, F_OK) == 0)
        return TRUE;
    g_autoptr(SpokeStore) finished =
        access(new_path, F_OK) == 0 ? spoke_store_open(new_path, NULL) : NULL;
    spoke_store_meta_init(&meta);
    if (finished == NULL && !spoke_store_create(new_path, &meta, error))
        return FALSE;
    g_clear_pointer(&finished, spoke_store_close);
    g_autofree char *aside = name_aside(path, TRUE);
    if (!set_log_aside(path, aside, error) || !move(new_path, path, error))
        return FALSE;
    sync_directory(path);
    return TRUE;
}
