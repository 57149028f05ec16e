/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The list of active faults. It is nearly always empty, and then every question is one test. */

#include "faults.h"

struct EmuFaults {
    GPtrArray *faults; /* owned; EmuFault (owned) */
    guint last_id;
    EmuFaultsFunc changed;
    gpointer user_data;
};

static const char *const kind_names[] = {
    [EMU_FAULT_REFUSE] = "refuse",
    [EMU_FAULT_REFUSE_TCP] = "refuse-tcp",
    [EMU_FAULT_REFUSE_SUBSCRIBE] = "refuse-subscribe",
    [EMU_FAULT_CUT_AFTER] = "cut-after",
    [EMU_FAULT_STALL_ACKS] = "stall-acks",
    [EMU_FAULT_DELAY] = "delay",
    [EMU_FAULT_THROTTLE] = "throttle",
    [EMU_FAULT_QUOTA] = "quota",
    [EMU_FAULT_BLACK_HOLE] = "black-hole",
    [EMU_FAULT_CLOCK_SKEW] = "clock-skew",
};
G_STATIC_ASSERT(G_N_ELEMENTS(kind_names) == EMU_N_FAULTS);

static void
fault_free(gpointer data)
{
    EmuFault *fault = data;

    g_free(fault->device_id);
    g_free(fault);
}

EmuFaults *
emu_faults_new(EmuFaultsFunc changed, gpointer user_data)
{
    EmuFaults *self = g_new0(EmuFaults, 1);

    self->faults = g_ptr_array_new_with_free_func(fault_free);
    self->changed = changed;
    self->user_data = user_data;
    return self;
}

void
emu_faults_free(EmuFaults *self)
{
    if (self == NULL)
        return;

    g_ptr_array_unref(self->faults);
    g_free(self);
}

guint
emu_faults_add(EmuFaults *self, const EmuFault *fault, gint64 now_usec)
{
    EmuFault *copy = g_memdup2(fault, sizeof *fault);

    copy->id = ++self->last_id;
    copy->device_id = g_strdup(fault->device_id);
    copy->until_usec = copy->kind == EMU_FAULT_STALL_ACKS && copy->ms > 0
                           ? now_usec + (gint64)copy->ms * 1000
                           : G_MAXINT64;
    copy->allowance = copy->rate;
    copy->refreshed_usec = now_usec;
    g_ptr_array_add(self->faults, copy);
    self->changed(self->user_data);
    return copy->id;
}

guint
emu_faults_remove(EmuFaults *self, guint id)
{
    guint before = self->faults->len;

    for (guint i = before; i-- > 0;) {
        EmuFault *fault = g_ptr_array_index(self->faults, i);
        if (id == 0 || fault->id == id)
            g_ptr_array_remove_index(self->faults, i);
    }
    guint gone = before - self->faults->len;
    if (gone > 0)
        self->changed(self->user_data);
    return gone;
}

const GPtrArray *
emu_faults_list(EmuFaults *self)
{
    return self->faults;
}

void
emu_faults_expire(EmuFaults *self, gint64 now_usec)
{
    gboolean gone = FALSE;

    for (guint i = self->faults->len; i-- > 0;) {
        EmuFault *fault = g_ptr_array_index(self->faults, i);
        if (fault->until_usec <= now_usec) {
            g_ptr_array_remove_index(self->faults, i);
            gone = TRUE;
        }
    }
    if (gone)
        self->changed(self->user_data);
}

gint64
emu_faults_next_deadline(EmuFaults *self)
{
    gint64 next = G_MAXINT64;

    for (guint i = 0; i < self->faults->len; i++) {
        const EmuFault *fault = g_ptr_array_index(self->faults, i);
        next = MIN(next, fault->until_usec);
    }
    return next;
}

static EmuFault *
find(EmuFaults *self, EmuFaultKind kind, const char *device_id)
{
    for (guint i = 0; i < self->faults->len; i++) {
        EmuFault *fault = g_ptr_array_index(self->faults, i);
        if (fault->kind == kind &&
            (fault->device_id == NULL || g_strcmp0(fault->device_id, device_id) == 0))
            return fault;
    }
    return NULL;
}

/* Counts a strike; a fault that has struck its last goes. */
static void
strike(EmuFaults *self, EmuFault *fault)
{
    fault->strikes++;
    if (fault->count > 0 && --fault->count == 0)
        g_ptr_array_remove(self->faults, fault);
}

