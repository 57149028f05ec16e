/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "daemon/config.h"

#include <sys/types.h>

/*
 * A configuration in a folder of its own: "vendor.conf", "spoked.conf", "spoked.conf.d/", "creds/".
 * In texts "@/" stands for that folder. In every key is "S3CR3T", which no error may show.
 */
#define STRING "HostName=h.net;DeviceId=d;SharedAccessKey=S3CR3TIzNDU2Nzg5MDEyMw=="
#define HUB    "[Hub]\nConnectionString=" STRING "\n"

typedef struct {
    char *folder;
    char *vendor;
    char *path;
    char **environment; /* $CREDENTIALS_DIRECTORY is creds/; nothing else */
} Fixture;

void fixture_set_up(Fixture *fixture, gconstpointer data);
void fixture_tear_down(Fixture *fixture, gconstpointer data);
/* Runs a test on a fixture of its own. */
#define fixture_add(path, function)                                                                \
    g_test_add(path, Fixture, NULL, fixture_set_up, function, fixture_tear_down)

void fixture_set_environment(Fixture *fixture, const char *name, const char *value);

/* @text as it is. (transfer full): the path */
char *write_file(Fixture *fixture, const char *name, mode_t mode, const char *text);
/* With mode 0600 and "@/" replaced. */
void put(Fixture *fixture, const char *name, const char *text);
char *expand(Fixture *fixture, const char *text); /* (transfer full) */

SpokeConfig *load(Fixture *fixture);                        /* (transfer full) */
SpokeConfig *load_text(Fixture *fixture, const char *text); /* (transfer full) */

/* That it fails with exactly this text. */
void assert_refused(Fixture *fixture, const char *expected);
void assert_text_refused(Fixture *fixture, const char *text, const char *expected);
