// SPDX-License-Identifier: GPL-2.0

//! The notifiers of a ring between their first request and their CQE, and those that wait to be
//! used again.
//!
//! All under the ring's `uring_lock`.

use crate::{
    notifier::{
        Attached,
        Notification,
        Origin,
        Share, //
    },
    slot::Slot,
    sys::{
        cond_resched,
        trace,
        Chain,
        Completed,
        CqLocked,
        Idle,
        Ids,
        Lane,
        Locked,
        RingRef,
        Terms,
        Total, //
    },
};
use kernel::{
    bindings,
    prelude::*, //
};

/// How many idle notifiers a ring keeps.
const MAX_IDLE: usize = 1024;

/// How many lanes a ring has to tasks with notifiers in flight. Lanes of tasks that have exited
/// count too, and keep the `task_struct`.
const MAX_LANES: usize = 1024;

/// How many slots are flushed before others get a chance to run.
const BATCH: usize = 256;

/// How a notifier that the ring itself has completed gets to be posted.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Route {
    /// With the completions of this context, which flushes them.
    Inline,
    /// Through its lane.
    Lane,
}

/// The notifiers of a ring.
pub(crate) struct InFlight<'ring> {
    ids: Ids<'ring>,
    /// How many are in use: attached to, on their way, completed or posted.
    count: usize,
    /// Keeps the ring while any are in use.
    ring: Option<RingRef>,
    /// To be posted with the next CQEs.
    completed: Chain<Completed<'ring>>,
    /// To be settled.
    posted: Chain<Completed<'ring>>,
    /// To be used again, up to [`MAX_IDLE`].
    idle: Chain<Idle<'ring>>,
    nr_idle: usize,
    /// Lanes to the tasks that attach requests, that of the last one to attach first. One lane if
    /// only the submitter task completes requests.
    lanes: KVec<Lane<'ring>>,
}

impl<'ring> InFlight<'ring> {
    /// No notifiers; `ids` are the numbers of those to come.
    pub(crate) fn new(ids: Ids<'ring>) -> Self {
        Self {
            ids,
            count: 0,
            ring: None,
            completed: Chain::new(),
            posted: Chain::new(),
            idle: Chain::new(),
            nr_idle: 0,
            lanes: KVec::new(),
        }
    }

    /// Whether there's none.
    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// How many there are.
    pub(crate) fn count(&self) -> usize {
        self.count
    }

    /// How many wait to be used again.
    pub(crate) fn idle(&self) -> usize {
        self.nr_idle
    }

    /// The number of the last notifier that was used: those that come have larger ones.
    pub(crate) fn last_id(&self) -> u64 {
        self.ids.last()
    }

