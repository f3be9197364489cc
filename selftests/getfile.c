// SPDX-License-Identifier: GPL-2.0
/*
 * IORING_OP_GET_BUF from a file: what is in the page cache in line, the rest by io-wq.
 */
#include <linux/falloc.h>

#include "getbuf.h"

FIXTURE(getfile)
{
	struct io_uring ring;
	struct pair out;
	char *data;	/* DATA_LEN bytes, what is in the file */
	char *own;	/* a page, the program's own buffer */
	int fd;
};

FIXTURE_VARIANT(getfile)
{
	unsigned int setup;
	unsigned int flags;	/* IOSQE_* */
};

FIXTURE_VARIANT_ADD(getfile, plain) { .setup = 0 };
FIXTURE_VARIANT_ADD(getfile, defer) { .setup = RING_DEFER };
FIXTURE_VARIANT_ADD(getfile, sqpoll) { .setup = IORING_SETUP_SQPOLL };
FIXTURE_VARIANT_ADD(getfile, plain_async) { .flags = IOSQE_ASYNC };
FIXTURE_VARIANT_ADD(getfile, defer_async) {
	.setup = RING_DEFER, .flags = IOSQE_ASYNC
};

FIXTURE_SETUP(getfile)
{
	OPEN_PAIR(&self->out, NET_LO, AF_INET, SOCK_STREAM);
	ASSERT_EQ(0, ring_init(&self->ring, variant->setup));
	self->own = map_pages(page_size());
	self->data = map_pages(DATA_LEN);
	ASSERT_TRUE(self->own && self->data);
	fill_pattern(self->data, DATA_LEN, 11);
	self->fd = memfd_create("getfile", 0);
	ASSERT_LE(0, self->fd);
	ASSERT_EQ(DATA_LEN, pwrite(self->fd, self->data, DATA_LEN, 0));
	ASSERT_EQ(0, register_table(&self->ring, self->own, page_size()));
	ASSERT_EQ(0, register_slots(&self->ring, NR_SLOTS));
}

FIXTURE_TEARDOWN(getfile)
{
	ring_exit(&self->ring);
	pair_close(&self->out);
	close(self->fd);
	munmap(self->data, DATA_LEN);
	munmap(self->own, page_size());
}

/* Take @len bytes at @off into entry 0; the result. */
static int take(struct __test_metadata *_metadata, FIXTURE_DATA(getfile) *self,
		const FIXTURE_VARIANT(getfile) *variant, int fd, __u64 off,
		size_t len)
{
	struct io_uring_sqe *sqe = prep_get_buf(&self->ring, fd, len, 0);
	struct io_uring_cqe cqe = {};

	sqe->off = off;
	sqe->ioprio = IORING_GET_BUF_REPLACE;
	sqe->flags = variant->flags;
	ASSERT_SUBMIT(&self->ring, 1);
	ASSERT_EQ(0, ring_next(&self->ring, &cqe));
	ASSERT_EQ(REQ(50), cqe.user_data);
	ASSERT_EQ(0, cqe.flags);
	return cqe.res;
}

#define TAKE(_fd, _off, _len)						\
	take(_metadata, self, variant, _fd, _off, _len)

/* Send entry 0, and see what arrives. */
static void give_on(struct __test_metadata *_metadata,
		    FIXTURE_DATA(getfile) *self, const char *want, int len)
{
	prep_send_buf(&self->ring, self->out.tx, 0, -1, 0, 0, 0);
	ASSERT_SUBMIT(&self->ring, 1);
	ASSERT_RECEIVED(&self->out, want, len);
	ASSERT_CQE(&self->ring, REQ(0), len, 0);
}

#define GIVE_ON(_want, _len)	give_on(_metadata, self, _want, _len)

/* Any part of a file, all that was asked for. */
TEST_F(getfile, contract_17_takes_parts)
{
	static const struct { unsigned int off, len; } parts[] = {
		{ 0, 1 }, { 0, 4096 }, { 1, 4096 }, { 4095, 2 }, { 100, 65536 },
		{ 4096, 8192 }, { 0, DATA_LEN }, { DATA_LEN - 1, 1 },
		{ 77777, 77777 },
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(parts); i++) {
		ASSERT_EQ((int)parts[i].len,
			  TAKE(self->fd, parts[i].off, parts[i].len));
		GIVE_ON(self->data + parts[i].off, parts[i].len);
	}
	ASSERT_FLUSH(&self->ring, 0, 1);
	ASSERT_NOTIF(&self->ring, TAG(0), 0);
}

/* Less at the end of the file, and 0 beyond it, which leaves the entry as it was. */
TEST_F(getfile, contract_17_end_of_the_file)
{
	ASSERT_EQ(100, TAKE(self->fd, DATA_LEN - 100, 4096));
	ASSERT_EQ(0, TAKE(self->fd, DATA_LEN, 4096));
	ASSERT_EQ(0, TAKE(self->fd, DATA_LEN + 100000, 1));
	GIVE_ON(self->data + DATA_LEN - 100, 100);
	ASSERT_EQ(1, kernel_bufs(&self->ring));
}

