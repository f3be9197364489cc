// SPDX-License-Identifier: GPL-2.0
/*
 * Over a virtio device: what the guest's ring received is mapped. At its other end is a
 * server on the host, see scripts/vsockdev.py, which has a file that is here too:
 *
 *	VSOCK_FILE=<file>
 */
#include <pthread.h>

#include "vsock.h"

#define PORT		1234
#define REQUEST		64
#define RX_PAGES	"/sys/module/vmw_vsock_virtio_transport/parameters/rx_pages"
/* until the ring's old buffers are used up: far more than it has */
#define TURNOVER	(8192U << 10)
/* so much of one kind: they are used up */
#define ENOUGH		(1024U << 10)
#define FILE_LEN	(16U << 20)
/* what the daemon takes of a packet of the guest's */
#define MOST		(32U << 10)

FIXTURE(vsockdev)
{
	char *file;
	size_t len;	/* of the file */
	int fd;
	char *map, *got;
	size_t at, end;	/* of the file: what is received next, and where it ends */
	size_t mapped, copied;
	unsigned int headers;
};

FIXTURE_SETUP(vsockdev)
{
	const char *name = getenv("VSOCK_FILE");
	int fd, ret;

	if (!name)
		SKIP(return, "no VSOCK_FILE: no device here");
	fd = open(name, O_RDONLY);
	ASSERT_LE(0, fd);
	self->len = lseek(fd, 0, SEEK_END);
	self->file = mmap(NULL, self->len, PROT_READ, MAP_PRIVATE, fd, 0);
	ASSERT_NE(MAP_FAILED, (void *)self->file);
	close(fd);
	self->got = map_pages(MAP_LEN);
	ASSERT_NE(NULL, self->got);
	fd = socket(AF_VSOCK, SOCK_STREAM, 0);
	ret = vsock_opt_in(fd);
	if (ret == -ENOPROTOOPT || ret == -EOPNOTSUPP)
		SKIP(return, "this kernel has no CONFIG_VSOCK_MAP_RX");
	ASSERT_EQ(0, ret);
	close(fd);
	self->fd = -1;
}

FIXTURE_TEARDOWN(vsockdev)
{
	if (self->map)
		munmap(self->map, MAP_LEN);
	if (self->fd >= 0)
		close(self->fd);
}

/* A connection to the host, and what is wanted of it. */
static int request(const char *what)
{
	struct sockaddr_vm to = {
		.svm_family = AF_VSOCK, .svm_cid = VMADDR_CID_HOST,
		.svm_port = PORT,
	};
	struct timeval tv = { .tv_sec = 60 };
	int fd = socket(AF_VSOCK, SOCK_STREAM | SOCK_CLOEXEC, 0);
	char text[REQUEST + 1];

	if (fd < 0 || connect(fd, (void *)&to, sizeof(to)))
		return -errno;
	snprintf(text, sizeof(text), "%-64s", what);
	if (send(fd, text, REQUEST, 0) != REQUEST)
		return -EPIPE;
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv));
	return fd;
}

static void adopt(struct __test_metadata *_metadata,
		  FIXTURE_DATA(vsockdev) *self, int fd)
{
	ASSERT_LE(0, fd);
	/* before the last one ends: the ring keeps its buffers */
	ASSERT_EQ(0, vsock_opt_in(fd));
	if (self->map)
		munmap(self->map, MAP_LEN);
	if (self->fd >= 0)
		close(self->fd);
	self->fd = fd;
	self->map = map_socket(fd, MAP_LEN);
	ASSERT_NE(MAP_FAILED, (void *)self->map);
	self->mapped = 0;
	self->copied = 0;
	self->headers = 0;
}

/* Have a part of the file sent, in writes of @size bytes, 0: of all sizes. */
static void ask_for(struct __test_metadata *_metadata,
		    FIXTURE_DATA(vsockdev) *self, size_t at, size_t len,
		    size_t size)
{
	char what[REQUEST];

	ASSERT_GE(self->len, at + len);
	snprintf(what, sizeof(what), "send %zu %zu %zu", at, len, size);
	adopt(_metadata, self, request(what));
	self->at = at;
	self->end = at + len;
}

static void wait_readable(struct __test_metadata *_metadata, int fd)
{
	struct pollfd pfd = { .fd = fd, .events = POLLIN };

	ASSERT_EQ(1, poll(&pfd, 1, 60000))
		TH_LOG("the host sends no more");
}

/* One call, and it is what the file has there. 0: the end. */
static size_t receive_some(struct __test_metadata *_metadata,
			   FIXTURE_DATA(vsockdev) *self,
			   struct vsock_map_rx *arg)
{
	wait_readable(_metadata, self->fd);
	ASSERT_EQ(0, map_rx(self->fd, self->map, 0, 0, arg));
	if (!arg->length)
		return 0;
	gather(_metadata, self->map, arg, self->got);
	ASSERT_GE(self->end - self->at, arg->length);
	ASSERT_EQ(0, memcmp(self->got, self->file + self->at, arg->length))
		TH_LOG("other bytes from %zu on", self->at);
	self->at += arg->length;
	self->copied += arg->copied;
	self->mapped += arg->length - arg->copied;
	self->headers += arg->headers;
	return arg->length;
}

