/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "daemon/store-room.h"

#include <string.h>
#include <sys/types.h>

/*
 * What the files of a log's reader and writer both need to know of it. Source:
 * sqlite.org/fileformat2.html, 4.1 (WAL file format), 4.2 (checksum algorithm).
 */
#define HEADER_BYTES  32
#define FRAME_HEAD    24
#define FRAME_BYTES   (FRAME_HEAD + SPOKE_STORE_PAGE_BYTES)
#define MAGIC         0x377f0682u /* +1: the checksum's numbers are big-endian */
#define VERSION       3007000u
#define SUMMED_HEADER 24 /* so much of the header is under its checksum */
#define SUMMED_HEAD   8  /* and so much of a frame's head */

enum { HEADER_VERSION = 4, HEADER_PAGE_SIZE = 8, HEADER_SALTS = 16, HEADER_SUM = 24 };
enum { FRAME_PAGE = 0, FRAME_COMMIT = 4, FRAME_SALTS = 8, FRAME_SUM = 16, SALTS_BYTES = 8 };

typedef struct {
    guint32 first;
    guint32 second;
} SpokeWalSum;

static inline off_t
spoke_wal_frame_offset(guint frame)
{
    return HEADER_BYTES + (off_t)frame * FRAME_BYTES;
}

static inline guint32
spoke_wal_read_uint32(const guint8 *at)
{
    guint32 big_endian;

    memcpy(&big_endian, at, sizeof big_endian);
    return GUINT32_FROM_BE(big_endian);
}

static inline void
spoke_wal_write_uint32(guint8 *at, guint32 number)
{
    guint32 big_endian = GUINT32_TO_BE(number);

    memcpy(at, &big_endian, sizeof big_endian);
}

/* A number as the checksum sees it. */
static inline guint32
spoke_wal_read_word(const guint8 *at, gboolean is_big_endian)
{
    guint32 word;

    memcpy(&word, at, sizeof word);
    return is_big_endian ? GUINT32_FROM_BE(word) : GUINT32_FROM_LE(word);
}

static inline void
spoke_wal_add_to_sum(SpokeWalSum *sum, const guint8 *data, gsize size, gboolean is_big_endian)
{
    for (gsize i = 0; i < size; i += 8) {
        sum->first += spoke_wal_read_word(data + i, is_big_endian) + sum->second;
        sum->second += spoke_wal_read_word(data + i + 4, is_big_endian) + sum->first;
    }
}
