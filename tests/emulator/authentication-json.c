/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* An empty key means that the hub shall make one, as the real registry's clients have it. */

#include "authentication-json.h"

#include "error.h"

static gboolean
set_wrong(GError **error, const char *name)
{
    g_set_error(error, EMU_ERROR, EMU_ERROR_ARGUMENT, "authentication: %s is not understood", name);
    return FALSE;
}

static gboolean
check_members(JsonObject *object, const char *const *names, GError **error)
{
    g_autoptr(GList) members = json_object_get_members(object);

    for (GList *i = members; i != NULL; i = i->next) {
        if (!g_strv_contains(names, i->data))
            return set_wrong(error, i->data);
    }
    return TRUE;
}

/* A member that is a string, null or not there. */
static gboolean
take_text(JsonObject *object, const char *name, const char **ret_text, GError **error)
{
    JsonNode *node = json_object_get_member(object, name);

    if (node == NULL || JSON_NODE_HOLDS_NULL(node))
        return TRUE;
    if (!JSON_NODE_HOLDS_VALUE(node) || json_node_get_value_type(node) != G_TYPE_STRING)
        return set_wrong(error, name);
    *ret_text = json_node_get_string(node);
    return TRUE;
}

/* An object that is there with no other members than @names, null, or not there at all: then
 * @ret_object is NULL. */
static gboolean
take_object(JsonObject *owner, const char *name, const char *const *names, JsonObject **ret_object,
            GError **error)
{
    JsonNode *node = json_object_get_member(owner, name);

    *ret_object = NULL;
    if (node == NULL || JSON_NODE_HOLDS_NULL(node))
        return TRUE;
    if (!JSON_NODE_HOLDS_OBJECT(node))
        return set_wrong(error, name);
    *ret_object = json_node_get_object(node);
    return check_members(*ret_object, names, error);
}

static const char *
unless_empty(const char *text)
{
    return text != NULL && *text != '\0' ? text : NULL;
}

static gboolean
read_keys(JsonObject *authentication, EmuIdentityChange *change, GError **error)
{
    static const char *const members[] = {"primaryKey", "secondaryKey", NULL};
    JsonObject *keys = NULL;

    if (!take_object(authentication, "symmetricKey", members, &keys, error))
        return FALSE;
    if (keys == NULL)
        return TRUE;
    if (!take_text(keys, "primaryKey", &change->primary_key, error) ||
        !take_text(keys, "secondaryKey", &change->secondary_key, error))
        return FALSE;
    change->primary_key = unless_empty(change->primary_key);
    change->secondary_key = unless_empty(change->secondary_key);
    return TRUE;
}

static gboolean
read_thumbprints(JsonObject *authentication, EmuIdentityChange *change, GError **error)
{
    static const char *const members[] = {"primaryThumbprint", "secondaryThumbprint", NULL};
    JsonObject *thumbprints = NULL;

    if (!take_object(authentication, "x509Thumbprint", members, &thumbprints, error))
        return FALSE;
    return thumbprints == NULL ||
           (take_text(thumbprints, "primaryThumbprint", &change->primary_thumbprint, error) &&
            take_text(thumbprints, "secondaryThumbprint", &change->secondary_thumbprint, error));
}

gboolean
emu_authentication_read(JsonObject *owner, EmuIdentityChange *change, GError **error)
{
    static const char *const members[] = {"type", "symmetricKey", "x509Thumbprint", NULL};
    JsonObject *authentication = NULL;

    if (!take_object(owner, "authentication", members, &authentication, error))
        return FALSE;
    if (authentication == NULL)
        return TRUE;
    if (!take_text(authentication, "type", &change->authentication, error) ||
        !read_keys(authentication, change, error) ||
        !read_thumbprints(authentication, change, error))
        return FALSE;
    if (change->authentication == NULL && unless_empty(change->primary_thumbprint) != NULL)
        change->authentication = emu_authentication_name(EMU_AUTHENTICATION_SELF_SIGNED);
    return TRUE;
}

static void
add_text(JsonBuilder *json, const char *name, const char *value)
{
    json_builder_set_member_name(json, name);
    if (value != NULL)
        json_builder_add_string_value(json, value);
    else
        json_builder_add_null_value(json);
}

void
emu_authentication_write(JsonBuilder *json, const EmuIdentity *identity)
{
    gboolean has_keys = identity->authentication == EMU_AUTHENTICATION_SAS;

    json_builder_set_member_name(json, "authentication");
    json_builder_begin_object(json);
    add_text(json, "type", emu_authentication_name(identity->authentication));
    json_builder_set_member_name(json, "symmetricKey");
    json_builder_begin_object(json);
    add_text(json, "primaryKey", has_keys ? identity->primary_key : NULL);
    add_text(json, "secondaryKey", has_keys ? identity->secondary_key : NULL);
    json_builder_end_object(json);
    json_builder_set_member_name(json, "x509Thumbprint");
    json_builder_begin_object(json);
    add_text(json, "primaryThumbprint", identity->primary_thumbprint);
    add_text(json, "secondaryThumbprint", identity->secondary_thumbprint);
    json_builder_end_object(json);
    json_builder_end_object(json);
}
