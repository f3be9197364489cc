// SPDX-License-Identifier: GPL-2.0
/* What the CQEs say, held against what was asked. */
#include "model.h"
#include "stream.h"

static struct request *request_of(struct ring *r, __u64 id)
{
	struct request *req = &r->requests[id % MAX_REQUESTS];

	if (req->id != id)
		wrong_of(r, "a CQE of a request that is none, or over: %#llx",
			 (unsigned long long)id);
	if (req->over && !req->mute)
		wrong_of(r, "a second CQE of request %#llx",
			 (unsigned long long)id);
	return req;
}

/* @res bytes were taken, or an error. */
static void over(struct ring *r, struct request *req, __s32 res)
{
	req->over = true;
	r->in_flight--;
	if (req->stream)
		stream_sent(req->stream, req->extent, res > 0 ? res : 0);
	if (req->kind == KIND_UPDATE)
		model_update_over(r, req, res);
	if (req->notifier)
		req->notifier->ended++;
	else
		request_free(r, req);
}

/*
 * It has gone well without a CQE, and all before it in its chain have too. That of
 * a bearer comes later.
 */
static void over_silently(struct ring *r, struct request *req)
{
	if (!req || req->over)
		return;
	over_silently(r, req->prev);
	if (request_bears(req))
		return;
	if (!req->skip)
		wrong_of(r, "the CQE of request %#llx is missing",
			 (unsigned long long)req->id);
	over(r, req, req->kind == KIND_UPDATE ? (int)req->flushes :
	     (int)req->whole);
}

/* Would io_uring break a link here? */
static bool has_failed(const struct request *req, __s32 res)
{
	return res < 0 ||
	       ((req->waitall || req->nr_many) && res < (int)req->whole);
}

/*
 * The rest of the chain is cancelled. If the one that failed wanted no CQE for
 * its success, the others have none either, also if they were to notify.
 */
static void break_chain(struct ring *r, struct request *req, bool silently)
{
	while (req) {
		struct notifier *n = request_bears(req) ? req->notifier : NULL;
		struct request *next = req->next;

		if (!silently)
			req->broken = true;
		else
			over(r, req, -ECANCELED);
		if (silently && n)
			notifier_over(r, n);
		req = next;
	}
}

/*
 * What is behind a bearer in its chain ends before the bearer's CQE comes, and
 * tells whether that one has failed.
 */
static void learn_of_bearer(struct ring *r, struct request *req, __s32 res)
{
	struct request *prev = req->prev;

	/* behind a hard link nothing is cancelled but with all of the chain */
	while (prev && !prev->over && prev->hard && res == -ECANCELED)
		prev = prev->prev;
	if (!prev || prev->over || prev->hard || req->doomed || req->broken ||
	    req->cancelled)
		return;
	prev->failed = res == -ECANCELED;
	prev->went_well = !prev->failed;
	if (prev->failed)
		break_chain(r, prev->next, false);
}

/* Errors of the network: a datagram is gone, or can't go. */
static bool is_network_error(__s32 res)
{
	switch (-res) {
	case ENETUNREACH:
	case EHOSTUNREACH:
	case ENETDOWN:
	case ENODEV:
	case EADDRNOTAVAIL:
	case EMSGSIZE:
	case ENOBUFS:
	case ECONNREFUSED:
	case EPIPE:
		return true;
	}
	return false;
}

/* GSO of too many, or where nobody can sum; corked meanwhile; no address. */
static bool may_be_invalid(const struct request *req)
{
	return req->segmented || req->stream->corks ||
	       req->stream->link != NET_LO;
}

/*
 * A stop interrupts a worker of io-wq that waits in a socket, and io-wq takes that for
 * the end, as with mainline's SEND.
 */
static bool was_stopped(void)
{
	return __atomic_load_n(&common->stopped[me], __ATOMIC_ACQUIRE);
}

/* May a send end like this that was neither refused nor part of a broken chain? */
static bool is_right(const struct ring *r, const struct request *req, __s32 res)
{
	const struct stream *s = req->stream;

	if (req->want)
		/* or its task ends before it comes to that */
		return res == req->want || (req->cancelled &&
		       (res == -ECANCELED || res == -EFAULT));
	if (res == -ECANCELED || res == -EINTR)
		return req->cancelled || (res == -EINTR && was_stopped());
	if (s->local && !req->fallback)
		return res == -EOPNOTSUPP || (res == -ENOTSOCK && s->net.tx < 0);
	if (res == (int)req->whole)
		return true;
	/* POLL_FIRST where io-wq finds the socket ready: as mainline's SEND */
	if (res == -EAGAIN)
		return req->again;
	/* without its buffer, or as its task ends */
	if (res == -EFAULT)
		return req->cancelled || (req->fixed && req->table != r->table);
	/* its socket was closed before it ran */
	if (res == -ENOTSOCK)
		return s->net.tx < 0;
	if (s->type == SOCK_DGRAM && req->nr_many && res > 0)
		return res < (int)req->whole;
	if (s->type == SOCK_DGRAM && s->ends && s->local &&
	    (res == -ENOTCONN || res == -ECONNRESET))
		return true;
	if (s->type == SOCK_DGRAM)
		return is_network_error(res) ||
		       ((res == -EINVAL || res == -EIO) && may_be_invalid(req));
	if (res == -EPIPE || res == -ECONNRESET)
		return s->ends;
	return res > 0 && res < (int)req->whole &&
	       (!req->waitall || req->cancelled || s->ends || was_stopped());
}

