// SPDX-License-Identifier: GPL-2.0
/* Sockets, and the other files that a program has. */
#include <netinet/udp.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include <linux/if_ether.h>
#include <linux/vm_sockets.h>

#include "child.h"
#include "fuzz.h"

#include "../selftests/sock.h"

static void put(unsigned int nr, int fd)
{
	int *to = &child.fds[nr % NR_FDS];

	if (*to >= 0)
		close(*to);
	*to = fd;
}

static void pair(unsigned int nr, enum net_link link, int family, int type,
		 struct pair_opts opts)
{
	struct pair p;

	if (pair_open(&p, link, family, type, opts))
		return;
	put(nr, p.tx);
	put(nr + 1, p.rx);
	child.names[nr % NR_FDS] = p.to;
}

static void loopback(unsigned int nr, int family, int type, struct pair_opts opts)
{
	pair(nr, NET_LO, family, type, opts);
}

/* To the process in the other namespace, or to nobody behind the dummy. */
static void outside(unsigned int nr, int type, enum net_link link, int port)
{
	bool v6 = rnd_one_in(&aux, 2);
	struct sockaddr_storage *name = &child.names[nr % NR_FDS];
	socklen_t len = make_addr(name, v6 ? AF_INET6 : AF_INET,
				  v6 ? net_links[link].rx6 : net_links[link].rx4,
				  port);
	int fd = socket(v6 ? AF_INET6 : AF_INET, type, 0);

	put(nr, fd);
	if (fd < 0)
		return;
	/* mostly it waits until it is connected */
	if (rnd_one_in(&aux, 6))
		fcntl(fd, F_SETFL, O_NONBLOCK);
	connect(fd, (struct sockaddr *)name, len);
}

static void local(unsigned int nr, int type)
{
	int fds[2];

	if (type ? socketpair(AF_UNIX, type, 0, fds) : pipe(fds))
		return;
	put(nr, fds[0]);
	put(nr + 1, fds[1]);
}

static void vsock(unsigned int nr)
{
	struct sockaddr_vm vm = {
		.svm_family = AF_VSOCK,
		.svm_cid = VMADDR_CID_LOCAL,
		.svm_port = VMADDR_PORT_ANY,
	};
	int rx = socket(AF_VSOCK, SOCK_STREAM, 0);
	socklen_t len = sizeof(vm);
	int tx;

	if (rx < 0 || bind(rx, (struct sockaddr *)&vm, len) || listen(rx, 1) ||
	    getsockname(rx, (struct sockaddr *)&vm, &len)) {
		close(rx);
		return;
	}
	vm.svm_cid = VMADDR_CID_LOCAL;
	tx = socket(AF_VSOCK, SOCK_STREAM, 0);
	if (!connect(tx, (struct sockaddr *)&vm, len))
		put(nr + 1, accept(rx, NULL, NULL));
	put(nr, tx);
	close(rx);
}

static void listening(unsigned int nr)
{
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	listen(fd, 4);
	put(nr, fd);
}

static int open_direct(void)
{
	int fd = memfd_create("fuzz", 0), direct;
	char path[32];

	if (fd < 0 || ftruncate(fd, DATA_LEN))
		return fd;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	direct = open(path, O_RDWR | O_DIRECT);
	close(fd);
	return direct;
}

static void open_file(unsigned int nr, enum socket_kind kind)
{
	int fd;

	switch (kind) {
	case FILE_DIRECT:
		put(nr, open_direct());
		break;
	case FILE_FOLDER:
		put(nr, open("/proc", O_RDONLY | O_DIRECTORY));
		break;
	case FILE_MEMORY:
		fd = memfd_create("fuzz", 0);
		if (fd >= 0 && ftruncate(fd, DATA_LEN))
			errno = 0;
		put(nr, fd);
		break;
	case FILE_EVENT:
		put(nr, eventfd(0, EFD_NONBLOCK));
		break;
	case FILE_EPOLL:
		put(nr, epoll_create1(0));
		break;
	default:
		put(nr, dup(child.rings[nr % NR_RINGS].fd));
		break;
	}
}

