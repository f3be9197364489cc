// SPDX-License-Identifier: GPL-2.0

//! What slots and requests hold of a notifier that is shared.

use super::{
    buffer::{
        Buffer,
        Buffers, //
    },
    ctx::{
        Brand,
        Locked, //
    },
    memory::{
        Completed,
        Notifier, //
    }, //
};
use crate::notifier::State;
use core::{
    marker::PhantomData,
    mem::ManuallyDrop,
    ptr::NonNull, //
};
use kernel::{
    bindings,
    prelude::*,
    sync::atomic::Acquire, //
};

/// A share of a notifier, counted under the ring's `uring_lock`.
///
/// # Invariants
///
/// The notifier is shared, and this handle is counted in its `handles`. As long as that isn't zero,
/// one of the `ubuf_info`'s references belongs to the handles.
#[must_use = "a notifier never completes while there's a handle"]
pub(crate) struct Handle<'ring>(NonNull<Notifier>, Brand<'ring>);

// SAFETY: All access that a handle gives is under the ring's lock.
unsafe impl Send for Handle<'_> {}

impl<'ring> Handle<'ring> {
    /// The first one to a notifier.
    ///
    /// # Safety
    ///
    /// The notifier must have just been shared, be one of the ring that `'ring` stands for, and
    /// count one handle.
    #[inline]
    pub(super) unsafe fn first(notifier: NonNull<Notifier>) -> Self {
        // INVARIANT: By the safety requirements of this function.
        Self(notifier, PhantomData)
    }

    /// What policy keeps in the notifier.
    #[inline]
    pub(crate) fn state<'a>(&'a self, _lock: &'a mut Locked<'ring>) -> &'a mut State<'ring> {
        // SAFETY: Access is under the lock of the notifier's ring, which `_lock` proves is held and
        // which is borrowed for as long as the result is used.
        unsafe { &mut *self.notifier().state.get().cast() }
    }

    /// Another handle to the same notifier.
    #[inline]
    pub(crate) fn another(&self, lock: &mut Locked<'ring>) -> Self {
        // There are fewer requests than this can count: as many would take a terabyte.
        *self.handles(lock) += 1;
        // INVARIANT: Just counted.
        Self(self.0, PhantomData)
    }

    /// Gives the handle up. `Some` if nothing else refers to the notifier.
    #[inline]
    pub(crate) fn put(self, lock: &mut Locked<'ring>) -> Option<Completed<'ring>> {
        let handles = self.handles(lock);
        *handles -= 1;
        if *handles != 0 {
            return None;
        }
        let refcnt = self.notifier().refcnt();
        // A new reference takes a handle, or a reference to begin with: one stays one. Acquire, for
        // what others did before they dropped theirs.
        if refcnt.as_atomic().load(Acquire) == 1 {
            refcnt.set(0);
        } else if !refcnt.dec_and_test() {
            return None;
        }
        // SAFETY: That was the reference of the handles, of which this was the last.
        Some(unsafe { Completed::after_last(self.0) })
    }

    /// Gives the handle up if there are others, or else back.
    #[inline]
    pub(crate) fn put_one_of_many(self, lock: &mut Locked<'ring>) -> Result<(), Self> {
        let handles = self.handles(lock);
        if *handles == 1 {
            return Err(self);
        }
        *handles -= 1;
        Ok(())
    }

    /// Keeps a registered buffer until the notifier is settled, or gives it back when there's no
    /// room.
    #[inline]
    pub(crate) fn keep(
        &self,
        buffer: Buffer<'ring>,
        lock: &mut Locked<'ring>,
    ) -> Result<(), Buffer<'ring>> {
        // SAFETY: As in `state()`; nothing that `push()` does comes back here.
        unsafe { self.buffers() }.push(buffer, self.id(), lock)
    }

    /// Makes room for a registered buffer. Task context, may sleep. Fails with `ENOMEM`.
    pub(crate) fn reserve_buffer(&self, lock: &mut Locked<'ring>) -> Result {
        // SAFETY: As in `keep()`.
        unsafe { self.buffers() }.reserve(self.id(), lock)
    }

    /// The request that attached last is the one whose CQE the notifier is to post.
    #[inline]
    pub(crate) fn set_bearer(&self, _lock: &mut Locked<'ring>) {
        // SAFETY: The notifier is shared, and the field is accessed under the lock that `_lock`
        // proves is held.
        unsafe { (*self.head()).bearer = true }
    }

    /// What [`Idle::share`](super::memory::Idle::share) was called with.
    #[inline]
    pub(crate) fn id(&self) -> u64 {
        self.notifier().id()
    }

    /// The part of the notifier that C knows.
    #[inline]
    pub(super) fn head(&self) -> *mut bindings::io_notif_head {
        self.0.as_ptr().cast()
    }

    /// Passes the handle to C, which gives it back with [`Handle::from_raw`].
    #[inline]
    pub(crate) fn into_raw(self) -> *mut bindings::io_notif_head {
        self.head()
    }

    /// Takes a handle from C.
    ///
    /// # Safety
    ///
    /// `head` must come from [`Handle::into_raw`], of the ring that `'ring` stands for, and not be
    /// used as a handle any more.
    #[inline]
    pub(crate) unsafe fn from_raw(head: *mut bindings::io_notif_head) -> Self {
        // SAFETY: `head` is the first field of a notifier.
        // INVARIANT: The handle that C had is the one that is counted.
        Self(unsafe { NonNull::new_unchecked(head.cast()) }, PhantomData)
    }

    /// Looks at a handle that C has.
    ///
    /// # Safety
    ///
    /// `head` must come from [`Handle::into_raw`], of the ring that `'ring` stands for, and stay a
    /// handle of C's as long as the result is used.
    #[inline]
    pub(crate) unsafe fn peek(head: *mut bindings::io_notif_head) -> ManuallyDrop<Self> {
        // SAFETY: As the handle isn't given up, it stays C's.
        ManuallyDrop::new(unsafe { Self::from_raw(head) })
    }

    #[inline]
    fn notifier(&self) -> &Notifier {
        // SAFETY: By the type invariants the notifier is shared, which keeps its memory.
        unsafe { self.0.as_ref() }
    }

    #[inline]
    fn handles<'a>(&'a self, _lock: &'a mut Locked<'ring>) -> &'a mut u32 {
        // SAFETY: As in `state()`.
        unsafe { &mut *self.notifier().handles.get() }
    }

    /// # Safety
    ///
    /// The ring's lock must be held, and there must be no other reference to the buffers.
    #[inline]
    #[allow(clippy::mut_from_ref)]
    unsafe fn buffers(&self) -> &mut Buffers<'ring> {
        // SAFETY: By the safety requirements of this function.
        unsafe { &mut *self.notifier().buffers.get().cast() }
    }
}
