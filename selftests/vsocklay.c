// SPDX-License-Identifier: GPL-2.0
/* What a call fills in: headers, pages, and nothing of anybody else's. */
#include "vsockpair.h"

FIXTURE_VARIANT_ADD(vsock, stream) { .type = SOCK_STREAM };
FIXTURE_VARIANT_ADD(vsock, seqpacket) { .type = SOCK_SEQPACKET };

/* From the review of RFC v1: three packets of 56, 4096 and 8200 bytes. */
TEST_F(vsock, vsock_03_seed_example)
{
	/* packets of a stream whose pages go on make one piece */
	const struct vsock_rx_hdr pieces[] = {
		{ 56, VSOCK_RX_HDR_COPIED }, { 4096 + 8200, 0 }, { },
	};
	const struct vsock_rx_hdr messages[] = {
		{ 56, VSOCK_RX_HDR_EOM | VSOCK_RX_HDR_COPIED },
		{ 4096, VSOCK_RX_HDR_EOM }, { 8200, VSOCK_RX_HDR_EOM }, { },
	};
	const bool stream = variant->type == SOCK_STREAM;

	SEND(56);
	SEND(4096);
	SEND(8200);
	RECEIVE_ALL();
	ASSERT_EQ(0, memcmp(self->map, stream ? pieces : messages,
			    stream ? sizeof(pieces) : sizeof(messages)));
	ASSERT_EQ(0, memcmp(self->map + PAGE, self->sent, 56));
	ASSERT_EQ(0, memcmp(self->map + 2 * PAGE, self->sent + 56, 4096 + 8200));
	ASSERT_EQ(stream ? 2 : 3, self->arg.headers);
	ASSERT_EQ(5, self->arg.pages);
	ASSERT_EQ(56, self->arg.copied);
}

/* As many headers as the page has room for, with the one of length 0. */
TEST_F(vsock, vsock_03_511_headers)
{
	const unsigned int nr = 600;
	unsigned int i;

	ASSERT_LE(MAX_HEADERS, MAP_DATA);
	/* what is copied and what is mapped make no piece together */
	for (i = 0; i < nr; i++)
		SEND(i % 2 ? 100 : PAGE);
	RECEIVE();
	ASSERT_EQ(MAX_HEADERS, self->arg.headers);
	ASSERT_EQ(MAX_HEADERS, self->arg.pages);
	ASSERT_EQ(0, header(self->map, MAX_HEADERS)->length);
	RECEIVE_ALL();
	ASSERT_EQ(nr - MAX_HEADERS, self->arg.headers);
}

/* Wherever the header page is, what is before it stays. */
TEST_F(vsock, vsock_03_any_page_of_mapping)
{
	unsigned int at = 0;

	while (at + 6 <= 1 + MAP_DATA && self->tx_at + 3 * PAGE < QUEUE_LEN) {
		SEND(3 * PAGE);
		receive_at(_metadata, self, self->map + at * PAGE, 4 * PAGE, 0);
		ASSERT_EQ(3 * PAGE, self->arg.length);
		at += 4;
	}
	/* the very last two */
	SEND(PAGE);
	receive_at(_metadata, self, self->map + MAP_LEN - 2 * PAGE, 0, 0);
	ASSERT_EQ(PAGE, self->arg.length);
	while (at) {
		at -= 4;
		ASSERT_EQ(3 * PAGE, header(self->map + at * PAGE, 0)->length);
		ASSERT_EQ(0, memcmp(self->map + (at + 1) * PAGE,
				    self->sent + at / 4 * 3 * PAGE, 3 * PAGE));
	}
}

/* A window is never left, and what doesn't fit comes the next time. */
TEST_F(vsock, vsock_03_window)
{
	unsigned int len;

	SEND(20 * PAGE);
	for (len = 2; len < 7; len++) {
		if (variant->type == SOCK_SEQPACKET)
			break;
		receive_at(_metadata, self, self->map, len * PAGE, 0);
		ASSERT_EQ((len - 1) * PAGE, self->arg.length);
		ASSERT_EQ(self->tx_at - self->rx_at, self->arg.inq);
		ASSERT_EQ(VSOCK_MAP_RX_MORE, self->arg.flags);
	}
	RECEIVE_ALL();
	ASSERT_EQ(0, self->arg.flags);
}

/*
 * The kernel's free pages have something in them; the test's own process is fresh,
 * and so are theirs.
 */
static void poison_pages(void)
{
	const size_t len = 64UL << 20;
	char *pages = map_pages(len);

	if (!pages)
		return;
	memset(pages, 0xa5, len);
	munmap(pages, len);
}

static void poison_slab(void)
{
	char stuff[4096];
	int pipes[2], i;

	memset(stuff, 0x5a, sizeof(stuff));
	if (socketpair(AF_UNIX, SOCK_STREAM, 0, pipes))
		return;
	for (i = 0; i < 200; i++)
		if (send(pipes[0], stuff, sizeof(stuff) - i, MSG_DONTWAIT) < 0)
			break;
	close(pipes[0]);
	close(pipes[1]);
}

/* gather() looks behind each header and each packet. */
TEST_F(vsock, vsock_04_tail_is_zero)
{
	size_t len, step;

	poison_pages();
	for (len = 1; len <= 8200; len += step) {
		step = len < 64 || len % PAGE > PAGE - 8 || len % PAGE < 8 ?
		       1 : 61;
		if (self->tx_at + len > QUEUE_LEN) {
			self->tx_at = 0;
			self->rx_at = 0;
		}
		poison_slab();
		SEND(len);
		RECEIVE_ALL();
	}
}

