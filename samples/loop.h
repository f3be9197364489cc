/* SPDX-License-Identifier: GPL-2.0 OR MIT */
/*
 * What relay.c and serve.c have in common: a ring that accepts connections, has a
 * slot and an entry of the buffer table for each of their numbers, and runs until
 * SIGINT or SIGTERM. A connection has at most one request in flight for a number.
 */
#ifndef LOOP_H
#define LOOP_H

#include "liburing_get_buf.h"

#include <err.h>
#include <netdb.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/signalfd.h>

#define SENDS		16	/* through a slot, at most, for each notification */

/* user_data that is no connection's */
#define ACCEPT		0x40000000U
#define SIGNAL		0x40000001U
#define TICK		0x40000002U
#define NOBODY		0x40000003U	/* notifications, and what has no answer */

struct loop {
	struct io_uring ring;
	int listener;
	bool accepting;
	unsigned int open, nr_conns;
	unsigned long long accepted, cut, spared;
	struct __kernel_timespec pause;
	unsigned long long cpu;	/* us, without what it takes to begin and to end */
};

static inline struct io_uring_sqe *loop_sqe(struct loop *l)
{
	struct io_uring_sqe *sqe;
	int ret;

	while (!(sqe = io_uring_get_sqe(&l->ring))) {
		ret = io_uring_submit(&l->ring);
		if (ret < 0 && ret != -EBUSY && ret != -EINTR)
			errx(1, "submit: %s", strerror(-ret));
	}
	return sqe;
}

/* Prepare a request by one of liburing's calls. */
#define PREP(_loop, _id, _call, ...) ({					\
	struct io_uring_sqe *__sqe = loop_sqe(_loop);			\
	_call(__sqe, __VA_ARGS__);					\
	__sqe->user_data = (_id);					\
	__sqe;								\
})

/* A request that only its failure would be news of */
static inline void quietly(struct io_uring_sqe *sqe, unsigned int flags)
{
	sqe->flags |= IOSQE_CQE_SKIP_SUCCESS | flags;
}

/* The next two requests are a chain, which has to be submitted at once. */
static inline void loop_chain(struct loop *l)
{
	while (io_uring_sq_space_left(&l->ring) < 2)
		io_uring_submit(&l->ring);
}

/* Neither table nor slots keep what was sent; the kernel does, while it must. */
static inline void loop_let_go(struct loop *l, unsigned int id, unsigned int nr)
{
	quietly(PREP(l, NOBODY, io_uring_notif_prep_give_up, id, nr), 0);
	quietly(PREP(l, NOBODY, io_uring_notif_prep_flush, id, nr, 0), 0);
}

/* GET_BUF has found no memory: let go, and have another CQE for @id soon. */
static inline void loop_spare(struct loop *l, unsigned int id)
{
	if (!l->spared++)
		warnx("RLIMIT_MEMLOCK is reached, this will be slow; see ulimit -l");
	loop_let_go(l, id, 1);
	l->pause.tv_nsec = 10 * 1000 * 1000;
	PREP(l, id, io_uring_prep_timeout, &l->pause, 0, 0);
}

static inline void loop_accept(struct loop *l)
{
	l->accepting = l->open < l->nr_conns;
	if (l->accepting)
		PREP(l, ACCEPT, io_uring_prep_accept, l->listener, NULL, NULL, SOCK_CLOEXEC);
}

/* The CQE of an accept; whether there is a connection. */
static inline bool loop_accepted(struct loop *l, int fd)
{
	l->accepting = false;
	if (fd < 0) {
		warnx("accept: %s", strerror(-fd));
		/* for want of descriptors, or memory: when a connection has gone */
		if (!l->open || fd == -ECONNABORTED)
			loop_accept(l);
		return false;
	}
	l->accepted++;
	l->open++;
	loop_accept(l);
	return true;
}

/* Close a socket. @reset: what its peer got isn't all, which it has to see. */
static inline void loop_close(int fd, bool reset)
{
	const struct linger linger = { 1, 0 };

	if (reset)
		setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
	close(fd);
}

