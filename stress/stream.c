// SPDX-License-Identifier: GPL-2.0
/* The sockets of a worker, and what goes through them. */
#include <netinet/udp.h>
#include <poll.h>
#include <stdio.h>

#include "data.h"
#include "stream.h"
#include "stress.h"

/* What is lost is sent again this soon, also by a socket without an owner. */
#define RTO_MAX_MS	1000
#ifndef TCP_RTO_MAX_MS
#define TCP_RTO_MAX_MS	44
#endif

/* A link that is down, or loses the first packets, gives up soon. */
#define CONNECT_MS	2000

/* @fd is ready for @events before @end. EINTR: a ring's work is a signal. */
static bool ready(int fd, short events, __u64 end)
{
	struct pollfd p = { .fd = fd, .events = events };
	__u64 now;

	while ((now = now_ms()) < end)
		if (poll(&p, 1, end - now) > 0)
			return p.revents & events;
	return false;
}

static int connect_before(struct pair *p, __u64 end)
{
	socklen_t len = sizeof(int);
	int err = 0, fd;

	if (listen(p->rx, 1))
		return -errno;
	if (connect(p->tx, (struct sockaddr *)&p->to, p->to_len)) {
		if (errno != EINPROGRESS && errno != EINTR)
			return -errno;
		if (!ready(p->tx, POLLOUT, end))
			return -ETIME;
		getsockopt(p->tx, SOL_SOCKET, SO_ERROR, &err, &len);
		if (err)
			return -err;
	}
	if (!ready(p->rx, POLLIN, end))
		return -ETIME;
	fd = accept(p->rx, NULL, NULL);
	if (fd < 0)
		return -errno;
	close(p->rx);
	p->rx = fd;
	setsockopt_int(p->tx, IPPROTO_TCP, TCP_NODELAY, 1);
	/* with it a request would not wait for space */
	return fcntl(p->tx, F_SETFL, fcntl(p->tx, F_GETFL) & ~O_NONBLOCK);
}

int connect_pair(struct pair *p, enum net_link link, int family, int type,
		 struct pair_opts opts)
{
	bool v4 = family == AF_INET;
	int flags = type == SOCK_STREAM ? SOCK_NONBLOCK : 0, ret;

	p->rx = -1;
	p->tx = bound_socket(net_links[link].ns_tx, family, type | flags,
			     v4 ? net_links[link].tx4 : net_links[link].tx6);
	if (p->tx < 0)
		return p->tx;
	p->rx = bound_socket(net_links[link].ns_rx, family, type,
			     v4 ? net_links[link].rx4 : net_links[link].rx6);
	ret = p->rx < 0 ? p->rx : 0;
	if (!ret) {
		size_buffers(p->tx, p->rx, &opts);
		/* many sockets together have less memory than one in a test */
		if (!opts.full)
			setsockopt_int(p->tx, SOL_SOCKET, SO_SNDBUFFORCE, 1 << 20);
		if (!opts.full && !opts.unread)
			setsockopt_int(p->rx, SOL_SOCKET, SO_RCVBUFFORCE, 512 << 10);
		setsockopt_int(p->tx, IPPROTO_TCP, TCP_RTO_MAX_MS, RTO_MAX_MS);
		p->to_len = sizeof(p->to);
		getsockname(p->rx, (struct sockaddr *)&p->to, &p->to_len);
		if (type == SOCK_STREAM)
			ret = connect_before(p, now_ms() + CONNECT_MS);
		else if (connect(p->tx, (struct sockaddr *)&p->to, p->to_len))
			ret = -errno;
	}
	if (ret)
		pair_close(p);
	return ret;
}

/*
 * Requests that are linked, drained or left to io-wq look for their file only as
 * they run. The number of a socket that is closed must not be another one's
 * then: something that is no socket has it for a while.
 */
static void close_tx(struct stream *s)
{
	static int null = -1;

	if (null < 0)
		null = open("/dev/null", O_RDONLY | O_CLOEXEC);
	if (s->net.tx < 0)
		return;
	if (s->corks)
		s->cork = fcntl(s->net.tx, F_DUPFD_CLOEXEC, 0);
	if (dup2(null, s->net.tx) != s->net.tx)
		wrong("a socket can't be closed: %m");
	s->number = s->net.tx;
	s->net.tx = -1;
}

