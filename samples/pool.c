// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * A sender to start from: buffers of a pool go out through a notification slot
 * and come back with its notifications. Over UDP and over TCP, to a thread of its
 * own that looks at every byte.
 *
 *	cc -D_GNU_SOURCE -I<project>/lib -pthread pool.c -luring
 *	./a.out [messages]
 *
 * Needs any liburing from 2.3 on, and no special kernel headers.
 */
#include "notif_pool.h"

#include <arpa/inet.h>
#include <err.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>

#define SIZE		8192		/* of a buffer, and of a message */
#define BUFFERS		64
#define EVERY		16		/* sends for each notification */
#define WINDOW		8		/* datagrams that the receiver may lag */
#define POOL_ID		1		/* upper half of user_data, see notif_pool.h */
#define MINE		(2ULL << 32)	/* of ours */

struct receiver {
	pthread_t thread;
	int fd;
	unsigned long messages;		/* to receive, in bytes on TCP */
	atomic_ulong received;
	unsigned long wrong;		/* bytes */
};

/* Byte @at of message @nr; other for each message, and within one. */
static unsigned char pattern(unsigned long nr, unsigned long at)
{
	return nr * 31 + at * 7 + at / 256;
}

static void fill(unsigned char *buf, unsigned long nr)
{
	unsigned long at;

	for (at = 0; at < SIZE; at++)
		buf[at] = pattern(nr, at);
}

/* The receiver: what arrives has to be message after message. */
static void *receive(void *arg)
{
	unsigned long total, at = 0;
	unsigned char buf[SIZE];
	struct receiver *r = arg;
	ssize_t i, n;

	total = r->messages * SIZE;
	while (at < total) {
		n = recv(r->fd, buf, sizeof(buf), 0);
		if (n <= 0)
			err(1, "%lu of %lu bytes arrived", at, total);
		for (i = 0; i < n; i++, at++)
			r->wrong += buf[i] != pattern(at / SIZE, at % SIZE);
		atomic_store(&r->received, at / SIZE);
	}
	return NULL;
}

/* Sockets that are connected over loopback: @rx to receive, returns the sender's. */
static int connect_pair(int type, int *rx)
{
	struct sockaddr_in to = { .sin_family = AF_INET };
	struct timeval patience = { .tv_sec = 20 };
	int accepted, tx = socket(AF_INET, type, 0);
	socklen_t len = sizeof(to);

	to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	*rx = socket(AF_INET, type, 0);
	if (tx < 0 || *rx < 0 || bind(*rx, (struct sockaddr *)&to, len) ||
	    getsockname(*rx, (struct sockaddr *)&to, &len))
		err(1, "socket");
	if (type == SOCK_STREAM && listen(*rx, 1))
		err(1, "listen");
	if (connect(tx, (struct sockaddr *)&to, len))
		err(1, "connect");
	if (type == SOCK_STREAM) {
		accepted = accept(*rx, NULL, NULL);
		if (accepted < 0)
			err(1, "accept");
		close(*rx);
		*rx = accepted;
	}
	setsockopt(*rx, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	return tx;
}

/*
 * A CQE of a request: the buffer is still the kernel's. SEND_ZC may send less than
 * all only without MSG_WAITALL, and here nothing else makes it.
 */
static void on_request(struct io_uring_cqe *cqe, void *arg)
{
	(void)arg;
	if (cqe->res < 0)
		errx(1, "message %llu was not sent: %s",
		     (unsigned long long)(cqe->user_data & ~MINE), strerror(-cqe->res));
	if (cqe->res != SIZE)
		errx(1, "message %llu was cut at %d bytes",
		     (unsigned long long)(cqe->user_data & ~MINE), cqe->res);
}

static void check(int ret, const char *what)
{
	if (ret)
		errx(1, "%s: %s", what, strerror(-ret));
}

/* Send message after message; buffers come back as we run out of them. */
static void send_all(struct notif_pool *pool, int fd, struct receiver *r, bool dgram)
{
	struct io_uring_sqe *sqe;
	unsigned long nr;
	void *buf;

	for (nr = 0; nr < r->messages; nr++) {
		/* UDP itself waits for nobody */
		while (dgram && nr - atomic_load(&r->received) > WINDOW) {
			if (io_uring_submit(pool->ring) < 0)
				errx(1, "submit");
			sched_yield();
		}
		while (!(buf = notif_pool_next(pool)))
			check(notif_pool_wait(pool, on_request, NULL), "waiting for buffers");
		fill(buf, nr);
		sqe = notif_pool_send(pool, fd, SIZE, MSG_WAITALL);
		if (!sqe) {
			/* the submission queue is full */
			if (io_uring_submit(pool->ring) < 0)
				errx(1, "submit");
			sqe = notif_pool_send(pool, fd, SIZE, MSG_WAITALL);
		}
		if (!sqe)
			errx(1, "no SQE after a submission");
		sqe->user_data = MINE | nr;
	}
	while (notif_pool_away(pool))
		check(notif_pool_wait(pool, on_request, NULL), "waiting for the last buffers");
}

/* Say what is wrong, and what to do about it, before anything is set up. */
static void need_slots(void)
{
	struct io_uring_notif_caps caps;
	int ret = io_uring_notif_query(&caps);

	if (ret)
		errx(1, "%s: %s", strerror(-ret), io_uring_notif_advice(ret));
}

static void run(const char *name, int type, unsigned long messages)
{
	struct io_uring_notif_slot slot = { .tag = 0 };
	struct receiver r = { .messages = messages };
	int fd = connect_pair(type, &r.fd), ret;
	struct notif_pool pool;
	struct io_uring ring;

	check(io_uring_queue_init(32, &ring, 0), "io_uring_queue_init");
	ret = io_uring_notif_register(&ring, &slot, 1, 0);
	if (ret)
		errx(1, "slots: %s: %s", strerror(-ret), io_uring_notif_advice(ret));
	check(notif_pool_init(&pool, &ring, 0, POOL_ID, BUFFERS, SIZE, EVERY), "pool");
	pool.zc_flags = IORING_SEND_ZC_REPORT_USAGE;
	ret = pthread_create(&r.thread, NULL, receive, &r);
	check(-ret, "pthread_create");

	send_all(&pool, fd, &r, type == SOCK_DGRAM);
	pthread_join(r.thread, NULL);
	printf("%s: %lu messages of %d bytes, %s; %u notifications, %llu of them say copied\n",
	       name, messages, SIZE, r.wrong ? "DIFFERENT at the receiver" : "verified",
	       pool.group - 1, (unsigned long long)pool.copied);
	if (r.wrong)
		errx(1, "%s: %lu bytes were wrong", name, r.wrong);

	notif_pool_exit(&pool);
	io_uring_queue_exit(&ring);
	close(fd);
	close(r.fd);
}

int main(int argc, char **argv)
{
	unsigned long messages = argc > 1 ? strtoul(argv[1], NULL, 0) : 1000;

	need_slots();
	run("udp", SOCK_DGRAM, messages);
	run("tcp", SOCK_STREAM, messages);
	return 0;
}
