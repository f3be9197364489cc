// SPDX-License-Identifier: GPL-2.0 OR MIT
/* The sender: takes a file through a ring to the receiver. */
#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "sender.h"

static double clock_us(clockid_t clock)
{
	struct timespec ts;

	clock_gettime(clock, &ts);
	return ts.tv_sec * 1e6 + ts.tv_nsec / 1e3;
}

/* Count the time from here on, @sign 1, or take off what was counted. */
static void tick(struct outcome *out, int sign)
{
	out->wall_us -= sign * clock_us(CLOCK_MONOTONIC);
	out->cpu_us -= sign * clock_us(CLOCK_PROCESS_CPUTIME_ID);
}

int sha256_file(const char *path, unsigned char *digest, __u64 *bytes)
{
	static char buf[1 << 20];
	EVP_MD_CTX *md;
	ssize_t n;
	int fd = open(path, O_RDONLY);

	if (fd < 0)
		return -errno;
	md = EVP_MD_CTX_new();
	EVP_DigestInit_ex(md, EVP_sha256(), NULL);
	for (*bytes = 0; (n = read(fd, buf, sizeof(buf))) > 0; *bytes += n)
		EVP_DigestUpdate(md, buf, n);
	EVP_DigestFinal_ex(md, digest, NULL);
	EVP_MD_CTX_free(md);
	close(fd);
	return n < 0 ? -EIO : 0;
}

/*
 * Take the receiver's credits, wait for one if there is none left. Merged requests
 * may not be queued yet, which they are only as the ring is looked at.
 */
static int take_credits(struct sender *s)
{
	const bool busy = s->mode == MODE_MERGE && s->used_reqs;
	struct pollfd pfd = { .fd = s->ctl, .events = POLLIN };
	struct message msg;
	int ret;

	for (;;) {
		bool wait = !busy && s->datagrams == s->credit;

		ret = poll(&pfd, 1, wait ? PATIENCE_S * 1000 : 0);
		if (ret < 0 && errno == EINTR)
			continue;
		if (ret < 0)
			return -errno;
		if (!ret)
			return wait ? -ETIMEDOUT : 0;
		ret = receive_message(s->ctl, &msg);
		if (ret)
			return ret;
		if (msg.type != MSG_CREDIT)
			return -EPROTO;
		s->credit = msg.value + s->window;
	}
}

/* Fill a buffer from the file and queue it. */
static int fill_buffer(struct sender *s)
{
	__u64 left = s->total - s->read;
	struct buffer *buf = get_buffer(s);
	ssize_t n;

	buf->len = left < s->opt->bytes ? left : s->opt->bytes;
	tick(s->out, -1);
	n = pread(s->file, buf->data, buf->len, s->read);
	tick(s->out, 1);
	if (n != buf->len)
		return -EIO;
	s->read += n;
	s->queue[s->queued++] = buf;
	return 0;
}

/* Of the last chain a part was sent, from its first on; the rest stays. */
static void drop_sent(struct sender *s)
{
	unsigned int nr = 0;

	while (nr < s->queued && s->queue[nr]->sent == s->queue[nr]->len)
		nr++;
	s->queued -= nr;
	s->datagrams += nr;
	memmove(s->queue, s->queue + nr, s->queued * sizeof(*s->queue));
}

/* How many requests the next chain may have. */
static unsigned int chain_length(const struct sender *s)
{
	__u64 nr = s->opt->batch;

	if (nr > s->nr_reqs - s->used_reqs)
		nr = s->nr_reqs - s->used_reqs;
	if (s->type == SOCK_DGRAM && nr > s->credit - s->datagrams)
		nr = s->credit - s->datagrams;
	return nr;
}

/* Prepare linked requests for what is left to send, as many as can be. */
static int prep_chain(struct sender *s)
{
	unsigned int max, i;
	int ret = 0;

	drop_sent(s);
	if (!s->queued && s->read == s->total) {
		if (s->mode == MODE_SLOT)
			prep_last_flush(s);
		return 0;
	}
	if (s->type == SOCK_DGRAM)
		ret = take_credits(s);
	max = chain_length(s);
	while (!ret && s->queued < max && s->read < s->total &&
	       s->used_bufs < s->nr_bufs)
		ret = fill_buffer(s);
	if (max > s->queued)
		max = s->queued;
	for (i = 0; !ret && i < max; i++)
		prep_request(s, s->queue[i], !i, i == max - 1);
	return ret;
}

/* A chain waits for the one before; of merged requests there may be several. */
static bool may_send(const struct sender *s)
{
	if (s->mode == MODE_MERGE)
		return s->nr_bufs - s->used_bufs >= s->opt->batch;
	return !s->chain;
}

static int send_all(struct sender *s)
{
	int ret = 0;

	while (!ret && (s->read < s->total || s->used_bufs)) {
		if (may_send(s))
			ret = prep_chain(s);
		if (!ret)
			ret = submit_and_reap(s);
	}
	return ret;
}

/* What the receiver got, compared with what the file is. */
static int take_verdict(struct sender *s, const unsigned char *digest)
{
	unsigned char theirs[SHA256_LEN];
	struct message msg;
	int ret;

	do {
		ret = receive_message(s->ctl, &msg);
	} while (!ret && msg.type == MSG_CREDIT);
	if (!ret)
		ret = read_exact(s->ctl, theirs, SHA256_LEN);
	if (ret)
		return ret;
	s->out->bytes = msg.value;
	s->out->verified = msg.value == s->total &&
			   !memcmp(theirs, digest, SHA256_LEN);
	return 0;
}

static int connect_data(struct sender *s)
{
	__u64 port;
	int ret;

	s->ctl = resolve(s->opt->addr, s->opt->port, SOCK_STREAM, false);
	if (s->ctl < 0)
		return s->ctl;
	ret = send_message(s->ctl, MSG_PROTO, s->type) ?:
	      send_message(s->ctl, MSG_TOTAL, s->total) ?:
	      send_message(s->ctl, MSG_SIZE, s->opt->bytes) ?:
	      expect_message(s->ctl, MSG_PORT, &port) ?:
	      expect_message(s->ctl, MSG_WINDOW, &s->window);
	if (ret)
		return ret;
	s->credit = s->window;
	s->data = data_socket(s->ctl, s->type, false, port);
	return s->data < 0 ? s->data : 0;
}

static int run_transfer(struct sender *s, const unsigned char *digest)
{
	int ret = sender_open(s);

	if (ret)
		return ret;
	ret = connect_data(s);
	if (!ret) {
		tick(s->out, 1);
		ret = send_all(s);
		tick(s->out, -1);
	}
	sender_close(s);
	return ret ?: take_verdict(s, digest);
}

/* Send the whole file in one mode, over one protocol. */
int transfer(const struct options *opt, int type, enum mode mode,
	     const unsigned char *digest, __u64 total, struct outcome *out)
{
	struct sender s = {
		.opt = opt, .mode = mode, .type = type, .total = total,
		.ctl = -1, .data = -1, .out = out,
	};
	int ret;

	memset(out, 0, sizeof(*out));
	s.file = open(opt->file, O_RDONLY);
	if (s.file < 0)
		return -errno;
	ret = run_transfer(&s, digest);
	if (s.data >= 0)
		close(s.data);
	if (s.ctl >= 0)
		close(s.ctl);
	close(s.file);
	return ret;
}