gboolean
emu_faults_refuses_tcp(EmuFaults *self)
{
    EmuFault *fault = find(self, EMU_FAULT_REFUSE_TCP, NULL);

    if (fault == NULL)
        return FALSE;
    strike(self, fault);
    return TRUE;
}

gboolean
emu_faults_refuses_login(EmuFaults *self, const char *device_id, guint *ret_code)
{
    EmuFault *fault = find(self, EMU_FAULT_REFUSE, device_id);

    if (fault == NULL)
        return FALSE;
    *ret_code = fault->code;
    strike(self, fault);
    return TRUE;
}

gboolean
emu_faults_refuses_subscribe(EmuFaults *self, const char *device_id)
{
    EmuFault *fault = find(self, EMU_FAULT_REFUSE_SUBSCRIBE, device_id);

    if (fault == NULL)
        return FALSE;
    strike(self, fault);
    return TRUE;
}

gboolean
emu_faults_is_black_hole(EmuFaults *self, const char *device_id)
{
    return find(self, EMU_FAULT_BLACK_HOLE, device_id) != NULL;
}

/* A bucket that holds one second's worth, and may owe some. */
static gboolean
is_over_rate(EmuFault *fault, guint count, gint64 now_usec)
{
    double seconds = (double)(now_usec - fault->refreshed_usec) / G_USEC_PER_SEC;

    fault->refreshed_usec = now_usec;
    fault->allowance = MIN((double)fault->rate, fault->allowance + seconds * fault->rate);
    if (fault->allowance < 1)
        return TRUE;
    fault->allowance -= count;
    return FALSE;
}

EmuVerdict
emu_faults_judge(EmuFaults *self, const char *device_id, gint64 now_usec)
{
    return emu_faults_judge_many(self, device_id, 1, now_usec);
}

EmuVerdict
emu_faults_judge_many(EmuFaults *self, const char *device_id, guint count, gint64 now_usec)
{
    if (self->faults->len == 0 || count == 0)
        return EMU_VERDICT_ACCEPT;

    EmuFault *throttle = find(self, EMU_FAULT_THROTTLE, device_id);
    if (throttle != NULL && is_over_rate(throttle, count, now_usec)) {
        strike(self, throttle);
        return EMU_VERDICT_THROTTLE;
    }

    EmuFault *quota = find(self, EMU_FAULT_QUOTA, device_id);
    if (quota != NULL) {
        strike(self, quota);
        return EMU_VERDICT_QUOTA;
    }

    EmuFault *cut = find(self, EMU_FAULT_CUT_AFTER, device_id);
    if (cut == NULL)
        return EMU_VERDICT_ACCEPT;
    if (cut->seen + count <= cut->after) {
        cut->seen += count;
        return EMU_VERDICT_ACCEPT;
    }
    EmuVerdict verdict = cut->store ? EMU_VERDICT_STORE_CUT : EMU_VERDICT_CUT;
    cut->seen = 0;
    strike(self, cut);
    return verdict;
}

gint64
emu_faults_ack_due(EmuFaults *self, const char *device_id, gint64 now_usec)
{
    if (self->faults->len == 0)
        return 0;

    if (find(self, EMU_FAULT_STALL_ACKS, device_id) != NULL)
        return G_MAXINT64;
    const EmuFault *delay = find(self, EMU_FAULT_DELAY, device_id);
    return delay != NULL ? now_usec + (gint64)delay->ms * 1000 : 0;
}

gint64
emu_faults_skew_usec(EmuFaults *self)
{
    gint64 skew_usec = 0;

    for (guint i = 0; i < self->faults->len; i++) {
        const EmuFault *fault = g_ptr_array_index(self->faults, i);
        if (fault->kind == EMU_FAULT_CLOCK_SKEW)
            skew_usec += fault->sec * G_USEC_PER_SEC;
    }
    return skew_usec;
}

const char *
emu_fault_kind_name(EmuFaultKind kind)
{
    return kind_names[kind];
}

gboolean
emu_fault_kind_from_name(const char *name, EmuFaultKind *ret_kind)
{
    for (guint i = 0; i < EMU_N_FAULTS; i++) {
        if (g_str_equal(kind_names[i], name)) {
            *ret_kind = (EmuFaultKind)i;
            return TRUE;
        }
    }
    return FALSE;
}
