/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/store-wal-format.h"
#include "daemon/store-wal.h"

#include <fcntl.h>
#include <unistd.h>

/* A log that SQLite takes: header and frames with a checksum over all of them. */

static gboolean
write_block(int fd, const guint8 *block, gsize size)
{
    return write(fd, block, size) == (gssize)size;
}

static gboolean
write_header(int fd, SpokeWalSum *ret_sum)
{
    guint8 header[HEADER_BYTES] = {0};

    spoke_wal_write_uint32(header, MAGIC);
    spoke_wal_write_uint32(header + HEADER_VERSION, VERSION);
    spoke_wal_write_uint32(header + HEADER_PAGE_SIZE, SPOKE_STORE_PAGE_BYTES);
    spoke_wal_add_to_sum(ret_sum, header, SUMMED_HEADER, FALSE);
    spoke_wal_write_uint32(header + HEADER_SUM, ret_sum->first);
    spoke_wal_write_uint32(header + HEADER_SUM + 4, ret_sum->second);
    return write_block(fd, header, sizeof header);
}

static gboolean
write_frame(int fd, const SpokeWal *wal, guint number, guint32 n_pages, SpokeWalSum *sum)
{
    guint8 frame[FRAME_BYTES] = {0};

    if (!spoke_wal_read_page(wal, number, frame + FRAME_HEAD))
        return FALSE;
    spoke_wal_write_uint32(frame + FRAME_PAGE,
                           g_array_index(wal->frames, SpokeWalFrame, number).page);
    spoke_wal_write_uint32(frame + FRAME_COMMIT, n_pages);
    spoke_wal_add_to_sum(sum, frame, SUMMED_HEAD, FALSE);
    spoke_wal_add_to_sum(sum, frame + FRAME_HEAD, SPOKE_STORE_PAGE_BYTES, FALSE);
    spoke_wal_write_uint32(frame + FRAME_SUM, sum->first);
    spoke_wal_write_uint32(frame + FRAME_SUM + 4, sum->second);
    return write_block(fd, frame, sizeof frame);
}

gboolean
spoke_wal_write(const SpokeWal *wal, const char *path, const GArray *frames)
{
    g_autofree char *wal_path = g_strconcat(path, "-wal", NULL);
    SpokeWalSum sum = {0};

    int fd = open(wal_path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0)
        return FALSE;
    gboolean is_written = write_header(fd, &sum);
    for (guint i = 0; i < frames->len && is_written; i++)
        is_written = write_frame(fd, wal, g_array_index(frames, guint, i),
                                 i + 1 == frames->len ? wal->n_pages : 0, &sum);
    close(fd);
    return is_written;
}
