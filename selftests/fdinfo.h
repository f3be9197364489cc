/* SPDX-License-Identifier: GPL-2.0 */
/* What the kernel shows about a ring. */
#ifndef NOTIF_TEST_FDINFO_H
#define NOTIF_TEST_FDINFO_H

#include "totals.h"

/* The number behind @field in the ring's fdinfo; -1 without that line. */
static inline long fdinfo_number(int fd, const char *field)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
	return field_of(path, field);
}

#endif
