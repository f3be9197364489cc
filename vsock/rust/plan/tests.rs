// SPDX-License-Identifier: GPL-2.0

//! KUnit tests of plans, against one that is made slowly.

use super::*;

/// So many headers a page has here.
const HEADERS: usize = 12;
/// So many packets a queue has at most.
const PACKETS: usize = 8;

#[kunit_tests(vsock_map_rx_plan)]
mod plan {
    use super::*;

    fn packet(len: u32, head: u32, flags: u32) -> Packet {
        Packet { len, head, flags }
    }

    fn header(length: u32, flags: u32) -> Header {
        Header { length, flags }
    }

    /// Headers and how many there are.
    struct Made {
        headers: [Header; HEADERS],
        nr: usize,
    }

    impl Made {
        fn none() -> Self {
            Self {
                headers: [Header::default(); HEADERS],
                nr: 0,
            }
        }

        fn is(&self, other: &Self) -> bool {
            let same = |a: &Header, b: &Header| a.length == b.length && a.flags == b.flags;

            self.nr == other.nr
                && (0..HEADERS).all(|at| same(&self.headers[at], &other.headers[at]))
        }

        fn pages(&self) -> u32 {
            self.headers.iter().map(|h| h.length.div_ceil(PAGE)).sum()
        }
    }

    fn made(packets: &[Packet], pages: u32, messages: bool) -> Result<(Made, Totals)> {
        let mut made = Made::none();
        let mut plan = Plan::new(&mut made.headers, pages, messages);

        let _ = packets.iter().all(|packet| plan.add(packet));
        let totals = plan.finish()?;
        made.nr = totals.headers as usize;
        Ok((made, totals))
    }

    /// The pieces of packets, if there are headers for them. A message without data has none.
    fn pieces(packets: &[Packet]) -> Option<Made> {
        let mut made = Made::none();
        let mut inside = false;

        for packet in packets {
            let rest = packet.len - packet.head;
            let copied = if rest < COPY_BELOW {
                packet.len
            } else {
                packet.head
            };

            for (bytes, flag) in [(copied, COPIED), (packet.len - copied, 0)] {
                let goes_on = flag == COPIED
                    && made.nr != 0
                    && made.headers[made.nr - 1].flags & (COPIED | EOM) == COPIED;

                if bytes == 0 {
                    continue;
                }
                if !goes_on {
                    if made.nr == HEADERS {
                        return None;
                    }
                    made.headers[made.nr] = header(0, flag);
                    made.nr += 1;
                }
                made.headers[made.nr - 1].length += bytes;
            }
            inside |= packet.len != 0;
            if inside {
                made.headers[made.nr - 1].flags |= packet.flags;
            }
            inside &= packet.flags & EOM == 0;
        }
        Some(made)
    }

    /// A part of a stream: whole packets, and of the next one page by page.
    fn slow_stream(packets: &[Packet], limit: u32) -> Made {
        let mut best = Made::none();

        for nr in 0..packets.len() {
            match pieces(&packets[..=nr]) {
                Some(made) if made.pages() <= limit => best = made,
                _ => return cut_stream(best, &packets[nr], limit),
            }
        }
        best
    }

    /// The packet doesn't fit as a whole: as much of its pieces as there's room for.
    fn cut_stream(before: Made, packet: &Packet, limit: u32) -> Made {
        let mut made = before;
        let rest = packet.len - packet.head;
        let copied = if rest < COPY_BELOW {
            packet.len
        } else {
            packet.head
        };

        for (bytes, flag) in [(copied, COPIED), (packet.len - copied, 0)] {
            let mut left = bytes;
            let mut first = true;

            while left != 0 {
                let goes_on = match first {
                    true => {
                        flag == COPIED
                            && made.nr != 0
                            && made.headers[made.nr - 1].flags & COPIED != 0
                    }
                    false => true,
                };
                if !goes_on && made.nr == HEADERS {
                    return made;
                }
                let mut next = Made {
                    headers: made.headers,
                    nr: made.nr,
                };
                if !goes_on {
                    next.headers[next.nr] = header(0, flag);
                    next.nr += 1;
                }
                // One byte after the other would do: to the end of the page.
                let last = &mut next.headers[next.nr - 1];
                let step = left.min(PAGE - last.length % PAGE);
                last.length += step;
                if next.pages() > limit {
                    return made;
                }
                left -= step;
                first = false;
                made = next;
            }
        }
        made
    }

    /// As many messages as there's room for, one by one.
    fn slow_messages(packets: &[Packet], limit: u32) -> Result<Made> {
        let mut best = Made::none();
        let mut whole = false;
        let fits = |made: &Option<Made>| matches!(made, Some(m) if m.pages() <= limit);

        for nr in 1..=packets.len() {
            let all = pieces(&packets[..nr]);
            if !fits(&all) {
                return match whole {
                    false => Err(EMSGSIZE),
                    true => Ok(best),
                };
            }
            match all {
                Some(all) if packets[nr - 1].flags & EOM != 0 => {
                    best = all;
                    whole = true;
                }
                _ => (),
            }
        }
        Ok(best)
    }

