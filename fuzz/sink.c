// SPDX-License-Identifier: GPL-2.0
/*
 * The process at the other end, in another network namespace: it reads what comes to
 * one port, and leaves what comes to another until it hangs up.
 */
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "fuzz.h"

#define MAX_PEERS	64
#define DEAF_MS		60
#define READER_MS	5000
#define FIRST_PEER	4

static struct pollfd fds[FIRST_PEER + MAX_PEERS];
static __u64 until[FIRST_PEER + MAX_PEERS];

static int open_port(int type, int port)
{
	struct sockaddr_in6 addr = {
		.sin6_family = AF_INET6,
		.sin6_port = htons(port),
	};
	int fd = socket(AF_INET6, type | SOCK_NONBLOCK, 0), one = 1;

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(fd, (struct sockaddr *)&addr, sizeof(addr)) ||
	    (type == SOCK_STREAM && listen(fd, MAX_PEERS)))
		return -1;
	return fd;
}

static void hang_up(unsigned int i)
{
	struct linger linger = { .l_onoff = 1 };

	/* with a reset: nobody has to wait for us */
	if (rnd_mix(until[i]) & 1)
		setsockopt(fds[i].fd, SOL_SOCKET, SO_LINGER, &linger,
			   sizeof(linger));
	close(fds[i].fd);
	fds[i].fd = -1;
}

static void answer(unsigned int listener, bool deaf)
{
	int fd = accept4(fds[listener].fd, NULL, NULL, SOCK_NONBLOCK);
	unsigned int i = FIRST_PEER;

	while (fd >= 0 && i < FIRST_PEER + MAX_PEERS && fds[i].fd >= 0)
		i++;
	if (i == FIRST_PEER + MAX_PEERS)
		close(fd);
	if (fd < 0 || i == FIRST_PEER + MAX_PEERS)
		return;
	fds[i].fd = fd;
	fds[i].events = deaf ? 0 : POLLIN;
	until[i] = now_ms() + (deaf ? DEAF_MS : READER_MS);
}

static void empty(unsigned int i)
{
	static char buf[64 << 10];
	ssize_t n;

	do {
		n = recv(fds[i].fd, buf, sizeof(buf), 0);
	} while (n > 0);
	if (!n && i >= FIRST_PEER)
		hang_up(i);
}

int sink_main(void)
{
	unsigned int i;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	signal(SIGPIPE, SIG_IGN);
	if (!enter_namespace("b"))
		return 1;
	memset(fds, 0xff, sizeof(fds));
	fds[0].fd = open_port(SOCK_STREAM, SINK_READS);
	fds[1].fd = open_port(SOCK_STREAM, SINK_DEAF);
	fds[2].fd = open_port(SOCK_DGRAM, SINK_READS);
	/* what comes there stays, as far as there's room */
	fds[3].fd = open_port(SOCK_DGRAM, SINK_DEAF);
	for (i = 0; i < FIRST_PEER; i++)
		fds[i].events = i == 3 ? 0 : POLLIN;
	while (!common->stop) {
		__u64 now;

		poll(fds, ARRAY_SIZE(fds), 20);
		now = now_ms();
		if (fds[0].revents)
			answer(0, false);
		if (fds[1].revents)
			answer(1, true);
		if (fds[2].revents)
			empty(2);
		for (i = FIRST_PEER; i < ARRAY_SIZE(fds); i++) {
			if (fds[i].fd >= 0 && fds[i].revents)
				empty(i);
			if (fds[i].fd >= 0 && (now > until[i] ||
					       fds[i].revents & (POLLHUP | POLLERR)))
				hang_up(i);
		}
	}
	return 0;
}
