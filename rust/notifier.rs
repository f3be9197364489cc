// SPDX-License-Identifier: GPL-2.0

//! The states of a notifier, as types.
//!
//! ```text
//!            share            flush
//!   Idle ------------> Active ----------+
//!    ^                   | attach       |
//!    |                   v              v
//!    |                Attached ----> Completed ----> its CQE is posted
//!    |                      detach      |  (the last reference is dropped, by a request, a flush
//!    |                                  |   or the network stack)
//!    +----------------------------------+
//!                   settle
//! ```
//!
//! A slot holds at most one [`Active`] notifier, a request in flight one [`Attached`]. There's no
//! value for a notifier that has been flushed and waits for its requests or for the network: nobody
//! can do anything with it.

use crate::sys::{
    trace,
    Buffer,
    Completed,
    Handle,
    Id,
    Idle,
    Lane,
    Locked,
    LockedPages,
    Terms,
    Total, //
};
use core::mem::replace;
use kernel::{
    bindings,
    prelude::*, //
};

/// What a ring keeps in a notifier, under its `uring_lock`.
pub(crate) struct State<'ring> {
    /// What it took from its slot.
    from: Origin,
    /// The slot's sequence number as the notifier was flushed; or the result of its bearer.
    number: u32,
    /// What it posts.
    answer: Answer,
    /// A request asked for IORING_SEND_ZC_REPORT_USAGE.
    report: bool,
    /// How many requests have attached.
    attached: u64,
    /// Pages of plain buffers that count against RLIMIT_MEMLOCK.
    pages: LockedPages<'ring>,
}

impl Default for State<'_> {
    fn default() -> Self {
        Self {
            from: Origin::default(),
            number: 0,
            answer: Answer::default(),
            report: false,
            attached: 0,
            pages: LockedPages::none(),
        }
    }
}

/// What a notifier posts.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Answer {
    /// A notification with the number of the flush.
    #[default]
    Number,
    /// The CQE of the request that flushed it, with its result.
    Result,
    /// Nothing: the request had IOSQE_CQE_SKIP_SUCCESS, and succeeded.
    Nothing,
}

/// The end of the request that flushed a notifier, its *bearer*, whose CQE is the notification.
pub(crate) struct End {
    /// `user_data` of the request.
    pub(crate) user_data: u64,
    /// Its result.
    pub(crate) res: i32,
    /// There is to be no CQE.
    pub(crate) mute: bool,
}

/// What a notifier takes from its slot as its first request attaches.
#[derive(Clone, Copy, Default)]
pub(crate) struct Origin {
    /// The slot.
    pub(crate) slot: u16,
    /// `user_data` of the CQE.
    pub(crate) tag: u64,
    /// The flags of the CQE are to be the sequence number, and nothing else.
    pub(crate) raw_seq: bool,
}

/// What a request brings along to its notifier.
pub(crate) struct Share<'ring> {
    /// It asked for IORING_SEND_ZC_REPORT_USAGE.
    pub(crate) report: bool,
    /// Its pages.
    pub(crate) pages: LockedPages<'ring>,
}

/// The notifier in a slot.
pub(crate) struct Active<'ring>(Handle<'ring>);

/// What a request is attached to.
pub(crate) struct Attached<'ring>(Handle<'ring>);

/// A notification.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Notification {
    /// The number of the notifier.
    pub(crate) id: u64,
    /// The slot that held it.
    pub(crate) slot: u16,
    /// `user_data` of the CQE.
    pub(crate) user_data: u64,
    /// Its result.
    pub(crate) res: i32,
    /// Its flags.
    pub(crate) flags: u32,
    /// It isn't posted.
    pub(crate) mute: bool,
}

impl<'ring> Idle<'ring> {
    /// Begins to use the notifier, with its first request attached.
    #[inline]
    pub(crate) fn attach(
        self,
        id: Id<'ring>,
        lane: &Lane<'ring>,
        from: Origin,
        terms: Terms,
        share: Share<'ring>,
    ) -> Attached<'ring> {
        let state = State {
            from,
            number: 0,
            answer: Answer::default(),
            report: share.report,
            attached: 1,
            pages: share.pages,
        };
        Attached(self.share(id, terms, lane, state))
    }
}

impl<'ring> Active<'ring> {
    /// Attaches a request.
    #[inline]
    pub(crate) fn attach(&self, share: Share<'ring>, lock: &mut Locked<'ring>) -> Attached<'ring> {
        let state = self.0.state(lock);
        state.report |= share.report;
        state.attached += 1;
        state.pages += share.pages;
        Attached(self.0.another(lock))
    }

    /// How many requests have attached.
    #[inline]
    pub(crate) fn attached(&self, lock: &mut Locked<'ring>) -> u64 {
        self.0.state(lock).attached
    }

    /// Attaches the notifier's last request, and flushes it as number `seq` of its slot.
    #[inline]
    pub(crate) fn attach_last(
        self,
        share: Share<'ring>,
        seq: u32,
        lock: &mut Locked<'ring>,
    ) -> Attached<'ring> {
        let state = self.0.state(lock);
        state.report |= share.report;
        state.attached += 1;
        state.pages += share.pages;
        // The slot's share becomes the request's.
        let request = Attached(self.0);
        request.flush(seq, lock);
        request
    }

    /// Flushes the notifier, as number `seq` of its slot.
    #[inline]
    pub(crate) fn flush(self, seq: u32, lock: &mut Locked<'ring>) -> Option<Completed<'ring>> {
        let request = Attached(self.0);
        request.flush(seq, lock);
        request.detach(lock)
    }
}

