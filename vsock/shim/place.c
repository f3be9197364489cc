// SPDX-License-Identifier: GPL-2.0
/*
 * From a socket's queue to pages of a mapping.
 *
 * Here and in the module a queue is only read: packets keep their pages until
 * transport->rx_consume(), so that a call that fails has taken nothing.
 */
#include <linux/gfp.h>
#include <linux/mm.h>
#include <linux/virtio_vsock.h>
#include <net/af_vsock.h>

#include "map_rx.h"

/* So many pages are inserted by a call. */
#define PLACE_BATCH	BITS_PER_LONG

/* Where in a queue we are. */
struct rx_pos {
	const struct sk_buff_head *queue;
	struct sk_buff *skb;
	u32 offset;	/* of the next byte in it */
};

/* Pages on their way to the mapping. */
struct rx_batch {
	struct vm_area_struct *vma;
	unsigned long address;		/* of the first of them */
	unsigned long placed;		/* pages before them */
	unsigned int nr;
	unsigned long ours;		/* bit by bit: we have a reference to it */
	struct page *pages[PLACE_BATCH];
};

/* Where the pages that can be mapped start: skb->len if there are none. */
static u32 rx_first_page(const struct sk_buff *skb, u32 offset)
{
	/* data_len differs where the sender announced more than it sent */
	if (!VIRTIO_VSOCK_SKB_CB(skb)->own_pages || skb->len != skb->data_len ||
	    skb_cloned(skb) || skb_shared(skb))
		return skb->len;

	return min_t(u32, PAGE_ALIGN(offset), skb->len);
}

/**
 * vsock_map_rx_packets() - describe packets of a queue
 * @vsk:     a connected socket, with its sk_lock held
 * @next:    the packet to start with, NULL: the first one; then that after the
 *	     last one described
 * @packets: where to
 * @max:     how many at most
 *
 * Return: how many; fewer than @max at the end.
 */
unsigned int vsock_map_rx_packets(struct vsock_sock *vsk, struct sk_buff **next,
				  struct vsock_rx_packet *packets,
				  unsigned int max)
{
	struct sk_buff_head *queue = vsk->transport->rx_queue(vsk);
	struct sk_buff *skb = *next ?: queue->next;
	bool messages = vsock_map_rx_has_messages(vsk);
	unsigned int nr;

	BUILD_BUG_ON(VIRTIO_VSOCK_SEQ_EOM != VSOCK_RX_HDR_EOM);
	BUILD_BUG_ON(VIRTIO_VSOCK_SEQ_EOR != VSOCK_RX_HDR_EOR);

	for (nr = 0; nr < max && skb != (struct sk_buff *)queue; nr++) {
		u32 offset = VIRTIO_VSOCK_SKB_CB(skb)->offset;
		struct vsock_rx_packet *packet = &packets[nr];

		packet->len = skb->len - offset;
		packet->head = rx_first_page(skb, offset) - offset;
		packet->flags = 0;
		if (messages)
			packet->flags = le32_to_cpu(virtio_vsock_hdr(skb)->flags) &
				(VSOCK_RX_HDR_EOM | VSOCK_RX_HDR_EOR);
		skb = skb->next;
	}
	*next = skb;
	return nr;
}
EXPORT_SYMBOL_GPL(vsock_map_rx_packets);

/* Bytes left in the packet, 0 at the end of the queue. */
static u32 rx_left(const struct rx_pos *pos)
{
	if (pos->skb == (const struct sk_buff *)pos->queue)
		return 0;
	return pos->skb->len - pos->offset;
}

/* To the next byte. What has none is skipped: guests can send such packets. */
static void rx_advance(struct rx_pos *pos, u32 len)
{
	pos->offset += len;
	while (pos->offset == pos->skb->len) {
		pos->skb = pos->skb->next;
		pos->offset = 0;
		if (pos->skb == (const struct sk_buff *)pos->queue)
			break;
	}
}

/* So many bytes of the first packet have been received. */
static void rx_start(struct rx_pos *pos, const struct sk_buff_head *queue)
{
	pos->queue = queue;
	pos->skb = queue->next;
	pos->offset = 0;
	if (!skb_queue_empty(queue))
		rx_advance(pos, VIRTIO_VSOCK_SKB_CB(pos->skb)->offset);
}

/* A copy of @len bytes of one packet or more, in a page of its own. */
static struct page *rx_copy_page(struct rx_pos *pos, u32 len)
{
	struct page *page = alloc_page(GFP_KERNEL);
	u32 done = 0, n;

	if (!page)
		return NULL;
	while (done < len) {
		n = min(len - done, rx_left(pos));
		if (WARN_ON_ONCE(!n || skb_copy_bits(pos->skb, pos->offset,
						     page_address(page) + done, n))) {
			__free_page(page);
			return NULL;
		}
		rx_advance(pos, n);
		done += n;
	}
	if (len < PAGE_SIZE)
		memset(page_address(page) + len, 0, PAGE_SIZE - len);
	return page;
}

