// SPDX-License-Identifier: GPL-2.0
/* Another program from one that found something new. */
#include <string.h>

#include "program.h"

static void remove_op(struct program *p, unsigned int at)
{
	p->nr--;
	memmove(&p->ops[at], &p->ops[at + 1], (p->nr - at) * sizeof(p->ops[0]));
}

static void insert_op(struct program *p, unsigned int at, const struct op *op)
{
	struct op copy = *op;

	if (p->nr == MAX_OPS)
		remove_op(p, p->nr - 1);
	if (at > p->nr)
		at = p->nr;
	memmove(&p->ops[at + 1], &p->ops[at], (p->nr - at) * sizeof(p->ops[0]));
	p->ops[at] = copy;
	p->nr++;
}

static void change_op(struct rnd *rnd, struct op *op)
{
	switch (rnd_below(rnd, 5)) {
	case 0:
		op->seed = rnd_next(rnd);
		break;
	case 1:
		op->ring = rnd_below(rnd, NR_RINGS);
		break;
	case 2:
		op->fd = rnd_below(rnd, NR_FDS);
		break;
	default:
		if (op->kind == OP_SQE)
			change_sqe(rnd, op);
		else if (rnd_one_in(rnd, 2))
			op->a[rnd_below(rnd, 8)] = value64(rnd);
		else
			op->a[rnd_below(rnd, 8)] ^= 1ULL << rnd_below(rnd, 24);
		break;
	}
}

/* The rest of another program in place of ours. */
static void splice(struct rnd *rnd, struct program *p, const struct program *other)
{
	unsigned int at = rnd_below(rnd, p->nr + 1);
	unsigned int from = rnd_below(rnd, other->nr + 1);
	unsigned int nr = other->nr - from;

	if (nr > MAX_OPS - at)
		nr = MAX_OPS - at;
	memmove(&p->ops[at], &other->ops[from], nr * sizeof(p->ops[0]));
	p->nr = at + nr;
}

void mutate(struct rnd *rnd, struct program *p, const struct program *other)
{
	unsigned int times = rnd_size(rnd, 8);
	struct op op;

	p->kill_ms = rnd_one_in(rnd, 12) ? 1 + rnd_below(rnd, 24) : 0;
	while (times--) {
		unsigned int at = p->nr ? rnd_below(rnd, p->nr) : 0;
		unsigned int to = p->nr ? rnd_below(rnd, p->nr) : 0;

		switch (p->nr ? rnd_below(rnd, 8) : 0) {
		case 0 ... 1:
			gen_op(rnd, &op);
			insert_op(p, at, &op);
			break;
		case 2:
			remove_op(p, at);
			break;
		case 3:
			insert_op(p, to, &p->ops[at]);
			break;
		case 4:
			op = p->ops[at];
			p->ops[at] = p->ops[to];
			p->ops[to] = op;
			break;
		case 5:
			if (rnd_one_in(rnd, 2))
				splice(rnd, p, other);
			break;
		default:
			change_op(rnd, &p->ops[at]);
			break;
		}
	}
}
