// SPDX-License-Identifier: GPL-2.0
/*
 * Slots seen from outside: the ring's fdinfo, tracepoints, totals in debugfs,
 * and what a program can ask before it uses them.
 */
#include <sys/mount.h>

#include <linux/io_uring/query.h>

#include "fixture.h"

#define NR_SLOTS	3
#define DATA_LEN	(512 << 10)
#define TRACING		"/sys/kernel/tracing/"
#define EVENTS		TRACING "events/io_uring_notif/enable"
#define TOTALS		"/sys/kernel/debug/io_uring_notif/totals"

FIXTURE(outside)
{
	struct io_uring ring;
	struct pair net;
	char *data;
};

RING_VARIANTS_SQPOLL(outside);

FIXTURE_SETUP(outside)
{
	OPEN_PAIR(&self->net, NET_LO, AF_INET, SOCK_STREAM, .unread = true);
	ASSERT_EQ(0, ring_init(&self->ring, variant->setup));
	ASSERT_EQ(0, register_slots(&self->ring, NR_SLOTS));
	self->data = malloc(DATA_LEN);
	fill_pattern(self->data, DATA_LEN, 1);
}

FIXTURE_TEARDOWN(outside)
{
	ring_exit(&self->ring);
	pair_close(&self->net);
	free(self->data);
}

/* All of a small file, "" if there is no such file. */
static const char *read_file(const char *path)
{
	static char text[1 << 16];
	int fd = open(path, O_RDONLY);
	size_t len = 0;
	ssize_t n;

	while (fd >= 0 && len < sizeof(text) - 1 &&
	       (n = read(fd, text + len, sizeof(text) - 1 - len)) > 0)
		len += n;
	if (fd >= 0)
		close(fd);
	text[len] = '\0';
	return text;
}

static int write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_TRUNC);
	ssize_t n = fd < 0 ? -1 : write(fd, text, strlen(text));

	close(fd);
	return n < 0 ? -errno : 0;
}

/*
 * Read the ring's fdinfo until @line is there. It leaves everything out that
 * needs the ring's lock while somebody else has that, an SQPOLL thread for
 * instance.
 */
static bool fdinfo_has(struct io_uring *ring, const char *line)
{
	char path[64], want[128];
	const char *text = "";
	int tries;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", ring->ring_fd);
	snprintf(want, sizeof(want), "\n%s\n", line);
	for (tries = 0; tries < 1000; tries++) {
		text = read_file(path);
		if (strstr(text, want))
			return true;
		if (strstr(text, "\nUserBufs:") && tries > 20)
			break;
		sched_yield();
	}
	printf("# no \"%s\" in\n%s\n", line, text);
	return false;
}

static bool slot_is(struct io_uring *ring, unsigned int slot, unsigned int seq,
		    unsigned int attached, unsigned int in_flight)
{
	char line[128];

	snprintf(line, sizeof(line),
		 "%5u: tag:0x%llx, seq:%u, attached:%u, in_flight:%u", slot,
		 TAG(slot), seq, attached, in_flight);
	return fdinfo_has(ring, line);
}

static void send_some(FIXTURE_DATA(outside) *self, unsigned int slot,
		      unsigned int ioprio, size_t len)
{
	prep_slot_send(&self->ring, self->net.tx, self->data, len, slot, ioprio);
}

