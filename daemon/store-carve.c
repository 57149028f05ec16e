/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/store-carve.h"

#include "daemon/message.h"
#include "daemon/store-room.h"

/*
 * Reads SQLite's pages by itself. Source: sqlite.org/fileformat2.html, 1.6 (b-tree pages), 1.6 and
 * 2.1 (varints and records). Every number is checked before it is used: this is a damaged file. A
 * row found is bound to a SELECT of parameters, so that the same code reads it as reads any other.
 */
#define USABLE      SPOKE_STORE_PAGE_BYTES
#define LOCAL_MAX   (USABLE - 35)
#define LOCAL_MIN   ((USABLE - 12) * 32 / 255 - 23)
#define LEAF        0x0d
#define N_COLUMNS   8
#define PAYLOAD_MAX (4 * SPOKE_MESSAGE_BYTES_MAX)

struct SpokeCarver {
    sqlite3 *memory;   /* owned */
    sqlite3_stmt *row; /* owned; SELECT ?1, …, ?8 */
    SpokeCarveFunc func;
    gpointer user_data;
};

typedef struct {
    const guint8 *next;
    const guint8 *end;
} Reader;

static guint
read_uint16(const guint8 *at)
{
    return (guint)at[0] << 8 | at[1];
}

static guint32
read_uint32(const guint8 *at)
{
    return (guint32)read_uint16(at) << 16 | read_uint16(at + 2);
}

static gboolean
read_varint(Reader *reader, guint64 *ret_value)
{
    guint64 value = 0;

    for (guint i = 0; i < 9 && reader->next < reader->end; i++) {
        guint8 byte = *reader->next++;
        if (i == 8) {
            *ret_value = value << 8 | byte;
            return TRUE;
        }
        value = value << 7 | (byte & 0x7f);
        if (byte < 0x80) {
            *ret_value = value;
            return TRUE;
        }
    }
    return FALSE;
}

/* How much of a payload lies on the leaf itself. */
static guint64
local_size(guint64 size)
{
    if (size <= LOCAL_MAX)
        return size;
    guint64 local = LOCAL_MIN + (size - LOCAL_MIN) % (USABLE - 4);
    return local <= LOCAL_MAX ? local : LOCAL_MIN;
}

/* The whole payload, with what lies on overflow pages. (transfer full) (nullable) */
static GByteArray *
gather_payload(const SpokePages *pages, Reader *cell, guint64 size)
{
    guint64 local = local_size(size);
    gboolean has_overflow = local < size;
    if (size > PAYLOAD_MAX || (guint64)(cell->end - cell->next) < local + (has_overflow ? 4 : 0))
        return NULL;

    g_autoptr(GByteArray) payload = g_byte_array_sized_new((guint)size);
    g_byte_array_append(payload, cell->next, (guint)local);
    guint32 number = has_overflow ? read_uint32(cell->next + local) : 0;
    while (payload->len < size) {
        guint8 page[USABLE];
        if (!pages->read(pages->source, number, page))
            return NULL;
        g_byte_array_append(payload, page + 4, (guint)MIN(size - payload->len, USABLE - 4));
        number = read_uint32(page);
    }
    return g_steal_pointer(&payload);
}

static guint64
serial_size(guint64 type)
{
    static const guint8 sizes[] = {0, 1, 2, 3, 4, 6, 8, 8, 0, 0, 0, 0};

    return type < G_N_ELEMENTS(sizes) ? sizes[type] : (type - 12) / 2;
}

static gint64
read_integer(guint64 type, const guint8 *data)
{
    guint64 size = serial_size(type);
    guint64 value = size > 0 && data[0] >= 0x80 ? G_MAXUINT64 : 0;

    if (type >= 8)
        return (gint64)type - 8;
    for (guint64 i = 0; i < size; i++)
        value = value << 8 | data[i];
    return (gint64)value;
}

/* Binds the next column of a record, which begins at @data. */
static void
bind_column(sqlite3_stmt *row, int index, guint64 type, const guint8 *data)
{
    int size = (int)serial_size(type);

    if (type == 0)
        sqlite3_bind_null(row, index);
    else if (type >= 12 && type % 2 == 0)
        sqlite3_bind_blob(row, index, data, size, SQLITE_STATIC);
    else if (type >= 13)
        sqlite3_bind_text(row, index, (const char *)data, size, SQLITE_STATIC);
    else
        sqlite3_bind_int64(row, index, read_integer(type, data));
}

