/* SPDX-License-Identifier: GPL-2.0 */
/* Tracepoints of notification slots, called by the module. */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM io_uring_notif

#if !defined(IOU_NOTIF_TRACE_H) || defined(TRACE_HEADER_MULTI_READ)
#define IOU_NOTIF_TRACE_H

#include <linux/tracepoint.h>

struct io_ring_ctx;

/**
 * io_uring_notif_attach - a request has attached to a notifier
 * @ctx:	the ring
 * @slot:	the slot that holds the notifier
 * @notif:	which of the ring's notifiers it is, counted from 1
 * @attached:	how many requests have attached to it by now
 * @len:	bytes to send, 0 if the request sends a vector of registered buffers
 */
TRACE_EVENT(io_uring_notif_attach,

	TP_PROTO(struct io_ring_ctx *ctx, unsigned int slot, u64 notif,
		 u64 attached, size_t len),

	TP_ARGS(ctx, slot, notif, attached, len),

	TP_STRUCT__entry(
		__field(void *,		ctx)
		__field(u64,		notif)
		__field(u64,		attached)
		__field(size_t,		len)
		__field(unsigned int,	slot)
	),

	TP_fast_assign(
		__entry->ctx		= ctx;
		__entry->slot		= slot;
		__entry->attached	= attached;
		__entry->notif		= notif;
		__entry->len		= len;
	),

	TP_printk("ring %p, slot %u, notif %llu, attached %llu, len %zu",
		  __entry->ctx, __entry->slot, __entry->notif,
		  __entry->attached, __entry->len)
);

/**
 * io_uring_notif_flush - a slot has been flushed
 * @ctx:	the ring
 * @slot:	the slot
 * @notif:	the notifier that it held
 * @seq:	the sequence number that the notifier got
 * @attached:	how many requests had attached to it
 */
TRACE_EVENT(io_uring_notif_flush,

	TP_PROTO(struct io_ring_ctx *ctx, unsigned int slot, u64 notif, u32 seq,
		 u64 attached),

	TP_ARGS(ctx, slot, notif, seq, attached),

	TP_STRUCT__entry(
		__field(void *,		ctx)
		__field(unsigned int,	slot)
		__field(u32,		seq)
		__field(u64,		notif)
		__field(u64,		attached)
	),

	TP_fast_assign(
		__entry->ctx		= ctx;
		__entry->slot		= slot;
		__entry->seq		= seq;
		__entry->notif		= notif;
		__entry->attached	= attached;
	),

	TP_printk("ring %p, slot %u, notif %llu, seq %u, attached %llu",
		  __entry->ctx, __entry->slot, __entry->notif, __entry->seq,
		  __entry->attached)
);

/**
 * io_uring_notif_complete - the CQE of a notifier has been posted
 * @ctx:	the ring
 * @notif:	the notifier
 * @tag:	user_data of the CQE
 * @res:	its result
 * @cflags:	its flags
 */
TRACE_EVENT(io_uring_notif_complete,

	TP_PROTO(struct io_ring_ctx *ctx, u64 notif, u64 tag, s32 res,
		 u32 cflags),

	TP_ARGS(ctx, notif, tag, res, cflags),

	TP_STRUCT__entry(
		__field(void *,		ctx)
		__field(u64,		notif)
		__field(u64,		tag)
		__field(s32,		res)
		__field(u32,		cflags)
	),

	TP_fast_assign(
		__entry->ctx		= ctx;
		__entry->notif		= notif;
		__entry->tag		= tag;
		__entry->res		= res;
		__entry->cflags		= cflags;
	),

	TP_printk("ring %p, notif %llu, tag 0x%llx, res %d, cflags 0x%x",
		  __entry->ctx, __entry->notif, __entry->tag, __entry->res,
		  __entry->cflags)
);

#endif

#undef TRACE_INCLUDE_PATH
#define TRACE_INCLUDE_PATH ../../io_uring/notif/shim
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_FILE trace
#include <trace/define_trace.h>
