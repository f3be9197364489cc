// SPDX-License-Identifier: GPL-2.0
/*
 * The life of a buffer of IORING_OP_GET_BUF: whoever has it keeps it, and with the
 * last of them it goes, however that one ends.
 */
#include "getbuf.h"
#include "process.h"

#define BACKLOG		(512 << 10)	/* in front of what is to stay unsent */

FIXTURE(getlife)
{
	struct io_uring ring;
	struct pair in, out;
	char *data;	/* DATA_LEN bytes, what is sent */
	char *own;	/* a page, the program's own buffer */
	size_t backlog;	/* bytes of 0 that the receiver has to read first */
};

RING_VARIANTS_SQPOLL(getlife);

FIXTURE_SETUP(getlife)
{
	OPEN_PAIR(&self->in, NET_LO, AF_INET, SOCK_STREAM);
	OPEN_PAIR(&self->out, NET_LO, AF_INET, SOCK_STREAM, .unread = true);
	ASSERT_EQ(0, ring_init(&self->ring, variant->setup));
	self->own = map_pages(page_size());
	self->data = map_pages(DATA_LEN);
	ASSERT_TRUE(self->own && self->data);
	memset(self->own, 'o', page_size());
	fill_pattern(self->data, DATA_LEN, 17);
	ASSERT_EQ(0, register_table(&self->ring, self->own, page_size()));
	ASSERT_EQ(0, register_slots(&self->ring, NR_SLOTS));
}

FIXTURE_TEARDOWN(getlife)
{
	if (self->ring.ring_fd >= 0)
		ring_exit(&self->ring);
	pair_close(&self->in);
	pair_close(&self->out);
	EXPECT_EQ(0, module_unused());
}

#define CLOSE_RING() do {						\
	ring_exit(&self->ring);						\
	self->ring.ring_fd = -1;					\
} while (0)

/* @len bytes come and are taken, all of them. */
static void take_all(struct __test_metadata *_metadata, struct io_uring *ring,
		     struct pair *in, const char *data, size_t len,
		     unsigned int index)
{
	char *got = malloc(len);
	ssize_t n;

	ASSERT_EQ(0, send_all(in->tx, data, len));
	n = recv(in->rx, got, len, MSG_PEEK | MSG_WAITALL);
	ASSERT_EQ((ssize_t)len, n);
	free(got);
	prep_get_buf(ring, in->rx, len, index);
	ASSERT_SUBMIT(ring, 1);
	ASSERT_CQE(ring, REQ(50), len, 0);
}

#define TAKE_ALL(_ring, _off, _len, _index)				\
	take_all(_metadata, _ring, &self->in, self->data + (_off), _len, _index)

/* From here on nothing of @out gets to its receiver until that one reads. */
#define STOP_RECEIVER()							\
	ASSERT_LT(0, self->backlog = fill_backlog(self->out.tx))
#define DRAIN()	ASSERT_EQ(0, drain_socket(self->out.rx, self->backlog))

static size_t fill_backlog(int fd)
{
	char *zeroes = calloc(1, BACKLOG);
	ssize_t n = send(fd, zeroes, BACKLOG, 0);

	free(zeroes);
	return n > 0 ? n : 0;
}

/* Give on what is in entry @_index; nobody gets it yet. */
#define GIVE_ON(_ring, _index, _len) do {				\
	prep_send_buf(_ring, self->out.tx, 0, -1, _index, 0, 0);	\
	ASSERT_SUBMIT(_ring, 1);					\
	ASSERT_CQE(_ring, REQ(0), _len, 0);				\
} while (0)

/* Others want pages; whoever reads what is gone sees theirs. */
static void use_pages(void)
{
	lose_pages(map_pages(DATA_LEN), DATA_LEN);
}

/* The ring is closed, and its receiver reads only then. */
TEST_F(getlife, contract_17_ring_closed_in_flight)
{
	TAKE_ALL(&self->ring, 0, 50000, 0);
	TAKE_ALL(&self->ring, 50000, 3000, 1);
	STOP_RECEIVER();
	GIVE_ON(&self->ring, 0, 50000);
	CLOSE_RING();
	use_pages();
	if (module_refs() != -ENOENT)
		ASSERT_LT(0, module_refs());
	DRAIN();
	ASSERT_RECEIVED(&self->out, self->data, 50000);
}

