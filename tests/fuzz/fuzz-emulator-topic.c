/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/emulator/bag.h"
#include "tests/emulator/sas.h"
#include "tests/emulator/topic.h"
#include "tests/fuzz/fuzz.h"

#include <string.h>

/* The texts in what a client sends to the emulator. The first byte of the input says which one the
 * rest is: u a username, t a topic, f a topic filter, b a property bag, s a token. */

#define DEVICE "d"
#define MODULE "m"

static void
check_username(const char *text, size_t size)
{
    g_auto(EmuUsername) username = {0};
    g_autoptr(GError) error = NULL;
    const char *rest = NULL;
    size_t rest_size = 0;

    if (!emu_username_parse(text, size, &username, &error)) {
        g_assert_nonnull(error);
        return;
    }
    g_assert_true(*username.host != '\0' && *username.device_id != '\0');
    g_assert_true(username.module_id == NULL || *username.module_id != '\0');
    g_assert_null(strchr(username.device_id, '/'));

    g_autofree char *prefix = emu_topic_telemetry_prefix(username.device_id, username.module_id);
    g_autofree char *topic = g_strconcat(prefix, "/a=b/", NULL);
    g_assert_cmpint(
        emu_topic_classify(topic, strlen(topic), prefix, strlen(prefix), &rest, &rest_size), ==,
        EMU_TOPIC_TELEMETRY);
    g_assert_cmpmem(rest, rest_size, "a=b", 3);
}

static void
check_topic(const char *text, size_t size)
{
    g_autofree char *prefix = emu_topic_telemetry_prefix(DEVICE, NULL);
    const char *rest = NULL;
    size_t rest_size = 0;

    EmuTopicKind kind = emu_topic_classify(text, size, prefix, strlen(prefix), &rest, &rest_size);
    if (kind == EMU_TOPIC_UNKNOWN)
        return;
    g_assert_true(rest >= text && rest + rest_size <= text + size);
    g_autofree char *request_id = emu_topic_request_id(rest, rest_size);
    g_assert_true(request_id == NULL || strlen(request_id) <= rest_size);
}

static void
check_filter(const char *text, size_t size)
{
    g_autofree char *filter = g_strndup(text, size);

    EmuFilter device = emu_topic_filter_kind(filter, DEVICE, NULL);
    EmuFilter module = emu_topic_filter_kind(filter, DEVICE, MODULE);
    g_assert_cmpint(device, !=, EMU_FILTER_INPUTS);
    g_assert_cmpint(module, !=, EMU_FILTER_DEVICEBOUND);
}

/* What was read comes back the same when it is written, and counts the same; but for a key alone,
 * which can't be written and gets an empty value. */
static void
check_bag(const char *text, size_t size)
{
    g_autoptr(GString) written = g_string_new(NULL);
    EmuBagReader first = {0};
    EmuBagReader second = {0};

    emu_bag_reader_init(&first, text, size);
    while (TRUE) {
        g_auto(EmuProperty) property = {NULL, NULL};
        if (!emu_bag_reader_next(&first, &property))
            break;
        g_assert_true(g_utf8_validate(property.key, -1, NULL));
        g_assert_true(property.value == NULL || g_utf8_validate(property.value, -1, NULL));
        emu_bag_append(written, property.key, property.value != NULL ? property.value : "");
        if (property.value != NULL) {
            g_autofree char *found = emu_bag_find(text, size, property.key);
            g_assert_nonnull(found);
        }
    }

    emu_bag_reader_init(&first, text, size);
    emu_bag_reader_init(&second, written->str, written->len);
    while (TRUE) {
        g_auto(EmuProperty) property = {NULL, NULL};
        g_auto(EmuProperty) again = {NULL, NULL};
        gboolean more = emu_bag_reader_next(&first, &property);
        g_assert_cmpint(emu_bag_reader_next(&second, &again), ==, more);
        if (!more)
            break;
        g_assert_cmpstr(again.key, ==, property.key);
        g_assert_cmpstr(again.value, ==, property.value != NULL ? property.value : "");
    }
    g_assert_cmpuint(emu_bag_size(written->str, written->len), ==, emu_bag_size(text, size));
}

static void
check_token(const char *text, size_t size)
{
    g_auto(EmuSas) sas = {0};
    g_autoptr(GError) error = NULL;

    if (!emu_sas_parse(text, size, &sas, &error)) {
        g_assert_nonnull(error);
        return;
    }
    g_assert_true(sas.resource != NULL && sas.signature != NULL && sas.expiry != NULL);
    g_assert_cmpint(sas.expiry_sec, >=, 0);
    g_assert_false(emu_sas_is_signed_with(&sas, NULL));
    (void)emu_sas_is_signed_with(&sas, "AAAAAAAAAAAAAAAAAAAAAA==");
    (void)emu_key_is_valid(sas.signature);
    /* What covers a device covers what is below it, and not the one whose name goes on. */
    if (emu_sas_covers(&sas, "hub/devices/" DEVICE))
        g_assert_true(emu_sas_covers(&sas, "hub/devices/" DEVICE "/modules/" MODULE));
    if (emu_sas_covers(&sas, "hub/devices/" DEVICE "e"))
        g_assert_true(emu_sas_covers(&sas, "hub/devices/" DEVICE) ||
                      !emu_sas_covers(&sas, "hub/devices/" DEVICE "f"));
}

static const struct {
    char kind;
    void (*check)(const char *text, size_t size);
} checks[] = {
    {'u', check_username}, {'t', check_topic}, {'f', check_filter},
    {'b', check_bag},      {'s', check_token},
};

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    for (size_t i = 0; size > 0 && i < G_N_ELEMENTS(checks); i++)
        if (data[0] == checks[i].kind)
            checks[i].check((const char *)data + 1, size - 1);
    return 0;
}
