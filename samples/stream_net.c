// SPDX-License-Identifier: GPL-2.0 OR MIT
/* Sockets, and the messages on the control connection; see stream.h. */
#include <endian.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "stream.h"

/*
 * Nobody waits for a peer for ever. Only for connected sockets: connect() with a
 * time limit doesn't go on by itself when the work of a ring interrupts it.
 */
static void set_patience(int fd)
{
	struct timeval tv = { .tv_sec = PATIENCE_S };

	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv));
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &tv, sizeof(tv));
}

/* A receiver that has just been started may not listen yet. */
static int connect_patiently(int fd, const struct addrinfo *ai)
{
	int tries;

	for (tries = 0; tries < 50; tries++) {
		if (!connect(fd, ai->ai_addr, ai->ai_addrlen))
			return 0;
		if (errno != ECONNREFUSED)
			break;
		usleep(100000);
	}
	return -errno;
}

/* A socket connected to @addr, or with @passive one that listens there. */
int resolve(const char *addr, const char *port, int type, bool passive)
{
	const struct addrinfo hints = {
		.ai_socktype = type,
		.ai_flags = passive ? AI_PASSIVE : 0,
	};
	struct addrinfo *ai;
	int fd, err, one = 1;

	if (getaddrinfo(addr, port, &hints, &ai))
		return -EADDRNOTAVAIL;
	fd = socket(ai->ai_family, type, 0);
	if (fd < 0) {
		err = -errno;
	} else if (passive) {
		setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
		err = bind(fd, ai->ai_addr, ai->ai_addrlen) || listen(fd, 8) ?
		      -errno : 0;
	} else {
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
		err = connect_patiently(fd, ai);
		set_patience(fd);
	}
	freeaddrinfo(ai);
	if (!err)
		return fd;
	if (fd >= 0)
		close(fd);
	return err;
}

int read_exact(int fd, void *buf, size_t len)
{
	while (len) {
		ssize_t n = read(fd, buf, len);

		/* a ring's work is a signal to a read with a time limit */
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n ? -errno : -ECONNRESET;
		buf = (char *)buf + n;
		len -= n;
	}
	return 0;
}

int write_exact(int fd, const void *buf, size_t len)
{
	while (len) {
		ssize_t n = send(fd, buf, len, MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		buf = (const char *)buf + n;
		len -= n;
	}
	return 0;
}

int send_message(int fd, enum message_type type, __u64 value)
{
	const struct message msg = { htobe64(type), htobe64(value) };

	return write_exact(fd, &msg, sizeof(msg));
}

int receive_message(int fd, struct message *msg)
{
	int ret = read_exact(fd, msg, sizeof(*msg));

	msg->type = be64toh(msg->type);
	msg->value = be64toh(msg->value);
	return ret;
}

int expect_message(int fd, enum message_type type, __u64 *value)
{
	struct message msg;
	int ret = receive_message(fd, &msg);

	if (ret)
		return ret;
	if (msg.type != type)
		return -EPROTO;
	*value = msg.value;
	return 0;
}

static void set_port(struct sockaddr_storage *ss, unsigned int port)
{
	if (ss->ss_family == AF_INET6)
		((struct sockaddr_in6 *)ss)->sin6_port = htons(port);
	else
		((struct sockaddr_in *)ss)->sin_port = htons(port);
}

unsigned int local_port(int fd)
{
	struct sockaddr_storage ss;
	socklen_t len = sizeof(ss);

	if (getsockname(fd, (struct sockaddr *)&ss, &len))
		return 0;
	if (ss.ss_family == AF_INET6)
		return ntohs(((struct sockaddr_in6 *)&ss)->sin6_port);
	return ntohs(((struct sockaddr_in *)&ss)->sin_port);
}

/*
 * The data's socket beside the control connection @ctl: the receiver's, at its
 * own address and any port, or the sender's, connected to the receiver's @port.
 */
int data_socket(int ctl, int type, bool passive, unsigned int port)
{
	struct sockaddr_storage ss;
	socklen_t len = sizeof(ss);
	int fd, err, one = 1;

	if (passive ? getsockname(ctl, (struct sockaddr *)&ss, &len) :
	    getpeername(ctl, (struct sockaddr *)&ss, &len))
		return -errno;
	set_port(&ss, port);
	fd = socket(ss.ss_family, type, 0);
	if (fd < 0)
		return -errno;
	if (passive)
		err = bind(fd, (struct sockaddr *)&ss, len) ||
		      (type == SOCK_STREAM && listen(fd, 1)) ? -errno : 0;
	else
		err = connect(fd, (struct sockaddr *)&ss, len) ? -errno : 0;
	if (err) {
		close(fd);
		return err;
	}
	if (!passive && type == SOCK_STREAM)
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	set_patience(fd);
	return fd;
}
