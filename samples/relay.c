// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * A TCP relay to start from: who connects to it is connected on, and what comes
 * from either side goes to the other, in one of three ways.
 *
 *	copy	 RECV into a buffer, SEND from it
 *	splice	 SPLICE into a pipe, SPLICE from it; each takes a worker thread
 *	get_buf	 GET_BUF into an entry of the ring's buffer table, SEND_ZC from it
 *		 through a notification slot: no copy, and no pipe
 *
 *	cc -D_GNU_SOURCE -I<project>/lib relay.c -luring		(and loop.h)
 *	./a.out [--way WAY] [--connections N] PORT TO PORT
 *
 * A direction takes only what it has given on: who doesn't read stops who sends.
 * An end of one direction is passed on (shutdown), and the other one goes on. If
 * one side fails, the other sees a reset, as what it got may not be all.
 *
 * Needs any liburing from 2.3 on, and no special kernel headers.
 */
#include "loop.h"

#include <fcntl.h>
#include <getopt.h>
#include <netinet/in.h>
#include <netinet/tcp.h>

#define CHUNK		65536	/* bytes to take at a time */
#define PIPE_SIZE	(4 * CHUNK)	/* a short packet takes a page of it */

enum way { COPY, SPLICE, GET_BUF };

/* What a direction of a connection waits for */
enum state { TAKING, GIVING, SPARING, ENDED };

struct flow {
	enum state state;
	bool busy;		/* a request is in flight; there is never another */
	bool dry;		/* nothing was left to take */
	unsigned int have, done;	/* bytes taken, and given on of them */
	char *buf;		/* of COPY */
	int pipe[2];		/* of SPLICE */
};

struct conn {
	bool used, dead;
	int error;
	int fd[2];
	struct flow flow[2];	/* flow n takes from fd[n] */
};

/* user_data: of a direction's requests 2 * connection + direction, and */
#define CONNECT		0x80000000U	/* | connection */

struct relay {
	struct loop loop;
	enum way way;
	struct conn *conns;
	const struct addrinfo *target;
	unsigned long long bytes;
};

/* Wait until @fd is ready before the request that is prepared next. */
static void wait_ready(struct relay *r, unsigned int id, int fd, short events)
{
	loop_chain(&r->loop);
	quietly(PREP(&r->loop, id, io_uring_prep_poll_add, fd, events), IOSQE_IO_LINK);
}

static void take(struct relay *r, struct flow *f, int fd, unsigned int id)
{
	switch (r->way) {
	case COPY:
		PREP(&r->loop, id, io_uring_prep_recv, fd, f->buf, CHUNK, 0);
		break;
	case SPLICE:
		wait_ready(r, id, fd, POLLIN);
		PREP(&r->loop, id, io_uring_prep_splice, fd, -1, f->pipe[1], -1, CHUNK, 0);
		break;
	case GET_BUF:
		/* REPLACE: the last one is sent, the kernel knows when it may go */
		PREP(&r->loop, id, io_uring_notif_prep_get_buf, fd, CHUNK, 0, id,
		     IORING_GET_BUF_REPLACE);
		break;
	}
}

static void give(struct relay *r, struct flow *f, int fd, unsigned int id)
{
	const int flags = MSG_WAITALL | MSG_NOSIGNAL;
	const unsigned int left = f->have - f->done;

	switch (r->way) {
	case COPY:
		PREP(&r->loop, id, io_uring_prep_send, fd, f->buf + f->done, left, flags);
		break;
	case SPLICE:
		wait_ready(r, id, fd, POLLOUT);
		PREP(&r->loop, id, io_uring_prep_splice, f->pipe[0], -1, fd, -1, left, 0);
		break;
	case GET_BUF:
		/* a slot holds what was sent through it until it is flushed */
		PREP(&r->loop, id, io_uring_notif_prep_send_taken, fd, f->done, left, flags, id,
		     f->dry ? IORING_RECVSEND_NOTIF_FLUSH : 0, id);
		break;
	}
}

static void go_on(struct relay *r, struct conn *c, unsigned int dir)
{
	unsigned int id = 2 * (c - r->conns) + dir;
	struct flow *f = &c->flow[dir];

	f->busy = true;
	if (f->state == TAKING)
		take(r, f, c->fd[dir], id);
	else if (f->state == GIVING)
		give(r, f, c->fd[!dir], id);
	else
		loop_spare(&r->loop, id);
}

/* The last request of a connection is over. */
static void close_conn(struct relay *r, struct conn *c)
{
	unsigned int id = 2 * (c - r->conns), i;

	if (r->way == GET_BUF)
		loop_let_go(&r->loop, id, 2);
	for (i = 0; i < 2; i++) {
		loop_close(c->fd[i], c->error);
		free(c->flow[i].buf);
		if (r->way == SPLICE) {
			close(c->flow[i].pipe[0]);
			close(c->flow[i].pipe[1]);
		}
	}
	if (c->error)
		warnx("a connection was cut: %s%s", strerror(-c->error),
		      c->error == -EOPNOTSUPP ? "; use --way copy for such sockets" : "");
	c->used = false;
	loop_left(&r->loop, c->error);
}

/* One side is lost; stop the requests of both. */
static void fail(struct relay *r, struct conn *c, int error)
{
	unsigned int dir;

	c->dead = true;
	c->error = error;
	for (dir = 0; dir < 2; dir++)
		if (c->flow[dir].busy)
			PREP(&r->loop, NOBODY, io_uring_prep_cancel64, 2 * (c - r->conns) + dir, 0);
}

