/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/store-wal.h"

#include "daemon/store-wal-format.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

/*
 * A checksum runs over header and frames, and each frame stores it as far as to itself: so each can
 * be checked on its own, against what the one before stores. Frames of the log's earlier uses lie
 * behind those of the present one; they have other salts.
 */
typedef struct {
    int fd;
    guint n_frames; /* that the file has room for */
    gboolean is_big_endian;
    gboolean is_header_whole;

    gboolean has_salts;
    guint8 salts[SALTS_BYTES]; /* of the log's present use */
    gboolean is_sure;          /* that they are */

    /* Of the frame before */
    SpokeWalSum stored;
    SpokeWalSum computed; /* differs if what is stored was hit */
    gboolean is_ours;

    /* Results */
    guint n_sound; /* frames that SQLite takes */
    guint n_ours;
    guint committed;
    GArray *frames; /* borrowed, of SpokeWalFrame; NULL: not wanted */
} Scan;

/* What the sum was before @data was added. */
static void
take_from_sum(SpokeWalSum *sum, const guint8 *data, gsize size, gboolean is_big_endian)
{
    for (gsize i = size; i > 0; i -= 8) {
        sum->second -= spoke_wal_read_word(data + i - 4, is_big_endian) + sum->first;
        sum->first -= spoke_wal_read_word(data + i - 8, is_big_endian) + sum->second;
    }
}

static SpokeWalSum
read_sum(const guint8 *at)
{
    return (SpokeWalSum){spoke_wal_read_uint32(at), spoke_wal_read_uint32(at + 4)};
}

static gboolean
is_equal(const SpokeWalSum *a, const SpokeWalSum *b)
{
    return a->first == b->first && a->second == b->second;
}

static SpokeWalSum
sum_frame(const Scan *scan, SpokeWalSum before, const guint8 *frame)
{
    spoke_wal_add_to_sum(&before, frame, SUMMED_HEAD, scan->is_big_endian);
    spoke_wal_add_to_sum(&before, frame + FRAME_HEAD, SPOKE_STORE_PAGE_BYTES, scan->is_big_endian);
    return before;
}

/* What the disk can't read is as good as overwritten. */
static void
read_block(int fd, guint8 *block, gsize size, off_t offset)
{
    if (pread(fd, block, size, offset) != (gssize)size)
        memset(block, 0, size);
}

static void
scan_header(Scan *scan)
{
    guint8 header[HEADER_BYTES];

    read_block(scan->fd, header, sizeof header, 0);
    guint32 magic = spoke_wal_read_uint32(header);
    gboolean has_magic = (magic & ~1u) == MAGIC;
    scan->is_big_endian = has_magic ? (magic & 1) != 0 : G_BYTE_ORDER == G_BIG_ENDIAN;
    spoke_wal_add_to_sum(&scan->computed, header, SUMMED_HEADER, scan->is_big_endian);
    scan->stored = read_sum(header + HEADER_SUM);
    memcpy(scan->salts, header + HEADER_SALTS, SALTS_BYTES);
    scan->is_header_whole =
        has_magic && spoke_wal_read_uint32(header + HEADER_VERSION) == VERSION &&
        spoke_wal_read_uint32(header + HEADER_PAGE_SIZE) == SPOKE_STORE_PAGE_BYTES &&
        is_equal(&scan->stored, &scan->computed);
    scan->has_salts = scan->is_header_whole;
    scan->is_sure = scan->is_header_whole;
    scan->is_ours = TRUE;
}

/* Without a header the first whole frame says what the salts are. */
static void
adopt_salts(Scan *scan, guint number, const guint8 *frame)
{
    const guint8 *salts = frame + FRAME_SALTS;

    scan->is_sure = number == 0 || memcmp(scan->salts, salts, SALTS_BYTES) == 0;
    memcpy(scan->salts, salts, SALTS_BYTES);
    scan->has_salts = TRUE;
}

/* The frame before @number is whole but for the checksum it stores. */
static void
note_whole(Scan *scan, guint number)
{
    if (scan->frames == NULL || number == 0)
        return;
    SpokeWalFrame *before = &g_array_index(scan->frames, SpokeWalFrame, number - 1);
    before->is_whole = before->page > 0;
}

