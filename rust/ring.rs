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
    /// How many bytes it sends, as far as that is known.
    pub(crate) len: usize,
    /// Its pages count against RLIMIT_MEMLOCK.
    pub(crate) account: bool,
    /// IORING_SEND_ZC_REPORT_USAGE
    pub(crate) report: bool,
}

/// The slots of a ring and its notifiers.
pub(crate) struct Ring {
    ctx: Ctx,
    table: Option<Table>,
    in_flight: InFlight,
}

impl Ring {
    pub(crate) fn new(ctx: Ctx) -> Self {
        Self {
            ctx,
            table: None,
            in_flight: InFlight::new(ctx),
        }
    }

    /// IORING_REGISTER_NOTIFIERS
    ///
    /// Fails with `EBUSY` when there are slots, as [`Registration::read`] and [`Table::read`] do,
    /// and with `EINVAL` when a sequence number could be taken for the size of a CQE.
    pub(crate) fn register(&mut self, arg: UserPtr, size: usize) -> Result {
        if self.table.is_some() {
            return Err(EBUSY);
        }
        let registration = Registration::read(arg, size)?;
        let mixed = self.ctx.setup_flags() & bindings::IORING_SETUP_CQE_MIXED != 0;
        if mixed && !registration.typed() {
            return Err(EINVAL);
        }
        self.table = Some(Table::read(&registration, self.in_flight.last_id())?);
        Ok(())
    }

    /// IORING_UNREGISTER_NOTIFIERS, or the ring is closed: flushes all slots.
    ///
    /// Fails with `ENXIO` when there are none.
    pub(crate) fn unregister(&mut self, lock: &mut Locked) -> Result {
        let mut table = self.table.take().ok_or(ENXIO)?;
        for slot in table.all() {
            if let Some(released) = slot.flush(lock) {
                self.in_flight.released(released, Where::TaskWork, lock);
            }
        }
        Ok(())
    }

    /// Whether there are neither slots nor notifiers in flight.
    pub(crate) fn is_done(&self) -> bool {
        self.table.is_none() && self.in_flight.is_empty()
    }

    /// Attaches a request to the notifier in slot `index`. Task context, may sleep.
    ///
    /// Fails with `EINVAL` when there's no such slot, and with `ENOMEM`.
    #[inline]
    pub(crate) fn attach(
        &mut self,
        index: u16,
        request: Request,
        lock: &mut Locked,
    ) -> Result<Attached> {
        let table = self.table.as_mut().ok_or(EINVAL)?;
        let typed = table.typed();
        let slot = table.get(index.into()).ok_or(EINVAL)?;

        let mut pages = 0;
        if request.account && request.len >= slot.copy_below as usize {
            // At most, wherever the first page begins. As mainline's SEND_ZC counts.
            pages = (request.len >> PAGE_SHIFT) + 2;
            self.ctx.account(pages)?;
        }
        let active = match &slot.active {
            Some(active) => active,
            None => match self.in_flight.fill(slot.place(index, typed)) {
                Ok(active) => slot.put(active),
                Err(e) => {
                    self.ctx.unaccount(pages);
                    return Err(e);
                }
            },
        };
        let (attached, count) = active.attach(request.report, pages, lock);
        trace::attach(self.ctx, index, attached.id(), count, request.len);
        if slot.is_full(count) {
            // The request that has just attached keeps the notifier.
            let released = slot.flush(lock);
            debug_assert!(released.is_none());
        }
        Ok(attached)
    }

    /// Keeps the registered buffer that `take` gives for the notifier of a request, if it does.
    ///
    /// Fails with `ENOMEM`.
    #[inline]
    pub(crate) fn pin(
        &mut self,
        request: &Attached,
        lock: &mut Locked,
        take: impl FnOnce(u64, &mut Locked) -> Option<Buffer>,
    ) -> Result<bool> {
        request.reserve_buffer(self.ctx, lock)?;
        match take(request.id(), lock) {
            Some(buffer) => request.keep(buffer, self.ctx, lock).map(|()| true),
            None => Ok(false),
        }
    }

    /// Flushes the slot that holds the notifier of a request, unless it has been flushed.
    #[inline]
    pub(crate) fn flush(&mut self, request: &Attached, lock: &mut Locked) {
        let Some(table) = &mut self.table else {
            return;
        };
        if let Some(slot) = table.holding(request, lock) {
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
        let table = self.table.as_mut().ok_or(EINVAL)?;
        for slot in table.range(off, len)? {
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
        let all = self.in_flight.post(cq, |notification| {
            if let Some(table) = table {
                table.posted(notification);
            }
        });
        all && self.table.is_none()
    }

    /// Describes the slots and notifiers, a part of the ring's fdinfo.
    pub(crate) fn show(&self, m: &SeqFile, lock: &mut Locked) {
        if let Some(table) = &self.table {
            table.show(m, lock);
        }
        seq_print!(m, "NotifsInFlight:\t{}\n", self.in_flight.count());
        seq_print!(m, "NotifsIdle:\t{}\n", self.in_flight.idle());
    }
}
