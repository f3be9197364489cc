// SPDX-License-Identifier: GPL-2.0

//! The slots that a program registers.

use crate::{
    notifier::{
        Active,
        Notification,
        Origin, //
    },
    sys::{
        Completed,
        Locked,
        RegisterArg,
        SlotConfig,
        Terms, //
    },
};
use kernel::{
    bindings,
    prelude::*,
    seq_file::{
        seq_print,
        SeqFile, //
    }, //
};

/// A notification slot: a place for the notifier that requests attach to at the moment.
pub(crate) struct Slot<'ring> {
    /// `user_data` of the notifications of notifiers to come.
    pub(crate) tag: u64,
    /// The sequence number of the next notifier that is flushed. Wraps.
    seq: u32,
    /// How its requests are sent.
    pub(crate) terms: Terms,
    /// The slot flushes itself as that many requests have attached to a notifier; 0: never.
    flush_after: u32,
    /// The notifier, from the first request that attaches until it is flushed.
    pub(crate) active: Option<Active<'ring>>,
    /// How many notifiers of the slot have not been posted, that in `active` included.
    pub(crate) in_flight: u32,
}

impl<'ring> Slot<'ring> {
    fn new(config: &SlotConfig) -> Self {
        Self {
            tag: config.0.tag,
            seq: 0,
            terms: config.terms(),
            flush_after: config.0.flush_after,
            active: None,
            in_flight: 0,
        }
    }

    /// What a notifier is to take from the slot.
    #[inline]
    pub(crate) fn origin(&self, slot: u16, raw_seq: bool) -> Origin {
        Origin {
            slot,
            tag: self.tag,
            raw_seq,
        }
    }

    /// The sequence number of a notifier that is flushed.
    #[inline]
    pub(crate) fn next_seq(&mut self) -> u32 {
        let seq = self.seq;
        self.seq = seq.wrapping_add(1);
        seq
    }

    /// Flushes the slot: whether it had a notifier, and that if it has completed.
    #[inline]
    pub(crate) fn flush(&mut self, lock: &mut Locked<'ring>) -> (bool, Option<Completed<'ring>>) {
        match self.active.take() {
            Some(active) => (true, active.flush(self.next_seq(), lock)),
            None => (false, None),
        }
    }

    /// Whether the slot is to be flushed with that many requests attached.
    #[inline]
    pub(crate) fn is_full(&self, attached: u64) -> bool {
        attached == u64::from(self.flush_after)
    }

    /// Whether the CQE of a request that flushes the slot is the notification.
    #[inline]
    pub(crate) fn merges(&self) -> bool {
        u32::from(self.terms.flags) & bindings::IORING_NOTIF_SLOT_MERGE != 0
    }

    /// Whether the slot flushes itself.
    pub(crate) fn flushes_itself(&self) -> bool {
        self.flush_after != 0
    }
}

/// The slots of a ring: none, or those that a program has registered.
pub(crate) struct Table<'ring> {
    slots: KVVec<Slot<'ring>>,
    raw_seq: bool,
    /// Identifies the last notifier of the ring that belongs to slots registered before these.
    before: u64,
}

impl<'ring> Table<'ring> {
    /// The table of a ring without slots.
    pub(crate) fn empty() -> Self {
        Self {
            slots: KVVec::new(),
            raw_seq: false,
            before: 0,
        }
    }

    /// Whether there are none.
    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    /// Reads the slots that a program registers. `before` identifies the ring's last notifier.
    ///
    /// Fails with `EFAULT` for a bad pointer, `EINVAL` for a reserved field that is set, `ENOMEM`.
    pub(crate) fn read(arg: &RegisterArg, before: u64) -> Result<Self> {
        let mut slots = KVVec::with_capacity(arg.nr_slots(), GFP_KERNEL_ACCOUNT)?;
        let mut reader = arg.slots();

        while !reader.is_empty() {
            let config: SlotConfig = reader.read()?;
            if !config.is_valid() {
                return Err(EINVAL);
            }
            slots.push(Slot::new(&config), GFP_KERNEL_ACCOUNT)?;
        }
        Ok(Self {
            slots,
            raw_seq: arg.raw_seq(),
            before,
        })
    }

    /// Whether the flags of a notification's CQE are the sequence number, and nothing else.
    #[inline]
    pub(crate) fn raw_seq(&self) -> bool {
        self.raw_seq
    }

