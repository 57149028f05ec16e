/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The commands about devices. */

#include "ctl-command.h"
#include "ctl-print.h"

#include <gio/gio.h>
#include <stdio.h>

static char *
device_path(const char *device_id)
{
    g_autofree char *escaped = g_uri_escape_string(device_id, NULL, FALSE);

    return g_strconcat("/devices/", escaped, NULL);
}

static JsonNode *
take_object(JsonObject *object)
{
    JsonNode *node = json_node_new(JSON_NODE_OBJECT);

    json_node_take_object(node, object);
    return node;
}

static void
add_device_row(CtlTable *table, JsonObject *device)
{
    ctl_table_add(table, ctl_member(device, "deviceId"));
    ctl_table_add(table, ctl_member(device, "status"));
    ctl_table_add(table, ctl_member(device, "connectionState"));
    ctl_table_add(table, ctl_member_time(device, "connectedSince"));
    ctl_table_add(table, ctl_member_time(device, "lastActivityTime"));
    ctl_table_add(table, ctl_member(device, "messagesReceived"));
    ctl_table_add(table, ctl_member(device, "cloudToDeviceMessageCount"));
    ctl_table_add(table, ctl_member(device, "disconnectReason"));
}

static void
print_devices(JsonNode *answer)
{
    static const CtlColumn columns[] = {
        {"DEVICE", FALSE}, {"STATUS", FALSE},    {"CONNECTION", FALSE},
        {"SINCE", FALSE},  {"LAST SEEN", FALSE}, {"SENT", TRUE},
        {"QUEUED", TRUE},  {"LAST END", FALSE},  {NULL, FALSE},
    };
    g_autoptr(CtlTable) table = ctl_table_new(columns);
    JsonArray *devices = json_node_get_array(answer);

    for (guint i = 0; i < json_array_get_length(devices); i++)
        add_device_row(table, json_array_get_object_element(devices, i));
    ctl_table_print(table, "No devices; make one with: iothub-emulator ctl add-device DEVICE");
}

gboolean
ctl_run_devices(Ctl *ctl, int argc, char **argv, GError **error)
{
    g_auto(GStrv) arguments = NULL;
    if (!ctl_parse(ctl, NULL, argc, argv, 0, 0, &arguments, error))
        return FALSE;

    return ctl_show(ctl, "/devices", JSON_NODE_ARRAY, print_devices, error);
}

static void
print_device(JsonNode *answer)
{
    JsonObject *device = json_node_get_object(answer);
    static const struct {
        const char *name;
        const char *member;
        gboolean is_time;
    } fields[] = {
        {"Device", "deviceId", FALSE},
        {"Status", "status", FALSE},
        {"Connection", "connectionState", FALSE},
        {"Connected since", "connectedSince", TRUE},
        {"Client id", "clientId", FALSE},
        {"Last activity", "lastActivityTime", TRUE},
        {"Last disconnect", "disconnectReason", FALSE},
        {"Messages received", "messagesReceived", FALSE},
        {"C2D queued", "cloudToDeviceMessageCount", FALSE},
        {"Generation", "generationId", FALSE},
        {"Connection string", "connectionString", FALSE},
        {"Primary key", "primaryKey", FALSE},
        {"Secondary key", "secondaryKey", FALSE},
    };

    for (size_t i = 0; i < G_N_ELEMENTS(fields); i++) {
        g_autofree char *value = fields[i].is_time ? ctl_member_time(device, fields[i].member)
                                                   : ctl_member(device, fields[i].member);
        ctl_print_field(fields[i].name, value);
    }
}

/* What the device shows to be let in. */
static void
print_authentication(JsonNode *answer)
{
    JsonObject *device = json_node_get_object(answer);
    JsonObject *authentication = json_object_get_object_member(device, "authentication");
    JsonObject *thumbprints = authentication != NULL
                                  ? json_object_get_object_member(authentication, "x509Thumbprint")
                                  : NULL;

    if (thumbprints == NULL)
        return;
    g_autofree char *type = ctl_member(authentication, "type");
    g_autofree char *primary = ctl_member(thumbprints, "primaryThumbprint");
    g_autofree char *secondary = ctl_member(thumbprints, "secondaryThumbprint");
    ctl_print_field("Authentication", type);
    ctl_print_field("Thumbprint", primary);
    ctl_print_field("2nd thumbprint", secondary);
}

