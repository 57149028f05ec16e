/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "daemon/store-carve.h"
#include "daemon/store-view.h"

/*
 * Images that the view of a damaged log does not show, but whose rows may still be alive. A row
 * that is on a page's earlier image and not on the later was removed, or moved to another page of
 * the same transaction. If all of that transaction is whole and the row is nowhere in it, it was
 * removed and stays so. If not, the row may have been where now nothing can be read: it is saved,
 * and perhaps sent once more.
 */

/* Hands over the rows of such images; FALSE if @func stopped. @only_whole: leaves out images that
 * are not what was written. */
gboolean spoke_relics_carve(const SpokeView *view, gboolean only_whole, SpokeCarveFunc func,
                            gpointer user_data);
