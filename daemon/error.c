/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/error.h"

/* The domain alone: names and sentences belong to who reports an error. */
G_DEFINE_QUARK(spoke_error, spoke_error)
