/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "tests/integration/harness.h"

/* What the benchmarks measure with: repeated figures, /proc, and the load program. */

/* The samples of one figure, from which comes the median. */
typedef struct {
    double values[9];
    guint n;
} MeasureSamples;

void measure_add(MeasureSamples *samples, double value); /* at most as many as there is room for */
double measure_median(const MeasureSamples *samples);    /* 0 without any */
/* Sorts @values and returns the middle one. */
double measure_sort(double *values, guint n);

double measure_cpu_usec(GPid pid);                    /* user and system time so far */
long measure_memory_kib(GPid pid, const char *field); /* of smaps_rollup: "Private_Dirty:" */
GHashTable *measure_wakeups(GPid pid);                /* so far; (transfer full) */
/* Of the threads that are there now: one that ended takes its count with it. */
guint64 measure_wakeups_since(GHashTable *before, GPid pid);
GPid measure_get_hub_pid(Harness *h);

/* Runs a program with the harness's bus to its end and returns what it printed. @variable: set to 1
 * in its environment, or NULL. (transfer full) */
char *measure_run(Harness *h, const char *const *argv, const char *variable);
/* The load program: see load.c. (transfer full) */
char *measure_load(Harness *h, const char *mode, guint argument, guint messages);
/* The same with bodies of @body_size, after which it prints. (transfer full) */
char *measure_load_sized(Harness *h, const char *mode, guint argument, guint messages,
                         guint body_size);

/* From the request to the emulator (with @ask_now: from CheckNow) to the application's signal, in
 * microseconds, @n times one after the other. */
void measure_c2d(Harness *h, guint n, gboolean ask_now, double *ret_p50, double *ret_p99);
/* A program that has said it listens prints when each came; sends it @n one after the other. */
void measure_c2d_lines(Harness *h, const char *device, GDataInputStream *lines, guint n,
                       gboolean ask_now, double *ret_p50, double *ret_p99);
