// SPDX-License-Identifier: GPL-2.0

//! The ring.
//!
//! C header: [`include/linux/io_uring_types.h`](srctree/include/linux/io_uring_types.h)

use core::{
    marker::PhantomData,
    ptr::NonNull, //
};
use kernel::{
    bindings,
    error::to_result,
    prelude::*, //
};

/// An io_uring instance, `struct io_ring_ctx`.
///
/// # Invariants
///
/// The pointer is valid for as long as the value is used: the value is part of what the ring itself
/// owns (`ctx->notif`), or of a notifier in flight, which keeps the ring, or lives no longer than a
/// call that io_uring makes for the ring. Values made by [`Ctx::dangling`] are never dereferenced.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ctx(NonNull<bindings::io_ring_ctx>);

/// Proof that the `uring_lock` of a ring is held.
///
/// There is no way to have two of them for one ring at a time, so what a `&mut Locked` gives access
/// to is not aliased.
pub(crate) struct Locked {
    ctx: Ctx,
    _not_send: PhantomData<*mut ()>,
}

impl Locked {
    /// Bears witness that the caller holds `ctx`'s `uring_lock`.
    ///
    /// # Safety
    ///
    /// The caller must hold the lock for as long as the value exists, and there must be no other
    /// value for the same ring.
    #[inline]
    pub(crate) unsafe fn assume(ctx: Ctx) -> Self {
        Self {
            ctx,
            _not_send: PhantomData,
        }
    }

    /// The ring whose lock is held.
    #[inline]
    pub(crate) fn ctx(&self) -> Ctx {
        self.ctx
    }

    /// The token of a ring that doesn't exist, which only the calling test knows of.
    #[cfg(CONFIG_IO_URING_NOTIF_KUNIT_TEST)]
    pub(crate) fn for_test() -> Self {
        Self {
            ctx: Ctx::dangling(),
            _not_send: PhantomData,
        }
    }
}

impl Ctx {
    /// Takes the ring that io_uring passes.
    ///
    /// # Safety
    ///
    /// `ptr` must be valid for as long as the value, or a copy of it, is used.
    #[inline]
    pub(crate) unsafe fn from_raw(ptr: *mut bindings::io_ring_ctx) -> Self {
        // SAFETY: A valid pointer isn't NULL.
        // INVARIANT: By the safety requirements of this function.
        Self(unsafe { NonNull::new_unchecked(ptr) })
    }

    /// A ring for tests of what only stores it.
    #[cfg(CONFIG_IO_URING_NOTIF_KUNIT_TEST)]
    pub(crate) fn dangling() -> Self {
        Self(NonNull::dangling())
    }

    #[inline]
    pub(crate) fn as_ptr(self) -> *mut bindings::io_ring_ctx {
        self.0.as_ptr()
    }

    /// The `IORING_SETUP_*` flags of the ring.
    #[inline]
    pub(crate) fn setup_flags(self) -> u32 {
        // SAFETY: The pointer is valid by the type invariants; the flags that are looked at here
        // never change.
        unsafe { bindings::io_notif_ctx_flags(self.as_ptr()) }
    }

    /// Whether only the submitter task completes requests, when it enters the kernel for it.
    #[inline]
    pub(crate) fn defers_task_work(self) -> bool {
        self.setup_flags() & bindings::IORING_SETUP_DEFER_TASKRUN != 0
    }

    /// Keeps the ring from going away, until [`Ctx::put`].
    #[inline]
    pub(crate) fn get(self) {
        // SAFETY: The pointer is valid by the type invariants.
        unsafe { bindings::io_notif_ctx_get(self.as_ptr()) }
    }

    /// Takes a [`Ctx::get`] back.
    #[inline]
    pub(crate) fn put(self) {
        // SAFETY: The pointer is valid by the type invariants. The ring may go away now, but not
        // before io_uring, which called this module for it, has dropped a reference of its own.
        unsafe { bindings::io_notif_ctx_put(self.as_ptr()) }
    }

    /// Counts `pages` against the RLIMIT_MEMLOCK of the ring's owner, or fails with `ENOMEM`.
    pub(crate) fn account(self, pages: usize) -> Result {
        // SAFETY: The pointer is valid by the type invariants.
        to_result(unsafe { bindings::io_notif_account(self.as_ptr(), pages) })
    }

    /// Takes an [`Ctx::account`] back.
    pub(crate) fn unaccount(self, pages: usize) {
        // SAFETY: The pointer is valid by the type invariants.
        unsafe { bindings::io_notif_unaccount(self.as_ptr(), pages) }
    }

    /// Asks for a call of `io_notif_ops::post` when completions are flushed, at the end of what the
    /// ring's `uring_lock` is held for.
    #[inline]
    pub(crate) fn request_post(self, _lock: &Locked) {
        // SAFETY: The pointer is valid by the type invariants, and the field is protected by the
        // lock.
        unsafe { bindings::io_notif_ctx_flush(self.as_ptr()) }
    }

    /// Posts a CQE. It overflows when the CQ is full.
    #[inline]
    pub(crate) fn fill_cqe(self, _cq: &CqLocked, user_data: u64, res: i32, cflags: u32) {
        // SAFETY: The pointer is valid by the type invariants, and the CQ is locked.
        unsafe { bindings::io_notif_fill_cqe(self.as_ptr(), user_data, res, cflags) }
    }
}

/// Proof that a ring's CQ may be written.
pub(crate) struct CqLocked(());

impl CqLocked {
    /// Bears witness that the caller may post CQEs.
    ///
    /// # Safety
    ///
    /// The caller must have been called as `io_notif_ops::post`.
    #[inline]
    pub(crate) unsafe fn assume() -> Self {
        Self(())
    }
}
