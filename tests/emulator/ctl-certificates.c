/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The commands about X.509: authorities of the hub, and certificates to try. */

#include "ctl-command.h"
#include "ctl-print.h"

#include <gio/gio.h>
#include <stdio.h>
#include <string.h>

static void
print_certificates(JsonNode *answer)
{
    static const CtlColumn columns[] = {
        {"THUMBPRINT", FALSE},
        {"EXPIRES", FALSE},
        {"SUBJECT", FALSE},
        {NULL, FALSE},
    };
    g_autoptr(CtlTable) table = ctl_table_new(columns);
    JsonArray *list = json_node_get_array(answer);

    for (guint i = 0; i < json_array_get_length(list); i++) {
        JsonObject *authority = json_array_get_object_element(list, i);
        ctl_table_add(table, ctl_member(authority, "thumbprint"));
        ctl_table_add(table, ctl_member_time(authority, "expiryTime"));
        ctl_table_add(table, ctl_member(authority, "subject"));
    }
    ctl_table_print(table, "No authorities; register one with: iothub-emulator ctl "
                           "add-certificate FILE");
}

gboolean
ctl_run_certificates(Ctl *ctl, int argc, char **argv, GError **error)
{
    g_auto(GStrv) arguments = NULL;
    if (!ctl_parse(ctl, NULL, argc, argv, 0, 0, &arguments, error))
        return FALSE;

    return ctl_show(ctl, "/certificates", JSON_NODE_ARRAY, print_certificates, error);
}

static JsonNode *
object_node(JsonObject **ret_object)
{
    JsonNode *node = json_node_new(JSON_NODE_OBJECT);

    *ret_object = json_object_new();
    json_node_take_object(node, *ret_object);
    return node;
}

gboolean
ctl_run_add_certificate(Ctl *ctl, int argc, char **argv, GError **error)
{
    g_auto(GStrv) arguments = NULL;
    g_autofree char *pem = NULL;
    JsonObject *certificate = NULL;
    if (!ctl_parse(ctl, NULL, argc, argv, 1, 1, &arguments, error) ||
        !g_file_get_contents(arguments[0], &pem, NULL, error) ||
        !ctl_check_utf8(arguments[0], pem, error))
        return FALSE;

    g_autoptr(JsonNode) body = object_node(&certificate);
    json_object_set_string_member(certificate, "certificate", pem);
    g_autoptr(JsonNode) answer =
        ctl_client_call(ctl->client, "POST", "/certificates", body, JSON_NODE_OBJECT, error);
    if (answer == NULL)
        return FALSE;

    if (ctl->json)
        ctl_print_json(answer);
    else
        puts(json_object_get_string_member_with_default(json_node_get_object(answer), "thumbprint",
                                                        ""));
    return TRUE;
}

gboolean
ctl_run_remove_certificate(Ctl *ctl, int argc, char **argv, GError **error)
{
    g_auto(GStrv) arguments = NULL;
    if (!ctl_parse(ctl, NULL, argc, argv, 1, 1, &arguments, error))
        return FALSE;

    g_autofree char *escaped = g_uri_escape_string(arguments[0], NULL, FALSE);
    g_autofree char *path = g_strconcat("/certificates/", escaped, NULL);
    g_autoptr(JsonNode) answer =
        ctl_client_call(ctl->client, "DELETE", path, NULL, JSON_NODE_NULL, error);
    return answer != NULL;
}

/* Writes one member of the answer to DIR/NAME, and returns its path. */
static char *
save_member(JsonObject *issued, const char *member, const char *dir, const char *name, int mode,
            GError **error)
{
    const char *text = json_object_get_string_member_with_default(issued, member, "");
    g_autofree char *file = g_build_filename(dir, name, NULL);

    if (!g_file_set_contents_full(file, text, -1, G_FILE_SET_CONTENTS_CONSISTENT, mode, error))
        return NULL;
    return g_steal_pointer(&file);
}

static gboolean
save_issued(Ctl *ctl, JsonNode *answer, const char *device_id, const char *dir, GError **error)
{
    JsonObject *issued = json_node_get_object(answer);
    g_autofree char *certificate_name = g_strconcat(device_id, ".pem", NULL);
    g_autofree char *key_name = g_strconcat(device_id, "-key.pem", NULL);

    if (g_mkdir_with_parents(dir, 0700) < 0) {
        g_set_error(error, CTL_ERROR, CTL_ERROR_REFUSED, "%s cannot be made", dir);
        return FALSE;
    }
    g_autofree char *key_file = save_member(issued, "key", dir, key_name, 0600, error);
    if (key_file == NULL)
        return FALSE;
    g_autofree char *certificate_file =
        save_member(issued, "certificate", dir, certificate_name, 0644, error);
    if (certificate_file == NULL)
        return FALSE;
    if (ctl->json) {
        json_object_remove_member(issued, "key");
        ctl_print_json(answer);
        return TRUE;
    }

    static const char *const members[][2] = {{"Thumbprint", "thumbprint"},
                                             {"Connection string", "connectionString"}};
    ctl_print_field("Certificate", certificate_file);
    ctl_print_field("Key", key_file);
    for (size_t i = 0; i < G_N_ELEMENTS(members); i++) {
        g_autofree char *value = ctl_member(issued, members[i][1]);
        ctl_print_field(members[i][0], value);
    }
    return TRUE;
}

static JsonNode *
ask_for_certificate(Ctl *ctl, const char *device_id, gboolean is_signed, int days, GError **error)
{
    JsonObject *issue = NULL;
    g_autoptr(JsonNode) body = object_node(&issue);
    g_autofree char *escaped = g_uri_escape_string(device_id, NULL, FALSE);
    g_autofree char *path = g_strconcat("/devices/", escaped, "/certificate", NULL);

    json_object_set_string_member(issue, "type", is_signed ? "certificateAuthority" : "selfSigned");
    json_object_set_int_member(issue, "days", days);
    return ctl_client_call(ctl->client, "POST", path, body, JSON_NODE_OBJECT, error);
}

gboolean
ctl_run_make_certificate(Ctl *ctl, int argc, char **argv, GError **error)
{
    g_auto(GStrv) arguments = NULL;
    g_autofree char *dir = NULL;
    gboolean self_signed = FALSE;
    gboolean is_signed = FALSE;
    int days = 365;
    const GOptionEntry entries[] = {
        {"out", 0, 0, G_OPTION_ARG_FILENAME, &dir, "Where the two files go (.)", "DIR"},
        {"self-signed", 0, 0, G_OPTION_ARG_NONE, &self_signed,
         "The hub knows it by its thumbprint (default)", NULL},
        {"signed", 0, 0, G_OPTION_ARG_NONE, &is_signed, "By an authority that the hub knows", NULL},
        {"days", 0, 0, G_OPTION_ARG_INT, &days, "How long it is valid (365); below 0: it was", "N"},
        {NULL},
    };
    if (!ctl_parse(ctl, entries, argc, argv, 1, 1, &arguments, error))
        return FALSE;
    if (self_signed && is_signed) {
        g_set_error(error, CTL_ERROR, CTL_ERROR_USAGE,
                    "--self-signed and --signed exclude each other");
        return FALSE;
    }

    g_autoptr(JsonNode) answer = ask_for_certificate(ctl, arguments[0], is_signed, days, error);
    return answer != NULL && save_issued(ctl, answer, arguments[0], dir != NULL ? dir : ".", error);
}
