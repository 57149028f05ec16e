/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Devices given at the start. Those that are there already keep what is not mentioned. */

#include "devices-file.h"

#include "authentication-json.h"
#include "error.h"

#include <json-glib/json-glib.h>
#include <string.h>

#define X509 ";x509="

/* What stands behind the id: a ';' is legal in none. */
static gboolean
take_x509(const char *text, EmuIdentityChange *change, GError **error)
{
    if (g_str_equal(text, "ca")) {
        change->authentication = emu_authentication_name(EMU_AUTHENTICATION_AUTHORITY);
        return TRUE;
    }
    change->authentication = emu_authentication_name(EMU_AUTHENTICATION_SELF_SIGNED);
    change->primary_thumbprint = text;
    if (*text != '\0')
        return TRUE;
    g_set_error(error, EMU_ERROR, EMU_ERROR_ARGUMENT, "x509= wants a thumbprint or \"ca\"");
    return FALSE;
}

gboolean
emu_devices_add(EmuHub *hub, const char *text, GError **error)
{
    EmuIdentityChange change = {0};
    const char *x509 = strstr(text, X509);
    /* '=' is legal in an id, but then this is no place to give it. */
    const char *end = x509 != NULL ? x509 : strchr(text, '=');

    g_autofree char *id = end != NULL ? g_strndup(text, (gsize)(end - text)) : g_strdup(text);
    if (x509 == NULL)
        change.primary_key = end != NULL ? end + 1 : NULL;
    if ((x509 == NULL || take_x509(x509 + strlen(X509), &change, error)) &&
        emu_hub_put_identity(hub, id, NULL, &change, NULL, error) != NULL)
        return TRUE;
    g_prefix_error(error, "Device %s: ", id);
    return FALSE;
}

/* A member that is a string or not there. */
static gboolean
take_text(JsonObject *object, const char *name, const char **ret_text, GError **error)
{
    JsonNode *node = json_object_get_member(object, name);

    *ret_text = NULL;
    if (node == NULL)
        return TRUE;
    if (!JSON_NODE_HOLDS_VALUE(node) || json_node_get_value_type(node) != G_TYPE_STRING) {
        g_set_error(error, EMU_ERROR, EMU_ERROR_ARGUMENT, "%s is not a string", name);
        return FALSE;
    }
    *ret_text = json_node_get_string(node);
    return TRUE;
}

static gboolean
read_identity(JsonNode *node, const char *id_name, const char **ret_id, EmuIdentityChange *change,
              GError **error)
{
    const char *const known[] = {
        id_name, "primaryKey", "secondaryKey", "status", "authentication", "modules", NULL};

    if (!JSON_NODE_HOLDS_OBJECT(node)) {
        g_set_error(error, EMU_ERROR, EMU_ERROR_ARGUMENT, "An entry is not an object");
        return FALSE;
    }
    JsonObject *object = json_node_get_object(node);
    g_autoptr(GList) members = json_object_get_members(object);
    for (GList *i = members; i != NULL; i = i->next) {
        if (!g_strv_contains(known, i->data)) {
            g_set_error(error, EMU_ERROR, EMU_ERROR_ARGUMENT, "Unknown member %s",
                        (const char *)i->data);
            return FALSE;
        }
    }

    if (!take_text(object, id_name, ret_id, error) ||
        !take_text(object, "primaryKey", &change->primary_key, error) ||
        !take_text(object, "secondaryKey", &change->secondary_key, error) ||
        !take_text(object, "status", &change->status, error) ||
        !emu_authentication_read(object, change, error))
        return FALSE;
    if (*ret_id != NULL)
        return TRUE;
    g_set_error(error, EMU_ERROR, EMU_ERROR_ARGUMENT, "An entry has no %s", id_name);
    return FALSE;
}

static gboolean
load_modules(EmuHub *hub, const char *device_id, JsonObject *device, GError **error)
{
    JsonNode *node = json_object_get_member(device, "modules");

    if (node == NULL)
        return TRUE;
    if (!JSON_NODE_HOLDS_ARRAY(node)) {
        g_set_error(error, EMU_ERROR, EMU_ERROR_ARGUMENT, "modules is not an array");
        return FALSE;
    }
    JsonArray *modules = json_node_get_array(node);
    for (guint i = 0; i < json_array_get_length(modules); i++) {
        EmuIdentityChange change = {0};
        const char *module_id = NULL;
        if (!read_identity(json_array_get_element(modules, i), "moduleId", &module_id, &change,
                           error) ||
            emu_hub_put_identity(hub, device_id, module_id, &change, NULL, error) == NULL)
            return FALSE;
    }
    return TRUE;
}

static gboolean
load_device(EmuHub *hub, JsonNode *node, GError **error)
{
    EmuIdentityChange change = {0};
    const char *device_id = NULL;

    return read_identity(node, "deviceId", &device_id, &change, error) &&
           emu_hub_put_identity(hub, device_id, NULL, &change, NULL, error) != NULL &&
           load_modules(hub, device_id, json_node_get_object(node), error);
}

gboolean
emu_devices_load(EmuHub *hub, const char *file, GError **error)
{
    g_autoptr(JsonParser) parser = json_parser_new_immutable();

    if (!json_parser_load_from_file(parser, file, error))
        return FALSE;
    JsonNode *root = json_parser_get_root(parser);
    if (root == NULL || !JSON_NODE_HOLDS_ARRAY(root)) {
        g_set_error(error, EMU_ERROR, EMU_ERROR_ARGUMENT, "%s is not a JSON array", file);
        return FALSE;
    }

    JsonArray *devices = json_node_get_array(root);
    for (guint i = 0; i < json_array_get_length(devices); i++) {
        if (!load_device(hub, json_array_get_element(devices, i), error)) {
            g_prefix_error(error, "%s, entry %u: ", file, i + 1);
            return FALSE;
        }
    }
    return TRUE;
}
