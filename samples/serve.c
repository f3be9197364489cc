// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * A file server to start from: HTTP/1.1 with keep-alive, GET and HEAD, and single
 * ranges. Headers are copied; a file goes by GET_BUF from the page cache into an
 * entry of the ring's buffer table, and from there by SEND_ZC through a slot.
 *
 *	cc -D_GNU_SOURCE -I<project>/lib serve.c http.c -luring
 *	./a.out [--connections N] [--patience SECONDS] FOLDER PORT
 *
 * Nothing outside the folder is opened, wherever links and dots lead (openat2(2)).
 * A file that is changed while it is sent may arrive in part old, in part new, as
 * with sendfile(2). No TLS, no compression.
 *
 * Needs any liburing from 2.3 on, and no special kernel headers.
 */
#include "loop.h"
#include "http.h"

#include <fcntl.h>
#include <getopt.h>
#include <linux/openat2.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <time.h>

#define CHUNK		(256 << 10)	/* bytes to take at a time */
#define HEAD_MAX	8192		/* of a request */

/* What a connection waits for */
enum state { READING, OPENING, ANSWERING, TAKING, GIVING, SPARING, DRAINING };

struct conn {
	enum state state;
	bool used;
	int fd, file;
	time_t since;		/* when it last came forward */
	int queued;		/* bytes that the client had not got then */
	unsigned int got, len;	/* bytes in @in, and of its first request */
	loff_t pos, end;	/* of the file, what is left to send */
	unsigned int have, done;	/* bytes taken, and given on of them */
	struct open_how how;
	struct http_request req;
	char in[HEAD_MAX], out[1024];
};

/* user_data: the connection, and */
#define HEADER		0x80000000U	/* | connection */

struct server {
	struct loop loop;
	struct conn *conns;
	unsigned int patience;
	int root;
	struct __kernel_timespec second;
	unsigned long long requests, bytes;
};

static unsigned int id_of(struct server *s, struct conn *c)
{
	return c - s->conns;
}

static void close_file(struct conn *c)
{
	if (c->file >= 0)
		close(c->file);
	c->file = -1;
}

/* @reset: what it got is not all, and that it has to see. */
static void close_conn(struct server *s, struct conn *c, bool reset)
{
	loop_let_go(&s->loop, id_of(s, c), 1);
	close_file(c);
	loop_close(c->fd, reset);
	c->used = false;
	loop_left(&s->loop, reset);
}

/* The next part of the file into the table */
static void take(struct server *s, struct conn *c)
{
	const loff_t left = c->end - c->pos;

	c->state = TAKING;
	PREP(&s->loop, id_of(s, c), io_uring_notif_prep_get_buf, c->file,
	     left < CHUNK ? left : CHUNK, c->pos, id_of(s, c), IORING_GET_BUF_REPLACE);
}

/* What was taken, or its rest, to the client */
static void give(struct server *s, struct conn *c)
{
	const bool last = c->pos + c->have - c->done == c->end;

	c->state = GIVING;
	PREP(&s->loop, id_of(s, c), io_uring_notif_prep_send_taken, c->fd, c->done,
	     c->have - c->done, MSG_NOSIGNAL | (last ? 0 : MSG_MORE), id_of(s, c),
	     last ? IORING_RECVSEND_NOTIF_FLUSH : 0, id_of(s, c));
}

/* The header of an answer; then there is @length of the file, or of @body. */
static void answer(struct server *s, struct conn *c, const char *status, loff_t length,
		   const char *body, const char *fields, ...)
{
	const bool file = !body && length && !c->req.head_only;
	struct io_uring_sqe *sqe;
	char date[64], more[512];
	time_t now = time(NULL);
	va_list args;
	int len;

	s->requests++;
	strftime(date, sizeof(date), "%a, %d %b %Y %H:%M:%S GMT", gmtime(&now));
	va_start(args, fields);
	vsnprintf(more, sizeof(more), fields, args);
	va_end(args);
	len = snprintf(c->out, sizeof(c->out),
		       "HTTP/1.1 %s\r\nDate: %s\r\nContent-Length: %lld\r\nConnection: %s\r\n%s\r\n%s",
		       status, date, (long long)length, c->req.keep ? "keep-alive" : "close", more,
		       body && !c->req.head_only ? body : "");
	c->state = ANSWERING;
	loop_chain(&s->loop);
	sqe = PREP(&s->loop, HEADER | id_of(s, c), io_uring_prep_send, c->fd, c->out, len,
		   MSG_NOSIGNAL | MSG_WAITALL | (file ? MSG_MORE : 0));
	if (file) {
		quietly(sqe, IOSQE_IO_LINK);
		take(s, c);
	}
}