/* To the end, and it is told. */
static void receive_rest(struct __test_metadata *_metadata,
			 FIXTURE_DATA(vsockdev) *self)
{
	struct vsock_map_rx arg = {};

	while (self->at < self->end)
		receive_some(_metadata, self, &arg);
	while (!(arg.flags & VSOCK_MAP_RX_EOF)) {
		ASSERT_EQ(0, receive_some(_metadata, self, &arg));
		sleep_ms(1);
	}
	printf("# %zu bytes mapped, %zu copied, %u headers\n", self->mapped,
	       self->copied, self->headers);
}

/* Receive until the ring has buffers of the kind that is wanted now. */
static void turn_over(struct __test_metadata *_metadata,
		      FIXTURE_DATA(vsockdev) *self, bool want_copied)
{
	struct vsock_map_rx arg;
	size_t run = 0;

	ask_for(_metadata, self, 0, TURNOVER, 65536);
	while (run < ENOUGH) {
		ASSERT_LT(0, receive_some(_metadata, self, &arg))
			TH_LOG("%zu mapped, %zu copied, and never all of it",
			       self->mapped, self->copied);
		run += arg.length;
		if (arg.copied != (want_copied ? arg.length : 0))
			run = 0;
	}
	receive_rest(_metadata, self);
}

TEST_F(vsockdev, vsock_16_whole_pages_are_mapped)
{
	turn_over(_metadata, self, false);
	ask_for(_metadata, self, TURNOVER, 16U << 20, 65536);
	receive_rest(_metadata, self);
	ASSERT_EQ(0, self->copied);
	ASSERT_EQ(16U << 20, self->mapped);
}

/* What the host says of the file, and sha256sum of what was mapped. */
TEST_F(vsockdev, vsock_16_sha256_of_a_file)
{
	char want[65] = "", got[65] = "", what[REQUEST], name[] = "/tmp/sumXXXXXX";
	struct vsock_map_rx arg;
	int fd = mkstemp(name);
	char command[64];
	FILE *sum;

	ASSERT_LE(0, fd);
	snprintf(what, sizeof(what), "digest 0 %u", FILE_LEN);
	self->fd = request(what);
	ASSERT_LE(0, self->fd);
	ASSERT_EQ(64, recv(self->fd, want, 64, MSG_WAITALL));
	snprintf(command, sizeof(command), "sha256sum >%s", name);
	sum = popen(command, "w");
	ASSERT_NE(NULL, sum);
	ask_for(_metadata, self, 0, FILE_LEN, 65536);
	while (self->at < self->end) {
		const struct vsock_rx_hdr *hdr = header(self->map, 0);
		const char *data = self->map + PAGE;

		wait_readable(_metadata, self->fd);
		ASSERT_EQ(0, map_rx(self->fd, self->map, 0, 0, &arg));
		for (; hdr->length; hdr++) {
			ASSERT_EQ(1, fwrite(data, hdr->length, 1, sum));
			data += pages_for(hdr->length) * PAGE;
		}
		self->at += arg.length;
	}
	ASSERT_EQ(0, pclose(sum));
	ASSERT_EQ(64, read(fd, got, 64));
	ASSERT_STREQ(want, got);
	close(fd);
	unlink(name);
}

/* A byte, a page, more than the ring has: whatever the host writes at once. */
TEST_F(vsockdev, vsock_16_mixed_sizes)
{
	static const size_t sizes[] = { 0, 1000, 4096, 5000, 100, 0 };
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		ask_for(_metadata, self, i * 1000003, sizes[i] == 100 ?
			100000 : 3000000, sizes[i]);
		receive_rest(_metadata, self);
	}
}

/* recv() and the call in turn. */
TEST_F(vsockdev, vsock_16_with_recv)
{
	struct vsock_map_rx arg;
	unsigned int i = 0;
	ssize_t n;

	ask_for(_metadata, self, 12345, 4U << 20, 65536);
	while (self->at < self->end) {
		wait_readable(_metadata, self->fd);
		if (i++ % 3) {
			receive_some(_metadata, self, &arg);
			continue;
		}
		n = recv(self->fd, self->got, 1 + i * 997 % 50000, MSG_DONTWAIT);
		if (n < 0)
			continue;
		ASSERT_EQ(0, memcmp(self->got, self->file + self->at, n));
		self->at += n;
	}
	receive_rest(_metadata, self);
}

