// SPDX-License-Identifier: GPL-2.0

//! The states of a notifier, as types.
//!
//! ```text
//!            share            flush
//!   Idle ------------> Active ----------+
//!    ^                   | attach       |
//!    |                   v              v
//!    |                Attached ----> Released ----> its CQE is posted
//!    |                      detach      |  (the last reference is dropped, by a request, a flush
//!    |                                  |   or the network stack)
//!    +----------------------------------+
//! ```
//!
//! A slot holds at most one [`Active`] notifier, a request in flight one [`Attached`]. There's no
//! value for a notifier that has been flushed and waits for its requests or for the network: nobody
//! can do anything with it.

use crate::sys::{
    self,
    trace,
    Buffer,
    Ctx,
    Handle,
    Lane,
    Locked,
    Owned,
    Total, //
};
use core::{
    mem::take,
    pin::Pin, //
};
use kernel::{
    bindings,
    prelude::*, //
};

/// What a ring keeps in a notifier, under its `uring_lock`.
#[derive(Default)]
pub(crate) struct State {
    /// `user_data` of the CQE: the slot's tag as the first request attached.
    tag: u64,
    /// The slot's sequence number as the notifier was flushed.
    seq: u32,
    /// The slot that holds the notifier, or held it.
    slot: u16,
    /// A request asked for IORING_SEND_ZC_REPORT_USAGE.
    report: bool,
    /// How many requests have attached.
    attached: u64,
    /// Its CQE is to be known by its flags.
    typed: bool,
    /// Pages of plain buffers that count against RLIMIT_MEMLOCK.
    pages: usize,
    /// Registered buffers that requests used. One that other notifiers used in between may be here
    /// more than once, until there's no room.
    buffers: KVVec<Buffer>,
}

/// An idle notifier keeps room for that many registered buffers.
const MAX_IDLE_BUFFERS: usize = 128;

/// A notifier to be used.
pub(crate) struct Idle(Owned);

/// The notifier in a slot.
pub(crate) struct Active(Handle);

/// What a request is attached to.
pub(crate) struct Attached(Handle);

/// A notifier that is through: flushed, its requests over, its pages let go.
pub(crate) struct Released(Owned);

/// Notifiers that waited for one that is through.
#[must_use = "they are never released otherwise"]
pub(crate) struct Followers(sys::Followers);

/// A notification.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Notification {
    /// The identity of the notifier, see [`Idle::share`].
    pub(crate) id: u64,
    /// The slot that held it.
    pub(crate) slot: u16,
    pub(crate) user_data: u64,
    pub(crate) res: i32,
    pub(crate) seq: u32,
    pub(crate) typed: bool,
}

/// What a notifier takes from the slot that it comes to.
pub(crate) struct Place {
    pub(crate) slot: u16,
    pub(crate) tag: u64,
    pub(crate) copy_below: u32,
    pub(crate) typed: bool,
}

impl Idle {
    /// Allocates a notifier. Task context, may sleep.
    pub(crate) fn new(ctx: Ctx) -> Result<Self> {
        Owned::new(ctx).map(Self)
    }

    /// Makes the notifier that of a slot, with its first request attached, as [`Active::attach`] does.
    /// `id` is larger than that of any other of the ring before.
    #[inline]
    pub(crate) fn share(
        mut self,
        id: u64,
        place: Place,
        lane: Option<Pin<&Lane>>,
        report: bool,
        pages: usize,
    ) -> (Active, Attached) {
        let state = self.0.state();
        state.tag = place.tag;
        state.slot = place.slot;
        state.typed = place.typed;
        state.report = report;
        state.attached = 1;
        // An idle notifier has none: most often nothing is stored.
        state.pages += pages;
        let (slot, request) = self.0.share(id, place.copy_below, lane);
        (Active(slot), Attached(request))
    }
}

impl Active {
    /// Attaches a request, for which `pages` were accounted. Returns how many have attached.
    #[inline]
    pub(crate) fn attach(&self, report: bool, pages: usize, lock: &mut Locked) -> (Attached, u64) {
        let state = self.0.state(lock);
        state.report |= report;
        state.attached += 1;
        state.pages += pages;
        let attached = state.attached;
        (Attached(self.0.another(lock)), attached)
    }

