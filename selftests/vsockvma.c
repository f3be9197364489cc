// SPDX-License-Identifier: GPL-2.0
/* A mapping stays as it was made, in the process that made it, and is its socket's. */
#include "vsockpair.h"

FIXTURE_VARIANT_ADD(vsock, stream) { .type = SOCK_STREAM };
FIXTURE_VARIANT_ADD(vsock, seqpacket) { .type = SOCK_SEQPACKET };

/* Nothing was taken, and the mapping works. */
#define ASSERT_AS_BEFORE() do {						\
	ASSERT_EQ((int)(self->tx_at - self->rx_at), queued(self->rx));	\
	RECEIVE_ALL();							\
} while (0)

TEST_F(vsock, vsock_12_fork)
{
	unsigned char vec[1];
	pid_t child;
	int status;

	SEND(3 * PAGE);
	RECEIVE_ALL();
	/* it can't be had either */
	ASSERT_EQ(-1, madvise(self->map, MAP_LEN, MADV_DOFORK));
	child = start_child();
	ASSERT_LE(0, child);
	if (!child) {
		/* nothing is there, and what is there later isn't the socket's */
		if (mincore(self->map, PAGE, vec) != -1 || errno != ENOMEM)
			_exit(1);
		if (map_rx(self->rx, self->map, 0, 0, &self->arg) != -EINVAL)
			_exit(2);
		if (map_socket(self->rx, 8 * PAGE) == MAP_FAILED)
			_exit(3);
		_exit(0);
	}
	ASSERT_EQ(0, wait_exit(child, &status));
	ASSERT_EQ(0, status);
	ASSERT_EQ(0, memcmp(self->map + PAGE, self->sent, 3 * PAGE));
	SEND(5 * PAGE);
	ASSERT_AS_BEFORE();
}

TEST_F(vsock, vsock_12_mremap)
{
	void *elsewhere = map_pages(2 * MAP_LEN);

	SEND(3 * PAGE);
	ASSERT_EQ(MAP_FAILED, mremap(self->map, MAP_LEN, 2 * MAP_LEN, 0));
	ASSERT_EQ(MAP_FAILED, mremap(self->map, MAP_LEN, 2 * MAP_LEN,
				     MREMAP_MAYMOVE));
	ASSERT_EQ(MAP_FAILED, mremap(self->map, MAP_LEN, MAP_LEN,
				     MREMAP_MAYMOVE | MREMAP_FIXED, elsewhere));
	ASSERT_EQ(MAP_FAILED, mremap(self->map, MAP_LEN, MAP_LEN / 2, 0));
	/* "a copy" of a shared mapping */
	ASSERT_EQ(MAP_FAILED, mremap(self->map, 0, MAP_LEN, MREMAP_MAYMOVE));
	ASSERT_AS_BEFORE();
	/* pages are moved, and back again */
	ASSERT_EQ(MAP_FAILED, mremap(self->map, MAP_LEN, MAP_LEN,
				     MREMAP_MAYMOVE | MREMAP_FIXED, elsewhere));
	ASSERT_EQ(0, memcmp(self->map + PAGE, self->sent, 3 * PAGE));
	SEND(3 * PAGE);
	ASSERT_AS_BEFORE();
}

/* Whatever would split it. */
TEST_F(vsock, vsock_12_partial_munmap)
{
	SEND(3 * PAGE);
	RECEIVE_ALL();
	ASSERT_EQ(-1, munmap(self->map, PAGE));
	ASSERT_EQ(EINVAL, errno);
	ASSERT_EQ(-1, munmap(self->map + MAP_LEN - PAGE, PAGE));
	ASSERT_EQ(EINVAL, errno);
	ASSERT_EQ(-1, munmap(self->map + PAGE, PAGE));
	ASSERT_EQ(EINVAL, errno);
	ASSERT_EQ(-1, mprotect(self->map, PAGE, PROT_NONE));
	ASSERT_EQ(MAP_FAILED, mmap(self->map + PAGE, PAGE, PROT_READ,
				   MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED,
				   -1, 0));
	ASSERT_EQ(0, memcmp(self->map + PAGE, self->sent, 3 * PAGE));
	SEND(5 * PAGE);
	ASSERT_AS_BEFORE();
}