static void check_send(struct ring *r, const struct request *req, __s32 res)
{
	bool right;

	if (req->broken || req->doomed)
		right = res == (req->kind == KIND_REFUSED ? req->want : -ECANCELED);
	else
		right = is_right(r, req, res);
	/* whether TCP has given up */
	if (!right && req->stream)
		stream_tell(req->stream);
	if (!right)
		wrong_of(r, "a send of %u bytes%s%s%s%s%s%s%s%s%s ended with %d",
			 req->len, req->nr_many ? " in many" : "",
			 request_bears(req) ? ", a bearer" : "",
			 stream_name(req->stream),
			 req->waitall ? ", waitall" : "",
			 req->fixed ? ", registered" : "",
			 req->linked ? ", linked" : "",
			 req->broken ? ", broken" : "",
			 req->doomed ? ", doomed" : "",
			 req->cancelled ? ", cancelled" : "", res);
}

static void check_other(struct ring *r, const struct request *req, __s32 res)
{
	bool right = false;

	switch (req->kind) {
	case KIND_UPDATE:
		right = res == req->want || (!req->want && res >= 0);
		if (req->broken || req->doomed)
			right = res == -ECANCELED;
		break;
	case KIND_CANCEL:
		right = res >= 0 || res == -ENOENT || res == -EALREADY;
		break;
	default:
		right = res == 0;
	}
	if (req->cancelled && (res == -ECANCELED || res == -EFAULT))
		right = true;
	if (!right)
		wrong_of(r, "a request of kind %d (wants %d) ended with %d",
			 req->kind, req->want, res);
}

/* Nobody waits for it: it may only come to say that it has failed. */
static void answer_mute(struct ring *r, struct request *req,
			const struct io_uring_cqe *cqe)
{
	if (!has_failed(req, cqe->res))
		wrong_of(r, "a bearer has a CQE that it skips, with %d", cqe->res);
	out_of_memory(cqe->res);
	check_send(r, req, cqe->res);
	request_free(r, req);
	r->muted--;
}

/* All requests of a notifier are, when it notifies, but for its bearer. */
static void others_over(struct ring *r, const struct notifier *n)
{
	unsigned int i;

	for (i = 0; i < MAX_REQUESTS; i++)
		if (r->requests[i].id && r->requests[i].notifier == n &&
		    &r->requests[i] != n->bearer)
			over_silently(r, &r->requests[i]);
}

static void answer_request(struct ring *r, const struct io_uring_cqe *cqe)
{
	struct request *req = request_of(r, cqe->user_data);
	struct notifier *n = request_bears(req) ? req->notifier : NULL;
	__u32 flags = cqe->flags;

	if (req->kind == KIND_NOP && r->ring.flags & IORING_SETUP_CQE_MIXED)
		flags &= ~IORING_CQE_F_32;
	if ((n && n->report) || (req->mute && req->report))
		flags &= ~IORING_CQE_F_ZC_COPIED;
	if (flags)
		wrong_of(r, "the CQE of a request (kind %d) has flags %#x",
			 req->kind, cqe->flags);
	if (req->over) {
		answer_mute(r, req, cqe);
		return;
	}
	if (req->nr_many && cqe->res > 0)
		count->many += cqe->res;
	over_silently(r, req->prev);
	if (n)
		others_over(r, n);
	out_of_memory(cqe->res);
	learn_of_bearer(r, req, cqe->res);
	if (req->kind == KIND_SEND || req->kind == KIND_REFUSED)
		check_send(r, req, cqe->res);
	else
		check_other(r, req, cqe->res);
	if (req->linked && !req->broken && has_failed(req, cqe->res) &&
	    (!req->hard || req->doomed))
		break_chain(r, req->next, req->skip);
	if (req->kind == KIND_SEND)
		count->requests++;
	else if (req->kind == KIND_REFUSED)
		count->refused++;
	if (req->linked && (req->failed || req->went_well) &&
	    req->failed != has_failed(req, cqe->res))
		wrong_of(r, "a bearer ended with %d, but what is behind it %s",
			 cqe->res, req->failed ? "was cancelled" : "ran");
	over(r, req, cqe->res);
	if (!n)
		return;
	notifier_over(r, n);
	count->merged++;
}

static struct notifier *notifier_of(struct ring *r,
				    const struct io_uring_cqe *cqe)
{
	unsigned int i;

	for (i = 0; i < MAX_REQUESTS; i++) {
		struct notifier *n = &r->notifiers[i];

		if (n->used && !n->bearer && n->tag == cqe->user_data &&
		    (n->flushed || n->update) &&
		    cqe->flags == (n->raw ? n->seq : notif_flags(n->seq)))
			return n;
	}
	wrong_of(r, "a notification that nobody waits for: tag %#llx, flags %#x",
		 (unsigned long long)cqe->user_data, cqe->flags);
}

/* What was sent with it is sent, its memory is free. */
static void answer_notification(struct ring *r, const struct io_uring_cqe *cqe)
{
	struct notifier *n = notifier_of(r, cqe);

	if (cqe->res && (!n->report ||
			 cqe->res != (__s32)IORING_NOTIF_USAGE_ZC_COPIED))
		wrong_of(r, "a notification has res %#x", cqe->res);
	others_over(r, n);
	if (n->update) {
		r->slots[n->slot].seq++;
		n->update->notified++;
	}
	notifier_over(r, n);
	count->notifications++;
}

void answer(struct ring *r, const struct io_uring_cqe *cqe)
{
	if (is_request_id(cqe->user_data))
		answer_request(r, cqe);
	else
		answer_notification(r, cqe);
}