/* Closed with requests that wait, in poll and in io-wq. What comes then stays. */
TEST_F(getlife, contract_17_ring_closed_while_it_waits)
{
	char got[100];

	prep_get_buf(&self->ring, self->in.rx, 100, 0);
	prep_get_buf(&self->ring, self->in.rx, 100, 1)->flags = IOSQE_ASYNC;
	ASSERT_SUBMIT(&self->ring, 2);
	ASSERT_QUIET(&self->ring);
	CLOSE_RING();
	ASSERT_EQ(0, module_unused());
	ASSERT_EQ(0, send_all(self->in.tx, self->data, 100));
	ASSERT_EQ(100, recv(self->in.rx, got, 100, MSG_WAITALL));
	ASSERT_EQ(0, memcmp(got, self->data, 100));
}

/* In the table, in requests that wait, and in notifiers whose receiver is deaf. */
static __noreturn void
use_and_wait(FIXTURE_DATA(getlife) *self, unsigned int setup, int say)
{
	struct io_uring_cqe cqe;
	struct io_uring ring;
	unsigned int i;

	if (ring_init(&ring, setup) ||
	    register_table(&ring, self->own, page_size()) ||
	    register_slots(&ring, NR_SLOTS))
		_exit(1);
	for (i = 0; i < 3; i++) {
		prep_get_buf(&ring, self->in.rx, 1000, i);
		if (ring_submit(&ring) != 1 || ring_next(&ring, &cqe) ||
		    cqe.res != 1000)
			_exit(2);
	}
	for (i = 0; i < 2; i++) {
		prep_send_buf(&ring, self->out.tx, 0, -1, i, i, 0);
		if (ring_submit(&ring) != 1 || ring_next(&ring, &cqe) ||
		    cqe.res != 1000)
			_exit(3);
	}
	for (i = 3; i < 6; i++)
		prep_get_buf(&ring, self->in.rx, 1000, i)->flags =
			i == 4 ? IOSQE_ASYNC : 0;
	if (ring_submit(&ring) != 3 || write(say, "x", 1) != 1)
		_exit(4);
	for (;;)
		pause();
}

TEST_F(getlife, contract_17_killed_with_all_of_it)
{
	int say[2], status;
	char *got = malloc(3000);
	pid_t pid;
	char c;

	STOP_RECEIVER();
	ASSERT_EQ(0, send_all(self->in.tx, self->data, 3000));
	ASSERT_EQ(3000, recv(self->in.rx, got, 3000, MSG_PEEK | MSG_WAITALL));
	ASSERT_EQ(0, pipe(say));
	pid = start_child();
	if (!pid)
		use_and_wait(self, variant->setup, say[1]);
	close(say[1]);
	ASSERT_EQ(1, read(say[0], &c, 1));
	kill(pid, SIGKILL);
	ASSERT_EQ(0, wait_exit(pid, &status));
	ASSERT_TRUE(WIFSIGNALED(status));
	use_pages();
	DRAIN();
	ASSERT_RECEIVED(&self->out, self->data, 2000);
	/* and nobody takes anything any more */
	ASSERT_EQ(0, send_all(self->in.tx, self->data + 3000, 100));
	ASSERT_EQ(100, recv(self->in.rx, got, 100, MSG_WAITALL));
	ASSERT_EQ(0, memcmp(got, self->data + 3000, 100));
	close(say[0]);
	free(got);
}

/* The table goes, another one comes: what is in flight is what it was. */
TEST_F(getlife, contract_17_table_replaced_in_flight)
{
	unsigned int i;

	STOP_RECEIVER();
	for (i = 0; i < 4; i++) {
		TAKE_ALL(&self->ring, i * 9000, 9000, i);
		GIVE_ON(&self->ring, i, 9000);
		ASSERT_EQ(0, ring_register(&self->ring, IORING_UNREGISTER_BUFFERS,
					   NULL, 0));
		ASSERT_EQ(0, register_table(&self->ring, self->own, page_size()));
		ASSERT_EQ(i + 1, kernel_bufs(&self->ring));
	}
	use_pages();
	DRAIN();
	ASSERT_RECEIVED(&self->out, self->data, 4 * 9000);
	ASSERT_FLUSH(&self->ring, 0, 1);
	ASSERT_NOTIF(&self->ring, TAG(0), 0);
	ASSERT_EQ(0, kernel_bufs(&self->ring));
}

