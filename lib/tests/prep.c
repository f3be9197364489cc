// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * What liburing_notif.h writes into SQEs, byte by byte, and how it reads CQEs.
 * Needs no kernel with slots. Compiled as C and as C++, with liburing.h before
 * liburing_notif.h and (NOTIF_FIRST) behind it.
 */
#ifdef UAPI_FIRST
#include <linux/io_uring.h>
#endif
#ifdef NOTIF_FIRST
#include "liburing_notif.h"
#endif
#include <liburing.h>
#include "liburing_notif.h"
#include "liburing_get_buf.h"
#include "notif_pool.h"

#include "tap.h"

static struct io_uring_sqe sqe;

/* An SQE that was used before, as io_uring_get_sqe() gives it */
static void dirty(void)
{
	memset(&sqe, 0xff, sizeof(sqe));
#ifdef IO_URING_VERSION_MAJOR
	/* clears it in part; in 2.3, which has no such macro, the prep calls do */
	memset((char *)&sqe + 1, 0, 3);
	memset((char *)&sqe + 28, 0, 4);
	memset((char *)&sqe + 40, 0, 24);
#endif
}

static __u64 at(unsigned int offset, unsigned int size)
{
	__u64 value = 0;

	/* little endian: x86-64, arm64 */
	memcpy(&value, (unsigned char *)&sqe + offset, size);
	return value;
}

/* What all sends have in common */
static void check_send(int op, const void *addr, unsigned int len, unsigned int slot,
		       unsigned int ioprio)
{
	CHECK(at(0, 1) == (__u64)op);
	CHECK(at(1, 1) == 0);
	CHECK(at(2, 2) == ioprio);
	CHECK(at(4, 4) == 7);
	CHECK(at(8, 8) == 0);
	CHECK(at(16, 8) == (uintptr_t)addr);
	CHECK(at(24, 4) == len);
	CHECK(at(28, 4) == MSG_WAITALL);
	CHECK(at(42, 2) == 0);
	CHECK(at(44, 2) == 0);
	CHECK(at(46, 2) == slot);
	CHECK(at(48, 8) == 0);
	CHECK(at(56, 8) == 0);
}

static void sends(void)
{
	struct io_uring_notif_dgram dgrams[2];
	struct sockaddr name;
	struct msghdr msg;
	char buf[32];

	memset(&msg, 0, sizeof(msg));
	memset(&name, 0, sizeof(name));
	dirty();
	io_uring_notif_prep_send(&sqe, 7, buf, sizeof(buf), MSG_WAITALL, 0, 0);
	check_send(IORING_OP_SEND_ZC, buf, 32, 0, 1 << 6);
	CHECK(at(40, 2) == 0);

	dirty();
	io_uring_notif_prep_send(&sqe, 7, buf, sizeof(buf), MSG_WAITALL, 32767,
				 IORING_RECVSEND_NOTIF_FLUSH | IORING_SEND_ZC_REPORT_USAGE);
	check_send(IORING_OP_SEND_ZC, buf, 32, 32767, 1 << 6 | 1 << 7 | 1 << 3);

	dirty();
	io_uring_notif_prep_send_fixed(&sqe, 7, buf, sizeof(buf), MSG_WAITALL, 258, 0, 9);
	check_send(IORING_OP_SEND_ZC, buf, 32, 258, 1 << 6 | 1 << 2);
	CHECK(at(40, 2) == 9);

	dirty();
	io_uring_notif_prep_sendmsg(&sqe, 7, &msg, MSG_WAITALL, 3, IORING_RECVSEND_NOTIF_FLUSH);
	check_send(IORING_OP_SENDMSG_ZC, &msg, 1, 3, 1 << 6 | 1 << 7);

	dirty();
	io_uring_notif_prep_many(&sqe, 7, dgrams, 2, MSG_WAITALL, 1, 0);
	check_send(IORING_OP_SEND_ZC, dgrams, 2, 1, 1 << 6 | 1 << 8);

	memset(dgrams, 0xff, sizeof(dgrams));
	io_uring_notif_dgram_set(&dgrams[1], buf, 1000, &name, 16, 500);
	CHECK(dgrams[1].addr == (uintptr_t)buf);
	CHECK(dgrams[1].name == (uintptr_t)&name);
	CHECK(dgrams[1].len == 1000);
	CHECK(dgrams[1].name_len == 16);
	CHECK(dgrams[1].gso_size == 500);
	CHECK(dgrams[1].resv == 0);
}

/* What was prepared as a request of mainline's attaches too. */
static void attach(void)
{
	char buf[8];

	dirty();
	io_uring_prep_send_zc(&sqe, 7, buf, 8, MSG_WAITALL, IORING_RECVSEND_POLL_FIRST);
	io_uring_notif_attach(&sqe, 5, IORING_RECVSEND_NOTIF_FLUSH);
	check_send(IORING_OP_SEND_ZC, buf, 8, 5, 1 << 0 | 1 << 6 | 1 << 7);
}

static void flush(void)
{
	dirty();
	io_uring_notif_prep_flush(&sqe, 0xfffffff0, 8, 0x123456789abcdef0);
	CHECK(at(0, 1) == IORING_OP_FILES_UPDATE);
	CHECK(at(1, 1) == 0);
	CHECK(at(2, 2) == 1);
	CHECK(at(8, 8) == 0xfffffff0);
	CHECK(at(16, 8) == 0x123456789abcdef0);
	CHECK(at(24, 4) == 8);
	CHECK(at(28, 4) == 0);
	CHECK(at(40, 8) == 0);
	CHECK(at(48, 8) == 0);
}

