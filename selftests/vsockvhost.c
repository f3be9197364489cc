// SPDX-License-Identifier: GPL-2.0
/*
 * The host's side: a socket of this kernel, whose peer is a guest that is played here.
 * It has the queues of a virtio device in its memory, and /dev/vhost-vsock serves them.
 */
#include <linux/vhost.h>
#include <linux/virtio_config.h>
#include <linux/virtio_ring.h>
#include <linux/virtio_vsock.h>
#include <sys/eventfd.h>

#include "vsock.h"

#define GUEST_CID	52
#define GUEST_PORT	1024
#define RING		64
#define MEM_LEN		(1024U << 10)
#define HDR_LEN		sizeof(struct virtio_vsock_hdr)
/* Of the guest's memory: rings first, then a packet on its way out, then buffers */
#define RING_LEN	16384
#define OUT_AT		(4 * RING_LEN)
#define IN_AT		(OUT_AT + (256 << 10))
#define IN_LEN		4096
#define VQ_IN		0
#define VQ_OUT		1

struct queue {
	struct vring ring;
	__u16 seen;		/* of what was used */
	int kick;
};

FIXTURE(vhost)
{
	int dev, rx, listener;
	struct queue queues[2];
	char *mem, *map, *sent, *got;
	size_t at;		/* of what is sent */
	unsigned int port;
	struct vsock_map_rx arg;
};

FIXTURE_VARIANT(vhost) { int type; };
FIXTURE_VARIANT_ADD(vhost, stream) { .type = SOCK_STREAM };
FIXTURE_VARIANT_ADD(vhost, seqpacket) { .type = SOCK_SEQPACKET };

#define ASSERT_IOCTL(_request, _arg)					\
	ASSERT_EQ(0, ioctl(self->dev, _request, _arg))

/* Have the device look at @head, for which a queue's descriptors are ready. */
static void offer(struct queue *queue, __u16 head)
{
	struct vring_avail *avail = queue->ring.avail;
	__u64 one = 1;

	avail->ring[avail->idx % RING] = head;
	__atomic_store_n(&avail->idx, avail->idx + 1, __ATOMIC_RELEASE);
	if (write(queue->kick, &one, sizeof(one)) < 0)
		abort();
}

/* What the device is done with next; -ETIME if nothing. */
static int used(struct queue *queue)
{
	unsigned int start = now_ms();

	while (__atomic_load_n(&queue->ring.used->idx, __ATOMIC_ACQUIRE) ==
	       queue->seen) {
		if (now_ms() - start > LOST_MS)
			return -ETIME;
		sleep_ms(1);
	}
	return queue->ring.used->ring[queue->seen++ % RING].id;
}

static void open_queue(struct __test_metadata *_metadata,
		       FIXTURE_DATA(vhost) *self, unsigned int index)
{
	struct queue *queue = &self->queues[index];
	struct vhost_vring_state state = { .index = index, .num = RING };
	struct vhost_vring_file file = { .index = index };
	struct vhost_vring_addr addr = { .index = index };

	vring_init(&queue->ring, RING, self->mem + index * RING_LEN, 4096);
	queue->kick = eventfd(0, EFD_CLOEXEC);
	ASSERT_LE(0, queue->kick);
	ASSERT_IOCTL(VHOST_SET_VRING_NUM, &state);
	state.num = 0;
	ASSERT_IOCTL(VHOST_SET_VRING_BASE, &state);
	addr.desc_user_addr = (unsigned long)queue->ring.desc;
	addr.avail_user_addr = (unsigned long)queue->ring.avail;
	addr.used_user_addr = (unsigned long)queue->ring.used;
	ASSERT_IOCTL(VHOST_SET_VRING_ADDR, &addr);
	file.fd = queue->kick;
	ASSERT_IOCTL(VHOST_SET_VRING_KICK, &file);
}