static void refuse(struct server *s, struct conn *c, const char *status)
{
	char body[100];

	snprintf(body, sizeof(body), "%s\n", status);
	answer(s, c, status, strlen(body), body, "Content-Type: text/plain\r\n%s",
	       strncmp(status, "405", 3) ? "" : "Allow: GET, HEAD\r\n");
}

static void on_open(struct server *s, struct conn *c, int res)
{
	loff_t from, to;
	struct stat st;
	char etag[64];

	if (res < 0) {
		refuse(s, c, res == -EACCES || res == -EPERM ? "403 Forbidden" :
		       res == -EMFILE || res == -ENFILE || res == -ENOMEM || res == -EAGAIN ?
		       "503 Service Unavailable" : "404 Not Found");
		return;
	}
	c->file = res;
	if (fstat(c->file, &st) || !S_ISREG(st.st_mode)) {
		refuse(s, c, "404 Not Found");
		return;
	}
	snprintf(etag, sizeof(etag), "\"%llx-%lx-%llx\"", (long long)st.st_mtim.tv_sec,
		 st.st_mtim.tv_nsec, (long long)st.st_size);
	c->pos = 0;
	c->end = st.st_size;
	if (c->req.head_only || (c->req.if_range && strcmp(c->req.if_range, etag)) ||
	    !http_range(c->req.range, st.st_size, &from, &to)) {
		answer(s, c, "200 OK", st.st_size, NULL,
		       "Content-Type: %s\r\nAccept-Ranges: bytes\r\nETag: %s\r\n",
		       http_type(c->req.path), etag);
	} else if (from > to) {
		answer(s, c, "416 Range Not Satisfiable", 0, "", "Content-Range: bytes */%lld\r\n",
		       (long long)st.st_size);
	} else {
		c->pos = from;
		c->end = to + 1;
		answer(s, c, "206 Partial Content", c->end - c->pos, NULL,
		       "Content-Type: %s\r\nETag: %s\r\nContent-Range: bytes %lld-%lld/%lld\r\n",
		       http_type(c->req.path), etag, (long long)from, (long long)to,
		       (long long)st.st_size);
	}
}

static void on_request(struct server *s, struct conn *c)
{
	const char *refused = http_parse(&c->req, c->in, c->len);

	if (refused) {
		refuse(s, c, refused);
		return;
	}
	c->how.flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY;
	c->how.resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS;
	c->state = OPENING;
	PREP(&s->loop, id_of(s, c), io_uring_prep_openat2, s->root, c->req.path, &c->how);
}

/* What is there of the next request, and if that isn't all, more */
static void read_request(struct server *s, struct conn *c)
{
	const char *end = memmem(c->in, c->got, "\r\n\r\n", 4);

	c->state = READING;
	c->len = end ? end - c->in + 4 : 0;
	if (end) {
		on_request(s, c);
	} else if (c->got == HEAD_MAX) {
		c->req.keep = false;
		refuse(s, c, "431 Request Header Fields Too Large");
	} else {
		PREP(&s->loop, id_of(s, c), io_uring_prep_recv, c->fd, c->in + c->got,
		     HEAD_MAX - c->got, 0);
	}
}

/* An answer is on its way. */
static void next_request(struct server *s, struct conn *c)
{
	if (c->file >= 0)
		quietly(PREP(&s->loop, NOBODY, io_uring_notif_prep_give_up, id_of(s, c), 1), 0);
	close_file(c);
	c->since = time(NULL);
	if (c->req.keep) {
		c->got -= c->len;
		memmove(c->in, c->in + c->len, c->got);
		read_request(s, c);
		return;
	}
	/* what it may still send must not become a reset before it has read all */
	c->state = DRAINING;
	shutdown(c->fd, SHUT_WR);
	PREP(&s->loop, id_of(s, c), io_uring_prep_recv, c->fd, c->in, HEAD_MAX, 0);
}