/* One of the program's own takes its place by IORING_REGISTER_BUFFERS_UPDATE. */
TEST_F(getlife, contract_17_entry_updated_in_flight)
{
	struct iovec iov = { self->own, page_size() };
	struct io_uring_rsrc_update2 up = {
		.data = (unsigned long)&iov, .nr = 1,
	};

	STOP_RECEIVER();
	TAKE_ALL(&self->ring, 0, 9000, 0);
	TAKE_ALL(&self->ring, 9000, 9000, 1);
	GIVE_ON(&self->ring, 0, 9000);
	ASSERT_EQ(1, ring_register(&self->ring, IORING_REGISTER_BUFFERS_UPDATE,
				   &up, sizeof(up)));
	iov = (struct iovec){};
	up.offset = 1;
	ASSERT_EQ(1, ring_register(&self->ring, IORING_REGISTER_BUFFERS_UPDATE,
				   &up, sizeof(up)));
	/* nothing has the second one any more */
	ASSERT_EQ(1, kernel_bufs(&self->ring));
	prep_get_buf(&self->ring, self->in.rx, 100, 0)->ioprio =
		IORING_GET_BUF_REPLACE;
	ASSERT_SUBMIT(&self->ring, 1);
	ASSERT_NOT_TAKEN(&self->ring, -EBUSY);
	TAKE_ALL(&self->ring, 0, 10, 1);
	DRAIN();
	ASSERT_RECEIVED(&self->out, self->data, 9000);
	prep_send_buf(&self->ring, self->out.tx, (unsigned long)self->own, 10, 0,
		      1, 0);
	ASSERT_SUBMIT(&self->ring, 1);
	ASSERT_CQE(&self->ring, REQ(0), 10, 0);
	ASSERT_RECEIVED(&self->out, self->own, 10);
}

/* The entry is looked for when there is something, and then it is not there. */
TEST_F(getlife, contract_17_table_goes_while_it_waits)
{
	char got[100];

	prep_get_buf(&self->ring, self->in.rx, 100, 0);
	prep_get_buf(&self->ring, self->in.rx, 100, 1)->flags = IOSQE_ASYNC;
	ASSERT_SUBMIT(&self->ring, 2);
	ASSERT_QUIET(&self->ring);
	ASSERT_EQ(0, ring_register(&self->ring, IORING_UNREGISTER_BUFFERS, NULL, 0));
	ASSERT_QUIET(&self->ring);
	ASSERT_EQ(0, send_all(self->in.tx, self->data, 100));
	ASSERT_NOT_TAKEN(&self->ring, -EINVAL);
	ASSERT_NOT_TAKEN(&self->ring, -EINVAL);
	ASSERT_EQ(100, recv(self->in.rx, got, 100, MSG_WAITALL));
	ASSERT_EQ(0, memcmp(got, self->data, 100));
	/* and there with another table, in an entry that the old one had not */
	ASSERT_EQ(0, register_table(&self->ring, self->own, page_size()));
	prep_get_buf(&self->ring, self->in.rx, 100, 20);
	ASSERT_SUBMIT(&self->ring, 1);
	ASSERT_NOT_TAKEN(&self->ring, -EINVAL);
}

static int clone_table(struct io_uring *to, const struct io_uring *from,
		       unsigned int flags)
{
	struct io_uring_clone_buffers arg = {
		.src_fd = from->ring_fd, .flags = flags,
	};

	return ring_register(to, IORING_REGISTER_CLONE_BUFFERS, &arg, 1);
}