/* And for a while more, as requests of a ring that was closed may still run. */
static void retire_number(int number)
{
	static int retired[64];
	static unsigned int next;

	if (retired[next])
		close(retired[next]);
	retired[next] = number;
	next = (next + 1) % 64;
}

/* Sockets that are sent to by copying, in slots that do so. */
static int local_pair(struct pair *p, int type)
{
	int fds[2];

	if (socketpair(AF_UNIX, type, 0, fds))
		return -errno;
	*p = (struct pair){ .tx = fds[0], .rx = fds[1] };
	return 0;
}

void stream_open(struct stream *s, struct rnd *rnd, bool lo_only)
{
	static const enum net_link links[] = {
		NET_LO, NET_VETH, NET_VETH, NET_NIC,
	};
	unsigned int link = rnd_below(rnd, 4), size = rnd_below(rnd, 3);
	int family = rnd_one_in(rnd, 3) ? AF_INET6 : AF_INET;
	int type = rnd_one_in(rnd, 3) ? SOCK_DGRAM : SOCK_STREAM;
	bool corks = type == SOCK_DGRAM && rnd_one_in(rnd, 3);
	struct pair_opts opts = { .unread = size == 1, .full = size == 2 };
	bool local = rnd_one_in(rnd, 8);
	unsigned char *ahead = s->ahead;
	int ret;

	if (s->open && s->number >= 0)
		retire_number(s->number);
	if (s->open && s->cork >= 0)
		close(s->cork);
	memset(s, 0, sizeof(*s));
	s->number = -1;
	s->cork = -1;
	s->ahead = ahead ?: malloc(MAX_AHEAD);
	s->type = type;
	s->link = lo_only || local ? NET_LO : links[link];
	s->local = local;
	s->corks = corks && !local;
	ret = local ? local_pair(&s->net, type) :
		      connect_pair(&s->net, s->link, family, type, opts);
	s->open = s->ahead && !ret;
}

void stream_uncork(struct stream *s)
{
	int fd = s->net.tx >= 0 ? s->net.tx : s->cork;

	if (s->open && s->corks && fd >= 0)
		setsockopt_int(fd, IPPROTO_UDP, UDP_CORK, 0);
}

const char *stream_name(const struct stream *s)
{
	static char name[64];

	snprintf(name, sizeof(name), ", %s over %s%s%s",
		 s->local ? "AF_UNIX" : s->type == SOCK_STREAM ? "TCP" : "UDP",
		 net_links[s->link].name,
		 s->ends ? ", ended" : "", s->lost ? ", lost" : "");
	return name;
}

static void tell_tcp(const char *side, int fd)
{
	struct tcp_info info = {};
	socklen_t len = sizeof(info);

	if (fd < 0 || getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len))
		return;
	printf("#   %s: state %u, %u unacked, %u lost, %u timeouts, backoff %u, rto %u ms\n",
	       side, info.tcpi_state, info.tcpi_unacked, info.tcpi_lost,
	       info.tcpi_retransmits, info.tcpi_backoff, info.tcpi_rto / 1000);
}

void stream_tell(const struct stream *s)
{
	printf("# outstanding: bytes from %llu to %llu, %zu of them received%s\n",
	       (unsigned long long)s->checked, (unsigned long long)s->sent,
	       s->nr_ahead, stream_name(s));
	tell_tcp("sender", s->net.tx);
	tell_tcp("receiver", s->net.rx);
}

unsigned int stream_begin(struct stream *s, __u64 seed)
{
	unsigned int nr = s->first + s->nr;

	s->busy++;
	if (s->type != SOCK_STREAM || s->by_position)
		return 0;
	s->extents[nr % MAX_EXTENTS] = (struct extent){ .seed = seed };
	s->nr++;
	return nr;
}

void stream_sent(struct stream *s, unsigned int nr, __u32 len)
{
	struct extent *e = &s->extents[nr % MAX_EXTENTS];

	s->busy--;
	if (s->type != SOCK_STREAM)
		return;
	s->sent += len;
	if (s->by_position)
		return;
	e->len = len;
	e->known = true;
}

