// SPDX-License-Identifier: GPL-2.0
/*
 * Whatever mixture of sizes, recv(), MSG_PEEK and calls that map: the bytes are those
 * that were sent, in order, none lost, none twice. It is drawn from a seed:
 *
 *	VSOCK_MIX_SEED=<number> VSOCK_MIX_MB=<MiB of each test>
 */
#include <pthread.h>

#include "vsockpair.h"

#define MIX_MB		12
/* bigger than a packet of a message may be, and at most what is queued by default */
#define MOST		200000U
#define QUEUE		(256U << 10)
#define ODD		0x9e3779b97f4a7c15ULL

struct mix {
	int type, tx, rx;
	bool two;		/* two threads receive */
	__u64 seed;
	size_t total;
	unsigned int nr;	/* sends */
	size_t *start;		/* where each begins, and the last ends */
	unsigned char *seen;	/* of two threads: which words were received */
	size_t at, taken;
	size_t mapped, copied, received;
	const char *wrong;
};

/* One who receives. */
struct taker {
	struct mix *mix;
	__u64 rnd;
	char *map, *buf, *want;
};

static __u64 scramble(__u64 x)
{
	x ^= x >> 31;
	x *= 0xbf58476d1ce4e5b9ULL;
	return x ^ x >> 29;
}

static __u64 draw(struct taker *taker)
{
	taker->rnd += ODD;
	return scramble(taker->rnd);
}

static size_t size_of(const struct mix *mix, unsigned int n)
{
	__u64 rnd = scramble((n + 1) * ODD ^ mix->seed);
	size_t most[] = { 16, 16, 128, 200, 4096, 4096, 20000, 65536, MOST };
	unsigned int kind = rnd % 16;
	size_t len;

	rnd >>= 8;
	if (kind < ARRAY_SIZE(most))
		len = 1 + rnd % most[kind];
	else
		len = kind < 14 ? 4096 : 4096 * (1 + rnd % 8);
	return mix->two ? (len + 7) & ~7UL : len;
}

static bool ends_record(const struct mix *mix, unsigned int n)
{
	return mix->type == SOCK_SEQPACKET &&
	       scramble(n * ODD + mix->seed) % 3 == 0;
}

/* Eight bytes say where they belong, see place_of(). */
static __u64 word(const struct mix *mix, size_t n)
{
	return (n ^ mix->seed) * ODD;
}

static size_t place_of(const struct mix *mix, const char *data)
{
	__u64 inverse = ODD, value, i;

	for (i = 0; i < 5; i++)
		inverse *= 2 - ODD * inverse;
	memcpy(&value, data, sizeof(value));
	return (value * inverse ^ mix->seed) * 8;
}

static void fill(const struct mix *mix, char *to, size_t at, size_t len)
{
	size_t i;

	for (i = 0; i < len; i++, at++)
		to[i] = word(mix, at / 8) >> at % 8 * 8;
}

static void *say(struct mix *mix, const char *wrong)
{
	const char *none = NULL;

	/* what comes of it is of no interest */
	__atomic_compare_exchange_n(&mix->wrong, &none, wrong, false,
				    __ATOMIC_RELAXED, __ATOMIC_RELAXED);
	shutdown(mix->rx, SHUT_RDWR);
	return NULL;
}

static void *sender(void *arg)
{
	struct mix *mix = arg;
	char *buf = malloc(MOST + 8);
	unsigned int n;

	for (n = 0; n < mix->nr && buf; n++) {
		size_t len = mix->start[n + 1] - mix->start[n], done = 0;
		int flags = ends_record(mix, n) ? MSG_EOR : 0;

		fill(mix, buf, mix->start[n], len);
		while (done < len) {
			ssize_t ret = send(mix->tx, buf + done, len - done,
					   flags | MSG_NOSIGNAL);

			if (ret <= 0) {
				free(buf);
				return say(mix, "send() got an error");
			}
			done += ret;
		}
	}
	free(buf);
	shutdown(mix->tx, SHUT_WR);
	return NULL;
}

/* Which message begins there; -1: none does. */
static int message_at(const struct mix *mix, size_t at)
{
	unsigned int low = 0, high = mix->nr;

	while (low < high) {
		unsigned int middle = (low + high) / 2;

		if (mix->start[middle] < at)
			low = middle + 1;
		else
			high = middle;
	}
	return low < mix->nr && mix->start[low] == at ? (int)low : -1;
}

