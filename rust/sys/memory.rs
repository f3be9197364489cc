// SPDX-License-Identifier: GPL-2.0

//! The memory of a notifier, and who may touch which part of it.
//!
//! A notifier is owned by one value, [`Owned`], or shared. It becomes shared with [`Owned::share`],
//! which makes the first two [`Handle`]s. Sharing ends when the reference count of the `ubuf_info` drops
//! to zero; whoever drops the last reference owns the notifier again. The handles together hold one
//! of the references, every skb that carries pages of the notifier's requests holds one, and so does
//! every notifier that this one follows (see [`super::ubuf`]).

use super::{
    ubuf,
    Ctx,
    Lane,
    Locked, //
};
use crate::notifier::State;
use core::{
    cell::UnsafeCell,
    mem::ManuallyDrop,
    pin::Pin,
    ptr::NonNull, //
};
use kernel::{
    bindings,
    prelude::*,
    sync::{
        atomic::{
            Acquire,
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
/// From being shared until it is posted, the ring is valid, and so is the `lane`, unless it is NULL, which
/// counts the notifier. While the notifier is shared
/// - `head.ubuf.refcnt` counts its references, and is not zero,
/// - `ctx`, `lane`, `head.id` and `head.copy_below` don't change,
/// - `state` and `handles` are accessed with the `uring_lock` of `ctx` held.
#[repr(C)]
pub(super) struct Notifier {
    pub(super) head: Opaque<bindings::io_notif_head>,
    kiocb: Opaque<bindings::io_kiocb>,
    pub(super) ctx: Ctx,
    lane: *mut bindings::io_notif_lane,
    pub(super) order: ubuf::Order,
    handles: UnsafeCell<u32>,
    state: UnsafeCell<State>,
}

impl Notifier {
    /// The reference count of the `ubuf_info`.
    #[inline]
    pub(super) fn refcnt(&self) -> &Refcount {
        // SAFETY: `head` is initialised when a `Notifier` is made. `Refcount` is a transparent
        // wrapper of `refcount_t`.
        unsafe { &*(&raw mut (*self.head.get()).ubuf.refcnt).cast::<Refcount>() }
    }

    /// What [`Owned::share`] was called with last.
    #[inline]
    pub(super) fn id(&self) -> u64 {
        // SAFETY: `head` is initialised when a `Notifier` is made, and the field is written only by
        // who owns the notifier.
        unsafe { (*self.head.get()).id }
    }

    /// Whether bytes of a request were copied as it was sent, `head.copied`.
    #[inline]
    fn copied(&self) -> &Atomic<bool> {
        // SAFETY: `head` is initialised when a `Notifier` is made, and C accesses the field with
        // `WRITE_ONCE()` only.
        unsafe { Atomic::from_ptr(&raw mut (*self.head.get()).copied) }
    }
}

/// A notifier that nobody else knows of.
///
/// # Invariants
///
/// The notifier isn't shared.
pub(crate) struct Owned(KBox<Notifier>);

// SAFETY: Nobody else accesses the notifier, and nothing in it is bound to a CPU or task.
unsafe impl Send for Owned {}

impl Owned {
    /// Allocates a notifier for `ctx`. Task context, may sleep.
    pub(crate) fn new(ctx: Ctx) -> Result<Self> {
        let notifier = KBox::new(
            Notifier {
                head: Opaque::zeroed(),
                kiocb: Opaque::zeroed(),
                ctx,
                lane: core::ptr::null_mut(),
                order: ubuf::Order::new(),
                handles: UnsafeCell::new(0),
                state: UnsafeCell::new(State::default()),
            },
            GFP_KERNEL_ACCOUNT,
        )?;

        let head = notifier.head.get();
        // SAFETY: All bit patterns are valid for what is written here, and nobody else knows of it.
        unsafe { ubuf::init(&raw mut (*head).ubuf) };
        // SAFETY: The io_kiocb is zeroed, and `ctx` outlives what it has in flight.
        unsafe { bindings::io_notif_kiocb_init(notifier.kiocb.get(), ctx.as_ptr()) };
        // INVARIANT: The notifier is new.
        Ok(Self(notifier))
    }

    /// What policy keeps in the notifier.
    #[inline]
    pub(crate) fn state(&mut self) -> &mut State {
        self.0.state.get_mut()
    }

    /// Whether bytes of a request that was attached were copied.
    #[inline]
    pub(crate) fn was_copied(&self) -> bool {
        self.0.copied().load(Relaxed) || self.0.order.skb_copied()
    }

    /// Whether the notifier followed another one.
    #[inline]
    pub(crate) fn was_linked(&self) -> bool {
        self.0.order.has_followed()
    }

    /// The ring of the notifier.
    #[inline]
    pub(crate) fn ctx(&self) -> Ctx {
        self.0.ctx
    }

    /// What [`Owned::share`] was called with last.
    #[inline]
    pub(crate) fn id(&self) -> u64 {
        self.0.id()
    }

    /// Takes the notifier, which was shared, off those that its lane waits for.
    #[inline]
    pub(crate) fn leave_lane(&mut self, _lock: &mut Locked) {
        let lane = core::mem::replace(&mut self.0.lane, core::ptr::null_mut());
        if !lane.is_null() {
            // SAFETY: By the invariants of `Notifier` the lane is valid. The lock is held.
            unsafe { (*lane).notifiers -= 1 };
        }
    }

    /// Shares the notifier: its `ubuf_info` may be passed to sockets.
    ///
    /// `id` grows with each notifier of the ring that is shared. Requests of `copy_below` bytes or
    /// more are sent from the program's memory. Once released, the notifier goes to the ring by
    /// `lane`, or by the ring's own task_work, if that is deferred.
    #[inline]
    pub(crate) fn share(
        mut self,
        id: u64,
        copy_below: u32,
        lane: Option<Pin<&Lane>>,
    ) -> (Handle, Handle) {
        let notifier = &mut *self.0;
        notifier.lane = lane.map_or(core::ptr::null_mut(), Lane::enter);
        notifier.order.reset();
        *notifier.handles.get_mut() = 2;
        notifier.refcnt().set(1);
        notifier.copied().store(false, Relaxed);
        // SAFETY: Not shared yet, so there's no other access.
        unsafe {
            (*notifier.head.get()).id = id;
            (*notifier.head.get()).copy_below = copy_below;
        }
        let notifier = NonNull::from(KBox::leak(self.0));
        // INVARIANT: The new handles are the two that are counted.
        (Handle(notifier), Handle(notifier))
    }

    /// The notifiers that follow this one, which has been released.
    #[inline]
    pub(crate) fn take_followers(&mut self) -> Option<ubuf::Followers> {
        self.0.order.take_followers()
    }

    /// Sends the notifier to its ring, from any context. It comes back through
    /// [`Owned::from_kiocb`].
    fn queue(self) {
        let notifier = KBox::leak(self.0);
        // SAFETY: Nobody else has the notifier, so its io_kiocb isn't queued. By the invariants of
        // `Notifier` the lane is valid, as the notifier has not been posted.
        unsafe { bindings::io_notif_queue(notifier.kiocb.get(), notifier.lane) }
    }

    /// Sends the notifier to its ring, with those that only waited for it, from any context.
    pub(crate) fn release_remote(mut self) {
        let followers = self.take_followers();
        self.queue();
        if let Some(followers) = followers {
            followers.release(Owned::queue);
        }
    }

    /// Takes back what [`Owned::release_remote`] queued.
    ///
    /// # Safety
    ///
    /// `kiocb` must come from the queue, and from nowhere else.
    #[inline]
    pub(crate) unsafe fn from_kiocb(kiocb: *mut bindings::io_kiocb) -> Self {
        let kiocb: *mut Opaque<bindings::io_kiocb> = kiocb.cast();
        // SAFETY: Only io_kiocbs of notifiers are queued.
        let notifier = unsafe { kernel::container_of!(kiocb, Notifier, kiocb) };
        // SAFETY: `queue()` leaked the box.
        // INVARIANT: The queue had the only pointer.
        Self(unsafe { KBox::from_raw(notifier) })
    }

    /// Drops a reference of a shared notifier. `Some` if it was the last one.
    ///
    /// # Safety
    ///
    /// The caller must own a reference, and gives it up.
    #[inline]
    pub(super) unsafe fn put(notifier: NonNull<Notifier>) -> Option<Self> {
        // SAFETY: The caller's reference keeps the notifier.
        if !unsafe { notifier.as_ref() }.refcnt().dec_and_test() {
            return None;
        }
        // SAFETY: That was the last one.
        Some(unsafe { Self::after_last(notifier) })
    }

    /// Takes a notifier that was shared.
    ///
    /// # Safety
    ///
    /// The caller must have dropped the last reference to it.
    #[inline]
    pub(super) unsafe fn after_last(notifier: NonNull<Notifier>) -> Self {
        // SAFETY: The notifier was leaked from a box when it was shared.
        // INVARIANT: There's no reference left, so it isn't shared any more.
        Self(unsafe { KBox::from_raw(notifier.as_ptr()) })
    }
}

/// A share of a notifier, counted under the ring's `uring_lock`.
///
/// # Invariants
///
/// The notifier is shared, and this handle is counted in its `handles`. As long as that isn't zero,
/// one of the `ubuf_info`'s references belongs to the handles.
#[must_use = "a notifier is never released while there's a handle"]
pub(crate) struct Handle(NonNull<Notifier>);

// SAFETY: All access that a handle gives is under the ring's lock.
unsafe impl Send for Handle {}

impl Handle {
    /// What policy keeps in the notifier.
    #[inline]
    pub(crate) fn state<'a>(&'a self, lock: &'a mut Locked) -> &'a mut State {
        let notifier = self.notifier();
        debug_assert!(notifier.ctx == lock.ctx());
        // SAFETY: By the type invariants access is under the lock, which `lock` proves is held and
        // which it is borrowed for as long as the result is used.
        unsafe { &mut *notifier.state.get() }
    }

    /// Another handle to the same notifier.
    #[inline]
    pub(crate) fn another(&self, lock: &mut Locked) -> Self {
        *self.handles(lock) += 1;
        // INVARIANT: Just counted.
        Self(self.0)
    }

    /// Gives the handle up. `Some` if nothing else refers to the notifier.
    #[inline]
    pub(crate) fn put(self, lock: &mut Locked) -> Option<Owned> {
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
            // SAFETY: That was the reference of the handles, of which this was the last.
            return Some(unsafe { Owned::after_last(self.0) });
        }
        // SAFETY: With the last handle goes the reference of the handles.
        unsafe { Owned::put(self.0) }
    }

    /// Gives the handle up if there are others, or else back.
    #[inline]
    pub(crate) fn put_one_of_many(self, lock: &mut Locked) -> Result<(), Self> {
        let handles = self.handles(lock);
        if *handles == 1 {
            return Err(self);
        }
        *handles -= 1;
        Ok(())
    }

    /// Whether both are handles to the same notifier.
    #[inline]
    pub(crate) fn is(&self, other: &Handle) -> bool {
        self.0 == other.0
    }

    /// What [`Owned::share`] was called with.
    #[inline]
    pub(crate) fn id(&self) -> u64 {
        self.notifier().id()
    }

    /// No request will be attached any more: younger notifiers may follow this one.
    #[inline]
    pub(crate) fn set_final(&self) {
        self.notifier().order.set_final();
    }

    /// Passes the handle to C, which gives it back with [`Handle::from_raw`].
    #[inline]
    pub(crate) fn into_raw(self) -> *mut bindings::io_notif_head {
        self.notifier().head.get()
    }

    /// Takes a handle from C.
    ///
    /// # Safety
    ///
    /// `head` must come from [`Handle::into_raw`], and not be used as a handle any more.
    #[inline]
    pub(crate) unsafe fn from_raw(head: *mut bindings::io_notif_head) -> Self {
        // SAFETY: `head` is the first field of a notifier.
        // INVARIANT: The handle that C had is the one that is counted.
        Self(unsafe { NonNull::new_unchecked(head.cast()) })
    }

    /// Looks at a handle that C has.
    ///
    /// # Safety
    ///
    /// `head` must come from [`Handle::into_raw`], and stay a handle of C's as long as the result
    /// is used.
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
    fn handles<'a>(&'a self, lock: &'a mut Locked) -> &'a mut u32 {
        let notifier = self.notifier();
        debug_assert!(notifier.ctx == lock.ctx());
        // SAFETY: As in `state()`.
        unsafe { &mut *notifier.handles.get() }
    }
}
