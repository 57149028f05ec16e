/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "daemon/inbox.h"

/*
 * Where a test's inbox lives. disk-spool.c is the real spool in a directory of its own;
 * disk-fake.c stands in for the disk alone, so that a test can make it slow, full, or lose power at
 * a chosen moment.
 */
typedef struct Disk Disk;

Disk *disk_new(void);
void disk_free(Disk *disk);
/* Mounts, as it were: what was committed is there. */
SpokeInbox *disk_open_inbox(Disk *disk);
/* After the inbox has gone; writes out what is left. */
void disk_close(Disk *disk);

/* disk-spool.c only: the spool itself, for who opens more than an inbox; disk_close() closes it. */
SpokeSpool *disk_open_spool(Disk *disk);
SpokeSpool *disk_get_spool(Disk *disk); /* the open one. (transfer none) */

/* disk-fake.c only. */
void disk_hold(Disk *disk, gboolean hold);     /* commits wait for disk_commit() */
gboolean disk_commit(Disk *disk);              /* one operation; FALSE: there was none */
void disk_fail(Disk *disk, gint code);         /* SPOKE_ERROR_… of all operations; -1: works */
void disk_refuse_ids(Disk *disk, gboolean on); /* puts fail and leave the id at 0 */
void disk_lose_power(Disk *disk);              /* what isn't committed never will be */
guint disk_get_count(Disk *disk, guint64 id);  /* delivery count of a row; must be there */
gboolean disk_has(Disk *disk, guint64 id);