static const char *see_words(struct mix *mix, size_t at, size_t len)
{
	size_t i;

	for (i = at / 8; i < (at + len) / 8; i++)
		if (__atomic_exchange_n(&mix->seen[i], 1, __ATOMIC_RELAXED))
			return "bytes came twice";
	return NULL;
}

/* A piece of a stream, or a message. @peek: it stays. */
static const char *take(struct taker *taker, const char *data, size_t len,
			bool eor, bool peek)
{
	struct mix *mix = taker->mix;
	size_t at = mix->two ? place_of(mix, data) : mix->at;
	int n;

	if (at + len > mix->total)
		return "bytes that were never sent";
	fill(mix, taker->want, at, len);
	if (memcmp(taker->want, data, len))
		return "other bytes than were sent";
	if (mix->type == SOCK_SEQPACKET) {
		n = message_at(mix, at);
		if (n < 0 || mix->start[n + 1] - at != len)
			return "no message that was sent";
		if (eor != ends_record(mix, n))
			return "MSG_EOR is another";
	}
	if (peek)
		return NULL;
	__atomic_add_fetch(&mix->taken, len, __ATOMIC_RELAXED);
	if (mix->two)
		return see_words(mix, at, len);
	mix->at += len;
	return NULL;
}

static const char *do_recv(struct taker *taker, int flags)
{
	struct mix *mix = taker->mix;
	struct iovec iov = { taker->buf, MOST + 8 };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
	ssize_t n;

	if (mix->type == SOCK_STREAM)
		iov.iov_len = (1 + draw(taker) % 9000) * (mix->two ? 8 : 1);
	/* another thread may have taken what was seen */
	if (mix->two)
		flags &= ~MSG_PEEK;
	n = recvmsg(mix->rx, &msg, flags | MSG_DONTWAIT);
	if (n < 0)
		return errno == EAGAIN ? NULL : "recv() got an error";
	if (!n)
		return NULL;
	if (!(flags & MSG_PEEK))
		__atomic_add_fetch(&mix->received, n, __ATOMIC_RELAXED);
	return take(taker, taker->buf, n, msg.msg_flags & MSG_EOR,
		    flags & MSG_PEEK);
}

/* What the call filled in. */
static const char *take_mapped(struct taker *taker, const char *at,
			       const struct vsock_map_rx *arg)
{
	const struct vsock_rx_hdr *hdr = (const void *)at;
	bool message = taker->mix->type == SOCK_SEQPACKET;
	const char *data = at + PAGE, *wrong = NULL;
	size_t sum = 0, len = 0;

	for (; hdr->length && !wrong; hdr++) {
		size_t end = pages_for(hdr->length) * PAGE;

		if ((hdr->flags & VSOCK_RX_HDR_EOM) && !message)
			return "a stream has messages";
		if (!all_zero(data + hdr->length, data + end))
			return "other memory after the data";
		sum += hdr->length;
		if (sum > arg->length)
			return "headers for more than was received";
		memcpy(taker->buf + len, data, hdr->length);
		len += hdr->length;
		data += end;
		if (message && !(hdr->flags & VSOCK_RX_HDR_EOM))
			continue;
		wrong = take(taker, taker->buf, len,
			     hdr->flags & VSOCK_RX_HDR_EOR, false);
		len = 0;
	}
	if (!wrong && (sum != arg->length || len))
		return "headers for less than was received";
	return wrong;
}

static const char *do_map(struct taker *taker)
{
	static const unsigned int sizes[] = { 2, 3, 5, 9, 17, 65, 1 + MAP_DATA };
	struct mix *mix = taker->mix;
	unsigned int pages = sizes[draw(taker) % ARRAY_SIZE(sizes)];
	unsigned int first = draw(taker) % (2 + MAP_DATA - pages);
	unsigned int flags = draw(taker) % 4 ? 0 : VSOCK_MAP_RX_CLEAN;
	char *at = taker->map + first * PAGE;
	struct vsock_map_rx arg;
	int ret;

	if (flags && madvise(at, pages * PAGE, MADV_DONTNEED))
		return "MADV_DONTNEED is refused";
	ret = map_rx(mix->rx, at, pages * PAGE, flags, &arg);
	if (ret == -EMSGSIZE && mix->type == SOCK_SEQPACKET &&
	    pages < 2 + pages_for(MOST) + MOST / 4096) {
		at = taker->map;
		ret = map_rx(mix->rx, at, 0, 0, &arg);
	}
	if (ret)
		return "the call that maps got an error";
	if (!arg.length)
		return NULL;
	__atomic_add_fetch(&mix->copied, arg.copied, __ATOMIC_RELAXED);
	__atomic_add_fetch(&mix->mapped, arg.length - arg.copied,
			   __ATOMIC_RELAXED);
	return take_mapped(taker, at, &arg);
}

