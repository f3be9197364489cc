// SPDX-License-Identifier: GPL-2.0
/* What mappings count, what a call drops before it fills, and what nobody may do. */
#include <setjmp.h>

#include "vsockpair.h"

FIXTURE_VARIANT_ADD(vsock, stream) { .type = SOCK_STREAM };

static sigjmp_buf hole;

static void on_sigbus(int nr)
{
	siglongjmp(hole, nr);
}

/* The signal that reading there gives, or 0. */
static int read_signal(const char *at)
{
	struct sigaction action = { .sa_handler = on_sigbus }, bus, segv;
	int nr;

	sigaction(SIGBUS, &action, &bus);
	sigaction(SIGSEGV, &action, &segv);
	nr = sigsetjmp(hole, 1);
	if (!nr)
		__atomic_load_n(at, __ATOMIC_RELAXED);
	sigaction(SIGBUS, &bus, NULL);
	sigaction(SIGSEGV, &segv, NULL);
	return nr;
}

static long kib_free(void)
{
	FILE *file = fopen("/proc/meminfo", "r");
	char line[128];
	long kib = -1;

	while (file && fgets(line, sizeof(line), file))
		if (sscanf(line, "MemFree: %ld", &kib) == 1)
			break;
	if (file)
		fclose(file);
	return kib;
}

/* Counting as a user without CAP_IPC_LOCK, who has nothing else locked. */
struct counter {
	struct io_uring probe;
	char *page;
	long base;
};

static void count_from_here(struct __test_metadata *_metadata,
			    struct counter *counter)
{
	counter->page = map_pages(PAGE);
	ASSERT_NE(NULL, counter->page);
	counter->page[0] = 1;
	ASSERT_EQ(0, be_limited_user());
	ASSERT_EQ(0, ring_init(&counter->probe, 0));
	counter->base = locked_pages(&counter->probe, counter->page);
	ASSERT_LE(0, counter->base);
}

#define ASSERT_COUNTED(_pages)						\
	ASSERT_EQ((long)(_pages), locked_pages(&counter.probe,		\
		  counter.page) - counter.base)

/* The whole mapping counts, whatever is in it. */
TEST_F(vsock, vsock_09_limit)
{
	struct counter counter;
	char *one, *two;

	count_from_here(_metadata, &counter);
	ASSERT_EQ(0, set_limit(counter.base + 20));
	ASSERT_EQ(MAP_FAILED, (void *)map_socket(self->rx, 21 * PAGE));
	ASSERT_EQ(ENOMEM, errno);
	one = map_socket(self->rx, 15 * PAGE);
	ASSERT_NE(MAP_FAILED, (void *)one);
	ASSERT_EQ(MAP_FAILED, (void *)map_socket(self->rx, 6 * PAGE));
	ASSERT_EQ(ENOMEM, errno);
	two = map_socket(self->rx, 5 * PAGE);
	ASSERT_NE(MAP_FAILED, (void *)two);
	ASSERT_EQ(0, set_limit(MAX_PAGES));
	ASSERT_COUNTED(20);
	SEND(4 * PAGE);
	receive_at(_metadata, self, two, 0, 0);
	ASSERT_EQ(4 * PAGE, self->arg.length);
	ASSERT_COUNTED(20);
}

TEST_F(vsock, vsock_09_returned_by_munmap)
{
	struct counter counter;
	char *map;

	count_from_here(_metadata, &counter);
	map = map_socket(self->rx, 30 * PAGE);
	ASSERT_NE(MAP_FAILED, (void *)map);
	ASSERT_COUNTED(30);
	SEND(5 * PAGE);
	receive_at(_metadata, self, map, 0, 0);
	ASSERT_EQ(0, munmap(map, 30 * PAGE));
	ASSERT_COUNTED(0);
	/* those that were refused count nothing either */
	ASSERT_EQ(MAP_FAILED, mmap(NULL, 8 * PAGE, PROT_READ | PROT_WRITE,
				   MAP_SHARED, self->rx, 0));
	ASSERT_EQ(MAP_FAILED, mmap(NULL, 8 * PAGE, PROT_READ, MAP_SHARED,
				   self->rx, PAGE));
	ASSERT_COUNTED(0);
}

