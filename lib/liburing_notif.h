/* SPDX-License-Identifier: GPL-2.0 OR MIT */
/*
 * Notification slots for programs that use liburing: zero-copy sends of which
 * many share one notification. On top of any liburing from 2.3 on, in C (from
 * C99 on, with _GNU_SOURCE or _DEFAULT_SOURCE) and C++ (from C++11 on); nothing
 * to link but liburing. It doesn't matter whether <linux/io_uring.h> knows of
 * slots, nor what is included first. See io_uring_notif(7).
 */
#ifndef LIBURING_NOTIF_H
#define LIBURING_NOTIF_H

#include <liburing.h>

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifdef LIBURING_HAVE_NOTIF
/* This liburing has all that follows, with the UAPI's names of structs. */
#define io_uring_notif_slot	io_uring_notification_slot
#define io_uring_notif_dgram	io_uring_dgram
#define io_uring_notif_caps	io_uring_query_notif
#else

/* In C99 and in C++; there is no such array */
#define IO_URING_NOTIF_ASSERT(what)	extern char io_uring_notif_assert[(what) ? 1 : -1]

#ifdef IORING_NOTIF_REG_RAW_SEQ
#define IO_URING_NOTIF_HAVE_UAPI	1
#endif

/*
 * Names of the UAPI, spelled as it spells them, so that defining them twice is
 * no error. What the UAPI has as an enum or a struct has names of our own below:
 * liburing 2.3 has other structs by those names, left over from 2022.
 */
#ifndef IORING_SEND_ZC_REPORT_USAGE	/* 6.2 */
#define IORING_SEND_ZC_REPORT_USAGE	(1U << 3)
#define IORING_NOTIF_USAGE_ZC_COPIED    (1U << 31)
#endif
#ifndef IORING_SEND_VECTORIZED		/* 6.17 */
#define IORING_SEND_VECTORIZED		(1U << 5)
#endif
#ifndef IO_URING_NOTIF_HAVE_UAPI
#define IORING_SEND_ZC_NOTIF_SLOT	(1U << 6)
#define IORING_RECVSEND_NOTIF_FLUSH	(1U << 7)
#define IORING_NOTIF_REG_RAW_SEQ	(1U << 0)
#define IORING_MAX_NOTIF_SLOTS	(1U << 15)
#define IORING_NOTIF_SLOT_MERGE		(1U << 0)
#define IORING_NOTIF_SLOT_SEGMENTS	(1U << 1)
#define IORING_NOTIF_SLOT_FALLBACK	(1U << 2)
#define IORING_CQE_F_ZC_COPIED		(1U << 16)
#define IORING_SEND_ZC_MANY		(1U << 8)
#endif

/* Numbers of the UAPI that are enums there */
enum {
	IO_URING_NOTIF_REGISTER_QUERY	= 35,	/* IORING_REGISTER_QUERY */
	IO_URING_NOTIF_REGISTER		= 38,	/* IORING_REGISTER_NOTIFIERS */
	IO_URING_NOTIF_UNREGISTER	= 39,	/* IORING_UNREGISTER_NOTIFIERS */
	IO_URING_NOTIF_QUERY_OPCODES	= 0,	/* IO_URING_QUERY_OPCODES */
	IO_URING_NOTIF_QUERY		= 4,	/* IO_URING_QUERY_NOTIF */
	IO_URING_NOTIF_UPDATE		= 1,	/* IORING_RSRC_UPDATE_NOTIF */
	IO_URING_NOTIF_SEQ_SHIFT	= 16,	/* IORING_CQE_BUFFER_SHIFT */
	IO_URING_NOTIF_IDX_OFFSET	= 46,	/* of sqe->notification_idx */
	IO_URING_NOTIF_MAX_DGRAMS	= 256
};

/* A slot to be registered: struct io_uring_notification_slot */
struct io_uring_notif_slot {
	__u64 tag;		/* user_data of its notifications */
	__u32 flags;		/* IORING_NOTIF_SLOT_* */
	__u32 copy_below;	/* shorter sends are copied, 0: none */
	__u32 flush_after;	/* requests, then it flushes itself, 0: never */
	__u32 resv[3];
};

/* struct io_uring_notification_register */
struct io_uring_notif_register {
	__u32 nr_slots;
	__u32 flags;
	__u64 resv2;
	__u64 data;
	__u64 resv3;
};

/* One of many datagrams of a request: struct io_uring_dgram */
struct io_uring_notif_dgram {
	__u64 addr;
	__u64 name;		/* where to, 0: the connected address */
	__u32 len;
	__u16 name_len;
	__u16 gso_size;	/* 0: one datagram, else of so many bytes each */
	__u64 resv;
};

