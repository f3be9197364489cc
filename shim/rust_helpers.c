// SPDX-License-Identifier: GPL-2.0
/*
 * Inline functions that the module needs and Rust can't call; included by
 * rust/helpers/helpers.c.
 */

#include <linux/io_uring_types.h>
#include <linux/nospec.h>
#include <linux/percpu-refcount.h>
#include <linux/sched.h>
#include <linux/skbuff.h>

#include "slot.h"

__rust_helper size_t rust_helper_array_index_nospec(size_t index, size_t size)
{
	return array_index_nospec(index, size);
}

__rust_helper int rust_helper_cond_resched(void)
{
	return cond_resched();
}

__rust_helper unsigned int rust_helper_io_notif_ctx_flags(struct io_ring_ctx *ctx)
{
	return ctx->flags;
}

__rust_helper struct io_notif_ring *rust_helper_io_notif_ctx_ring(struct io_ring_ctx *ctx)
{
	return ctx->notif;
}

__rust_helper void rust_helper_io_notif_ctx_set_ring(struct io_ring_ctx *ctx,
						     struct io_notif_ring *ring)
{
	ctx->notif = ring;
}

__rust_helper void rust_helper_io_notif_ctx_get(struct io_ring_ctx *ctx)
{
	percpu_ref_get(&ctx->refs);
}

__rust_helper void rust_helper_io_notif_ctx_put(struct io_ring_ctx *ctx)
{
	percpu_ref_put(&ctx->refs);
}

/* Have io_submit_flush_completions() call io_notif_ops::post. */
__rust_helper void rust_helper_io_notif_request_post(struct io_ring_ctx *ctx)
{
	ctx->submit_state.cq_flush = true;
}

__rust_helper void rust_helper_io_notif_count(enum io_notif_total what)
{
	this_cpu_inc(io_notif_totals.n[what]);
}

__rust_helper bool rust_helper_io_notif_lane_leads(const struct io_notif_lane *lane,
						   const struct task_struct *task)
{
	return io_notif_lane_leads(lane, task);
}

/* As io_put_rsrc_node(), whose cold part is not exported. */
__rust_helper void rust_helper_io_notif_put_node(struct io_ring_ctx *ctx,
						 struct io_rsrc_node *node)
{
	if (unlikely(!--node->refs))
		io_notif_free_node(ctx, node);
}

__rust_helper int rust_helper_skb_cloned(const struct sk_buff *skb)
{
	return skb_cloned(skb);
}

__rust_helper struct ubuf_info *rust_helper_skb_zcopy(struct sk_buff *skb)
{
	return skb_zcopy(skb);
}

__rust_helper void rust_helper_skb_zcopy_init(struct sk_buff *skb,
					      struct ubuf_info *uarg)
{
	skb_zcopy_init(skb, uarg);
}

/*
 * Take back skb_zcopy_init() from an skb that nothing was added to since. What it was
 * before stays: by PURE_ZEROCOPY TCP knows that its memory is not charged, and by
 * SHARED_FRAG others know that its pages are not its own.
 */
__rust_helper void rust_helper_io_notif_skb_take_back(struct sk_buff *skb)
{
	struct skb_shared_info *shinfo = skb_shinfo(skb);

	shinfo->flags &= ~(SKBFL_ZEROCOPY_ENABLE | SKBFL_DONT_ORPHAN |
			   SKBFL_MANAGED_FRAG_REFS);
	if (!shinfo->nr_frags)
		shinfo->flags &= ~SKBFL_SHARED_FRAG;
}

/* Give an skb that has one another ubuf_info, and with it the skb's reference. */
__rust_helper void rust_helper_io_notif_skb_replace(struct sk_buff *skb,
						    struct ubuf_info *uarg)
{
	skb_shinfo(skb)->destructor_arg = uarg;
}