static void on_conn(struct server *s, struct conn *c, int res, bool header)
{
	const enum state state = c->state;

	if (header) {
		/* of one that a file follows only a failure is heard of */
		if (res < 0 || state != ANSWERING)
			close_conn(s, c, true);
		else
			next_request(s, c);
	} else if (state == OPENING) {
		on_open(s, c, res);
	} else if (state == SPARING) {
		take(s, c);
	} else if (state == TAKING && res == -ENOMEM) {
		c->state = SPARING;
		loop_spare(&s->loop, id_of(s, c));
	} else if (res <= 0) {
		if (state == TAKING)
			warnx("%s: %s", c->req.path,
			      res ? strerror(-res) : "it has become shorter");
		close_conn(s, c, state != READING && state != DRAINING);
	} else if (state == READING) {
		c->got += res;
		read_request(s, c);
	} else if (state == TAKING) {
		c->have = res;
		c->done = 0;
		give(s, c);
	} else if (state == GIVING) {
		c->since = time(NULL);
		c->done += res;
		c->pos += res;
		s->bytes += res;
		if (c->done < c->have)
			give(s, c);
		else if (c->pos < c->end)
			take(s, c);
		else
			next_request(s, c);
	} else {
		PREP(&s->loop, id_of(s, c), io_uring_prep_recv, c->fd, c->in, HEAD_MAX, 0);
	}
}

static void on_accept(struct server *s, int fd)
{
	struct conn *c = s->conns;
	const int one = 1;

	if (!loop_accepted(&s->loop, fd))
		return;
	while (c->used)
		c++;
	c->used = true;
	c->fd = fd;
	c->file = -1;
	c->got = 0;
	c->since = time(NULL);
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	read_request(s, c);
}

/* Cut who does not come forward: who asks for nothing, or doesn't read. */
static void on_tick(struct server *s)
{
	const time_t now = time(NULL);
	struct conn *c;
	int queued;

	for (c = s->conns; c < s->conns + s->loop.nr_conns; c++) {
		if (!c->used)
			continue;
		/* a request answers late, as a queue that is full is filled up by parts */
		if (!ioctl(c->fd, SIOCOUTQ, &queued) && queued != c->queued)
			c->since = now;
		c->queued = queued;
		if (now - c->since > s->patience)
			PREP(&s->loop, NOBODY, io_uring_prep_cancel_fd, c->fd,
			     IORING_ASYNC_CANCEL_ALL);
	}
	PREP(&s->loop, TICK, io_uring_prep_timeout, &s->second, 0, 0);
}

static void on_cqe(const struct io_uring_cqe *cqe, void *arg)
{
	unsigned int id = cqe->user_data;
	struct server *s = arg;

	if (id == ACCEPT)
		on_accept(s, cqe->res);
	else if (id == TICK)
		on_tick(s);
	else if ((id & ~HEADER) < ACCEPT)
		on_conn(s, &s->conns[id & ~HEADER], cqe->res, id & HEADER);
}

int main(int argc, char **argv)
{
	static const struct option names[] = {
		{ "connections", 1, NULL, 'n' }, { "patience", 1, NULL, 'p' }, { }
	};
	struct server s = { .loop.nr_conns = 256, .patience = 30, .second.tv_sec = 1 };
	bool bad = false;
	int name;

	while ((name = getopt_long(argc, argv, "n:p:", names, NULL)) != -1) {
		if (name == 'n')
			s.loop.nr_conns = strtoul(optarg, NULL, 0);
		else if (name == 'p')
			s.patience = strtoul(optarg, NULL, 0);
		if (name == '?' || s.loop.nr_conns - 1 >= 16384 || !s.patience)
			bad = true;
	}
	if (bad || optind != argc - 2)
		errx(2, "usage: serve [--connections N] [--patience SECONDS] FOLDER PORT");
	s.root = open(argv[optind], O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (s.root < 0)
		err(1, "%s", argv[optind]);
	s.conns = calloc(s.loop.nr_conns, sizeof(*s.conns));
	if (!s.conns)
		errx(1, "no memory for so many connections");
	loop_open(&s.loop, argv[optind + 1], s.loop.nr_conns);
	on_tick(&s);
	loop_run(&s.loop, on_cqe, &s);
	printf("serve: %llu requests, %llu bytes of files, ", s.requests, s.bytes);
	loop_report(&s.loop);
	return 0;
}