/* A connection has gone. */
static inline void loop_left(struct loop *l, bool cut)
{
	l->cut += cut;
	l->open--;
	if (!l->accepting)
		loop_accept(l);
}

static inline int loop_listen(const char *port)
{
	const struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE };
	struct addrinfo *ai;
	const int one = 1;
	int fd, ret;

	ret = getaddrinfo(NULL, port, &hints, &ai);
	if (ret)
		errx(1, "port %s: %s", port, gai_strerror(ret));
	fd = socket(ai->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (fd < 0 || bind(fd, ai->ai_addr, ai->ai_addrlen) || listen(fd, SOMAXCONN))
		err(1, "port %s", port);
	freeaddrinfo(ai);
	return fd;
}

/* Slots and entries of the buffer table */
static inline int loop_table(struct loop *l, unsigned int nr)
{
	struct io_uring_notif_slot *slots = calloc(nr, sizeof(*slots));
	struct io_uring_notif_caps caps;
	unsigned int i;
	int ret;

	ret = io_uring_notif_query(&caps);
	if (ret)
		errx(1, "%s", io_uring_notif_advice(ret));
	if (!caps.get_buf_flags)
		errx(1, "this kernel has no IORING_OP_GET_BUF: boot one that has, or copy");
	if (!slots)
		return -ENOMEM;
	for (i = 0; i < nr; i++) {
		slots[i].tag = NOBODY;
		slots[i].flush_after = SENDS;
		slots[i].copy_below = 1024;
	}
	ret = io_uring_notif_register(&l->ring, slots, nr, 0);
	free(slots);
	return ret ? ret : io_uring_register_buffers_sparse(&l->ring, nr);
}

/* A ring that listens; @nr: slots and entries for so many numbers, or 0 */
static inline void loop_open(struct loop *l, const char *port, unsigned int nr)
{
	const unsigned int flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN;
	sigset_t set;
	int ret;

	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigprocmask(SIG_BLOCK, &set, NULL);
	signal(SIGPIPE, SIG_IGN);
	l->listener = loop_listen(port);
	ret = io_uring_queue_init(256, &l->ring, flags);
	if (ret)
		errx(1, "io_uring: %s; needs Linux 6.1", strerror(-ret));
	ret = nr ? loop_table(l, nr) : 0;
	if (ret)
		errx(1, "slots and buffers: %s; fewer --connections?", strerror(-ret));
	PREP(l, SIGNAL, io_uring_prep_poll_add, signalfd(-1, &set, SFD_CLOEXEC), POLLIN);
	loop_accept(l);
}

static inline unsigned long long loop_cpu(void)
{
	struct rusage used;

	/* its workers' too */
	getrusage(RUSAGE_SELF, &used);
	return (used.ru_utime.tv_sec + used.ru_stime.tv_sec) * 1000000ULL +
	       used.ru_utime.tv_usec + used.ru_stime.tv_usec;
}

/* Call @on_cqe for each CQE until a signal says that it is enough. */
static inline void loop_run(struct loop *l,
			    void (*on_cqe)(const struct io_uring_cqe *cqe, void *arg),
			    void *arg)
{
	struct io_uring_cqe *cqe;
	unsigned int head, nr;
	bool enough = false;
	int ret;

	l->cpu = loop_cpu();
	while (!enough) {
		ret = io_uring_submit_and_wait(&l->ring, 1);
		if (ret < 0 && ret != -EINTR && ret != -EBUSY)
			errx(1, "waiting: %s", strerror(-ret));
		nr = 0;
		io_uring_for_each_cqe(&l->ring, head, cqe) {
			enough |= cqe->user_data == SIGNAL;
			on_cqe(cqe, arg);
			nr++;
		}
		io_uring_cq_advance(&l->ring, nr);
	}
	l->cpu = loop_cpu() - l->cpu;
	/* connections that are open are cut as the process goes */
	io_uring_queue_exit(&l->ring);
}

/* The end of what a program says at its end */
static inline void loop_report(const struct loop *l)
{
	printf("%llu connections, %llu cut, %llu waits for memory, %llu us of CPU\n",
	       l->accepted, l->cut, l->spared, l->cpu);
}

#endif
