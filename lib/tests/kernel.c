// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * liburing_notif.h against a kernel with slots; elsewhere it skips, and says why.
 * UDP over loopback.
 */
#include "liburing_get_buf.h"

#include <netinet/in.h>

#include "tap.h"

#define NR_SLOTS	4
#define BEARER		(1ULL << 62)
#define LEN		100

static const struct io_uring_notif_ids ids = {
	.base = 1ULL << 60, .bearer = BEARER, .nr_slots = NR_SLOTS,
};

static struct io_uring_notif_caps caps;
static struct io_uring ring;
static unsigned char data[1000];
static int tx, rx;

static int open_sockets(void)
{
	struct timeval patience = { .tv_sec = 10 };
	struct sockaddr_in to = { .sin_family = AF_INET };
	socklen_t len = sizeof(to);
	unsigned int i;

	for (i = 0; i < sizeof(data); i++)
		data[i] = (unsigned char)(i * 7 + i / 256);
	to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	tx = socket(AF_INET, SOCK_DGRAM, 0);
	rx = socket(AF_INET, SOCK_DGRAM, 0);
	return bind(rx, (struct sockaddr *)&to, len) ||
	       getsockname(rx, (struct sockaddr *)&to, &len) ||
	       connect(tx, (struct sockaddr *)&to, len) ||
	       setsockopt(rx, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
}

/* Whether the next datagram is @len bytes of data from @at on */
static bool received(unsigned int at, ssize_t len)
{
	unsigned char buf[2000];

	return recv(rx, buf, sizeof(buf), 0) == len && !memcmp(buf, data + at, (size_t)len);
}

static bool register_slots(__u32 flags, __u32 flush_after)
{
	struct io_uring_notif_slot slots[NR_SLOTS];
	unsigned int i;

	memset(slots, 0, sizeof(slots));
	io_uring_notif_set_tags(slots, &ids);
	for (i = 0; i < NR_SLOTS; i++) {
		slots[i].flags = flags;
		slots[i].flush_after = flush_after;
	}
	return io_uring_notif_register(&ring, slots, NR_SLOTS, 0) == 0;
}

static struct io_uring_notif notif;
static __u64 user_data;
static __s32 res;

/* Submit, and take the next CQE; what it is. */
static int next(void)
{
	struct io_uring_cqe *cqe;
	int kind;

	if (io_uring_submit(&ring) < 0 || io_uring_wait_cqe(&ring, &cqe))
		return -1;
	kind = (int)io_uring_notif_read(cqe, &ids, &notif);
	user_data = cqe->user_data;
	res = cqe->res;
	io_uring_cqe_seen(&ring, cqe);
	return kind;
}

static void errors(void)
{
	struct io_uring_notif_slot slot = { .flags = 1U << 31 };

	CHECK(io_uring_notif_unregister(&ring) == -ENXIO);
	CHECK(io_uring_notif_register(&ring, &slot, 1, 0) == -EINVAL);
	CHECK(io_uring_notif_register(&ring, NULL, 1, 0) == -EFAULT);
	CHECK(io_uring_notif_register(&ring, &slot, 0, 0) == -EINVAL);
	CHECK(register_slots(0, 0) && !register_slots(0, 0));
	io_uring_notif_prep_send(io_uring_get_sqe(&ring), tx, data, LEN, 0, NR_SLOTS, 0);
	CHECK(next() == IO_URING_NOTIF_REQUEST && res == -EINVAL);
	CHECK(io_uring_notif_unregister(&ring) == 0);
}

static void sends(void)
{
	struct iovec vec = { data + 2 * LEN, LEN };
	struct msghdr msg;

	memset(&msg, 0, sizeof(msg));
	msg.msg_iov = &vec;
	msg.msg_iovlen = 1;
	vec.iov_base = data;
	vec.iov_len = sizeof(data);
	CHECK(register_slots(0, 0));
	CHECK(io_uring_register_buffers(&ring, &vec, 1) == 0);
	vec.iov_base = data + 2 * LEN;
	vec.iov_len = LEN;
	io_uring_notif_prep_send(io_uring_get_sqe(&ring), tx, data, LEN, 0, 2,
				 IORING_SEND_ZC_REPORT_USAGE);
	CHECK(next() == IO_URING_NOTIF_REQUEST && res == LEN);
	io_uring_notif_prep_send_fixed(io_uring_get_sqe(&ring), tx, data + LEN, LEN, 0, 2, 0, 0);
	CHECK(next() == IO_URING_NOTIF_REQUEST && res == LEN);
	io_uring_notif_prep_sendmsg(io_uring_get_sqe(&ring), tx, &msg, 0, 2,
				    IORING_RECVSEND_NOTIF_FLUSH);
	CHECK(next() == IO_URING_NOTIF_REQUEST && res == LEN);
	CHECK(received(0, LEN) && received(LEN, LEN) && received(2 * LEN, LEN));
	CHECK(next() == IO_URING_NOTIF_SLOT && notif.slot == 2 && notif.seq == 0 && notif.copied);
	/* mainline's own notification is told from it */
	io_uring_prep_send_zc(io_uring_get_sqe(&ring), tx, data, LEN, 0, 0);
	CHECK(next() == IO_URING_NOTIF_MORE && res == LEN);
	CHECK(received(0, LEN) && next() == IO_URING_NOTIF_OTHER);
}

static void flushes(void)
{
	io_uring_notif_prep_flush(io_uring_get_sqe(&ring), 0, NR_SLOTS, 0);
	CHECK(next() == IO_URING_NOTIF_REQUEST && res == 0);
	io_uring_notif_prep_flush(io_uring_get_sqe(&ring), 2, 1, 0x1234);
	CHECK(next() == IO_URING_NOTIF_REQUEST && res == 0);
	io_uring_notif_prep_send(io_uring_get_sqe(&ring), tx, data, LEN, 0, 2, 0);
	CHECK(next() == IO_URING_NOTIF_REQUEST && received(0, LEN));
	CHECK(io_uring_notif_unregister(&ring) == 0);
	CHECK(next() == IO_URING_NOTIF_OTHER && user_data == 0x1234);
}

static void merged(void)
{
	struct io_uring_sqe *sqe;

	CHECK(register_slots(IORING_NOTIF_SLOT_MERGE, 1));
	sqe = io_uring_get_sqe(&ring);
	io_uring_notif_prep_send(sqe, tx, data, LEN, 0, 1, IORING_SEND_ZC_REPORT_USAGE);
	sqe->user_data = BEARER | 5;
	CHECK(next() == IO_URING_NOTIF_BEARER && user_data == (BEARER | 5));
	CHECK(res == LEN && notif.copied && received(0, LEN));
	CHECK(!io_uring_cq_ready(&ring) && io_uring_notif_unregister(&ring) == 0);
}

static void many(void)
{
	struct io_uring_notif_dgram dgrams[3];

	io_uring_notif_dgram_set(&dgrams[0], data, LEN, NULL, 0, 0);
	io_uring_notif_dgram_set(&dgrams[1], data + LEN, 2 * LEN, NULL, 0, LEN);
	io_uring_notif_dgram_set(&dgrams[2], data + 3 * LEN, LEN, NULL, 0, 0);
	CHECK(register_slots(0, 1));
	io_uring_notif_prep_many(io_uring_get_sqe(&ring), tx, dgrams, 3, 0, 1, 0);
	CHECK(next() == IO_URING_NOTIF_REQUEST && res == 3);
	CHECK(received(0, LEN) && received(LEN, LEN));
	CHECK(received(2 * LEN, LEN) && received(3 * LEN, LEN));
	CHECK(next() == IO_URING_NOTIF_SLOT && notif.slot == 1 && notif.seq == 0);
	CHECK(io_uring_notif_unregister(&ring) == 0);
}

/* A socket that can't send without a copy: refused, or sent to by copying */
static void fallback(void)
{
	unsigned char buf[2 * LEN];
	int pair[2];

	CHECK(!socketpair(AF_UNIX, SOCK_STREAM, 0, pair) && register_slots(0, 1));
	io_uring_notif_prep_send(io_uring_get_sqe(&ring), pair[0], data, LEN, 0, 0, 0);
	CHECK(next() == IO_URING_NOTIF_REQUEST && res == -EOPNOTSUPP);
	CHECK(next() == IO_URING_NOTIF_SLOT && notif.slot == 0);
	CHECK(io_uring_notif_unregister(&ring) == 0);
	CHECK(register_slots(IORING_NOTIF_SLOT_FALLBACK, 1));
	io_uring_notif_prep_send(io_uring_get_sqe(&ring), pair[0], data, LEN, 0, 0,
				 IORING_SEND_ZC_REPORT_USAGE);
	CHECK(next() == IO_URING_NOTIF_REQUEST && res == LEN);
	CHECK(next() == IO_URING_NOTIF_SLOT && notif.slot == 0 && notif.copied);
	CHECK(read(pair[1], buf, sizeof(buf)) == LEN && !memcmp(buf, data, LEN));
	CHECK(io_uring_notif_unregister(&ring) == 0);
	close(pair[0]);
	close(pair[1]);
}

/* A short segment beside a long one: one datagram, in order */
static void segments(void)
{
	struct io_uring_notif_slot slot = { .flags = IORING_NOTIF_SLOT_SEGMENTS };
	struct iovec vec[2] = { { data, 20 }, { data + 20, 800 } };
	struct msghdr msg;

	memset(&msg, 0, sizeof(msg));
	msg.msg_iov = vec;
	msg.msg_iovlen = 2;
	slot.tag = ids.base;
	slot.copy_below = 64;
	slot.flush_after = 1;
	CHECK(io_uring_notif_register(&ring, &slot, 1, 0) == 0);
	io_uring_notif_prep_sendmsg(io_uring_get_sqe(&ring), tx, &msg, 0, 0, 0);
	CHECK(next() == IO_URING_NOTIF_REQUEST && res == 820 && received(0, 820));
	CHECK(next() == IO_URING_NOTIF_SLOT && notif.slot == 0);
	CHECK(io_uring_notif_unregister(&ring) == 0);
}

/* A part of a file, by way of the table; the first bytes of it come here, too. */
static void taken(void)
{
	int fd = (int)syscall(__NR_memfd_create, "taken", 0);
	struct io_uring_sqe *sqe;
	char head[10];

	CHECK(write(fd, data, sizeof(data)) == sizeof(data));
	CHECK(io_uring_unregister_buffers(&ring) == 0);
	CHECK(io_uring_register_buffers_sparse(&ring, 4) == 0 && register_slots(0, 0));
	sqe = io_uring_get_sqe(&ring);
	io_uring_notif_prep_get_buf(sqe, fd, LEN, 50, 3, 0);
	io_uring_notif_get_buf_head(sqe, head, sizeof(head));
	CHECK(next() == IO_URING_NOTIF_REQUEST && res == LEN);
	CHECK(!memcmp(head, data + 50, sizeof(head)));
	io_uring_notif_prep_send_taken(io_uring_get_sqe(&ring), tx, 0, (size_t)-1, 0, 1, 0, 3);
	CHECK(next() == IO_URING_NOTIF_REQUEST && res == LEN && received(50, LEN));
	io_uring_notif_prep_get_buf(io_uring_get_sqe(&ring), fd, LEN, 0, 3, 0);
	CHECK(next() == IO_URING_NOTIF_REQUEST && res == -EBUSY);
	io_uring_notif_prep_get_buf(io_uring_get_sqe(&ring), fd, LEN, 0, 3,
				    IORING_GET_BUF_REPLACE);
	CHECK(next() == IO_URING_NOTIF_REQUEST && res == LEN);
	io_uring_notif_prep_send_taken(io_uring_get_sqe(&ring), tx, 10, 20, 0, 1,
				       IORING_RECVSEND_NOTIF_FLUSH, 3);
	CHECK(next() == IO_URING_NOTIF_REQUEST && res == 20 && received(10, 20));
	CHECK(next() == IO_URING_NOTIF_SLOT && notif.slot == 1);
	io_uring_notif_prep_give_up(io_uring_get_sqe(&ring), 0, 4);
	CHECK(next() == IO_URING_NOTIF_REQUEST && res == 1);
	CHECK(io_uring_notif_unregister(&ring) == 0);
	close(fd);
}

/* Run a test if the kernel has what it is about. */
static void test_if(bool there, void (*test)(void), const char *name, const char *flag)
{
	char reason[64];

	snprintf(reason, sizeof(reason), "this kernel has no %s", flag);
	if (there)
		test();
	else
		tap_skip(name, reason);
}

int main(void)
{
	int ret = io_uring_notif_query(&caps);

	if (ret) {
		printf("1..0 # SKIP %s\n", io_uring_notif_advice(ret));
		return 0;
	}
	CHECK(caps.slot_size == 32 && caps.max_slots == IORING_MAX_NOTIF_SLOTS);
	CHECK(!open_sockets() && !io_uring_queue_init(16, &ring, 0));
	errors();
	sends();
	flushes();
	test_if(caps.slot_flags & IORING_NOTIF_SLOT_MERGE, merged, "merged",
		"IORING_NOTIF_SLOT_MERGE");
	test_if(caps.slot_flags & IORING_NOTIF_SLOT_FALLBACK, fallback, "fallback",
		"IORING_NOTIF_SLOT_FALLBACK");
	test_if(caps.slot_flags & IORING_NOTIF_SLOT_SEGMENTS, segments, "segments",
		"IORING_NOTIF_SLOT_SEGMENTS");
	test_if(caps.send_flags & IORING_SEND_ZC_MANY, many, "many", "IORING_SEND_ZC_MANY");
	test_if(caps.get_buf_flags & IORING_GET_BUF_REPLACE, taken, "taken", "IORING_OP_GET_BUF");
	io_uring_queue_exit(&ring);
	return tap_end();
}
