// SPDX-License-Identifier: GPL-2.0

//! Pages that count against RLIMIT_MEMLOCK while a kernel-owned buffer holds them.
//!
//! Other than [`LockedPages`](super::LockedPages) they are not bound to a ring and its lock: a
//! buffer that was cloned goes with the last ring that has it.
//!
//! C header: [`io_uring/notif/shim/kbuf.h`](srctree/io_uring/notif/shim/kbuf.h)

use super::Locked;
use core::mem::ManuallyDrop;
use kernel::{
    bindings,
    error::to_result,
    prelude::*,
    sync::{
        atomic::{
            Atomic,
            Relaxed, //
        },
        Arc, //
    },
};

/// Whom the pages of a ring count against.
///
/// # Invariants
///
/// NULL, or a user that the value owns a reference to.
struct Owner(*mut bindings::user_struct);

// SAFETY: The references of a user are counted atomically, and so are its pages.
unsafe impl Send for Owner {}

// SAFETY: As above.
unsafe impl Sync for Owner {}

impl Owner {
    fn of(lock: &Locked<'_>) -> Self {
        // SAFETY: The ring is valid by the invariants of `Locked`.
        // INVARIANT: It gives us a reference.
        Self(unsafe { bindings::io_kbuf_owner_get(lock.ctx()) })
    }
}

impl Drop for Owner {
    fn drop(&mut self) {
        // SAFETY: By the type invariants there's a reference, which is not used any more.
        unsafe { bindings::io_kbuf_owner_put(self.0) }
    }
}

/// Counts the kernel-owned buffers that a ring has made, wherever they are. Kept by the ring, and
/// by each of them.
pub(crate) struct Quota {
    owner: Owner,
    buffers: Atomic<usize>,
    pages: Atomic<usize>,
}

impl Quota {
    /// Fails with `ENOMEM`.
    pub(crate) fn new(lock: &Locked<'_>) -> Result<Arc<Self>> {
        let quota = Self {
            owner: Owner::of(lock),
            buffers: Atomic::new(0),
            pages: Atomic::new(0),
        };
        Ok(Arc::new(quota, GFP_KERNEL_ACCOUNT)?)
    }

    /// How many buffers there are.
    pub(crate) fn buffers(&self) -> usize {
        self.buffers.load(Relaxed)
    }

    /// How many pages count.
    pub(crate) fn pages(&self) -> usize {
        self.pages.load(Relaxed)
    }
}

/// Gives a reference up. Whether it was the last one.
pub(crate) fn put_quota(quota: Arc<Quota>) -> bool {
    Arc::into_unique_or_drop(quota).is_some()
}

/// Pages that count against the RLIMIT_MEMLOCK of a quota's owner, until the value goes.
///
/// # Invariants
///
/// So many pages are counted for the owner, and for no other value.
pub(crate) struct Charge {
    quota: Arc<Quota>,
    pages: u32,
}

impl Charge {
    /// None.
    #[inline]
    pub(crate) fn none(quota: Arc<Quota>) -> Self {
        // INVARIANT: None are counted.
        Self { quota, pages: 0 }
    }

    #[inline]
    fn is_none(&self) -> bool {
        self.pages == 0
    }

    /// Counts more pages. Fails with `ENOMEM` when that is beyond the limit.
    #[inline]
    pub(crate) fn add(&mut self, pages: u32) -> Result {
        let sum = self.pages.checked_add(pages).ok_or(ENOMEM)?;
        // SAFETY: The user is NULL or valid by the invariants of `Owner`.
        to_result(unsafe { bindings::io_kbuf_charge(self.quota.owner.0, pages as usize) })?;
        self.quota.pages.fetch_add(pages as usize, Relaxed);
        // INVARIANT: Just counted.
        self.pages = sum;
        Ok(())
    }

    /// The buffer that holds them is full, or there is no more. `None`: it holds nothing.
    pub(crate) fn seal(self) -> Option<Sealed> {
        if self.is_none() {
            return None;
        }
        self.quota.buffers.fetch_add(1, Relaxed);
        // INVARIANT: Just counted.
        Some(Sealed(self))
    }

    /// Counts fewer: `pages`, or all there are.
    pub(crate) fn sub(&mut self, pages: u32) {
        let pages = pages.min(self.pages);
        self.quota
            .pages
            .fetch_add((pages as usize).wrapping_neg(), Relaxed);
        // SAFETY: The user is NULL or valid by the invariants of `Owner`; so many pages are
        // counted, and aren't any more.
        unsafe { bindings::io_kbuf_uncharge(self.quota.owner.0, pages as usize) };
        // INVARIANT: Just taken off.
        self.pages -= pages;
    }

    fn uncharge(&mut self) {
        self.sub(self.pages);
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        self.uncharge();
    }
}

/// What a buffer holds that isn't filled any more.
///
/// # Invariants
///
/// The quota counts the buffer, as long as the value exists or C has the buffer.
pub(crate) struct Sealed(Charge);

impl Sealed {
    /// Gives the value away as C keeps it: the quota with a reference, and how many pages.
    pub(crate) fn into_raw(self) -> (*const Quota, u32) {
        let this = ManuallyDrop::new(self);
        // SAFETY: The field is read once, as `this` isn't dropped.
        let quota = unsafe { core::ptr::read(&this.0.quota) };
        (Arc::into_raw(quota), this.0.pages)
    }

    /// Takes a value back.
    ///
    /// # Safety
    ///
    /// [`Sealed::into_raw`] must have given it, and nobody must have taken it since.
    pub(crate) unsafe fn from_raw(quota: *const Quota, pages: u32) -> Self {
        // SAFETY: By the safety requirements of this function.
        let quota = unsafe { Arc::from_raw(quota) };
        // INVARIANT: These are the pages and the buffer that were counted for the value.
        Self(Charge { quota, pages })
    }

    /// The buffer is gone. Whether the quota is, too: its ring and all its buffers.
    pub(crate) fn release(self) -> bool {
        let mut this = ManuallyDrop::new(self);
        this.0.uncharge();
        this.0.quota.buffers.fetch_add(usize::MAX, Relaxed);
        // SAFETY: The field is read once, as `this` isn't dropped.
        put_quota(unsafe { core::ptr::read(&this.0.quota) })
    }
}