/* Whether the frame follows on the one before. */
static gboolean
is_linked(Scan *scan, guint number, const guint8 *frame, gboolean *ret_is_stored)
{
    SpokeWalSum stored = read_sum(frame + FRAME_SUM);
    SpokeWalSum sum = sum_frame(scan, scan->stored, frame);

    *ret_is_stored = is_equal(&sum, &stored);
    if (!*ret_is_stored && !is_equal(&scan->stored, &scan->computed)) {
        SpokeWalSum other = sum_frame(scan, scan->computed, frame);
        if (is_equal(&other, &stored)) {
            note_whole(scan, number);
            sum = other;
        }
    }
    scan->computed = sum;
    scan->stored = stored;
    return is_equal(&sum, &stored);
}

static void
scan_frame(Scan *scan, guint number, const guint8 *frame)
{
    SpokeWalFrame result = {.page = spoke_wal_read_uint32(frame + FRAME_PAGE),
                            .n_pages = spoke_wal_read_uint32(frame + FRAME_COMMIT)};
    gboolean has_salts =
        scan->has_salts && memcmp(scan->salts, frame + FRAME_SALTS, SALTS_BYTES) == 0;
    gboolean is_stored = FALSE;
    gboolean is_whole = FALSE;

    if (has_salts || scan->is_ours || !scan->has_salts) {
        is_whole = is_linked(scan, number, frame, &is_stored) && result.page > 0;
        if (is_whole && !scan->has_salts) {
            adopt_salts(scan, number, frame);
            has_salts = TRUE;
        }
    } else {
        scan->stored = read_sum(frame + FRAME_SUM);
        scan->computed = scan->stored;
    }
    scan->is_ours = has_salts || (is_whole && scan->is_ours);
    if (scan->n_sound == number && scan->is_header_whole && has_salts && is_whole && is_stored)
        scan->n_sound++;
    /* The very first bad one is what a crash may have left unfinished. */
    if (scan->is_ours && result.n_pages > 0 && (is_whole || number > scan->n_sound))
        scan->committed = number + 1;
    if (scan->is_ours)
        scan->n_ours = number + 1;
    if (scan->frames == NULL)
        return;
    result.is_whole = scan->is_ours && is_whole;
    if (!result.is_whole && !has_salts)
        result.page = result.n_pages = 0;
    g_array_append_val(scan->frames, result);
}

/* Returns whether there is a commit that SQLite would drop. */
static gboolean
scan_all(Scan *scan)
{
    guint8 frame[FRAME_BYTES];

    scan_header(scan);
    for (guint i = 0; i < scan->n_frames; i++) {
        read_block(scan->fd, frame, sizeof frame, spoke_wal_frame_offset(i));
        scan_frame(scan, i, frame);
    }
    return scan->committed > scan->n_sound;
}

/* Returns FALSE if there is no log. */
static gboolean
scan_open(Scan *scan, const char *path)
{
    g_autofree char *wal_path = g_strconcat(path, "-wal", NULL);
    struct stat status;

    scan->fd = open(wal_path, O_RDONLY | O_CLOEXEC);
    if (scan->fd < 0)
        return FALSE;
    if (fstat(scan->fd, &status) == 0 && status.st_size >= HEADER_BYTES + FRAME_BYTES) {
        scan->n_frames = (guint)MIN((status.st_size - HEADER_BYTES) / FRAME_BYTES, G_MAXINT32);
        return TRUE;
    }
    close(scan->fd);
    return FALSE;
}

gboolean
spoke_wal_is_damaged(const char *path)
{
    Scan scan = {0};

    if (!scan_open(&scan, path))
        return FALSE;
    gboolean is_damaged = scan_all(&scan);
    close(scan.fd);
    return is_damaged;
}

/* If it is the head of a frame that was hit, it follows from the checksums before and after: two
 * numbers from two. But numbers that make sense can come out of other damage as well. */