void exec_socket(const struct op *op)
{
	static const struct pair_opts usual, full = { .full = true },
				      unconnected = { .unconnected = true };
	unsigned int nr = op->fd;

	switch (op->a[0] % NR_SOCKET_KINDS) {
	case SOCKET_UDP4:
		loopback(nr, AF_INET, SOCK_DGRAM, usual);
		break;
	case SOCKET_UDP6:
		loopback(nr, AF_INET6, SOCK_DGRAM, usual);
		break;
	case SOCKET_UDP4_UNCONNECTED:
		loopback(nr, AF_INET, SOCK_DGRAM, unconnected);
		break;
	case SOCKET_TCP4:
		loopback(nr, AF_INET, SOCK_STREAM, usual);
		break;
	case SOCKET_TCP6:
		loopback(nr, AF_INET6, SOCK_STREAM, usual);
		break;
	case SOCKET_TCP4_FULL:
		loopback(nr, AF_INET, SOCK_STREAM, full);
		break;
	case SOCKET_UDP_SINK:
		outside(nr, SOCK_DGRAM, NET_VETH, SINK_READS);
		break;
	case SOCKET_SINK:
		outside(nr, SOCK_STREAM, NET_VETH, SINK_READS);
		break;
	case SOCKET_SINK_DEAF:
		outside(nr, SOCK_STREAM, NET_VETH, SINK_DEAF);
		break;
	case SOCKET_NIC:
		outside(nr, SOCK_STREAM, NET_NIC, SINK_READS);
		break;
	case SOCKET_NIC_DEAF:
		outside(nr, SOCK_STREAM, NET_NIC, SINK_DEAF);
		break;
	case SOCKET_UDP_NIC:
		outside(nr, SOCK_DGRAM, NET_NIC, SINK_DEAF);
		break;
	case SOCKET_UDP_DUMMY:
		outside(nr, SOCK_DGRAM, NET_DUMMY, SINK_DEAF);
		break;
	case SOCKET_TCP_NIC:
		/* who has no right to the other namespace can't come back from it */
		if (!is_limited(me))
			pair(nr, NET_NIC, AF_INET, SOCK_STREAM, usual);
		break;
	case SOCKET_VSOCK:
		vsock(nr);
		break;
	case SOCKET_UNIX:
		local(nr, SOCK_STREAM);
		break;
	case SOCKET_UNIX_DGRAM:
		local(nr, SOCK_DGRAM);
		break;
	case SOCKET_LISTENING:
		listening(nr);
		break;
	case SOCKET_NEW:
		put(nr, socket(AF_INET, SOCK_STREAM, 0));
		break;
	case SOCKET_PACKET:
		put(nr, socket(AF_PACKET, SOCK_DGRAM, htons(ETH_P_IP)));
		break;
	case FILE_PIPE:
		local(nr, 0);
		break;
	default:
		open_file(nr, op->a[0] % NR_SOCKET_KINDS);
		break;
	}
}

void exec_sockopt(const struct op *op)
{
	static const struct {
		int level, name;
		unsigned int max;
	} some[] = {
		{ SOL_SOCKET, SO_SNDBUF, 1 << 20 },
		{ SOL_SOCKET, SO_RCVBUF, 1 << 20 },
		{ SOL_SOCKET, SO_ZEROCOPY, 2 },
		{ SOL_SOCKET, SO_BROADCAST, 2 },
		{ SOL_SOCKET, SO_MAX_PACING_RATE, 1 << 24 },
		{ SOL_SOCKET, SO_TIMESTAMPING_OLD, 1 << 12 },
		{ IPPROTO_UDP, UDP_CORK, 2 },
		{ IPPROTO_UDP, UDP_CORK, 2 },
		{ IPPROTO_UDP, UDP_SEGMENT, 3000 },
		{ IPPROTO_UDP, UDP_GRO, 2 },
		{ IPPROTO_TCP, TCP_CORK, 2 },
		{ IPPROTO_TCP, TCP_NODELAY, 2 },
		{ IPPROTO_TCP, TCP_MAXSEG, 4000 },
		{ IPPROTO_TCP, TCP_NOTSENT_LOWAT, 1 << 16 },
		{ IPPROTO_IP, IP_MTU_DISCOVER, 6 },
		{ IPPROTO_IP, IP_HDRINCL, 2 },
		{ IPPROTO_IPV6, IPV6_V6ONLY, 2 },
	};
	unsigned int which = op->a[0] % ARRAY_SIZE(some);
	int fd = child.fds[op->fd % NR_FDS];
	struct linger linger = { .l_onoff = 1 };

	if (rnd_one_in(&aux, 12))
		setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
	else
		setsockopt_int(fd, some[which].level, some[which].name,
			       rnd_below(&aux, some[which].max));
}

/* Beside the ring: copied, or zero-copied in send()'s own way. */
void exec_send(const struct op *op)
{
	int flags = MSG_DONTWAIT | MSG_NOSIGNAL;
	int fd = child.fds[op->fd % NR_FDS];
	unsigned int times = 1;

	if (op->a[0] & 1)
		flags |= MSG_ZEROCOPY;
	if (op->a[0] & 2)
		flags |= MSG_MORE;
	/* until it takes no more */
	if (op->a[1] % 8 == 0)
		times = 64;
	while (times-- && send(fd, DATA + rnd_below(&aux, 4096),
			       rnd_size(&aux, DATA_LEN / 2), flags) > 0)
		;
}

void exec_recv(const struct op *op)
{
	static char buf[64 << 10];
	unsigned int times = 1 + op->a[0] % 8;
	/* it is the other end that gets what a program sends */
	int fd = child.fds[(op->fd ^ (op->a[1] & 3 ? 1 : 0)) % NR_FDS];
	int flags = MSG_DONTWAIT | (op->a[2] % 8 ? 0 : MSG_ERRQUEUE);

	while (times-- && recv(fd, buf, 1 + rnd_below(&aux, sizeof(buf)), flags) > 0)
		;
}