/* GET_BUF, and what becomes of what it took */
static void taken(void)
{
	char head[16];

#ifdef IO_URING_NOTIF_HAVE_GET_BUF
	CHECK((int)IO_URING_NOTIF_OP_GET_BUF == (int)IORING_OP_GET_BUF);
	CHECK((int)IO_URING_NOTIF_UPDATE_BUF == (int)IORING_RSRC_UPDATE_BUF);
#endif
	dirty();
	io_uring_notif_prep_get_buf(&sqe, 7, 65536, 0x123456789a, 258, IORING_GET_BUF_REPLACE);
	CHECK(at(0, 1) == 65);
	CHECK(at(1, 1) == 0);
	CHECK(at(2, 2) == 1 << 1);
	CHECK(at(4, 4) == 7);
	CHECK(at(8, 8) == 0x123456789a);
	CHECK(at(16, 8) == 0);
	CHECK(at(24, 4) == 65536);
	CHECK(at(28, 4) == 0);
	CHECK(at(40, 2) == 258);
	CHECK(at(42, 2) == 0);
	CHECK(at(44, 4) == 0);
	CHECK(at(48, 8) == 0);
	CHECK(at(56, 8) == 0);
	io_uring_notif_get_buf_head(&sqe, head, sizeof(head));
	CHECK(at(16, 8) == (uintptr_t)head);
	CHECK(at(24, 4) == 65536);
	CHECK(at(44, 4) == sizeof(head));

	dirty();
	io_uring_notif_prep_send_taken(&sqe, 7, 5, (size_t)-1, MSG_WAITALL, 258, 0, 9);
	check_send(IORING_OP_SEND_ZC, (const void *)5, 0xffffffff, 258, 1 << 6 | 1 << 2);
	CHECK(at(40, 2) == 9);

	dirty();
	io_uring_notif_prep_give_up(&sqe, 0xfffffff0, 8);
	CHECK(at(0, 1) == IORING_OP_FILES_UPDATE);
	CHECK(at(2, 2) == 2);
	CHECK(at(8, 8) == 0xfffffff0);
	CHECK(at(16, 8) == 0);
	CHECK(at(24, 4) == 8);
	CHECK(at(28, 4) == 0);
}

static struct io_uring_notif_ids ids;
static struct io_uring_notif notif;

static enum io_uring_notif_kind kind(__u64 user_data, __s32 res, __u32 flags)
{
	struct io_uring_cqe cqe;

	memset(&cqe, 0, sizeof(cqe));
	cqe.user_data = user_data;
	cqe.res = res;
	cqe.flags = flags;
	memset(&notif, 0xff, sizeof(notif));
	return io_uring_notif_read(&cqe, &ids, &notif);
}

static void cqes(void)
{
	const __u32 f_notif = IORING_CQE_F_NOTIF;
	struct io_uring_notif_slot slots[4];
	const __s32 copied = (__s32)IORING_NOTIF_USAGE_ZC_COPIED;

	ids.base = 1ULL << 60;
	ids.bearer = 1ULL << 61;
	ids.nr_slots = 4;
	memset(slots, 0, sizeof(slots));
	io_uring_notif_set_tags(slots, &ids);
	CHECK(slots[0].tag == 1ULL << 60 && slots[3].tag == (1ULL << 60) + 3);

	CHECK(kind(1, 100, 0) == IO_URING_NOTIF_REQUEST && !notif.copied);
	CHECK(kind(1, -EINVAL, 0) == IO_URING_NOTIF_REQUEST);
	CHECK(kind(1, 100, IORING_CQE_F_MORE) == IO_URING_NOTIF_MORE);
	CHECK(kind(1, 0, f_notif) == IO_URING_NOTIF_OTHER);
	CHECK(kind(ids.base + 3, 0, f_notif | 0xfffeU << 16) == IO_URING_NOTIF_SLOT);
	CHECK(notif.slot == 3 && notif.seq == 0xfffe && !notif.copied);
	CHECK(kind(ids.base, copied, f_notif) == IO_URING_NOTIF_SLOT);
	CHECK(notif.slot == 0 && notif.seq == 0 && notif.copied);
	CHECK(kind(ids.base + 4, 0, f_notif) == IO_URING_NOTIF_OTHER);
	CHECK(kind(ids.base - 1, 0, f_notif) == IO_URING_NOTIF_OTHER);
	CHECK(kind(ids.bearer | 1, 100, 0) == IO_URING_NOTIF_BEARER && !notif.copied);
	CHECK(kind(ids.bearer | 1, 100, 1U << 16) == IO_URING_NOTIF_BEARER && notif.copied);
	CHECK(kind(ids.bearer | 1, -ECANCELED, 0) == IO_URING_NOTIF_BEARER);

	ids.reg_flags = IORING_NOTIF_REG_RAW_SEQ;
	CHECK(kind(ids.base + 1, 0, 33) == IO_URING_NOTIF_SLOT);
	CHECK(notif.slot == 1 && notif.seq == 33);
	ids.nr_slots = 0;
	CHECK(kind(ids.base, 0, 33) == IO_URING_NOTIF_REQUEST);
}

int main(void)
{
	sends();
	attach();
	flush();
	taken();
	cqes();
	return tap_end();
}