    /// The same on each run.
    struct Random(u64);

    impl Random {
        fn below(&mut self, limit: u32) -> u32 {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            ((self.0 >> 33) % u64::from(limit)) as u32
        }

        fn packet(&mut self, messages: bool) -> Packet {
            let len = match self.below(5) {
                0 => 1 + self.below(300),
                1 => PAGE * (1 + self.below(4)),
                2 => COPY_BELOW - 2 + self.below(5),
                3 => 0,
                _ => 1 + self.below(4 * PAGE),
            };
            let head = match self.below(4) {
                0 => len,
                1 if !messages => self.below(PAGE).min(len),
                _ => 0,
            };
            let flags = match self.below(3) {
                0 if messages => EOM | self.below(2) * bindings::VSOCK_RX_HDR_EOR,
                _ => 0,
            };
            packet(len, head, flags)
        }
    }

    #[test]
    fn example_of_the_seed() -> Result {
        let packets = [packet(56, 56, 0), packet(4096, 0, 0), packet(8200, 0, 0)];
        let (made, totals) = made(&packets, 5, false)?;

        assert_eq!(totals.headers, 3);
        assert_eq!(totals.pages, 5);
        assert_eq!(totals.bytes, 12352);
        assert_eq!(totals.copied, 56);
        assert_eq!(made.headers[0].flags, COPIED);
        assert_eq!(made.headers[1].length, 4096);
        assert_eq!(made.headers[2].length, 8200);
        assert_eq!(made.headers[3].length, 0);
        Ok(())
    }

    #[test]
    fn as_the_slow_one() -> Result {
        let mut random = Random(0x9e37_79b9_7f4a_7c15);

        for _ in 0..100_000 {
            let messages = random.below(2) == 0;
            let nr = 1 + random.below(PACKETS as u32) as usize;
            let pages = 1 + random.below(16);
            let mut packets = [Packet::default(); PACKETS];

            packets.fill_with(|| random.packet(messages));
            let packets = &packets[..nr];
            let slow = match messages {
                true => slow_messages(packets, pages.min(HEADERS as u32)),
                false => Ok(slow_stream(packets, pages.min(HEADERS as u32))),
            };
            let fast = made(packets, pages, messages);

            let same = match (&fast, &slow) {
                (Ok((fast, _)), Ok(slow)) => fast.is(slow),
                (Err(fast), Err(slow)) => fast == slow,
                _ => false,
            };
            if !same {
                pr_err!("{} pages, messages: {}\n", pages, messages);
                for p in packets {
                    pr_err!("packet {} {} {}\n", p.len, p.head, p.flags);
                }
            }
            assert!(same);
            if let Ok((mut made, totals)) = fast {
                let mut sums = Totals::default();
                made.headers[..made.nr].iter().for_each(|h| sums.add(h));
                // Those without data have no header.
                assert!(sums.messages <= totals.messages);
                sums.messages = totals.messages;
                assert_eq!(sums, totals);

                // Cut: no more than was placed, and whole messages.
                let placed = random.below(totals.pages + 1);
                let kept = cut(&mut made.headers, placed, messages);
                assert!(kept.pages <= placed);
                assert!(messages || kept.pages == placed);
                assert!(
                    !messages || kept.headers == 0 || {
                        made.headers[kept.headers as usize - 1].flags & EOM != 0
                    }
                );
                assert!(made.headers[kept.headers as usize..]
                    .iter()
                    .all(|h| h.length == 0 && h.flags == 0));
            }
        }
        Ok(())
    }

    #[test]
    fn messages_without_data() -> Result {
        const EOR: u32 = bindings::VSOCK_RX_HDR_EOR;
        let packets = [
            packet(0, 0, EOM),
            packet(4096, 0, 0),
            packet(0, 0, EOM),
            packet(0, 0, EOM | EOR),
            packet(8192, 0, EOM),
        ];
        let (made, totals) = made(&packets, 2, true)?;

        assert_eq!(totals.messages, 3);
        assert_eq!(totals.bytes, 4096);
        assert_eq!(made.nr, 1);
        assert_eq!(made.headers[0].flags, EOM);
        Ok(())
    }

    #[test]
    fn message_that_does_not_fit() {
        let packets = [packet(8192, 0, 0), packet(4096, 0, EOM)];

        assert!(matches!(made(&packets, 2, true), Err(e) if e == EMSGSIZE));
        assert!(matches!(made(&packets, 3, true), Ok((_, t)) if t.pages == 3 && t.messages == 1));
        assert!(matches!(made(&packets[..1], 3, true), Ok((_, t)) if t == Totals::default()));
    }
}