/* Opted in when half of it has come. */
TEST_F(vsockdev, vsock_16_opt_in_in_the_middle)
{
	size_t len = 12U << 20;
	char what[REQUEST];

	snprintf(what, sizeof(what), "send 0 %zu 65536", len);
	self->fd = request(what);
	ASSERT_LE(0, self->fd);
	while (self->at < len / 2) {
		ssize_t n = recv(self->fd, self->got, 30000, 0);

		ASSERT_LT(0, n);
		ASSERT_EQ(0, memcmp(self->got, self->file + self->at, n));
		self->at += n;
	}
	self->end = len;
	ASSERT_EQ(0, vsock_opt_in(self->fd));
	self->map = map_socket(self->fd, MAP_LEN);
	ASSERT_NE(MAP_FAILED, (void *)self->map);
	receive_rest(_metadata, self);
	ASSERT_LT(0, self->mapped);
}

/* The program looks away, and the ring and the socket's queue fill. */
TEST_F(vsockdev, vsock_16_ring_refill_under_load)
{
	struct vsock_map_rx arg;
	unsigned int i;

	ask_for(_metadata, self, 0, 24U << 20, 65536);
	for (i = 0; self->at < self->end; i++) {
		if (i % 16 == 0)
			sleep_ms(100);
		receive_some(_metadata, self, &arg);
	}
	receive_rest(_metadata, self);
}

static void *send_file(void *arg)
{
	FIXTURE_DATA(vsockdev) *self = arg;
	size_t at = 0;

	while (at < self->end) {
		size_t len = self->end - at < MOST ? self->end - at : MOST;
		ssize_t n = send(self->fd, self->file + at, len, 0);

		if (n <= 0)
			return self;
		at += n;
	}
	return NULL;
}

TEST_F(vsockdev, vsock_16_both_directions)
{
	size_t len = 6U << 20;
	pthread_t thread;
	char what[REQUEST];
	void *ret;

	snprintf(what, sizeof(what), "echo %zu", len);
	adopt(_metadata, self, request(what));
	self->end = len;
	ASSERT_EQ(0, pthread_create(&thread, NULL, send_file, self));
	receive_rest(_metadata, self);
	ASSERT_EQ(0, pthread_join(thread, &ret));
	ASSERT_EQ(NULL, ret);
}

/* The guest goes away in the middle; the next connection works. */
TEST_F(vsockdev, vsock_16_close)
{
	struct vsock_map_rx arg;
	unsigned int i;

	for (i = 0; i < 10; i++) {
		ask_for(_metadata, self, i * 4096, 2U << 20, 65536);
		receive_some(_metadata, self, &arg);
		ASSERT_EQ(0, memcmp(self->map + PAGE, self->file + i * 4096,
				    header(self->map, 0)->length));
	}
	ask_for(_metadata, self, 0, 1U << 20, 65536);
	receive_rest(_metadata, self);
}

/* The host connects: the socket inherits what the listening one has. */
TEST_F(vsockdev, vsock_16_accepted)
{
	struct sockaddr_vm addr = {
		.svm_family = AF_VSOCK, .svm_cid = VMADDR_CID_ANY,
		.svm_port = VMADDR_PORT_ANY,
	};
	socklen_t len = sizeof(addr);
	int listener = socket(AF_VSOCK, SOCK_STREAM, 0);
	char what[REQUEST];
	int control, fd;

	ASSERT_LE(0, listener);
	ASSERT_EQ(0, vsock_opt_in(listener));
	ASSERT_EQ(0, bind(listener, (void *)&addr, len));
	ASSERT_EQ(0, listen(listener, 1));
	ASSERT_EQ(0, getsockname(listener, (void *)&addr, &len));
	snprintf(what, sizeof(what), "call %u 4096 3000000", addr.svm_port);
	control = request(what);
	ASSERT_LE(0, control);
	fd = accept(listener, NULL, NULL);
	ASSERT_LE(0, fd);
	ASSERT_EQ(1, vsock_opted_in(fd));
	adopt(_metadata, self, fd);
	self->at = 4096;
	self->end = 4096 + 3000000;
	receive_rest(_metadata, self);
	close(control);
	close(listener);
}

/* A device that can't take buffers of two parts: all of it is copied, and right. */
TEST_F(vsockdev, vsock_16_rx_pages_0)
{
	int fd = open(RX_PAGES, O_RDWR);
	char before;

	ASSERT_LE(0, fd);
	ASSERT_EQ(1, pread(fd, &before, 1, 0));
	ASSERT_EQ(1, pwrite(fd, "0", 1, 0));
	turn_over(_metadata, self, true);
	ask_for(_metadata, self, TURNOVER, 2U << 20, 0);
	receive_rest(_metadata, self);
	ASSERT_EQ(0, self->mapped);
	ASSERT_EQ(1, pwrite(fd, &before, 1, 0));
	turn_over(_metadata, self, false);
	close(fd);
}

NOTIF_TEST_MAIN
