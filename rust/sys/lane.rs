// SPDX-License-Identifier: GPL-2.0

//! The way of released notifiers to the task of a plain ring.
//!
//! C header: [`io_uring/notif/shim/slot.h`](srctree/io_uring/notif/shim/slot.h)

use super::{
    Ctx,
    Owned, //
};
use kernel::{
    bindings,
    current,
    prelude::*,
    types::Opaque, //
};

/// `struct io_notif_lane`: a queue of released notifiers that task_work of one task empties.
///
/// # Invariants
///
/// The lane is initialised, and is dropped only without a notifier in flight on it: `notifiers`
/// counts them, under the ring's `uring_lock`.
#[pin_data(PinnedDrop)]
pub(crate) struct Lane {
    #[pin]
    inner: Opaque<bindings::io_notif_lane>,
}

// SAFETY: The queue is lockless, and the reference to the task may be dropped by any other.
unsafe impl Send for Lane {}

impl Lane {
    /// Makes a lane to the current task, whose `task_struct` it keeps.
    pub(crate) fn new(ctx: Ctx) -> Result<Pin<KBox<Self>>> {
        KBox::pin_init(
            pin_init!(Self {
                // SAFETY: The place is pinned and not moved until it is dropped.
                inner <- Opaque::ffi_init(|lane| unsafe {
                    bindings::io_notif_lane_init(lane, ctx.as_ptr())
                }),
            }),
            GFP_KERNEL_ACCOUNT,
        )
    }

    /// Counts a notifier that is to go by the lane. For who holds the ring's `uring_lock`, as all do
    /// who have its lanes.
    #[inline]
    pub(crate) fn enter(self: Pin<&Self>) -> *mut bindings::io_notif_lane {
        let lane = self.as_ptr();
        // SAFETY: The lane is initialised, and the lock is held.
        unsafe { (*lane).notifiers += 1 };
        lane
    }

    /// Whether notifiers are to go by the lane.
    pub(crate) fn is_used(self: Pin<&Self>) -> bool {
        // SAFETY: As in `enter()`.
        unsafe { (*self.as_ptr()).notifiers != 0 }
    }

    /// What `io_notif_queue()` takes.
    #[inline]
    fn as_ptr(self: Pin<&Self>) -> *mut bindings::io_notif_lane {
        self.get_ref().inner.get()
    }

    /// Whether the lane leads to the current task, and to the program that it runs.
    #[inline]
    pub(crate) fn is_current(self: Pin<&Self>) -> bool {
        // SAFETY: The lane is initialised, and its task and exec_id don't change. The current task
        // is valid.
        unsafe { bindings::io_notif_lane_leads(self.as_ptr(), current!().as_ptr()) }
    }
}

#[pinned_drop]
impl PinnedDrop for Lane {
    fn drop(self: Pin<&mut Self>) {
        // SAFETY: The lane is initialised. By the type invariants it is neither queued nor run.
        unsafe { bindings::io_notif_lane_exit(self.inner.get()) }
    }
}

/// Takes all notifiers off a lane, in the order in which they were released.
///
/// # Safety
///
/// `lane` must be valid, and the caller must be what runs it.
pub(crate) unsafe fn drain(lane: *mut bindings::io_notif_lane, mut f: impl FnMut(Owned)) {
    // SAFETY: The lane is valid.
    let mut node = unsafe {
        let all = bindings::llist_del_all(&raw mut (*lane).done);
        bindings::llist_reverse_order(all)
    };
    while !node.is_null() {
        // SAFETY: The list is ours now, and on it are io_kiocbs of notifiers. The node is part of
        // what is passed on, and not used after that.
        let owned = unsafe {
            let kiocb = bindings::io_notif_node_kiocb(node);
            node = (*node).next;
            Owned::from_kiocb(kiocb)
        };
        f(owned);
    }
}
