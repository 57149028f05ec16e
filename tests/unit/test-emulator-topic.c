/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* IoT Hub's topics and usernames as the emulator reads them. */

#include "topic.h"

#include <string.h>

static void
assert_username(const char *text, const char *host, const char *device_id, const char *module_id,
                const char *model_id)
{
    g_autoptr(GError) error = NULL;
    g_auto(EmuUsername) username = {0};

    g_assert_true(emu_username_parse(text, strlen(text), &username, &error));
    g_assert_no_error(error);
    g_assert_cmpstr(username.host, ==, host);
    g_assert_cmpstr(username.device_id, ==, device_id);
    g_assert_cmpstr(username.module_id, ==, module_id);
    g_assert_cmpstr(username.model_id, ==, model_id);
}

static void
test_username_takes_what_sdks_send(void)
{
    assert_username("localhost/dev-1/?api-version=2021-04-12&model-id=dtmi:com:example:Thermostat;1"
                    "&DeviceClientType=azure-iot-device%2F1.18.2%20(node%20v20.20.2%3B)",
                    "localhost", "dev-1", NULL, "dtmi:com:example:Thermostat;1");
    assert_username("hub.test/dev-1/?api-version=2020-09-30&DeviceClientType=iothubclient%2f1.15.0"
                    "&model-id=dtmi%3acom%3aexample%3aThermostat%3b1",
                    "hub.test", "dev-1", NULL, "dtmi:com:example:Thermostat;1");
}

static void
test_username_takes_older_forms(void)
{
    assert_username("h/d", "h", "d", NULL, NULL);
    assert_username("h/d/", "h", "d", NULL, NULL);
    assert_username("h/d/api-version=2016-11-14", "h", "d", NULL, NULL);
    assert_username("h/d/api-version=2016-11-14&DeviceClientType=x", "h", "d", NULL, NULL);
}

static void
test_username_takes_modules(void)
{
    assert_username("h/d/m/?api-version=2021-04-12", "h", "d", "m", NULL);
    assert_username("h/d/m", "h", "d", "m", NULL);
}

static void
test_username_keeps_question_marks_in_ids(void)
{
    assert_username("h/d?x/?api-version=1", "h", "d?x", NULL, NULL);
    assert_username("h/d/?m/?api-version=1", "h", "d", "?m", NULL);
}

static void
test_username_lets_the_first_of_equal_keys_win(void)
{
    assert_username("h/d/?api-version=1&model-id=a&model-id=b", "h", "d", NULL, "a");
}

static void
test_username_refuses_other_shapes(void)
{
    static const char *const texts[] = {"", "h", "h/", "/d", "h//m", "h/d/m/x", "/", "//"};

    for (size_t i = 0; i < G_N_ELEMENTS(texts); i++) {
        g_autoptr(GError) error = NULL;
        g_auto(EmuUsername) username = {0};
        g_assert_false(emu_username_parse(texts[i], strlen(texts[i]), &username, &error));
        g_assert_nonnull(error);
    }
}

static EmuTopicKind
classify(const char *topic, const char *module_id, char **ret_rest)
{
    g_autofree char *prefix = emu_topic_telemetry_prefix("d", module_id);
    const char *rest = NULL;
    size_t rest_size = 0;
    EmuTopicKind kind =
        emu_topic_classify(topic, strlen(topic), prefix, strlen(prefix), &rest, &rest_size);

    *ret_rest = rest != NULL ? g_strndup(rest, rest_size) : NULL;
    return kind;
}

static void
assert_topic(const char *topic, const char *module_id, EmuTopicKind kind, const char *rest)
{
    g_autofree char *found = NULL;

    g_assert_cmpint(classify(topic, module_id, &found), ==, kind);
    g_assert_cmpstr(found, ==, rest);
}

static void
test_classify_takes_the_bag_whole(void)
{
    assert_topic("devices/d/messages/events", NULL, EMU_TOPIC_TELEMETRY, "");
    assert_topic("devices/d/messages/events/", NULL, EMU_TOPIC_TELEMETRY, "");
    assert_topic("devices/d/messages/events/a=b/c&%24.ct=application/json", NULL,
                 EMU_TOPIC_TELEMETRY, "a=b/c&%24.ct=application/json");
    assert_topic("devices/d/messages/events/a=b/", NULL, EMU_TOPIC_TELEMETRY, "a=b");
    assert_topic("devices/d/modules/m/messages/events/%24.on=o/", "m", EMU_TOPIC_TELEMETRY,
                 "%24.on=o");
}

static void
test_classify_refuses_foreign_topics(void)
{
    static const char *const topics[] = {
        "devices/e/messages/events/",
        "devices/d/messages/eventsx",
        "devices/d/messages/event",
        "devices/dd/messages/events/",
        "devices/d/messages/devicebound/",
        "devices/d/modules/m/messages/events/",
        "hello",
        "$SYS/x",
        "$iothub/twin/GET",
        "$iothub/twin/PUT/?$rid=1",
    };

    for (size_t i = 0; i < G_N_ELEMENTS(topics); i++)
        assert_topic(topics[i], NULL, EMU_TOPIC_UNKNOWN, NULL);
}

