// SPDX-License-Identifier: GPL-2.0

//! The way of completed notifiers to their ring.
//!
//! C header: [`io_uring/notif/shim/slot.h`](srctree/io_uring/notif/shim/slot.h)

use super::ctx::{
    Brand,
    Locked, //
};
use core::{
    marker::PhantomData,
    mem::ManuallyDrop,
    ptr::NonNull, //
};
use kernel::{
    bindings,
    current,
    prelude::*,
    sync::Refcount, //
};

/// A reference to a `struct io_notif_lane`, a queue of completed notifiers that task_work empties.
///
/// Each notifier that is to go through the lane has one, so a lane outlives them.
///
/// # Invariants
///
/// The pointer is valid, and the value owns one of the lane's references. The lane is one of the
/// ring that `'ring` stands for.
pub(crate) struct Lane<'ring>(NonNull<bindings::io_notif_lane>, Brand<'ring>);

// SAFETY: The queue is lockless, references are counted atomically, and the reference to the task
// may be dropped by any other.
unsafe impl Send for Lane<'_> {}

impl<'ring> Lane<'ring> {
    /// Makes a lane for requests of the current task, whose `task_struct` it keeps. Task context,
    /// may sleep. Fails with `ENOMEM`.
    pub(crate) fn new(lock: &mut Locked<'ring>) -> Result<Self> {
        // SAFETY: The ring is valid.
        let lane = unsafe { bindings::io_notif_lane_alloc(lock.ctx()) };
        // INVARIANT: A new lane has one reference, which the value takes.
        Ok(Self(NonNull::new(lane).ok_or(ENOMEM)?, PhantomData))
    }

    /// Whether a notifier is to go by the lane: whether this reference isn't the only one.
    pub(crate) fn is_used(&self) -> bool {
        self.refs().read() != 1
    }

    /// Whether the lane leads to the current task, and to the program that it runs, or serves all.
    #[inline]
    pub(crate) fn is_current(&self) -> bool {
        // SAFETY: The lane is valid, and its task and exec_id don't change. The current task is
        // valid.
        unsafe { bindings::io_notif_lane_leads(self.0.as_ptr(), current!().as_ptr()) }
    }

    /// Makes a kworker do what is queued to the lane's task, for a ring that is closed.
    pub(crate) fn divert(&self, _lock: &mut Locked<'ring>) {
        // SAFETY: The lane is valid, and the lock is held.
        unsafe { bindings::io_notif_lane_divert(self.0.as_ptr()) }
    }

    #[inline]
    pub(super) fn as_ptr(&self) -> *mut bindings::io_notif_lane {
        self.0.as_ptr()
    }

    /// Passes the reference to C.
    #[inline]
    pub(super) fn into_raw(self) -> *mut bindings::io_notif_lane {
        ManuallyDrop::new(self).0.as_ptr()
    }

    /// Takes a reference from C.
    ///
    /// # Safety
    ///
    /// `lane` must come from [`Lane::into_raw`], for the same ring, and not be used any more.
    #[inline]
    pub(super) unsafe fn from_raw(lane: NonNull<bindings::io_notif_lane>) -> Self {
        // INVARIANT: The reference that `into_raw()` gave away.
        Self(lane, PhantomData)
    }

    #[inline]
    fn refs(&self) -> &Refcount {
        // SAFETY: The lane is valid.
        unsafe { Refcount::from_raw(&raw mut (*self.0.as_ptr()).refs) }
    }
}

impl Clone for Lane<'_> {
    #[inline]
    fn clone(&self) -> Self {
        self.refs().inc();
        // INVARIANT: Just counted.
        Self(self.0, PhantomData)
    }
}

impl Drop for Lane<'_> {
    #[inline]
    fn drop(&mut self) {
        if self.refs().dec_and_test() {
            // SAFETY: That was the last reference, so no notifier is on the lane or will be.
            unsafe { bindings::io_notif_lane_free(self.0.as_ptr()) }
        }
    }
}
