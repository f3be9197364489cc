/* SPDX-License-Identifier: GPL-2.0 */
/* Rows of a table of bad requests: a good one and what is changed in it. */
#ifndef NOTIF_TEST_BAD_H
#define NOTIF_TEST_BAD_H

#include <stddef.h>

#include "fixture.h"

/* A field of the SQE that is not as in a good request. */
struct change {
	unsigned int off, size;
	__u64 value;
};

#define TO(_field, _value)						\
	{ offsetof(struct io_uring_sqe, _field),			\
	  sizeof(((struct io_uring_sqe *)NULL)->_field),		\
	  (__u64)(unsigned long)(_value) }

struct bad_request {
	const char *what;
	struct change change[2];
	unsigned int ioprio;	/* more of it */
	int res;
	bool attached;		/* as it did not fail in its preparation */
	int opcode;		/* 0: both */
};

#define BAD(_res, ...)							\
	{ .res = _res, .what = #__VA_ARGS__, .change = { __VA_ARGS__ } }
#define BAD_ATTACHED(_res, ...)						\
	{ .res = _res, .attached = true, .what = #__VA_ARGS__,		\
	  .change = { __VA_ARGS__ } }
#define BAD_SEND(_res, _attached, _ioprio, ...)				\
	{ .res = _res, .attached = _attached, .ioprio = _ioprio,	\
	  .opcode = IORING_OP_SEND_ZC, .what = #__VA_ARGS__,		\
	  .change = { __VA_ARGS__ } }
#define BAD_SENDMSG(_res, _attached, ...)				\
	{ .res = _res, .attached = _attached,				\
	  .opcode = IORING_OP_SENDMSG_ZC, .what = #__VA_ARGS__,		\
	  .change = { __VA_ARGS__ } }
#define BAD_IOPRIO(_bit)						\
	{ .res = -EINVAL, .ioprio = 1U << (_bit), .what = "ioprio bit " #_bit }

static inline void apply(struct io_uring_sqe *sqe, const struct bad_request *bad)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(bad->change); i++)
		memcpy((char *)sqe + bad->change[i].off, &bad->change[i].value,
		       bad->change[i].size);
}

#endif