/* The guest's memory is where it is here. */
static void open_guest(struct __test_metadata *_metadata,
		       FIXTURE_DATA(vhost) *self)
{
	const __u64 features = 1ULL << VIRTIO_F_VERSION_1 |
			       1ULL << VIRTIO_VSOCK_F_SEQPACKET;
	struct {
		struct vhost_memory memory;
		struct vhost_memory_region region;
	} table = {
		.memory = { .nregions = 1 },
		.region = {
			.guest_phys_addr = (unsigned long)self->mem,
			.memory_size = MEM_LEN,
			.userspace_addr = (unsigned long)self->mem,
		},
	};
	const __u64 cid = GUEST_CID;
	int run = 1;
	__u16 i;

	ASSERT_IOCTL(VHOST_SET_OWNER, NULL);
	ASSERT_IOCTL(VHOST_SET_FEATURES, &features);
	ASSERT_IOCTL(VHOST_SET_MEM_TABLE, &table);
	open_queue(_metadata, self, VQ_IN);
	open_queue(_metadata, self, VQ_OUT);
	ASSERT_IOCTL(VHOST_VSOCK_SET_GUEST_CID, &cid);
	ASSERT_IOCTL(VHOST_VSOCK_SET_RUNNING, &run);
	for (i = 0; i < RING; i++) {
		self->queues[VQ_IN].ring.desc[i] = (struct vring_desc) {
			.addr = (unsigned long)self->mem + IN_AT + i * IN_LEN,
			.len = IN_LEN, .flags = VRING_DESC_F_WRITE,
		};
		offer(&self->queues[VQ_IN], i);
	}
}

/* A packet of the guest's, whose descriptor has @spare bytes more than it says. */
static void send_packet(struct __test_metadata *_metadata,
			FIXTURE_DATA(vhost) *self, int type, __u16 op,
			size_t len, size_t spare, __u32 flags)
{
	struct virtio_vsock_hdr *hdr = (void *)(self->mem + OUT_AT);
	struct queue *queue = &self->queues[VQ_OUT];

	*hdr = (struct virtio_vsock_hdr) {
		.src_cid = GUEST_CID, .dst_cid = VMADDR_CID_HOST,
		.src_port = GUEST_PORT, .dst_port = self->port,
		.len = len, .op = op, .flags = flags,
		.type = type == SOCK_STREAM ? VIRTIO_VSOCK_TYPE_STREAM :
			VIRTIO_VSOCK_TYPE_SEQPACKET,
		.buf_alloc = QUEUE_LEN,
	};
	memset(self->mem + OUT_AT + HDR_LEN, 0xd5, len + spare);
	memcpy(self->mem + OUT_AT + HDR_LEN, self->sent + self->at, len);
	queue->ring.desc[0] = (struct vring_desc) {
		.addr = (unsigned long)hdr, .len = HDR_LEN + len + spare,
	};
	offer(queue, 0);
	ASSERT_EQ(0, used(queue))
		TH_LOG("the host doesn't take the packet");
	self->at += len;
}

/* The host's answer to a request; before it comes credit, or a reset of the test before. */
static void wait_for(struct __test_metadata *_metadata,
		     FIXTURE_DATA(vhost) *self, __u16 op)
{
	const struct virtio_vsock_hdr *hdr;
	int head;

	do {
		head = used(&self->queues[VQ_IN]);
		ASSERT_LE(0, head)
			TH_LOG("the host doesn't answer");
		hdr = (void *)(self->mem + IN_AT + head * IN_LEN);
		ASSERT_EQ(GUEST_CID, hdr->dst_cid);
		ASSERT_FALSE(hdr->src_port == self->port && hdr->op == VIRTIO_VSOCK_OP_RST);
	} while (hdr->src_port != self->port || hdr->op != op);
}