static void
test_classify_knows_twins_and_methods(void)
{
    assert_topic("$iothub/twin/GET/?$rid=1", NULL, EMU_TOPIC_TWIN_GET, "$rid=1");
    assert_topic("$iothub/twin/PATCH/properties/reported/?$rid=2&$version=3", NULL,
                 EMU_TOPIC_TWIN_REPORTED, "$rid=2&$version=3");
    assert_topic("$iothub/methods/res/200/?$rid=a", NULL, EMU_TOPIC_METHOD_ANSWER, "200/?$rid=a");
}

static void
test_filter_kinds_of_a_device(void)
{
    g_assert_cmpint(emu_topic_filter_kind("devices/d/messages/devicebound/#", "d", NULL), ==,
                    EMU_FILTER_DEVICEBOUND);
    g_assert_cmpint(emu_topic_filter_kind("$iothub/twin/res/#", "d", NULL), ==,
                    EMU_FILTER_TWIN_RESULT);
    g_assert_cmpint(emu_topic_filter_kind("$iothub/twin/PATCH/properties/desired/#", "d", NULL), ==,
                    EMU_FILTER_TWIN_DESIRED);
    g_assert_cmpint(emu_topic_filter_kind("$iothub/methods/POST/#", "d", NULL), ==,
                    EMU_FILTER_METHODS);
    g_assert_cmpint(emu_topic_filter_kind("$iothub/methods/POST/reboot/#", "d", NULL), ==,
                    EMU_FILTER_METHODS);
}

static void
test_filter_kinds_of_a_module(void)
{
    g_assert_cmpint(emu_topic_filter_kind("devices/d/modules/m/#", "d", "m"), ==,
                    EMU_FILTER_INPUTS);
    g_assert_cmpint(emu_topic_filter_kind("devices/d/modules/m/inputs/#", "d", "m"), ==,
                    EMU_FILTER_INPUTS);
    g_assert_cmpint(emu_topic_filter_kind("devices/d/messages/devicebound/#", "d", "m"), ==,
                    EMU_FILTER_UNKNOWN);
}

static void
test_filter_refuses_what_the_hub_lacks(void)
{
    static const char *const filters[] = {"#",
                                          "devices/#",
                                          "devices/e/messages/devicebound/#",
                                          "devices/d/messages/devicebound/",
                                          "devices/d/messages/events/#",
                                          "$iothub/#",
                                          "$iothub/methods/POST/",
                                          "devices/d/modules/m/#"};

    for (size_t i = 0; i < G_N_ELEMENTS(filters); i++)
        g_assert_cmpint(emu_topic_filter_kind(filters[i], "d", NULL), ==, EMU_FILTER_UNKNOWN);
}

static void
test_request_id_is_taken_byte_for_byte(void)
{
    g_autofree char *plain = emu_topic_request_id("$rid=a%20b-1", 12);
    g_autofree char *second = emu_topic_request_id("$version=3&$rid=7", 17);
    g_autofree char *none = emu_topic_request_id("rid=7", 5);

    g_assert_cmpstr(plain, ==, "a%20b-1");
    g_assert_cmpstr(second, ==, "7");
    g_assert_null(none);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/topic/username/takes-what-sdks-send", test_username_takes_what_sdks_send);
    g_test_add_func("/topic/username/takes-older-forms", test_username_takes_older_forms);
    g_test_add_func("/topic/username/takes-modules", test_username_takes_modules);
    g_test_add_func("/topic/username/keeps-question-marks-in-ids",
                    test_username_keeps_question_marks_in_ids);
    g_test_add_func("/topic/username/lets-the-first-of-equal-keys-win",
                    test_username_lets_the_first_of_equal_keys_win);
    g_test_add_func("/topic/username/refuses-other-shapes", test_username_refuses_other_shapes);
    g_test_add_func("/topic/classify/takes-the-bag-whole", test_classify_takes_the_bag_whole);
    g_test_add_func("/topic/classify/refuses-foreign-topics", test_classify_refuses_foreign_topics);
    g_test_add_func("/topic/classify/knows-twins-and-methods",
                    test_classify_knows_twins_and_methods);
    g_test_add_func("/topic/filter/kinds-of-a-device", test_filter_kinds_of_a_device);
    g_test_add_func("/topic/filter/kinds-of-a-module", test_filter_kinds_of_a_module);
    g_test_add_func("/topic/filter/refuses-what-the-hub-lacks",
                    test_filter_refuses_what_the_hub_lacks);
    g_test_add_func("/topic/request-id/is-taken-byte-for-byte",
                    test_request_id_is_taken_byte_for_byte);
    return g_test_run();
}
