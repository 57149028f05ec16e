/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "clients/examples/machine-metrics.h"

#include <stdio.h>
#include <string.h>

/*
 * The kernel's text files to JSON. Each part reads its own files and adds its own member, or
 * nothing if the files are not there or say something else.
 */
#define SECTOR_BYTES 512 /* in /sys/block, whatever the disk's. Source: kernel, block/stat.rst */

/* Returns: (transfer full) (nullable): contents of a file below @root */
static char *
read_file(const char *root, const char *path)
{
    g_autofree char *name = g_build_filename(root, path, NULL);
    char *text = NULL;

    return g_file_get_contents(name, &text, NULL, NULL) ? g_strchomp(text) : NULL;
}

static void
add_int(JsonBuilder *builder, const char *name, guint64 value)
{
    json_builder_set_member_name(builder, name);
    json_builder_add_int_value(builder, (gint64)MIN(value, G_MAXINT64));
}

static void
add_double(JsonBuilder *builder, const char *name, double value)
{
    json_builder_set_member_name(builder, name);
    json_builder_add_double_value(builder, value);
}

static void
add_string(JsonBuilder *builder, const char *name, const char *value)
{
    g_autofree char *valid = g_utf8_make_valid(value, -1);

    json_builder_set_member_name(builder, name);
    json_builder_add_string_value(builder, valid);
}

static void
begin(JsonBuilder *builder, const char *name)
{
    g_autofree char *valid =
        g_utf8_make_valid(name, -1); /* a network interface may have any bytes */

    json_builder_set_member_name(builder, valid);
    json_builder_begin_object(builder);
}