    /// Begins to use a notifier, with its first request attached.
    ///
    /// Task context, may sleep. Fails with `ENOMEM`, and gives back what the request brought along.
    #[inline]
    pub(crate) fn attach_first(
        &mut self,
        from: Origin,
        terms: Terms,
        share: Share<'ring>,
        lock: &mut Locked<'ring>,
    ) -> Result<Attached<'ring>, (Error, Share<'ring>)> {
        if !self.lanes.first().is_some_and(Lane::is_current) {
            if let Err(e) = self.find_lane(lock) {
                return Err((e, share));
            }
        }
        let Some(lane) = self.lanes.first() else {
            return Err((ENOMEM, share));
        };
        let idle = match Self::reuse(&mut self.idle, &mut self.nr_idle) {
            Some(idle) => idle,
            None => match Self::allocate(lock) {
                Ok(idle) => idle,
                Err(e) => return Err((e, share)),
            },
        };
        if self.count == 0 {
            self.ring = Some(RingRef::new(lock));
        }
        self.count += 1;
        Ok(idle.attach(self.ids.next(), lane, from, terms, share))
    }

    /// [`InFlight::attach_first`], if there's all that it takes: the lane to the current task, and
    /// a notifier to use again.
    #[inline(always)]
    pub(crate) fn attach_only(
        &mut self,
        from: Origin,
        terms: Terms,
        share: Share<'ring>,
        lock: &mut Locked<'ring>,
    ) -> Option<Attached<'ring>> {
        let lane = self.lanes.first().filter(|lane| lane.is_current())?;
        let idle = Self::reuse(&mut self.idle, &mut self.nr_idle)?;
        if self.count == 0 {
            self.ring = Some(RingRef::new(lock));
        }
        self.count += 1;
        Some(idle.attach(self.ids.next(), lane, from, terms, share))
    }

    #[inline]
    fn reuse(list: &mut Chain<Idle<'ring>>, nr: &mut usize) -> Option<Idle<'ring>> {
        let idle = list.pop_front()?;
        *nr -= 1;
        Total::Reused.count();
        Some(idle)
    }

    #[cold]
    fn allocate(lock: &mut Locked<'ring>) -> Result<Idle<'ring>> {
        let idle = Idle::new(lock)?;
        Total::Created.count();
        Ok(idle)
    }

    /// Moves the lane to the current task to the front, and makes it if need be.
    #[cold]
    fn find_lane(&mut self, lock: &mut Locked<'ring>) -> Result {
        let lanes = &mut self.lanes;
        let index = match lanes.iter().position(Lane::is_current) {
            Some(index) => index,
            None => {
                // Tasks come and go: lanes without a notifier in flight go as another one comes.
                // Idle notifiers keep the lane that they went by last.
                self.idle = Chain::new();
                self.nr_idle = 0;
                lanes.retain(|lane| lane.is_used());
                if lanes.len() >= MAX_LANES {
                    return Err(ENOMEM);
                }
                lanes.push(Lane::new(lock)?, GFP_KERNEL_ACCOUNT)?;
                lanes.len() - 1
            }
        };
        lanes.swap(0, index);
        Ok(())
    }

    /// Flushes slots. Returns how many notifiers that were. Task context, may sleep.
    pub(crate) fn flush<'a>(
        &mut self,
        slots: impl Iterator<Item = &'a mut Slot<'ring>>,
        route: Route,
        lock: &mut Locked<'ring>,
    ) -> u32
    where
        'ring: 'a,
    {
        let mut flushed = 0;
        for (nr, slot) in slots.enumerate() {
            if nr % BATCH == BATCH - 1 {
                cond_resched();
            }
            let (had_one, completed) = slot.flush(lock);
            flushed += u32::from(had_one);
            if let Some(completed) = completed {
                self.complete(completed, route, lock);
            }
        }
        flushed
    }

    /// Takes a notifier that the ring itself has completed, not the network.
    #[inline(always)]
    pub(crate) fn complete(
        &mut self,
        completed: Completed<'ring>,
        route: Route,
        lock: &mut Locked<'ring>,
    ) {
        if route == Route::Lane {
            completed.queue();
            return;
        }
        Total::CompletedInline.count();
        self.completed.push_back(completed);
        lock.request_post();
    }

    /// Takes completed notifiers that came through their lane.
    #[inline]
    pub(crate) fn deliver(&mut self, completed: Chain<Completed<'ring>>, lock: &mut Locked<'ring>) {
        self.completed.append(completed);
        lock.request_post();
    }

    /// Posts a batch of those that have completed, and passes each to `posting` before. Whether
    /// there are any to be settled.
    #[inline]
    pub(crate) fn post(
        &mut self,
        cq: &mut CqLocked<'_, 'ring>,
        mut posting: impl FnMut(&Notification),
    ) -> bool {
        for _ in 0..bindings::IO_NOTIF_BATCH {
            let Some(mut completed) = self.completed.pop_front() else {
                break;
            };
            completed.unaccount(cq.lock());
            let n = completed.notification();
            trace::complete(cq.lock(), n.id, n.user_data, n.res, n.flags);
            posting(&n);
            if !n.mute {
                cq.fill(n.user_data, n.res, n.flags);
            }
            self.posted.push_back(completed);
        }
        !self.posted.is_empty()
    }

    /// Ends what was posted. Whether there's more to post.
    ///
    /// Only after the CQEs of the requests, as that of the tag of a buffer may follow from this;
    /// and without the lock of the CQ, as it may sleep.
    #[inline]
    pub(crate) fn settle(&mut self, lock: &mut Locked<'ring>) -> bool {
        while let Some(completed) = self.posted.pop_front() {
            let idle = completed.settle(lock);
            self.count -= 1;
            if self.nr_idle < MAX_IDLE {
                self.nr_idle += 1;
                self.idle.push_front(idle);
            }
        }
        if self.count == 0 {
            self.ring = None;
        }
        !self.completed.is_empty()
    }

    /// The ring is closed: no lane waits for its task.
    pub(crate) fn divert(&self, lock: &mut Locked<'ring>) {
        for lane in &self.lanes {
            lane.divert(lock);
        }
    }
}