FIXTURE_SETUP(vhost)
{
	struct sockaddr_vm addr = {
		.svm_family = AF_VSOCK, .svm_cid = VMADDR_CID_ANY,
		.svm_port = VMADDR_PORT_ANY,
	};
	socklen_t len = sizeof(addr);

	self->dev = open("/dev/vhost-vsock", O_RDWR | O_CLOEXEC);
	if (self->dev < 0)
		SKIP(return, "no /dev/vhost-vsock: CONFIG_VHOST_VSOCK");
	self->mem = map_pages(MEM_LEN);
	self->sent = map_pages(QUEUE_LEN);
	self->got = map_pages(QUEUE_LEN);
	ASSERT_NE(NULL, self->mem);
	ASSERT_NE(NULL, self->sent);
	ASSERT_NE(NULL, self->got);
	fill_pattern(self->sent, QUEUE_LEN, 23);
	open_guest(_metadata, self);

	self->listener = socket(AF_VSOCK, variant->type | SOCK_CLOEXEC, 0);
	ASSERT_LE(0, self->listener);
	if (vsock_opt_in(self->listener))
		SKIP(return, "this kernel has no CONFIG_VSOCK_MAP_RX");
	ASSERT_EQ(0, vsock_buffer(self->listener, QUEUE_LEN));
	ASSERT_EQ(0, bind(self->listener, (void *)&addr, len));
	ASSERT_EQ(0, listen(self->listener, 1));
	ASSERT_EQ(0, getsockname(self->listener, (void *)&addr, &len));
	self->port = addr.svm_port;
	send_packet(_metadata, self, variant->type, VIRTIO_VSOCK_OP_REQUEST, 0,
		    0, 0);
	self->rx = accept(self->listener, NULL, NULL);
	ASSERT_LE(0, self->rx);
	wait_for(_metadata, self, VIRTIO_VSOCK_OP_RESPONSE);
	self->map = map_socket(self->rx, MAP_LEN);
	ASSERT_NE(MAP_FAILED, (void *)self->map);
}

FIXTURE_TEARDOWN(vhost)
{
	munmap(self->map, MAP_LEN);
	close(self->rx);
	close(self->listener);
	close(self->dev);
}

/* A packet of data, a message where there are such; then all of it is received. */
static void pass(struct __test_metadata *_metadata, FIXTURE_DATA(vhost) *self,
		 int type, size_t len, size_t spare)
{
	size_t from = self->at;

	send_packet(_metadata, self, type, VIRTIO_VSOCK_OP_RW, len, spare,
		    type == SOCK_STREAM ? 0 : VIRTIO_VSOCK_SEQ_EOM);
	ASSERT_EQ(0, wait_queued(self->rx, len));
	ASSERT_EQ(0, map_rx(self->rx, self->map, 0, 0, &self->arg));
	ASSERT_EQ(len, self->arg.length);
	gather(_metadata, self->map, &self->arg, self->got);
	ASSERT_EQ(0, memcmp(self->got, self->sent + from, len));
}

TEST_F(vhost, vsock_05_vhost_pages)
{
	static const size_t sizes[] = { 4096, 8192, 8200, 65536, 20000, 4096 };
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		pass(_metadata, self, variant->type, sizes[i], 0);
		ASSERT_EQ(0, self->arg.copied)
			TH_LOG("of %zu bytes", sizes[i]);
	}
}

TEST_F(vhost, vsock_05_vhost_small)
{
	static const size_t sizes[] = { 1, 100, 2000, 4095 };
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		pass(_metadata, self, variant->type, sizes[i], 0);
		ASSERT_EQ(sizes[i], self->arg.copied);
	}
}

/*
 * A guest may announce more than it sends: where the data is in the packet is nothing
 * to be mapped then, and what is behind it is nobody's business.
 */
TEST_F(vhost, vsock_05_vhost_long_descriptor)
{
	static const size_t sizes[] = { 1, 3000, 4096, 5000, 10000, 4097 };
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		pass(_metadata, self, variant->type, sizes[i], 1000);
		pass(_metadata, self, variant->type, sizes[i], 50000);
		ASSERT_EQ(sizes[i], self->arg.copied);
	}
}

#define SEND(_len, _spare, _flags)					\
	send_packet(_metadata, self, variant->type, VIRTIO_VSOCK_OP_RW,	\
		    _len, _spare, _flags)
#define EOM	VIRTIO_VSOCK_SEQ_EOM
#define EOR	VIRTIO_VSOCK_SEQ_EOR

/* A small packet behind such a one, which it may be appended to. */
TEST_F(vhost, vsock_02_vhost_append)
{
	unsigned int spare;
	size_t from;

	if (variant->type != SOCK_STREAM)
		SKIP(return, "a message is a packet of its own");
	for (spare = 0; spare < 3000; spare += 1000) {
		from = self->at;
		SEND(4500, spare, 0);
		SEND(100, 0, 0);
		SEND(900, 0, 0);
		ASSERT_EQ(0, wait_queued(self->rx, 5500));
		ASSERT_EQ(0, map_rx(self->rx, self->map, 0, 0, &self->arg));
		ASSERT_EQ(5500, self->arg.length);
		gather(_metadata, self->map, &self->arg, self->got);
		ASSERT_EQ(0, memcmp(self->got, self->sent + from, 5500));
	}
}

