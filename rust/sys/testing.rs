// SPDX-License-Identifier: GPL-2.0

//! What KUnit tests need of the kernel.

use super::{
    ctx::{
        Ids,
        Locked, //
    },
    link::{
        link_skb,
        unlink_skb, //
    },
    Handle, //
};
use core::{
    ffi::c_int,
    ptr::NonNull, //
};
use kernel::{
    bindings,
    prelude::*,
    types::Opaque, //
};

/// Calls `f` for a ring that nobody but the calling test knows of.
pub(crate) fn with_test_ring(
    f: impl for<'ring> FnOnce(&mut Locked<'ring>, Ids<'ring>) -> Result,
) -> Result {
    let ctx = KBox::new(Opaque::<bindings::io_ring_ctx>::zeroed(), GFP_KERNEL)?;
    // SAFETY: What tests do with a ring is right for one that is all zero, and nobody else has it.
    let (mut lock, ids) = unsafe { (Locked::assume(ctx.get()), Ids::new()) };
    f(&mut lock, ids)
}

/// An skb that nobody sends.
pub(crate) struct Skb(*mut bindings::sk_buff);

impl Skb {
    /// Allocates one. Fails with `ENOMEM`.
    pub(crate) fn new() -> Result<Self> {
        // SAFETY: There are no requirements.
        let skb = unsafe { bindings::__alloc_skb(128, bindings::GFP_KERNEL, 0, -1) };
        NonNull::new(skb)
            .map(|skb| Self(skb.as_ptr()))
            .ok_or(ENOMEM)
    }

    /// Another one with the same data, as of a packet tap. Fails with `ENOMEM`.
    pub(crate) fn try_clone(&self) -> Result<Self> {
        // SAFETY: The skb is valid.
        let skb = unsafe { bindings::skb_clone(self.0, bindings::GFP_KERNEL) };
        Ok(Self(NonNull::new(skb).ok_or(ENOMEM)?.as_ptr()))
    }

    /// As a request does that is attached to the notifier.
    pub(crate) fn link(&self, handle: &Handle<'_>) -> c_int {
        // SAFETY: The handle keeps the notifier shared, and nobody else has the skb.
        unsafe { link_skb(self.0, handle.head().cast()) }
    }

    /// As if nothing was added then.
    ///
    /// # Safety
    ///
    /// [`Skb::link`] must have returned 1 for the handle, just before.
    pub(crate) unsafe fn unlink(&self, handle: &Handle<'_>) {
        // SAFETY: By the safety requirements of this function.
        unsafe { unlink_skb(self.0, handle.head().cast()) }
    }

    fn shared_info(&self) -> *mut bindings::skb_shared_info {
        // SAFETY: The skb is valid, and the structure is at the end of its head.
        unsafe { (*self.0).head.add((*self.0).end as usize).cast() }
    }

    /// As if it were, or had, so much. A count of fragments must go before the skb does.
    pub(crate) fn set_shared_info(&self, flags: u8, nr_frags: u8) {
        let shared_info = self.shared_info();
        // SAFETY: Nobody else has the skb.
        unsafe {
            (*shared_info).flags = flags;
            (*shared_info).nr_frags = nr_frags;
        }
    }

    /// `SKBFL_*`
    pub(crate) fn flags(&self) -> u8 {
        // SAFETY: Nobody else has the skb.
        unsafe { (*self.shared_info()).flags }
    }

    /// The `ubuf_info` that it carries.
    pub(crate) fn carried(&self) -> *mut bindings::ubuf_info {
        // SAFETY: The skb is valid.
        unsafe { bindings::skb_zcopy(self.0) }
    }
}

impl Drop for Skb {
    fn drop(&mut self) {
        // SAFETY: The skb is valid, and not used any more.
        unsafe { bindings::consume_skb(self.0) }
    }
}