/* Another ring has them too, and goes on as the first one is closed. */
TEST_F(getlife, contract_17_cloned_outlives_its_ring)
{
	struct io_uring other;

	TAKE_ALL(&self->ring, 0, 9000, 0);
	TAKE_ALL(&self->ring, 9000, 5000, 1);
	ASSERT_EQ(0, ring_init(&other, variant->setup));
	ASSERT_EQ(0, register_slots(&other, NR_SLOTS));
	ASSERT_EQ(0, clone_table(&other, &self->ring, 0));
	/* those of the first ring: they count there, once */
	ASSERT_EQ(2, kernel_bufs(&self->ring));
	prep_give_up(&self->ring, 0, 1);
	ASSERT_SUBMIT(&self->ring, 1);
	ASSERT_CQE(&self->ring, FLUSH_REQ, 1, 0);
	ASSERT_EQ(2, kernel_bufs(&self->ring));
	CLOSE_RING();
	use_pages();
	GIVE_ON(&other, 0, 9000);
	ASSERT_RECEIVED(&self->out, self->data, 9000);
	/* it may take more into the entries, and replace what was cloned */
	ASSERT_EQ(0, send_all(self->in.tx, self->data, 100));
	prep_get_buf(&other, self->in.rx, 100, 1);
	ASSERT_SUBMIT(&other, 1);
	ASSERT_NOT_TAKEN(&other, -EBUSY);
	GIVE_ON(&other, 1, 5000);
	ASSERT_RECEIVED(&self->out, self->data + 9000, 5000);
	prep_get_buf(&other, self->in.rx, 100, 1)->ioprio = IORING_GET_BUF_REPLACE;
	ASSERT_SUBMIT(&other, 1);
	ASSERT_CQE(&other, REQ(50), 100, 0);
	ASSERT_EQ(1, kernel_bufs(&other));
	ring_exit(&other);
}

/* The same without slots anywhere: the buffers alone keep the module. */
TEST_F(getlife, contract_17_buffers_keep_the_module)
{
	struct io_uring other;
	const char *ko = getenv("KO");
	char load[256];
	int ret;

	ASSERT_EQ(0, unregister_slots(&self->ring));
	if (module_refs() == -ENOENT)
		SKIP(return, "the module is built in");
	ASSERT_EQ(0, module_unused());
	TAKE_ALL(&self->ring, 0, 9000, 0);
	ASSERT_LT(0, module_refs());
	ASSERT_EQ(-EAGAIN, unload());
	ASSERT_EQ(0, ring_init(&other, variant->setup));
	ASSERT_EQ(0, clone_table(&other, &self->ring, 0));
	CLOSE_RING();
	sleep_ms(50);
	ASSERT_EQ(-EAGAIN, unload());
	ASSERT_EQ(0, ring_register(&other, IORING_UNREGISTER_BUFFERS, NULL, 0));
	ASSERT_EQ(0, module_unused());
	ring_exit(&other);
	ret = unload();
	ASSERT_TRUE(!ret || ret == -ENOENT);
	/* and the next GET_BUF has it loaded, where modprobe finds it */
	if (ko && *ko) {
		snprintf(load, sizeof(load), "insmod %s", ko);
		ASSERT_EQ(0, system(load));
	}
	ASSERT_EQ(0, ring_init(&self->ring, variant->setup));
	ASSERT_EQ(0, register_table(&self->ring, self->own, page_size()));
	TAKE_ALL(&self->ring, 0, 100, 0);
	ASSERT_LT(0, module_refs());
}

/* Back and forth between two rings while it is sent: nothing is lost, nothing stays. */
TEST_F(getlife, contract_17_cloned_in_flight)
{
	struct io_uring other;
	unsigned int i;

	ASSERT_EQ(0, ring_init(&other, variant->setup));
	ASSERT_EQ(0, register_table(&other, self->own, page_size()));
	TAKE_ALL(&self->ring, 0, 9000, 0);
	STOP_RECEIVER();
	for (i = 0; i < 5; i++) {
		GIVE_ON(&self->ring, 0, 9000);
		ASSERT_EQ(0, clone_table(&other, &self->ring,
					 IORING_REGISTER_DST_REPLACE));
		prep_give_up(&self->ring, 0, NR_BUFFERS);
		ASSERT_SUBMIT(&self->ring, 1);
		ASSERT_CQE(&self->ring, FLUSH_REQ, 1, 0);
		ASSERT_EQ(0, clone_table(&self->ring, &other,
					 IORING_REGISTER_DST_REPLACE));
	}
	ring_exit(&other);
	DRAIN();
	for (i = 0; i < 5; i++)
		ASSERT_RECEIVED(&self->out, self->data, 9000);
	ASSERT_EQ(1, kernel_bufs(&self->ring));
	ASSERT_FLUSH(&self->ring, 0, 1);
	ASSERT_NOTIF(&self->ring, TAG(0), 0);
}

NOTIF_TEST_MAIN
