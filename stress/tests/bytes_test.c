// SPDX-License-Identifier: GPL-2.0
/* Can the oracle of stress fail? Each wrong byte is reported, and what stays behind. */
#include "played.h"

/* The data of a request as the receiver gets it, one byte changed or added. */
static void receive(int change, bool more)
{
	struct two t = send_two();
	struct stream *s = &t.w->streams[0];
	unsigned char data[5001];

	data_fill(data, t.first->len, t.first->seed, 0);
	if (change >= 0)
		data[4321] = change;
	say_over(t.r, t.first);
	t.second->cancelled = true;
	say(t.r, t.second->id, -ECANCELED, 0);
	if (send(s->net.tx, data, t.first->len + more, 0) < 0)
		return;
	stream_receive(s, 1 << 20);
	if (!stream_complete(s))
		wrong("the stream isn't complete");
}

static void bytes_right(void)
{
	receive(-1, false);
}

static void byte_changed(void)
{
	receive(0x11, false);
}

static void byte_too_late(void)
{
	receive(OVER_BYTE, false);
}

static void byte_more(void)
{
	receive(-1, true);
}

static void bytes_missing(void)
{
	struct two t = send_two();

	say_over(t.r, t.first);
	say_over(t.r, t.second);
	say_notified(t.r, t.tag, 0);
	if (worker_is_quiet(t.w))
		return;
	tell_worker(t.w);
	_exit(1);
}

TEST(right_bytes_are_no_fault)
{
	EXPECT_EQ(NULL, said_by(bytes_right));
}

TEST(byte_wrong)
{
	EXPECT_SAYS(byte_changed, "4321 of 5000 of a request");
	EXPECT_SAYS(byte_changed, "isn't what was sent");
	EXPECT_SAYS(byte_too_late, "had after the notification");
	EXPECT_SAYS(byte_more, "bytes more were received than sent");
	EXPECT_SAYS(bytes_missing, "outstanding: bytes from 0 to 10000");
}

/* Each byte of a datagram of several records counts, and its length does. */
TEST(datagram_wrong)
{
	unsigned char datagram[1000];
	size_t i;

	datagram_fill(datagram, sizeof(datagram), 300, 7);
	EXPECT_EQ(NULL, datagram_check(datagram, sizeof(datagram)));
	EXPECT_NE(NULL, datagram_check(datagram, sizeof(datagram) - 1));
	for (i = 0; i < sizeof(datagram); i++) {
		datagram[i] ^= 0x40;
		EXPECT_NE(NULL, datagram_check(datagram, sizeof(datagram)));
		datagram[i] ^= 0x40;
	}
}

/* What is said when one number is @more, all others as they were. */
static const char *said_of(const struct state *before, size_t offset, long more)
{
	struct state now = *before;

	/* each is a long, or as large as one */
	*(long *)((char *)&now + offset) += more;
	return state_differs(before, &now, 100);
}

TEST(leak)
{
	const struct state before = {
		.refs = 1, .huge_free = 24, .pins = 7, .available_kb = 1 << 20,
	};

	EXPECT_EQ(NULL, state_differs(&before, &before, 100));
	EXPECT_TRUE(has(said_of(&before, offsetof(struct state, refs), 1),
			"the module has 2 references"));
	EXPECT_TRUE(has(said_of(&before, offsetof(struct state, totals.begun), 1),
			"1 notifiers were used, 0 have"));
	EXPECT_TRUE(has(said_of(&before, offsetof(struct state, pins), 1),
			"8 pages are pinned"));
	EXPECT_TRUE(has(said_of(&before, offsetof(struct state, huge_free), -1),
			"23 huge pages are free"));
	EXPECT_TRUE(has(said_of(&before, offsetof(struct state, available_kb),
				-(512 << 10)), "MiB are available"));
	EXPECT_TRUE(has(said_of(&before, offsetof(struct state, objects), 3000),
			"objects more"));
}

TEST_HARNESS_MAIN
