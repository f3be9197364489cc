// SPDX-License-Identifier: GPL-2.0
/*
 * Zero-copy receive, the part that is built into vsock: who has opted in, and
 * which module serves them. It has no policy.
 *
 * A socket has a reference to the module from the first time that it opts in
 * until it is destructed. A mapping has the file, and with it the socket.
 */
#include <linux/errno.h>
#include <linux/kmod.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/spinlock.h>
#include <linux/virtio_vsock.h>
#include <net/af_vsock.h>

#include "map_rx.h"

/* protects map_rx_ops */
static DEFINE_MUTEX(map_rx_mutex);
static const struct vsock_map_rx_ops *map_rx_ops;

/* While a socket has opted in, packets of a page and more have pages of their
 * own, and any packet may be appended to these: to be mapped with them, or to be
 * copied together.
 */
#define PAGES_LINEAR_LEN	(VIRTIO_VSOCK_SKB_HEADROOM + PAGE_SIZE - 1)
#define PAGES_APPEND_LEN	VIRTIO_VSOCK_MAX_PKT_BUF_SIZE

struct vsock_rx_limits vsock_rx_limits __read_mostly = {
	.linear	= VSOCK_LINEAR_LEN,
	.append	= VSOCK_APPEND_LEN,
};
EXPORT_SYMBOL_GPL(vsock_rx_limits);

/* How many sockets have opted in; sockets go in any context */
static DEFINE_SPINLOCK(map_rx_lock);
static unsigned long map_rx_sockets;

static void map_rx_count(int more)
{
	guard(spinlock_irqsave)(&map_rx_lock);

	map_rx_sockets += more;
	WRITE_ONCE(vsock_rx_limits.linear,
		   map_rx_sockets ? PAGES_LINEAR_LEN : VSOCK_LINEAR_LEN);
	WRITE_ONCE(vsock_rx_limits.append,
		   map_rx_sockets ? PAGES_APPEND_LEN : VSOCK_APPEND_LEN);
}

/**
 * vsock_map_rx_ops_register() - the module is ready
 * @ops: what vsock is to call; has to stay until it is unregistered
 *
 * Context: task, may sleep.
 * Return: 0, or -EBUSY when there is another one.
 */
int vsock_map_rx_ops_register(const struct vsock_map_rx_ops *ops)
{
	guard(mutex)(&map_rx_mutex);

	if (map_rx_ops)
		return -EBUSY;
	map_rx_ops = ops;
	return 0;
}
EXPORT_SYMBOL_GPL(vsock_map_rx_ops_register);

/**
 * vsock_map_rx_ops_unregister() - the module goes
 * @ops: what was registered
 *
 * No socket has a reference to the module, so nobody calls it.
 *
 * Context: task, may sleep.
 */
void vsock_map_rx_ops_unregister(const struct vsock_map_rx_ops *ops)
{
	guard(mutex)(&map_rx_mutex);

	map_rx_ops = NULL;
}
EXPORT_SYMBOL_GPL(vsock_map_rx_ops_unregister);

static const struct vsock_map_rx_ops *map_rx_ops_get(void)
{
	guard(mutex)(&map_rx_mutex);

	if (map_rx_ops && try_module_get(map_rx_ops->owner))
		return map_rx_ops;
	return NULL;
}

/**
 * vsock_map_rx_set() - setsockopt(SO_VM_SOCKETS_ZEROCOPY)
 * @vsk: the socket, with its sk_lock held; it's released while a module is
 *	 loaded
 * @val: 0 or 1
 *
 * Return: 0, or -EINVAL, or -EOPNOTSUPP when there's no module.
 */
int vsock_map_rx_set(struct vsock_sock *vsk, u64 val)
{
	struct sock *sk = sk_vsock(vsk);

	if (val > 1)
		return -EINVAL;

	if (val && !vsk->map_rx && !READ_ONCE(map_rx_ops)) {
		release_sock(sk);
		request_module("vsock_map_rx");
		lock_sock(sk);
	}
	if (val && !vsk->map_rx) {
		const struct vsock_map_rx_ops *ops = map_rx_ops_get();

		if (!ops)
			return -EOPNOTSUPP;
		vsk->map_rx = ops;
	}
	if (val == vsk->rx_zerocopy)
		return 0;

	map_rx_count(val ? 1 : -1);
	/* whoever sees it in vsock_map_rx_mmap() has to see ->map_rx, too */
	smp_store_release(&vsk->rx_zerocopy, val);
	return 0;
}

/* A socket is accepted from @psk, whose sk_lock is held. */
void vsock_map_rx_inherit(struct vsock_sock *vsk, const struct vsock_sock *psk)
{
	if (!psk->rx_zerocopy)
		return;
	__module_get(psk->map_rx->owner);
	map_rx_count(1);
	vsk->map_rx = psk->map_rx;
	vsk->rx_zerocopy = true;
}

