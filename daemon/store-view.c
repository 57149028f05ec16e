/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/store-view.h"

#include "daemon/store-room.h"
#include "daemon/store-schema.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const SpokeWalFrame *
frame_at(const SpokeView *view, guint frame)
{
    return &g_array_index(view->wal->frames, SpokeWalFrame, frame);
}

static gboolean
read_file(const SpokeView *view, guint32 number, guint8 *page)
{
    return number >= 1 && number <= view->n_file_pages &&
           pread(view->fd, page, SPOKE_STORE_PAGE_BYTES,
                 (off_t)(number - 1) * SPOKE_STORE_PAGE_BYTES) == SPOKE_STORE_PAGE_BYTES;
}

static gboolean
is_blank(const SpokeView *view, guint32 number)
{
    guint8 page[SPOKE_STORE_PAGE_BYTES];

    return !read_file(view, number, page) ||
           (page[0] == 0 && memcmp(page, page + 1, sizeof page - 1) == 0);
}

/* The newest frame, of those before @upto, that shows a page; -1: it is the file that does. One
 * that may be another page's comes after all that are not. */
static gint
find_frame(const SpokeView *view, guint upto, guint32 number)
{
    gint hit = -1;
    gint other = -1;

    for (gint i = (gint)upto - 1; i >= 0; i--) {
        const SpokeWalFrame *frame = frame_at(view, (guint)i);
        if (frame->page == number && (frame->is_whole || number > SPOKE_PAGE_FLOWS)) {
            if (frame->is_whole || frame->other_page == 0)
                return i;
            hit = MAX(hit, i);
        }
        if (frame->other_page == number && number > SPOKE_PAGE_FLOWS)
            other = MAX(other, i);
    }
    /* The file shows a page that is new as blank, if at all. */
    return hit < 0 && other >= 0 && is_blank(view, number) ? other : hit;
}

static void
note_page(SpokeView *view, guint32 number)
{
    if (number == 0 || g_hash_table_contains(view->newest, GUINT_TO_POINTER(number)))
        return;
    gint frame = find_frame(view, view->wal->committed, number);
    if (frame < 0)
        return;
    g_hash_table_insert(view->newest, GUINT_TO_POINTER(number), GINT_TO_POINTER(frame + 1));
    view->n_pages = MAX(view->n_pages, number);
}

static void
note_frames(SpokeView *view)
{
    for (guint i = view->wal->committed; i > 0; i--) {
        const SpokeWalFrame *frame = frame_at(view, i - 1);
        note_page(view, frame->page);
        note_page(view, frame->other_page);
        if (!frame->is_whole && view->n_certain == 0)
            view->n_certain = i;
    }
}

void
spoke_view_init(SpokeView *view, const char *path, const SpokeWal *wal)
{
    struct stat status;

    *view = (SpokeView){
        .fd = open(path, O_RDONLY | O_CLOEXEC), .wal = wal, .newest = g_hash_table_new(NULL, NULL)};
    if (view->fd >= 0 && fstat(view->fd, &status) == 0)
        view->n_file_pages = (guint32)MIN(status.st_size / SPOKE_STORE_PAGE_BYTES, G_MAXUINT32 - 1);
    view->n_pages = view->n_file_pages;
    if (wal != NULL)
        note_frames(view);
}

void
spoke_view_clear(SpokeView *view)
{
    if (view->fd >= 0)
        close(view->fd);
    g_hash_table_unref(view->newest);
}

gboolean
spoke_view_read(const SpokeView *view, guint32 number, guint8 *page)
{
    guint newest = GPOINTER_TO_UINT(g_hash_table_lookup(view->newest, GUINT_TO_POINTER(number)));

    return newest > 0 ? spoke_wal_read_page(view->wal, newest - 1, page)
                      : read_file(view, number, page);
}

gboolean
spoke_view_read_at(const SpokeView *view, gint frame, guint32 number, guint8 *page)
{
    guint upto = (guint)(frame + 1);

    while (upto > 0 && upto < view->wal->committed &&
           (frame_at(view, upto - 1)->n_pages == 0 || !frame_at(view, upto - 1)->is_whole))
        upto++;
    gint best = find_frame(view, upto, number);
    return best >= 0 ? spoke_wal_read_page(view->wal, (guint)best, page)
                     : read_file(view, number, page);
}

gboolean
spoke_view_is_certain(const SpokeView *view, guint32 number)
{
    guint newest = GPOINTER_TO_UINT(g_hash_table_lookup(view->newest, GUINT_TO_POINTER(number)));

    return view->wal == NULL ||
           (newest > view->n_certain && !frame_at(view, newest - 1)->is_doubtful);
}

gboolean
spoke_view_publish(const SpokeView *view, const char *path, const char *as)
{
    g_autoptr(GArray) frames = g_array_new(FALSE, FALSE, sizeof(guint));
    GHashTableIter iter;
    gpointer page = NULL;
    gpointer newest = NULL;

    g_hash_table_iter_init(&iter, view->newest);
    while (g_hash_table_iter_next(&iter, &page, &newest)) {
        guint frame = GPOINTER_TO_UINT(newest) - 1;
        if (GPOINTER_TO_UINT(page) <= view->wal->n_pages)
            g_array_append_val(frames, frame);
    }
    spoke_view_unpublish(as);
    if (frames->len > 0 && link(path, as) == 0 && spoke_wal_write(view->wal, as, frames))
        return TRUE;
    spoke_view_unpublish(as);
    return FALSE;
}

void
spoke_view_unpublish(const char *as)
{
    g_autofree char *wal_path = g_strconcat(as, "-wal", NULL);

    (void)unlink(wal_path);
    (void)unlink(as);
}
