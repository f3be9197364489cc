// SPDX-License-Identifier: GPL-2.0 OR MIT
//! Buffers that the kernel may be reading.

use std::collections::VecDeque;
use std::io;
use std::mem::ManuallyDrop;
use std::sync::Arc;

use io_uring::{cqueue, opcode, squeue, types};

use crate::opcode::{flush, AttachExt};
use crate::sys::{F_NOTIF, USAGE_ZC_COPIED};

/// Memory that stays where it is, and as it is, while its owner is moved and not used.
///
/// # Safety
///
/// [`bytes`](StableBuf::bytes) must be the same memory at each call, also after the value was moved; nobody may free
/// or change it while the value exists and only `bytes` is called.
pub unsafe trait StableBuf: 'static {
    /// The bytes to send.
    fn bytes(&self) -> &[u8];
}

macro_rules! stable {
    ($($type:ty),*) => { $(
        // SAFETY: the bytes are on the heap, or static. Their owner, or the share that owns them, can't be used
        // meanwhile, and other shares can't change them.
        unsafe impl StableBuf for $type {
            fn bytes(&self) -> &[u8] {
                self.as_ref()
            }
        }
    )* };
}

stable!(Vec<u8>, Box<[u8]>, Arc<[u8]>, String, &'static [u8], &'static str);

/// The number of a group (31 bits) and what its CQE is, in the lower half of `user_data`
const IS_NOTIF: u64 = 1;

/// The buffers of one slot that are with the kernel, for a ring of your own.
///
/// [`send`](InFlight::send) takes a buffer and makes the request that sends it, [`flush`](InFlight::flush) the
/// request that asks for the notification, [`on_cqe`](InFlight::on_cqe) reads it, and [`next`](InFlight::next) gives
/// the buffers back, in the order in which they went out. Nothing else gives them back: if it is dropped, buffers
/// that are with the kernel leak.
///
/// Pushing an entry to a ring is `unsafe`. For these the promise to make is: **all entries that this gives go to one
/// ring, in their order and each once, without `IO_LINK` and other links around them; nothing else uses the slot;
/// and `on_cqe` sees CQEs of that ring only.** An entry may be thrown away if all later ones are.
///
/// A buffer that is with the kernel can't be used:
///
/// ```compile_fail,E0382
/// # use io_uring_notif::InFlight;
/// let (mut inflight, _opening) = InFlight::new(0, 1);
/// let buf = vec![0u8; 4096];
/// let entry = inflight.send(io_uring::types::Fd(3), buf, 0, 0);
/// drop(buf); // error: use of moved value
/// ```
#[derive(Debug)]
pub struct InFlight<B> {
    slot: u16,
    /// Upper half of `user_data` of flushes and notifications
    base: u32,
    /// From the oldest on; only the code that takes a buffer out drops it.
    bufs: VecDeque<ManuallyDrop<B>>,
    /// How many of `bufs`, from the first on, are the program's again
    back: usize,
    /// How many of `bufs`, from the last on, have no flush yet
    open: usize,
    /// What was flushed and isn't back, from the oldest on
    groups: VecDeque<Group>,
    /// The number of the group that is being filled
    number: u32,
    copied: u64,
    error: Option<i32>,
}

#[derive(Debug)]
struct Group {
    len: usize,
    done: bool,
}

impl<B: StableBuf> InFlight<B> {
    /// The buffers of `slot`. `base`, not 0, is the upper half of the `user_data` of CQEs that are for
    /// [`on_cqe`](InFlight::on_cqe). The entry is the first to be pushed: it names the first notification.
    ///
    /// # Panics
    ///
    /// If `base` is 0.
    pub fn new(slot: u16, base: u32) -> (InFlight<B>, squeue::Entry) {
        assert_ne!(base, 0, "the program's own user_data begin with 0");
        let mut this = InFlight {
            slot,
            base,
            bufs: VecDeque::new(),
            back: 0,
            open: 0,
            groups: VecDeque::new(),
            number: 0,
            copied: 0,
            error: None,
        };
        let opening = this.flush_entry();
        this.groups.clear(); // it has nothing in it
        (this, opening)
    }

    fn id(&self, number: u32, kind: u64) -> u64 {
        u64::from(self.base) << 32 | u64::from(number << 1) | kind
    }

