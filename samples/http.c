// SPDX-License-Identifier: GPL-2.0 OR MIT
/* Requests of HTTP/1.1 for files; see http.h. */
#include "http.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* What a path that ends in / is for */
#define INDEX	"index.html"

const char *http_type(const char *path)
{
	static const char * const types[][2] = {
		{ ".html", "text/html" }, { ".css", "text/css" }, { ".js", "text/javascript" },
		{ ".txt", "text/plain" }, { ".json", "application/json" },
		{ ".svg", "image/svg+xml" },
		{ ".png", "image/png" }, { ".jpg", "image/jpeg" }, { ".mp4", "video/mp4" },
		{ }
	};
	const char *dot = strrchr(path, '.');
	unsigned int i;

	for (i = 0; dot && types[i][0]; i++)
		if (!strcasecmp(dot, types[i][0]))
			return types[i][1];
	return "application/octet-stream";
}

/* "bytes=1-2", "bytes=1-" or "bytes=-2"; any other is to be ignored. */
bool http_range(const char *range, loff_t size, loff_t *from, loff_t *to)
{
	const char *dash;
	char *end;

	if (!range || strncasecmp(range, "bytes=", 6))
		return false;
	range += 6;
	dash = strchr(range, '-');
	if (!dash || (dash == range && !dash[1]) || range[strspn(range, "0123456789-")] ||
	    strchr(dash + 1, '-'))
		return false;
	errno = 0;
	*from = strtoll(range, &end, 10);
	*to = dash[1] ? strtoll(dash + 1, &end, 10) : size - 1;
	if (errno)
		return false;
	if (dash == range) {
		/* the last bytes of it */
		*from = *to < size ? size - *to : 0;
		*to = *to ? size - 1 : -1;
		return true;
	}
	if (*to >= size)
		*to = size - 1;
	return !dash[1] || *from <= strtoll(dash + 1, &end, 10);
}

/* The path that a target names, without its first slash */
static bool decode(const char *target, char *path)
{
	const size_t max = HTTP_PATH_MAX - sizeof(INDEX);
	size_t at = 0;
	unsigned int byte;
	int n;

	if (!strncasecmp(target, "http://", 7))
		target = strchr(target + 7, '/');
	if (!target || *target != '/')
		return false;
	target += strspn(target, "/");
	while (*target && *target != '?' && *target != '#' && at < max) {
		byte = (unsigned char)*target++;
		if (byte == '%') {
			n = 0;
			if (!isxdigit((unsigned char)target[0]) ||
			    sscanf(target, "%2x%n", &byte, &n) != 1 || n != 2 || !byte)
				return false;
			target += 2;
		}
		path[at++] = byte;
	}
	path[at] = 0;
	if (!at || path[at - 1] == '/')
		memcpy(path + at, INDEX, sizeof(INDEX));
	return !*target || *target == '?' || *target == '#';
}

/* A line "name: value"; false: it is none. */
static bool parse_field(struct http_request *req, char *line, bool *host, bool *body)
{
	char *value = strchr(line, ':'), *end;

	if (!value || value == line || isspace((unsigned char)line[0]) ||
	    isspace((unsigned char)value[-1]))
		return false;
	*value++ = 0;
	value += strspn(value, " \t");
	for (end = value + strlen(value); end > value && isspace((unsigned char)end[-1]); *end = 0)
		end--;
	if (!strcasecmp(line, "Host"))
		*host = true;
	else if (!strcasecmp(line, "Connection"))
		req->keep = strcasecmp(value, "close") &&
			    (req->keep || !strcasecmp(value, "keep-alive"));
	else if (!strcasecmp(line, "Range"))
		req->range = value;
	else if (!strcasecmp(line, "If-Range"))
		req->if_range = value;
	else if (!strcasecmp(line, "Transfer-Encoding") ||
		 (!strcasecmp(line, "Content-Length") && strcmp(value, "0")))
		*body = true;
	return true;
}

const char *http_parse(struct http_request *req, char *header, size_t len)
{
	char *line, *next, *method, *target, *version, *rest = NULL;
	static const char bad[] = "400 Bad Request";
	bool host = false, body = false, old;

	memset(req, 0, sizeof(*req));
	header[len - 2] = 0;
	if (strlen(header) != len - 2)
		return bad;
	line = strtok_r(header, "\r\n", &next);
	method = line ? strtok_r(line, " ", &rest) : NULL;
	target = method ? strtok_r(NULL, " ", &rest) : NULL;
	version = target ? strtok_r(NULL, " ", &rest) : NULL;
	if (!version || *rest || (strcmp(version, "HTTP/1.1") && strcmp(version, "HTTP/1.0")))
		return bad;
	old = version[7] == '0';
	req->keep = !old;
	while ((line = strtok_r(NULL, "\r\n", &next)))
		if (!parse_field(req, line, &host, &body))
			break;
	/* what follows one that isn't understood may be anything: no other is read */
	if (line || body || (!host && !old) || !decode(target, req->path)) {
		req->keep = false;
		return bad;
	}
	req->head_only = !strcmp(method, "HEAD");
	return req->head_only || !strcmp(method, "GET") ? NULL : "405 Method Not Allowed";
}
