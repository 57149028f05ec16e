/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The peer of the benchmarks: paho.mqtt.c alone, straight to the hub over TLS, QoS 1, the same
 * messages with two properties, a window of so many in flight. Prints one line: messages seconds
 * cpu_usec_per_message
 *
 * peer-paho URI CA-FILE DEVICE PASSWORD WINDOW MESSAGES BODY-SIZE
 *
 * URI: ssl://localhost:PORT or wss://localhost:PORT/$iothub/websocket
 */
#include <MQTTAsync.h>
#include <glib.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

static sem_t window;
static sem_t connected;

static void
on_acked(void *context, MQTTAsync_successData *response)
{
    sem_post(&window);
}

static void
on_failed(void *context, MQTTAsync_failureData *response)
{
    fprintf(stderr, "peer-paho: %s\n", response->message != NULL ? response->message : "failed");
    exit(1);
}

static void
on_connected(void *context, MQTTAsync_successData *response)
{
    sem_post(&connected);
}

static int
on_message(void *context, char *topic, int size, MQTTAsync_message *message)
{
    MQTTAsync_freeMessage(&message);
    MQTTAsync_free(topic);
    return 1;
}

static MQTTAsync
connect_to_hub(char **argv)
{
    MQTTAsync client = NULL;
    MQTTAsync_connectOptions options = MQTTAsync_connectOptions_initializer;
    MQTTAsync_SSLOptions tls = MQTTAsync_SSLOptions_initializer;
    g_autofree char *user = g_strdup_printf("localhost/%s/?api-version=2021-04-12", argv[3]);

    MQTTAsync_create(&client, argv[1], argv[3], MQTTCLIENT_PERSISTENCE_NONE, NULL);
    MQTTAsync_setCallbacks(client, NULL, NULL, on_message, NULL);
    tls.trustStore = argv[2];
    tls.verify = 1;
    options.ssl = &tls;
    options.username = user;
    options.password = argv[4];
    options.cleansession = 1;
    options.maxInflight = 65000;
    options.onSuccess = on_connected;
    options.onFailure = on_failed;
    MQTTAsync_connect(client, &options);
    while (sem_wait(&connected) < 0)
        ;
    return client;
}

static double
cpu_usec(void)
{
    struct rusage usage;

    getrusage(RUSAGE_SELF, &usage);
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1e6 +
           (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec);
}

static void
wait_for_room(int n)
{
    for (int i = 0; i < n; i++)
        while (sem_wait(&window) < 0)
            ;
}

int
main(int argc, char **argv)
{
    if (argc != 8) {
        fprintf(stderr, "peer-paho URI CA-FILE DEVICE PASSWORD WINDOW MESSAGES BODY-SIZE\n");
        return 2;
    }
    int in_flight = atoi(argv[5]), messages = atoi(argv[6]), size = atoi(argv[7]);
    g_autofree char *body = g_strnfill((gsize)size, 'x');
    sem_init(&window, 0, in_flight);
    sem_init(&connected, 0, 0);
    MQTTAsync client = connect_to_hub(argv);
    g_autofree char *topic = g_strdup_printf(
        "devices/%s/messages/events/%%24.ct=application%%2Fjson&room=kitchen", argv[3]);
    MQTTAsync_responseOptions response = MQTTAsync_responseOptions_initializer;
    response.onSuccess = on_acked;
    response.onFailure = on_failed;

    double cpu = cpu_usec();
    gint64 began = g_get_monotonic_time();
    for (int i = 0; i < messages; i++) {
        wait_for_room(1);
        if (MQTTAsync_send(client, topic, size, body, 1, 0, &response) != MQTTASYNC_SUCCESS)
            return 1;
    }
    wait_for_room(in_flight);

    gint64 took = g_get_monotonic_time() - began;
    printf("%d %.3f %.1f\n", messages, (double)took / 1e6, (cpu_usec() - cpu) / messages);
    return 0;
}
