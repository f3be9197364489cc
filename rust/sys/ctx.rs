// SPDX-License-Identifier: GPL-2.0

//! The ring, its lock and its CQ.
//!
//! C header: [`include/linux/io_uring_types.h`](srctree/include/linux/io_uring_types.h)

use core::{
    marker::PhantomData,
    ops::AddAssign,
    ptr::NonNull, //
};
use kernel::{
    bindings,
    error::to_result,
    prelude::*, //
};

/// Binds a value to one ring.
///
/// Each call of io_uring's into the module has a lifetime `'ring` of its own, which all that
/// belongs to the ring is bound to. No lifetime is a part of another: what belongs to one ring
/// can't be used with the lock of another one. The compiler refuses this:
///
/// ```compile_fail
/// fn flush<'a, 'b>(slot: &mut Slot<'a>, other: &mut Locked<'b>) {
///     slot.flush(other);
/// }
/// ```
pub(super) type Brand<'ring> = PhantomData<fn(&'ring ()) -> &'ring ()>;

/// Proof that the `uring_lock` of a ring is held.
///
/// There is one for a ring at a time, so what a `&mut Locked` gives access to is not aliased.
/// Nobody can keep it, or give it to another task:
///
/// ```compile_fail
/// fn keep<'ring>(lock: Locked<'ring>) -> impl Send {
///     lock
/// }
/// ```
///
/// # Invariants
///
/// The pointer is valid, the lock is held, and `'ring` stands for this ring, as long as the value
/// exists.
pub(crate) struct Locked<'ring> {
    ctx: NonNull<bindings::io_ring_ctx>,
    _brand: Brand<'ring>,
    _not_send: PhantomData<*mut ()>,
}

impl<'ring> Locked<'ring> {
    /// Bears witness that the caller holds `ctx`'s `uring_lock`.
    ///
    /// # Safety
    ///
    /// `ctx` must be valid, the caller must hold its lock for as long as the value exists, and
    /// there must be no other value for the ring. Only what belongs to this ring may be bound to
    /// `'ring`.
    #[inline]
    pub(crate) unsafe fn assume(ctx: *mut bindings::io_ring_ctx) -> Self {
        Self {
            // SAFETY: A valid pointer isn't NULL.
            // INVARIANT: By the safety requirements of this function.
            ctx: unsafe { NonNull::new_unchecked(ctx) },
            _brand: PhantomData,
            _not_send: PhantomData,
        }
    }

    /// The ring, for C.
    #[inline]
    pub(crate) fn ctx(&self) -> *mut bindings::io_ring_ctx {
        self.ctx.as_ptr()
    }

    /// The `IORING_SETUP_*` flags of the ring.
    #[inline]
    pub(crate) fn setup_flags(&self) -> u32 {
        // SAFETY: The pointer is valid by the type invariants; the flags that are looked at here
        // never change.
        unsafe { bindings::io_notif_ctx_flags(self.ctx()) }
    }

    /// Counts `pages` against the RLIMIT_MEMLOCK of the ring's owner, or fails with `ENOMEM`.
    pub(crate) fn account(&mut self, pages: usize) -> Result<LockedPages<'ring>> {
        // SAFETY: The pointer is valid by the type invariants.
        to_result(unsafe { bindings::io_notif_account(self.ctx(), pages) })?;
        // INVARIANT: Just counted.
        Ok(LockedPages {
            pages,
            _brand: PhantomData,
        })
    }

    /// Takes pages off the limit that they count against.
    pub(crate) fn unaccount(&mut self, pages: LockedPages<'ring>) {
        // SAFETY: The pointer is valid by the type invariants; so many pages have been counted for
        // the ring, and are no longer: `pages` is gone.
        unsafe { bindings::io_notif_unaccount(self.ctx(), pages.pages) }
    }

    /// Asks for a call of `io_notif_ops::post` when completions are flushed, at the end of what the
    /// lock is held for.
    #[inline]
    pub(crate) fn request_post(&mut self) {
        // SAFETY: The pointer is valid by the type invariants, and the field is protected by the
        // lock.
        unsafe { bindings::io_notif_request_post(self.ctx()) }
    }
}

