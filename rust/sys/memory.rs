// SPDX-License-Identifier: GPL-2.0

//! The memory of a notifier, and who may touch which part of it.
//!
//! A notifier is owned by one value, [`Idle`] or [`Completed`], or shared. It becomes shared with
//! [`Idle::share`], which makes the first [`Handle`]. Sharing ends when the reference count of the
//! `ubuf_info` drops to zero; whoever drops the last reference owns the notifier, which has
//! completed. The handles together hold one of the references, and every skb and every link that
//! has pages of the notifier's requests holds one (see [`super::ubuf`]).

use super::{
    buffer::Buffers,
    chain::Member,
    ctx::{
        Brand,
        Id,
        Locked, //
    },
    handle::Handle,
    ubuf,
    Lane,
    Total, //
};
use crate::notifier::State;
use core::{
    cell::UnsafeCell,
    marker::PhantomData,
    mem::replace,
    ptr::{
        null_mut,
        NonNull, //
    }, //
};
use kernel::{
    bindings,
    prelude::*,
    sync::{
        atomic::{
            Atomic,
            Relaxed, //
        },
        Refcount, //
    },
    types::Opaque, //
};

/// A notifier.
///
/// `head` comes first, as C takes a pointer to it for the notifier.
///
/// # Invariants
///
/// The notifier is one of the ring that the `'ring` of its owner or of a handle stands for. While
/// it is shared
/// - `head.ubuf.refcnt` counts its references, and is not zero,
/// - `head.lane`, `head.id`, `head.copy_below` and `head.flags` don't change, and no other notifier
///   of the ring has the number `head.id`,
/// - `head.bearer`, `handles`, `buffers` and `state` are accessed with the ring's `uring_lock`
///   held.
///
/// `head.lane` is a reference to a lane of the ring, or NULL until the notifier is shared for the
/// first time.
#[repr(C)]
pub(super) struct Notifier {
    head: Opaque<bindings::io_notif_head>,
    pub(super) handles: UnsafeCell<u32>,
    // `'static` stands for no ring in particular: `'ring` says which one whenever they are
    // accessed.
    pub(super) buffers: UnsafeCell<Buffers<'static>>,
    pub(super) state: UnsafeCell<State<'static>>,
}

impl Notifier {
    /// The reference count of the `ubuf_info`.
    #[inline]
    pub(super) fn refcnt(&self) -> &Refcount {
        // SAFETY: `head` is initialised when a `Notifier` is made.
        unsafe { Refcount::from_raw(&raw mut (*self.head.get()).ubuf.refcnt) }
    }

    /// Whether bytes of a request were copied, as it was sent or later.
    #[inline]
    pub(super) fn copied(&self) -> &Atomic<bool> {
        // SAFETY: `head` is initialised when a `Notifier` is made, and C accesses the field with
        // `WRITE_ONCE()` only.
        unsafe { Atomic::from_ptr(&raw mut (*self.head.get()).copied) }
    }

    /// What [`Idle::share`] was called with last.
    #[inline]
    pub(super) fn id(&self) -> u64 {
        // SAFETY: `head` is initialised when a `Notifier` is made, and the field is written only by
        // who owns the notifier.
        unsafe { (*self.head.get()).id }
    }

    #[inline]
    pub(super) fn lane(&self) -> *mut bindings::io_notif_lane {
        // SAFETY: `head` is initialised when a `Notifier` is made, and the field is written only by
        // who owns the notifier.
        unsafe { (*self.head.get()).lane }
    }

    #[inline]
    fn has_lane(&self, lane: &Lane<'_>) -> bool {
        self.lane() == lane.as_ptr()
    }

    /// Makes the notifier go by `lane`, which is one of its ring's.
    #[cold]
    fn set_lane(&mut self, lane: &Lane<'_>) {
        drop(self.take_lane());
        // SAFETY: The notifier is ours.
        unsafe { (*self.head.get()).lane = lane.clone().into_raw() };
    }

