// SPDX-License-Identifier: GPL-2.0

//! All that a ring has of notification slots.
//!
//! A ring has this from the first time that it registers slots until it has unregistered them and
//! the last of its notifiers has completed. All under its `uring_lock`.

use crate::{
    inflight::{
        InFlight,
        Route, //
    },
    notifier::{
        Attached,
        End,
        Share, //
    },
    slot::Table,
    sys::{
        trace,
        Chain,
        Completed,
        CqLocked,
        Ids,
        Locked,
        LockedPages,
        RegisterArg, //
    },
};
use core::mem::replace;
use kernel::{
    bindings,
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
    /// Pages that count against RLIMIT_MEMLOCK, unless it is copied.
    pub(crate) pages: usize,
    /// IORING_SEND_ZC_REPORT_USAGE
    pub(crate) report: bool,
    /// It is the notifier's last one.
    pub(crate) flush: bool,
}

impl Request {
    /// How many pages are accounted: none for what is copied, as it is shorter than `copy_below`.
    #[inline]
    fn accounted(&self, copy_below: u32) -> usize {
        match self.len < copy_below as usize {
            true => 0,
            false => self.pages,
        }
    }

    fn known_len(&self) -> Option<usize> {
        (self.len != usize::MAX).then_some(self.len)
    }
}

/// What attaches a request that is not just another one of its notifier.
pub(crate) enum Way {
    /// [`Ring::attach_only`]
    Only,
    /// [`Ring::attach`]
    Any,
}

/// The slots of a ring and its notifiers.
pub(crate) struct Ring<'ring> {
    table: Table<'ring>,
    in_flight: InFlight<'ring>,
}

impl<'ring> Ring<'ring> {
    /// No slots yet; `ids` are the numbers of its notifiers.
    pub(crate) fn new(ids: Ids<'ring>) -> Self {
        Self {
            table: Table::empty(),
            in_flight: InFlight::new(ids),
        }
    }

    /// IORING_REGISTER_NOTIFIERS
    ///
    /// Fails with `EBUSY` when there are slots, as [`RegisterArg::read`] and [`Table::read`] do,
    /// and with `EINVAL` when a sequence number could be taken for the size of a CQE.
    pub(crate) fn register(
        &mut self,
        arg: UserPtr,
        size: usize,
        lock: &mut Locked<'ring>,
    ) -> Result {
        if !self.table.is_empty() {
            return Err(EBUSY);
        }
        let arg = RegisterArg::read(arg, size)?;
        let mixed = lock.setup_flags() & bindings::IORING_SETUP_CQE_MIXED != 0;
        if mixed && arg.raw_seq() {
            return Err(EINVAL);
        }
        self.table = Table::read(&arg, self.in_flight.last_id())?;
        Ok(())
    }

    /// IORING_UNREGISTER_NOTIFIERS, or the ring is closed: flushes all slots.
    ///
    /// Fails with `ENXIO` when there are none.
    pub(crate) fn unregister(&mut self, lock: &mut Locked<'ring>) -> Result {
        if self.table.is_empty() {
            return Err(ENXIO);
        }
        let mut table = replace(&mut self.table, Table::empty());
        self.in_flight
            .flush(table.all().iter_mut(), Route::Lane, lock);
        Ok(())
    }

    /// Whether there are neither slots nor notifiers in flight.
    pub(crate) fn is_done(&self) -> bool {
        self.table.is_empty() && self.in_flight.is_empty()
    }

