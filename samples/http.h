/* SPDX-License-Identifier: GPL-2.0 OR MIT */
/* What serve.c has to understand of HTTP/1.1: requests, and single ranges. */
#ifndef HTTP_H
#define HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#define HTTP_PATH_MAX	1024

struct http_request {
	bool keep;			/* the connection goes on after it */
	bool head_only;			/* HEAD */
	char path[HTTP_PATH_MAX];	/* decoded, relative; may have dots in it */
	const char *range, *if_range;	/* in the header, or NULL */
};

/*
 * Read a header of @len bytes that ends in an empty line, and is changed by that.
 * NULL, or the status to refuse it with.
 */
const char *http_parse(struct http_request *req, char *header, size_t len);

/*
 * The part [@from, @to] of @size bytes that @range asks for, which is none if @from
 * is above @to. False: there is no range, or one to be ignored.
 */
bool http_range(const char *range, loff_t size, loff_t *from, loff_t *to);

/* The type of a file by its name */
const char *http_type(const char *path);

#endif
