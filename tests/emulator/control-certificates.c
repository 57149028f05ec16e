/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The control API's view of the authorities of the hub, and certificates for devices to try. */

#include "control-request.h"

#include "authorities.h"
#include "device-certificates.h"
#include "error.h"
#include "hub.h"

#define DAYS_MAX 3650

static EmuAuthorities *
authorities_of(const EmuRequest *request)
{
    return emu_registry_authorities(emu_hub_registry(request->hub));
}

static void
add_authority(JsonBuilder *json, const EmuAuthority *authority)
{
    json_builder_begin_object(json);
    emu_json_add_text(json, "thumbprint", authority->thumbprint);
    emu_json_add_text(json, "subject", authority->name);
    emu_json_add_time(json, "expiryTime", authority->expiry_sec * G_USEC_PER_SEC);
    emu_json_add_text(json, "certificate", authority->pem);
    json_builder_end_object(json);
}

static gboolean
get_certificates(const EmuRequest *request, EmuReply *reply, GError **error)
{
    g_autoptr(JsonBuilder) json = json_builder_new();
    const GPtrArray *list = emu_authorities_list(authorities_of(request));

    json_builder_begin_array(json);
    for (guint i = 0; i < list->len; i++)
        add_authority(json, g_ptr_array_index(list, i));
    json_builder_end_array(json);
    reply->node = json_builder_get_root(json);
    return TRUE;
}

static gboolean
post_certificate(const EmuRequest *request, EmuReply *reply, GError **error)
{
    static const char *const members[] = {"certificate", NULL};
    g_autoptr(JsonBuilder) json = json_builder_new();
    const char *pem = NULL;

    if (!emu_request_check_members(request, members, error) ||
        !emu_request_text(request, "certificate", &pem, error))
        return FALSE;
    const EmuAuthority *authority =
        emu_authorities_add(authorities_of(request), pem != NULL ? pem : "", error);
    if (authority == NULL)
        return FALSE;
    add_authority(json, authority);
    reply->status = SOUP_STATUS_CREATED;
    reply->node = json_builder_get_root(json);
    return TRUE;
}

static gboolean
delete_certificate(const EmuRequest *request, EmuReply *reply, GError **error)
{
    reply->status = SOUP_STATUS_NO_CONTENT;
    return emu_authorities_remove(authorities_of(request), request->names[0], error);
}

static gboolean
read_issue(const EmuRequest *request, EmuIssue *ret_issue, gint64 *days, GError **error)
{
    static const char *const members[] = {"type", "days", NULL};
    const char *type = NULL;

    *ret_issue = EMU_ISSUE_SELF_SIGNED;
    if (request->body == NULL)
        return TRUE;
    if (!emu_request_check_members(request, members, error) ||
        !emu_request_text(request, "type", &type, error) ||
        !emu_request_integer(request, "days", -DAYS_MAX, DAYS_MAX, days, error))
        return FALSE;
    if (g_strcmp0(type, emu_authentication_name(EMU_AUTHENTICATION_AUTHORITY)) == 0)
        *ret_issue = EMU_ISSUE_SIGNED;
    else if (type != NULL &&
             !g_str_equal(type, emu_authentication_name(EMU_AUTHENTICATION_SELF_SIGNED))) {
        g_set_error(error, EMU_ERROR, EMU_ERROR_ARGUMENT,
                    "type is selfSigned or certificateAuthority");
        return FALSE;
    }
    return TRUE;
}

static gboolean
post_device_certificate(const EmuRequest *request, EmuReply *reply, GError **error)
{
    g_autoptr(JsonBuilder) json = json_builder_new();
    g_auto(EmuIssued) issued = {0};
    EmuIssue issue;
    gint64 days = 365;

    if (!read_issue(request, &issue, &days, error) ||
        !emu_device_certificate_issue(request->hub, request->names[0], request->names[1], issue,
                                      (int)days, &issued, error))
        return FALSE;
    const EmuIdentity *identity =
        emu_registry_find(emu_hub_registry(request->hub), request->names[0], request->names[1]);
    g_autofree char *connection_string = emu_hub_connection_string(request->hub, identity);

    json_builder_begin_object(json);
    emu_json_add_text(json, "thumbprint", issued.thumbprint);
    emu_json_add_text(json, "certificate", issued.certificate);
    emu_json_add_text(json, "key", issued.key);
    emu_json_add_text(json, "connectionString", connection_string);
    json_builder_end_object(json);
    reply->status = SOUP_STATUS_CREATED;
    reply->node = json_builder_get_root(json);
    return TRUE;
}

const EmuRoute emu_certificate_routes[] = {
    {"GET", "certificates", get_certificates},
    {"POST", "certificates", post_certificate},
    {"DELETE", "certificates/*", delete_certificate},
    {"POST", "devices/*/certificate", post_device_certificate},
    {"POST", "devices/*/modules/*/certificate", post_device_certificate},
    {NULL, NULL, NULL},
};
