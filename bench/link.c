// SPDX-License-Identifier: GPL-2.0
/*
 * What it costs that two notifiers meet in a packet, a link: segments of TCP
 * with a header and a body, each a request. Through one slot both are attached
 * to the same notifier, through two slots each to its own; beside them SEND_ZC,
 * which has a notification for each. All send the same packets.
 */
#include <stdbool.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "clock.h"
#include "scale.h"

#define HEADER_BYTES	100
#define BODY_BYTES	1300	/* with the header, less than a segment */
#define WARM_WINDOWS	20

static const struct row link_row = {
	.mode = SLOT,
	.buffer = REGISTERED,
	.tcp = true,
	.bytes = (HEADER_BYTES + BODY_BYTES) / 2,
	.batch = MAX_BATCH,
	.windows = SCALE_WINDOWS,
};

static const struct {
	const char *kind;
	unsigned int slots;	/* 0: SEND_ZC */
} ways[] = {
	{ "pairs_send_zc", 0 },
	{ "pairs_slot", 1 },
	{ "pairs_slot", 2 },
};

static void submit(struct bench *b, unsigned int slots)
{
	unsigned int i, body, ioprio = IORING_RECVSEND_FIXED_BUF;
	struct io_uring_sqe *sqe;

	if (slots)
		ioprio |= IORING_SEND_ZC_NOTIF_SLOT;
	for (i = 0; i < MAX_BATCH; i++) {
		body = i & 1;
		sqe = scale_sqe(b);
		io_uring_prep_sendzc(sqe, b->tx, b->data + body * BUFFER_BYTES,
				     body ? BODY_BYTES : HEADER_BYTES,
				     body ? MSG_WAITALL : MSG_WAITALL | MSG_MORE,
				     ioprio);
		sqe->buf_index = body;
		sqe->user_data = sqe->len;
		if (!slots)
			continue;
		sqe->notification_idx = body & (slots - 1);
		if (i >= MAX_BATCH - slots)
			sqe->ioprio |= IORING_RECVSEND_NOTIF_FLUSH;
	}
	scale_submit(b, MAX_BATCH);
}

static void see(struct bench *b, unsigned int slots)
{
	unsigned int requests = MAX_BATCH, notifs = slots ? slots : MAX_BATCH;
	const unsigned int flags = slots ? 0 : IORING_CQE_F_MORE;
	struct io_uring_cqe *cqe;
	int ret;

	while (requests || notifs) {
		ret = io_uring_wait_cqe(&b->ring, &cqe);
		if (ret)
			fail("wait: %s", strerror(-ret));
		if (cqe->flags & IORING_CQE_F_NOTIF) {
			if (!notifs--)
				fail("a notification too many");
		} else {
			if (!requests--)
				fail("a CQE too many");
			if (cqe->res != (int)cqe->user_data || cqe->flags != flags)
				fail("a request's res is %d, flags %#x", cqe->res,
				     cqe->flags);
		}
		io_uring_cqe_seen(&b->ring);
	}
}

static __u64 window(struct bench *b, unsigned int slots)
{
	__u64 start, time;

	settle();
	start = now();
	submit(b, slots);
	see(b, slots);
	time = now() - start;
	net_receive(b);
	return time;
}

static void measure(const char *kind, unsigned int slots)
{
	struct bench b = { .row = &link_row, .data = scale_data() };
	const unsigned int number = slots ? slots : 1;
	const unsigned int want = SCALE_WINDOWS * MAX_BATCH / 2;
	__u64 times[SCALE_WINDOWS];
	unsigned long long packets;
	unsigned int i;

	scale_begin(kind, number);
	settle();
	net_open(&b);
	scale_ring(&b, slots, 2);
	for (i = 0; i < WARM_WINDOWS; i++)
		window(&b, slots);
	packets = net_packets(&b);
	for (i = 0; i < SCALE_WINDOWS; i++)
		times[i] = window(&b, slots);
	packets = net_packets(&b) - packets;
	if (packets != want)
		fail("%llu packets left, not %u", packets, want);
	if (!work_is_over(&b))
		fail("more notifications than there were to be");
	work_close(&b);
	net_close(&b);
	scale_print(kind, number, times);
}

void measure_links(void)
{
	unsigned int i;

	instructions = true;
	for (i = 0; i < sizeof(ways) / sizeof(*ways); i++)
		measure(ways[i].kind, ways[i].slots);
}
