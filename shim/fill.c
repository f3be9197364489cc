// SPDX-License-Identifier: GPL-2.0
/*
 * Notification slots: how an skb gets what a request sends. From registered
 * buffers, from plain ones, and from plain vectors whose short segments are
 * copied, IORING_NOTIF_SLOT_SEGMENTS: looking up the page of a header of a few
 * bytes costs more than copying it.
 */
#include <linux/mm.h>
#include <linux/sched.h>
#include <linux/skbuff.h>
#include <linux/uaccess.h>
#include <linux/uio.h>
#include <net/sock.h>

#include "../../net.h"
#include "slot.h"

static inline struct io_async_msghdr *io_slot_kmsg(struct iov_iter *from)
{
	return container_of(from, struct io_async_msghdr, msg.msg_iter);
}

/*
 * The network stack may copy what it was asked not to and never tell, when the
 * device has no scatter-gather for instance. So count what it takes.
 */
static inline void io_slot_count(struct iov_iter *from, size_t taken)
{
	io_slot_kmsg(from)->zc_len += taken;
}

static noinline int io_slot_sg_from_bvec(struct sk_buff *skb,
					 struct iov_iter *from, size_t length)
{
	size_t count = from->count;
	int ret = __zerocopy_fill_skb_from_bvec(skb, from, length);

	/* no -EFAULT: the memory is there */
	io_slot_count(from, count - from->count);
	return ret;
}

/**
 * io_slot_sg_from_iter() - fill an skb from a registered buffer
 * @skb:	the skb
 * @from:	the buffer, the msg_iter of a struct io_async_msghdr
 * @length:	how many bytes, at most
 *
 * As msghdr.sg_from_iter. The notifier keeps the buffer. Task context.
 *
 * Return: 0, or -EMSGSIZE if @skb has no room for all of them.
 */
int io_slot_sg_from_iter(struct sk_buff *skb, struct iov_iter *from,
			 size_t length)
{
	size_t filled = zerocopy_fill_skb_from_segment(skb, from, length);

	if (unlikely(!filled))
		return io_slot_sg_from_bvec(skb, from, length);
	io_slot_count(from, filled);
	return 0;
}

static inline int io_slot_sg_from_user(struct sk_buff *skb,
				       struct iov_iter *from, size_t length)
{
	size_t count = from->count;
	int ret = zerocopy_fill_skb_from_iter(skb, from, length);

	/* what is counted and then reverted would hide that it was copied */
	if (likely(ret != -EFAULT))
		io_slot_count(from, count - from->count);
	return ret;
}

static noinline int io_slot_sg_downgrade(struct sk_buff *skb,
					 struct iov_iter *from, size_t length)
{
	skb_zcopy_downgrade_managed(skb);
	return io_slot_sg_from_user(skb, from, length);
}

/**
 * io_slot_sg_from_iter_iovec() - fill an skb from a plain buffer or vector
 * @skb:	the skb
 * @from:	the buffer, the msg_iter of a struct io_async_msghdr
 * @length:	how many bytes, at most
 *
 * As msghdr.sg_from_iter. Task context, may sleep.
 *
 * Return: 0, -EMSGSIZE if @skb has no room for all of them, or -EFAULT.
 */
int io_slot_sg_from_iter_iovec(struct sk_buff *skb, struct iov_iter *from,
			       size_t length)
{
	if (unlikely(skb_zcopy_managed(skb)))
		return io_slot_sg_downgrade(skb, from, length);
	return io_slot_sg_from_user(skb, from, length);
}

/*
 * The first segment that isn't empty. False if it is to be sent without a copy;
 * in either case @left is how many bytes of it there are.
 */
static bool io_slot_segment_is_short(struct iov_iter *from, size_t *left)
{
	struct io_async_msghdr *kmsg = io_slot_kmsg(from);
	struct io_notif_head *notif = container_of(kmsg->msg.msg_ubuf,
						   struct io_notif_head, ubuf);
	size_t len;

	while (iter_iov(from)->iov_len == from->iov_offset) {
		from->iov_offset = 0;
		from->nr_segs--;
		from->__iov++;
	}
	len = iter_iov(from)->iov_len;
	*left = len - from->iov_offset;
	return len < notif->copy_below;
}

/*
 * An skb of TCP's that has zero-copied pages only is not charged to the memory of
 * the socket. Charge what it had, @truesize, as tcp_downgrade_zcopy_pure() does,
 * before anything is copied to it; what is added now is for the caller to charge.
 */
