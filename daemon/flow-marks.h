/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

/*
 * A message id for each flow mark, of which most are never used: what is not set is 0. It costs
 * what is in it.
 *
 * Flows share SPOKE_FLOW_MARKS marks a lane: enough that two services rarely meet, few enough to
 * keep. Flows that share a mark only wait for each other's history; their order is never at risk.
 */
#define SPOKE_FLOW_MARKS 16384

/* Which mark a flow has, 0 to SPOKE_FLOW_MARKS - 1 */
guint spoke_flow_mark(guint64 flow);

typedef struct {
    guint mark;
    guint64 id;
} SpokeFlowMark;

typedef struct {
    SpokeFlowMark *entries; /* owned; marks rise */
    guint n;
    guint room;
} SpokeFlowMarks; /* all zero: empty */

void spoke_flow_marks_clear(SpokeFlowMarks *marks);
guint64 spoke_flow_marks_get(const SpokeFlowMarks *marks, guint mark);
void spoke_flow_marks_set(SpokeFlowMarks *marks, guint mark, guint64 id);
/* Those above @id become @id. */
void spoke_flow_marks_limit(SpokeFlowMarks *marks, guint64 id);