TEST_F(vsock, vsock_12_other_socket)
{
	int tx, rx;
	char *other;

	ASSERT_EQ(0, vsock_pair(variant->type, &tx, &rx));
	ASSERT_EQ(0, vsock_opt_in(rx));
	other = map_socket(rx, 8 * PAGE);
	ASSERT_NE(MAP_FAILED, (void *)other);
	SEND(3 * PAGE);
	ASSERT_EQ(-EINVAL, map_rx(self->rx, other, 0, 0, &self->arg));
	ASSERT_EQ(-EINVAL, map_rx(rx, self->map, 0, 0, &self->arg));
	ASSERT_AS_BEFORE();
	munmap(other, 8 * PAGE);
	close(tx);
	close(rx);
}

/* A socket may have several mappings; each is good for each of its calls. */
TEST_F(vsock, vsock_12_two_mappings)
{
	char *other = map_socket(self->rx, 8 * PAGE);

	ASSERT_NE(MAP_FAILED, (void *)other);
	SEND(3 * PAGE);
	receive_at(_metadata, self, other, 0, 0);
	SEND(4 * PAGE);
	RECEIVE_ALL();
	ASSERT_EQ(0, memcmp(other + PAGE, self->sent, 3 * PAGE));
	ASSERT_EQ(0, munmap(other, 8 * PAGE));
	ASSERT_EQ(-EINVAL, map_rx(self->rx, other, 0, 0, &self->arg));
	SEND(PAGE);
	ASSERT_AS_BEFORE();
}

TEST_F(vsock, vsock_12_bad_address)
{
	char *anon = map_pages(8 * PAGE);
	char *const wrong[] = {
		NULL, (char *)1L, (char *)-4096L, (char *)(1UL << 63), anon,
		self->map + 1, self->map + 8, self->map - PAGE,
		self->map + MAP_LEN,
		/* no room for data */
		self->map + MAP_LEN - PAGE,
	};
	unsigned int i;

	SEND(3 * PAGE);
	for (i = 0; i < ARRAY_SIZE(wrong); i++)
		ASSERT_EQ(-EINVAL, map_rx(self->rx, wrong[i], 0, 0, &self->arg))
			TH_LOG("address %u", i);
	ASSERT_EQ(-EINVAL, map_rx(self->rx, self->map, MAP_LEN + PAGE, 0,
				  &self->arg));
	ASSERT_EQ(-EINVAL, map_rx(self->rx, self->map + 2 * PAGE, MAP_LEN, 0,
				  &self->arg));
	ASSERT_EQ(-EINVAL, map_rx(self->rx, self->map, PAGE, 0, &self->arg));
	ASSERT_EQ(-EINVAL, map_rx(self->rx, self->map, 2 * PAGE - 1, 0,
				  &self->arg));
	ASSERT_EQ(-EINVAL, map_rx(self->rx, self->map, 1U << 31, 0, &self->arg));
	ASSERT_AS_BEFORE();
	munmap(anon, 8 * PAGE);
}

/* mmap() of what makes no window. */
TEST_F(vsock, vsock_12_bad_mapping)
{
	ASSERT_EQ(MAP_FAILED, (void *)map_socket(self->rx, PAGE));
	ASSERT_EQ(EINVAL, errno);
	ASSERT_EQ(MAP_FAILED, mmap(NULL, 4 * PAGE, PROT_READ, MAP_SHARED,
				   self->rx, PAGE));
	ASSERT_EQ(EINVAL, errno);
	SEND(3 * PAGE);
	ASSERT_AS_BEFORE();
}

/* It is nothing that is locked, or dumped, or merged. */
TEST_F(vsock, vsock_12_madvise)
{
	SEND(3 * PAGE);
	RECEIVE_ALL();
	ASSERT_EQ(-1, madvise(self->map, MAP_LEN, MADV_FREE));
	ASSERT_EQ(-1, madvise(self->map, MAP_LEN, MADV_REMOVE));
	ASSERT_EQ(-1, madvise(self->map, MAP_LEN, MADV_DODUMP));
	mlock(self->map, MAP_LEN);
	ASSERT_EQ(0, memcmp(self->map + PAGE, self->sent, 3 * PAGE));
	ASSERT_EQ(0, madvise(self->map, MAP_LEN, MADV_DONTNEED));
	SEND(3 * PAGE);
	ASSERT_AS_BEFORE();
}

NOTIF_TEST_MAIN