/* What the kernel can do: struct io_uring_query_notif */
struct io_uring_notif_caps {
	__u32 register_flags;	/* IORING_NOTIF_REG_* */
	__u32 slot_flags;		/* IORING_NOTIF_SLOT_* */
	__u32 max_slots;
	__u32 slot_size;
	__u32 send_flags;		/* IORING_SEND_ZC_MANY or 0 */
	__u32 get_buf_flags;	/* of GET_BUF, 0: there is none */
};

/* struct io_uring_query_hdr */
struct io_uring_notif_query_hdr {
	__u64 next_entry;
	__u64 query_data;
	__u32 query_op;
	__u32 size;
	__s32 result;
	__u32 resv[3];
};

/* struct io_uring_query_opcode */
struct io_uring_notif_query_opcode {
	__u32 nr_request_opcodes;
	__u32 nr_register_opcodes;
	__u64 flags[4];
	__u32 nr_query_opcodes;
	__u32 pad;
};

IO_URING_NOTIF_ASSERT(sizeof(struct io_uring_notif_slot) == 32);
IO_URING_NOTIF_ASSERT(offsetof(struct io_uring_notif_slot, flush_after) == 16);
IO_URING_NOTIF_ASSERT(sizeof(struct io_uring_notif_register) == 32);
IO_URING_NOTIF_ASSERT(offsetof(struct io_uring_notif_register, data) == 16);
IO_URING_NOTIF_ASSERT(sizeof(struct io_uring_notif_dgram) == 32);
IO_URING_NOTIF_ASSERT(offsetof(struct io_uring_notif_dgram, gso_size) == 22);
IO_URING_NOTIF_ASSERT(sizeof(struct io_uring_notif_caps) == 24);
IO_URING_NOTIF_ASSERT(offsetof(struct io_uring_notif_caps, send_flags) == 16);
IO_URING_NOTIF_ASSERT(sizeof(struct io_uring_notif_query_hdr) == 40);
IO_URING_NOTIF_ASSERT(sizeof(struct io_uring_notif_query_opcode) == 48);
IO_URING_NOTIF_ASSERT(offsetof(struct io_uring_sqe, addr_len) + 2 == IO_URING_NOTIF_IDX_OFFSET);
#ifdef IO_URING_NOTIF_HAVE_UAPI
IO_URING_NOTIF_ASSERT(sizeof(struct io_uring_notification_slot) == 32);
IO_URING_NOTIF_ASSERT(sizeof(struct io_uring_notification_register) == 32);
IO_URING_NOTIF_ASSERT(offsetof(struct io_uring_sqe, notification_idx) == IO_URING_NOTIF_IDX_OFFSET);
IO_URING_NOTIF_ASSERT(sizeof(struct io_uring_dgram) == 32);
#endif

/* io_uring_register(2): liburing 2.3 has no call for opcodes of ours. */
static inline int io_uring_notif_syscall(int fd, unsigned int op, void *arg, unsigned int nr)
{
	long ret = syscall(__NR_io_uring_register, fd, op, arg, nr);

	return ret < 0 ? -errno : (int)ret;
}

static inline int io_uring_notif_syscall_ring(struct io_uring *ring, unsigned int op, void *arg,
					      unsigned int nr)
{
	/* a ring whose descriptor was closed is known by its registered one */
	if (ring->ring_fd < 0)
		return io_uring_notif_syscall(ring->enter_ring_fd, op | 1U << 31, arg, nr);
	return io_uring_notif_syscall(ring->ring_fd, op, arg, nr);
}

/*
 * Ask what the kernel can do; needs no ring, and loads the module. 0, or what
 * io_uring_notif_advice() explains: -ENOSYS for a kernel without slots,
 * -EOPNOTSUPP without the module. @caps is all zero then.
 */
static inline int io_uring_notif_query(struct io_uring_notif_caps *caps)
{
	struct io_uring_notif_query_opcode opcodes;
	struct io_uring_notif_query_hdr all, notif;
	int ret;

	memset(caps, 0, sizeof(*caps));
	memset(&opcodes, 0, sizeof(opcodes));
	memset(&notif, 0, sizeof(notif));
	notif.query_op = IO_URING_NOTIF_QUERY;
	notif.query_data = (uintptr_t)caps;
	notif.size = sizeof(*caps);
	memset(&all, 0, sizeof(all));
	all.next_entry = (uintptr_t)&notif;
	all.query_op = IO_URING_NOTIF_QUERY_OPCODES;
	all.query_data = (uintptr_t)&opcodes;
	all.size = sizeof(opcodes);

	ret = io_uring_notif_syscall(-1, IO_URING_NOTIF_REGISTER_QUERY, &all, 0);
	if (ret == -EINVAL || ret == -EBADF)	/* before 6.18 */
		ret = -ENOSYS;
	else if (!ret && (all.result || opcodes.nr_query_opcodes <= IO_URING_NOTIF_QUERY + 0U))
		ret = -ENOSYS;
	else if (!ret)
		ret = notif.result;
	/* another kernel's query of this number */
	if (!ret && caps->slot_size != sizeof(struct io_uring_notif_slot))
		ret = -ENOSYS;
	if (ret)
		memset(caps, 0, sizeof(*caps));
	return ret;
}

