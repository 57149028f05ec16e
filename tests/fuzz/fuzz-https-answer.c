/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <string.h>

#include "daemon/properties.h"
#include "daemon/transports/https/headers.h"
#include "daemon/transports/https/status.h"
#include "tests/fuzz/fuzz.h"

/* An answer of the hub: a status, then lines "Name: value", an empty line, the body. Whatever they
 * hold, the lists made of them are valid, and so is the text for the journal, which stays short. */

#define NOW_USEC G_GINT64_CONSTANT(1893456000000000)

static void
take_line(char *line, SpokeAnswer *answer, GByteArray *system, GByteArray *properties)
{
    char *colon = strchr(line, ':');

    if (colon == NULL)
        return;
    *colon = '\0';

    const char *value = g_strchug(colon + 1);

    spoke_headers_parse(line, value, system, properties);
    if (strcmp(line, "Date") == 0)
        answer->date = value;
    else if (strcmp(line, "Retry-After") == 0)
        answer->retry_after = value;
    else if (strcmp(line, "iothub-errorcode") == 0)
        answer->error_code = value;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;

    g_autoptr(GByteArray) system = g_byte_array_new();
    g_autoptr(GByteArray) properties = g_byte_array_new();
    const char *text = (const char *)data;
    const char *head_end = g_strstr_len(text, (gssize)size, "\n\n");
    size_t head_size = head_end != NULL ? (size_t)(head_end - text) : size;
    g_autofree char *head = g_strndup(text, head_size);
    g_auto(GStrv) lines = g_strsplit(head, "\n", 0);
    SpokeAnswer answer = {.status =
                              lines[0] != NULL ? (guint)g_ascii_strtoull(lines[0], NULL, 10) : 0};

    for (char **line = lines; *line != NULL; line++)
        take_line(*line, &answer, system, properties);
    if (head_end != NULL) {
        answer.body = head_end + 2;
        answer.body_size = size - head_size - 2;
    }
    g_assert_true(spoke_properties_is_valid(system->data, system->len));
    g_assert_true(spoke_properties_is_valid(properties->data, properties->len));

    g_autofree char *described = spoke_status_describe(&answer, NOW_USEC);

    g_assert_true(g_utf8_validate(described, -1, NULL));
    g_assert_cmpuint(strlen(described), <, 2000);
    g_assert_cmpint(spoke_status_get_wait(&answer, NOW_USEC), >=, 0);
    (void)spoke_status_get_kind(&answer);
    (void)spoke_status_get_cause(&answer, NOW_USEC);
    return 0;
}