/* A child that maps, and ends or becomes another program. */
static void returned_by(struct __test_metadata *_metadata,
			FIXTURE_DATA(vsock) *self, bool exec)
{
	struct counter counter;
	int pipes[2], status;
	unsigned int start;
	pid_t child;
	char byte;

	count_from_here(_metadata, &counter);
	ASSERT_EQ(0, pipe(pipes));
	child = start_child();
	ASSERT_LE(0, child);
	if (!child) {
		if (map_socket(self->rx, 40 * PAGE) == MAP_FAILED)
			_exit(1);
		if (write(pipes[1], "", 1) != 1 || pause() != -1)
			_exit(1);
	}
	ASSERT_EQ(1, read(pipes[0], &byte, 1));
	ASSERT_COUNTED(40);
	kill(child, SIGKILL);
	ASSERT_EQ(0, wait_exit(child, &status));
	ASSERT_COUNTED(0);
	if (!exec)
		return;
	child = start_child();
	ASSERT_LE(0, child);
	if (!child) {
		if (map_socket(self->rx, 40 * PAGE) == MAP_FAILED)
			_exit(1);
		execl("/bin/sleep", "sleep", "60", NULL);
		_exit(1);
	}
	start = now_ms();
	while (locked_pages(&counter.probe, counter.page) != counter.base ||
	       now_ms() - start < 500)
		ASSERT_GT(LOST_MS, now_ms() - start);
	ASSERT_EQ(0, waitpid(child, &status, WNOHANG));
	kill(child, SIGKILL);
	ASSERT_EQ(0, wait_exit(child, &status));
}

TEST_F(vsock, vsock_09_returned_by_exit)
{
	returned_by(_metadata, self, false);
}

TEST_F(vsock, vsock_09_returned_by_exec)
{
	returned_by(_metadata, self, true);
}

TEST_F(vsock, vsock_09_root_exempt)
{
	const struct rlimit none = { 0, 0 };
	char *map;

	ASSERT_EQ(0, setrlimit(RLIMIT_MEMLOCK, &none));
	map = map_socket(self->rx, MAP_LEN);
	ASSERT_NE(MAP_FAILED, (void *)map);
	munmap(map, MAP_LEN);
}

/* A call drops what was in its window; the program needn't. */
TEST_F(vsock, vsock_10_zap)
{
	SEND(15 * PAGE);
	receive_at(_metadata, self, self->map, 20 * PAGE, 0);
	ASSERT_EQ(16, filled(self->map, 20));
	SEND(PAGE);
	receive_at(_metadata, self, self->map, 20 * PAGE, 0);
	ASSERT_EQ(2, filled(self->map, 20));
	ASSERT_EQ(SIGBUS, read_signal(self->map + 2 * PAGE));
	/* and nothing else: here is another window */
	SEND(3 * PAGE);
	receive_at(_metadata, self, self->map + 20 * PAGE, 4 * PAGE, 0);
	ASSERT_EQ(6, filled(self->map, 24));
	ASSERT_EQ(0, memcmp(self->map + PAGE, self->sent + 15 * PAGE, PAGE));
}

/* The hint costs nothing where it's true, and no data where it isn't. */
TEST_F(vsock, vsock_10_clean_busy_keeps_data)
{
	SEND(5 * PAGE);
	receive_at(_metadata, self, self->map, 8 * PAGE, 0);
	SEND(5 * PAGE);
	ASSERT_EQ(-EBUSY, map_rx(self->rx, self->map, 8 * PAGE,
				 VSOCK_MAP_RX_CLEAN, &self->arg));
	ASSERT_EQ(5 * PAGE, queued(self->rx));
	ASSERT_EQ(5 * PAGE, header(self->map, 0)->length);
	ASSERT_EQ(0, memcmp(self->map + PAGE, self->sent, 5 * PAGE));
	ASSERT_EQ(0, madvise(self->map, 8 * PAGE, MADV_DONTNEED));
	receive_at(_metadata, self, self->map, 8 * PAGE, VSOCK_MAP_RX_CLEAN);
	ASSERT_EQ(self->tx_at, self->rx_at);
}

/* Only the page of the headers is in use, which is the last one to be filled. */
TEST_F(vsock, vsock_10_clean_busy_headers)
{
	SEND(5 * PAGE);
	receive_at(_metadata, self, self->map, 8 * PAGE, 0);
	SEND(5 * PAGE);
	ASSERT_EQ(0, madvise(self->map + PAGE, 7 * PAGE, MADV_DONTNEED));
	ASSERT_EQ(-EBUSY, map_rx(self->rx, self->map, 8 * PAGE,
				 VSOCK_MAP_RX_CLEAN, &self->arg));
	ASSERT_EQ(5 * PAGE, queued(self->rx));
	receive_at(_metadata, self, self->map, 8 * PAGE, 0);
	ASSERT_EQ(self->tx_at, self->rx_at);
}