    /// The slot is flushed by a request of its own, as its tag names the next group, and as its result tells whether
    /// a notification comes: none does if all requests of the group failed as they were prepared.
    fn flush_entry(&mut self) -> squeue::Entry {
        let id = self.id(self.number, 0);
        self.number = self.number.wrapping_add(1);
        self.groups.push_back(Group { len: self.open, done: false });
        self.open = 0;
        flush(self.slot, 1, self.id(self.number, IS_NOTIF)).user_data(id)
    }

    /// Takes a buffer, and makes the request that sends it: `msg_flags` as for `send(2)`, `zc_flags` of
    /// [`send_flags`](crate::send_flags), not [`FLUSH`](crate::send_flags::FLUSH). Set `user_data` as you like, but
    /// not with `base` in its upper half.
    ///
    /// # Panics
    ///
    /// If the buffer has 4 GiB or more, or `zc_flags` flush.
    pub fn send(&mut self, fd: types::Fd, buf: B, msg_flags: i32, zc_flags: u16) -> squeue::Entry {
        assert_eq!(zc_flags & crate::send_flags::FLUSH, 0, "InFlight::flush() flushes");
        let len = u32::try_from(buf.bytes().len()).expect("the buffer is too large for a request");
        // In its place first: what is read from now on is what stays.
        self.bufs.push_back(ManuallyDrop::new(buf));
        self.open += 1;
        let bytes = self.bufs.back().expect("was pushed").bytes();
        opcode::SendZc::new(fd, bytes.as_ptr(), len).flags(msg_flags).build().attach(self.slot, zc_flags)
    }

    /// Asks for a notification of what was sent since the last flush; `None` if that is nothing.
    pub fn flush(&mut self) -> Option<squeue::Entry> {
        (self.open > 0).then(|| self.flush_entry())
    }

    /// Reads a CQE; false if it is for somebody else.
    pub fn on_cqe(&mut self, cqe: &cqueue::Entry) -> bool {
        self.answer(cqe.user_data(), cqe.result(), cqe.flags())
    }

    fn answer(&mut self, user_data: u64, res: i32, flags: u32) -> bool {
        if user_data >> 32 != u64::from(self.base) {
            return false;
        }
        let is_notif = flags & F_NOTIF != 0;
        if is_notif && res as u32 & USAGE_ZC_COPIED != 0 {
            self.copied += 1;
        }
        // A flush that failed, or has its notification to come: the buffers stay.
        if !is_notif && res != 0 {
            self.error = self.error.or((res < 0).then_some(-res));
            return true;
        }
        let oldest = self.number.wrapping_sub(self.groups.len() as u32);
        let place = (user_data as u32 >> 1).wrapping_sub(oldest) & (u32::MAX >> 1);
        if let Some(group) = self.groups.get_mut(place as usize) {
            group.done = true;
        }
        while self.groups.front().is_some_and(|group| group.done) {
            self.back += self.groups.pop_front().map_or(0, |group| group.len);
        }
        true
    }

    /// The oldest buffer, if the kernel has let go of it.
    #[allow(clippy::should_implement_trait, reason = "more may come after None")]
    pub fn next(&mut self) -> Option<B> {
        self.back = self.back.checked_sub(1)?;
        self.bufs.pop_front().map(ManuallyDrop::into_inner)
    }

    /// How many buffers are with the kernel.
    pub fn away(&self) -> usize {
        self.bufs.len() - self.back
    }

    /// Whether a notification will come without another flush.
    pub fn is_flushed(&self) -> bool {
        self.open == 0
    }

    /// How many notifications said that something was copied, see
    /// [`REPORT_USAGE`](crate::send_flags::REPORT_USAGE).
    pub fn copied(&self) -> u64 {
        self.copied
    }
}

impl<B> InFlight<B> {
    /// The error of a flush: the slot was unregistered, or `slot` is none. Buffers that are away stay so.
    pub fn error(&self) -> Option<io::Error> {
        self.error.map(io::Error::from_raw_os_error)
    }
}

