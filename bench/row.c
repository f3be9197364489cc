// SPDX-License-Identifier: GPL-2.0
/*
 * Rows as text: mode, buffer, flush, copy_below, proto, bytes, batch, ring and
 * windows, as bench.json names them; the flush of what has no slot is "-".
 */
#include <stdio.h>
#include <string.h>

#include "bench.h"

static const char * const modes[] = {
	"send", "msg_zerocopy", "io_send", "send_zc", "slot", NULL
};

static const char * const buffers[] = { "plain", "registered", "huge", NULL };
static const char * const flushes[] = { "-", "batch", "8", "every", NULL };
static const char * const protos[] = { "udp4", "udp6", "tcp4", "tcp6", NULL };
static const char * const rings[] = { "plain", "defer", NULL };

static unsigned int find(const char * const *names, const char *name,
			 const char *text)
{
	unsigned int i;

	for (i = 0; names[i]; i++)
		if (!strcmp(names[i], name))
			return i;
	fail("the row \"%s\" makes no sense: %s?", text, name);
}

/* Whether every request of a batch gets its notification in the batch. */
static bool is_whole(const struct row *row)
{
	switch (row->flush) {
	case EIGHT:
		return row->batch % 8 == 0;
	case AFTER:
		return row->after && row->batch % row->after == 0;
	default:
		return (row->mode == SLOT) == (row->flush != NEVER);
	}
}

void row_parse(struct row *row, const char *text)
{
	char mode[16], buffer[16], flush[16], proto[16], ring[16];
	unsigned int p;

	memset(row, 0, sizeof(*row));
	if (sscanf(text, "%15s %15s %15s %u %15s %u %u %15s %u", mode, buffer,
		   flush, &row->copy_below, proto, &row->bytes, &row->batch,
		   ring, &row->windows) != 9)
		fail("the row \"%s\" has not nine words", text);
	snprintf(row->text, sizeof(row->text), "%s", text);
	row->mode = find(modes, mode, text);
	row->buffer = find(buffers, buffer, text);
	if (sscanf(flush, "after:%u", &row->after) == 1)
		row->flush = AFTER;
	else
		row->flush = find(flushes, flush, text);
	p = find(protos, proto, text);
	row->tcp = p & 2;
	row->v6 = p & 1;
	row->defer = find(rings, ring, text);
	if (!row->bytes || row->bytes > MAX_BYTES || !row->batch ||
	    row->batch > MAX_BATCH || !row->windows ||
	    row->windows > MAX_WINDOWS || !is_whole(row))
		fail("the row \"%s\" makes no sense", text);
}
