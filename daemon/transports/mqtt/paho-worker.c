/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/transports/mqtt/paho-worker.h"

#include <MQTTAsync.h>
#include <pthread.h>

/*
 * A list of tasks and a thread that waits for them. Both are the process's, as paho's state is, and
 * live as long. The lock is pthread's, whose meaning thread sanitizers know.
 */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t added = PTHREAD_COND_INITIALIZER;
static SpokePahoTask *first_task; /* owned until it runs */
static SpokePahoTask *last_task;

static SpokePahoTask *
wait_for_tasks(void)
{
    pthread_mutex_lock(&lock);
    while (first_task == NULL)
        pthread_cond_wait(&added, &lock);
    SpokePahoTask *tasks = g_steal_pointer(&first_task);
    last_task = NULL;
    pthread_mutex_unlock(&lock);
    return tasks;
}

static gpointer
run_worker(gpointer unused)
{
    for (;;) {
        SpokePahoTask *task = wait_for_tasks();

        while (task != NULL) {
            SpokePahoTask *next = task->next;

            task->next = NULL;
            task->run(task);
            task = next;
        }
    }
    return NULL;
}

static void
start(void)
{
    MQTTAsync_init_options options = MQTTAsync_init_options_initializer;

    options.do_openssl_init = 1;
    MQTTAsync_global_init(&options);
    g_thread_unref(g_thread_new("mqtt", run_worker, NULL));
}

void
spoke_paho_worker_add(SpokePahoTask *first, SpokePahoTask *last)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;

    pthread_once(&once, start);
    pthread_mutex_lock(&lock);
    if (last_task != NULL)
        last_task->next = first;
    else
        first_task = first;
    last_task = last;
    pthread_cond_signal(&added);
    pthread_mutex_unlock(&lock);
}
