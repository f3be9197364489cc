/* SPDX-License-Identifier: GPL-2.0 OR MIT */
/*
 * The sender's ring: buffers, and the requests that send them.
 *
 * A buffer is filled from the file, sent, and filled again only when the kernel
 * has let go of it. Of a request the kernel has let go
 *
 *	copy	 at its CQE,
 *	send_zc	 at its second CQE, its notification,
 *	slot	 at the notification of the notifier that it was attached to,
 *	merge	 at its CQE, which is the notification of a notifier of its own.
 *
 * A buffer may take several requests, because a request can send less than it
 * was asked to. Requests are linked, so that what follows such a one does not
 * overtake its rest: it is cancelled, and sent again. With merge a request sends
 * all or fails, and to wait for a CQE would be to wait for the receiver: the next
 * chain is behind a drain, which waits until the one before is queued.
 */
#ifndef SENDER_H
#define SENDER_H

#include "liburing_notif.h"

#include "stream.h"

struct buffer {
	char *data;
	unsigned int len, sent;
	unsigned int requests;	/* that the kernel has not let go of */
	bool used;		/* not to be filled again yet */
};

struct request {
	struct buffer *buf;	/* NULL: free to be used */
	__u16 seq;		/* of its notifier, in slot mode */
};

struct sender {
	const struct options *opt;
	struct outcome *out;
	enum mode mode;
	int type, file, ctl, data;
	struct io_uring ring;

	char *pool;
	struct buffer *bufs;
	struct request *reqs;
	unsigned int nr_bufs, nr_reqs;
	unsigned int used_bufs, used_reqs;

	unsigned int chain;	/* requests submitted and not answered */
	__u64 attached;	/* requests that the slot has ever taken */
	int error;		/* of a request */

	struct buffer **queue;	/* filled and not sent, in the file's order */
	unsigned int queued;
	__u64 total, read;	/* bytes of the file */
	__u64 credit, datagrams, window;
};

/* sender_ring.c */
int sender_open(struct sender *s);
void sender_close(struct sender *s);
struct buffer *get_buffer(struct sender *s);
void prep_request(struct sender *s, struct buffer *buf, bool first, bool last);
void prep_last_flush(struct sender *s);
int submit_and_reap(struct sender *s);

#endif
