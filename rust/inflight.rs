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

/// How many notifiers a ring has had, and has.
struct Numbers {
    /// Shared, or ready, or on the way between.
    in_flight: usize,
    /// Identifies the last notifier that was shared.
    last_id: u64,
}

impl Numbers {
    /// Counts another notifier, and identifies it.
    #[inline(always)]
    fn next(&mut self) -> u64 {
        self.in_flight += 1;
        self.last_id += 1;
        self.last_id
    }
}

/// The notifiers of a ring.
pub(crate) struct InFlight {
    ctx: Ctx,
    numbers: Numbers,
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
            numbers: Numbers {
                in_flight: 0,
                last_id: 0,
            },
            ready: KVVec::new(),
            idle: KVVec::new(),
            lanes: KVec::new(),
        }
    }

    /// Whether there's none.
    pub(crate) fn is_empty(&self) -> bool {
        self.numbers.in_flight == 0
    }

    /// How many there are.
    pub(crate) fn count(&self) -> usize {
        self.numbers.in_flight
    }

    /// How many wait to be used again.
    pub(crate) fn idle(&self) -> usize {
        self.idle.len()
    }

    /// Identifies the last notifier that was shared: those that come have larger numbers.
    pub(crate) fn last_id(&self) -> u64 {
        self.numbers.last_id
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
        if current_lane(&self.lanes, self.ctx).is_none() {
            self.find_lane()?;
        }
        let idle = match self.idle.pop() {
            Some(idle) => {
                Total::Reused.count();
                idle
            }
            None => self.allocate()?,
        };
        if self.is_empty() {
            self.ctx.get();
        }
        let lane = self.lanes.first().map(|lane| lane.as_ref());
        Ok(idle.share(self.numbers.next(), place, lane, report, pages))
    }

    /// As [`InFlight::fill`], if that takes no more than one of the notifiers kept for it, beside
    /// others in flight.
    #[inline(always)]
    pub(crate) fn refill(&mut self, place: Place, report: bool) -> Option<(Active, Attached)> {
        if self.is_empty() {
            return None;
        }
        let lane = current_lane(&self.lanes, self.ctx)?;
        let idle = self.idle.pop()?;
        Total::Reused.count();
        Some(idle.share(self.numbers.next(), place, lane, report, 0))
    }

    /// Makes a notifier, and room for it wherever it may go.
    #[cold]
    fn allocate(&mut self) -> Result<Idle> {
        let all = self.count() + 1;
        self.ready
            .reserve(all - self.ready.len(), GFP_KERNEL_ACCOUNT)?;
        let idle = all.min(MAX_IDLE) - self.idle.len();
        self.idle.reserve(idle, GFP_KERNEL_ACCOUNT)?;
        let idle = Idle::new(self.ctx)?;
        Total::Created.count();
        Ok(idle)
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

    /// Posts what is ready, and passes it to `posting` before. Whether that was all.
    #[inline]
    pub(crate) fn post(&mut self, cq: &CqLocked, mut posting: impl FnMut(&Notification)) -> bool {
        if self.ready.is_empty() {
            return false;
        }
        for released in self.ready.drain_all() {
            let (notification, idle) = released.complete();
            let (user_data, res) = (notification.user_data, notification.res);
            let cflags = cqe_flags(notification.seq, notification.typed);
            trace::complete(self.ctx, notification.id, user_data, res, cflags);
            posting(&notification);
            self.numbers.in_flight -= 1;
            self.ctx.fill_cqe(cq, user_data, res, cflags);
            // Beyond what is kept for later the notifier is freed.
            let _ = self.idle.push_within_capacity(idle);
        }
        if self.is_empty() {
            self.ctx.put();
        }
        self.is_empty()
    }
}

/// The first lane, if that leads to the current task; `Some(None)` if there's no need for lanes.
#[inline(always)]
fn current_lane(lanes: &[Pin<KBox<Lane>>], ctx: Ctx) -> Option<Option<Pin<&Lane>>> {
    match lanes.first() {
        Some(lane) => lane.as_ref().is_current().then_some(Some(lane.as_ref())),
        None => ctx.defers_task_work().then_some(None),
    }
}