static void
print_whole_device(JsonNode *answer)
{
    print_device(answer);
    print_authentication(answer);
}

gboolean
ctl_run_device(Ctl *ctl, int argc, char **argv, GError **error)
{
    g_auto(GStrv) arguments = NULL;
    if (!ctl_parse(ctl, NULL, argc, argv, 1, 1, &arguments, error))
        return FALSE;

    g_autofree char *path = device_path(arguments[0]);
    return ctl_show(ctl, path, JSON_NODE_OBJECT, print_whole_device, error);
}

/* For add-device and connection-string: the bare string, which scripts put into variables. */
static void
print_connection_string(Ctl *ctl, JsonNode *answer)
{
    if (ctl->json)
        ctl_print_json(answer);
    else
        puts(json_object_get_string_member_with_default(json_node_get_object(answer),
                                                        "connectionString", ""));
}

/* What --key and the others say; NULL says nothing. */
typedef struct {
    char *key;                  /* owned */
    char *secondary_key;        /* owned */
    char *thumbprint;           /* owned */
    char *secondary_thumbprint; /* owned */
    gboolean by_authority;
} Credentials;

static void
credentials_clear(Credentials *credentials)
{
    g_clear_pointer(&credentials->key, g_free);
    g_clear_pointer(&credentials->secondary_key, g_free);
    g_clear_pointer(&credentials->thumbprint, g_free);
    g_clear_pointer(&credentials->secondary_thumbprint, g_free);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Credentials, credentials_clear)

static gboolean
check_credentials(const Credentials *credentials, GError **error)
{
    gboolean by_key = credentials->key != NULL || credentials->secondary_key != NULL;
    gboolean by_thumbprint =
        credentials->thumbprint != NULL || credentials->secondary_thumbprint != NULL;

    if ((by_key ? 1 : 0) + (by_thumbprint ? 1 : 0) + (credentials->by_authority ? 1 : 0) > 1) {
        g_set_error(error, CTL_ERROR, CTL_ERROR_USAGE,
                    "Keys, thumbprints and --ca exclude one another");
        return FALSE;
    }
    return ctl_check_utf8("--key", credentials->key, error) &&
           ctl_check_utf8("--secondary-key", credentials->secondary_key, error) &&
           ctl_check_utf8("--thumbprint", credentials->thumbprint, error) &&
           ctl_check_utf8("--secondary-thumbprint", credentials->secondary_thumbprint, error);
}

static void
set_text(JsonObject *object, const char *name, const char *value)
{
    if (value != NULL)
        json_object_set_string_member(object, name, value);
}

static JsonNode *
body_of(const Credentials *credentials)
{
    JsonObject *device = json_object_new();
    JsonObject *authentication = json_object_new();
    JsonObject *keys = json_object_new();
    JsonObject *thumbprints = json_object_new();
    const char *type = credentials->by_authority         ? "certificateAuthority"
                       : credentials->thumbprint != NULL ? "selfSigned"
                       : credentials->key != NULL        ? "sas"
                                                         : NULL;

    set_text(authentication, "type", type);
    set_text(keys, "primaryKey", credentials->key);
    set_text(keys, "secondaryKey", credentials->secondary_key);
    set_text(thumbprints, "primaryThumbprint", credentials->thumbprint);
    set_text(thumbprints, "secondaryThumbprint", credentials->secondary_thumbprint);
    json_object_set_object_member(authentication, "symmetricKey", keys);
    json_object_set_object_member(authentication, "x509Thumbprint", thumbprints);
    json_object_set_object_member(device, "authentication", authentication);
    return take_object(device);
}

