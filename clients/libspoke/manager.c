/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "clients/libspoke/call.h"
#include "clients/libspoke/failure.h"
#include "clients/libspoke/wire.h"

#include <errno.h>
#include <stdlib.h>

/* What the daemon does as a whole. */

static int
add_name(const char ***names, size_t n, const char *name)
{
    const char **more = reallocarray(*names, n + 1, sizeof *more);
    if (more == NULL)
        return -ENOMEM;
    more[n] = name;
    *names = more;
    return 0;
}

static int
read_names(sd_bus_message *m, const char ***names, size_t *ret_n)
{
    const char *name = NULL;
    size_t n = 0;

    int r = sd_bus_message_enter_container(m, 'a', "(so)");
    while (r >= 0 && (r = sd_bus_message_read(m, "(so)", &name, NULL)) > 0)
        r = add_name(names, n++, name);
    if (r >= 0)
        r = sd_bus_message_exit_container(m);
    if (r >= 0)
        *ret_n = n;
    return r;
}

static void
free_names(const char ***names)
{
    free(*names);
}

static void
on_devices(SpokeCall *call, sd_bus_message *reply, const SpokeFailure *failure)
{
    SPOKE_AUTO(free_names) const char **names = NULL;
    size_t n = 0;

    if (failure == NULL && read_names(reply, &names, &n) < 0)
        failure = &spoke_failure_bad_answer;
    if (call->callback.devices != NULL)
        call->callback.devices(call->client, failure == NULL ? names : NULL, n, failure,
                               call->user_data);
}

static int
call_manager(SpokeClient *client, const char *member, const SpokeCall *call)
{
    SPOKE_AUTO(unref_message) sd_bus_message *m = NULL;

    int r = spoke_call_new_message(client, MANAGER_PATH, MANAGER_INTERFACE, member, &m);
    return r < 0 ? r : spoke_call_start(client, m, 0, call);
}

SPOKE_PUBLIC int
spoke_client_list_devices(SpokeClient *client, SpokeDevicesFunc devices, void *user_data)
{
    return call_manager(
        client, "ListDevices",
        &(SpokeCall){.answer = on_devices, .callback.devices = devices, .user_data = user_data});
}

static int
append_device_options(sd_bus_message *m, const SpokeAddDeviceOptions *options)
{
    int r = sd_bus_message_open_container(m, 'a', "{sv}");

    r = r < 0 ? r : spoke_wire_append_text(m, "certificate", options->certificate);
    r = r < 0 ? r : spoke_wire_append_text(m, "private-key", options->private_key);
    r = r < 0 ? r : spoke_wire_append_text(m, "users", options->users);
    if (r >= 0 && options->own_connection)
        r = sd_bus_message_append(m, "{sv}", "own-connection", "b", 1);
    return r < 0 ? r : sd_bus_message_close_container(m);
}

SPOKE_PUBLIC int
spoke_client_add_device(SpokeClient *client, const char *name, int credential_fd,
                        const SpokeAddDeviceOptions *options, SpokeDoneFunc done, void *user_data)
{
    static const SpokeAddDeviceOptions defaults = {SPOKE_ADD_DEVICE_OPTIONS_INIT};
    SPOKE_AUTO(unref_message) sd_bus_message *m = NULL;

    if (options == NULL)
        options = &defaults;
    if (options->struct_size != sizeof *options || name == NULL || credential_fd < 0)
        return -EINVAL;

    int r = spoke_call_new_message(client, MANAGER_PATH, MANAGER_INTERFACE, "AddDevice", &m);
    if (r < 0)
        return r;
    r = spoke_wire_text_result(sd_bus_message_append(m, "s", name));
    if (r < 0)
        return r;
    r = append_device_options(m, options);
    if (r < 0)
        return r;
    r = sd_bus_message_append(m, "h", credential_fd);
    if (r < 0)
        return r;
    return spoke_call_start(client, m, 0,
                            &(SpokeCall){.answer = spoke_call_answer_done,
                                         .callback.done = done,
                                         .user_data = user_data});
}

SPOKE_PUBLIC int
spoke_client_remove_device(SpokeClient *client, const char *name, SpokeDoneFunc done,
                           void *user_data)
{
    SPOKE_AUTO(unref_message) sd_bus_message *m = NULL;

    if (name == NULL)
        return -EINVAL;

    int r = spoke_call_new_message(client, MANAGER_PATH, MANAGER_INTERFACE, "RemoveDevice", &m);
    if (r < 0)
        return r;
    r = spoke_wire_text_result(sd_bus_message_append(m, "s", name));
    if (r < 0)
        return r;
    return spoke_call_start(client, m, 0,
                            &(SpokeCall){.answer = spoke_call_answer_done,
                                         .callback.done = done,
                                         .user_data = user_data});
}

SPOKE_PUBLIC int
spoke_client_reload(SpokeClient *client, SpokeDoneFunc done, void *user_data)
{
    return call_manager(client, "Reload",
                        &(SpokeCall){.answer = spoke_call_answer_done,
                                     .callback.done = done,
                                     .user_data = user_data});
}
