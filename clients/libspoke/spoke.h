/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * libspoke: telemetry up and cloud-to-device messages down, through spoked.
 *
 * A SpokeClient is one connection to the system bus that speaks for one of the machine's
 * identities. Nothing blocks: a function starts something and returns, the answer comes to a
 * callback from spoke_client_process() or spoke_client_run(). A program in five lines:
 *
 *     SpokeClient *client = NULL;
 *     SpokeOutgoing message = {SPOKE_OUTGOING_INIT, .body = "21.5", .body_size = 4};
 *
 *     spoke_client_open(NULL, &client);
 *     spoke_client_send(client, &message, on_sent, NULL, NULL);
 *     spoke_client_run(client, 10000);
 *     spoke_client_free(client);
 *
 * Rules that hold for everything here:
 *
 * - A function that can fail returns a negative errno; then nothing was started and its callback is
 *   not called. Otherwise the callback is called exactly once, never before the function returned,
 *   at the latest by spoke_client_free(), with ECANCELED.
 * - What a function is given may be freed as soon as it returns. What a callback is given lives
 *   until the callback returns.
 * - Any function but spoke_client_free(), _process() and _run() may be called from a callback.
 * - A client is used by one thread at a time. Different clients share nothing.
 * - Callbacks and results that are not wanted may be NULL.
 * - Structs that libspoke fills in may get members at their end in later versions.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct SpokeClient SpokeClient;
typedef struct SpokeSubscription SpokeSubscription;

/* Limits of the daemon. Source: org.spoked1(5). */
#define SPOKE_BODY_BYTES_MAX     262144
#define SPOKE_BATCH_MESSAGES_MAX 1024

/* All bodies and properties of a batch; well below what a bus carries in one piece. */
#define SPOKE_BATCH_BYTES_MAX (16 * 1024 * 1024)

/* For timeouts: without end */
#define SPOKE_FOREVER UINT64_MAX

/* Why something failed. */
typedef struct {
    int error;        /* a negative errno, see spoke_client_open() and below */
    const char *name; /* of the D-Bus error: "org.spoked1.Error.QueueFull" */
    const char *text; /* a sentence for people */
} SpokeFailure;

typedef struct {
    const char *name;
    const char *value;
} SpokeProperty;

/* How an operation without a result went: @failure is NULL if well. */
typedef void (*SpokeDoneFunc)(SpokeClient *client, const SpokeFailure *failure, void *user_data);

/*
 * The client
 */

/**
 * spoke_client_open:
 * @device: name of the identity in the daemon; NULL for "self", the machine's own
 * @ret_client: (transfer full): for spoke_client_free()
 *
 * Connects to the system bus, or to the one that DBUS_SYSTEM_BUS_ADDRESS names. The daemon need not
 * run yet: where it is set up for bus activation, the first call starts it.
 *
 * A restart of the daemon is noticed: calls under way fail with ECONNRESET, later ones reach the
 * new daemon, subscriptions and the watch renew themselves, settlements of synced messages still
 * come (the others end as unknown). A bus that goes away is the end of the client: everything fails
 * with ENOTCONN, a new client has to be opened.
 *
 * The errors of SpokeFailure, beside those named at each function: EHOSTUNREACH the daemon does not
 * run and could not be started; ECONNRESET it went away, or did not answer in time: whether it did
 * what was asked is not known; ESHUTDOWN it is stopping; EPERM, EACCES the caller may not; ENODEV
 * no such device; EIO the daemon failed, its journal says why.
 */
int spoke_client_open(const char *device, SpokeClient **ret_client);
void spoke_client_free(SpokeClient *client);

/**
 * spoke_client_get_fd:
 *
 * For a main loop of the caller's own: poll the descriptor for spoke_client_get_events(), at most
 * until spoke_client_get_timeout(), then call spoke_client_process() until it returns 0. Events and
 * timeout change with every call of any function and have to be asked for before each poll.
 *
 * Returns: a descriptor that stays the client's own
 */