/* A socket goes, in any context. */
void vsock_map_rx_release(struct vsock_sock *vsk)
{
	if (vsk->rx_zerocopy)
		map_rx_count(-1);
	if (vsk->map_rx)
		module_put(vsk->map_rx->owner);
}

/**
 * vsock_map_rx_mmap() - mmap() of a socket
 * @file: its file
 * @sock: the socket
 * @vma:  what is to become a mapping of it
 *
 * Context: with the mmap_lock held for writing. The sk_lock is not taken, as it
 * comes before that.
 */
int vsock_map_rx_mmap(struct file *file, struct socket *sock,
		      struct vm_area_struct *vma)
{
	struct vsock_sock *vsk = vsock_sk(sock->sk);

	/* pairs with vsock_map_rx_set() */
	if (!smp_load_acquire(&vsk->rx_zerocopy))
		return -ENODEV;
	return vsk->map_rx->mmap(vsk, vma);
}

/**
 * vsock_map_rx_receive() - getsockopt(SO_VM_SOCKETS_MAP_RX)
 * @vsk: the socket
 * @opt: struct vsock_map_rx, or an address
 *
 * Context: task, may sleep.
 */
int vsock_map_rx_receive(struct vsock_sock *vsk, sockopt_t *opt)
{
	struct sock *sk = sk_vsock(vsk);
	int ret = -EOPNOTSUPP;

	lock_sock(sk);
	if (vsk->rx_zerocopy)
		ret = vsk->map_rx->receive(vsk, opt);
	release_sock(sk);
	return ret;
}

/**
 * vsock_map_rx_state() - what can be received?
 * @vsk: the socket, with its sk_lock held
 *
 * Asks in the order in which __vsock_connectible_recvmsg() does.
 *
 * Return: VSOCK_MAP_RX_DATA, _NOTHING or _ENDED, or an error.
 */
int vsock_map_rx_state(struct vsock_sock *vsk)
{
	const struct vsock_transport *transport = vsk->transport;
	struct sock *sk = sk_vsock(vsk);
	s64 data;

	/* a sockmap has the queue */
	if (READ_ONCE(sk->sk_prot) != &vsock_proto)
		return -EOPNOTSUPP;
	if (!transport || sk->sk_state != TCP_ESTABLISHED)
		return sock_flag(sk, SOCK_DONE) ? VSOCK_MAP_RX_ENDED : -ENOTCONN;
	if (!transport->rx_queue)
		return -EOPNOTSUPP;
	if (sk->sk_shutdown & RCV_SHUTDOWN)
		return VSOCK_MAP_RX_ENDED;

	data = vsock_connectible_has_data(vsk);
	if (data < 0)
		return -ENOMEM;
	if (data)
		return VSOCK_MAP_RX_DATA;
	if (sk->sk_err)
		return -sk->sk_err;
	if (READ_ONCE(vsk->peer_shutdown) & SEND_SHUTDOWN)
		return VSOCK_MAP_RX_ENDED;
	return VSOCK_MAP_RX_NOTHING;
}
EXPORT_SYMBOL_GPL(vsock_map_rx_state);

/* Does the socket have messages, or a stream? */
bool vsock_map_rx_has_messages(struct vsock_sock *vsk)
{
	return sk_vsock(vsk)->sk_type == SOCK_SEQPACKET;
}
EXPORT_SYMBOL_GPL(vsock_map_rx_has_messages);

/* Has it a queue that can be mapped? Then vsock_*_has_data() is no error: it's a
 * u32 of virtio's.
 */
static bool map_rx_has_queue(const struct vsock_sock *vsk)
{
	return vsk->transport && vsk->transport->rx_queue;
}

/* How many bytes are queued? With the sk_lock held; 0 without such a queue. */
u32 vsock_map_rx_bytes(struct vsock_sock *vsk)
{
	return map_rx_has_queue(vsk) ? vsock_stream_has_data(vsk) : 0;
}
EXPORT_SYMBOL_GPL(vsock_map_rx_bytes);

/* How many whole messages are? Likewise. */
u32 vsock_map_rx_messages(struct vsock_sock *vsk)
{
	return map_rx_has_queue(vsk) ? vsock_connectible_has_data(vsk) : 0;
}
EXPORT_SYMBOL_GPL(vsock_map_rx_messages);

/* The first @bytes of the queue are in user space, and what has no bytes before
 * and after them need not be. With the sk_lock held.
 */
void vsock_map_rx_consume(struct vsock_sock *vsk, u32 bytes)
{
	if (map_rx_has_queue(vsk))
		vsk->transport->rx_consume(vsk, bytes);
}
EXPORT_SYMBOL_GPL(vsock_map_rx_consume);
