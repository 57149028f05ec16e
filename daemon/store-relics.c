/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/store-relics.h"

#include "daemon/store-room.h"

#include <string.h>

#define FILE_IMAGE (-1)

/* What comes after an image of a page, seen from the end. */
typedef struct {
    gint next_whole;      /* frame of the next whole image; -1: none */
    gboolean is_doubtful; /* an image up to that one belongs to a doubtful transaction */
    gboolean is_doubtful_ever;
} Later;

/* An image: a frame's, or the file's */
typedef struct {
    gint frame; /* FILE_IMAGE: the file's */
    guint32 page;
    gint next_whole;
} Relic;

typedef struct {
    const SpokeView *view;
    GHashTable *later; /* owned; page to Later */
    GArray *relics;    /* owned, of Relic */

    /* While rows are handed over */
    Relic current;
    GHashTable *places; /* owned; of the rows on the next whole image, as gint64 */
    SpokeCarveFunc func;
    gpointer user_data;
} Relics;

static void
add_relic(Relics *relics, gint frame, guint32 page, gint next_whole)
{
    Relic relic = {frame, page, next_whole};

    g_array_append_val(relics->relics, relic);
}

/* What is known of the images after the one that is looked at. */
static Later *
get_later(Relics *relics, guint32 page)
{
    Later *later = g_hash_table_lookup(relics->later, GUINT_TO_POINTER(page));
    if (later != NULL)
        return later;

    later = g_new0(Later, 1);
    later->next_whole = -1;
    g_hash_table_insert(relics->later, GUINT_TO_POINTER(page), later);
    return later;
}

/* Goes on from a later frame to one before it. */
static void
look_at_frame(Relics *relics, guint number)
{
    const SpokeWalFrame *frame = &g_array_index(relics->view->wal->frames, SpokeWalFrame, number);
    if (!frame->is_whole) /* of which page it is is not certain either */
        add_relic(relics, (gint)number, frame->page, -1);
    if (frame->page == 0)
        return;

    Later *later = get_later(relics, frame->page);
    if (frame->is_whole && later->is_doubtful)
        add_relic(relics, (gint)number, frame->page, later->next_whole);
    if (frame->is_whole)
        later->next_whole = (gint)number;
    later->is_doubtful = frame->is_doubtful || (!frame->is_whole && later->is_doubtful);
    later->is_doubtful_ever |= frame->is_doubtful;
}

static gboolean
is_blank(const guint8 *page)
{
    return page[0] == 0 && memcmp(page, page + 1, SPOKE_STORE_PAGE_BYTES - 1) == 0;
}

/* Whether most pages of the log are in the file too, as if it had been moved there. Then the file
 * may have what no frame has any more. */
static gboolean
is_file_newer(const SpokeView *view)
{
    GHashTableIter iter;
    gpointer page = NULL;
    guint8 in_log[SPOKE_STORE_PAGE_BYTES];
    guint8 in_file[SPOKE_STORE_PAGE_BYTES];
    guint n_equal = 0;
    guint n_other = 0;

    g_hash_table_iter_init(&iter, view->newest);
    while (g_hash_table_iter_next(&iter, &page, NULL)) {
        guint32 number = GPOINTER_TO_UINT(page);
        if (!spoke_view_read(view, number, in_log) || is_blank(in_log))
            continue;
        gboolean is_equal = spoke_view_read_at(view, FILE_IMAGE, number, in_file) &&
                            memcmp(in_log, in_file, sizeof in_log) == 0;
        *(is_equal ? &n_equal : &n_other) += 1;
    }
    return n_equal > n_other;
}

static void
find_relics(Relics *relics)
{
    gboolean all_of_file = is_file_newer(relics->view);
    GHashTableIter iter;
    gpointer page = NULL;
    gpointer value = NULL;

    for (guint i = relics->view->wal->frames->len; i > 0; i--)
        look_at_frame(relics, i - 1);
    g_hash_table_iter_init(&iter, relics->later);
    while (g_hash_table_iter_next(&iter, &page, &value)) {
        const Later *later = value;
        if (later->is_doubtful_ever || all_of_file)
            add_relic(relics, FILE_IMAGE, GPOINTER_TO_UINT(page), later->next_whole);
    }
}

static gboolean
read_current(gpointer source, guint32 number, guint8 *page)
{
    const Relics *relics = source;

    return spoke_view_read_at(relics->view, relics->current.frame, number, page);
}

static gboolean
note_place(gboolean is_inbox, sqlite3_stmt *row, gpointer user_data)
{
    gint64 place = sqlite3_column_int64(row, 0);

    g_hash_table_add(((Relics *)user_data)->places, g_memdup2(&place, sizeof place));
    return TRUE;
}

static gboolean
on_row(gboolean is_inbox, sqlite3_stmt *row, gpointer user_data)
{
    const Relics *relics = user_data;
    gint64 place = sqlite3_column_int64(row, 0);

    return g_hash_table_contains(relics->places, &place) ||
           relics->func(is_inbox, row, relics->user_data);
}

static gboolean
carve_relic(Relics *relics, const Relic *relic, SpokeCarver *noting, SpokeCarver *carver)
{
    const SpokePages pages = {read_current, relics};
    guint8 page[SPOKE_STORE_PAGE_BYTES];

    g_hash_table_remove_all(relics->places);
    if (relic->next_whole >= 0 &&
        spoke_wal_read_page(relics->view->wal, (guint)relic->next_whole, page)) {
        relics->current = (Relic){relic->next_whole, relic->page, -1};
        (void)spoke_carver_carve_page(noting, &pages, page);
    }
    relics->current = *relic;
    gboolean is_read = relic->frame == FILE_IMAGE
                           ? spoke_view_read_at(relics->view, FILE_IMAGE, relic->page, page)
                           : spoke_wal_read_page(relics->view->wal, (guint)relic->frame, page);
    return !is_read || spoke_carver_carve_page(carver, &pages, page);
}

static gboolean
is_whole(const Relics *relics, const Relic *relic)
{
    return relic->frame == FILE_IMAGE ||
           g_array_index(relics->view->wal->frames, SpokeWalFrame, relic->frame).is_whole;
}

gboolean
spoke_relics_carve(const SpokeView *view, gboolean only_whole, SpokeCarveFunc func,
                   gpointer user_data)
{
    g_autoptr(GHashTable) later = g_hash_table_new_full(NULL, NULL, NULL, g_free);
    g_autoptr(GHashTable) places = g_hash_table_new_full(g_int64_hash, g_int64_equal, g_free, NULL);
    g_autoptr(GArray) found = g_array_new(FALSE, FALSE, sizeof(Relic));
    Relics relics = {.view = view,
                     .later = later,
                     .relics = found,
                     .places = places,
                     .func = func,
                     .user_data = user_data};
    g_autoptr(SpokeCarver) noting = spoke_carver_new(note_place, &relics);
    g_autoptr(SpokeCarver) carver = spoke_carver_new(on_row, &relics);
    gboolean goes_on = TRUE;

    find_relics(&relics);
    for (guint i = 0; i < found->len && goes_on; i++) {
        const Relic *relic = &g_array_index(found, Relic, i);
        if (!only_whole || is_whole(&relics, relic))
            goes_on = carve_relic(&relics, relic, noting, carver);
    }
    return goes_on;
}