int spoke_client_get_fd(SpokeClient *client);
/* Returns: a mask of POLLIN and POLLOUT */
int spoke_client_get_events(SpokeClient *client);
/* @ret_usec: on CLOCK_MONOTONIC; 0 for now, UINT64_MAX for never */
int spoke_client_get_timeout(SpokeClient *client, uint64_t *ret_usec);
/* Calls what callbacks are due. Returns: more than 0 if there may be more to do, 0 if not */
int spoke_client_process(SpokeClient *client);

/**
 * spoke_client_run:
 * @timeout_msec: how long at most; SPOKE_FOREVER
 *
 * A main loop for programs that need no other. Ends with 0 when nothing is left to wait for: all
 * calls are answered, all settlements asked for have come, there are no subscriptions and no watch;
 * or when a callback calls spoke_client_stop(). Ends with ETIMEDOUT, with EINTR after a signal
 * handler ran, or with ENOTCONN when the bus is gone. May be called again after all but the last.
 */
int spoke_client_run(SpokeClient *client, uint64_t timeout_msec);
void spoke_client_stop(SpokeClient *client);

/*
 * Telemetry
 */

typedef enum {
    SPOKE_DURABILITY_SYNCED,   /* accepted means it is on disk */
    SPOKE_DURABILITY_FLUSHED,  /* accepted at once, on disk a little later */
    SPOKE_DURABILITY_VOLATILE, /* in memory only */
} SpokeDurability;

/* What became of a message. */
typedef enum {
    SPOKE_OUTCOME_ACCEPTED, /* the hub has it */
    SPOKE_OUTCOME_REJECTED, /* the hub refused it */
    SPOKE_OUTCOME_EXPIRED,  /* its time was up before the hub had it */
    SPOKE_OUTCOME_DROPPED,  /* it had to make room in a full queue; a volatile one also: the daemon
                               stopped before the hub had it */
    SPOKE_OUTCOME_UNKNOWN,  /* the bus went away, or the client was freed; one that is not SYNCED
                               also: the daemon went away, and may not have had it on disk */
} SpokeOutcome;

/* Returns: (transfer none): "accepted", … */
const char *spoke_outcome_to_string(SpokeOutcome outcome);

/*
 * One message for the hub. Strings that are NULL and numbers that are 0 are left out. Strings are
 * UTF-8, without noncharacters such as U+FFFE. org.spoked1(5) has the limits.
 */
typedef struct {
    size_t struct_size; /* set by SPOKE_OUTGOING_INIT: the struct may grow */

    const void *body;
    size_t body_size;
    const SpokeProperty *properties; /* the app's own */
    size_t n_properties;

    const char *message_id; /* NULL: the daemon makes one */
    const char *correlation_id;
    const char *user_id;
    const char *content_type;
    const char *content_encoding;
    uint64_t creation_time_usec; /* since 1970 in UTC */
    uint64_t expiry_usec;        /* since 1970 in UTC: dropped after that */
    uint64_t ttl_msec;           /* the same as a span from now; one of the two */
    bool urgent;                 /* overtakes all that is not */
    SpokeDurability durability;
} SpokeOutgoing;

#define SPOKE_OUTGOING_INIT .struct_size = sizeof(SpokeOutgoing)

/* The daemon took the messages: @ids has their @n numbers, in order. Or none: @failure is set. */
typedef void (*SpokeSentFunc)(SpokeClient *client, const uint64_t *ids, size_t n,
                              const SpokeFailure *failure, void *user_data);
/* @id: as given to the SpokeSentFunc. @detail: a sentence, or empty. */
typedef void (*SpokeSettledFunc)(SpokeClient *client, uint64_t id, SpokeOutcome outcome,
                                 const char *detail, void *user_data);