/* At -1 it goes on from where the file is. */
TEST_F(getfile, contract_17_where_the_file_is)
{
	ASSERT_EQ(1000, lseek(self->fd, 1000, SEEK_SET));
	ASSERT_EQ(5000, TAKE(self->fd, -1, 5000));
	ASSERT_EQ(6000, lseek(self->fd, 0, SEEK_CUR));
	GIVE_ON(self->data + 1000, 5000);
	ASSERT_EQ(5000, TAKE(self->fd, -1, 5000));
	GIVE_ON(self->data + 6000, 5000);
	/* another place leaves it there */
	ASSERT_EQ(10, TAKE(self->fd, 0, 10));
	ASSERT_EQ(11000, lseek(self->fd, 0, SEEK_CUR));
}

/* Holes are zeroes, wherever they are. */
TEST_F(getfile, contract_17_holes)
{
	ASSERT_EQ(0, fallocate(self->fd, FALLOC_FL_PUNCH_HOLE |
			       FALLOC_FL_KEEP_SIZE, 16384, 65536));
	memset(self->data + 16384, 0, 65536);
	ASSERT_EQ(100000, TAKE(self->fd, 10000, 100000));
	GIVE_ON(self->data + 10000, 100000);
	ASSERT_EQ(0, ftruncate(self->fd, 2 * DATA_LEN));
	ASSERT_EQ(10, TAKE(self->fd, DATA_LEN + 5000, 10));
	GIVE_ON("\0\0\0\0\0\0\0\0\0\0", 10);
}

/* What was taken stays when the file is cut off, or removed. */
TEST_F(getfile, contract_17_stays_when_the_file_goes)
{
	ASSERT_EQ(50000, TAKE(self->fd, 50000, 50000));
	ASSERT_EQ(0, ftruncate(self->fd, 0));
	close(self->fd);
	self->fd = -1;
	lose_pages(map_pages(DATA_LEN), DATA_LEN);
	GIVE_ON(self->data + 50000, 50000);
}

/* The first bytes come to the program besides. */
TEST_F(getfile, contract_17_head)
{
	struct io_uring_sqe *sqe;

	memset(self->own, 0, page_size());
	sqe = prep_get_buf(&self->ring, self->fd, 9000, 0);
	sqe->off = 4000;
	sqe->addr = (unsigned long)self->own;
	sqe->optlen = 300;
	sqe->flags = variant->flags;
	ASSERT_SUBMIT(&self->ring, 1);
	ASSERT_EQ(9000, ASSERT_TAKEN(&self->ring, 9000));
	ASSERT_EQ(0, memcmp(self->own, self->data + 4000, 300));
	ASSERT_EQ(0, self->own[300]);
	GIVE_ON(self->data + 4000, 9000);
	sqe = prep_get_buf(&self->ring, self->fd, 9000, 1);
	sqe->addr = 8;
	sqe->optlen = 300;
	sqe->flags = variant->flags;
	ASSERT_SUBMIT(&self->ring, 1);
	ASSERT_NOT_TAKEN(&self->ring, -EFAULT);
	ASSERT_EQ(1, kernel_bufs(&self->ring));
}

/* Files of other kinds: on a disk or a network, made up by the kernel, or none. */
TEST_F(getfile, contract_17_other_files)
{
	char got[4096];
	int fd, fds[2], n;

	/* the program itself, by whatever file system it comes */
	fd = open("/proc/self/exe", O_RDONLY);
	ASSERT_EQ(4096, pread(fd, got, 4096, 0));
	ASSERT_EQ(4096, TAKE(fd, 0, 4096));
	GIVE_ON(got, 4096);
	close(fd);

	fd = open("/proc/version", O_RDONLY);
	n = pread(fd, got, 4096, 0);
	ASSERT_LT(0, n);
	ASSERT_EQ(n, TAKE(fd, 0, 4096));
	GIVE_ON(got, n);
	close(fd);

	fd = open("/proc", O_RDONLY | O_DIRECTORY);
	ASSERT_EQ(-EISDIR, TAKE(fd, 0, 100));
	close(fd);
	fd = open("/dev/zero", O_RDONLY);
	ASSERT_EQ(-EOPNOTSUPP, TAKE(fd, 0, 100));
	close(fd);
	ASSERT_EQ(0, pipe(fds));
	ASSERT_EQ(-EOPNOTSUPP, TAKE(fds[0], 0, 100));
	close(fds[0]);
	close(fds[1]);
	fd = open("/dev/null", O_WRONLY);
	ASSERT_EQ(-EBADF, TAKE(fd, 0, 100));
	close(fd);
	ASSERT_EQ(-EINVAL, TAKE(self->fd, -2, 100));
}

NOTIF_TEST_MAIN