    /// Attaches a request, if that is all there is to be done: it is neither the first one of a
    /// notifier nor the last one, has no pages to be accounted, and nobody traces it. Or says how
    /// to.
    #[inline(always)]
    pub(crate) fn attach_another(
        &mut self,
        index: u16,
        request: &Request,
        lock: &mut Locked<'ring>,
    ) -> Result<Attached<'ring>, Way> {
        let Some(slot) = self.table.get(index.into()) else {
            return Err(Way::Any);
        };
        let Some(active) = slot.active.as_ref() else {
            return match request.flush || slot.is_full(1) {
                true => Err(Way::Only),
                false => Err(Way::Any),
            };
        };
        if request.flush
            || request.accounted(slot.terms.copy_below) != 0
            || trace::attach_is_enabled()
            || slot.is_full(active.attached(lock) + 1)
        {
            return Err(Way::Any);
        }
        let share = Share {
            report: request.report,
            pages: LockedPages::none(),
        };
        Ok(active.attach(share, lock))
    }

    /// Attaches a request that is the only one of its notifier, if that is all there is to be done:
    /// it has no pages to be accounted, nobody traces it, and nothing has to be made for it.
    #[inline(always)]
    pub(crate) fn attach_only(
        &mut self,
        index: u16,
        request: &Request,
        lock: &mut Locked<'ring>,
    ) -> Option<Attached<'ring>> {
        let raw_seq = self.table.raw_seq();
        let slot = self.table.get(index.into())?;
        if slot.active.is_some()
            || !(request.flush || slot.is_full(1))
            || request.accounted(slot.terms.copy_below) != 0
            || trace::attach_is_enabled()
        {
            return None;
        }
        let share = Share {
            report: request.report,
            pages: LockedPages::none(),
        };
        let from = slot.origin(index, raw_seq);
        let attached = self.in_flight.attach_only(from, slot.terms, share, lock)?;
        slot.in_flight += 1;
        attached.flush(slot.next_seq(), lock);
        if slot.merges() {
            attached.bear(lock);
        }
        Some(attached)
    }

    /// Attaches a request to the notifier in slot `index`. Task context, may sleep.
    ///
    /// Fails with `EINVAL` when there's no such slot, and with `ENOMEM`.
    #[inline(always)]
    pub(crate) fn attach(
        &mut self,
        index: u16,
        request: &Request,
        lock: &mut Locked<'ring>,
    ) -> Result<Attached<'ring>> {
        let raw_seq = self.table.raw_seq();
        let slot = self.table.get(index.into()).ok_or(EINVAL)?;
        let mut share = Share {
            report: request.report,
            pages: LockedPages::none(),
        };
        let pages = request.accounted(slot.terms.copy_below);
        if pages != 0 {
            share.pages = self.account(pages, lock)?;
        }
        let slot = self.table.get(index.into()).ok_or(EINVAL)?;
        let count = slot.active.as_ref().map_or(0, |a| a.attached(lock)) + 1;
        let last = request.flush || slot.is_full(count);
        let bears = last && slot.merges();
        let attached = match slot.active.take() {
            Some(active) if last => active.attach_last(share, slot.next_seq(), lock),
            Some(active) => {
                let attached = active.attach(share, lock);
                slot.active = Some(active);
                attached
            }
            None => {
                let from = slot.origin(index, raw_seq);
                let first = self.in_flight.attach_first(from, slot.terms, share, lock);
                let attached = first.map_err(|(e, share)| {
                    lock.unaccount(share.pages);
                    e
                })?;
                slot.in_flight += 1;
                if last {
                    attached.flush(slot.next_seq(), lock);
                } else {
                    slot.active = Some(attached.activate(lock));
                }
                attached
            }
        };
        if bears {
            attached.bear(lock);
        }
        if trace::attach_is_enabled() {
            let len = request.known_len().unwrap_or(0);
            trace::attach(lock, index, attached.id(), count, len);
        }
        Ok(attached)
    }

    /// Counts pages against RLIMIT_MEMLOCK. If that is refused, slots that flush themselves do it
    /// now, so that what they lock comes back.
    #[cold]
    fn account(&mut self, pages: usize, lock: &mut Locked<'ring>) -> Result<LockedPages<'ring>> {
        lock.account(pages).inspect_err(|_| {
            let slots = self.table.all().iter_mut();
            let slots = slots.filter(|slot| slot.flushes_itself());
            self.in_flight.flush(slots, Route::Inline, lock);
        })
    }

    /// Detaches a request that is over.
    #[inline]
    pub(crate) fn detach(
        &mut self,
        request: Attached<'ring>,
        route: Route,
        lock: &mut Locked<'ring>,
    ) {
        if let Some(completed) = request.detach(lock) {
            self.in_flight.complete(completed, route, lock);
        }
    }

    /// Detaches a request that is over and bears the notification.
    #[inline]
    pub(crate) fn detach_bearer(
        &mut self,
        request: Attached<'ring>,
        end: End,
        route: Route,
        lock: &mut Locked<'ring>,
    ) {
        if let Some(completed) = request.detach_bearer(end, lock) {
            self.in_flight.complete(completed, route, lock);
        }
    }

    /// Flushes the slots `off` to `off + len`, and sets the tag of their next notifiers unless it
    /// is 0. IORING_RSRC_UPDATE_NOTIF. Returns how many notifiers were flushed.
    ///
    /// Fails with `EINVAL` without slots, and as [`Table::range`] does.
    pub(crate) fn update(
        &mut self,
        off: u32,
        len: u32,
        tag: u64,
        route: Route,
        lock: &mut Locked<'ring>,
    ) -> Result<u32> {
        if self.table.is_empty() {
            return Err(EINVAL);
        }
        let slots = self.table.range(off, len)?;
        if tag != 0 {
            slots.iter_mut().for_each(|slot| slot.tag = tag);
        }
        Ok(self.in_flight.flush(slots.iter_mut(), route, lock))
    }

    /// Takes completed notifiers that came through their lane.
    #[inline]
    pub(crate) fn deliver(&mut self, completed: Chain<Completed<'ring>>, lock: &mut Locked<'ring>) {
        self.in_flight.deliver(completed, lock);
    }

    /// Posts a batch of what has completed. Whether something is to be settled.
    #[inline]
    pub(crate) fn post(&mut self, cq: &mut CqLocked<'_, 'ring>) -> bool {
        let table = &mut self.table;
        self.in_flight
            .post(cq, |notification| table.posted(notification))
    }

    /// Ends what was posted. Whether there's more to post.
    #[inline]
    pub(crate) fn settle(&mut self, lock: &mut Locked<'ring>) -> bool {
        self.in_flight.settle(lock)
    }

    /// Lets nothing in flight wait for a task, as the ring is closed.
    pub(crate) fn divert(&self, lock: &mut Locked<'ring>) {
        self.in_flight.divert(lock);
    }

    /// Describes the slots and notifiers, a part of the ring's fdinfo.
    pub(crate) fn show(&self, m: &SeqFile, lock: &mut Locked<'ring>) {
        if !self.table.is_empty() {
            self.table.show(m, lock);
        }
        seq_print!(m, "NotifsInFlight:\t{}\n", self.in_flight.count());
        seq_print!(m, "NotifsIdle:\t{}\n", self.in_flight.idle());
    }
}
