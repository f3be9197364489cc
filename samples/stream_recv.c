// SPDX-License-Identifier: GPL-2.0 OR MIT
/* The receiver: takes what comes, paces datagrams, says what it got. */
#include <errno.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "stream.h"

/* One transfer, as the sender announced it. */
struct incoming {
	int ctl, data;
	int type;
	__u64 total, size, window;
};

/*
 * How many datagrams the sender may have on their way: what fits the socket's
 * buffer with the kernel's own cost of each, and a NIC's queue, also in
 * fragments.
 */
static __u64 choose_window(int fd, __u64 size)
{
	int rcvbuf = 8 << 20;
	socklen_t len = sizeof(rcvbuf);
	__u64 window;

	if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &rcvbuf, sizeof(rcvbuf)))
		setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &rcvbuf, sizeof(rcvbuf));
	getsockopt(fd, SOL_SOCKET, SO_RCVBUF, &rcvbuf, &len);
	window = rcvbuf / (2 * size + 2048);
	if (window > 32)
		window = 32;
	return window ?: 1;
}

static int accept_data(struct incoming *in)
{
	int fd = accept(in->data, NULL, NULL);

	if (fd < 0)
		return -errno;
	close(in->data);
	in->data = fd;
	return 0;
}

static int greet(struct incoming *in)
{
	__u64 type;
	int ret;

	ret = expect_message(in->ctl, MSG_PROTO, &type) ?:
	      expect_message(in->ctl, MSG_TOTAL, &in->total) ?:
	      expect_message(in->ctl, MSG_SIZE, &in->size);
	if (ret)
		return ret;
	if ((type != SOCK_STREAM && type != SOCK_DGRAM) || !in->size)
		return -EPROTO;
	in->type = type;
	in->data = data_socket(in->ctl, in->type, true, 0);
	if (in->data < 0)
		return in->data;
	in->window = choose_window(in->data, in->size);
	ret = send_message(in->ctl, MSG_PORT, local_port(in->data)) ?:
	      send_message(in->ctl, MSG_WINDOW, in->window);
	if (!ret && in->type == SOCK_STREAM)
		ret = accept_data(in);
	return ret;
}

/*
 * Take the data until all are there or no more come. Without datagrams' order
 * the digest would differ, and so tells of that too.
 */
static int take_data(struct incoming *in, EVP_MD_CTX *md, __u64 *got)
{
	const size_t len = 256 << 10;
	__u64 datagrams = 0, told = 0;
	char *buf = malloc(len);
	int ret = buf ? 0 : -ENOMEM;

	*got = 0;
	while (!ret && *got < in->total) {
		ssize_t n = recv(in->data, buf, len, 0);

		if (n <= 0)
			break;
		EVP_DigestUpdate(md, buf, n);
		*got += n;
		datagrams++;
		if (in->type == SOCK_DGRAM && datagrams - told >= (in->window + 1) / 2) {
			ret = send_message(in->ctl, MSG_CREDIT, datagrams);
			told = datagrams;
		}
	}
	free(buf);
	return ret;
}

static int serve_one(struct incoming *in)
{
	unsigned char digest[EVP_MAX_MD_SIZE];
	EVP_MD_CTX *md = EVP_MD_CTX_new();
	__u64 got;
	int ret = greet(in);

	EVP_DigestInit_ex(md, EVP_sha256(), NULL);
	if (!ret)
		ret = take_data(in, md, &got);
	EVP_DigestFinal_ex(md, digest, NULL);
	EVP_MD_CTX_free(md);
	if (ret)
		return ret;
	return send_message(in->ctl, MSG_DONE, got) ?:
	       write_exact(in->ctl, digest, SHA256_LEN);
}

/* Serve one sender after the other, for ever. */
int serve(const struct options *opt)
{
	int listener = resolve(opt->addr, opt->port, SOCK_STREAM, true);

	if (listener < 0)
		return listener;
	for (;;) {
		struct timeval tv = { .tv_sec = PATIENCE_S };
		struct incoming in = { .data = -1 };
		int ret;

		in.ctl = accept(listener, NULL, NULL);
		if (in.ctl < 0)
			return -errno;
		setsockopt(in.ctl, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv));
		ret = serve_one(&in);
		if (ret)
			fprintf(stderr, "stream recv: %s\n", strerror(-ret));
		if (in.data >= 0)
			close(in.data);
		close(in.ctl);
	}
}
