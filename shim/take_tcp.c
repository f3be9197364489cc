// SPDX-License-Identifier: GPL-2.0
/*
 * Kernel-owned buffers: what a TCP socket has received.
 *
 * Only pages that can be a part of a packet are taken: what is in the linear part of
 * an skb is copied unless it is a page fragment of the skb's own, as memory of slab
 * has no references to be counted.
 */
#include <linux/errno.h>
#include <linux/mm.h>
#include <linux/skbuff.h>
#include <net/sock.h>
#include <net/tcp.h>

#include "take.h"

/* Copy what can't be taken. Returns how much was, or -ENOMEM. */
static int io_take_copy(struct io_kbuf_take *take, struct sock *sk,
			const void *data, unsigned int len)
{
	struct page_frag *frag = sk_page_frag(sk);
	unsigned int done = 0, n;
	int ret;

	while (done < len) {
		if (!sk_page_frag_refill(sk, frag))
			return done ?: -ENOMEM;
		n = min(len - done, frag->size - frag->offset);
		memcpy(page_address(frag->page) + frag->offset, data + done, n);
		ret = io_take_page(take, frag->page, frag->offset, n);
		if (ret)
			return done ?: ret;
		frag->offset += n;
		done += n;
	}
	return done;
}

/* Take @len bytes from @offset on of the linear part. */
static int io_take_linear(struct io_kbuf_take *take, struct sock *sk,
			  struct sk_buff *skb, unsigned int offset,
			  unsigned int len)
{
	void *data = skb->data + offset;
	int ret;

	if (skb_head_is_locked(skb))
		return io_take_copy(take, sk, data, len);
	ret = io_take_page(take, virt_to_page(data), offset_in_page(data), len);
	return ret ?: len;
}

/*
 * Will all fragments of an skb go right after this, when it is read up to @end? As
 * skb_try_coalesce() does, the buffer then takes over their references.
 */
static bool io_take_may_steal(struct sk_buff *skb, unsigned int end)
{
	return end == skb->len && !skb_cloned(skb) && !skb->pp_recycle &&
	       !skb_zcopy(skb) && !skb_has_frag_list(skb);
}

/*
 * Take fragments from *@offset on, until there are *@left bytes no more. Their pages are
 * none of slab: whoever sends pages has looked. 0, or why not all.
 */
static int io_take_frags(struct io_kbuf_take *take, struct sk_buff *skb,
			 unsigned int *offset, unsigned int *left, bool steal)
{
	struct skb_shared_info *shinfo = skb_shinfo(skb);
	unsigned int first = take->nr, i, n;
	int ret = 0;

	for (i = 0; *left && i < shinfo->nr_frags; i++) {
		const skb_frag_t *frag = &shinfo->frags[i];

		if (*offset >= skb_frag_size(frag)) {
			*offset -= skb_frag_size(frag);
			steal = false;
			continue;
		}
		n = min(*left, skb_frag_size(frag) - *offset);
		ret = io_take_add(take, skb_frag_page(frag),
				  skb_frag_off(frag) + *offset, n);
		if (ret < 0)
			break;
		/* a reference that the buffer has no use for */
		if (ret)
			steal = false;
		*left -= n;
		*offset = 0;
	}
	if (steal && !ret && i == shinfo->nr_frags) {
		shinfo->nr_frags = 0;
		return 0;
	}
	for (; first < take->nr; first++)
		get_page(take->node->buf->bvec[first].bv_page);
	return min(ret, 0);
}

/* Take up to @len bytes from @offset on. Returns how many, or why none. */
static int io_take_skb(struct io_kbuf_take *take, struct sock *sk,
		       struct sk_buff *skb, unsigned int offset,
		       unsigned int len, bool steal)
{
	unsigned int left = len, n;
	struct sk_buff *part;
	int ret;

	if (!skb_frags_readable(skb))
		return -EOPNOTSUPP;
	if (offset < skb_headlen(skb)) {
		n = min(len, skb_headlen(skb) - offset);
		ret = io_take_linear(take, sk, skb, offset, n);
		if (ret != n)
			return ret;
		left -= n;
		offset = 0;
	} else {
		offset -= skb_headlen(skb);
	}

	ret = io_take_frags(take, skb, &offset, &left, steal);
	if (ret)
		return len - left ?: ret;

	/* what GRO made of packets without fragments; none of these has more */
	skb_walk_frags(skb, part) {
		if (!left)
			break;
		if (offset >= part->len) {
			offset -= part->len;
			continue;
		}
		n = min(left, part->len - offset);
		ret = io_take_skb(take, sk, part, offset, n, false);
		if (ret < 0)
			return len - left ?: ret;
		left -= ret;
		if (ret != n)
			break;
		offset = 0;
	}
	return len - left;
}