/* Packets that share pages, on a stream, and their rests. */
TEST_F(vsock, vsock_04_tail_of_many_is_zero)
{
	unsigned int i;

	poison_pages();
	for (i = 0; i < 300; i++) {
		SEND(1 + i * 37 % 5000);
		if (i % 7 == 6) {
			poison_slab();
			RECEIVE_ALL();
		}
	}
}

TEST_F(vsock, vsock_04_header_page_is_zero)
{
	unsigned int i, n;

	poison_pages();
	for (n = 1; n < 100; n += 9) {
		for (i = 0; i < n; i++)
			SEND(100);
		RECEIVE_ALL();
		SEND(PAGE);
		RECEIVE_ALL();
	}
}

/* Which packets say that they were copied. */
TEST_F(vsock, vsock_05_copied_flag)
{
	static const struct {
		size_t len;
		bool mapped;
	} packets[] = {
		{ 4096, true }, { 2 * 4096, true }, { 4097, true },
		{ 65536, true }, { 1, false }, { 128, false },
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(packets); i++) {
		SEND(packets[i].len);
		RECEIVE_ALL();
		ASSERT_EQ(packets[i].mapped ? 0 : packets[i].len,
			  self->arg.copied)
			TH_LOG("of %zu bytes", packets[i].len);
	}
}

/* Mapped pages are the process's: 200, one of headers, and what libc has touched. */
TEST_F(vsock, vsock_05_mapped_count)
{
	long before, after;

	SEND(200 * PAGE);
	ASSERT_EQ(0, filled(self->map, 1 + MAP_DATA));
	before = status_kb("RssFile:");
	RECEIVE_ALL();
	after = status_kb("RssFile:");
	ASSERT_EQ(0, self->arg.copied);
	ASSERT_EQ(200, self->arg.pages);
	ASSERT_EQ(201, filled(self->map, 1 + MAP_DATA));
	ASSERT_LE(201 * PAGE / 1024, after - before);
	ASSERT_EQ(0, madvise(self->map, MAP_LEN, MADV_DONTNEED));
	ASSERT_LE(201 * PAGE / 1024, after - status_kb("RssFile:"));
}

/* Whatever else happens: what is mapped is as it was. */
TEST_F(vsock, vsock_06_stable_while_sender_runs)
{
	const unsigned int base = 200;
	unsigned int i;

	SEND(100 * PAGE);
	receive_at(_metadata, self, self->map + base * PAGE, 0, 0);
	ASSERT_EQ(100 * PAGE, self->arg.length);
	memset(self->sent, 0x77, PAGE);
	for (i = 0; i < 500; i++) {
		self->tx_at = 100 * PAGE;
		self->rx_at = 100 * PAGE;
		SEND(1 + i * 191 % 65536);
		receive_at(_metadata, self, self->map, base * PAGE, 0);
		ASSERT_EQ(self->tx_at, self->rx_at);
	}
	ASSERT_EQ(MAX_PACKET, header(self->map + base * PAGE, 0)->length);
	fill_pattern(self->sent, QUEUE_LEN, 13);
	ASSERT_EQ(0, memcmp(self->map + (base + 1) * PAGE, self->sent,
			    100 * PAGE));
}

/* A small packet that is appended to the last one must not get into a mapped page. */
TEST_F(vsock, vsock_06_append_never_into_mapped)
{
	unsigned int i;

	for (i = 0; i < 100; i++) {
		SEND(PAGE + 3000);
		receive_at(_metadata, self, self->map, 8 * PAGE, 0);
		ASSERT_EQ(0, self->arg.copied);
		SEND(1 + i);
		ASSERT_EQ(PAGE + 3000, header(self->map, 0)->length);
		ASSERT_TRUE(all_zero(self->map + 2 * PAGE + 3000,
				     self->map + 3 * PAGE));
		/* and this one comes to a packet that is still queued */
		SEND(1 + i);
		receive_at(_metadata, self, self->map + 8 * PAGE, 0, 0);
		ASSERT_EQ(self->tx_at, self->rx_at);
		ASSERT_EQ(0, memcmp(self->map + PAGE, self->sent + self->tx_at -
				    PAGE - 3000 - 2 * (1 + i), PAGE + 3000));
	}
}

/* The same of whole pages, which a packet goes on with that is mapped in part. */
TEST_F(vsock, vsock_06_pages_never_into_mapped)
{
	unsigned int i;

	if (variant->type == SOCK_SEQPACKET)
		SKIP(return, "messages aren't received in parts");
	for (i = 0; i < 60; i++) {
		const size_t at = self->tx_at;

		SEND(4 * PAGE);
		receive_at(_metadata, self, self->map, 3 * PAGE, 0);
		ASSERT_EQ(2 * PAGE, self->arg.length);
		SEND(i % 2 ? 3 * PAGE : 2 * PAGE + 3000);
		SEND(PAGE);
		receive_at(_metadata, self, self->map + 3 * PAGE, 0, 0);
		ASSERT_EQ(self->tx_at, self->rx_at);
		ASSERT_EQ(0, self->arg.copied);
		ASSERT_EQ(6, self->arg.pages);
		ASSERT_EQ(0, memcmp(self->map + PAGE, self->sent + at, 2 * PAGE));
	}
}

NOTIF_TEST_MAIN
