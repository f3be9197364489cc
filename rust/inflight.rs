// SPDX-License-Identifier: GPL-2.0

//! The notifiers of a ring between their first request and their CQE, and those that wait to be
//! used again.
//!
//! All under the ring's `uring_lock`.

use crate::{
    notifier::{
        Active,
        Attached,
        Followers,
        Idle,
        Notification,
        Place,
        Released, //
    },
    slot::cqe_flags,
    sys::{
        trace,
        CqLocked,
        Ctx,
        Lane,
        Locked,
        Total, //
    },
};
use core::pin::Pin;
use kernel::prelude::*;

/// A ring keeps that many notifiers to use again.
const MAX_IDLE: usize = 1024;

/// A ring has lanes to that many tasks with notifiers in flight. Those of tasks that have exited count,
/// and keep their `task_struct`.
const MAX_LANES: usize = 1024;

/// Where a released notifier goes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Where {
    /// Completions of this context are flushed: its CQE comes with them.
    Here,
    /// To the ring's task_work.
    TaskWork,
}

/// The notifiers of a ring.
pub(crate) struct InFlight {
    ctx: Ctx,
    /// Shared, or ready, or on the way between.
    count: usize,
    /// Identifies the last notifier that was shared.
    last_id: u64,
    /// To be posted with the next CQEs. Has room for all in flight.
    ready: KVVec<Released>,
    /// To be used again. Has room for all in flight, up to [`MAX_IDLE`].
    idle: KVVec<Idle>,
    /// The tasks that attach requests, the last one to attach first. Empty if only the submitter
    /// task completes requests.
    lanes: KVec<Pin<KBox<Lane>>>,
}

impl InFlight {
    pub(crate) fn new(ctx: Ctx) -> Self {
        Self {
            ctx,
            count: 0,
            last_id: 0,
            ready: KVVec::new(),
            idle: KVVec::new(),
            lanes: KVec::new(),
        }
    }

    /// Whether there's none.
    pub(crate) fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// How many there are.
    pub(crate) fn count(&self) -> usize {
        self.count
    }

    /// How many wait to be used again.
    pub(crate) fn idle(&self) -> usize {
        self.idle.len()
    }

    /// Identifies the last notifier that was shared: those that come have larger numbers.
    pub(crate) fn last_id(&self) -> u64 {
        self.last_id
    }

    /// Makes a notifier the one of a slot, which has none, and attaches a request to it.
    ///
    /// Task context, may sleep. Fails with `ENOMEM`.
    pub(crate) fn fill(
        &mut self,
        place: Place,
        report: bool,
        pages: usize,
    ) -> Result<(Active, Attached)> {
        if !self.has_current_lane() {
            self.find_lane()?;
        }
        let idle = match self.idle.pop() {
            Some(idle) => {
                Total::Reused.count();
                idle
            }
            None => self.allocate()?,
        };
        if self.count == 0 {
            self.ctx.get();
        }
        Ok(self.share(idle, place, report, pages))
    }

    /// As [`InFlight::fill`], if that takes no more than one of the notifiers kept for it, beside
    /// others in flight.
    #[inline(always)]
    pub(crate) fn refill(&mut self, place: Place, report: bool) -> Option<(Active, Attached)> {
        if self.count == 0 || !self.has_current_lane() {
            return None;
        }
        let idle = self.idle.pop()?;
        Total::Reused.count();
        Some(self.share(idle, place, report, 0))
    }

    #[inline(always)]
    fn share(
        &mut self,
        idle: Idle,
        place: Place,
        report: bool,
        pages: usize,
    ) -> (Active, Attached) {
        self.count += 1;
        self.last_id += 1;
        let lane = self.lanes.first().map(|lane| lane.as_ref());
        idle.share(self.last_id, place, lane, report, pages)
    }

    /// Makes a notifier, and room for it wherever it may go.
    #[cold]
    fn allocate(&mut self) -> Result<Idle> {
        let all = self.count + 1;
        self.ready
            .reserve(all - self.ready.len(), GFP_KERNEL_ACCOUNT)?;
        let idle = all.min(MAX_IDLE) - self.idle.len();
        self.idle.reserve(idle, GFP_KERNEL_ACCOUNT)?;
        let idle = Idle::new(self.ctx)?;
        Total::Created.count();
        Ok(idle)
    }

    /// Whether the first lane leads to the current task, or there's no need for lanes.
    #[inline(always)]
    fn has_current_lane(&self) -> bool {
        match self.lanes.first() {
            Some(lane) => lane.as_ref().is_current(),
            None => self.ctx.defers_task_work(),
        }
    }

    /// Moves the lane to the current task to the front, and makes it if need be.
    #[cold]
    fn find_lane(&mut self) -> Result {
        let lanes = &mut self.lanes;
        let mut found = lanes.iter().position(|lane| lane.as_ref().is_current());
        if found.is_none() {
            // Tasks come and go: lanes without a notifier go as another one comes.
            lanes.retain(|lane| lane.as_ref().is_used());
            if lanes.len() >= MAX_LANES {
                return Err(ENOMEM);
            }
            lanes.push(Lane::new(self.ctx)?, GFP_KERNEL_ACCOUNT)?;
            found = Some(lanes.len() - 1);
        }
        if let Some(index) = found {
            lanes.swap(0, index);
        }
        Ok(())
    }

    /// Goes on with a notifier that has just been released.
    #[inline(always)]
    pub(crate) fn released(&mut self, mut released: Released, to: Where, lock: &mut Locked) {
        if to == Where::TaskWork {
            released.defer();
            return;
        }
        let followers = released.take_followers();
        Total::CompletedInline.count();
        self.ready(released, lock);
        if let Some(followers) = followers {
            self.released_followers(followers, lock);
        }
    }

    #[cold]
    fn released_followers(&mut self, followers: Followers, lock: &mut Locked) {
        followers.release(|released| {
            Total::CompletedInline.count();
            self.ready(released, lock);
        });
    }

    /// Goes on with a notifier that came by way of task_work.
    #[inline]
    pub(crate) fn arrived(&mut self, released: Released, lock: &mut Locked) {
        Total::CompletedTaskWork.count();
        self.ready(released, lock);
    }

    /// Lets a notifier be posted with the next CQEs.
    #[inline(always)]
    fn ready(&mut self, mut released: Released, lock: &mut Locked) {
        released.let_go(lock);
        released.leave_lane(lock);
        let pushed = self.ready.push_within_capacity(released);
        // There's room for all in flight.
        debug_assert!(pushed.is_ok());
        self.ctx.request_post(lock);
    }

    /// Posts what is ready, and passes it to `posted`. Whether that was all.
    #[inline]
    pub(crate) fn post(&mut self, cq: &CqLocked, mut posted: impl FnMut(&Notification)) -> bool {
        if self.ready.is_empty() {
            return false;
        }
        for released in self.ready.drain_all() {
            let (notification, idle) = released.complete();
            let (user_data, res) = (notification.user_data, notification.res);
            let cflags = cqe_flags(notification.seq, notification.typed);
            self.ctx.fill_cqe(cq, user_data, res, cflags);
            trace::complete(self.ctx, notification.id, user_data, res, cflags);
            posted(&notification);
            self.count -= 1;
            // Beyond what is kept for later the notifier is freed.
            let _ = self.idle.push_within_capacity(idle);
        }
        if self.count == 0 {
            self.ctx.put();
        }
        self.count == 0
    }
}