impl<B> Drop for InFlight<B> {
    /// Drops the buffers that are back. The others leak: the kernel sends from them.
    fn drop(&mut self) {
        for buf in self.bufs.drain(..self.back) {
            drop(ManuallyDrop::into_inner(buf));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Weak;

    const BASE: u32 = 9;

    fn inflight() -> InFlight<Arc<[u8]>> {
        let (mut inflight, opening) = InFlight::new(3, BASE);
        assert_eq!(opening.get_user_data(), u64::from(BASE) << 32);
        assert!(flushed(&mut inflight, 0, 0));
        inflight
    }

    fn flushed(inflight: &mut InFlight<Arc<[u8]>>, number: u32, res: i32) -> bool {
        let id = inflight.id(number, 0);
        inflight.answer(id, res, 0)
    }

    fn notified(inflight: &mut InFlight<Arc<[u8]>>, number: u32) -> bool {
        let id = inflight.id(number, IS_NOTIF);
        inflight.answer(id, 0, F_NOTIF)
    }

    /// Sends a buffer of one byte, and flushes; the buffer can be watched.
    fn send(inflight: &mut InFlight<Arc<[u8]>>, byte: u8) -> Weak<[u8]> {
        let buf: Arc<[u8]> = Arc::from([byte]);
        let watch = Arc::downgrade(&buf);
        let _ = inflight.send(types::Fd(1), buf, 0, 0);
        assert!(inflight.flush().is_some() && inflight.flush().is_none());
        watch
    }

    #[test]
    fn in_order() {
        let mut inflight = inflight();
        let first = send(&mut inflight, 1);
        let _ = (send(&mut inflight, 2), send(&mut inflight, 3));
        assert!(flushed(&mut inflight, 1, 1) && flushed(&mut inflight, 2, 1));
        assert_eq!((inflight.next(), inflight.away()), (None, 3));
        // the second one first, and before its flush's own CQE
        assert!(notified(&mut inflight, 2));
        assert!(inflight.next().is_none() && first.upgrade().is_some());
        assert!(notified(&mut inflight, 1));
        assert_eq!(inflight.next().as_deref(), Some(&[1][..]));
        assert!(first.upgrade().is_none());
        assert_eq!(inflight.next().as_deref(), Some(&[2][..]));
        assert_eq!((inflight.next(), inflight.away()), (None, 1));
        // nothing had attached
        assert!(flushed(&mut inflight, 3, 0));
        assert_eq!(inflight.next().as_deref(), Some(&[3][..]));
        assert_eq!(inflight.away(), 0);
    }

    #[test]
    fn not_ours() {
        let mut inflight = inflight();
        let _ = send(&mut inflight, 1);
        assert!(!inflight.answer(1 << 1 | IS_NOTIF, 0, F_NOTIF));
        assert!(notified(&mut inflight, 7) && notified(&mut inflight, 0) && flushed(&mut inflight, 7, 0));
        assert!(inflight.next().is_none() && inflight.error().is_none());
        assert!(flushed(&mut inflight, 1, -libc::EINVAL) && inflight.next().is_none());
        assert_eq!(inflight.error().and_then(|e| e.raw_os_error()), Some(libc::EINVAL));
    }

    /// What is with the kernel leaks; what is back doesn't.
    #[test]
    fn dropping() {
        let mut inflight = inflight();
        let (back, away) = (send(&mut inflight, 1), send(&mut inflight, 2));
        assert!(notified(&mut inflight, 1));
        drop(inflight);
        assert!(back.upgrade().is_none());
        assert_eq!(away.upgrade().as_deref(), Some(&[2][..]));
    }

    #[test]
    fn numbers_wrap() {
        let mut inflight = inflight();
        inflight.number = u32::MAX - 3;
        for byte in 0..9 {
            let number = inflight.number;
            let _ = send(&mut inflight, byte);
            assert!(notified(&mut inflight, number));
            assert_eq!(inflight.next().as_deref(), Some(&[byte][..]));
        }
    }

    #[test]
    fn memory_stays() {
        let mut inflight = InFlight::<Vec<u8>>::new(0, BASE).0;
        let addresses: Vec<_> = (0..100u8)
            .map(|byte| {
                let buf = vec![byte; 10];
                let address = buf.as_ptr();
                let _ = inflight.send(types::Fd(1), buf, 0, 0);
                address
            })
            .collect();
        assert!(inflight.bufs.iter().map(|buf| buf.bytes().as_ptr()).eq(addresses));
    }
}