TEST_F(outside, fdinfo)
{
	EXPECT_TRUE(fdinfo_has(&self->ring, "NotifSlots:\t3"));
	EXPECT_TRUE(slot_is(&self->ring, 2, 0, 0, 0));
	EXPECT_TRUE(fdinfo_has(&self->ring, "NotifsInFlight:\t0"));

	/* slot 0: flushed, and held by the receiver that does not read */
	send_some(self, 0, IORING_RECVSEND_NOTIF_FLUSH, DATA_LEN);
	ASSERT_SUBMIT(&self->ring, 1);
	ASSERT_CQE(&self->ring, REQ(0), DATA_LEN, 0);
	/* slot 1: two requests, not flushed */
	prep_slot_send(&self->ring, -1, self->data, 1, 1, 0);
	prep_slot_send(&self->ring, -1, self->data, 1, 1, 0);
	ASSERT_SUBMIT(&self->ring, 2);
	ASSERT_CQE(&self->ring, REQ(0), -EBADF, 0);
	ASSERT_CQE(&self->ring, REQ(0), -EBADF, 0);
	EXPECT_TRUE(slot_is(&self->ring, 0, 1, 0, 1));
	EXPECT_TRUE(slot_is(&self->ring, 1, 0, 2, 1));
	EXPECT_TRUE(fdinfo_has(&self->ring, "NotifsInFlight:\t2"));

	/* slots that were registered later are not held by the older notifier */
	ASSERT_EQ(0, unregister_slots(&self->ring));
	ASSERT_NOTIF(&self->ring, TAG(1), 0);
	EXPECT_TRUE(fdinfo_has(&self->ring, "NotifsInFlight:\t1"));
	ASSERT_EQ(0, register_slots(&self->ring, 1));
	EXPECT_TRUE(slot_is(&self->ring, 0, 0, 0, 0));
	ASSERT_RECEIVED(&self->net, self->data, DATA_LEN);
	ASSERT_NOTIF(&self->ring, TAG(0), 0);
	EXPECT_TRUE(slot_is(&self->ring, 0, 0, 0, 0));
	EXPECT_TRUE(fdinfo_has(&self->ring, "NotifsInFlight:\t0"));
	EXPECT_TRUE(fdinfo_has(&self->ring, "NotifsIdle:\t2"));
}

static unsigned long long total(const char *name)
{
	const char *line = strstr(read_file(TOTALS), name);

	return line ? strtoull(line + strlen(name) + 2, NULL, 10) : 0;
}

static unsigned long long all_used(void)
{
	return total("created") + total("reused");
}

/* Rings of tests before this one may still complete notifiers, but attach none. */
TEST_F(outside, totals)
{
	unsigned long long used, inline_done, later, linked, copied;

	if (access(TOTALS, F_OK))
		SKIP(return, "no debugfs here");
	used = all_used();
	inline_done = total("completed_inline");
	later = total("completed_task_work");
	linked = total("linked");
	copied = total("copied");

	/* a failed request's notifier has nothing to wait for */
	prep_slot_send(&self->ring, -1, self->data, 1, 2, 0);
	ASSERT_SUBMIT(&self->ring, 1);
	ASSERT_CQE(&self->ring, REQ(0), -EBADF, 0);
	ASSERT_FLUSH(&self->ring, 2, 1);
	ASSERT_NOTIF(&self->ring, TAG(2), 0);
	EXPECT_EQ(used + 1, all_used());
	EXPECT_LE(inline_done + 1, total("completed_inline"));

	/* two that meet at the end of one packet */
	send_some(self, 0, IORING_RECVSEND_NOTIF_FLUSH, DATA_LEN - 1000);
	ASSERT_SUBMIT(&self->ring, 1);
	ASSERT_CQE(&self->ring, REQ(0), DATA_LEN - 1000, 0);
	send_some(self, 1, IORING_RECVSEND_NOTIF_FLUSH, 1000);
	ASSERT_SUBMIT(&self->ring, 1);
	ASSERT_CQE(&self->ring, REQ(0), 1000, 0);
	ASSERT_RECEIVED(&self->net, self->data, DATA_LEN - 1000);
	ASSERT_RECEIVED(&self->net, self->data, 1000);
	ASSERT_NOTIFS(&self->ring, 0, 2, 0);
	EXPECT_EQ(used + 3, all_used());
	EXPECT_LE(later + 2, total("completed_task_work"));
	EXPECT_LE(linked + 1, total("linked"));
	/* the loopback device copies what a socket receives late */
	EXPECT_LE(copied + 1, total("copied"));
}