    /// How many requests have attached.
    #[inline]
    pub(crate) fn attached(&self, lock: &mut Locked) -> u64 {
        self.0.state(lock).attached
    }

    /// Flushes the notifier, as number `seq` of its slot.
    #[inline]
    pub(crate) fn flush(self, seq: u32, lock: &mut Locked) -> Option<Released> {
        let ctx = lock.ctx();
        let state = self.0.state(lock);
        state.seq = seq;
        if trace::flush_is_enabled() {
            trace::flush(ctx, state.slot, self.0.id(), seq, state.attached);
        }
        self.0.set_final();
        self.0.put(lock).map(Released)
    }

    /// Whether a request is attached to this one.
    #[inline]
    pub(crate) fn has(&self, request: &Attached) -> bool {
        self.0.is(&request.0)
    }
}

impl Attached {
    /// The slot that the request attached to.
    #[inline]
    pub(crate) fn slot(&self, lock: &mut Locked) -> usize {
        self.0.state(lock).slot.into()
    }

    /// The identity of the notifier, see [`Idle::share`].
    #[inline]
    pub(crate) fn id(&self) -> u64 {
        self.0.id()
    }

    /// Makes sure that there's room for a registered buffer.
    pub(crate) fn reserve_buffer(&self, ctx: Ctx, lock: &mut Locked) -> Result {
        let buffers = &mut self.0.state(lock).buffers;
        if buffers.len() < buffers.capacity() {
            return Ok(());
        }
        let mut all = take(buffers);
        Buffer::put_duplicates(&mut all, self.id(), ctx, lock);
        let room = all.reserve((all.len() / 2).max(4), GFP_KERNEL_ACCOUNT);
        self.0.state(lock).buffers = all;
        Ok(room?)
    }

    /// Keeps a registered buffer until the notifier is released, if there's room for it.
    #[inline]
    pub(crate) fn keep(&self, buffer: Buffer, lock: &mut Locked) -> Result<(), Buffer> {
        let state = self.0.state(lock);
        if state.buffers.len() == state.buffers.capacity() {
            return Err(buffer);
        }
        buffer.claim(self.id(), lock);
        let state = self.0.state(lock);
        state.buffers.push_within_capacity(buffer).map_err(|e| e.0)
    }

    /// The request is over.
    #[inline]
    pub(crate) fn detach(self, lock: &mut Locked) -> Option<Released> {
        self.0.put(lock).map(Released)
    }

    /// The request is over, unless nothing else keeps the notifier.
    #[inline]
    pub(crate) fn detach_one_of_many(self, lock: &mut Locked) -> Result<(), Self> {
        self.0.put_one_of_many(lock).map_err(Self)
    }

    /// Passes the request's share to C.
    #[inline]
    pub(crate) fn into_handle(self) -> Handle {
        self.0
    }

    /// Takes it back.
    #[inline]
    pub(crate) fn from_handle(handle: Handle) -> Self {
        Self(handle)
    }
}

impl Released {
    /// Takes what came by way of task_work.
    #[inline]
    pub(crate) fn from_queue(owned: Owned) -> Self {
        Self(owned)
    }

    /// Those that wait for this one, if there are any.
    #[inline]
    pub(crate) fn take_followers(&mut self) -> Option<Followers> {
        self.0.take_followers().map(Followers)
    }

    /// Leaves it to the ring's task_work to go on.
    pub(crate) fn defer(self) {
        self.0.release_remote();
    }

    /// Drops the notifier's registered buffers, and takes its pages off RLIMIT_MEMLOCK.
    #[inline]
    pub(crate) fn let_go(&mut self, lock: &mut Locked) {
        let ctx = self.0.ctx();
        let state = self.0.state();
        for buffer in state.buffers.drain_all() {
            buffer.put(ctx, lock);
        }
        // Here, as freeing may sleep, and the notifier is posted with the CQ locked.
        if state.buffers.capacity() > MAX_IDLE_BUFFERS {
            state.buffers = KVVec::new();
        }
        if state.pages != 0 {
            ctx.unaccount(take(&mut state.pages));
        }
    }