/// Pages that count against the RLIMIT_MEMLOCK of a ring's owner, until [`Locked::unaccount`].
///
/// # Invariants
///
/// So many pages are counted for the ring, and for no other value.
#[must_use = "the pages count for ever otherwise"]
pub(crate) struct LockedPages<'ring> {
    pages: usize,
    _brand: Brand<'ring>,
}

impl LockedPages<'_> {
    /// No pages.
    #[inline]
    pub(crate) fn none() -> Self {
        Self {
            pages: 0,
            _brand: PhantomData,
        }
    }

    /// Whether there are none.
    #[inline]
    pub(crate) fn is_none(&self) -> bool {
        self.pages == 0
    }
}

impl<'ring> AddAssign for LockedPages<'ring> {
    #[inline]
    fn add_assign(&mut self, other: LockedPages<'ring>) {
        // INVARIANT: The pages of `other`, which is gone, are this value's now.
        self.pages += other.pages;
    }
}

/// Keeps a ring from going away.
///
/// # Invariants
///
/// The value owns a reference to the ring, in `ctx->refs`.
pub(crate) struct RingRef(NonNull<bindings::io_ring_ctx>);

impl RingRef {
    /// Takes a reference.
    #[inline]
    pub(crate) fn new(lock: &Locked<'_>) -> Self {
        // SAFETY: The pointer is valid by the invariants of `Locked`.
        unsafe { bindings::io_notif_ctx_get(lock.ctx()) };
        // INVARIANT: Just taken.
        Self(lock.ctx)
    }
}

impl Drop for RingRef {
    fn drop(&mut self) {
        // SAFETY: By the type invariants there's a reference, which is not used any more.
        unsafe { bindings::io_notif_ctx_put(self.0.as_ptr()) }
    }
}

/// Proof that the holder of a ring's lock may write to its CQ.
pub(crate) struct CqLocked<'a, 'ring>(&'a mut Locked<'ring>);

impl<'a, 'ring> CqLocked<'a, 'ring> {
    /// Bears witness that the caller may post CQEs.
    ///
    /// # Safety
    ///
    /// The caller must have been called as `io_notif_ops::post` for the ring of `lock`.
    #[inline]
    pub(crate) unsafe fn assume(lock: &'a mut Locked<'ring>) -> Self {
        Self(lock)
    }

    /// The ring's lock.
    #[inline]
    pub(crate) fn lock(&mut self) -> &mut Locked<'ring> {
        self.0
    }

    /// Posts a CQE. It overflows when the CQ is full.
    #[inline]
    pub(crate) fn fill(&mut self, user_data: u64, res: i32, cflags: u32) {
        // SAFETY: The pointer is valid by the invariants of `Locked`, and the CQ is locked.
        unsafe { bindings::io_notif_fill_cqe(self.0.ctx(), user_data, res, cflags) }
    }
}

/// Numbers for the notifiers of a ring: each a larger one.
///
/// # Invariants
///
/// There is one value for a ring at a time, and no number twice while there's a notifier that has
/// it or a buffer that knows of it.
pub(crate) struct Ids<'ring> {
    last: u64,
    _brand: Brand<'ring>,
}

/// The number of a notifier, which no other of the ring has.
pub(crate) struct Id<'ring>(pub(super) u64, Brand<'ring>);

impl<'ring> Ids<'ring> {
    /// Numbers from 1 on.
    ///
    /// # Safety
    ///
    /// The ring must have no other value of this type, nor a notifier.
    pub(crate) unsafe fn new() -> Self {
        // INVARIANT: By the safety requirements of this function. The buffers of notifiers that
        // were before know of none, see `Buffer::put`.
        Self {
            last: 0,
            _brand: PhantomData,
        }
    }

    /// The next number.
    #[inline]
    pub(crate) fn next(&mut self) -> Id<'ring> {
        self.last += 1;
        Id(self.last, PhantomData)
    }

    /// The last number that was given.
    pub(crate) fn last(&self) -> u64 {
        self.last
    }
}
