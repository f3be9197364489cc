// SPDX-License-Identifier: GPL-2.0
/*
 * Rows as text: mode, buffer, flush, copy_below, proto, bytes, batch, ring and
 * windows, as bench.json names them; the flush of what has no slot is "-". A
 * tenth word says how, if not as ever: some of merge, segments, skip, header,
 * many:N and gso:N, with commas between them.
 */
#include <stdio.h>
#include <string.h>

#include "bench.h"

static const char * const modes[] = {
	"send", "msg_zerocopy", "sendmmsg", "io_send", "send_zc", "slot", NULL
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
	const unsigned int requests = ways_requests(row);

	switch (row->flush) {
	case EIGHT:
		return requests % 8 == 0;
	case AFTER:
		return row->after && requests % row->after == 0;
	default:
		return (row->mode == SLOT) == (row->flush != NEVER);
	}
}

/* One of the words of how; @row has the others that it depends on. */
static bool parse_word(struct row *row, const char *word)
{
	if (!strcmp(word, "merge")) {
		row->merge = true;
		return row->mode == SLOT;
	}
	if (!strcmp(word, "segments")) {
		row->segments = true;
		return row->mode == SLOT;
	}
	if (!strcmp(word, "skip")) {
		row->skip = true;
		return row->mode == SLOT || row->mode == IO_SEND;
	}
	if (!strcmp(word, "header")) {
		row->header = true;
		return uses_ring(row) && row->buffer == PLAIN &&
		       row->bytes > VECTOR_HEADER;
	}
	if (sscanf(word, "many:%u", &row->many) == 1)
		return row->mode == SLOT && row->many && !row->tcp &&
		       row->batch % row->many == 0;
	return sscanf(word, "gso:%u", &row->gso) == 1 && row->gso && !row->tcp;
}

static bool parse_how(struct row *row, char *how)
{
	char *word;

	while ((word = strsep(&how, ",")))
		if (!parse_word(row, word))
			return false;
	return !row->many || !row->header;
}

void row_parse(struct row *row, const char *text)
{
	char mode[16], buffer[16], flush[16], proto[16], ring[16], how[64];
	unsigned int p;
	int words;

	memset(row, 0, sizeof(*row));
	words = sscanf(text, "%15s %15s %15s %u %15s %u %u %15s %u %63s", mode,
		       buffer, flush, &row->copy_below, proto, &row->bytes,
		       &row->batch, ring, &row->windows, how);
	if (words < 9)
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
	    row->windows > MAX_WINDOWS ||
	    (words == 10 && !parse_how(row, how)) || !is_whole(row) ||
	    (row->mode == SENDMMSG && row->tcp))
		fail("the row \"%s\" makes no sense", text);
}
