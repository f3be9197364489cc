// SPDX-License-Identifier: GPL-2.0

//! Registered buffers.
//!
//! C header: [`io_uring/rsrc.h`](srctree/io_uring/rsrc.h)

use super::{
    cond_resched,
    ctx::{
        Brand,
        Locked, //
    }, //
};
use core::{
    marker::PhantomData,
    mem::replace,
    ptr::NonNull, //
};
use kernel::{
    bindings,
    prelude::*, //
};

/// A reference to a registered buffer, `struct io_rsrc_node`.
///
/// # Invariants
///
/// The pointer is valid, and the value owns one of the node's references. References are counted
/// under the `uring_lock` of the ring that `'ring` stands for, so the reference is given up with
/// [`Buffer::put`].
#[must_use = "the buffer stays registered until it is put"]
pub(crate) struct Buffer<'ring>(NonNull<bindings::io_rsrc_node>, Brand<'ring>);

impl<'ring> Buffer<'ring> {
    /// Takes over a reference.
    ///
    /// # Safety
    ///
    /// `node` must be a registered buffer of the ring that `'ring` stands for, and the caller must
    /// own a reference to it, which it must not use any more.
    #[inline]
    pub(crate) unsafe fn from_raw(node: *mut bindings::io_rsrc_node) -> Self {
        // SAFETY: A registered buffer isn't NULL.
        // INVARIANT: The caller gives us its reference.
        Self(unsafe { NonNull::new_unchecked(node) }, PhantomData)
    }

    /// Gives the reference back that [`Buffer::from_raw`] took.
    #[inline]
    pub(crate) fn into_raw(self) -> *mut bindings::io_rsrc_node {
        self.0.as_ptr()
    }

    /// Drops the reference. Without others, the buffer is unmapped.
    #[inline]
    pub(crate) fn put(self, lock: &mut Locked<'ring>) {
        // No number of a notifier without a reference may stay: numbers come again when slots are
        // registered again.
        self.set_owner(0, lock);
        // SAFETY: By the type invariants this is a reference of ours; the lock is held.
        unsafe { bindings::io_notif_put_node(lock.ctx(), self.0.as_ptr()) }
    }

    /// Makes `id` the last one that took a reference, and returns who it was before.
    #[inline]
    fn set_owner(&self, id: u64, _lock: &mut Locked<'ring>) -> u64 {
        // SAFETY: Our reference keeps the node, and the lock is held.
        replace(unsafe { &mut (*self.0.as_ptr()).notif_id }, id)
    }
}

/// The registered buffers that a notifier keeps. One that other notifiers used in between may be
/// here more than once, until there's no room.
#[derive(Default)]
pub(super) struct Buffers<'ring>(KVVec<Buffer<'ring>>);

/// An idle notifier keeps room for that many.
const MAX_IDLE_BUFFERS: usize = 128;

/// So many are put without a chance for others to run.
const BATCH: usize = 64;

impl<'ring> Buffers<'ring> {
    /// Keeps a buffer for the notifier `id`, whose buffers these are, if there's room for it.
    #[inline]
    pub(super) fn push(
        &mut self,
        buffer: Buffer<'ring>,
        id: u64,
        lock: &mut Locked<'ring>,
    ) -> Result<(), Buffer<'ring>> {
        if self.0.len() == self.0.capacity() {
            return Err(buffer);
        }
        buffer.set_owner(id, lock);
        self.0.push_within_capacity(buffer).map_err(|e| e.0)
    }

    /// Makes room for another one. Fails with `ENOMEM`.
    #[cold]
    pub(super) fn reserve(&mut self, id: u64, lock: &mut Locked<'ring>) -> Result {
        self.put_duplicates(id, lock);
        let room = (self.0.len() / 2).max(4);
        Ok(self.0.reserve(room, GFP_KERNEL_ACCOUNT)?)
    }

    /// Leaves each buffer once.
    fn put_duplicates(&mut self, id: u64, lock: &mut Locked<'ring>) {
        const SEEN: u64 = u64::MAX;

        let buffers = &mut self.0;
        let mut unique = 0;
        for next in 0..buffers.len() {
            if buffers[next].set_owner(SEEN, lock) != SEEN {
                buffers.swap(unique, next);
                unique += 1;
            }
        }
        while buffers.len() > unique {
            if let Some(buffer) = buffers.pop() {
                buffer.put(lock);
            }
        }
        for buffer in buffers.iter() {
            buffer.set_owner(id, lock);
        }
    }

    /// Puts all of them. Task context, may sleep.
    #[inline]
    pub(super) fn put_all(&mut self, lock: &mut Locked<'ring>) {
        if self.0.is_empty() {
            return;
        }
        for (nr, buffer) in self.0.drain_all().enumerate() {
            if nr % BATCH == BATCH - 1 {
                cond_resched();
            }
            buffer.put(lock);
        }
        if self.0.capacity() > MAX_IDLE_BUFFERS {
            self.0 = KVVec::new();
        }
    }
}
