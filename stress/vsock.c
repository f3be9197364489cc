// SPDX-License-Identifier: GPL-2.0
/*
 * Connections over vsock's loopback, one after another: a thread sends what is drawn,
 * two receive it at the same time, by recv() or by mapping it, and compare. Some end
 * in the middle of it.
 */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <linux/vm_sockets.h>

#include "data.h"
#include "rnd.h"
#include "stress.h"

#define PAGE		4096UL
#define MAP_PAGES	96U
#define MOST		(80U << 10)	/* of a send, or message: fits a mapping */
#define MOST_TOTAL	(4U << 20)
#define RECEIVERS	2
#define REFS		"/sys/module/vsock_map_rx/refcnt"

struct talk {
	int tx, rx;
	bool messages;
	__u64 seed;
	size_t total, cut;	/* bytes that are sent, after which it is closed */
	pthread_mutex_t lock;	/* of a stream's receivers: its bytes are in order */
	size_t at;		/* bytes that were received, and were right */
};

struct receiver {
	struct talk *talk;
	struct rnd rnd;
	char *map, buf[MAP_PAGES * PAGE];
};

static void *send_all(void *arg)
{
	struct talk *talk = arg;
	char *buf = malloc(MOST);
	struct rnd rnd;
	size_t at = 0;

	rnd_seed(&rnd, talk->seed, 0, 0);
	while (buf && at < talk->total) {
		unsigned int len = rnd_one_in(&rnd, 3) ? PAGE : rnd_size(&rnd, MOST);
		ssize_t n;

		if (talk->messages)
			datagram_fill(buf, len, MOST, rnd_next(&rnd));
		else
			data_fill(buf, len, talk->seed, at);
		n = send(talk->tx, buf, len, MSG_NOSIGNAL);
		if (n < 0 && talk->cut)
			break;
		if (n <= 0 || (talk->messages && n != (ssize_t)len))
			wrong("a send of %u bytes on vsock is %zd: %m", len, n);
		at += n;
	}
	free(buf);
	talk->total = at;
	shutdown(talk->tx, SHUT_WR);
	return NULL;
}

static void look_at(struct talk *talk, const char *data, size_t len)
{
	const char *differs = NULL;
	size_t at = talk->at;

	if (talk->messages)
		differs = datagram_check(data, len);
	else if (data_check(data, len, talk->seed, at) != len)
		differs = "bytes aren't those that were sent";
	if (differs)
		wrong("vsock, after %zu bytes: %s", at, differs);
	__atomic_add_fetch(&talk->at, len, __ATOMIC_RELAXED);
	__atomic_add_fetch(&count->bytes, len, __ATOMIC_RELAXED);
}

/* False: there's nothing any more. */
static bool by_recv(struct receiver *r)
{
	size_t most = r->talk->messages ? MOST : rnd_size(&r->rnd, MOST);
	ssize_t n = recv(r->talk->rx, r->buf, most, MSG_DONTWAIT);

	if (n > 0)
		look_at(r->talk, r->buf, n);
	else if (n && errno != EAGAIN)
		wrong("recv() on vsock: %m");
	return n;
}

/* Puts messages together, and looks at each; a stream's pieces as they are. */
static void look_at_pages(struct receiver *r, const char *at, size_t pages)
{
	const struct vsock_rx_hdr *hdr = (const void *)at;
	const char *data = at + PAGE;
	size_t len = 0;

	for (; hdr->length; hdr++) {
		size_t end = (hdr->length + PAGE - 1) & -PAGE;

		if (data + end > at + pages * PAGE)
			wrong("vsock: headers for more than a window has");
		for (size_t i = hdr->length; i < end; i++)
			if (data[i])
				wrong("vsock: a page has something after its data");
		memcpy(r->buf + len, data, hdr->length);
		len += hdr->length;
		data += end;
		if (r->talk->messages && !(hdr->flags & VSOCK_RX_HDR_EOM))
			continue;
		look_at(r->talk, r->buf, len);
		len = 0;
	}
	if (len)
		wrong("vsock: a part of a message");
}

static bool by_mapping(struct receiver *r)
{
	unsigned int pages = rnd_between(&r->rnd, 2, MAP_PAGES);
	char *at = r->map + rnd_below(&r->rnd, MAP_PAGES + 1 - pages) * PAGE;
	struct vsock_map_rx arg = { .address = (unsigned long)at, .length = pages * PAGE };
	socklen_t size = sizeof(arg);

	if (rnd_one_in(&r->rnd, 3) && !madvise(at, pages * PAGE, MADV_DONTNEED))
		arg.flags = VSOCK_MAP_RX_CLEAN;
	if (getsockopt(r->talk->rx, AF_VSOCK, SO_VM_SOCKETS_MAP_RX, &arg, &size)) {
		if (errno == EMSGSIZE)
			return by_recv(r);
		wrong("SO_VM_SOCKETS_MAP_RX: %m");
	}
	if (arg.length) {
		look_at_pages(r, at, pages);
		__atomic_add_fetch(&count->mapped, arg.length - arg.copied,
				   __ATOMIC_RELAXED);
	}
	return !(arg.flags & VSOCK_MAP_RX_EOF);
}