    fn take_lane(&mut self) -> Option<Lane<'_>> {
        // SAFETY: The notifier is ours.
        let lane = unsafe { replace(&mut (*self.head.get()).lane, null_mut()) };
        // SAFETY: By the type invariants this is a reference, which is not used any more.
        NonNull::new(lane).map(|lane| unsafe { Lane::from_raw(lane) })
    }
}

impl Drop for Notifier {
    fn drop(&mut self) {
        drop(self.take_lane());
    }
}

/// Notifiers of one lane that have completed and are on their way to it, oldest first.
///
/// # Invariants
///
/// Unless `first` is NULL, the list from `first` to `last` is of the nodes of notifiers that were
/// shared and have no reference any more, and go by `lane`.
pub(super) struct Run {
    lane: *mut bindings::io_notif_lane,
    first: *mut bindings::llist_node,
    last: *mut bindings::llist_node,
}

impl Run {
    /// None.
    #[inline]
    pub(super) fn new() -> Self {
        Self {
            lane: null_mut(),
            first: null_mut(),
            last: null_mut(),
        }
    }

    /// Adds one. Those of another lane are sent before.
    ///
    /// # Safety
    ///
    /// The notifier must have been shared, and the caller must have dropped the last reference to
    /// it.
    #[inline]
    pub(super) unsafe fn push(&mut self, notifier: NonNull<Notifier>) {
        Total::CompletedTaskWork.count();
        // SAFETY: By the safety requirements the notifier is ours.
        let (lane, node) = unsafe {
            let head: *mut bindings::io_notif_head = notifier.as_ptr().cast();
            ((*head).lane, &raw mut (*head).node)
        };
        if lane == self.lane {
            // SAFETY: By the type invariants `last` is the node of a notifier that is ours.
            unsafe { (*self.last).next = node };
            self.last = node;
        } else {
            // Sends the others as it is dropped.
            *self = Self {
                lane,
                first: node,
                last: node,
            };
        }
    }
}

impl Drop for Run {
    /// Sends the notifiers to their ring, which gets each as a [`Completed`]. Any context.
    #[inline]
    fn drop(&mut self) {
        if !self.first.is_null() {
            // SAFETY: By the type invariants these are completed notifiers of the lane, and nobody
            // else has them.
            unsafe { bindings::io_notif_queue(self.lane, self.first, self.last) }
        }
    }
}

/// How C is to send the requests of a notifier.
#[derive(Clone, Copy, Default)]
pub(crate) struct Terms {
    /// Requests of fewer bytes are copied.
    pub(crate) copy_below: u32,
    /// `IORING_NOTIF_SLOT_*`
    pub(crate) flags: u8,
}

/// A notifier that waits to be used.
///
/// # Invariants
///
/// The notifier isn't shared, and keeps no buffers.
pub(crate) struct Idle<'ring>(KBox<Notifier>, Brand<'ring>);

// SAFETY: Nobody else accesses the notifier, and nothing in it is bound to a CPU or task.
unsafe impl Send for Idle<'_> {}

impl<'ring> Idle<'ring> {
    /// Allocates a notifier for the ring. Task context, may sleep. Fails with `ENOMEM`.
    pub(crate) fn new(_lock: &mut Locked<'ring>) -> Result<Self> {
        let notifier = KBox::new(
            Notifier {
                head: Opaque::zeroed(),
                handles: UnsafeCell::new(0),
                buffers: UnsafeCell::new(Buffers::default()),
                state: UnsafeCell::new(State::default()),
            },
            GFP_KERNEL_ACCOUNT,
        )?;
        // SAFETY: All bit patterns are valid for what is written here, and nobody else knows of it.
        unsafe { ubuf::init(&raw mut (*notifier.head.get()).ubuf) };
        // INVARIANT: The notifier is new.
        Ok(Self(notifier, PhantomData))
    }

