// SPDX-License-Identifier: GPL-2.0
/*
 * Rows as text: mode, buffer, flush, copy_below, proto, bytes, batch, ring and
 * windows, as bench.json names them; the flush of what has no slot is "-". A
 * tenth word says how, if not as ever: some of merge, segments, skip, header,
 * many:N, gso:N, relay:N, file, pread, nic and
 * sink, with commas between them.
 */
#include <stdio.h>
#include <string.h>

#include "bench.h"

static const char * const modes[] = {
	"send", "msg_zerocopy", "sendmmsg", "sendfile", "io_send", "send_zc",
	"slot", "splice", NULL
};

static const char * const buffers[] = {
	"plain", "registered", "huge", "taken", NULL
};

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
	if (!strcmp(word, "file")) {
		row->file = true;
		return row->tcp;
	}
	if (!strcmp(word, "pread")) {
		row->pread = true;
		return row->file && row->mode == SEND_ZC;
	}
	if (!strcmp(word, "nic")) {
		row->nic = true;
		return row->relay;
	}
	if (!strcmp(word, "sink")) {
		row->sink = true;
		return takes(row) && !row->v6;
	}
	if (sscanf(word, "relay:%u", &row->relay) == 1)
		return row->tcp && row->relay && !row->file;
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

static bool can_send(const struct row *row)
{
	return row->bytes <= MAX_BYTES && row->batch <= MAX_BATCH &&
	       row->mode != SENDFILE && row->mode != SPLICE &&
	       row->buffer != TAKEN && !(row->mode == SENDMMSG && row->tcp);
}

/* Whether there is such a way to take, and to send what was taken. */
static bool can_take(const struct row *row)
{
	if (has_way(row) || row->batch > MAX_ENTRIES ||
	    (row->nic && !row->sink) ||
	    row->bytes > MAX_TAKEN / row->batch)
		return false;
	switch (row->mode) {
	case IO_SEND:
	case SPLICE:
		return row->buffer == PLAIN;
	case SENDFILE:
		return row->buffer == PLAIN && row->file;
	case SEND_ZC:
		return row->buffer == REGISTERED;
	case SLOT:
		return row->flush == BATCH &&
		       (row->buffer == REGISTERED || row->buffer == TAKEN);
	default:
		return false;
	}
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
	if (!row->bytes || !row->batch || !row->windows ||
	    row->windows > MAX_WINDOWS ||
	    (words == 10 && !parse_how(row, how)) || !is_whole(row) ||
	    !(takes(row) ? can_take(row) : can_send(row)))
		fail("the row \"%s\" makes no sense", text);
}
