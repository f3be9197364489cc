// SPDX-License-Identifier: GPL-2.0
/*
 * Mappings of sockets.
 *
 * The size of a mapping counts against RLIMIT_MEMLOCK from mmap() until it is
 * gone, whatever is mapped. It can't be split, grown or inherited, so that's
 * exact. What is mapped isn't counted: the kernel isn't told of MADV_DONTNEED.
 */
#include <linux/capability.h>
#include <linux/gfp.h>
#include <linux/mm.h>
#include <linux/mmap_lock.h>
#include <linux/sched/signal.h>
#include <linux/sched/user.h>
#include <linux/slab.h>
#include <net/af_vsock.h>

#include "map_rx.h"

static void window_put(struct vsock_rx_window *window)
{
	if (!refcount_dec_and_test(&window->refs))
		return;
	if (window->user) {
		atomic_long_sub(window->nr_pages, &window->user->locked_vm);
		free_uid(window->user);
	}
	if (window->headers)
		put_page(window->headers);
	kfree(window);
}

static void window_open(struct vm_area_struct *vma)
{
	struct vsock_rx_window *window = vma->vm_private_data;

	refcount_inc(&window->refs);
}

/* The mmap_lock may be held for reading only: munmap() downgrades it. */
static void window_close(struct vm_area_struct *vma)
{
	window_put(vma->vm_private_data);
}

static int window_may_split(struct vm_area_struct *vma, unsigned long address)
{
	return -EINVAL;
}

/* By now there's a second VMA, which goes as this fails. */
static int window_mremap(struct vm_area_struct *vma)
{
	return -EINVAL;
}

/* No fault(): what isn't mapped is SIGBUS. */
static const struct vm_operations_struct window_ops = {
	.open		= window_open,
	.close		= window_close,
	.may_split	= window_may_split,
	.mremap		= window_mremap,
};

static int window_charge(struct vsock_rx_window *window)
{
	unsigned long limit, now, next;
	struct user_struct *user;

	if (capable(CAP_IPC_LOCK))
		return 0;

	limit = rlimit(RLIMIT_MEMLOCK) >> PAGE_SHIFT;
	user = current_user();
	now = atomic_long_read(&user->locked_vm);
	do {
		next = now + window->nr_pages;
		if (next > limit)
			return -ENOMEM;
	} while (!atomic_long_try_cmpxchg(&user->locked_vm, &now, next));
	window->user = get_uid(user);
	return 0;
}

/**
 * vsock_map_rx_window_new() - make a VMA a mapping of a socket
 * @vsk: the socket
 * @vma: what mmap() is about to set up, with its flags as they shall be
 *
 * Context: with the mmap_lock held for writing.
 * Return: 0, or -ENOMEM, also when it's more than RLIMIT_MEMLOCK allows.
 */
int vsock_map_rx_window_new(struct vsock_sock *vsk, struct vm_area_struct *vma)
{
	struct vsock_rx_window *window;
	int ret;

	window = kzalloc_obj(*window, GFP_KERNEL_ACCOUNT);
	if (!window)
		return -ENOMEM;
	refcount_set(&window->refs, 1);
	window->sk = sk_vsock(vsk);
	window->nr_pages = vma_pages(vma);
	ret = window_charge(window);
	if (ret) {
		kfree(window);
		return ret;
	}
	vma->vm_private_data = window;
	vma->vm_ops = &window_ops;
	return 0;
}
EXPORT_SYMBOL_GPL(vsock_map_rx_window_new);

static bool window_is_of(const struct vm_area_struct *vma, struct sock *sk)
{
	const struct vsock_rx_window *window = vma->vm_private_data;

	return vma->vm_ops == &window_ops && window->sk == sk;
}

/**
 * vsock_map_rx_lock() - lock the mapping of a socket that an address is in
 * @vsk:	 the socket, with its sk_lock held
 * @address:	 an address of the current task
 * @mmap_locked: which lock was taken, for vsock_map_rx_unlock()
 *
 * With the lock held nothing may fault: that may need the mmap_lock, which
 * somebody may wait for us with.
 *
 * Return: the VMA, or NULL when there's none, or it isn't one of this socket.
 */
struct vm_area_struct *vsock_map_rx_lock(struct vsock_sock *vsk,
					 unsigned long address,
					 bool *mmap_locked)
{
	struct mm_struct *mm = current->mm;
	struct vm_area_struct *vma;

	*mmap_locked = false;
	/* a kernel thread of io_uring has the mm of its program */
	if (!mm)
		return NULL;

	vma = lock_vma_under_rcu(mm, address);
	if (!vma) {
		mmap_read_lock(mm);
		*mmap_locked = true;
		vma = vma_lookup(mm, address);
		if (!vma) {
			mmap_read_unlock(mm);
			return NULL;
		}
	}
	if (!window_is_of(vma, sk_vsock(vsk))) {
		vsock_map_rx_unlock(vma, *mmap_locked);
		return NULL;
	}
	return vma;
}
EXPORT_SYMBOL_GPL(vsock_map_rx_lock);

/**
 * vsock_map_rx_unlock() - undo vsock_map_rx_lock()
 * @vma:	 what it returned
 * @mmap_locked: what it said
 */
void vsock_map_rx_unlock(struct vm_area_struct *vma, bool mmap_locked)
{
	if (mmap_locked)
		mmap_read_unlock(vma->vm_mm);
	else
		vma_end_read(vma);
}
EXPORT_SYMBOL_GPL(vsock_map_rx_unlock);

/**
 * vsock_map_rx_headers() - a page of headers to fill
 * @vma: a locked mapping, and the sk_lock is held
 *
 * The page of the last call will do if it isn't mapped or pinned any more, and
 * only what was written to it has to be cleared.
 *
 * Return: the page, all zero, which nobody else sees before it is placed; NULL
 * when there's no memory.
 */
struct vsock_rx_hdr *vsock_map_rx_headers(struct vm_area_struct *vma)
{
	struct vsock_rx_window *window = vma->vm_private_data;
	struct page *page = window->headers;

	if (page && page_ref_count(page) == 1) {
		memset(page_address(page), 0,
		       window->nr_headers * sizeof(struct vsock_rx_hdr));
	} else {
		page = alloc_page(GFP_KERNEL | __GFP_ZERO);
		if (!page)
			return NULL;
		if (window->headers)
			put_page(window->headers);
		window->headers = page;
	}
	/* whatever becomes of this call */
	window->nr_headers = VSOCK_MAP_RX_HEADERS;
	return page_address(page);
}
EXPORT_SYMBOL_GPL(vsock_map_rx_headers);
