// SPDX-License-Identifier: GPL-2.0

//! What the network stack calls.
//!
//! Each skb that has pages of a notifier's requests holds a reference to the notifier, by a link if
//! it has pages of others too, see [`super::link`].
//!
//! C header: [`include/linux/skbuff.h`](srctree/include/linux/skbuff.h)

use super::{
    link,
    memory::{
        Notifier,
        Run, //
    }, //
};
use core::{
    mem::ManuallyDrop,
    ptr::NonNull, //
};
use kernel::{
    bindings,
    sync::atomic::Relaxed, //
};

pub(super) static UBUF_OPS: bindings::ubuf_info_ops = bindings::ubuf_info_ops {
    complete: Some(bindings::io_notif_ubuf_complete),
    link_skb: Some(link::link_skb),
    unlink_skb: Some(link::unlink_skb),
};

/// What skbs that carry the `ubuf_info` of a notifier or a link are like.
pub(super) const FLAGS: u32 =
    bindings::SKBFL_ZEROCOPY_ENABLE | bindings::SKBFL_SHARED_FRAG | bindings::SKBFL_DONT_ORPHAN;

/// Makes a notifier's `ubuf_info`; its reference count is set as the notifier is shared.
///
/// # Safety
///
/// `ubuf` must be valid for writes.
pub(super) unsafe fn init(ubuf: *mut bindings::ubuf_info) {
    // SAFETY: By the safety requirements of this function.
    unsafe {
        (*ubuf).ops = &raw const UBUF_OPS;
        (*ubuf).flags = FLAGS as u8;
    }
}

/// A reference to a notifier, of an skb or a link.
///
/// # Invariants
///
/// The notifier is shared, and the value is counted in the `refcnt` of its `ubuf_info`.
pub(super) struct Reference(NonNull<Notifier>);

// SAFETY: References are counted atomically, and dropped in any context.
unsafe impl Send for Reference {}

// SAFETY: As above.
unsafe impl Sync for Reference {}

impl Reference {
    /// Takes another reference to a notifier that is shared.
    ///
    /// # Safety
    ///
    /// `ubuf` must be that of a shared notifier.
    #[inline]
    pub(super) unsafe fn new(ubuf: *mut bindings::ubuf_info) -> Self {
        // SAFETY: By the safety requirements of this function, this is as if it were one.
        (*ManuallyDrop::new(unsafe { Self::from_raw(ubuf) })).clone()
    }

    /// Takes over a reference.
    ///
    /// # Safety
    ///
    /// `ubuf` must be that of a notifier, and the caller gives up a reference to it.
    #[inline]
    pub(super) unsafe fn from_raw(ubuf: *mut bindings::ubuf_info) -> Self {
        // SAFETY: The `ubuf_info` is at the beginning of a notifier.
        // INVARIANT: The caller gives us its reference.
        Self(unsafe { NonNull::new_unchecked(ubuf.cast()) })
    }

    /// Whether this is the only reference, so that neither an skb nor a link has another.
    #[inline]
    pub(super) fn is_only(&self) -> bool {
        self.notifier().refcnt().read() == 1
    }

    /// Gives the reference away, to an skb.
    #[inline]
    pub(super) fn into_raw(self) -> *mut bindings::ubuf_info {
        ManuallyDrop::new(self).ubuf()
    }

    /// The `ubuf_info` of the notifier.
    #[inline]
    pub(super) fn ubuf(&self) -> *mut bindings::ubuf_info {
        self.0.as_ptr().cast()
    }

    /// The notifier.
    #[inline]
    pub(super) fn notifier(&self) -> &Notifier {
        // SAFETY: By the type invariants the notifier is shared, which keeps its memory.
        unsafe { self.0.as_ref() }
    }

    /// Drops the reference. Returns the notifier when that was the last one.
    #[inline]
    pub(super) fn put(self) -> Option<NonNull<Notifier>> {
        let this = ManuallyDrop::new(self);
        let last = this.notifier().refcnt().dec_and_test();
        last.then_some(this.0)
    }

    /// Remembers that bytes were copied.
    #[inline]
    pub(super) fn set_copied(&self) {
        self.notifier().copied().store(true, Relaxed);
    }
}

impl Clone for Reference {
    #[inline]
    fn clone(&self) -> Self {
        self.notifier().refcnt().inc();
        // INVARIANT: Just counted.
        Self(self.0)
    }
}

impl Drop for Reference {
    /// Drops the reference; without another one the notifier goes to its ring.
    #[inline]
    fn drop(&mut self) {
        if self.notifier().refcnt().dec_and_test() {
            // SAFETY: That was the last reference.
            unsafe { Run::new().push(self.0) }
        }
    }
}

/// `io_notif_ops::complete`: an skb is done with the notifier's pages.
///
/// Any context, softirq included, with preemption disabled.
///
/// # Safety
///
/// `ubuf` must be a notifier's, and the caller gives up a reference to it.
pub(crate) unsafe extern "C" fn complete(ubuf: *mut bindings::ubuf_info, success: bool) {
    // SAFETY: The caller gives up its reference.
    let reference = unsafe { Reference::from_raw(ubuf) };
    if !success {
        reference.set_copied();
    }
}
