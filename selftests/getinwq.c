// SPDX-License-Identifier: GPL-2.0
/*
 * Each allocation and each copy of IORING_OP_GET_BUF fails once where a worker of
 * io-wq makes it: as getinject.c, for a task that the program doesn't run itself.
 */
#include <dirent.h>

#include "getbuf.h"

#include "faults.h"

#define LEN		9000
#define HEAD		50
#define MAX_WORKERS	8

FIXTURE(getinwq)
{
	struct faults faults;
	struct io_uring ring;	/* a new one for each round */
	struct io_uring stays;	/* as long as it does, so do the workers */
	struct pair in, out;
	char *data, *own, *head;
	int file;
	int workers[MAX_WORKERS];	/* their fail-nth */
	unsigned int nr_workers;
};

RING_VARIANTS(getinwq);

FIXTURE_SETUP(getinwq)
{
	const char *missing = faults_open(&self->faults);

	if (missing)
		SKIP(return, "no %s here", missing);
	OPEN_PAIR(&self->in, NET_VETH, AF_INET, SOCK_STREAM);
	OPEN_PAIR(&self->out, NET_LO, AF_INET, SOCK_STREAM);
	self->own = map_pages(page_size());
	self->head = map_pages(page_size());
	self->data = map_pages(2 * LEN);
	ASSERT_TRUE(self->own && self->head && self->data);
	fill_pattern(self->data, 2 * LEN, 67);
	/* a hole, which the page cache has nothing of, so that it has to be read */
	self->file = memfd_create("getinwq", 0);
	ASSERT_EQ(0, ftruncate(self->file, 16 << 20));
	ASSERT_EQ(0, ring_init(&self->stays, variant->setup));
}

FIXTURE_TEARDOWN(getinwq)
{
	ring_exit(&self->stays);
	pair_close(&self->in);
	pair_close(&self->out);
}

static void workers_close(FIXTURE_DATA(getinwq) *self)
{
	while (self->nr_workers)
		close(self->workers[--self->nr_workers]);
}

/* Those of this task, all of which may be the one that runs a request. */
static void workers_open(FIXTURE_DATA(getinwq) *self)
{
	char path[64], name[32];
	struct dirent *entry;
	DIR *tasks = opendir("/proc/self/task");
	FILE *file;

	while (tasks && (entry = readdir(tasks))) {
		snprintf(path, sizeof(path), "/proc/self/task/%.16s/comm",
			 entry->d_name);
		file = fopen(path, "r");
		name[0] = 0;
		if (file && !fgets(name, sizeof(name), file))
			name[0] = 0;
		if (file)
			fclose(file);
		if (strncmp(name, "iou-wrk", 7) || self->nr_workers == MAX_WORKERS)
			continue;
		snprintf(path, sizeof(path), "/proc/self/task/%.16s/fail-nth",
			 entry->d_name);
		self->workers[self->nr_workers] = open(path, O_RDWR);
		if (self->workers[self->nr_workers] >= 0)
			self->nr_workers++;
	}
	if (tasks)
		closedir(tasks);
}

static void workers_set(struct __test_metadata *_metadata,
			FIXTURE_DATA(getinwq) *self, unsigned int nth)
{
	char text[16], left[16];
	int len = snprintf(text, sizeof(text), "%u", nth);
	unsigned int i;

	for (i = 0; i < self->nr_workers; i++) {
		memset(left, 0, sizeof(left));
		if (!nth && self->faults.nth &&
		    pread(self->workers[i], left, sizeof(left) - 1, 0) > 0)
			self->faults.failed |= !strcmp(left, "0\n");
		ASSERT_EQ(len, pwrite(self->workers[i], text, len, 0));
	}
}