TEST_F(outside, tracepoints)
{
	const char *text;

	if (access(EVENTS, F_OK))
		mount("tracefs", TRACING, "tracefs", 0, NULL);
	if (access(EVENTS, F_OK))
		SKIP(return, "no tracepoints in this kernel");
	ASSERT_EQ(0, write_file(EVENTS, "1"));
	prep_slot_send(&self->ring, -1, self->data, 7, 2, 0);
	prep_slot_send(&self->ring, -1, self->data, 8, 2, 0);
	ASSERT_SUBMIT(&self->ring, 2);
	ASSERT_CQE(&self->ring, REQ(0), -EBADF, 0);
	ASSERT_CQE(&self->ring, REQ(0), -EBADF, 0);
	ASSERT_FLUSH(&self->ring, 2, 1);
	ASSERT_NOTIF(&self->ring, TAG(2), 0);
	ASSERT_EQ(0, write_file(EVENTS, "0"));

	text = strstr(read_file(TRACING "trace"), "io_uring_notif_attach");
	ASSERT_NE(NULL, text);
	EXPECT_NE(NULL, strstr(text, "slot 2, notif 1, attached 1, len 7"));
	text = strstr(text, "slot 2, notif 1, attached 2, len 8");
	ASSERT_NE(NULL, text);
	text = strstr(text, "io_uring_notif_flush");
	ASSERT_NE(NULL, text);
	EXPECT_NE(NULL, strstr(text, "slot 2, notif 1, seq 0, attached 2"));
	text = strstr(text, "io_uring_notif_complete");
	ASSERT_NE(NULL, text);
	EXPECT_NE(NULL, strstr(text, "notif 1, tag 0xf00d00000002, res 0, cflags 0x8"));
	ASSERT_EQ(0, write_file(TRACING "trace", ""));
}

TEST_F(outside, probe)
{
	struct {
		struct io_uring_probe head;
		struct io_uring_probe_op ops[IORING_OP_LAST];
	} probe = {};
	unsigned int i;

	ASSERT_EQ(0, ring_register(&self->ring, IORING_REGISTER_PROBE, &probe,
				   IORING_OP_LAST));
	for (i = 0; i < IORING_OP_LAST; i++)
		EXPECT_EQ(i == IORING_OP_SEND_ZC || i == IORING_OP_SENDMSG_ZC,
			  !!(probe.head.ops[i].flags & IO_URING_OP_NOTIF_SLOT))
			TH_LOG("opcode %u", i);
}

/* With a ring, and before there is one. */
TEST_F(outside, query)
{
	int fds[] = { self->ring.ring_fd, -1 };
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(fds); i++) {
		struct io_uring_query_notif notif = {};
		struct io_uring_query_hdr query = {
			.query_data = (unsigned long)&notif,
			.query_op = IO_URING_QUERY_NOTIF,
			.size = sizeof(notif),
		};

		ASSERT_EQ(0, syscall(__NR_io_uring_register, fds[i],
				     IORING_REGISTER_QUERY, &query, 0));
		ASSERT_EQ(0, query.result);
		ASSERT_EQ(sizeof(notif), query.size);
		EXPECT_EQ(IORING_NOTIF_REG_RAW_SEQ, notif.register_flags);
		EXPECT_EQ(IORING_NOTIF_SLOT_MERGE | IORING_NOTIF_SLOT_SEGMENTS |
			  IORING_NOTIF_SLOT_FALLBACK, notif.slot_flags);
		EXPECT_EQ(IORING_SEND_ZC_MANY, notif.send_flags);
		EXPECT_EQ(IORING_MAX_NOTIF_SLOTS, notif.max_slots);
		EXPECT_EQ(sizeof(struct io_uring_notification_slot),
			  notif.slot_size);
	}
}

NOTIF_TEST_MAIN
