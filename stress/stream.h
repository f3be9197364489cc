/* SPDX-License-Identifier: GPL-2.0 */
/* Two sockets: what one sends, and what of it the other has to receive. */
#ifndef NOTIF_STRESS_STREAM_H
#define NOTIF_STRESS_STREAM_H

#include <stdbool.h>

#include "../selftests/sock.h"
#include "rnd.h"

/* Bytes of a stream that one request sends, in the order of the requests. */
struct extent {
	__u64 seed, from;	/* data of that seed, from there on */
	__u32 len;
	bool known;		/* @len is how many were sent */
};

#define MAX_EXTENTS	4096U
#define STREAM_IS_FULL(s)	((s)->nr > MAX_EXTENTS - 64)
/* Bytes that were received before their requests' CQEs were seen. */
#define MAX_AHEAD	(4U << 20)

struct stream {
	bool open;
	struct pair net;	/* -1: closed */
	int number;		/* of the sender that was closed, or -1 */
	int cork;		/* the same socket, if it may be corked, or -1 */
	int type;
	enum net_link link;
	bool local;		/* AF_UNIX, in place of TCP or UDP */
	bool corks;		/* UDP: MSG_MORE may be used, so all have records */
	bool ends;		/* TCP: shut down, closed or reset, on any side */
	bool lost;		/* TCP: what was sent need not all arrive */
	bool by_position;	/* TCP: another process reads */
	unsigned int busy;	/* requests that are not over */
	__u64 seed;		/* by_position */
	__u64 sent, checked;	/* TCP: bytes */

	/* TCP: what is to be received */
	struct extent extents[MAX_EXTENTS];
	unsigned int first, nr;
	__u32 pos;		/* in the first one */
	unsigned char *ahead;
	size_t nr_ahead;
};

/* Any addresses and sizes of socket buffers; @lo_only: without namespaces. */
void stream_open(struct stream *s, struct rnd *rnd, bool lo_only);
/* A request is to send bytes, after those of the ones before. Its number. */
unsigned int stream_begin(struct stream *s, __u64 seed);
/* They are others than were announced: of @seed, from @from on. */
static inline void stream_says(struct stream *s, unsigned int nr, __u64 seed,
			       __u64 from)
{
	struct extent *e = &s->extents[nr % MAX_EXTENTS];

	e->seed = seed;
	e->from = from;
}

/* It is over: it has sent @len bytes. */
void stream_sent(struct stream *s, unsigned int nr, __u32 len);
/* Receive up to @max bytes, or a few datagrams, and check them. Any? */
bool stream_receive(struct stream *s, size_t max);
/* Whether everything has arrived that has to. */
bool stream_complete(const struct stream *s);
/* Close one side or both, in one of the ways there are. */
void stream_end(struct stream *s, struct rnd *rnd);
/* Send what waits for another part of its datagram, and maybe fills the socket. */
void stream_uncork(struct stream *s);
/* Disconnect a TCP sender: what it has not sent by now is not awaited. */
void stream_cut(struct stream *s);
/* Close both sides now. */
void stream_close(struct stream *s);
/* For those who read an error. */
void stream_tell(const struct stream *s);
const char *stream_name(const struct stream *s);

/* As pair_open() of TCP or UDP, with a time limit. -errno. */
int connect_pair(struct pair *p, enum net_link link, int family, int type,
		 struct pair_opts opts);

#endif
