/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "clients/libspoke/failure.h"

#include <errno.h>
#include <glib.h>

/* From a D-Bus error to the number a program acts on, and a sentence a person understands. */

static SpokeFailure
failure_of(const char *name, const char *text)
{
    return spoke_failure_from_bus(&SD_BUS_ERROR_MAKE_CONST(name, text));
}

static void
test_from_bus_keeps_the_daemons_words(void)
{
    SpokeFailure failure = failure_of("org.spoked1.Error.TooLarge", "Body of 7 bytes");

    g_assert_cmpint(failure.error, ==, -EMSGSIZE);
    g_assert_cmpstr(failure.name, ==, "org.spoked1.Error.TooLarge");
    g_assert_cmpstr(failure.text, ==, "Body of 7 bytes");
}

static void
test_from_bus_says_that_there_is_no_daemon(void)
{
    SpokeFailure failure =
        failure_of("org.freedesktop.DBus.Error.ServiceUnknown",
                   "The name org.spoked1 was not provided by any .service files");

    g_assert_cmpint(failure.error, ==, -EHOSTUNREACH);
    g_assert_cmpstr(failure.name, ==, "org.freedesktop.DBus.Error.ServiceUnknown");
    g_assert_cmpstr(failure.text, ==, "spoked is not running");
}

static void
test_from_bus_says_who_is_denied(void)
{
    SpokeFailure failure = failure_of("org.freedesktop.DBus.Error.AccessDenied",
                                      "Rejected send message, 2 matched rules; type=");

    g_assert_cmpint(failure.error, ==, -EACCES);
    g_assert_cmpstr(failure.text, ==, "This user may not talk to spoked");
}

static void
test_from_bus_tells_of_too_many_calls(void)
{
    SpokeFailure failure =
        failure_of("org.freedesktop.DBus.Error.LimitsExceeded", "The maximum number of pending");

    g_assert_cmpint(failure.error, ==, -EMFILE);
}

static void
test_from_bus_knows_names_by_their_beginning(void)
{
    SpokeFailure failure =
        failure_of("org.freedesktop.DBus.Error.Spawn.ChildExited", "Process exited with status 1");

    g_assert_cmpint(failure.error, ==, -EHOSTUNREACH);
    g_assert_cmpstr(failure.text, ==, "Process exited with status 1");
}

static void
test_from_bus_bears_a_name_it_does_not_know(void)
{
    SpokeFailure failure = failure_of("com.example.Strange", NULL);

    g_assert_cmpint(failure.error, ==, -EIO);
    g_assert_cmpstr(failure.text, ==, "");
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);

    g_test_add_func("/failure/from-bus/keeps-the-daemons-words",
                    test_from_bus_keeps_the_daemons_words);
    g_test_add_func("/failure/from-bus/says-that-there-is-no-daemon",
                    test_from_bus_says_that_there_is_no_daemon);
    g_test_add_func("/failure/from-bus/says-who-is-denied", test_from_bus_says_who_is_denied);
    g_test_add_func("/failure/from-bus/tells-of-too-many-calls",
                    test_from_bus_tells_of_too_many_calls);
    g_test_add_func("/failure/from-bus/knows-names-by-their-beginning",
                    test_from_bus_knows_names_by_their_beginning);
    g_test_add_func("/failure/from-bus/bears-a-name-it-does-not-know",
                    test_from_bus_bears_a_name_it_does_not_know);

    return g_test_run();
}