/* A request to io-wq; its result. */
static int take(struct __test_metadata *_metadata, FIXTURE_DATA(getinwq) *self,
		int fd, __u64 off, unsigned int index)
{
	struct io_uring_sqe *sqe = prep_get_buf(&self->ring, fd, LEN, index);
	struct io_uring_cqe cqe = {};

	memset(self->head, 0, HEAD + 1);
	sqe->off = off;
	sqe->flags = IOSQE_ASYNC;
	sqe->addr = (unsigned long)self->head;
	sqe->optlen = HEAD;
	ASSERT_SUBMIT(&self->ring, 1);
	ASSERT_EQ(0, ring_next(&self->ring, &cqe))
		TH_LOG("call %u failed, and there is no answer",
		       self->faults.nth);
	ASSERT_EQ(REQ(50), cqe.user_data);
	return cqe.res;
}

/* What was taken is what there was. */
static void give_on(struct __test_metadata *_metadata,
		    FIXTURE_DATA(getinwq) *self, unsigned int index,
		    const char *want, int len)
{
	prep_send_buf(&self->ring, self->out.tx, 0, -1, index, 0, 0);
	ASSERT_SUBMIT(&self->ring, 1);
	ASSERT_CQE(&self->ring, REQ(0), len, 0);
	ASSERT_RECEIVED(&self->out, want, len);
}

/* One round for each call. @file: from a hole of it, else from the socket. */
static void take_with_faults(struct __test_metadata *_metadata,
			     FIXTURE_DATA(getinwq) *self, unsigned int setup,
			     bool file)
{
	const char *want = file ? calloc(1, 2 * LEN) : self->data;
	int fd = file ? self->file : self->in.rx, n, done;
	unsigned int round = 0;

	do {
		__u64 off = file ? ++round * 65536 : 0;

		ASSERT_EQ(0, ring_init(&self->ring, setup));
		ASSERT_EQ(0, register_table(&self->ring, self->own, page_size()));
		ASSERT_EQ(0, register_slots(&self->ring, NR_SLOTS));
		if (!file)
			ASSERT_EQ(0, send_all(self->in.tx, self->data, 100));
		/* there is a worker, or more, and what they need */
		n = take(_metadata, self, fd, file ? 20 << 20 : 0, 0);
		ASSERT_EQ(file ? 0 : 100, n);
		workers_open(self);
		ASSERT_LT(0, self->nr_workers);
		if (!file) {
			ASSERT_EQ(0, send_all(self->in.tx, self->data, LEN));
			ASSERT_EQ(LEN, recv(self->in.rx, self->data + LEN, LEN,
					    MSG_PEEK | MSG_WAITALL));
		}
		self->faults.failed = false;
		workers_set(_metadata, self, self->faults.nth);
		n = take(_metadata, self, fd, off, 1);
		workers_set(_metadata, self, 0);
		workers_close(self);
		ASSERT_TRUE(n == LEN || self->faults.failed)
			TH_LOG("call %u: %d", self->faults.nth, n);
		ASSERT_TRUE(n > 0 || n == -ENOMEM || n == -EFAULT)
			TH_LOG("call %u failed, the request with %d",
			       self->faults.nth, n);
		if (n >= HEAD)
			ASSERT_EQ(0, memcmp(self->head, want, HEAD));
		done = n > 0 ? n : 0;
		if (done)
			give_on(_metadata, self, 1, want, done);
		/* what was not taken is there */
		if (file || done < LEN) {
			n = take(_metadata, self, fd, off, 2);
			ASSERT_EQ(file ? LEN : LEN - done, n);
			give_on(_metadata, self, 2, want + (file ? 0 : done), n);
		}
		ring_exit(&self->ring);
		ASSERT_EQ(0, module_unused());
	} while (MORE_FAULTS);
}

TEST_F(getinwq, contract_17_enomem_worker_socket)
{
	take_with_faults(_metadata, self, variant->setup, false);
}

TEST_F(getinwq, contract_17_enomem_worker_file)
{
	take_with_faults(_metadata, self, variant->setup, true);
}

NOTIF_TEST_MAIN