/* A page in the middle is, so that those before it are taken out again. */
TEST_F(vsock, vsock_10_clean_busy_in_the_middle)
{
	SEND(5 * PAGE);
	receive_at(_metadata, self, self->map, 8 * PAGE, 0);
	SEND(5 * PAGE);
	ASSERT_EQ(0, madvise(self->map, 3 * PAGE, MADV_DONTNEED));
	ASSERT_EQ(0, madvise(self->map + 4 * PAGE, 4 * PAGE, MADV_DONTNEED));
	ASSERT_EQ(-EBUSY, map_rx(self->rx, self->map, 8 * PAGE,
				 VSOCK_MAP_RX_CLEAN, &self->arg));
	ASSERT_EQ(5 * PAGE, queued(self->rx));
	/* what was in the way is as it was, and alone */
	ASSERT_EQ(1, filled(self->map, 8));
	ASSERT_EQ(0, memcmp(self->map + 3 * PAGE, self->sent + 2 * PAGE, PAGE));
	RECEIVE_ALL();
}

/* 400 MiB go through a mapping of 2, as long as pages come back at once. */
TEST_F(vsock, vsock_10_dontneed_frees)
{
	long before = 0;
	unsigned int i;

	for (i = 0; i < 200; i++) {
		self->tx_at = 0;
		self->rx_at = 0;
		SEND(MAP_DATA * PAGE);
		RECEIVE_ALL();
		ASSERT_EQ(0, self->arg.copied);
		ASSERT_EQ(1 + MAP_DATA, filled(self->map, 1 + MAP_DATA));
		ASSERT_EQ(0, madvise(self->map, MAP_LEN, MADV_DONTNEED));
		ASSERT_EQ(0, filled(self->map, 1 + MAP_DATA));
		if (i == 20)
			before = kib_free();
	}
	ASSERT_GT(60L << 10, before - kib_free());
}

/* Any part of it, page by page. */
TEST_F(vsock, vsock_10_dontneed_of_a_page)
{
	SEND(10 * PAGE);
	RECEIVE_ALL();
	ASSERT_EQ(0, madvise(self->map + 3 * PAGE, PAGE, MADV_DONTNEED));
	ASSERT_EQ(SIGBUS, read_signal(self->map + 3 * PAGE));
	ASSERT_EQ(10, filled(self->map, 11));
	ASSERT_EQ(0, memcmp(self->map + 4 * PAGE, self->sent + 3 * PAGE,
			    7 * PAGE));
}

TEST_F(vsock, vsock_11_protection)
{
	static const int wrong[] = {
		PROT_WRITE, PROT_READ | PROT_WRITE, PROT_READ | PROT_EXEC,
	};
	int fd = open("/proc/self/mem", O_RDWR);
	unsigned int i;

	ASSERT_LE(0, fd);
	for (i = 0; i < ARRAY_SIZE(wrong); i++) {
		ASSERT_EQ(MAP_FAILED, mmap(NULL, 4 * PAGE, wrong[i], MAP_SHARED,
					   self->rx, 0));
		ASSERT_EQ(EPERM, errno);
		ASSERT_EQ(-1, mprotect(self->map, MAP_LEN, wrong[i]));
		ASSERT_EQ(EACCES, errno);
	}
	ASSERT_EQ(MAP_FAILED, mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE,
				   MAP_PRIVATE, self->rx, 0));
	SEND(2 * PAGE);
	RECEIVE_ALL();
	/* as a debugger writes, to whom read only means little */
	ASSERT_EQ(-1, pwrite(fd, "x", 1, (unsigned long)self->map + PAGE));
	ASSERT_EQ(-1, pwrite(fd, "x", 1, (unsigned long)self->map));
	ASSERT_EQ(0, memcmp(self->map + PAGE, self->sent, 2 * PAGE));
	close(fd);
}

TEST_F(vsock, vsock_11_hole)
{
	ASSERT_EQ(SIGBUS, read_signal(self->map));
	ASSERT_EQ(SIGBUS, read_signal(self->map + MAP_LEN - 1));
	SEND(PAGE);
	RECEIVE_ALL();
	ASSERT_EQ(0, read_signal(self->map));
	ASSERT_EQ(0, read_signal(self->map + PAGE));
	ASSERT_EQ(SIGBUS, read_signal(self->map + 2 * PAGE));
	ASSERT_EQ(0, madvise(self->map, MAP_LEN, MADV_DONTNEED));
	ASSERT_EQ(SIGBUS, read_signal(self->map));
}

NOTIF_TEST_MAIN
