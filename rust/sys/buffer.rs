// SPDX-License-Identifier: GPL-2.0

//! Registered buffers.
//!
//! C header: [`io_uring/rsrc.h`](srctree/io_uring/rsrc.h)

use super::{
    Ctx,
    Locked, //
};
use core::ptr::NonNull;
use kernel::{
    bindings,
    prelude::*, //
};

/// A reference to a registered buffer, `struct io_rsrc_node`.
///
/// # Invariants
///
/// The pointer is valid, and the value owns one of the node's references. References are counted
/// under the ring's `uring_lock`, so the reference is given up with [`Buffer::put`].
#[must_use = "the buffer stays registered until it is put"]
pub(crate) struct Buffer(NonNull<bindings::io_rsrc_node>);

impl Buffer {
    /// Takes over a reference.
    ///
    /// # Safety
    ///
    /// `node` must be a registered buffer of a ring, and the caller must own a reference to it, which
    /// it must not use any more.
    #[inline]
    pub(crate) unsafe fn from_raw(node: *mut bindings::io_rsrc_node) -> Self {
        // SAFETY: A registered buffer isn't NULL.
        // INVARIANT: The caller gives us its reference.
        Self(unsafe { NonNull::new_unchecked(node) })
    }

    /// Gives the reference back that [`Buffer::from_raw`] took.
    #[inline]
    pub(crate) fn into_raw(self) -> *mut bindings::io_rsrc_node {
        self.0.as_ptr()
    }

    /// Makes `id` the last one that took a reference, and tells whether it wasn't before.
    #[inline]
    pub(crate) fn claim(&self, id: u64, _lock: &mut Locked) -> bool {
        // SAFETY: Our reference keeps the node, and the lock is held.
        let last = unsafe { &mut (*self.0.as_ptr()).notif_id };
        core::mem::replace(last, id) != id
    }

    /// Drops the reference. Without others, the buffer is unmapped.
    #[inline]
    pub(crate) fn put(self, ctx: Ctx, _lock: &mut Locked) {
        // The number of a notifier without a reference must not stay: numbers come again when slots
        // are registered again.
        // SAFETY: By the type invariants this is a reference of ours; the lock is held.
        unsafe { (*self.0.as_ptr()).notif_id = 0 };
        // SAFETY: As above.
        unsafe { bindings::io_notif_put_node(ctx.as_ptr(), self.0.as_ptr()) }
    }

    /// Leaves the notifier `id` each of its buffers once.
    #[cold]
    pub(crate) fn put_duplicates(
        buffers: &mut KVVec<Buffer>,
        id: u64,
        ctx: Ctx,
        lock: &mut Locked,
    ) {
        const SEEN: u64 = u64::MAX;

        let mut unique = 0;
        for next in 0..buffers.len() {
            if buffers[next].claim(SEEN, lock) {
                buffers.swap(unique, next);
                unique += 1;
            }
        }
        while buffers.len() > unique {
            if let Some(buffer) = buffers.pop() {
                buffer.put(ctx, lock);
            }
        }
        for buffer in buffers.iter() {
            buffer.claim(id, lock);
        }
    }
}