/**
 * spoke_client_send:
 * @sent: called when the message is as durable as asked
 * @settled: called when the hub has the message, or never will; after @sent, and only if @sent had
 *     no failure. NULL if nobody wants to know, which costs less
 *
 * Sends one message. Calls need not wait for one another: messages are accepted in the order of
 * the calls, and many at once are stored faster.
 *
 * Errors at once: EINVAL something required is missing; EMSGSIZE the body is over
 * SPOKE_BODY_BYTES_MAX; EILSEQ a string is not UTF-8; ENOBUFS too many calls are under way.
 * Of SpokeFailure: EINVAL, EOPNOTSUPP an option or property is refused; EMSGSIZE too large as a
 * whole; ENOSPC the queue or the disk is full; EMFILE more calls are under way than the bus allows
 * (the system bus: 128).
 */
int spoke_client_send(SpokeClient *client, const SpokeOutgoing *message, SpokeSentFunc sent,
                      SpokeSettledFunc settled, void *user_data);

/**
 * spoke_client_send_batch:
 * @n: 1 to SPOKE_BATCH_MESSAGES_MAX
 * @settled: called for each message
 *
 * Sends @n messages, all or none, with one commit: the fastest way. Errors as for
 * spoke_client_send(); EMSGSIZE also for a batch over SPOKE_BATCH_BYTES_MAX.
 */
int spoke_client_send_batch(SpokeClient *client, const SpokeOutgoing *messages, size_t n,
                            SpokeSentFunc sent, SpokeSettledFunc settled, void *user_data);

/* @remaining: messages that have not reached the hub; 0 when all have */
typedef void (*SpokeFlushedFunc)(SpokeClient *client, uint64_t remaining,
                                 const SpokeFailure *failure, void *user_data);

/**
 * spoke_client_flush:
 * @timeout_msec: how long to wait at most; 0 to ask only
 *
 * Waits until the device's queue is empty. That the time is up is no failure.
 */
int spoke_client_flush(SpokeClient *client, uint64_t timeout_msec, SpokeFlushedFunc flushed,
                       void *user_data);

/*
 * Cloud-to-device messages
 */

typedef enum {
    SPOKE_MODE_OBSERVE, /* a copy; nothing to settle */
    SPOKE_MODE_HANDLE,  /* locked to this subscription until it is settled */
} SpokeMode;

/* One message from the hub. Strings are NULL, times 0, where the message has none. */
typedef struct {
    const char *id;   /* for spoke_client_settle() */
    const void *body; /* a NUL follows, which @body_size does not count */
    size_t body_size;
    const SpokeProperty *properties;
    size_t n_properties;

    const char *message_id;
    const char *correlation_id;
    const char *user_id;
    const char *to;
    const char *content_type;
    const char *content_encoding;
    const char *ack;             /* which feedback the sender asked for */
    const char *dead_letter;     /* why it is one: "rejected", "expired", "delivery-count" */
    uint64_t creation_time_usec; /* this and the next two: since 1970 in UTC */
    uint64_t expiry_usec;
    uint64_t received_time_usec; /* when the daemon took it over */
    uint64_t lock_msec;          /* how long it stays locked; 0: nothing to settle */
    uint32_t delivery_count;     /* how often it was handed to a handler, this time included */
    SpokeMode mode;
} SpokeIncoming;

typedef struct {
    size_t struct_size; /* set by SPOKE_SUBSCRIBE_OPTIONS_INIT: the struct may grow */

    SpokeMode mode;
    const SpokeProperty *filter; /* only messages that have all of these */
    size_t n_filter;
    uint64_t lock_msec; /* SPOKE_MODE_HANDLE: 1000 to 3600000; 0 for the daemon's default */
    uint32_t credit;    /* SPOKE_MODE_HANDLE: how many at once, 1 to 256; 0 for the default */
} SpokeSubscribeOptions;

#define SPOKE_SUBSCRIBE_OPTIONS_INIT .struct_size = sizeof(SpokeSubscribeOptions)

typedef void (*SpokeIncomingFunc)(SpokeClient *client, const SpokeIncoming *message,
                                  void *user_data);

