/* SPDX-License-Identifier: GPL-2.0 OR MIT */
/*
 * stream: send a file by copy, by IORING_OP_SEND_ZC and through notification
 * slots, with a CQE for many requests or for each of them, and check at the far
 * end that it arrived whole.
 *
 * For each transfer the sender opens a control connection (TCP) to the
 * receiver, and beside it the socket that the data take. On the control
 * connection pass, as struct message in this order:
 *
 *	sender:	  MSG_PROTO (SOCK_STREAM or SOCK_DGRAM), MSG_TOTAL (bytes),
 *		  MSG_SIZE (bytes in a request, so in a datagram)
 *	receiver: MSG_PORT (of the data), MSG_WINDOW (datagrams that may be on
 *		  their way), for UDP MSG_CREDIT (datagrams received so far)
 *		  time and again, and at last MSG_DONE (bytes received)
 *		  with the 32 bytes of their SHA-256 behind it
 */
#ifndef STREAM_H
#define STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <linux/types.h>
#include <sys/types.h>

#define DEFAULT_PORT	"7013"
#define SHA256_LEN	32
/* A peer that says nothing for so long has lost something. */
#define PATIENCE_S	20
#define MAX_DATAGRAM	65507

enum mode { MODE_COPY, MODE_SEND_ZC, MODE_SLOT, MODE_MERGE, NR_MODES };

enum message_type {
	MSG_PROTO, MSG_TOTAL, MSG_SIZE, MSG_PORT, MSG_WINDOW, MSG_CREDIT,
	MSG_DONE,
};

/* Both in network byte order on the wire. */
struct message {
	__u64 type, value;
};

struct options {
	const char *addr, *port, *file;
	unsigned int bytes;		/* in a request */
	unsigned int batch;		/* requests in a submission */
	unsigned int per_notif;		/* requests on a notifier */
	bool plain;			/* the buffers are not registered */
	bool protos[2];			/* TCP, UDP */
	bool modes[NR_MODES];
};

/* One transfer, for the table. */
struct outcome {
	__u64 bytes, requests;
	__u64 cqes, notifications;
	__u64 copied;		/* notifications that tell of a copy */
	double wall_us, cpu_us;		/* without reading the file */
	bool verified;
};

/* stream_net.c; what returns an int returns 0 or -errno */
int resolve(const char *addr, const char *port, int type, bool passive);
int read_exact(int fd, void *buf, size_t len);
int write_exact(int fd, const void *buf, size_t len);
int send_message(int fd, enum message_type type, __u64 value);
int expect_message(int fd, enum message_type type, __u64 *value);
int receive_message(int fd, struct message *msg);
int data_socket(int ctl, int type, bool passive, unsigned int port);
unsigned int local_port(int fd);

/* stream_recv.c */
int serve(const struct options *opt);

/* stream_send.c */
int sha256_file(const char *path, unsigned char *digest, __u64 *bytes);
int transfer(const struct options *opt, int type, enum mode mode,
	     const unsigned char *digest, __u64 total, struct outcome *out);

#endif