    /// The ring of the notifier.
    #[inline]
    pub(crate) fn ctx(&self) -> Ctx {
        self.0.ctx()
    }

    /// The notifier has arrived: the lane that it went by, if any, is done with it.
    #[inline]
    pub(crate) fn leave_lane(&mut self, lock: &mut Locked) {
        self.0.leave_lane(lock);
    }

    /// What to post for the notifier, which can be used again then.
    #[inline]
    pub(crate) fn complete(mut self) -> (Notification, Idle) {
        let (id, copied) = (self.0.id(), self.0.was_copied());
        if copied {
            Total::Copied.count();
        }
        if self.0.was_linked() {
            Total::Linked.count();
        }
        let state = self.0.state();
        let res = match state.report && copied {
            true => bindings::IORING_NOTIF_USAGE_ZC_COPIED as i32,
            false => 0,
        };
        let notification = Notification {
            id,
            slot: state.slot,
            user_data: state.tag,
            res,
            seq: state.seq,
            typed: state.typed,
        };
        (notification, Idle(self.0))
    }
}

impl Followers {
    /// Lets them wait no more. Those that waited for nothing else are through as well, and passed to
    /// `f`, one after the other.
    pub(crate) fn release(self, mut f: impl FnMut(Released)) {
        self.0.release(|owned| f(Released(owned)));
    }
}

#[cfg(CONFIG_IO_URING_NOTIF_KUNIT_TEST)]
#[kunit_tests(io_uring_notif_notifier)]
mod tests {
    use super::*;

    fn active(id: u64) -> Result<(Active, Attached)> {
        Ok(Idle::new(Ctx::dangling())?.share(id, place(42), None, false, 0))
    }

    fn place(tag: u64) -> Place {
        Place {
            slot: 3,
            tag,
            copy_below: 0,
            typed: false,
        }
    }

    #[test]
    fn flush_waits_for_requests() -> Result {
        let lock = &mut Locked::for_test();
        let (notifier, first) = active(1)?;
        assert_eq!(notifier.attached(lock), 1);
        let (second, n) = notifier.attach(false, 0, lock);
        assert_eq!(n, 2);

        assert!(first.detach(lock).is_none());
        assert!(notifier.flush(7, lock).is_none());
        let released = second.detach(lock).ok_or(EINVAL)?;
        let (notification, _idle) = released.complete();
        assert_eq!(notification.user_data, 42);
        assert_eq!(notification.seq, 7);
        assert_eq!(notification.res, 0);
        Ok(())
    }

    #[test]
    fn requests_wait_for_flush() -> Result {
        let lock = &mut Locked::for_test();
        let (notifier, request) = active(1)?;
        assert!(notifier.has(&request));
        assert_eq!(request.slot(lock), 3);
        assert!(request.detach(lock).is_none());
        assert!(notifier.flush(0, lock).is_some());
        Ok(())
    }

    #[test]
    fn notifiers_differ() -> Result {
        let lock = &mut Locked::for_test();
        let ((one, request), (other, others)) = (active(1)?, active(2)?);
        assert!(!other.has(&request));
        assert!(request.detach(lock).is_none());
        assert!(others.detach(lock).is_none());
        assert!(one.flush(0, lock).is_some());
        assert!(other.flush(0, lock).is_some());
        Ok(())
    }

    #[test]
    fn reuse_forgets() -> Result {
        let lock = &mut Locked::for_test();
        let (notifier, request) = active(1)?;
        let (reporting, _) = notifier.attach(true, 0, lock);
        assert!(request.detach(lock).is_none());
        assert!(reporting.detach(lock).is_none());
        let released = notifier.flush(9, lock).ok_or(EINVAL)?;
        let (_, idle) = released.complete();

        let (notifier, request) = idle.share(2, place(43), None, false, 0);
        assert_eq!(notifier.attached(lock), 1);
        assert!(request.detach(lock).is_none());
        let (notification, _idle) = notifier.flush(1, lock).ok_or(EINVAL)?.complete();
        assert_eq!(notification.user_data, 43);
        assert_eq!(notification.seq, 1);
        Ok(())
    }
}