/**
 * spoke_client_subscribe:
 * @options: NULL to observe everything
 * @incoming: called for each message, any number of times
 * @subscribed: called after each attempt to subscribe: the first one, and one more whenever the
 *     daemon has been restarted. With a failure there are no messages until a later call without
 *
 * Asks for messages until spoke_client_unsubscribe(), or the end of the client. A daemon that
 * was stopped on purpose is not started by this; the subscription waits for it.
 *
 * Messages locked to this client when the daemon restarts may come again.
 *
 * Errors at once: EINVAL, EILSEQ. Of SpokeFailure: EINVAL, EOPNOTSUPP an option is refused; EMFILE
 * too many subscriptions.
 */
int spoke_client_subscribe(SpokeClient *client, const SpokeSubscribeOptions *options,
                           SpokeIncomingFunc incoming, SpokeDoneFunc subscribed, void *user_data,
                           SpokeSubscription **ret_subscription);
/* Frees @subscription; its callbacks are not called any more. Locked messages go to others. */
void spoke_client_unsubscribe(SpokeClient *client, SpokeSubscription *subscription);

typedef enum {
    SPOKE_VERDICT_COMPLETE, /* dealt with */
    SPOKE_VERDICT_ABANDON,  /* not now: hand it out again */
    SPOKE_VERDICT_REJECT,   /* never: make it a dead letter */
} SpokeVerdict;

/**
 * spoke_client_settle:
 * @id: of a SpokeIncoming that is locked to the caller
 * @done: called when the verdict is on disk
 *
 * Of SpokeFailure: ENOMSG the message is unknown, settled already, or not locked to the caller any
 * more.
 */
int spoke_client_settle(SpokeClient *client, const char *id, SpokeVerdict verdict,
                        SpokeDoneFunc done, void *user_data);

typedef struct {
    size_t struct_size; /* set by SPOKE_RECEIVE_OPTIONS_INIT: the struct may grow */

    const SpokeProperty *filter; /* only a message that has all of these */
    size_t n_filter;
    uint64_t lock_msec; /* keep it locked to the caller's user, 1000 to 3600000, to be settled;
                           0: it is completed by being received */
    bool dead_letter;   /* a dead letter instead; not together with lock_msec */
} SpokeReceiveOptions;

#define SPOKE_RECEIVE_OPTIONS_INIT .struct_size = sizeof(SpokeReceiveOptions)

/* One of @message and @failure is NULL. */
typedef void (*SpokeReceivedFunc)(SpokeClient *client, const SpokeIncoming *message,
                                  const SpokeFailure *failure, void *user_data);

/**
 * spoke_client_receive:
 * @options: NULL for any message, without a lock
 * @timeout_msec: how long to wait for a message; 0 for one that is there
 *
 * Takes one message. Of SpokeFailure: ETIMEDOUT none came; EMFILE too many wait already.
 */
int spoke_client_receive(SpokeClient *client, const SpokeReceiveOptions *options,
                         uint64_t timeout_msec, SpokeReceivedFunc received, void *user_data);

/**
 * spoke_client_check_now:
 * @done: called when the hub is being asked; what it has comes later, as any message does
 *
 * Asks the hub for messages now, where the protocol in use does not push them ("push" is not among
 * the capabilities of SpokeStatus). Of SpokeFailure: ENETUNREACH the hub is not reached.
 */
int spoke_client_check_now(SpokeClient *client, SpokeDoneFunc done, void *user_data);

/*
 * Status and administration
 */

/* The properties of org.spoked1.Device; org.spoked1(5) explains them. No string is NULL. */
typedef struct {
    const char *name;
    const char *device_id;
    const char *module_id;
    const char *hub;
    const char *state; /* "offline", "connecting", "connected", "draining" */
    const char *transport;
    const char *const *capabilities; /* ends with NULL */
    const char *last_error_name;     /* empty when all is well */
    const char *last_error_text;
    uint64_t connected_since_usec; /* this and the next two: since 1970 in UTC, or 0 */
    uint64_t next_attempt_usec;
    uint64_t token_expiry_usec;
    bool receive_paused;
    uint64_t queued_messages;
    uint64_t queued_bytes;
    uint64_t queue_bytes_max;
    uint64_t in_flight_messages;
    uint64_t waiting_messages;
    uint64_t dead_letters;
    uint64_t sent_messages;
    uint64_t received_messages;
    uint64_t certificate_expiry_usec; /* since 1970 in UTC, or 0 */
} SpokeStatus;