/* Compare what was received with what was sent, as far as that is known. */
static void check_stream(struct stream *s)
{
	size_t done = 0;

	while (s->nr) {
		struct extent *e = &s->extents[s->first % MAX_EXTENTS];
		size_t n = e->len - s->pos, good;

		if (!e->known)
			break;
		if (n > s->nr_ahead - done)
			n = s->nr_ahead - done;
		good = data_check(s->ahead + done, n, e->seed, e->from + s->pos);
		if (good != n)
			wrong("byte %llu of a stream (%zu of %u of a request)%s %s",
			      (unsigned long long)s->checked + good,
			      s->pos + good, e->len, stream_name(s),
			      data_differs(s->ahead[done + good]));
		done += n;
		s->checked += n;
		s->pos += n;
		if (s->pos < e->len)
			break;
		s->pos = 0;
		s->first++;
		s->nr--;
	}
	s->nr_ahead -= done;
	memmove(s->ahead, s->ahead + done, s->nr_ahead);
	count->bytes += done;
}

static bool receive_datagrams(struct stream *s, size_t max)
{
	static __thread char datagram[65536];
	bool any = false;
	size_t got = 0;

	while (got < max) {
		ssize_t n = recv(s->net.rx, datagram, sizeof(datagram),
				 MSG_DONTWAIT);
		const char *bad;

		if (n < 0 && (errno == EINTR || errno == ECONNREFUSED))
			continue;
		if (n < 0)
			break;
		bad = datagram_check(datagram, n);
		if (bad)
			wrong("a datagram of %zd bytes%s: %s", n, stream_name(s),
			      bad);
		any = true;
		got += n + 64;
		count->datagrams++;
	}
	return any;
}

bool stream_receive(struct stream *s, size_t max)
{
	size_t room = MAX_AHEAD - s->nr_ahead;
	ssize_t n;

	if (!s->open || s->net.rx < 0)
		return false;
	if (s->type == SOCK_DGRAM)
		return receive_datagrams(s, max);
	check_stream(s);
	n = recv(s->net.rx, s->ahead + s->nr_ahead, max < room ? max : room,
		 MSG_DONTWAIT);
	if (n <= 0) {
		if (n < 0 && errno != EAGAIN && errno != EINTR && !s->ends)
			wrong("a receiver fails%s: %m", stream_name(s));
		if (!n && room && max && !s->ends)
			wrong("a stream has ended by itself%s", stream_name(s));
		return false;
	}
	s->nr_ahead += n;
	check_stream(s);
	if (!s->busy && s->nr_ahead)
		wrong("%zu bytes more were received than sent%s", s->nr_ahead,
		      stream_name(s));
	return true;
}

bool stream_complete(const struct stream *s)
{
	if (!s->open || s->net.rx < 0 || s->lost || s->type != SOCK_STREAM)
		return true;
	return s->checked == s->sent;
}

/*
 * What a socket without an owner has not sent yet gets through only if nothing
 * goes wrong, and then nobody is told.
 */
static void close_sender(struct stream *s, bool reset)
{
	struct linger linger = { .l_onoff = 1 };

	s->ends = true;
	s->lost |= reset || s->link != NET_LO;
	if (reset)
		setsockopt(s->net.tx, SOL_SOCKET, SO_LINGER, &linger,
			   sizeof(linger));
	close_tx(s);
}

void stream_end(struct stream *s, struct rnd *rnd)
{
	unsigned int how = rnd_below(rnd, 6);

	if (!s->open || s->net.tx < 0)
		return;
	count->ends++;
	switch (how) {
	case 0:
		s->ends = true;
		shutdown(s->net.tx, SHUT_WR);
		break;
	case 1:
		s->ends = true;
		shutdown(s->net.tx, SHUT_RDWR);
		break;
	case 2:
		s->ends = true;
		s->lost = true;
		if (s->net.rx >= 0)
			close(s->net.rx);
		s->net.rx = -1;
		break;
	case 3:
		close_sender(s, true);
		break;
	case 4:
		close_sender(s, false);
		break;
	case 5:
		stream_close(s);
		break;
	}
}

void stream_cut(struct stream *s)
{
	const struct sockaddr nobody = { .sa_family = AF_UNSPEC };

	if (!s->open || s->net.tx < 0 || s->type != SOCK_STREAM || s->lost)
		return;
	s->ends = true;
	s->lost = true;
	shutdown(s->net.tx, SHUT_RDWR);
	connect(s->net.tx, &nobody, sizeof(nobody));
	count->cuts++;
}

void stream_close(struct stream *s)
{
	if (!s->open)
		return;
	s->ends = true;
	s->lost = true;
	close_tx(s);
	pair_close(&s->net);
}
