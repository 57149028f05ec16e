/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "dbus/process.h"

#include <string.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

/* What is found of processes: this one, children with strange names, and those that have gone. */

static void
test_read_knows_this_process(void)
{
    g_auto(SpokeProcess) process = {NULL};
    g_auto(SpokeProcess) again = {NULL};

    g_assert_true(spoke_process_read(getpid(), geteuid(), -1, &process));
    g_assert_true(spoke_process_read(getpid(), geteuid(), -1, &again));

    g_assert_cmpstr(process.comm, ==, "test-process");
    g_assert_cmpuint(process.start_time, >, 0);
    g_assert_cmpuint(process.start_time, ==, again.start_time);
}

static void
test_read_makes_names_printable(void)
{
    g_auto(SpokeProcess) process = {NULL};
    char name[16] = "";

    g_assert_cmpint(prctl(PR_GET_NAME, name), ==, 0);
    g_assert_cmpint(prctl(PR_SET_NAME, "a) R/\n\xff (b"), ==, 0);
    gboolean found = spoke_process_read(getpid(), geteuid(), -1, &process);
    g_assert_cmpint(prctl(PR_SET_NAME, name), ==, 0);

    g_assert_true(found);
    g_assert_cmpstr(process.comm, ==, "a)_R____(b");
    g_assert_cmpuint(process.start_time, >, 0);
}

static void
test_read_refuses_another_users_process(void)
{
    g_auto(SpokeProcess) process = {NULL};

    g_assert_false(spoke_process_read(getpid(), geteuid() + 4711, -1, &process));

    g_assert_null(process.comm);
}

static void
test_read_refuses_no_process(void)
{
    g_auto(SpokeProcess) process = {NULL};

    g_assert_false(spoke_process_read(0, geteuid(), -1, &process));
    g_assert_false(spoke_process_read(-1, geteuid(), -1, &process));
    g_assert_false(spoke_process_read(G_MAXINT, geteuid(), -1, &process));
}

static void
test_read_refuses_an_ended_process(void)
{
    g_auto(SpokeProcess) process = {NULL};

    pid_t child = fork();
    if (child == 0)
        _exit(0);
    int pidfd = pidfd_open(child, 0);
    g_assert_cmpint(pidfd, >=, 0);
    g_assert_cmpint(waitpid(child, NULL, 0), ==, child);

    /* The pidfd stands for the child, whatever has its number now: here a process that is there. */
    g_assert_false(spoke_process_read(child, geteuid(), -1, &process));
    g_assert_false(spoke_process_read(getpid(), geteuid(), pidfd, &process));
    (void)close(pidfd);
}

static void
test_read_takes_a_living_pidfd(void)
{
    g_auto(SpokeProcess) process = {NULL};
    int pidfd = pidfd_open(getpid(), 0);

    g_assert_cmpint(pidfd, >=, 0);
    g_assert_true(spoke_process_read(getpid(), geteuid(), pidfd, &process));
    (void)close(pidfd);
}

static void
test_format_user_names_root(void)
{
    g_autofree char *user = spoke_process_format_user(0);

    g_assert_cmpstr(user, ==, "root");
}

static void
test_format_user_numbers_strangers(void)
{
    g_autofree char *user = spoke_process_format_user(3999999999);

    g_assert_cmpstr(user, ==, "3999999999");
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/process/read/knows-this-process", test_read_knows_this_process);
    g_test_add_func("/process/read/makes-names-printable", test_read_makes_names_printable);
    g_test_add_func("/process/read/refuses-another-users-process",
                    test_read_refuses_another_users_process);
    g_test_add_func("/process/read/refuses-no-process", test_read_refuses_no_process);
    g_test_add_func("/process/read/refuses-an-ended-process", test_read_refuses_an_ended_process);
    g_test_add_func("/process/read/takes-a-living-pidfd", test_read_takes_a_living_pidfd);
    g_test_add_func("/process/format-user/names-root", test_format_user_names_root);
    g_test_add_func("/process/format-user/numbers-strangers", test_format_user_numbers_strangers);
    return g_test_run();
}