/* The types of a record's columns; FALSE if it is no row of ours. */
static gboolean
read_types(Reader *record, guint64 types[N_COLUMNS], Reader *ret_data)
{
    guint64 header_size = 0;
    guint64 data_size = 0;
    const guint8 *begin = record->next;
    if (!read_varint(record, &header_size) || header_size > (guint64)(record->end - begin))
        return FALSE;

    Reader header = {record->next, begin + header_size};
    for (guint i = 0; i < N_COLUMNS; i++) {
        if (!read_varint(&header, &types[i]) || types[i] == 7 || types[i] == 10 || types[i] == 11)
            return FALSE;
        data_size += serial_size(types[i]);
        if (data_size > PAYLOAD_MAX)
            return FALSE;
    }
    *ret_data = (Reader){header.end, record->end};
    return header.next == header.end && types[0] == 0 &&
           data_size == (guint64)(record->end - header.end);
}

static gboolean
is_integer(guint64 type)
{
    return (type >= 1 && type <= 6) || type == 8 || type == 9;
}

/* Hands over the row with this payload, if it is one. */
static gboolean
carve_row(SpokeCarver *carver, gint64 place, const GByteArray *payload)
{
    Reader record = {payload->data, payload->data + payload->len};
    Reader data = {0};
    guint64 types[N_COLUMNS];
    if (!read_types(&record, types, &data) || !is_integer(types[1]) || !is_integer(types[2]))
        return TRUE;

    sqlite3_bind_int64(carver->row, 1, place);
    for (guint i = 1; i < N_COLUMNS; i++) {
        bind_column(carver->row, (int)i + 1, types[i], data.next);
        data.next += serial_size(types[i]);
    }
    gboolean goes_on = TRUE;
    /* The inbox has integers where the outbox has app and notify. */
    if (sqlite3_step(carver->row) == SQLITE_ROW)
        goes_on = carver->func(is_integer(types[3]) && is_integer(types[4]), carver->row,
                               carver->user_data);
    sqlite3_reset(carver->row);
    return goes_on;
}

static gboolean
carve_cell(SpokeCarver *carver, const SpokePages *pages, Reader *cell)
{
    guint64 size = 0;
    guint64 place = 0;
    if (!read_varint(cell, &size) || !read_varint(cell, &place))
        return TRUE;

    g_autoptr(GByteArray) payload = gather_payload(pages, cell, size);
    return payload == NULL || carve_row(carver, (gint64)place, payload);
}

SpokeCarver *
spoke_carver_new(SpokeCarveFunc func, gpointer user_data)
{
    SpokeCarver *carver = g_new0(SpokeCarver, 1);

    carver->func = func;
    carver->user_data = user_data;
    if (sqlite3_open(":memory:", &carver->memory) != SQLITE_OK ||
        sqlite3_prepare_v2(carver->memory, "SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8", -1,
                           &carver->row, NULL) != SQLITE_OK)
        g_error("SQLite can't open a database in memory: %s", sqlite3_errmsg(carver->memory));
    return carver;
}

void
spoke_carver_free(SpokeCarver *carver)
{
    if (carver == NULL)
        return;
    sqlite3_finalize(carver->row);
    sqlite3_close(carver->memory);
    g_free(carver);
}

gboolean
spoke_carver_carve_page(SpokeCarver *carver, const SpokePages *pages, const guint8 *page)
{
    enum { N_CELLS = 3, POINTERS = 8 };
    guint n_cells = read_uint16(page + N_CELLS);
    if (page[0] != LEAF || POINTERS + 2 * n_cells > USABLE)
        return TRUE;

    for (guint i = 0; i < n_cells; i++) {
        guint offset = read_uint16(page + POINTERS + 2 * i);
        Reader cell = {page + offset, page + USABLE};
        if (offset >= POINTERS && offset < USABLE && !carve_cell(carver, pages, &cell))
            return FALSE;
    }
    return TRUE;
}

gboolean
spoke_carver_carve_all(SpokeCarver *carver, const SpokePages *pages, guint32 n_pages)
{
    guint8 page[USABLE];
    gboolean goes_on = TRUE;

    for (guint32 number = 2; number <= n_pages && goes_on; number++) {
        if (pages->read(pages->source, number, page))
            goes_on = spoke_carver_carve_page(carver, pages, page);
    }
    return goes_on;
}
