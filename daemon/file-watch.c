/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/file-watch.h"

#include <errno.h>
#include <fcntl.h>
#include <glib-unix.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

/*
 * inotify on the folders the files are in, not on the files: those are replaced. Where links lead
 * to a file, the folder of each link is watched too, and where a folder is missing, the one it will
 * appear in. An event only says when to look; whether anything has changed is what stat() says
 * then, compared with what it said before. After each look all is set up anew, because links may
 * lead elsewhere; what nobody needs any more goes by that, too.
 *
 * Not noticed: that a folder further up is renamed; and what happens on other machines that share
 * the file system.
 */

#define LINKS_MAX 40 /* as the kernel's */

#define FOLDER_EVENTS                                                                              \
    (IN_CREATE | IN_CLOSE_WRITE | IN_ATTRIB | IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE |            \
     IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR)

/* For a file in a folder that can be passed through but not read. */
#define FILE_EVENTS (IN_CLOSE_WRITE | IN_ATTRIB | IN_DELETE_SELF | IN_MOVE_SELF)

/* What tells two states of a file apart. */
typedef struct {
    gboolean exists;
    dev_t device;
    ino_t inode;
    off_t size;
    struct timespec modified;
    struct timespec changed;
} Print;

typedef struct {
    guint n_users;
    Print print;
    gboolean is_blind; /* it can't be watched, which has been said */
} File;

struct SpokeFileWatch {
    guint quiet_msec;
    void (*changed)(gpointer);
    gpointer user_data;

    GHashTable *files;  /* owned; path → File */
    GHashTable *places; /* owned; "WATCH/NAME" of what an event may matter for */
    int fd;             /* owned; -1 while there is nothing to watch */
    guint fd_id;        /* source */
    guint timer_id;     /* source */
    gint64 first_usec;  /* of the events that the timer waits for */
};

static Print
take_print(const char *path)
{
    struct stat st;

    if (stat(path, &st) < 0)
        return (Print){FALSE};
    return (Print){.exists = TRUE,
                   .device = st.st_dev,
                   .inode = st.st_ino,
                   .size = st.st_size,
                   .modified = st.st_mtim,
                   .changed = st.st_ctim};
}

static gboolean
is_same_time(struct timespec a, struct timespec b)
{
    return a.tv_sec == b.tv_sec && a.tv_nsec == b.tv_nsec;
}

static gboolean
is_same(const Print *a, const Print *b)
{
    return a->exists == b->exists && a->device == b->device && a->inode == b->inode &&
           a->size == b->size && is_same_time(a->modified, b->modified) &&
           is_same_time(a->changed, b->changed);
}

/* Places */

static void
add_place(SpokeFileWatch *self, int wd, const char *name)
{
    g_hash_table_add(self->places, g_strdup_printf("%d/%s", wd, name));
}

/* @name in @folder, which has no link in it. FALSE with errno */
static gboolean
watch_place(SpokeFileWatch *self, const char *folder, const char *name)
{
    int wd = inotify_add_watch(self->fd, folder, FOLDER_EVENTS);

    if (wd < 0 && errno == EACCES) {
        g_autofree char *path = g_build_filename(folder, name, NULL);

        wd = inotify_add_watch(self->fd, path, FILE_EVENTS);
    }
    if (wd < 0)
        return FALSE;
    add_place(self, wd, name);
    return TRUE;
}

/* One step on the way: from @folder to what is called @name there. Returns: where a link leads, and
 * NULL for what is none. */
static char *
follow(const char *folder, const char *name)
{
    g_autofree char *path = g_build_filename(folder, name, NULL);
    g_autofree char *target = g_file_read_link(path, NULL);

    if (target == NULL || g_path_is_absolute(target))
        return g_steal_pointer(&target);
    return g_build_filename(folder, target, NULL);
}

static gboolean
is_folder(const char *path)
{
    return g_file_test(path, G_FILE_TEST_IS_DIR);
}

/* Walks @path, which is absolute, from the root, starting anew with each link that is met. */
static gboolean
watch_way(SpokeFileWatch *self, const char *path, guint n_links)
{
    g_auto(GStrv) names = g_strsplit(path, "/", -1);
    g_autofree char *folder = g_strdup("/");

    for (char **name = names; *name != NULL; name++) {
        if (**name == '\0' || g_str_equal(*name, "."))
            continue;

        g_autofree char *rest = g_strjoinv("/", name + 1);
        g_autofree char *target = follow(folder, *name);
        g_autofree char *next = g_str_equal(*name, "..") ? g_path_get_dirname(folder)
                                                         : g_build_filename(folder, *name, NULL);

        if (target != NULL) {
            g_autofree char *other = g_build_filename(target, rest, NULL);

            errno = ELOOP;
            return n_links < LINKS_MAX && watch_place(self, folder, *name) &&
                   watch_way(self, other, n_links + 1);
        }
        if (*rest == '\0' || !is_folder(next))
            return watch_place(self, folder, *name);
        g_free(folder);
        folder = g_steal_pointer(&next);
    }
    errno = EINVAL;
    return FALSE;
}

