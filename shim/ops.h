/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Notification slots and kernel-owned buffers: what the module (../rust) does for
 * io_uring.
 */
#ifndef IOU_NOTIF_OPS_H
#define IOU_NOTIF_OPS_H

#include <linux/io_uring_types.h>
#include <linux/llist.h>
#include <linux/skbuff.h>

#include "kbuf.h"

struct io_notif_head;
struct io_notif_link;
struct io_rsrc_node;
struct module;
struct seq_file;

/* What io_notif_ops::settle returns. */
enum {
	/* there are more notifications to post */
	IO_NOTIF_MORE		= 1,
	/* no slots and nothing in flight: free ctx->notif */
	IO_NOTIF_DONE		= 2,
};

/* So many notifications are posted with the CQ locked. */
#define IO_NOTIF_BATCH		64

/**
 * struct io_notif_ops - what the module does for io_uring
 * @owner:	the module
 * @register_slots: IORING_REGISTER_NOTIFIERS; makes ctx->notif when there is none
 * @unregister_slots: IORING_UNREGISTER_NOTIFIERS. 1: done, free ctx->notif
 * @exit:	the ring is closed: unregister what is there. True: free ctx->notif
 * @update:	flush slots off to off + len, set their tags unless tag is 0.
 *		Returns how many notifiers were flushed. With @remote the context
 *		doesn't flush completions
 * @attach:	attach a request of @len bytes to the slot's notifier. SIZE_MAX: not
 *		known, as it sends a vector of registered buffers. Of its flags
 *		IORING_SEND_ZC_REPORT_USAGE and IORING_RECVSEND_NOTIF_FLUSH count.
 *		@nr_pages count against RLIMIT_MEMLOCK, unless it is copied
 * @pin:	keep the registered buffer @node until the notifier has been
 *		posted, and put the notifier's number into it. Takes over a
 *		reference to it, also when it fails
 * @detach:	a request is over, whatever its result was. @remote as above
 * @detach_bearer: so is the request whose CQE is the notification, which gets its
 *		@user_data and @res, or is not posted if @mute
 * @deliver:	completed notifiers, @first to @last by ->next, came by their lane
 * @deliver_link: so did a link, whose notifiers may complete by that
 * @post:	post up to IO_NOTIF_BATCH notifications. Under the ring's CQ lock.
 *		True: call @settle after it is unlocked
 * @settle:	end what was posted: let go of buffers and of locked memory. Flags
 *		IO_NOTIF_MORE, IO_NOTIF_DONE
 * @divert:	the ring is closed: its lanes don't wait for their tasks
 * @free:	free ctx->notif
 * @show:	describe the slots, a part of the ring's fdinfo
 * @kbuf_quota:	make what counts the ring's buffers of IORING_OP_GET_BUF; it has a
 *		reference. NULL: no memory
 * @kbuf_place:	may a buffer go to such a place? @replace as the request has it
 * @kbuf_fill:	have io_kbuf_run() fill a buffer by @source and @from. What it holds
 *		then counts until @kbuf_release, and takes a reference to the quota
 * @kbuf_admit:	may the buffer hold so many pages more? Called in io_kbuf_run().
 *		How many count from now on, which may be more, or -ENOMEM
 * @kbuf_release: @nr_pages don't count any more, and the reference is given up.
 *		True: it was the last one
 * @kbuf_count:	how many buffers of the quota there are, and how many pages count
 * @kbuf_put:	the ring is gone: give its reference up. True: it was the last one
 * @complete:	an skb is done with the notifier's pages, or they were copied
 *		unless @success
 * @complete_link: the same, of all notifiers of a link
 *
 * All are called in task context. Those that get the ring are called with its
 * ->uring_lock held. The last two are called in any context, with preemption
 * disabled or as an RCU reader.
 */
struct io_notif_ops {
	struct module *owner;

	int (*register_slots)(struct io_ring_ctx *ctx, void __user *arg,
			      unsigned int size);
	int (*unregister_slots)(struct io_ring_ctx *ctx);
	bool (*exit)(struct io_ring_ctx *ctx);
	int (*update)(struct io_ring_ctx *ctx, u32 off, u32 len, u64 tag,
		      bool remote);
	struct io_notif_head *(*attach)(struct io_ring_ctx *ctx,
					unsigned int idx, size_t len,
					unsigned int flags,
					unsigned long nr_pages);
	int (*pin)(struct io_ring_ctx *ctx, struct io_notif_head *notif,
		   struct io_rsrc_node *node);
	void (*detach)(struct io_ring_ctx *ctx, struct io_notif_head *notif,
		       bool remote);
	void (*detach_bearer)(struct io_ring_ctx *ctx,
			      struct io_notif_head *notif, u64 user_data,
			      s32 res, bool mute, bool remote);
	void (*deliver)(struct io_ring_ctx *ctx, struct llist_node *first,
			struct llist_node *last);
	void (*deliver_link)(struct io_ring_ctx *ctx,
			     struct io_notif_link *link);
	bool (*post)(struct io_ring_ctx *ctx);
	unsigned int (*settle)(struct io_ring_ctx *ctx);
	void (*divert)(struct io_ring_ctx *ctx);
	void (*free)(struct io_ring_ctx *ctx);
	void (*show)(struct io_ring_ctx *ctx, struct seq_file *m);
	struct io_kbuf_quota *(*kbuf_quota)(struct io_ring_ctx *ctx);
	int (*kbuf_place)(enum io_kbuf_place place, bool replace);
	ssize_t (*kbuf_fill)(struct io_kbuf_quota *quota,
			     struct io_kbuf_take *take,
			     io_kbuf_source *source, void *from);
	int (*kbuf_admit)(struct io_kbuf_filling *filling,
			  unsigned int nr_pages);
	bool (*kbuf_release)(struct io_kbuf_quota *quota,
			     unsigned int nr_pages);
	void (*kbuf_count)(const struct io_kbuf_quota *quota,
			   unsigned long *buffers, unsigned long *pages);
	bool (*kbuf_put)(struct io_kbuf_quota *quota);
	void (*complete)(struct ubuf_info *ubuf, bool success);
	void (*complete_link)(struct ubuf_info *ubuf, bool success);
};

#endif
