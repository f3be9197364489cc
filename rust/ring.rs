// SPDX-License-Identifier: GPL-2.0

//! All that a ring has of notification slots.
//!
//! A ring has this from the first time that it registers slots until it has unregistered them and
//! the last of its notifiers has completed. All under its `uring_lock`.

use crate::{
    inflight::{
        InFlight,
        Where, //
    },
    notifier::{
        Attached,
        Released, //
    },
    slot::Table,
    sys::{
        trace,
        Buffer,
        CqLocked,
        Ctx,
        Locked,
        Registration, //
    },
};
use core::mem::replace;
use kernel::{
    bindings,
    page::PAGE_SHIFT,
    prelude::*,
    seq_file::{
        seq_print,
        SeqFile, //
    },
    uaccess::UserPtr, //
};

/// What a request wants of the notifier that it attaches to.
pub(crate) struct Request {
    /// How many bytes it sends; `usize::MAX` when that isn't known yet.
    pub(crate) len: usize,
    /// Its pages count against RLIMIT_MEMLOCK.
    pub(crate) account: bool,
    /// IORING_SEND_ZC_REPORT_USAGE
    pub(crate) report: bool,
}

impl Request {
    /// Whether pages are to be accounted: not for what is copied, as it is shorter than `copy_below`.
    #[inline]
    fn is_accounted(&self, copy_below: u32) -> bool {
        self.account && self.len >= copy_below as usize
    }

    /// How many pages are accounted: at most so many, wherever the first one begins. As mainline's
    /// SEND_ZC counts.
    #[inline]
    fn pages(&self) -> usize {
        (self.len >> PAGE_SHIFT) + 2
    }

    fn known_len(&self) -> Option<usize> {
        (self.len != usize::MAX).then_some(self.len)
    }
}

/// The slots of a ring and its notifiers.
pub(crate) struct Ring {
    ctx: Ctx,
    table: Table,
    in_flight: InFlight,
}

impl Ring {
    pub(crate) fn new(ctx: Ctx) -> Self {
        Self {
            ctx,
            table: Table::empty(),
            in_flight: InFlight::new(ctx),
        }
    }

    /// IORING_REGISTER_NOTIFIERS
    ///
    /// Fails with `EBUSY` when there are slots, as [`Registration::read`] and [`Table::read`] do,
    /// and with `EINVAL` when a sequence number could be taken for the size of a CQE.
    pub(crate) fn register(&mut self, arg: UserPtr, size: usize) -> Result {
        if !self.table.is_empty() {
            return Err(EBUSY);
        }
        let registration = Registration::read(arg, size)?;
        let mixed = self.ctx.setup_flags() & bindings::IORING_SETUP_CQE_MIXED != 0;
        if mixed && !registration.typed() {
            return Err(EINVAL);
        }
        self.table = Table::read(&registration, self.in_flight.last_id())?;
        Ok(())
    }

    /// IORING_UNREGISTER_NOTIFIERS, or the ring is closed: flushes all slots.
    ///
    /// Fails with `ENXIO` when there are none.
    pub(crate) fn unregister(&mut self, lock: &mut Locked) -> Result {
        if self.table.is_empty() {
            return Err(ENXIO);
        }
        let mut table = replace(&mut self.table, Table::empty());
        for slot in table.all() {
            if let Some(released) = slot.flush(lock) {
                self.in_flight.released(released, Where::TaskWork, lock);
            }
        }
        Ok(())
    }

    /// Whether there are neither slots nor notifiers in flight.
    pub(crate) fn is_done(&self) -> bool {
        self.table.is_empty() && self.in_flight.is_empty()
    }

    /// Attaches a request, if that is all there is to be done: its pages are accounted or not, as
    /// `ACCOUNTED` says, nobody traces it, and it is neither the first one of a notifier nor the last
    /// one.
    #[inline(always)]
    pub(crate) fn attach_another<const ACCOUNTED: bool>(
        &mut self,
        index: u16,
        request: &Request,
        lock: &mut Locked,
    ) -> Option<Attached> {
        let slot = self.table.get(index.into())?;
        let active = slot.active.as_ref()?;
        if request.is_accounted(slot.copy_below) != ACCOUNTED
            || trace::attach_is_enabled()
            || slot.is_full(active.attached(lock) + 1)
        {
            return None;
        }
        let mut pages = 0;
        if ACCOUNTED {
            pages = request.pages();
            self.ctx.account(pages).ok()?;
        }
        Some(active.attach(request.report, pages, lock).0)
    }