static guint32
solve_page(const SpokeWal *wal, guint number, guint32 pages_max, gboolean is_big_endian)
{
    guint8 block[FRAME_BYTES];
    guint8 sum[sizeof(SpokeWalSum)];
    guint8 head[SUMMED_HEAD];

    read_block(wal->fd, sum, sizeof sum,
               number == 0 ? HEADER_SUM : spoke_wal_frame_offset(number - 1) + FRAME_SUM);
    read_block(wal->fd, block, sizeof block, spoke_wal_frame_offset(number));
    SpokeWalSum before = read_sum(sum);
    SpokeWalSum after = read_sum(block + FRAME_SUM);
    take_from_sum(&after, block + FRAME_HEAD, SPOKE_STORE_PAGE_BYTES, is_big_endian);
    guint32 words[] = {after.first - before.first - before.second,
                       after.second - before.second - after.first};
    for (guint i = 0; i < G_N_ELEMENTS(words); i++)
        words[i] = is_big_endian ? GUINT32_TO_BE(words[i]) : GUINT32_TO_LE(words[i]);
    memcpy(head, words, sizeof head);
    guint32 page = spoke_wal_read_uint32(head + FRAME_PAGE);
    return page <= pages_max && spoke_wal_read_uint32(head + FRAME_COMMIT) <= pages_max ? page : 0;
}

static guint32
count_file_pages(const char *path)
{
    struct stat status;

    return stat(path, &status) == 0
               ? (guint32)MIN(status.st_size / SPOKE_STORE_PAGE_BYTES, G_MAXINT32)
               : 0;
}

/* Finds out what can be found out about frames that are not whole. */
static void
mend_frames(SpokeWal *wal, const Scan *scan, const char *path)
{
    guint32 pages_max = count_file_pages(path) + scan->n_frames;

    g_array_set_size(wal->frames, scan->n_ours);
    for (guint i = 0; i < wal->frames->len; i++) {
        SpokeWalFrame *frame = &g_array_index(wal->frames, SpokeWalFrame, i);
        if (i >= wal->committed) /* never finished */
            *frame = (SpokeWalFrame){.is_doubtful = TRUE};
        else if (!frame->is_whole)
            frame->other_page = solve_page(wal, i, pages_max, scan->is_big_endian);
        if (frame->page > pages_max)
            frame->page = 0;
    }
}

/* Where one transaction ends and the next begins is known from whole frames only. */
static void
note_doubts(SpokeWal *wal, gboolean is_sure)
{
    gboolean is_doubtful = !is_sure;
    guint first = 0;

    for (guint i = 0; i < wal->committed; i++) {
        const SpokeWalFrame *frame = &g_array_index(wal->frames, SpokeWalFrame, i);
        is_doubtful = is_doubtful || !frame->is_whole;
        if (i + 1 < wal->committed && (!frame->is_whole || frame->n_pages == 0))
            continue;
        for (; first <= i; first++)
            g_array_index(wal->frames, SpokeWalFrame, first).is_doubtful = is_doubtful;
        is_doubtful = !is_sure;
    }
}

static guint32
find_size(const SpokeWal *wal)
{
    guint32 n_pages = 0;

    for (guint i = 0; i < wal->committed; i++) {
        const SpokeWalFrame *frame = &g_array_index(wal->frames, SpokeWalFrame, i);
        if (frame->is_whole && frame->n_pages > 0)
            n_pages = frame->n_pages;
        else
            n_pages = MAX(n_pages, frame->page);
    }
    return n_pages;
}

SpokeWal *
spoke_wal_read(const char *path)
{
    g_autoptr(SpokeWal) wal = g_new0(SpokeWal, 1);
    Scan scan = {0};

    wal->fd = -1;
    wal->frames = g_array_new(FALSE, FALSE, sizeof(SpokeWalFrame));
    scan.frames = wal->frames;
    if (!scan_open(&scan, path))
        return NULL;
    wal->fd = scan.fd;
    if (!scan_all(&scan))
        return NULL;
    wal->committed = scan.committed;
    mend_frames(wal, &scan, path);
    note_doubts(wal, scan.is_sure);
    wal->n_pages = find_size(wal);
    return g_steal_pointer(&wal);
}

void
spoke_wal_free(SpokeWal *wal)
{
    if (wal == NULL)
        return;
    if (wal->fd >= 0)
        close(wal->fd);
    g_array_unref(wal->frames);
    g_free(wal);
}

gboolean
spoke_wal_read_page(const SpokeWal *wal, guint frame, guint8 *page)
{
    return pread(wal->fd, page, SPOKE_STORE_PAGE_BYTES,
                 spoke_wal_frame_offset(frame) + FRAME_HEAD) == SPOKE_STORE_PAGE_BYTES;
}
