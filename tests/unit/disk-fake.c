/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/error.h"
#include "tests/unit/disk.h"

/*
 * daemon/inbox.h over a list in memory. Operations take effect one by one, in order, from the main
 * loop, or when the test says so.
 */
typedef struct {
    SpokeMessage *message;
    gint64 received_usec;
    guint delivery_count;
    SpokeDeadReason dead;
} Row;

typedef enum { PUT, UPDATE, REMOVE } Kind;

typedef struct {
    Kind kind;
    guint64 id;
    Row row;
    SpokeInboxFunc done;
    gpointer user_data;
} Operation;

struct Disk {
    GQueue rows; /* of Row, by id */
    guint64 last_id;
    GQueue pending; /* of Operation */
    guint commit_id;
    gboolean held;
    gboolean power_lost;
    gboolean ids_refused;
    gint fail_code;
};

static void
row_free(gpointer data)
{
    Row *row = data;

    spoke_message_unref(row->message);
    g_free(row);
}

Disk *
disk_new(void)
{
    Disk *disk = g_new0(Disk, 1);

    disk->fail_code = -1;
    return disk;
}

void
disk_free(Disk *disk)
{
    g_assert_true(g_queue_is_empty(&disk->pending));
    g_clear_handle_id(&disk->commit_id, g_source_remove);
    g_queue_clear_full(&disk->rows, row_free);
    g_free(disk);
}

static GList *
find_row(Disk *disk, guint64 id)
{
    for (GList *link = disk->rows.head; link != NULL; link = link->next) {
        if (((Row *)link->data)->message->id == id)
            return link;
    }
    return NULL;
}

static void
apply(Disk *disk, Operation *operation)
{
    GList *link = find_row(disk, operation->id);

    switch (operation->kind) {
    case PUT:
        g_queue_push_tail(&disk->rows, g_memdup2(&operation->row, sizeof(Row)));
        operation->row.message = NULL;
        break;
    case UPDATE:
        if (link != NULL) {
            ((Row *)link->data)->delivery_count = operation->row.delivery_count;
            ((Row *)link->data)->dead = operation->row.dead;
        }
        break;
    case REMOVE:
        if (link != NULL) {
            row_free(link->data);
            g_queue_delete_link(&disk->rows, link);
        }
        break;
    }
}

static void
finish(Operation *operation, gint fail_code, const char *text)
{
    g_autoptr(GError) error =
        fail_code >= 0 ? g_error_new_literal(SPOKE_ERROR, fail_code, text) : NULL;

    if (operation->done != NULL)
        operation->done(error, operation->user_data);
    spoke_message_unref(operation->row.message);
    g_free(operation);
}

gboolean
disk_commit(Disk *disk)
{
    Operation *operation = g_queue_pop_head(&disk->pending);

    if (operation == NULL)
        return FALSE;

    gint code =
        operation->kind == PUT && operation->id == 0 ? SPOKE_ERROR_QUEUE_FULL : disk->fail_code;

    if (code < 0)
        apply(disk, operation);
    finish(operation, code, "The test wants it so");
    return TRUE;
}

static gboolean
commit_one(gpointer user_data)
{
    Disk *disk = user_data;

    if (!disk->held && disk_commit(disk) && !g_queue_is_empty(&disk->pending))
        return G_SOURCE_CONTINUE;

    disk->commit_id = 0;
    return G_SOURCE_REMOVE;
}

static void
wake(Disk *disk)
{
    if (disk->commit_id == 0 && !disk->held)
        disk->commit_id = g_idle_add_full(G_PRIORITY_DEFAULT, commit_one, disk, NULL);
}

static void
add(Disk *disk, Kind kind, guint64 id, const Row *row, SpokeInboxFunc done, gpointer user_data)
{
    Operation *operation = g_new0(Operation, 1);

    operation->kind = kind;
    operation->id = id;
    operation->row = *row;
    operation->done = done;
    operation->user_data = user_data;
    g_queue_push_tail(&disk->pending, operation);
    wake(disk);
}

void
disk_hold(Disk *disk, gboolean hold)
{
    disk->held = hold;
    if (!g_queue_is_empty(&disk->pending))
        wake(disk);
}

void
disk_fail(Disk *disk, gint code)
{
    disk->fail_code = code;
}

static void
drop_pending(Disk *disk)
{
    Operation *operation;

    while ((operation = g_queue_pop_head(&disk->pending)) != NULL)
        finish(operation, SPOKE_ERROR_CANCELLED, "The inbox is closed");
}

void
disk_refuse_ids(Disk *disk, gboolean on)
{
    disk->ids_refused = on;
}

void
disk_lose_power(Disk *disk)
{
    disk->power_lost = TRUE;
}

guint
disk_get_count(Disk *disk, guint64 id)
{
    GList *link = find_row(disk, id);

    g_assert_nonnull(link);
    return ((Row *)link->data)->delivery_count;
}

gboolean
disk_has(Disk *disk, guint64 id)
{
    return find_row(disk, id) != NULL;
}

SpokeInbox *
disk_open_inbox(Disk *disk)
{
    return spoke_inbox_open((SpokeSpool *)disk, "self", NULL);
}

void
disk_close(Disk *disk)
{
}

SpokeInbox *
spoke_inbox_open(SpokeSpool *spool, const char *name, GError **error)
{
    return (SpokeInbox *)spool;
}

/* As the real one: what was handed over is still written, only nobody hears of it. */
void
spoke_inbox_free(SpokeInbox *inbox)
{
    Disk *disk = (Disk *)inbox;

    for (GList *link = disk->pending.head; link != NULL; link = link->next) {
        if (disk->fail_code < 0 && !disk->power_lost)
            apply(disk, link->data);
    }
    drop_pending(disk);
    disk->power_lost = FALSE;
}

gboolean
spoke_inbox_load(SpokeInbox *inbox, SpokeInboxRowFunc row, gpointer user_data, GError **error)
{
    Disk *disk = (Disk *)inbox;

    if (disk->fail_code >= 0) {
        g_set_error_literal(error, SPOKE_ERROR, disk->fail_code, "The test wants it so");
        return FALSE;
    }
    for (GList *link = disk->rows.head; link != NULL; link = link->next) {
        Row *stored = link->data;

        row(stored->message, stored->received_usec, stored->delivery_count, stored->dead,
            user_data);
    }
    return TRUE;
}

void
spoke_inbox_put(SpokeInbox *inbox, SpokeMessage *message, gint64 received_usec, SpokeInboxFunc done,
                gpointer user_data)
{
    Disk *disk = (Disk *)inbox;

    message->id = disk->ids_refused ? 0 : ++disk->last_id;
    add(disk, PUT, message->id, &(Row){spoke_message_ref(message), received_usec}, done, user_data);
}

void
spoke_inbox_update(SpokeInbox *inbox, guint64 id, guint delivery_count, SpokeDeadReason dead,
                   SpokeInboxFunc done, gpointer user_data)
{
    add((Disk *)inbox, UPDATE, id, &(Row){.delivery_count = delivery_count, .dead = dead}, done,
        user_data);
}

void
spoke_inbox_remove(SpokeInbox *inbox, guint64 id, SpokeInboxFunc done, gpointer user_data)
{
    add((Disk *)inbox, REMOVE, id, &(Row){0}, done, user_data);
}
