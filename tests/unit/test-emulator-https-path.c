/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "error.h"
#include "https-path.h"

static void
assert_path(const char *text, EmuHttpsEndpoint endpoint, const char *device_id,
            const char *module_id, const char *lock)
{
    g_auto(EmuHttpsPath) path = {0};
    g_autoptr(GError) error = NULL;

    g_assert_true(emu_https_path_parse(text, &path, &error));
    g_assert_no_error(error);
    g_assert_cmpint(path.endpoint, ==, endpoint);
    g_assert_cmpstr(path.device_id, ==, device_id);
    g_assert_cmpstr(path.module_id, ==, module_id);
    g_assert_cmpstr(path.lock, ==, lock);
}

static void
test_parse_knows_the_endpoints(void)
{
    assert_path("/devices/d/messages/events", EMU_HTTPS_EVENTS, "d", NULL, NULL);
    assert_path("/devices/d/modules/m/messages/events", EMU_HTTPS_EVENTS, "d", "m", NULL);
    assert_path("/devices/d/messages/devicebound", EMU_HTTPS_DEVICEBOUND, "d", NULL, NULL);
    assert_path("/devices/d/messages/devicebound/L", EMU_HTTPS_LOCK, "d", NULL, "L");
    assert_path("/devices/d/messages/devicebound/L/abandon", EMU_HTTPS_ABANDON, "d", NULL, "L");
}

static void
test_parse_minds_no_case_and_no_last_slash(void)
{
    assert_path("/Devices/D/Messages/deviceBound/", EMU_HTTPS_DEVICEBOUND, "D", NULL, NULL);
    assert_path("/DEVICES/d/MESSAGES/EVENTS/", EMU_HTTPS_EVENTS, "d", NULL, NULL);
    assert_path("/devices/messages/messages/events", EMU_HTTPS_EVENTS, "messages", NULL, NULL);
}

static void
test_parse_decodes_ids_once(void)
{
    assert_path("/devices/a%2Fb%2520c/messages/events", EMU_HTTPS_EVENTS, "a/b%20c", NULL, NULL);
}

static void
assert_fails(const char *text, EmuErrorCode code)
{
    g_auto(EmuHttpsPath) path = {0};
    g_autoptr(GError) error = NULL;

    g_assert_false(emu_https_path_parse(text, &path, &error));
    g_assert_error(error, EMU_ERROR, (gint)code);
    g_assert_null(path.device_id);
}

static void
test_parse_refuses_others(void)
{
    assert_fails("/", EMU_ERROR_NOT_FOUND);
    assert_fails("", EMU_ERROR_NOT_FOUND);
    assert_fails("/devices//messages/events", EMU_ERROR_NOT_FOUND);
    assert_fails("/devices/d/messages/events//", EMU_ERROR_NOT_FOUND);
    assert_fails("/devices/d/messages/events/x", EMU_ERROR_NOT_FOUND);
    assert_fails("/devices/d/messages/devicebound/L/reject", EMU_ERROR_NOT_FOUND);
    assert_fails("/devices/%zz/messages/events", EMU_ERROR_ARGUMENT);
    assert_fails("/devices/%ff/messages/events", EMU_ERROR_ARGUMENT);
    assert_fails("/devices/%00/messages/events", EMU_ERROR_ARGUMENT);
}

static void
test_is_websocket_minds_no_case(void)
{
    g_assert_true(emu_https_path_is_websocket("/$iothub/websocket"));
    g_assert_true(emu_https_path_is_websocket("/%24IoTHub/WebSocket"));
    g_assert_false(emu_https_path_is_websocket("/$iothub"));
    g_assert_false(emu_https_path_is_websocket("/%"));
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/https-path/parse/knows-the-endpoints", test_parse_knows_the_endpoints);
    g_test_add_func("/https-path/parse/minds-no-case-and-no-last-slash",
                    test_parse_minds_no_case_and_no_last_slash);
    g_test_add_func("/https-path/parse/decodes-ids-once", test_parse_decodes_ids_once);
    g_test_add_func("/https-path/parse/refuses-others", test_parse_refuses_others);
    g_test_add_func("/https-path/is-websocket/minds-no-case", test_is_websocket_minds_no_case);
    return g_test_run();
}