    /// Shares the notifier: its `ubuf_info` may be passed to sockets.
    ///
    /// Once completed, the notifier goes to the ring by `lane`, unless the ring itself drops the
    /// last reference.
    #[inline]
    pub(crate) fn share(
        mut self,
        id: Id<'ring>,
        terms: Terms,
        lane: &Lane<'ring>,
        state: State<'ring>,
    ) -> Handle<'ring> {
        let notifier = &mut *self.0;
        if !notifier.has_lane(lane) {
            notifier.set_lane(lane);
        }
        notifier.refcnt().set(1);
        notifier.copied().store(false, Relaxed);
        *notifier.handles.get_mut() = 1;
        // SAFETY: Not shared yet, so there's no other access. The state is that of `'ring`.
        unsafe {
            let head = notifier.head.get();
            (*head).id = id.0;
            (*head).copy_below = terms.copy_below;
            (*head).flags = terms.flags;
            (*head).bearer = false;
            notifier.state.get().cast::<State<'ring>>().write(state);
        }
        // SAFETY: The new handle is the one that is counted.
        unsafe { Handle::first(NonNull::from(KBox::leak(self.0))) }
    }
}

/// A notifier that has completed: flushed, its requests over, its pages let go.
///
/// # Invariants
///
/// The notifier was shared and isn't any more.
#[must_use = "the notifier is never posted otherwise"]
pub(crate) struct Completed<'ring>(KBox<Notifier>, Brand<'ring>);

// SAFETY: As for `Idle`.
unsafe impl Send for Completed<'_> {}

impl<'ring> Completed<'ring> {
    /// Takes a notifier that was shared.
    ///
    /// # Safety
    ///
    /// The caller must have dropped the last reference to it, of the ring that `'ring` stands for.
    #[inline]
    pub(super) unsafe fn after_last(notifier: NonNull<Notifier>) -> Self {
        // SAFETY: The notifier was leaked from a box when it was shared.
        // INVARIANT: There's no reference left, so it isn't shared any more.
        Self(unsafe { KBox::from_raw(notifier.as_ptr()) }, PhantomData)
    }

    /// What policy keeps in the notifier.
    #[inline]
    pub(crate) fn state(&mut self) -> &mut State<'ring> {
        // SAFETY: Nobody else has the notifier. It is one of the ring of `'ring`.
        unsafe { &mut *self.0.state.get().cast() }
    }

    /// Whether bytes of a request that was attached were copied.
    #[inline]
    pub(crate) fn was_copied(&self) -> bool {
        self.0.copied().load(Relaxed)
    }

    /// What [`Idle::share`] was called with.
    #[inline]
    pub(crate) fn id(&self) -> u64 {
        self.0.id()
    }

    /// Leaves it to the notifier's lane to go on. Any context.
    pub(crate) fn queue(self) {
        // SAFETY: By the type invariants the notifier was shared, and nobody else has it.
        unsafe { Run::new().push(NonNull::from(KBox::leak(self.0))) }
    }

    /// Lets go of the notifier's buffers. Task context, may sleep.
    #[inline]
    pub(crate) fn settle(self, lock: &mut Locked<'ring>) -> Idle<'ring> {
        // SAFETY: Nobody else has the notifier. It is one of the ring of `'ring`.
        let buffers = unsafe { &mut *self.0.buffers.get().cast::<Buffers<'ring>>() };
        buffers.put_all(lock);
        // INVARIANT: Not shared, and now without buffers.
        Idle(self.0, PhantomData)
    }
}

// SAFETY: `into_raw()` gives away the only pointer to the notifier, which `from_raw()` takes.
unsafe impl Member for Idle<'_> {
    #[inline]
    fn into_raw(self) -> NonNull<bindings::io_notif_head> {
        NonNull::from(KBox::leak(self.0)).cast()
    }

    #[inline]
    unsafe fn from_raw(head: NonNull<bindings::io_notif_head>) -> Self {
        // SAFETY: By the safety requirements of this function.
        Self(unsafe { KBox::from_raw(head.as_ptr().cast()) }, PhantomData)
    }
}

// SAFETY: As for `Idle`.
unsafe impl Member for Completed<'_> {
    #[inline]
    fn into_raw(self) -> NonNull<bindings::io_notif_head> {
        NonNull::from(KBox::leak(self.0)).cast()
    }

    #[inline]
    unsafe fn from_raw(head: NonNull<bindings::io_notif_head>) -> Self {
        // SAFETY: By the safety requirements of this function.
        unsafe { Self::after_last(head.cast()) }
    }
}