    /// The slot that a program names, not even speculatively one that it couldn't.
    #[inline]
    pub(crate) fn get(&mut self, index: usize) -> Option<&mut Slot<'ring>> {
        let len = self.slots.len();
        if index >= len {
            return None;
        }
        self.slots.get_mut(crate::sys::index_nospec(index, len))
    }

    /// The slots `off` to `off + len`.
    ///
    /// Fails with `EOVERFLOW` when that passes 2^32, with `EINVAL` when there are fewer slots.
    pub(crate) fn range(&mut self, off: u32, len: u32) -> Result<&mut [Slot<'ring>]> {
        let end = off.checked_add(len).ok_or(EOVERFLOW)?;
        let nr = self.slots.len();
        if end as usize > nr {
            return Err(EINVAL);
        }
        // Up to `nr` inclusive, as ranges go.
        let off = crate::sys::index_nospec(off as usize, nr + 1);
        let end = crate::sys::index_nospec(end as usize, nr + 1);
        self.slots.get_mut(off..end).ok_or(EINVAL)
    }

    /// A notifier has been posted, of one of these slots unless they were registered after it.
    #[inline]
    pub(crate) fn posted(&mut self, notification: &Notification) {
        if notification.id <= self.before {
            return;
        }
        if let Some(slot) = self.slots.get_mut(usize::from(notification.slot)) {
            slot.in_flight -= 1;
        }
    }

    /// Describes the slots.
    pub(crate) fn show(&self, m: &SeqFile, lock: &mut Locked<'ring>) {
        seq_print!(m, "NotifSlots:\t{}\n", self.slots.len());
        for (index, slot) in self.slots.iter().enumerate() {
            let attached = slot.active.as_ref().map_or(0, |a| a.attached(lock));
            seq_print!(
                m,
                "{index:5}: tag:0x{:x}, seq:{}, attached:{attached}, in_flight:{}\n",
                slot.tag,
                slot.seq,
                slot.in_flight
            );
        }
    }

    /// All slots.
    pub(crate) fn all(&mut self) -> &mut [Slot<'ring>] {
        &mut self.slots
    }
}

#[cfg(CONFIG_IO_URING_NOTIF_KUNIT_TEST)]
#[kunit_tests(io_uring_notif_slot)]
mod tests {
    use super::*;
    use crate::{
        notifier::Share,
        sys::{
            testing::with_test_ring,
            Idle,
            Ids,
            Lane,
            LockedPages, //
        }, //
    };

    fn config(tag: u64, flush_after: u32) -> SlotConfig {
        SlotConfig(bindings::io_uring_notification_slot {
            tag,
            flush_after,
            ..Default::default()
        })
    }

    fn table<'ring>(nr: u64) -> Result<Table<'ring>> {
        let mut slots = KVVec::new();
        for tag in 0..nr {
            slots.push(Slot::new(&config(tag, 0)), GFP_KERNEL)?;
        }
        Ok(Table {
            slots,
            raw_seq: true,
            before: 0,
        })
    }

    /// Gives a slot a notifier, with a request that is over.
    fn fill<'ring>(
        slot: &mut Slot<'ring>,
        ids: &mut Ids<'ring>,
        lock: &mut Locked<'ring>,
    ) -> Result {
        let share = Share {
            report: false,
            pages: LockedPages::none(),
        };
        let lane = Lane::new(lock)?;
        let from = slot.origin(0, true);
        let request = Idle::new(lock)?.attach(ids.next(), &lane, from, slot.terms, share);
        slot.active = Some(request.activate(lock));
        assert!(request.detach(lock).is_none());
        Ok(())
    }

    /// The number that the notification of a flush has.
    fn flush<'ring>(slot: &mut Slot<'ring>, lock: &mut Locked<'ring>) -> Result<u32> {
        let mut completed = slot.flush(lock).1.ok_or(EINVAL)?;
        let flags = completed.notification().flags;
        let _idle = completed.settle(lock);
        Ok(flags)
    }

    #[test]
    fn empty_slots_are_passed_over() -> Result {
        with_test_ring(|lock, mut ids| {
            let mut slot = Slot::new(&config(5, 0));
            assert!(!slot.flush(lock).0);
            fill(&mut slot, &mut ids, lock)?;
            // The flush of the empty slot took no number.
            assert_eq!(flush(&mut slot, lock)?, 0);
            Ok(())
        })
    }

    #[test]
    fn sequence_wraps() -> Result {
        with_test_ring(|lock, mut ids| {
            let mut slot = Slot::new(&config(5, 0));
            slot.seq = u32::MAX;
            for expect in [u32::MAX, 0] {
                fill(&mut slot, &mut ids, lock)?;
                assert_eq!(flush(&mut slot, lock)?, expect);
            }
            Ok(())
        })
    }

    #[test]
    fn ranges() -> Result {
        let mut table = table(4)?;
        assert_eq!(table.range(1, 3)?.len(), 3);
        assert_eq!(table.range(1, 4).err(), Some(EINVAL));
        assert_eq!(table.range(4, 1).err(), Some(EINVAL));
        assert_eq!(table.range(u32::MAX, 1).err(), Some(EOVERFLOW));
        assert!(table.get(3).is_some());
        assert!(table.get(4).is_none());
        Ok(())
    }

    #[test]
    fn full_slots() {
        assert!(Slot::new(&config(0, 3)).is_full(3));
        assert!(!Slot::new(&config(0, 3)).is_full(2));
        // 0 means never: a slot is asked with one request attached or more.
        assert!(!Slot::new(&config(0, 0)).is_full(1));
    }
}
