// SPDX-License-Identifier: GPL-2.0
/*
 * The sender's own pages are never the receiver's: over loopback a packet of
 * MSG_ZEROCOPY has them.
 */
#include "vsockpair.h"

#define LEN	(16 * PAGE)

FIXTURE_VARIANT_ADD(vsock, stream) { .type = SOCK_STREAM };
FIXTURE_VARIANT_ADD(vsock, seqpacket) { .type = SOCK_SEQPACKET };

static int send_zerocopy(int fd, const void *data, size_t len)
{
	ssize_t n = send(fd, data, len, MSG_ZEROCOPY);

	return n < 0 ? -errno : n != (ssize_t)len;
}

/* The sender's pages are its own again. */
static int completion(int fd)
{
	char control[128];
	struct msghdr msg = {
		.msg_control = control, .msg_controllen = sizeof(control),
	};
	struct pollfd pfd = { .fd = fd };

	if (poll(&pfd, 1, LOST_MS) != 1)
		return -ETIME;
	return recvmsg(fd, &msg, MSG_ERRQUEUE) < 0 ? -errno : 0;
}

/* It is received, then what was sent is written over, by everybody who can. */
static void check_copied(struct __test_metadata *_metadata,
			 FIXTURE_DATA(vsock) *self, char *data)
{
	ASSERT_EQ(0, wait_queued(self->rx, LEN));
	ASSERT_EQ(0, map_rx(self->rx, self->map, 0, 0, &self->arg));
	ASSERT_EQ(LEN, self->arg.length);
	ASSERT_EQ(LEN, self->arg.copied);
	memset(data, 0x99, LEN);
	gather(_metadata, self->map, &self->arg, self->got);
	ASSERT_EQ(0, memcmp(self->got, self->sent, LEN));
}

static void zerocopy_of(struct __test_metadata *_metadata,
			FIXTURE_DATA(vsock) *self, char *data)
{
	const int one = 1;

	ASSERT_NE(MAP_FAILED, (void *)data);
	memcpy(data, self->sent, LEN);
	ASSERT_EQ(0, setsockopt(self->tx, SOL_SOCKET, SO_ZEROCOPY, &one,
				sizeof(one)));
	ASSERT_EQ(0, send_zerocopy(self->tx, data, LEN));
	check_copied(_metadata, self, data);
	/* it comes as the receiver has read, not as it lets go of its mapping */
	ASSERT_EQ(0, completion(self->tx));
	munmap(data, LEN);
}

TEST_F(vsock, vsock_05_msg_zerocopy_sender_anon)
{
	zerocopy_of(_metadata, self, map_pages(LEN));
}

TEST_F(vsock, vsock_05_msg_zerocopy_sender_shmem)
{
	int fd = memfd_create("sent", 0);

	ASSERT_LE(0, fd);
	ASSERT_EQ(0, ftruncate(fd, LEN));
	zerocopy_of(_metadata, self, mmap(NULL, LEN, PROT_READ | PROT_WRITE,
					  MAP_SHARED, fd, 0));
	close(fd);
}

/* A page of the page cache, which a truncation takes out of it. */
TEST_F(vsock, vsock_05_msg_zerocopy_sender_file)
{
	char name[] = "/tmp/vsockzcXXXXXX";
	int fd = mkstemp(name);

	ASSERT_LE(0, fd);
	unlink(name);
	ASSERT_EQ(0, ftruncate(fd, LEN));
	zerocopy_of(_metadata, self, mmap(NULL, LEN, PROT_READ | PROT_WRITE,
					  MAP_SHARED, fd, 0));
	ASSERT_EQ(0, ftruncate(fd, 0));
	ASSERT_EQ(0, memcmp(self->map + PAGE, self->sent, LEN));
	close(fd);
}

/* Pages of a registered buffer don't even count the skb that has them. */
TEST_F(vsock, vsock_05_io_uring_registered_buffer)
{
	char *data = map_pages(LEN);
	struct iovec iov = { data, LEN };
	struct io_uring_cqe cqe = {};
	struct io_uring ring;
	struct io_uring_sqe *sqe;

	ASSERT_EQ(0, ring_init(&ring, 0));
	ASSERT_EQ(0, io_uring_register_buffers(&ring, &iov, 1));
	memcpy(data, self->sent, LEN);
	sqe = ring_sqe(&ring);
	io_uring_prep_sendzc(sqe, self->tx, data, LEN, 0, 0);
	sqe->ioprio = IORING_RECVSEND_FIXED_BUF;
	sqe->user_data = REQ(0);
	ASSERT_EQ(1, ring_submit(&ring));
	ASSERT_EQ(0, ring_next(&ring, &cqe));
	ASSERT_EQ((__s32)LEN, cqe.res);
	check_copied(_metadata, self, data);
	ASSERT_EQ(0, ring_next(&ring, &cqe));
	ASSERT_TRUE(cqe.flags & IORING_CQE_F_NOTIF);
	ring_exit(&ring);
	munmap(data, LEN);
}

/* From one mapping into the next connection: what is mapped can be sent. */
TEST_F(vsock, vsock_05_mapped_pages_are_sent)
{
	const int one = 1;
	int tx, rx;

	ASSERT_EQ(0, vsock_pair(variant->type, &tx, &rx));
	ASSERT_EQ(0, setsockopt(tx, SOL_SOCKET, SO_ZEROCOPY, &one, sizeof(one)));
	SEND(LEN);
	RECEIVE_ALL();
	ASSERT_EQ(0, self->arg.copied);
	ASSERT_EQ(0, send_zerocopy(tx, self->map + PAGE, LEN));
	/* whoever has a page of it: it doesn't change for them */
	ASSERT_EQ(0, madvise(self->map, MAP_LEN, MADV_DONTNEED));
	SEND(LEN);
	RECEIVE_ALL();
	ASSERT_EQ((ssize_t)LEN, recv(rx, self->got, LEN, MSG_WAITALL));
	ASSERT_EQ(0, memcmp(self->got, self->sent, LEN));
	ASSERT_EQ(0, completion(tx));
	close(tx);
	close(rx);
}

NOTIF_TEST_MAIN