static gint
compare_names(gconstpointer a, gconstpointer b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Returns: (transfer full): sorted names in a directory, at most MACHINE_METRICS_LIST_MAX of those
 * that begin with @prefix; empty if there is no such directory */
static GPtrArray *
list_names(const char *root, const char *path, const char *prefix)
{
    g_autofree char *directory = g_build_filename(root, path, NULL);
    g_autoptr(GDir) dir = g_dir_open(directory, 0, NULL);
    GPtrArray *names = g_ptr_array_new_with_free_func(g_free);
    const char *name = NULL;

    while (dir != NULL && (name = g_dir_read_name(dir)) != NULL)
        if (g_str_has_prefix(name, prefix))
            g_ptr_array_add(names, g_strdup(name));
    g_ptr_array_sort(names, compare_names);
    if (names->len > MACHINE_METRICS_LIST_MAX)
        g_ptr_array_set_size(names, MACHINE_METRICS_LIST_MAX);
    return names;
}

static void
add_uptime(JsonBuilder *builder, const char *root)
{
    g_autofree char *text = read_file(root, "proc/uptime");

    if (text != NULL)
        add_double(builder, "uptimeSec", g_ascii_strtod(text, NULL));
}

/* "0.20 0.18 0.12 1/80 11206" */
static void
add_load(JsonBuilder *builder, const char *root)
{
    static const char *const names[] = {"avg1", "avg5", "avg15"};
    g_autofree char *text = read_file(root, "proc/loadavg");
    g_auto(GStrv) words = g_strsplit(text != NULL ? text : "", " ", 5);
    if (g_strv_length(words) < 4)
        return;

    begin(builder, "load");
    for (guint i = 0; i < G_N_ELEMENTS(names); i++)
        add_double(builder, names[i], g_ascii_strtod(words[i], NULL));
    char *slash = NULL;
    add_int(builder, "running", g_ascii_strtoull(words[3], &slash, 10));
    if (*slash == '/')
        add_int(builder, "threads", g_ascii_strtoull(slash + 1, NULL, 10));
    json_builder_end_object(builder);
}

/* Lines as "MemAvailable:   1234 kB" */
static void
add_memory(JsonBuilder *builder, const char *root)
{
    static const struct {
        const char *key;
        const char *name;
    } members[] = {
        {"\nMemTotal:", "totalBytes"},    {"\nMemAvailable:", "availableBytes"},
        {"\nMemFree:", "freeBytes"},      {"\nSwapTotal:", "swapTotalBytes"},
        {"\nSwapFree:", "swapFreeBytes"},
    };
    g_autofree char *text = read_file(root, "proc/meminfo");
    if (text == NULL)
        return;

    g_autofree char *lines = g_strconcat("\n", text, NULL);
    begin(builder, "memory");
    for (guint i = 0; i < G_N_ELEMENTS(members); i++) {
        const char *line = strstr(lines, members[i].key);

        if (line != NULL)
            add_int(builder, members[i].name,
                    g_ascii_strtoull(line + strlen(members[i].key), NULL, 10) * 1024);
    }
    json_builder_end_object(builder);
}

/* "some avg10=0.00 avg60=0.00 avg300=0.00 total=0" */
static void
add_pressure_line(JsonBuilder *builder, const char *line)
{
    char kind[5] = "";
    double avg10 = 0;
    double avg60 = 0;
    double avg300 = 0;
    guint64 total_usec = 0;

    if (sscanf(line, "%4s avg10=%lf avg60=%lf avg300=%lf total=%" G_GUINT64_FORMAT, kind, &avg10,
               &avg60, &avg300, &total_usec) != 5)
        return;
    begin(builder, kind);
    add_double(builder, "avg10", avg10);
    add_double(builder, "avg60", avg60);
    add_double(builder, "avg300", avg300);
    add_int(builder, "totalUsec", total_usec);
    json_builder_end_object(builder);
}

static void
add_pressure_of(JsonBuilder *builder, const char *root, const char *resource)
{
    g_autofree char *path = g_strconcat("proc/pressure/", resource, NULL);
    g_autofree char *text = read_file(root, path);
    if (text == NULL)
        return; /* a kernel without pressure stall information */

    g_auto(GStrv) lines = g_strsplit(text, "\n", 0);
    begin(builder, resource);
    for (char **line = lines; *line != NULL; line++)
        add_pressure_line(builder, *line);
    json_builder_end_object(builder);
}

static void
add_pressure(JsonBuilder *builder, const char *root)
{
    begin(builder, "pressure");
    add_pressure_of(builder, root, "cpu");
    add_pressure_of(builder, root, "memory");
    add_pressure_of(builder, root, "io");
    json_builder_end_object(builder);
}

/* @path: of a file with thousandths of a degree Celsius */
static void
add_temperature(JsonBuilder *builder, const char *root, const char *path, const char *name)
{
    g_autofree char *text = read_file(root, path);
    if (text == NULL || text[0] == '\0')
        return; /* a sensor that is off can't be read */

    json_builder_begin_object(builder);
    add_string(builder, "name", name);
    add_double(builder, "celsius", g_ascii_strtod(text, NULL) / 1000);
    json_builder_end_object(builder);
}

static void
add_thermal_zones(JsonBuilder *builder, const char *root)
{
    g_autoptr(GPtrArray) zones = list_names(root, "sys/class/thermal", "thermal_zone");

    for (guint i = 0; i < zones->len; i++) {
        const char *zone = g_ptr_array_index(zones, i);
        g_autofree char *type_path = g_build_filename("sys/class/thermal", zone, "type", NULL);
        g_autofree char *temp_path = g_build_filename("sys/class/thermal", zone, "temp", NULL);
        g_autofree char *type = read_file(root, type_path);

        add_temperature(builder, root, temp_path, type != NULL ? type : zone);
    }
}

/* temp1_input has its label in temp1_label, where the chip has one. */
static void
add_chip(JsonBuilder *builder, const char *root, const char *directory)
{
    g_autofree char *name_path = g_build_filename(directory, "name", NULL);
    g_autofree char *chip = read_file(root, name_path);
    g_autoptr(GPtrArray) files = list_names(root, directory, "temp");

    for (guint i = 0; i < files->len; i++) {
        const char *file = g_ptr_array_index(files, i);
        if (!g_str_has_suffix(file, "_input"))
            continue;

        g_autofree char *sensor = g_strndup(file, strlen(file) - strlen("_input"));
        g_autofree char *label_path = g_strconcat(directory, "/", sensor, "_label", NULL);
        g_autofree char *label = read_file(root, label_path);
        g_autofree char *name =
            g_strconcat(chip != NULL ? chip : "hwmon", " ", label != NULL ? label : sensor, NULL);
        g_autofree char *path = g_build_filename(directory, file, NULL);
        add_temperature(builder, root, path, name);
    }
}

static void
add_temperatures(JsonBuilder *builder, const char *root)
{
    g_autoptr(GPtrArray) chips = list_names(root, "sys/class/hwmon", "hwmon");

    json_builder_set_member_name(builder, "temperatures");
    json_builder_begin_array(builder);
    add_thermal_zones(builder, root);
    for (guint i = 0; i < chips->len; i++) {
        g_autofree char *directory =
            g_build_filename("sys/class/hwmon", g_ptr_array_index(chips, i), NULL);
        add_chip(builder, root, directory);
    }
    json_builder_end_array(builder);
}

/* "  eth0: 1 2 3 …": eight numbers of receiving, then eight of sending. */
static void
add_interface(JsonBuilder *builder, const char *line)
{
    const char *colon = strchr(line, ':');
    guint64 numbers[16] = {0};

    if (colon == NULL)
        return; /* the heading */
    g_autofree char *name = g_strstrip(g_strndup(line, (gsize)(colon - line)));
    if (g_str_equal(name, "lo"))
        return;

    const char *text = colon + 1;
    for (guint i = 0; i < G_N_ELEMENTS(numbers); i++)
        numbers[i] = g_ascii_strtoull(text, (char **)&text, 10);
    begin(builder, name);
    add_int(builder, "receivedBytes", numbers[0]);
    add_int(builder, "receivedPackets", numbers[1]);
    add_int(builder, "receiveErrors", numbers[2]);
    add_int(builder, "sentBytes", numbers[8]);
    add_int(builder, "sentPackets", numbers[9]);
    add_int(builder, "sendErrors", numbers[10]);
    json_builder_end_object(builder);
}

static void
add_network(JsonBuilder *builder, const char *root)
{
    g_autofree char *text = read_file(root, "proc/net/dev");
    if (text == NULL)
        return;

    g_auto(GStrv) lines = g_strsplit(text, "\n", MACHINE_METRICS_LIST_MAX + 4);
    begin(builder, "network");
    for (guint i = 0; lines[i] != NULL && i < MACHINE_METRICS_LIST_MAX + 3; i++)
        add_interface(builder, lines[i]);
    json_builder_end_object(builder);
}

/* Requests, merged ones, sectors, milliseconds of reading, then of writing. */
static void
add_disk(JsonBuilder *builder, const char *root, const char *name)
{
    g_autofree char *path = g_build_filename("sys/block", name, "stat", NULL);
    g_autofree char *text = read_file(root, path);
    guint64 numbers[7] = {0};
    const char *rest = text;

    for (guint i = 0; rest != NULL && i < G_N_ELEMENTS(numbers); i++)
        numbers[i] = g_ascii_strtoull(rest, (char **)&rest, 10);
    if (numbers[0] + numbers[4] == 0)
        return; /* never used: a free loop device */

    begin(builder, name);
    add_int(builder, "reads", numbers[0]);
    add_int(builder, "readBytes", numbers[2] * SECTOR_BYTES);
    add_int(builder, "writes", numbers[4]);
    add_int(builder, "writtenBytes", numbers[6] * SECTOR_BYTES);
    json_builder_end_object(builder);
}

static void
add_disks(JsonBuilder *builder, const char *root)
{
    g_autoptr(GPtrArray) disks = list_names(root, "sys/block", "");

    begin(builder, "disks");
    for (guint i = 0; i < disks->len; i++)
        add_disk(builder, root, g_ptr_array_index(disks, i));
    json_builder_end_object(builder);
}

/* Objects and lists without anything in them. */
static void
remove_empty(JsonObject *root)
{
    g_autoptr(GList) names = json_object_get_members(root);

    for (GList *name = names; name != NULL; name = name->next) {
        JsonNode *node = json_object_get_member(root, name->data);

        if ((JSON_NODE_HOLDS_OBJECT(node) &&
             json_object_get_size(json_node_get_object(node)) == 0) ||
            (JSON_NODE_HOLDS_ARRAY(node) && json_array_get_length(json_node_get_array(node)) == 0))
            json_object_remove_member(root, name->data);
    }
}

JsonNode *
machine_metrics_read(const char *root, const char *host, gint64 now_usec)
{
    g_autoptr(JsonBuilder) builder = json_builder_begin_object(json_builder_new());
    g_autoptr(GDateTime) time = g_date_time_new_from_unix_utc(now_usec / G_USEC_PER_SEC);
    g_autofree char *text = g_date_time_format_iso8601(time);

    add_string(builder, "host", host);
    add_string(builder, "time", text);
    add_uptime(builder, root);
    add_load(builder, root);
    add_memory(builder, root);
    add_pressure(builder, root);
    add_temperatures(builder, root);
    add_network(builder, root);
    add_disks(builder, root);
    json_builder_end_object(builder);

    JsonNode *reading = json_builder_get_root(builder);
    remove_empty(json_node_get_object(reading));
    return reading;
}