static bool io_slot_charge_pure(struct sock *sk, struct sk_buff *skb,
				unsigned int truesize, size_t length)
{
	unsigned int base = SKB_TRUESIZE(skb_end_offset(skb));

	if (!sk_wmem_schedule(sk, skb->truesize - base + length))
		return false;
	sk_mem_charge(sk, truesize - base);
	skb_shinfo(skb)->flags &= ~SKBFL_PURE_ZEROCOPY;
	return true;
}

/* Whether what is copied next lies right behind what the skb has. */
static bool io_slot_continues(const struct sk_buff *skb,
			      const struct page_frag *pfrag)
{
	const struct skb_shared_info *shinfo = skb_shinfo(skb);
	const skb_frag_t *last;

	if (!shinfo->nr_frags)
		return false;
	last = &shinfo->frags[shinfo->nr_frags - 1];
	return skb_frag_page(last) == pfrag->page &&
	       skb_frag_off(last) + skb_frag_size(last) == pfrag->offset;
}

static void io_slot_add_copied(struct sk_buff *skb, struct page_frag *pfrag,
			       size_t copied)
{
	struct skb_shared_info *shinfo = skb_shinfo(skb);

	if (io_slot_continues(skb, pfrag)) {
		skb_frag_size_add(&shinfo->frags[shinfo->nr_frags - 1], copied);
	} else {
		get_page(pfrag->page);
		skb_fill_page_desc(skb, shinfo->nr_frags, pfrag->page,
				   pfrag->offset, copied);
	}
	pfrag->offset += copied;
	skb->len += copied;
	skb->data_len += copied;
	skb->truesize += copied;
}

/* Copy up to @length bytes from @addr. Return how many, or -EFAULT. */
static ssize_t io_slot_copy(struct sk_buff *skb, const void __user *addr,
			    size_t length, struct page_frag *pfrag)
{
	length = min_t(size_t, length, pfrag->size - pfrag->offset);
	if (copy_from_user(page_address(pfrag->page) + pfrag->offset, addr,
			   length))
		return -EFAULT;
	io_slot_add_copied(skb, pfrag, length);
	return length;
}

static int io_slot_fill_from_segments(struct sk_buff *skb,
				      struct iov_iter *from, size_t length)
{
	struct sock *sk = io_slot_kmsg(from)->sk;
	/* datagrams may be built without the socket's lock: not sk->sk_frag */
	struct page_frag *pfrag = &current->task_frag;
	unsigned int truesize = skb->truesize;

	while (length) {
		void __user *addr;
		struct iov_iter segment;
		ssize_t done;
		size_t left;
		bool copy;
		int ret = 0;

		copy = io_slot_segment_is_short(from, &left);
		left = min(left, length);
		/*
		 * Room for all of it: in two places it would take two fragments, which a
		 * datagram may not have. Who is short of memory needs none for what
		 * isn't copied.
		 */
		copy = copy &&
		       skb_page_frag_refill(min_t(size_t, left, PAGE_SIZE), pfrag,
					    GFP_KERNEL) &&
		       (!skb_zcopy_pure(skb) ||
			io_slot_charge_pure(sk, skb, truesize, length));
		addr = iter_iov(from)->iov_base + from->iov_offset;
		if (copy) {
			if (skb_shinfo(skb)->nr_frags == MAX_SKB_FRAGS &&
			    !io_slot_continues(skb, pfrag))
				return -EMSGSIZE;
			done = io_slot_copy(skb, addr, left, pfrag);
			if (done < 0)
				return done;
		} else {
			iov_iter_ubuf(&segment, ITER_SOURCE, addr, left);
			ret = zerocopy_fill_skb_from_iter(skb, &segment, left);
			done = left - segment.count;
		}
		from->iov_offset += done;
		from->count -= done;
		length -= done;
		if (ret)
			return ret;
	}
	return 0;
}

/**
 * io_slot_sg_from_segments() - fill an skb from a plain vector
 * @skb:	the skb
 * @from:	the vector, the msg_iter of a struct io_async_msghdr
 * @length:	how many bytes, at most what @from has
 *
 * As msghdr.sg_from_iter. What is copied counts as not copied, as the program
 * asked for it. Task context, may sleep.
 *
 * Return: 0, -EMSGSIZE if @skb has no room for all of them, or -EFAULT.
 */
int io_slot_sg_from_segments(struct sk_buff *skb, struct iov_iter *from,
			     size_t length)
{
	size_t count = from->count;
	int ret;

	/* fragments with and without a reference of their own don't mix */
	skb_zcopy_downgrade_managed(skb);
	ret = io_slot_fill_from_segments(skb, from, min(length, count));
	/* what is counted and then reverted would hide that it was copied */
	if (likely(ret != -EFAULT))
		io_slot_count(from, count - from->count);
	return ret;
}