/* Copy the first bytes to the program, before they are taken. */
static int io_take_head(struct io_kbuf_take *take, struct sk_buff *skb,
			unsigned int offset, unsigned int len)
{
	size_t n = min_t(size_t, len, iov_iter_count(&take->head));

	return n ? skb_copy_datagram_iter(skb, offset, &take->head, n) : 0;
}

static int io_take_actor(read_descriptor_t *desc, struct sk_buff *skb,
			 unsigned int offset, size_t len)
{
	struct io_take_tcp *tcp = desc->arg.data;
	struct io_kbuf_take *take = tcp->take;
	int ret;

	len = min(len, take->left);
	if (!len || tcp->full)
		return 0;
	ret = io_take_head(take, skb, offset, len);
	if (!ret)
		ret = io_take_skb(take, tcp->sk, skb, offset, len,
				  io_take_may_steal(skb, offset + len));
	/* what stays is for the next request */
	tcp->full = ret < (int)len;
	desc->count = take->left;
	return ret;
}

/* Why there is nothing to be taken, as recv(2) says it. An error stays in the socket. */
static int io_take_tcp_nothing(const struct sock *sk)
{
	const struct tcp_sock *tp = tcp_sk(sk);

	if (tp->urg_data && tp->urg_seq == tp->copied_seq)
		return -EOPNOTSUPP;
	if (sock_flag(sk, SOCK_DONE))
		return 0;
	if (sk->sk_err)
		return -sk->sk_err;
	if (sk->sk_shutdown & RCV_SHUTDOWN)
		return 0;
	if (sk->sk_state == TCP_CLOSE)
		return -ENOTCONN;
	return -EAGAIN;
}

/**
 * io_take_from_tcp() - an io_kbuf_source: what a TCP socket has received
 * @take:	the buffer
 * @from:	struct io_take_tcp
 *
 * Context: task, without the socket's lock.
 * Return: how many bytes were taken, 0 at the end of the stream, -EAGAIN when there are
 * none yet, -EOPNOTSUPP at urgent data and for memory of a device, -EFAULT when the head
 * can't be written, -ENOMEM, or an error of the socket. With an error nothing was taken.
 */
ssize_t io_take_from_tcp(struct io_kbuf_take *take, void *from)
{
	struct io_take_tcp *tcp = from;
	read_descriptor_t desc = {
		.arg.data	= tcp,
		.count		= take->left,
	};
	struct sock *sk = tcp->sk;
	int ret;

	tcp->take = take;
	tcp->full = false;
	lock_sock(sk);
	/* who reads it must not be passed by: kTLS, sockmap */
	if (!sk_is_tcp(sk) || READ_ONCE(sk->sk_prot)->recvmsg != tcp_recvmsg) {
		ret = -EOPNOTSUPP;
		goto unlock;
	}
	ret = tcp_read_sock(sk, &desc, io_take_actor);
	if (!ret) {
		ret = io_take_tcp_nothing(sk);
		/* who is told of it takes it out */
		if (ret < 0 && ret == -sk->sk_err)
			ret = sock_error(sk);
	}
	tcp->more = tcp_inq(sk) > 0;
unlock:
	release_sock(sk);
	return ret;
}

/**
 * io_take_wait_tcp() - wait until a TCP socket has something to be taken
 * @sk:		the socket
 * @nonblock:	don't
 *
 * Context: task, sleeps without a lock of the ring.
 * Return: 0 when it is worth another try, -EAGAIN, or the error of who is interrupted.
 */
int io_take_wait_tcp(struct sock *sk, bool nonblock)
{
	long timeo = sock_rcvtimeo(sk, nonblock);
	int ret = 0;

	if (!timeo)
		return -EAGAIN;
	lock_sock(sk);
	/* an error stays for who takes, and tells of it */
	if (skb_queue_empty(&sk->sk_receive_queue) &&
	    io_take_tcp_nothing(sk) == -EAGAIN) {
		sk_wait_data(sk, &timeo, NULL);
		if (signal_pending(current))
			ret = sock_intr_errno(timeo);
		else if (!timeo)
			ret = -EAGAIN;
	}
	release_sock(sk);
	return ret;
}