/* A direction has come to its end. */
static void end(struct conn *c, unsigned int dir)
{
	c->flow[dir].state = ENDED;
	shutdown(c->fd[!dir], SHUT_WR);
	c->dead = c->flow[!dir].state == ENDED;
}

static void on_flow(struct relay *r, struct conn *c, unsigned int dir, int res, unsigned int flags)
{
	struct flow *f = &c->flow[dir];

	f->busy = false;
	if (c->dead)
		goto out;
	if (f->state == SPARING) {
		f->state = TAKING;
	} else if (res == -EAGAIN || res == -EINTR) {
		/* once more */
	} else if (f->state == TAKING && res > 0) {
		f->have = res;
		f->done = 0;
		f->dry = !(flags & IORING_CQE_F_SOCK_NONEMPTY);
		f->state = GIVING;
	} else if (f->state == TAKING && res == 0) {
		end(c, dir);
	} else if (f->state == TAKING && r->way == GET_BUF && res == -ENOMEM) {
		f->state = SPARING;
	} else if (res > 0) {
		f->done += res;
		r->bytes += res;
		if (f->done == f->have)
			f->state = TAKING;
	} else {
		fail(r, c, res ? res : -EIO);
	}
	if (!c->dead && f->state != ENDED)
		go_on(r, c, dir);
out:
	if (c->dead && !c->flow[0].busy && !c->flow[1].busy)
		close_conn(r, c);
}

static bool make_flow(struct relay *r, struct flow *f)
{
	memset(f, 0, sizeof(*f));
	f->pipe[0] = -1;
	f->pipe[1] = -1;
	if (r->way == COPY)
		f->buf = malloc(CHUNK);
	else if (r->way == SPLICE && !pipe2(f->pipe, O_CLOEXEC))
		fcntl(f->pipe[1], F_SETPIPE_SZ, PIPE_SIZE);
	return r->way == GET_BUF || f->buf || f->pipe[1] >= 0;
}

/* Neither side waits to fill a packet, and both find out about who has gone. */
static void set_options(struct relay *r, int fd)
{
	const int one = 1;

	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &one, sizeof(one));
	/* a worker that splices would wait for one that doesn't read */
	if (r->way == SPLICE)
		fcntl(fd, F_SETFL, O_NONBLOCK);
}

static void on_accept(struct relay *r, int fd)
{
	struct conn *c = r->conns;
	bool made;

	if (!loop_accepted(&r->loop, fd))
		return;
	while (c->used)
		c++;
	c->used = true;
	c->dead = false;
	c->error = 0;
	c->fd[0] = fd;
	c->fd[1] = socket(r->target->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	made = make_flow(r, &c->flow[0]);
	made &= make_flow(r, &c->flow[1]);
	if (!made || c->fd[1] < 0) {
		c->error = -ENFILE;
		close_conn(r, c);
		return;
	}
	set_options(r, fd);
	PREP(&r->loop, CONNECT | (c - r->conns), io_uring_prep_connect, c->fd[1],
	     r->target->ai_addr, r->target->ai_addrlen);
}

static void on_connect(struct relay *r, struct conn *c, int res)
{
	if (res < 0) {
		c->error = res;
		close_conn(r, c);
		return;
	}
	set_options(r, c->fd[1]);
	go_on(r, c, 0);
	go_on(r, c, 1);
}

static void on_cqe(const struct io_uring_cqe *cqe, void *arg)
{
	unsigned int id = cqe->user_data;
	struct relay *r = arg;

	if (id == ACCEPT)
		on_accept(r, cqe->res);
	else if (id & CONNECT)
		on_connect(r, &r->conns[id & ~CONNECT], cqe->res);
	else if (id < ACCEPT)
		on_flow(r, &r->conns[id / 2], id % 2, cqe->res, cqe->flags);
}

static void parse(struct relay *r, int argc, char **argv)
{
	static const char * const ways[] = { "copy", "splice", "get_buf" };
	static const struct option names[] = {
		{ "way", 1, NULL, 'w' }, { "connections", 1, NULL, 'n' }, { }
	};
	const struct addrinfo hints = { .ai_socktype = SOCK_STREAM };
	struct addrinfo *ai;
	bool bad = false;
	int name, ret;

	r->way = GET_BUF;
	r->loop.nr_conns = 256;
	while ((name = getopt_long(argc, argv, "w:n:", names, NULL)) != -1) {
		if (name == 'n') {
			r->loop.nr_conns = strtoul(optarg, NULL, 0);
		} else if (name == 'w') {
			for (r->way = COPY; r->way <= GET_BUF; r->way++)
				if (!strcmp(optarg, ways[r->way]))
					break;
		}
		if (name == '?' || r->way > GET_BUF || r->loop.nr_conns - 1 >= 8192)
			bad = true;
	}
	if (bad || optind != argc - 3)
		errx(2, "usage: relay [--way copy|splice|get_buf] [--connections N] PORT TO PORT");
	ret = getaddrinfo(argv[optind + 1], argv[optind + 2], &hints, &ai);
	if (ret)
		errx(1, "%s: %s", argv[optind + 1], gai_strerror(ret));
	r->target = ai;
	r->conns = calloc(r->loop.nr_conns, sizeof(*r->conns));
	if (!r->conns)
		errx(1, "no memory for so many connections");
	loop_open(&r->loop, argv[optind], r->way == GET_BUF ? 2 * r->loop.nr_conns : 0);
}

int main(int argc, char **argv)
{
	struct relay r = { };

	parse(&r, argc, argv);
	loop_run(&r.loop, on_cqe, &r);
	printf("relay: %llu bytes, ", r.bytes);
	loop_report(&r.loop);
	return 0;
}