/* What to do about an error of query or register, in one line */
static inline const char *io_uring_notif_advice(int error)
{
	switch (error < 0 ? -error : error) {
	case ENOSYS:
		return "this kernel has no notification slots: boot one, or use SEND_ZC";
	case EOPNOTSUPP:
		return "no module: modprobe io_uring_notif; is io_uring disabled here?";
	case EPERM:
	case EACCES:
		return "io_uring is not allowed here: /proc/sys/kernel/io_uring_disabled";
	case EBUSY:
		return "the ring has slots already: unregister them first";
	case EINVAL:
		return "no slots in this kernel, or an unknown flag: query what it has";
	case ENOMEM:
		return "no memory for so many slots";
	default:
		return "see io_uring_notif(7)";
	}
}

/* Register @nr slots; @flags: IORING_NOTIF_REG_*. 0 or -errno. */
static inline int io_uring_notif_register(struct io_uring *ring,
					  const struct io_uring_notif_slot *slots,
					  unsigned int nr, unsigned int flags)
{
	struct io_uring_notif_register reg;

	memset(&reg, 0, sizeof(reg));
	reg.nr_slots = nr;
	reg.flags = flags;
	reg.data = (uintptr_t)slots;
	return io_uring_notif_syscall_ring(ring, IO_URING_NOTIF_REGISTER, &reg, sizeof(reg));
}

/* Flush and remove all slots; notifications still come. 0 or -errno. */
static inline int io_uring_notif_unregister(struct io_uring *ring)
{
	return io_uring_notif_syscall_ring(ring, IO_URING_NOTIF_UNREGISTER, NULL, 0);
}

/*
 * Let a request that was prepared already (SEND_ZC, SENDMSG_ZC) attach to @slot;
 * @zc_flags: IORING_RECVSEND_NOTIF_FLUSH, IORING_SEND_ZC_REPORT_USAGE or others
 * of sqe->ioprio.
 */
static inline void io_uring_notif_attach(struct io_uring_sqe *sqe, unsigned int slot,
					 unsigned int zc_flags)
{
	__u16 index = (__u16)slot;

	sqe->ioprio = (__u16)(sqe->ioprio | zc_flags | IORING_SEND_ZC_NOTIF_SLOT);
	/* by its offset: headers without slots have no name for it */
	memcpy((unsigned char *)sqe + IO_URING_NOTIF_IDX_OFFSET, &index, sizeof(index));
}

/* Prepare a zero-copy send(2) that attaches to @slot. */
static inline void io_uring_notif_prep_send(struct io_uring_sqe *sqe, int fd, const void *buf,
					    size_t len, int msg_flags, unsigned int slot,
					    unsigned int zc_flags)
{
	io_uring_prep_send_zc(sqe, fd, (void *)(uintptr_t)buf, len, msg_flags, 0);
	io_uring_notif_attach(sqe, slot, zc_flags);
}

/* The same from the registered buffer @buf_index, which @buf is in */
static inline void io_uring_notif_prep_send_fixed(struct io_uring_sqe *sqe, int fd,
						  const void *buf, size_t len, int msg_flags,
						  unsigned int slot, unsigned int zc_flags,
						  unsigned int buf_index)
{
	io_uring_notif_prep_send(sqe, fd, buf, len, msg_flags, slot,
				 zc_flags | IORING_RECVSEND_FIXED_BUF);
	sqe->buf_index = (__u16)buf_index;
}

/* Prepare a zero-copy sendmsg(2); @msg is read as the request is submitted. */
static inline void io_uring_notif_prep_sendmsg(struct io_uring_sqe *sqe, int fd,
					       const struct msghdr *msg, unsigned int msg_flags,
					       unsigned int slot, unsigned int zc_flags)
{
	io_uring_prep_sendmsg_zc(sqe, fd, msg, msg_flags);
	io_uring_notif_attach(sqe, slot, zc_flags);
}

/* Describe a datagram; @gso_size 0: one, else segments of so many bytes. */
static inline void io_uring_notif_dgram_set(struct io_uring_notif_dgram *dgram, const void *data,
					    size_t len, const struct sockaddr *name,
					    socklen_t name_len, unsigned int gso_size)
{
	dgram->addr = (uintptr_t)data;
	dgram->len = (__u32)len;
	dgram->name = (uintptr_t)name;
	dgram->name_len = (__u16)name_len;
	dgram->gso_size = (__u16)gso_size;
	dgram->resv = 0;
}