static void
watch_file(SpokeFileWatch *self, const char *path, File *file)
{
    gboolean was_blind = file->is_blind;

    errno = EMFILE; /* why else there is no descriptor */
    file->is_blind = self->fd < 0 || !watch_way(self, path, 0);
    if (file->is_blind && !was_blind)
        g_warning("That %s changes will not be noticed (%s); reload the configuration after it has",
                  path, g_strerror(errno));
}

/* Events */

static void close_inotify(SpokeFileWatch *self);
static void open_inotify(SpokeFileWatch *self);

/* All anew, first the watching and then the looking, so that nothing happens in between. */
static gboolean
look(SpokeFileWatch *self)
{
    GHashTableIter iter;
    gpointer path, value;
    gboolean has_changed = FALSE;

    close_inotify(self);
    open_inotify(self);
    g_hash_table_iter_init(&iter, self->files);
    while (g_hash_table_iter_next(&iter, &path, &value)) {
        File *file = value;

        watch_file(self, path, file);

        Print print = take_print(path);

        has_changed = has_changed || !is_same(&print, &file->print);
        file->print = print;
    }
    return has_changed;
}

static gboolean
on_quiet(gpointer user_data)
{
    SpokeFileWatch *self = user_data;

    self->timer_id = 0;
    if (look(self))
        self->changed(self->user_data);
    return G_SOURCE_REMOVE;
}

static void
wait_for_quiet(SpokeFileWatch *self)
{
    gint64 now_usec = g_get_monotonic_time();

    if (self->timer_id == 0)
        self->first_usec = now_usec;
    g_clear_handle_id(&self->timer_id, g_source_remove);

    gint64 last_msec = (self->first_usec - now_usec) / 1000 + 5 * (gint64)self->quiet_msec;

    self->timer_id =
        g_timeout_add((guint)CLAMP(last_msec, 0, (gint64)self->quiet_msec), on_quiet, self);
}

static gboolean
matters(SpokeFileWatch *self, const struct inotify_event *event)
{
    g_autofree char *place = g_strdup_printf("%d/%s", event->wd, event->len > 0 ? event->name : "");

    /* Without a name it is about the folder, or about a file that is watched by itself. */
    return (event->mask & (IN_Q_OVERFLOW | IN_UNMOUNT)) != 0 || event->len == 0 ||
           g_hash_table_contains(self->places, place);
}

static gboolean
on_inotify(int fd, GIOCondition condition, gpointer user_data)
{
    SpokeFileWatch *self = user_data;
    _Alignas(struct inotify_event) char buffer[4096];
    gboolean any_matters = FALSE;
    ssize_t size;

    while ((size = read(fd, buffer, sizeof buffer)) > 0) {
        for (ssize_t at = 0; at < size;) {
            const struct inotify_event *event = (const struct inotify_event *)(buffer + at);

            any_matters = any_matters || matters(self, event);
            at += (ssize_t)(sizeof *event + event->len);
        }
    }
    if (any_matters)
        wait_for_quiet(self);
    return G_SOURCE_CONTINUE;
}

static void
open_inotify(SpokeFileWatch *self)
{
    self->fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
    if (self->fd >= 0)
        self->fd_id = g_unix_fd_add(self->fd, G_IO_IN, on_inotify, self);
}

static void
close_inotify(SpokeFileWatch *self)
{
    g_clear_handle_id(&self->fd_id, g_source_remove);
    if (self->fd >= 0)
        (void)close(self->fd);
    self->fd = -1;
    g_hash_table_remove_all(self->places);
}

SpokeFileWatch *
spoke_file_watch_new(guint quiet_msec, void (*changed)(gpointer), gpointer user_data)
{
    SpokeFileWatch *self = g_new0(SpokeFileWatch, 1);

    self->quiet_msec = quiet_msec;
    self->changed = changed;
    self->user_data = user_data;
    self->files = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
    self->places = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    self->fd = -1;
    return self;
}

void
spoke_file_watch_free(SpokeFileWatch *self)
{
    if (self == NULL)
        return;

    g_clear_handle_id(&self->timer_id, g_source_remove);
    close_inotify(self);
    g_hash_table_unref(self->files);
    g_hash_table_unref(self->places);
    g_free(self);
}

void
spoke_file_watch_add(SpokeFileWatch *self, const char *path)
{
    File *file = g_hash_table_lookup(self->files, path);

    if (file == NULL) {
        file = g_new0(File, 1);
        g_hash_table_insert(self->files, g_strdup(path), file);
        if (self->fd < 0)
            open_inotify(self);
        watch_file(self, path, file);
        file->print = take_print(path);
    }
    file->n_users++;
}

/* What was for it alone wakes us at most once more: then all is set up anew. */
void
spoke_file_watch_remove(SpokeFileWatch *self, const char *path)
{
    File *file = g_hash_table_lookup(self->files, path);

    g_return_if_fail(file != NULL);

    if (--file->n_users > 0)
        return;
    g_hash_table_remove(self->files, path);
    if (g_hash_table_size(self->files) > 0)
        return;
    g_clear_handle_id(&self->timer_id, g_source_remove);
    close_inotify(self);
}