    /// As [`Ring::attach_another`], for the first one of a notifier that is used again.
    #[inline(always)]
    pub(crate) fn attach_next(
        &mut self,
        index: u16,
        request: &Request,
        _lock: &mut Locked,
    ) -> Option<Attached> {
        let typed = self.table.typed();
        let slot = self.table.get(index.into())?;
        if slot.active.is_some()
            || request.is_accounted(slot.copy_below)
            || trace::attach_is_enabled()
            || slot.is_full(1)
        {
            return None;
        }
        let place = slot.place(index, typed);
        let (active, attached) = self.in_flight.refill(place, request.report)?;
        slot.put(active);
        Some(attached)
    }

    /// Attaches a request to the notifier in slot `index`. Task context, may sleep.
    ///
    /// Fails with `EINVAL` when there's no such slot, and with `ENOMEM`.
    pub(crate) fn attach(
        &mut self,
        index: u16,
        request: Request,
        lock: &mut Locked,
    ) -> Result<Attached> {
        let typed = self.table.typed();
        let slot = self.table.get(index.into()).ok_or(EINVAL)?;

        let mut pages = 0;
        if request.is_accounted(slot.copy_below) {
            pages = request.pages();
            self.ctx.account(pages)?;
        }
        let (attached, count) = match &slot.active {
            Some(active) => active.attach(request.report, pages, lock),
            None => {
                let place = slot.place(index, typed);
                match self.in_flight.fill(place, request.report, pages) {
                    Ok((active, attached)) => {
                        slot.put(active);
                        (attached, 1)
                    }
                    Err(e) => {
                        self.ctx.unaccount(pages);
                        return Err(e);
                    }
                }
            }
        };
        let len = request.known_len().unwrap_or(0);
        trace::attach(self.ctx, index, attached.id(), count, len);
        if slot.is_full(count) {
            // The request that has just attached keeps the notifier.
            let released = slot.flush(lock);
            debug_assert!(released.is_none());
        }
        Ok(attached)
    }

    /// As [`Attached::keep`], and makes room if need be.
    ///
    /// Fails with `ENOMEM`.
    pub(crate) fn pin(&mut self, request: &Attached, buffer: Buffer, lock: &mut Locked) -> Result {
        let room = request.reserve_buffer(self.ctx, lock);
        request.keep(buffer, lock).or_else(|buffer| {
            buffer.put(self.ctx, lock);
            room.and(Err(ENOMEM))
        })
    }

    /// Flushes the slot that holds the notifier of a request, unless it has been flushed.
    #[inline(always)]
    pub(crate) fn flush(&mut self, request: &Attached, lock: &mut Locked) {
        if let Some(slot) = self.table.holding(request, lock) {
            // The request keeps the notifier.
            let released = slot.flush(lock);
            debug_assert!(released.is_none());
        }
    }

    /// A request is over.
    #[inline]
    pub(crate) fn detach(&mut self, request: Attached, to: Where, lock: &mut Locked) {
        if let Some(released) = request.detach(lock) {
            self.in_flight.released(released, to, lock);
        }
    }

    /// Flushes the slots `off` to `off + len`, and sets the tag of their next notifiers unless it is
    /// 0. IORING_RSRC_UPDATE_NOTIF.
    ///
    /// Fails with `EINVAL` without slots, and as [`Table::range`] does.
    pub(crate) fn update(
        &mut self,
        off: u32,
        len: u32,
        tag: u64,
        to: Where,
        lock: &mut Locked,
    ) -> Result {
        if self.table.is_empty() {
            return Err(EINVAL);
        }
        for slot in self.table.range(off, len)? {
            if tag != 0 {
                slot.tag = tag;
            }
            if let Some(released) = slot.flush(lock) {
                self.in_flight.released(released, to, lock);
            }
        }
        Ok(())
    }

    /// A released notifier came by way of task_work.
    #[inline]
    pub(crate) fn ready(&mut self, released: Released, lock: &mut Locked) {
        self.in_flight.arrived(released, lock);
    }

    /// Posts what is ready. Whether the ring is done then.
    #[inline]
    pub(crate) fn post(&mut self, cq: &CqLocked) -> bool {
        let table = &mut self.table;
        let all = self
            .in_flight
            .post(cq, |notification| table.posted(notification));
        all && self.table.is_empty()
    }

    /// Describes the slots and notifiers, a part of the ring's fdinfo.
    pub(crate) fn show(&self, m: &SeqFile, lock: &mut Locked) {
        if !self.table.is_empty() {
            self.table.show(m, lock);
        }
        seq_print!(m, "NotifsInFlight:\t{}\n", self.in_flight.count());
        seq_print!(m, "NotifsIdle:\t{}\n", self.in_flight.idle());
    }
}
