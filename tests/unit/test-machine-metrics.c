/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "clients/examples/machine-metrics.h"

#include "clients/examples/json-text.h"
#include <glib/gstdio.h>
#include <string.h>

/* Readings from a machine made of files. */

#define NOW_USEC G_GINT64_CONSTANT(1790000000123456)

typedef struct {
    char *root;       /* owned */
    GPtrArray *files; /* owned; files and folders, in the order they were made */
} Machine;

static void
machine_set_up(Machine *machine, gconstpointer data)
{
    machine->root = g_dir_make_tmp("spoke-test-XXXXXX", NULL);
    machine->files = g_ptr_array_new_with_free_func(g_free);
    g_ptr_array_add(machine->files, g_strdup(machine->root));
}

static void
machine_tear_down(Machine *machine, gconstpointer data)
{
    for (guint i = machine->files->len; i > 0; i--)
        (void)g_remove(g_ptr_array_index(machine->files, i - 1));
    g_ptr_array_unref(machine->files);
    g_free(machine->root);
}

static void
add_folders(Machine *machine, const char *path)
{
    g_autofree char *folder = g_path_get_dirname(path);

    if (g_file_test(folder, G_FILE_TEST_IS_DIR))
        return;
    add_folders(machine, folder);
    g_assert_cmpint(g_mkdir(folder, 0700), ==, 0);
    g_ptr_array_add(machine->files, g_steal_pointer(&folder));
}

static void
machine_add(Machine *machine, const char *name, const char *text)
{
    g_autofree char *path = g_build_filename(machine->root, name, NULL);

    add_folders(machine, path);
    g_assert_true(g_file_set_contents(path, text, -1, NULL));
    g_ptr_array_add(machine->files, g_steal_pointer(&path));
}

static char *
read_text(Machine *machine)
{
    g_autoptr(JsonNode) reading = machine_metrics_read(machine->root, "box", NOW_USEC);

    return json_text_new(reading);
}

static void
test_read_leaves_out_what_is_not_there(Machine *machine, gconstpointer data)
{
    g_autofree char *text = read_text(machine);

    g_assert_cmpstr(text, ==, "{\"host\":\"box\",\"time\":\"2026-09-21T14:13:20Z\"}");
}

static void
test_read_finds_load_and_uptime(Machine *machine, gconstpointer data)
{
    machine_add(machine, "proc/uptime", "5797.15 9000.01\n");
    machine_add(machine, "proc/loadavg", "5.45 0.18 0.1 3/80 11206\n");

    g_autofree char *text = read_text(machine);

    g_assert_true(g_str_has_suffix(text, ",\"uptimeSec\":5797.15,\"load\":{\"avg1\":5.45,\"avg5\":"
                                         "0.18,\"avg15\":0.1,\"running\":3,\"threads\":80}}"));
}

static void
test_read_finds_pressure_and_temperatures(Machine *machine, gconstpointer data)
{
    machine_add(machine, "proc/pressure/cpu",
                "some avg10=0.30 avg60=1.07 avg300=12.00 total=123456\n");
    machine_add(machine, "sys/class/thermal/thermal_zone0/type", "x86_pkg_temp\n");
    machine_add(machine, "sys/class/thermal/thermal_zone0/temp", "47800\n");

    g_autofree char *text = read_text(machine);

    g_assert_true(g_str_has_suffix(
        text, ",\"pressure\":{\"cpu\":{\"some\":{\"avg10\":0.3,\"avg60\":1.07,\"avg300\":12,"
              "\"totalUsec\":123456}}},\"temperatures\":[{\"name\":\"x86_pkg_temp\",\"celsius\":"
              "47.8}]}"));
}

static void
test_read_bears_nonsense(Machine *machine, gconstpointer data)
{
    machine_add(machine, "proc/uptime", "nan\n");
    machine_add(machine, "proc/loadavg", "what\n");
    machine_add(machine, "proc/meminfo", "\n");
    machine_add(machine, "proc/net/dev", "Inter-| a\n \xff\"\n: 1\n");

    g_autofree char *text = read_text(machine);
    g_autoptr(JsonNode) parsed = json_from_string(text, NULL);

    g_assert_nonnull(parsed);
    g_assert_nonnull(strstr(text, "\"uptimeSec\":null"));
}

#define ADD_MACHINE_TEST(path, function)                                                           \
    g_test_add(path, Machine, NULL, machine_set_up, function, machine_tear_down)

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);

    ADD_MACHINE_TEST("/machine-metrics/read/leaves-out-what-is-not-there",
                     test_read_leaves_out_what_is_not_there);
    ADD_MACHINE_TEST("/machine-metrics/read/finds-load-and-uptime",
                     test_read_finds_load_and_uptime);
    ADD_MACHINE_TEST("/machine-metrics/read/finds-pressure-and-temperatures",
                     test_read_finds_pressure_and_temperatures);
    ADD_MACHINE_TEST("/machine-metrics/read/bears-nonsense", test_read_bears_nonsense);

    return g_test_run();
}
