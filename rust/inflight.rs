// SPDX-License-Identifier: GPL-2.0

//! The notifiers of a ring between their first request and their CQE, and those that wait to be
//! used again.
//!
//! All under the ring's `uring_lock`.

use crate::{
    notifier::{
        Active,
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

/// A lane, and how many notifiers are to go by it.
struct LaneInUse {
    lane: Pin<KBox<Lane>>,
    notifiers: usize,
}

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
    lanes: KVec<LaneInUse>,
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

    /// Makes a notifier the one of a slot, which has none.
    ///
    /// Task context, may sleep. Fails with `ENOMEM`.
    #[inline]
    pub(crate) fn fill(&mut self, place: Place) -> Result<Active> {
        let idle = match self.idle.pop() {
            Some(idle) => {
                Total::Reused.count();
                idle
            }
            None => self.allocate()?,
        };
        if !self.ctx.defers_task_work() {
            self.use_current_lane()?;
        }

        if self.count == 0 {
            self.ctx.get();
        }
        self.count += 1;
        self.last_id += 1;
        let lane = self.lanes.get_mut(0).map(|lane| {
            lane.notifiers += 1;
            lane.lane.as_ref()
        });
        Ok(idle.share(self.last_id, place, lane))
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

    /// Moves the lane to the current task to the front, and makes it if need be.
    #[inline]
    fn use_current_lane(&mut self) -> Result {
        match self.lanes.first() {
            Some(lane) if lane.lane.as_ref().is_current() => Ok(()),
            _ => self.find_lane(),
        }
    }

    #[cold]
    fn find_lane(&mut self) -> Result {
        let lanes = &mut self.lanes;
        let mut found = lanes.iter().position(|l| l.lane.as_ref().is_current());
        if found.is_none() {
            // Tasks come and go: lanes without a notifier go as another one comes.
            lanes.retain(|lane| lane.notifiers != 0);
            if lanes.len() >= MAX_LANES {
                return Err(ENOMEM);
            }
            let lane = LaneInUse {
                lane: Lane::new(self.ctx)?,
                notifiers: 0,
            };
            lanes.push(lane, GFP_KERNEL_ACCOUNT)?;
            found = Some(lanes.len() - 1);
        }
        if let Some(index) = found {
            lanes.swap(0, index);
        }
        Ok(())
    }

    /// Goes on with a notifier that has just been released.
    #[inline]
    pub(crate) fn released(&mut self, released: Released, to: Where, lock: &mut Locked) {
        match to {
            Where::Here => released.each(|released| {
                Total::CompletedInline.count();
                self.ready(released, lock)
            }),
            Where::TaskWork => released.defer(),
        }
    }

    /// Goes on with a notifier that came by way of task_work.
    #[inline]
    pub(crate) fn arrived(&mut self, released: Released, lock: &mut Locked) {
        Total::CompletedTaskWork.count();
        self.ready(released, lock);
    }

    /// Lets a notifier be posted with the next CQEs.
    #[inline]
    fn ready(&mut self, mut released: Released, lock: &mut Locked) {
        released.let_go(lock);
        if let Some(lane) = self
            .lanes
            .iter_mut()
            .find(|l| released.went_by(l.lane.as_ref()))
        {
            lane.notifiers -= 1;
        }
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