static bool is_cut(const struct talk *talk)
{
	return talk->cut && __atomic_load_n(&talk->at, __ATOMIC_RELAXED) > talk->cut;
}

static void *receive_all(void *arg)
{
	struct receiver *r = arg;
	struct talk *talk = r->talk;
	struct pollfd pfd = { .fd = talk->rx, .events = POLLIN };
	bool more = true;

	while (more && !is_cut(talk)) {
		if (poll(&pfd, 1, STUCK_MS) != 1)
			wrong("vsock: nothing comes after %zu bytes", talk->at);
		if (!talk->messages)
			pthread_mutex_lock(&talk->lock);
		more = rnd_one_in(&r->rnd, 4) ? by_recv(r) : by_mapping(r);
		if (!talk->messages)
			pthread_mutex_unlock(&talk->lock);
	}
	/* who sends, and the other one, are to see it */
	shutdown(talk->rx, SHUT_RDWR);
	return NULL;
}

/* A listener whose connections are received by mapping; -1 with errno: not here. */
static int open_listener(int type)
{
	const __u64 one = 1;
	int fd = socket(AF_VSOCK, type, 0);

	if (fd >= 0 && setsockopt(fd, AF_VSOCK, SO_VM_SOCKETS_ZEROCOPY, &one, sizeof(one))) {
		close(fd);
		return -1;
	}
	return fd;
}

static void open_talk(struct talk *talk)
{
	int type = talk->messages ? SOCK_SEQPACKET : SOCK_STREAM;
	struct sockaddr_vm to = {
		.svm_family = AF_VSOCK, .svm_cid = VMADDR_CID_LOCAL,
		.svm_port = VMADDR_PORT_ANY,
	};
	int listener = open_listener(type);
	socklen_t len = sizeof(to);

	talk->tx = socket(AF_VSOCK, type, 0);
	if (listener < 0 || bind(listener, (void *)&to, len) || listen(listener, 1) ||
	    getsockname(listener, (void *)&to, &len) || connect(talk->tx, (void *)&to, len))
		wrong("a connection over vsock's loopback: %m");
	talk->rx = accept(listener, NULL, NULL);
	if (talk->rx < 0)
		wrong("accept() on vsock: %m");
	close(listener);
}

static void run_talk(struct talk *talk, struct receiver *receivers)
{
	pthread_t threads[1 + RECEIVERS];
	unsigned int i;

	for (i = 0; i < RECEIVERS; i++) {
		struct receiver *r = &receivers[i];

		r->talk = talk;
		rnd_seed(&r->rnd, talk->seed, 1 + i, 0);
		r->map = mmap(NULL, MAP_PAGES * PAGE, PROT_READ, MAP_SHARED, talk->rx, 0);
		if (r->map == MAP_FAILED || pthread_create(&threads[i], NULL, receive_all, r))
			wrong("a receiver on vsock: %m");
	}
	if (pthread_create(&threads[RECEIVERS], NULL, send_all, talk))
		wrong("a sender on vsock: %m");
	for (i = 0; i <= RECEIVERS; i++)
		pthread_join(threads[i], NULL);
	if (!talk->cut && talk->at != talk->total)
		wrong("vsock: %zu of %zu bytes were received", talk->at, talk->total);
	/* what is mapped keeps the socket */
	close(talk->tx);
	close(talk->rx);
	for (i = 0; i < RECEIVERS; i++)
		munmap(receivers[i].map, MAP_PAGES * PAGE);
}

int vsock_main(void)
{
	struct receiver *receivers = calloc(RECEIVERS, sizeof(*receivers));
	int fd = open_listener(SOCK_STREAM);
	__u64 start;

	if (!receivers)
		wrong("no memory");
	if (fd < 0) {
		printf("# vsock can't be received by mapping here: %s\n", strerror(errno));
		fflush(stdout);
		while (phase() == PHASE_RUN)
			sleep_ms(POLL_MS);
		return 0;
	}
	close(fd);
	for (; phase() == PHASE_RUN; count->ops++) {
		struct talk talk = { .lock = PTHREAD_MUTEX_INITIALIZER };
		struct rnd rnd;

		rnd_seed(&rnd, common->seed, me, count->ops);
		talk.messages = rnd_one_in(&rnd, 2);
		talk.seed = rnd_next(&rnd);
		talk.total = rnd_size(&rnd, MOST_TOTAL);
		talk.cut = rnd_one_in(&rnd, 4) ? rnd_size(&rnd, talk.total) : 0;
		open_talk(&talk);
		run_talk(&talk, receivers);
	}
	free(receivers);
	/* the last sockets end by a worker */
	start = now_ms();
	while (number_of(REFS, "") && now_ms() - start < STUCK_MS)
		sleep_ms(POLL_MS);
	if (number_of(REFS, ""))
		wrong("vsock_map_rx has %lld references", number_of(REFS, ""));
	return 0;
}
