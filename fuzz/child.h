/* SPDX-License-Identifier: GPL-2.0 */
/* What runs a program: it starts with nothing. */
#ifndef NOTIF_FUZZ_CHILD_H
#define NOTIF_FUZZ_CHILD_H

#include <stdbool.h>
#include <sys/socket.h>

#include <linux/compiler.h>

#include "program.h"

/* The memory that is sent from, where it always is. */
#define DATA		((char *)0x20000000UL)
#define DATA_LEN	(64 << 12)

/* At most so many requests have a number of their own in a program. */
#define MAX_REQUESTS	4096
#define MAX_ODD		256
/* Slots and notifications that are looked at one by one. */
#define MAX_SLOTS	8
#define MAX_SEQ		64

/* What user_data says. */
enum ud_class {
	UD_REQUEST	= 0x51,	/* a request's number */
	UD_SLOT		= 0x52,	/* a slot's tag, as it was registered */
	UD_TAG		= 0x53,	/* a tag that slots share */
	UD_RSRC		= 0x54,	/* the tag of a buffer or file */
	UD_MESSAGE	= 0x55,	/* what a ring sends to another */
};

static inline __u64 ud(enum ud_class class, unsigned int ring, unsigned int gen,
		       unsigned int nr)
{
	return (__u64)class << 56 | (__u64)ring << 48 | (__u64)(gen & 0xff) << 40 |
	       (nr & 0xffffff);
}

enum socket_kind {
	SOCKET_UDP4,		/* over the loopback device, to a socket of ours */
	SOCKET_UDP6,
	SOCKET_UDP4_UNCONNECTED,
	SOCKET_TCP4,
	SOCKET_TCP6,
	SOCKET_TCP4_FULL,	/* small buffers */
	SOCKET_UDP_SINK,	/* over veth to a process that reads, or doesn't */
	SOCKET_SINK,
	SOCKET_SINK_DEAF,
	SOCKET_NIC,
	SOCKET_NIC_DEAF,
	SOCKET_UDP_NIC,
	SOCKET_UDP_DUMMY,
	SOCKET_TCP_NIC,		/* to a socket of ours, if that can be made */
	SOCKET_VSOCK,
	SOCKET_UNIX,
	SOCKET_UNIX_DGRAM,
	SOCKET_LISTENING,
	SOCKET_NEW,
	SOCKET_PACKET,
	FILE_PIPE,
	FILE_MEMORY,
	FILE_DIRECT,		/* the same, not by way of the page cache */
	FILE_FOLDER,
	FILE_EVENT,
	FILE_EPOLL,
	FILE_RING,
	NR_SOCKET_KINDS,
};

enum mem_kind {
	MEM_ANON, MEM_SHARED, MEM_FILE, MEM_HUGE, MEM_RING, MEM_UNMAP, MEM_PROTECT,
	MEM_ADVISE, MEM_ADVISE_2, MEM_MOVE, MEM_LOCK, MEM_WRITE, NR_MEM_KINDS,
};

enum end_kind { END_EXIT, END_EXEC, END_KILL, END_STOP_KILL, NR_ENDS };

/* A ring, and what may come to it. */
struct ring {
	int fd;			/* -1: none; an index if it's registered only */
	bool open;
	bool registered;
	bool wild;		/* its memory was scribbled on: believe nothing */
	__u32 setup;
	unsigned int gen;	/* of rings with that number, and of its slots */
	struct io_uring_params p;
	char *map, *sqes, *cqes;
	size_t map_len, sqes_len;
	__u32 *sq_head, *sq_tail, *sq_array, *cq_head, *cq_tail, *sq_flags;
	unsigned int pending;	/* queued with IORING_SETUP_SQ_REWIND */
	bool raw_seq, raw_known;
	__u64 attached, notified;
	/* numbers that have come, by slot */
	__u64 seen[MAX_SLOTS];
	/* slots whose requests all bear their notifications, a bit each */
	unsigned int all_bear;
	/* there were slots in which some do, and requests that asked for the usage */
	bool merged, reported;
};

struct request {
	bool attached;
	bool takes;		/* GET_BUF */
	/* its result at most */
	int most;
	unsigned int cqes;
};

/* Of a process; what is forked off goes on with a copy. */
struct child {
	const struct program *p;
	struct ring rings[NR_RINGS];
	int fds[NR_FDS];
	struct sockaddr_storage names[NR_FDS];
	struct request requests[MAX_REQUESTS];
	unsigned int nr_requests;
	/* user_data of no class */
	__u64 odd[MAX_ODD];
	unsigned int nr_odd;
	/* another process has the rings too: not all that comes is told here */
	bool shared;
	bool is_copy;
	bool threads;
	bool stays;		/* something of the program can't be undone */
};

extern struct child child;
/* what follows from the op that runs, drawn anew for each */
extern __thread struct rnd aux;

/* Something isn't as it has to be: say so, and end this process. */
void __noreturn __printf(1, 2) wrong(const char *fmt, ...);

void child_lock(void);
void child_unlock(void);
/* false: it leaves something behind, and the process has to end */
bool run_program(const struct program *p);
void run_ops(unsigned int from, unsigned int to);

/* oracle.c */
__u64 odd_add(__u64 value);
void check_cqe(struct ring *ring, const struct io_uring_cqe *cqe, bool large);

/* exec_ring.c */
void exec_ring(const struct op *op);
void exec_enter(const struct op *op);
void ring_close(struct ring *ring);
void ring_remap(struct ring *ring, const struct io_uring_params *p);
void ring_reap(struct ring *ring);
int ring_map(struct ring *ring);
void ring_unmap(struct ring *ring);
void ring_queue(struct ring *ring, const struct io_uring_sqe *sqe);
int ring_register(struct ring *ring, unsigned int opcode, const void *arg,
		  unsigned int nr);

/* exec_slots.c */
void exec_slots(const struct op *op);
void exec_unslots(const struct op *op);

/* exec_sqe.c */
void exec_sqe(const struct op *op);
/* some more memory that stays until the program ends */
void *scratch(size_t len);
unsigned int draw_iovecs(struct iovec *iov, unsigned int nr, bool aligned);

/* exec_register.c */
void exec_register(const struct op *op);

/* exec_socket.c */
void exec_socket(const struct op *op);
void exec_sockopt(const struct op *op);
void exec_send(const struct op *op);
void exec_recv(const struct op *op);

/* exec_memory.c */
void data_map(void);
void data_unmap(void);
void exec_memory(const struct op *op);

/* exec_process.c */
void exec_fork(const struct op *op, unsigned int at);
void exec_thread(const struct op *op, unsigned int at);
void exec_end(const struct op *op);

#endif