/* One of @status and @failure is NULL. */
typedef void (*SpokeStatusFunc)(SpokeClient *client, const SpokeStatus *status,
                                const SpokeFailure *failure, void *user_data);

int spoke_client_get_status(SpokeClient *client, SpokeStatusFunc status, void *user_data);
/* Of another device than the client's own: one client can look after all of them. */
int spoke_client_get_device_status(SpokeClient *client, const char *device, SpokeStatusFunc status,
                                   void *user_data);

/**
 * spoke_client_watch:
 * @changed: called with the status as it is, then after each change, any number of times; with a
 *     failure when the daemon goes away. NULL ends the watch
 *
 * Counters (queued_messages to received_messages) do not count as changes. A second watch replaces
 * the first.
 */
int spoke_client_watch(SpokeClient *client, SpokeStatusFunc changed, void *user_data);

/* @names: NULL with a failure */
typedef void (*SpokeDevicesFunc)(SpokeClient *client, const char *const *names, size_t n,
                                 const SpokeFailure *failure, void *user_data);

/* Names of all identities the daemon speaks for. */
int spoke_client_list_devices(SpokeClient *client, SpokeDevicesFunc devices, void *user_data);

typedef struct {
    size_t struct_size; /* set by SPOKE_ADD_DEVICE_OPTIONS_INIT: the struct may grow */

    /* Paths from the root of PEM files that spoked reads: with a connection string with x509=true,
     * and NULL without. */
    const char *certificate;
    const char *private_key;
    const char *users;   /* who may use it beside root: user ids in decimal, spaces between; NULL
                            for all who may use spoked */
    bool own_connection; /* a device with a certificate can't share one */
} SpokeAddDeviceOptions;

#define SPOKE_ADD_DEVICE_OPTIONS_INIT .struct_size = sizeof(SpokeAddDeviceOptions)

/**
 * spoke_client_add_device:
 * @name: of the device on this machine, for spoke_client_open(): 1 to 64 of A-Z a-z 0-9 - _ .
 * @credential_fd: where spoked reads the connection string to its end, within five seconds: a pipe,
 *     a socket or a file. It stays the caller's, who may close it at once
 * @options: NULL for a device with a key
 *
 * Makes the daemon speak for one more device, until it is removed or the daemon ends; what is
 * queued for it outlives both. For root.
 *
 * Errors at once: EINVAL, EILSEQ. Of SpokeFailure: EEXIST the name or the device is taken; EBADMSG
 * the connection string or the certificate is faulty; EPROTONOSUPPORT the transport in use can't
 * carry it; EINVAL, EOPNOTSUPP the name or an option is refused; EMFILE too many devices; ETIMEDOUT
 * the connection string did not end in time.
 */
int spoke_client_add_device(SpokeClient *client, const char *name, int credential_fd,
                            const SpokeAddDeviceOptions *options, SpokeDoneFunc done,
                            void *user_data);

/**
 * spoke_client_remove_device:
 * @name: of a device that was added, not one of the configuration
 *
 * Takes it off; its messages stay on disk. For root.
 */
int spoke_client_remove_device(SpokeClient *client, const char *name, SpokeDoneFunc done,
                               void *user_data);

/**
 * spoke_client_reload:
 *
 * Makes the daemon read its configuration again. For root. Of SpokeFailure: EBADMSG it is faulty,
 * the text says where, and the old one stays.
 */
int spoke_client_reload(SpokeClient *client, SpokeDoneFunc done, void *user_data);

#ifdef __cplusplus
}
#endif