/* What was sent from @from on, with @len bytes of the mapping a call. */
static void drain(struct __test_metadata *_metadata, FIXTURE_DATA(vhost) *self,
		  size_t from, size_t len)
{
	ASSERT_EQ(self->at - from, queued(self->rx));
	do {
		ASSERT_EQ(0, map_rx(self->rx, self->map, len, 0, &self->arg));
		gather(_metadata, self->map, &self->arg, self->got);
		ASSERT_EQ(0, memcmp(self->got, self->sent + from,
				    self->arg.length));
		from += self->arg.length;
	} while (self->arg.flags & VSOCK_MAP_RX_MORE);
	ASSERT_EQ(self->at, from);
	ASSERT_EQ(-1, recv(self->rx, self->got, 1, MSG_DONTWAIT));
	ASSERT_EQ(EAGAIN, errno);
}

/*
 * Linux sends no packet without data, another guest may: first, last, between others,
 * with a descriptor that has room for data, and each by itself, as a packet with the
 * end of a message is.
 */
TEST_F(vhost, vsock_02_vhost_empty_packets)
{
	static const size_t sizes[] = { 0, 0, 5000, 0, 100, 0, 0, 8192, 0, 3000, 0 };
	unsigned int round, i;

	for (round = 0; round < 8; round++) {
		__u32 flags = variant->type == SOCK_STREAM && round & 1 ? 0 : EOM;
		size_t spare = round & 2 ? 5000 : 0;
		size_t from = self->at;

		for (i = 0; i < ARRAY_SIZE(sizes); i++)
			SEND(sizes[i], spare, flags);
		drain(_metadata, self, from, round & 4 ? 3 * PAGE : 0);
	}
}

/* A message without data is one to recv(). Here there's no header that could tell of it. */
TEST_F(vhost, vsock_07_vhost_empty_messages)
{
	unsigned int i;
	size_t from;

	if (variant->type != SOCK_SEQPACKET)
		SKIP(return, "a stream has no messages");
	SEND(0, 0, EOM);
	ASSERT_EQ(0, recv(self->rx, self->got, 1, MSG_DONTWAIT));
	SEND(0, 0, EOM | EOR);
	drain(_metadata, self, self->at, 0);
	ASSERT_EQ(0, self->arg.headers);
	ASSERT_EQ(0, self->arg.flags);

	/* how it was sent says nothing of the one before it */
	from = self->at;
	SEND(100, 0, EOM);
	SEND(0, 0, EOM | EOR);
	SEND(200, 0, EOM);
	drain(_metadata, self, from, 0);
	ASSERT_EQ(2, self->arg.headers);
	for (i = 0; i < 2; i++)
		ASSERT_EQ(VSOCK_RX_HDR_EOM | VSOCK_RX_HDR_COPIED,
			  header(self->map, i)->flags);

	from = self->at;
	SEND(0, 0, EOM);
	SEND(8192, 0, EOM);
	ASSERT_EQ(0, map_rx(self->rx, self->map, 2 * PAGE, 0, &self->arg));
	ASSERT_EQ(0, self->arg.length);
	ASSERT_EQ(VSOCK_MAP_RX_MORE, self->arg.flags);
	ASSERT_EQ(-EMSGSIZE, map_rx(self->rx, self->map, 2 * PAGE, 0, &self->arg));
	drain(_metadata, self, from, 0);

	/* more than are taken from the queue at once */
	for (i = 0; i < 301; i++)
		SEND(i % 150 ? 0 : 10, 0, EOM);
	ASSERT_EQ(0, map_rx(self->rx, self->map, 0, 0, &self->arg));
	ASSERT_EQ(30, self->arg.length);
	ASSERT_EQ(3, self->arg.headers);
	ASSERT_EQ(0, self->arg.flags);
	drain(_metadata, self, self->at, 0);

	/* the end alone: one of these sizes leaves no room for it in the buffer */
	for (i = 3600; i < 3800; i += 4) {
		from = self->at;
		SEND(i, 0, 0);
		SEND(0, 0, EOM | EOR);
		drain(_metadata, self, from, 0);
		ASSERT_EQ(1, self->arg.headers);
		ASSERT_EQ(HDR_FLAGS, header(self->map, 0)->flags);
	}
}

NOTIF_TEST_MAIN