static void *receiver(void *arg)
{
	struct taker *taker = arg;
	struct mix *mix = taker->mix;
	struct pollfd pfd = { .fd = mix->rx, .events = POLLIN };

	while (__atomic_load_n(&mix->taken, __ATOMIC_RELAXED) < mix->total) {
		const char *wrong;

		if (__atomic_load_n(&mix->wrong, __ATOMIC_RELAXED))
			return NULL;
		if (poll(&pfd, 1, LOST_MS) != 1)
			return say(mix, "nothing comes any more");
		switch (draw(taker) % 8) {
		case 0:
		case 1:
			wrong = do_recv(taker, 0);
			break;
		case 2:
			wrong = do_recv(taker, MSG_PEEK);
			break;
		default:
			wrong = do_map(taker);
		}
		if (wrong)
			return say(mix, wrong);
	}
	return NULL;
}

static unsigned long number(const char *name, unsigned long otherwise)
{
	const char *text = getenv(name);

	return text ? strtoul(text, NULL, 0) : otherwise;
}

static void open_mix(struct __test_metadata *_metadata, struct mix *mix)
{
	size_t wanted = number("VSOCK_MIX_MB", MIX_MB) << 20;
	unsigned int room = 1024;

	mix->seed = scramble(number("VSOCK_MIX_SEED", 1) * ODD);
	mix->start = calloc(room, sizeof(*mix->start));
	while (mix->total < wanted) {
		if (mix->nr + 2 > room) {
			room *= 2;
			mix->start = realloc(mix->start,
					     room * sizeof(*mix->start));
		}
		ASSERT_NE(NULL, mix->start);
		mix->total += size_of(mix, mix->nr);
		mix->start[++mix->nr] = mix->total;
	}
	mix->seen = calloc(mix->total / 8 + 1, 1);
	ASSERT_NE(NULL, mix->seen);
	ASSERT_EQ(0, vsock_pair_of(mix->type, QUEUE, &mix->tx, &mix->rx));
	ASSERT_EQ(0, vsock_opt_in(mix->rx));
}

static void run_mix(struct __test_metadata *_metadata, struct mix *mix)
{
	struct taker takers[2];
	pthread_t threads[3];
	unsigned int i, nr = mix->two ? 2 : 1;

	open_mix(_metadata, mix);
	for (i = 0; i < nr; i++) {
		struct taker *taker = &takers[i];

		*taker = (struct taker){ .mix = mix, .rnd = mix->seed + i };
		taker->map = map_socket(mix->rx, MAP_LEN);
		taker->buf = malloc(MAP_LEN);
		taker->want = malloc(MAP_LEN);
		ASSERT_NE(MAP_FAILED, (void *)taker->map);
		ASSERT_NE(NULL, taker->buf);
		ASSERT_NE(NULL, taker->want);
		ASSERT_EQ(0, pthread_create(&threads[i], NULL, receiver, taker));
	}
	ASSERT_EQ(0, pthread_create(&threads[nr], NULL, sender, mix));
	for (i = 0; i <= nr; i++)
		ASSERT_EQ(0, pthread_join(threads[i], NULL));
	printf("# %u sends, %zu bytes: %zu mapped, %zu copied, %zu by recv()\n",
	       mix->nr, mix->total, mix->mapped, mix->copied, mix->received);
	ASSERT_EQ(NULL, mix->wrong)
		TH_LOG("%s; %zu of %zu bytes were right", mix->wrong,
		       mix->taken, mix->total);
	ASSERT_EQ(mix->total, mix->taken);
	ASSERT_LT(0, mix->mapped);
	ASSERT_EQ(0, queued(mix->rx));
	close(mix->tx);
	close(mix->rx);
}

FIXTURE_VARIANT_ADD(vsock, stream) { .type = SOCK_STREAM };
FIXTURE_VARIANT_ADD(vsock, seqpacket) { .type = SOCK_SEQPACKET };

TEST_F_TIMEOUT(vsock, vsock_02_random_mixture, 3600)
{
	struct mix mix = { .type = variant->type };

	run_mix(_metadata, &mix);
}

TEST_F_TIMEOUT(vsock, vsock_02_two_threads, 3600)
{
	struct mix mix = { .type = variant->type, .two = true };

	run_mix(_metadata, &mix);
}

NOTIF_TEST_MAIN
