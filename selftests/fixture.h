/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The tests' common ground: kinds of rings, what a test asserts of a CQE, and
 * a main() that can list its tests.
 */
#ifndef NOTIF_TEST_FIXTURE_H
#define NOTIF_TEST_FIXTURE_H

#include <time.h>

#include <kselftest_harness.h>

#include "ring.h"
#include "sock.h"

/* For the debug kernel under emulation: only the lost run into it. */
#undef TEST_TIMEOUT_DEFAULT
#define TEST_TIMEOUT_DEFAULT	300

/* What a file has, which is a number; -ENOENT without the file. */
static inline int number_in(const char *path)
{
	FILE *file = fopen(path, "r");
	int number;

	if (!file)
		return -ENOENT;
	if (fscanf(file, "%d", &number) != 1)
		number = -EIO;
	fclose(file);
	return number;
}

/* Receives @len bytes, while the ring goes on; -ETIME if they don't come. */
static inline int receive_with_ring(struct io_uring *ring, int fd, char *to,
				    size_t len)
{
	unsigned int idle_ms = 0;
	size_t done = 0;

	while (done < len && idle_ms < LOST_MS) {
		ssize_t n = recv(fd, to + done, len - done, MSG_DONTWAIT);

		if (n > 0) {
			done += n;
			idle_ms = 0;
			continue;
		}
		ring_wait(ring, 0, 0);
		nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
		idle_ms++;
	}
	return done < len ? -ETIME : 0;
}

/* The fixture's tests run once in each kind of ring. */
#define RING_VARIANTS(fixture)						\
	FIXTURE_VARIANT(fixture) { unsigned int setup; };		\
	FIXTURE_VARIANT_ADD(fixture, plain) { .setup = 0 };		\
	FIXTURE_VARIANT_ADD(fixture, defer) { .setup = RING_DEFER }

#define RING_VARIANTS_SQPOLL(fixture)					\
	RING_VARIANTS(fixture);						\
	FIXTURE_VARIANT_ADD(fixture, sqpoll) { .setup = IORING_SETUP_SQPOLL }

/* The next CQE is this one. */
#define ASSERT_CQE(_ring, _user_data, _res, _flags) do {		\
	struct io_uring_cqe __cqe = {};					\
	ASSERT_EQ(0, ring_next(_ring, &__cqe))				\
		TH_LOG("lost: the CQE of %#llx",			\
		       (unsigned long long)(_user_data));		\
	ASSERT_EQ((__u64)(_user_data), __cqe.user_data);		\
	ASSERT_EQ((__s32)(_res), __cqe.res);				\
	ASSERT_EQ((__u32)(_flags), __cqe.flags);			\
} while (0)

/* The next CQE is the notification of a slot with this tag. */
#define ASSERT_NOTIF(_ring, _tag, _seq)					\
	ASSERT_CQE(_ring, _tag, 0, notif_flags(_seq))

/* There is no CQE, and none comes for a while. */
#define ASSERT_QUIET(_ring) do {					\
	struct io_uring_cqe __cqe = {};					\
	ASSERT_EQ(-ETIME, ring_next_ms(_ring, &__cqe, QUIET_MS))	\
		TH_LOG("a CQE of %#llx: res %d flags %#x",		\
		       (unsigned long long)__cqe.user_data, __cqe.res,	\
		       __cqe.flags);					\
} while (0)

#define ASSERT_SUBMIT(_ring, _nr)	ASSERT_EQ((int)(_nr), ring_submit(_ring))
#define ASSERT_FLUSH(_ring, _first, _nr)				\
	ASSERT_EQ(1, flush_slots(_ring, _first, _nr, 0))

/* The receiver gets these bytes next. */
#define ASSERT_RECEIVED(_pair, _want, _len)				\
	ASSERT_EQ(0, receive_and_compare((_pair)->rx, _want, _len))

/* Open a pair of sockets, skip the test on a machine without the link. */
#define OPEN_PAIR(_pair, _link, _family, _type, ...) do {		\
	int __ret = pair_open(_pair, _link, _family, _type,		\
			      (struct pair_opts){ __VA_ARGS__ });	\
	if (__ret == -ENODEV)						\
		SKIP(return, "no %s link here, see net.sh",		\
		     net_links[_link].name);				\
	ASSERT_EQ(0, __ret);						\
} while (0)

/*
 * The next CQEs are the notifications of @nr slots from @first on, all with
 * @seq, in whatever order.
 */
#define ASSERT_NOTIFS(_ring, _first, _nr, _seq)				\
	assert_notifs(_metadata, _ring, _first, _nr, _seq)

static inline void assert_notifs(struct __test_metadata *_metadata,
				 struct io_uring *ring, unsigned int first,
				 unsigned int nr, unsigned int seq)
{
	__u64 seen = 0, slot;
	unsigned int i;

	for (i = 0; i < nr; i++) {
		struct io_uring_cqe cqe = {};

		ASSERT_EQ(0, ring_next(ring, &cqe))
			TH_LOG("lost: %u notifications of %u", nr - i, nr);
		slot = cqe.user_data - TAG(first);
		ASSERT_LT(slot, nr);
		ASSERT_FALSE(seen & 1ULL << slot);
		ASSERT_EQ(0, cqe.res);
		ASSERT_EQ(notif_flags(seq), cqe.flags);
		seen |= 1ULL << slot;
	}
}

/* 4 KiB, and up to 64 on other processors than x86. */
static inline unsigned int page_size(void)
{
	return sysconf(_SC_PAGESIZE);
}

/* Anonymous pages of their own. */
static inline char *map_pages(size_t len)
{
	char *data = mmap(NULL, len, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return data == MAP_FAILED ? NULL : data;
}

/*
 * Give pages back and have others ask for pages: if the kernel did not hold on to
 * them, the receiver would see what these are filled with.
 */
static inline void lose_pages(char *data, size_t len)
{
	char *other;

	munmap(data, len);
	other = map_pages(4 * len);
	if (!other)
		return;
	memset(other, 0xee, 4 * len);
	munmap(other, 4 * len);
}

static inline int print_test_names(void)
{
	static struct __fixture_variant_metadata none = { .name = "" };
	struct __fixture_variant_metadata *v;
	struct __fixture_metadata *f;
	struct __test_metadata *t;

	for (f = __fixture_list; f; f = f->next)
		for (v = f->variant ?: &none; v; v = v->next)
			for (t = f->tests; t; t = t->next)
				printf("%s%s%s.%s\n", f->name,
				       v->name[0] ? "." : "", v->name, t->name);
	return 0;
}

/* TEST_HARNESS_MAIN and an option: --names, in the form that -r takes. */
#define NOTIF_TEST_MAIN							\
	int main(int argc, char **argv)					\
	{								\
		if (argc == 2 && !strcmp(argv[1], "--names"))		\
			return print_test_names();			\
		return test_harness_run(argc, argv);			\
	}

#endif