gboolean
ctl_run_add_device(Ctl *ctl, int argc, char **argv, GError **error)
{
    g_auto(Credentials) given = {0};
    g_auto(GStrv) arguments = NULL;
    const GOptionEntry entries[] = {
        {"key", 0, 0, G_OPTION_ARG_FILENAME, &given.key, "Primary key (16 to 64 bytes)", "BASE64"},
        {"secondary-key", 0, 0, G_OPTION_ARG_FILENAME, &given.secondary_key, "Secondary key",
         "BASE64"},
        {"thumbprint", 0, 0, G_OPTION_ARG_FILENAME, &given.thumbprint,
         "SHA-1 or SHA-256 of its certificate", "HEX"},
        {"secondary-thumbprint", 0, 0, G_OPTION_ARG_FILENAME, &given.secondary_thumbprint,
         "The same of another one", "HEX"},
        {"ca", 0, 0, G_OPTION_ARG_NONE, &given.by_authority,
         "Its certificate is signed by an authority of the hub", NULL},
        {NULL},
    };
    if (!ctl_parse(ctl, entries, argc, argv, 1, 1, &arguments, error) ||
        !check_credentials(&given, error))
        return FALSE;

    g_autoptr(JsonNode) body = body_of(&given);
    g_autofree char *path = device_path(arguments[0]);
    g_autoptr(JsonNode) answer =
        ctl_client_call(ctl->client, "PUT", path, body, JSON_NODE_OBJECT, error);
    if (answer == NULL)
        return FALSE;

    print_connection_string(ctl, answer);
    return TRUE;
}

gboolean
ctl_run_connection_string(Ctl *ctl, int argc, char **argv, GError **error)
{
    g_auto(GStrv) arguments = NULL;
    if (!ctl_parse(ctl, NULL, argc, argv, 1, 1, &arguments, error))
        return FALSE;

    g_autofree char *path = device_path(arguments[0]);
    g_autoptr(JsonNode) answer =
        ctl_client_call(ctl->client, "GET", path, NULL, JSON_NODE_OBJECT, error);
    if (answer == NULL)
        return FALSE;

    print_connection_string(ctl, answer);
    return TRUE;
}

/* PUT creates what is missing, so a mistyped name has to be caught before. */
static gboolean
set_status(Ctl *ctl, const char *path, const char *status, GError **error)
{
    JsonObject *device = json_object_new();
    g_autoptr(JsonNode) body = take_object(device);

    json_object_set_string_member(device, "status", status);
    g_autoptr(JsonNode) known =
        ctl_client_call(ctl->client, "GET", path, NULL, JSON_NODE_OBJECT, error);
    if (known == NULL)
        return FALSE;
    g_autoptr(JsonNode) answer =
        ctl_client_call(ctl->client, "PUT", path, body, JSON_NODE_OBJECT, error);
    if (answer == NULL)
        return FALSE;

    if (ctl->json)
        ctl_print_json(answer);
    return TRUE;
}

gboolean
ctl_run_set_device(Ctl *ctl, int argc, char **argv, GError **error)
{
    g_autofree char *status = NULL;
    g_auto(GStrv) arguments = NULL;
    const GOptionEntry entries[] = {
        {"status", 0, 0, G_OPTION_ARG_FILENAME, &status, "What the device shall be",
         "enabled|disabled"},
        {NULL},
    };
    if (!ctl_parse(ctl, entries, argc, argv, 1, 1, &arguments, error))
        return FALSE;
    if (g_strcmp0(status, "enabled") != 0 && g_strcmp0(status, "disabled") != 0) {
        g_set_error(error, CTL_ERROR, CTL_ERROR_USAGE,
                    "Set it to what? Say --status enabled or --status disabled");
        return FALSE;
    }

    g_autofree char *path = device_path(arguments[0]);
    return set_status(ctl, path, status, error);
}

gboolean
ctl_run_remove_device(Ctl *ctl, int argc, char **argv, GError **error)
{
    g_auto(GStrv) arguments = NULL;
    if (!ctl_parse(ctl, NULL, argc, argv, 1, 1, &arguments, error))
        return FALSE;

    g_autofree char *path = device_path(arguments[0]);
    g_autoptr(JsonNode) answer =
        ctl_client_call(ctl->client, "DELETE", path, NULL, JSON_NODE_NULL, error);
    return answer != NULL;
}