impl<'ring> Attached<'ring> {
    /// A second handle, for the slot: more requests may attach.
    #[inline]
    pub(crate) fn activate(&self, lock: &mut Locked<'ring>) -> Active<'ring> {
        Active(self.0.another(lock))
    }

    /// Closes the notifier, number `seq` of its slot, to further requests.
    #[inline]
    pub(crate) fn flush(&self, seq: u32, lock: &mut Locked<'ring>) {
        self.0.state(lock).number = seq;
        if trace::flush_is_enabled() {
            self.trace_flush(lock);
        }
    }

    #[cold]
    #[inline(never)]
    fn trace_flush(&self, lock: &mut Locked<'ring>) {
        let state = self.0.state(lock);
        let (slot, seq, attached) = (state.from.slot, state.number, state.attached);
        trace::flush(lock, slot, self.0.id(), seq, attached);
    }

    /// The number of the notifier.
    #[inline]
    pub(crate) fn id(&self) -> u64 {
        self.0.id()
    }

    /// Keeps a registered buffer until the notifier is settled, if there's room for it.
    #[inline]
    pub(crate) fn keep(
        &self,
        buffer: Buffer<'ring>,
        lock: &mut Locked<'ring>,
    ) -> Result<(), Buffer<'ring>> {
        self.0.keep(buffer, lock)
    }

    /// As [`Attached::keep`], and makes room if need be. Fails with `ENOMEM`.
    pub(crate) fn make_room_and_keep(
        &self,
        buffer: Buffer<'ring>,
        lock: &mut Locked<'ring>,
    ) -> Result {
        let room = self.0.reserve_buffer(lock);
        self.0.keep(buffer, lock).or_else(|buffer| {
            buffer.put(lock);
            room.and(Err(ENOMEM))
        })
    }

    /// The request's CQE is to be the notification.
    #[inline]
    pub(crate) fn bear(&self, lock: &mut Locked<'ring>) {
        self.0.set_bearer(lock);
    }

    /// The request, which bears the notification, is over.
    #[inline]
    pub(crate) fn detach_bearer(
        self,
        end: End,
        lock: &mut Locked<'ring>,
    ) -> Option<Completed<'ring>> {
        let state = self.0.state(lock);
        state.answer = match end.mute {
            true => Answer::Nothing,
            false => Answer::Result,
        };
        state.from.tag = end.user_data;
        state.number = end.res as u32;
        self.detach(lock)
    }

    /// The request is over.
    #[inline]
    pub(crate) fn detach(self, lock: &mut Locked<'ring>) -> Option<Completed<'ring>> {
        self.0.put(lock)
    }

    /// The request is over, unless nothing else keeps the notifier.
    #[inline]
    pub(crate) fn detach_one_of_many(self, lock: &mut Locked<'ring>) -> Result<(), Self> {
        self.0.put_one_of_many(lock).map_err(Self)
    }

    /// Passes the request's share to C.
    #[inline]
    pub(crate) fn into_handle(self) -> Handle<'ring> {
        self.0
    }

    /// Takes it back.
    #[inline]
    pub(crate) fn from_handle(handle: Handle<'ring>) -> Self {
        Self(handle)
    }
}

impl<'ring> Completed<'ring> {
    /// What to post for the notifier.
    #[inline(always)]
    pub(crate) fn notification(&mut self) -> Notification {
        let (id, copied) = (self.id(), self.was_copied());
        if copied {
            Total::Copied.count();
        }
        let state = self.state();
        let told = state.report && copied;
        let (res, flags) = if state.answer == Answer::Number {
            let res = match told {
                true => bindings::IORING_NOTIF_USAGE_ZC_COPIED as i32,
                false => 0,
            };
            (res, cqe_flags(state.number, state.from.raw_seq))
        } else {
            let flags = match told {
                true => bindings::IORING_CQE_F_ZC_COPIED,
                false => 0,
            };
            (state.number as i32, flags)
        };
        Notification {
            id,
            slot: state.from.slot,
            user_data: state.from.tag,
            res,
            flags,
            mute: state.answer == Answer::Nothing,
        }
    }

    /// Takes the pages that count against RLIMIT_MEMLOCK off it.
    #[inline]
    pub(crate) fn unaccount(&mut self, lock: &mut Locked<'ring>) {
        let pages = &mut self.state().pages;
        if !pages.is_none() {
            lock.unaccount(replace(pages, LockedPages::none()));
        }
    }
}

/// The flags of a notification's CQE.
#[inline]
pub(crate) fn cqe_flags(seq: u32, raw_seq: bool) -> u32 {
    if raw_seq {
        seq
    } else {
        bindings::IORING_CQE_F_NOTIF | (seq & 0xffff) << bindings::IORING_CQE_BUFFER_SHIFT
    }
}

#[cfg(CONFIG_IO_URING_NOTIF_KUNIT_TEST)]
mod tests;
