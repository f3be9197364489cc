// SPDX-License-Identifier: GPL-2.0 OR MIT
//! CQEs: which ones give buffers back.

use io_uring::cqueue::Entry;

use crate::sys::{Slot, F_NOTIF, F_ZC_COPIED, RAW_SEQ, USAGE_ZC_COPIED};

const F_MORE: u32 = 1 << 1;
const SEQ_SHIFT: u32 = 16;

/// How a program tells its CQEs apart: it must give no request such a `user_data`.
#[derive(Clone, Copy, Debug, Default)]
pub struct Ids {
    /// The tag of slot 0; slot n has `base + n`.
    pub base: u64,
    /// A bit of `user_data` that only requests have that flush a slot with [`MERGE`](crate::slot_flags::MERGE); or 0.
    pub bearer: u64,
    /// How many slots there are.
    pub nr_slots: u32,
    /// The flags that they were registered with.
    pub reg_flags: u32,
}

impl Ids {
    /// Slots without options whose tags these are.
    pub fn slots(&self) -> Vec<Slot> {
        (0..u64::from(self.nr_slots)).map(|n| Slot::new(self.base + n)).collect()
    }
}

/// What a CQE is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A request is over. This says nothing about its buffer if it attached to a slot.
    Request,
    /// A request of `SEND_ZC` without a slot is over; its notification follows.
    More,
    /// The notification of `SEND_ZC` without a slot: that request's buffer is free.
    Other,
    /// The notification of a slot: the buffers of all requests of the notifier are free.
    Slot {
        /// Which slot.
        slot: u32,
        /// The notifier's number in that slot: the lower 16 bits of it, all 32 with [`RAW_SEQ`].
        seq: u32,
        /// Something was copied; told if [`REPORT_USAGE`](crate::send_flags::REPORT_USAGE) was asked for.
        copied: bool,
    },
    /// A request of a slot with [`MERGE`](crate::slot_flags::MERGE), and its notification in one.
    Bearer {
        /// As in [`Kind::Slot`].
        copied: bool,
    },
}

/// Says what `cqe` is.
pub fn read(cqe: &Entry, ids: &Ids) -> Kind {
    classify(cqe.user_data(), cqe.result(), cqe.flags(), ids)
}

fn classify(user_data: u64, res: i32, flags: u32, ids: &Ids) -> Kind {
    let slot = user_data.wrapping_sub(ids.base);
    let raw = ids.reg_flags & RAW_SEQ != 0;
    let is_notif = flags & F_NOTIF != 0;
    if slot < u64::from(ids.nr_slots) && (raw || is_notif) {
        let seq = if raw { flags } else { flags >> SEQ_SHIFT };
        // `slot` is less than a u32
        return Kind::Slot { slot: slot as u32, seq, copied: res as u32 & USAGE_ZC_COPIED != 0 };
    }
    if is_notif {
        Kind::Other
    } else if user_data & ids.bearer != 0 {
        Kind::Bearer { copied: flags & F_ZC_COPIED != 0 }
    } else if flags & F_MORE != 0 {
        Kind::More
    } else {
        Kind::Request
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const IDS: Ids = Ids { base: 1 << 60, bearer: 1 << 61, nr_slots: 4, reg_flags: 0 };

    #[test]
    fn typed() {
        let copied = USAGE_ZC_COPIED as i32;
        let is = |user_data, res, flags| classify(user_data, res, flags, &IDS);
        assert_eq!(is(1, 100, 0), Kind::Request);
        assert_eq!(is(1, -22, 0), Kind::Request);
        assert_eq!(is(1, 100, F_MORE), Kind::More);
        assert_eq!(is(1, 0, F_NOTIF), Kind::Other);
        assert_eq!(is(IDS.base + 3, 0, F_NOTIF | 0xfffe_0000), Kind::Slot { slot: 3, seq: 0xfffe, copied: false });
        assert_eq!(is(IDS.base, copied, F_NOTIF), Kind::Slot { slot: 0, seq: 0, copied: true });
        assert_eq!(is(IDS.base + 4, 0, F_NOTIF), Kind::Other);
        assert_eq!(is(IDS.base - 1, 0, F_NOTIF), Kind::Other);
        assert_eq!(is(IDS.bearer | 1, -125, 0), Kind::Bearer { copied: false });
        assert_eq!(is(IDS.bearer | 1, 100, F_ZC_COPIED), Kind::Bearer { copied: true });
    }

    #[test]
    fn raw() {
        let ids = Ids { reg_flags: RAW_SEQ, ..IDS };
        assert_eq!(classify(ids.base + 1, 0, 33, &ids), Kind::Slot { slot: 1, seq: 33, copied: false });
        assert_eq!(classify(1, 0, 0, &ids), Kind::Request);
    }

    #[test]
    fn tags() {
        let tags: Vec<u64> = IDS.slots().iter().map(|slot| slot.tag).collect();
        assert_eq!(tags, [1 << 60, (1 << 60) + 1, (1 << 60) + 2, (1 << 60) + 3]);
    }
}
