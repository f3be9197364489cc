// SPDX-License-Identifier: GPL-2.0
/* The memory that is sent from, which changes under what sends from it. */
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "child.h"

#define HUGE_LEN	(2UL << 20)

static void map_fixed(char *at, size_t len, int flags, int fd)
{
	mmap(at, len, PROT_READ | PROT_WRITE, MAP_FIXED | flags, fd, 0);
}

void data_map(void)
{
	map_fixed(DATA, DATA_LEN, MAP_PRIVATE | MAP_ANONYMOUS, -1);
}

void data_unmap(void)
{
	munmap(DATA, 3 * HUGE_LEN);
}

/* Huge pages want more room than there is: DATA is at the beginning of one. */
static void map_huge(void)
{
	munmap(DATA, DATA_LEN);
	if (mmap(DATA, HUGE_LEN, PROT_READ | PROT_WRITE, MAP_PRIVATE |
		 MAP_ANONYMOUS | MAP_HUGETLB | MAP_FIXED, -1, 0) == MAP_FAILED)
		data_map();
}

/* What is received into it changes the ring. */
static void map_ring(struct ring *ring, char *at, size_t len)
{
	if (!ring->open || ring->registered)
		return;
	ring->wild = true;
	map_fixed(at, len, MAP_SHARED, ring->fd);
}

void exec_memory(const struct op *op)
{
	static const int prots[] = {
		PROT_NONE, PROT_READ, PROT_READ | PROT_WRITE, PROT_WRITE,
	};
	char *at = DATA + (op->a[1] % DATA_LEN & -4096UL);
	size_t len = DATA + DATA_LEN - at;
	int fd;

	if (op->a[2] < len)
		len = (op->a[2] + 4095) & -4096UL;
	switch (op->a[0] % NR_MEM_KINDS) {
	case MEM_ANON:
		map_fixed(at, len, MAP_PRIVATE | MAP_ANONYMOUS, -1);
		break;
	case MEM_SHARED:
		map_fixed(at, len, MAP_SHARED | MAP_ANONYMOUS, -1);
		break;
	case MEM_FILE:
		fd = memfd_create("data", 0);
		/* the last page may be behind its end */
		if (!ftruncate(fd, len - 4096 * (op->a[3] & 1)))
			map_fixed(at, len, op->a[3] & 2 ? MAP_SHARED : MAP_PRIVATE,
				  fd);
		close(fd);
		break;
	case MEM_HUGE:
		map_huge();
		break;
	case MEM_RING:
		map_ring(&child.rings[op->ring % NR_RINGS], at, len);
		break;
	case MEM_UNMAP:
		munmap(at, len);
		break;
	case MEM_PROTECT:
		mprotect(at, len, prots[op->a[3] & 3]);
		break;
	case MEM_MOVE:
		if (mremap(at, len, len, MREMAP_MAYMOVE | MREMAP_FIXED,
			   DATA + 2 * HUGE_LEN) != MAP_FAILED && op->a[3] & 1)
			map_fixed(at, len, MAP_PRIVATE | MAP_ANONYMOUS, -1);
		break;
	case MEM_LOCK:
		if (op->a[3] & 1)
			mlock(at, len);
		else
			munlock(at, len);
		break;
	case MEM_WRITE:
		/* by a call that fails where there is nothing to write to */
		fd = memfd_create("data", 0);
		if (!ftruncate(fd, len) && read(fd, at, len) < 0)
			madvise(at, len, MADV_DONTNEED);
		close(fd);
		break;
	default:
		madvise(at, len, op->a[4] % 32);
		break;
	}
}