/* Insert what there is. What couldn't be is forgotten. */
static int rx_flush(struct rx_batch *batch)
{
	unsigned long left = batch->nr, bit;
	int ret = 0;

	if (!batch->nr)
		return 0;
	ret = vm_insert_pages(batch->vma, batch->address, batch->pages, &left);
	batch->address += (batch->nr - left) * PAGE_SIZE;
	batch->placed += batch->nr - left;
	for_each_set_bit(bit, &batch->ours, BITS_PER_LONG)
		put_page(batch->pages[bit]);
	batch->nr = 0;
	batch->ours = 0;
	return ret;
}

static int rx_add(struct rx_batch *batch, struct page *page)
{
	batch->pages[batch->nr++] = page;
	return likely(batch->nr < PLACE_BATCH) ? 0 : rx_flush(batch);
}

/* @len bytes of packets are copied. */
static int rx_add_copy(struct rx_batch *batch, struct rx_pos *pos, u32 len)
{
	int ret = 0;

	while (len && !ret) {
		u32 n = min_t(u32, len, PAGE_SIZE);
		struct page *page = rx_copy_page(pos, n);

		if (!page)
			return -ENOMEM;
		batch->ours |= BIT(batch->nr);
		ret = rx_add(batch, page);
		len -= n;
	}
	return ret;
}

/* Nothing but zeroes is behind a packet that is mapped to its end. */
static void rx_seal(struct sk_buff *skb)
{
	const struct skb_shared_info *info = skb_shinfo(skb);
	const skb_frag_t *frag = &info->frags[info->nr_frags - 1];
	u32 size = skb_frag_size(frag);

	memset(skb_frag_address(frag) + size, 0, PAGE_ALIGN(size) - size);
	VIRTIO_VSOCK_SKB_CB(skb)->sealed = true;
}

/* @len bytes of one packet, in pages of its own: whole ones, or to its end. */
static int rx_add_own(struct rx_batch *batch, struct rx_pos *pos, u32 len)
{
	u32 offset = pos->offset, left = rx_left(pos);
	const skb_frag_t *frag;

	if (WARN_ON_ONCE(len > left || offset_in_page(offset) ||
			 (offset_in_page(len) && len < left) ||
			 !VIRTIO_VSOCK_SKB_CB(pos->skb)->own_pages))
		return -EINVAL;

	if (offset_in_page(len))
		rx_seal(pos->skb);
	frag = skb_shinfo(pos->skb)->frags;
	rx_advance(pos, len);
	for (; offset >= skb_frag_size(frag); frag++)
		offset -= skb_frag_size(frag);

	/* a frag is a row of pages */
	for (;; frag++, offset = 0) {
		u32 n = min(len, skb_frag_size(frag) - offset);
		struct page *page = skb_frag_page(frag) +
				    ((skb_frag_off(frag) + offset) >> PAGE_SHIFT);

		len -= n;
		for (;; n -= PAGE_SIZE) {
			int ret = rx_add(batch, page++);

			if (unlikely(ret))
				return ret;
			if (n <= PAGE_SIZE)
				break;
		}
		if (!len)
			return 0;
	}
}

/**
 * vsock_map_rx_place() - put pages where a page of headers says
 * @vsk:	a connected socket, with its sk_lock held
 * @vma:	a locked mapping of it
 * @address:	where the page of headers goes, and after it the data
 * @nr_headers:	how many there are in what vsock_map_rx_headers() returned
 * @nr_pages:	how many pages were placed, that of headers included
 *
 * Context: task, may sleep.
 * Return: 0, or why it wasn't all of them: -ENOMEM, or -EBUSY when there is
 * another page.
 */
int vsock_map_rx_place(struct vsock_sock *vsk, struct vm_area_struct *vma,
		       unsigned long address, unsigned int nr_headers,
		       unsigned long *nr_pages)
{
	struct vsock_rx_window *window = vma->vm_private_data;
	const struct vsock_rx_hdr *hdr = page_address(window->headers);
	struct rx_batch batch __uninitialized;
	struct rx_pos pos;
	unsigned int i;
	int ret, err;

	*nr_pages = 0;
	/* state() said that there is data */
	if (WARN_ON_ONCE(nr_headers && !(vsk->transport && vsk->transport->rx_queue)))
		return -EINVAL;

	batch.vma = vma;
	batch.address = address;
	batch.placed = 0;
	batch.nr = 0;
	batch.ours = 0;
	window->nr_headers = nr_headers;
	ret = rx_add(&batch, window->headers);
	if (nr_headers)
		rx_start(&pos, vsk->transport->rx_queue(vsk));

	for (i = 0; i < nr_headers && !ret; i++) {
		if (hdr[i].flags & VSOCK_RX_HDR_COPIED)
			ret = rx_add_copy(&batch, &pos, hdr[i].length);
		else
			ret = rx_add_own(&batch, &pos, hdr[i].length);
	}

	/* What comes before a page that there's no memory for is delivered */
	err = rx_flush(&batch);
	*nr_pages = batch.placed;
	return err ?: ret;
}
EXPORT_SYMBOL_GPL(vsock_map_rx_place);
