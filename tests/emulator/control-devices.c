/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The control API's view of the registry. */

#include "control-request.h"

#include "authentication-json.h"
#include "c2d.h"
#include "error.h"
#include "hub.h"

static void
add_identity(JsonBuilder *json, EmuHub *hub, const EmuIdentity *identity)
{
    g_autofree char *connection_string = emu_hub_connection_string(hub, identity);
    gboolean has_keys = identity->authentication == EMU_AUTHENTICATION_SAS;

    json_builder_begin_object(json);
    emu_json_add_text(json, "deviceId", identity->device_id);
    if (identity->module_id != NULL)
        emu_json_add_text(json, "moduleId", identity->module_id);
    emu_json_add_text(json, "status", identity->enabled ? "enabled" : "disabled");
    emu_json_add_text(json, "generationId", identity->generation_id);
    emu_json_add_text(json, "connectionState",
                      identity->link != NULL ? "Connected" : "Disconnected");
    emu_json_add_time(json, "connectedSince", identity->connected_since_usec);
    emu_json_add_text(json, "clientId", identity->client_id);
    emu_json_add_time(json, "lastActivityTime", identity->last_activity_usec);
    emu_json_add_number(json, "messagesReceived", (gint64)identity->messages_received);
    if (identity->module_id == NULL)
        emu_json_add_number(json, "cloudToDeviceMessageCount",
                            emu_c2d_count(emu_hub_c2d(hub), identity->device_id));
    emu_authentication_write(json, identity);
    emu_json_add_text(json, "primaryKey", has_keys ? identity->primary_key : NULL);
    emu_json_add_text(json, "secondaryKey", has_keys ? identity->secondary_key : NULL);
    emu_json_add_text(json, "connectionString", connection_string);
    emu_json_add_text(json, "disconnectReason", identity->disconnect_reason);
    json_builder_end_object(json);
}

/* All devices, or the modules of one. */
static JsonNode *
list_identities(EmuHub *hub, const char *device_id)
{
    g_autoptr(JsonBuilder) json = json_builder_new();
    g_autoptr(GPtrArray) list = emu_registry_list(emu_hub_registry(hub));

    json_builder_begin_array(json);
    for (guint i = 0; i < list->len; i++) {
        const EmuIdentity *identity = g_ptr_array_index(list, i);
        gboolean wanted = device_id == NULL ? identity->module_id == NULL
                                            : identity->module_id != NULL &&
                                                  g_str_equal(identity->device_id, device_id);
        if (wanted)
            add_identity(json, hub, identity);
    }
    json_builder_end_array(json);
    return json_builder_get_root(json);
}

static JsonNode *
identity_node(EmuHub *hub, const EmuIdentity *identity)
{
    g_autoptr(JsonBuilder) json = json_builder_new();

    add_identity(json, hub, identity);
    return json_builder_get_root(json);
}

static const EmuIdentity *
find_identity(const EmuRequest *request, GError **error)
{
    const EmuIdentity *identity =
        emu_registry_find(emu_hub_registry(request->hub), request->names[0], request->names[1]);

    if (identity == NULL)
        g_set_error(error, EMU_ERROR, EMU_ERROR_NOT_FOUND, "%s does not exist",
                    request->names[1] != NULL ? request->names[1] : request->names[0]);
    return identity;
}

static gboolean
get_devices(const EmuRequest *request, EmuReply *reply, GError **error)
{
    reply->node = list_identities(request->hub, NULL);
    return TRUE;
}

static gboolean
get_modules(const EmuRequest *request, EmuReply *reply, GError **error)
{
    if (find_identity(request, error) == NULL)
        return FALSE;
    reply->node = list_identities(request->hub, request->names[0]);
    return TRUE;
}

static gboolean
get_identity(const EmuRequest *request, EmuReply *reply, GError **error)
{
    const EmuIdentity *identity = find_identity(request, error);

    if (identity == NULL)
        return FALSE;
    reply->node = identity_node(request->hub, identity);
    return TRUE;
}

static gboolean
put_identity(const EmuRequest *request, EmuReply *reply, GError **error)
{
    static const char *const members[] = {"primaryKey", "secondaryKey", "status", "authentication",
                                          NULL};
    EmuIdentityChange change = {0};
    gboolean created = FALSE;

    if (request->body != NULL &&
        (!emu_request_check_members(request, members, error) ||
         !emu_request_text(request, "primaryKey", &change.primary_key, error) ||
         !emu_request_text(request, "secondaryKey", &change.secondary_key, error) ||
         !emu_request_text(request, "status", &change.status, error) ||
         !emu_authentication_read(request->body, &change, error)))
        return FALSE;

    const EmuIdentity *identity = emu_hub_put_identity(request->hub, request->names[0],
                                                       request->names[1], &change, &created, error);
    if (identity == NULL)
        return FALSE;
    reply->status = created ? SOUP_STATUS_CREATED : SOUP_STATUS_OK;
    reply->node = identity_node(request->hub, identity);
    return TRUE;
}

static gboolean
delete_identity(const EmuRequest *request, EmuReply *reply, GError **error)
{
    reply->status = SOUP_STATUS_NO_CONTENT;
    return emu_hub_remove_identity(request->hub, request->names[0], request->names[1], error);
}

const EmuRoute emu_device_routes[] = {
    {"GET", "devices", get_devices},
    {"GET", "devices/*", get_identity},
    {"PUT", "devices/*", put_identity},
    {"DELETE", "devices/*", delete_identity},
    {"GET", "devices/*/modules", get_modules},
    {"GET", "devices/*/modules/*", get_identity},
    {"PUT", "devices/*/modules/*", put_identity},
    {"DELETE", "devices/*/modules/*", delete_identity},
    {NULL, NULL, NULL},
};