/*
 * Prepare one request that sends @nr (1 to 256) datagrams; @dgrams and names are
 * read as it is submitted. res: how many were sent. Needs caps.send_flags to have
 * IORING_SEND_ZC_MANY. With IORING_RECVSEND_FIXED_BUF in @zc_flags set
 * sqe->buf_index afterwards.
 */
static inline void io_uring_notif_prep_many(struct io_uring_sqe *sqe, int fd,
					    const struct io_uring_notif_dgram *dgrams,
					    unsigned int nr, int msg_flags, unsigned int slot,
					    unsigned int zc_flags)
{
	io_uring_notif_prep_send(sqe, fd, dgrams, nr, msg_flags, slot,
				 zc_flags | IORING_SEND_ZC_MANY);
}

/*
 * Prepare a flush of the slots [@first, @first + @nr): res says how many
 * notifiers it flushed, slots that nothing attached to are passed over. Their
 * next notifiers have tag @tag, 0: the one they had.
 */
static inline void io_uring_notif_prep_flush(struct io_uring_sqe *sqe, unsigned int first,
					     unsigned int nr, __u64 tag)
{
	io_uring_prep_files_update(sqe, NULL, nr, 0);
	sqe->off = first;
	sqe->addr = tag;
	sqe->ioprio = IO_URING_NOTIF_UPDATE;
}

/* How a program tells its CQEs apart: it must give no request such a user_data. */
struct io_uring_notif_ids {
	__u64 base;		/* tag of slot 0; slot n's is base + n */
	__u64 bearer;	/* bit of user_data that only bearers have, or 0 */
	__u32 nr_slots;
	__u32 reg_flags;	/* as registered: IORING_NOTIF_REG_* */
};

enum io_uring_notif_kind {
	IO_URING_NOTIF_REQUEST,	/* a request is over; nothing follows from it */
	IO_URING_NOTIF_MORE,	/* a request is over, its notification follows */
	IO_URING_NOTIF_OTHER,	/* the notification of SEND_ZC without a slot */
	IO_URING_NOTIF_SLOT,	/* the notification of a slot */
	IO_URING_NOTIF_BEARER	/* of a slot with MERGE: both in one */
};

/* What a CQE of kind SLOT or BEARER says */
struct io_uring_notif {
	__u32 slot;		/* SLOT only */
	__u32 seq;		/* SLOT only: 16 bits of it, 32 with RAW_SEQ */
	bool copied;		/* asked for by IORING_SEND_ZC_REPORT_USAGE */
};

/* Give the slots the tags that io_uring_notif_read() knows them by. */
static inline void io_uring_notif_set_tags(struct io_uring_notif_slot *slots,
					   const struct io_uring_notif_ids *ids)
{
	__u32 i;

	for (i = 0; i < ids->nr_slots; i++)
		slots[i].tag = ids->base + i;
}

/*
 * Say what @cqe is. The buffers are the program's again with OTHER (that
 * request's), SLOT and BEARER (all of the notifier's): not with REQUEST, unless
 * the request was no zero-copy send or failed as it was prepared.
 */
static inline enum io_uring_notif_kind io_uring_notif_read(const struct io_uring_cqe *cqe,
							   const struct io_uring_notif_ids *ids,
							   struct io_uring_notif *notif)
{
	__u64 slot = cqe->user_data - ids->base;
	bool raw = ids->reg_flags & IORING_NOTIF_REG_RAW_SEQ;
	bool ours = slot < ids->nr_slots;

	notif->slot = 0;
	notif->seq = 0;
	notif->copied = false;
	if (ours && (raw || cqe->flags & IORING_CQE_F_NOTIF)) {
		notif->slot = (__u32)slot;
		notif->seq = raw ? cqe->flags : cqe->flags >> IO_URING_NOTIF_SEQ_SHIFT;
		notif->copied = (__u32)cqe->res & IORING_NOTIF_USAGE_ZC_COPIED;
		return IO_URING_NOTIF_SLOT;
	}
	if (cqe->flags & IORING_CQE_F_NOTIF)
		return IO_URING_NOTIF_OTHER;
	if (cqe->user_data & ids->bearer) {
		notif->copied = cqe->flags & IORING_CQE_F_ZC_COPIED;
		return IO_URING_NOTIF_BEARER;
	}
	return cqe->flags & IORING_CQE_F_MORE ? IO_URING_NOTIF_MORE : IO_URING_NOTIF_REQUEST;
}

#endif
#endif
