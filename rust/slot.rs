// SPDX-License-Identifier: GPL-2.0

//! The slots that a program registers.

use crate::{
    notifier::{
        Active,
        Attached,
        Notification,
        Place,
        Released, //
    },
    sys::{
        Locked,
        Registration,
        SlotConfig, //
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
pub(crate) struct Slot {
    /// `user_data` of the notifications of notifiers to come.
    pub(crate) tag: u64,
    /// The sequence number of the next notifier that is flushed. Wraps.
    seq: u32,
    /// Requests of fewer bytes are copied.
    pub(crate) copy_below: u32,
    /// The slot flushes itself as that many requests have attached to a notifier; 0: never.
    flush_after: u32,
    /// The notifier, from the first request that attaches until it is flushed.
    pub(crate) active: Option<Active>,
    /// How many notifiers of the slot have not been posted, that in `active` included.
    in_flight: u32,
}

impl Slot {
    fn new(config: &SlotConfig) -> Self {
        Self {
            tag: config.0.tag,
            seq: 0,
            copy_below: config.0.copy_below,
            flush_after: config.0.flush_after,
            active: None,
            in_flight: 0,
        }
    }

    /// Gives the slot, which has none, a notifier.
    #[inline]
    pub(crate) fn put(&mut self, active: Active) {
        self.in_flight += 1;
        self.active = Some(active);
    }

    /// What a notifier is to know of the slot.
    #[inline]
    pub(crate) fn place(&self, index: u16, typed: bool) -> Place {
        Place {
            slot: index,
            tag: self.tag,
            copy_below: self.copy_below,
            typed,
        }
    }

    /// Flushes the slot. `Some` if that released its notifier; nothing happens without one.
    #[inline]
    pub(crate) fn flush(&mut self, lock: &mut Locked) -> Option<Released> {
        let active = self.active.take()?;
        let seq = self.seq;
        self.seq = seq.wrapping_add(1);
        active.flush(seq, lock)
    }

    /// Whether the slot is to be flushed with that many requests attached.
    #[inline]
    pub(crate) fn is_full(&self, attached: u64) -> bool {
        attached == u64::from(self.flush_after)
    }
}

/// The slots of a ring: none, or those that a program has registered.
pub(crate) struct Table {
    slots: KVVec<Slot>,
    typed: bool,
    /// Identifies the last notifier of the ring that is none of these slots'.
    before: u64,
}

impl Table {
    /// That of a ring without slots.
    pub(crate) fn empty() -> Self {
        Self {
            slots: KVVec::new(),
            typed: false,
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
    pub(crate) fn read(registration: &Registration, before: u64) -> Result<Self> {
        let mut slots = KVVec::with_capacity(registration.nr_slots(), GFP_KERNEL_ACCOUNT)?;
        let mut reader = registration.slots();

        while !reader.is_empty() {
            let config: SlotConfig = reader.read()?;
            if !config.is_valid() {
                return Err(EINVAL);
            }
            slots.push(Slot::new(&config), GFP_KERNEL_ACCOUNT)?;
        }
        Ok(Self {
            slots,
            typed: registration.typed(),
            before,
        })
    }

    /// Whether notifications are known by the flags of their CQE.
    pub(crate) fn typed(&self) -> bool {
        self.typed
    }

    /// The slot that a program names, not even speculatively one that it couldn't.
    #[inline]
    pub(crate) fn get(&mut self, index: usize) -> Option<&mut Slot> {
        let len = self.slots.len();
        if index >= len {
            return None;
        }
        self.slots.get_mut(crate::sys::index_nospec(index, len))
    }

    /// The slot whose notifier a request is attached to, unless that has been flushed.
    #[inline]
    pub(crate) fn holding(&mut self, request: &Attached, lock: &mut Locked) -> Option<&mut Slot> {
        let slot = self.slots.get_mut(request.slot(lock))?;
        match &slot.active {
            Some(active) if active.has(request) => Some(slot),
            _ => None,
        }
    }

    /// The slots `off` to `off + len`.
    ///
    /// Fails with `EOVERFLOW` when that passes 2^32, with `EINVAL` when there are fewer slots.
    pub(crate) fn range(&mut self, off: u32, len: u32) -> Result<&mut [Slot]> {
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
    pub(crate) fn show(&self, m: &SeqFile, lock: &mut Locked) {
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
    pub(crate) fn all(&mut self) -> &mut [Slot] {
        &mut self.slots
    }
}

/// The flags of a notification's CQE.
#[inline]
pub(crate) fn cqe_flags(seq: u32, typed: bool) -> u32 {
    if typed {
        bindings::IORING_CQE_F_NOTIF | (seq & 0xffff) << bindings::IORING_CQE_BUFFER_SHIFT
    } else {
        seq
    }
}

#[cfg(CONFIG_IO_URING_NOTIF_KUNIT_TEST)]
#[kunit_tests(io_uring_notif_slot)]
mod tests {
    use super::*;
    use crate::{
        notifier::Idle,
        sys::Ctx, //
    };

    fn config(tag: u64, flush_after: u32) -> SlotConfig {
        SlotConfig(bindings::io_uring_notification_slot {
            tag,
            flush_after,
            ..Default::default()
        })
    }

    fn table(nr: u64) -> Result<Table> {
        let mut slots = KVVec::new();
        for tag in 0..nr {
            slots.push(Slot::new(&config(tag, 0)), GFP_KERNEL)?;
        }
        Ok(Table {
            slots,
            typed: false,
            before: 0,
        })
    }

    fn attach(slot: &mut Slot, index: u16, id: u64) -> Result<Attached> {
        let idle = Idle::new(Ctx::dangling())?;
        let (active, attached) = idle.share(id, slot.place(index, false), None, false, 0);
        slot.put(active);
        Ok(attached)
    }

    #[test]
    fn empty_slots_are_passed_over() -> Result {
        let lock = &mut Locked::for_test();
        let mut slot = Slot::new(&config(5, 0));
        assert!(slot.flush(lock).is_none());
        let request = attach(&mut slot, 0, 1)?;
        assert!(request.detach(lock).is_none());
        let (notification, _idle) = slot.flush(lock).ok_or(EINVAL)?.complete();
        // The flush of the empty slot took no number.
        assert_eq!(notification.seq, 0);
        Ok(())
    }

    #[test]
    fn sequence_wraps() -> Result {
        let lock = &mut Locked::for_test();
        let mut slot = Slot::new(&config(5, 0));
        slot.seq = u32::MAX;
        for (id, expect) in [(1, u32::MAX), (2, 0)] {
            let request = attach(&mut slot, 0, id)?;
            assert!(request.detach(lock).is_none());
            let (notification, _idle) = slot.flush(lock).ok_or(EINVAL)?.complete();
            assert_eq!(notification.seq, expect);
        }
        Ok(())
    }

    #[test]
    fn a_slot_holds_what_was_not_flushed() -> Result {
        let lock = &mut Locked::for_test();
        let mut table = table(2)?;
        let request = attach(&mut table.slots[1], 1, 1)?;
        assert!(table.holding(&request, lock).is_some());
        assert!(table.slots[1].flush(lock).is_none());
        assert!(table.holding(&request, lock).is_none());
        assert!(request.detach(lock).is_some());
        Ok(())
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

    #[test]
    fn flags() {
        assert_eq!(cqe_flags(0x1_8002, false), 0x1_8002);
        assert_eq!(
            cqe_flags(0x1_8002, true),
            bindings::IORING_CQE_F_NOTIF | 0x8002 << 16
        );
    }
}
