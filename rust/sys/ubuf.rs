// SPDX-License-Identifier: GPL-2.0

//! What the network stack calls.
//!
//! An skb carries one `ubuf_info`. When a request finds the last skb of its socket carrying that of
//! an older notifier, it gets a fresh skb, or its notifier *follows* the other: the skb keeps the
//! older one's `ubuf_info`, and the older one keeps a reference to its follower until it is released.
//! Only a notifier that has been flushed can be followed, or it might never be released; and only by
//! a younger one of the same ring, or two might wait for each other.
//!
//! C header: [`include/linux/skbuff.h`](srctree/include/linux/skbuff.h)

use super::memory::{
    Notifier,
    Owned, //
};
use core::{
    ffi::c_int,
    ptr::{
        null_mut,
        NonNull, //
    }, //
};
use kernel::{
    bindings,
    prelude::*,
    sync::atomic::{
        Acquire,
        Atomic,
        Full,
        Relaxed,
        Release, //
    },
    types::Opaque, //
};

static UBUF_OPS: bindings::ubuf_info_ops = bindings::ubuf_info_ops {
    complete: Some(bindings::io_notif_ubuf_complete),
    link_skb: Some(link_skb),
};

/// Makes a notifier's `ubuf_info`; its reference count is set as the notifier is shared.
///
/// # Safety
///
/// `ubuf` must be valid for writes.
pub(super) unsafe fn init(ubuf: *mut bindings::ubuf_info) {
    const FLAGS: u32 =
        bindings::SKBFL_ZEROCOPY_ENABLE | bindings::SKBFL_SHARED_FRAG | bindings::SKBFL_DONT_ORPHAN;

    // SAFETY: By the safety requirements of this function.
    unsafe {
        (*ubuf).ops = &raw const UBUF_OPS;
        (*ubuf).flags = FLAGS as u8;
    }
}

/// Which notifiers a notifier follows, and which follow it.
///
/// # Invariants
///
/// `followers` is a list of notifiers by their `sibling`; each belongs to a reference to it. A
/// notifier is on one list at most: that of `follows`, unless it is NULL.
pub(super) struct Order {
    is_final: Atomic<bool>,
    /// It has followed another one, maybe doesn't any more.
    has_followed: Atomic<bool>,
    /// The network stack copied bytes of an skb that carries the notifier, or the one it followed.
    skb_copied: Atomic<bool>,
    follows: Atomic<*mut Notifier>,
    sibling: Opaque<bindings::llist_node>,
    followers: Opaque<bindings::llist_head>,
}

impl Order {
    pub(super) fn new() -> Self {
        Self {
            is_final: Atomic::new(false),
            has_followed: Atomic::new(false),
            skb_copied: Atomic::new(false),
            follows: Atomic::new(null_mut()),
            sibling: Opaque::zeroed(),
            followers: Opaque::zeroed(),
        }
    }

    /// For a notifier that is about to be shared. Both lists are empty by then.
    #[inline]
    pub(super) fn reset(&mut self) {
        *self.is_final.get_mut() = false;
        *self.has_followed.get_mut() = false;
        *self.skb_copied.get_mut() = false;
    }

    #[inline]
    pub(super) fn has_followed(&self) -> bool {
        self.has_followed.load(Relaxed)
    }

    #[inline]
    pub(super) fn skb_copied(&self) -> bool {
        self.skb_copied.load(Relaxed)
    }

    #[inline]
    pub(super) fn set_final(&self) {
        self.is_final.store(true, Release);
    }

    /// For a notifier that has been released, so that nobody can begin to follow it. If bytes in an
    /// skb of its own were copied, those of its followers may have been.
    #[inline]
    pub(super) fn take_followers(&mut self) -> Option<Followers> {
        // SAFETY: The list is valid, an empty one is zero. Nobody else has it.
        let first = unsafe { (*self.followers.get()).first };
        (!first.is_null()).then(|| self.take_some_followers())
    }

    #[cold]
    fn take_some_followers(&self) -> Followers {
        // SAFETY: The list is valid, an empty one is zero.
        let followers = Followers(unsafe { bindings::llist_del_all(self.followers.get()) });
        if self.skb_copied() {
            followers.each(|follower| follower.order.skb_copied.store(true, Relaxed));
        }
        followers
    }
}

/// Notifiers whose references are to be given back.
///
/// # Invariants
///
/// A list of notifiers by their `sibling`; with each comes a reference to it.
#[must_use = "they are never released otherwise"]
pub(crate) struct Followers(*mut bindings::llist_node);

/// The notifier that is on a list of followers.
///
/// # Safety
///
/// `node` must be on such a list.
unsafe fn on_list(node: NonNull<bindings::llist_node>) -> NonNull<Notifier> {
    let sibling: *mut Opaque<bindings::llist_node> = node.as_ptr().cast();
    // SAFETY: On the lists are the nodes of notifiers. `Opaque` is transparent.
    unsafe {
        let order = kernel::container_of!(sibling, Order, sibling);
        NonNull::new_unchecked(kernel::container_of!(order, Notifier, order))
    }
}

impl Followers {
    /// Gives them their references back, and passes those that had no other to `sink`. They may have
    /// followers themselves.
    pub(crate) fn release(mut self, mut sink: impl FnMut(Owned)) {
        while let Some(follower) = self.pop() {
            // SAFETY: `pop()` passes a reference.
            if let Some(mut owned) = unsafe { Owned::put(follower) } {
                if let Some(others) = owned.take_followers() {
                    self.prepend(others);
                }
                sink(owned);
            }
        }
    }

    /// The next of them, with a reference that the caller owns.
    fn pop(&mut self) -> Option<NonNull<Notifier>> {
        let node = NonNull::new(self.0)?;
        // SAFETY: The node is on the list.
        let follower = unsafe { on_list(node) };
        // SAFETY: A reference keeps the notifier that the node is part of.
        self.0 = unsafe { (*node.as_ptr()).next };
        // It may be followed by others now, and follow another one.
        // SAFETY: As above.
        unsafe { follower.as_ref() }
            .order
            .follows
            .store(null_mut(), Release);
        Some(follower)
    }

    /// Adds those of another list, which come first.
    fn prepend(&mut self, other: Followers) {
        let mut last = other.0;
        if last.is_null() {
            return;
        }
        // SAFETY: References keep the notifiers on the list.
        unsafe {
            while !(*last).next.is_null() {
                last = (*last).next;
            }
            (*last).next = self.0;
        }
        self.0 = other.0;
    }

    fn each(&self, f: impl Fn(&Notifier)) {
        let mut next = NonNull::new(self.0);
        while let Some(node) = next {
            // SAFETY: The node is on the list, and a reference keeps the notifier.
            f(unsafe { on_list(node).as_ref() });
            // SAFETY: As above.
            next = NonNull::new(unsafe { node.as_ref() }.next);
        }
    }
}

impl Notifier {
    /// Makes the notifier follow `older`, which an skb carries.
    fn follow(&self, older: &Notifier) -> Result {
        if !older.order.is_final.load(Acquire) || older.ctx != self.ctx || older.id() >= self.id() {
            return Err(EEXIST);
        }
        let older_ptr = core::ptr::from_ref(older).cast_mut();
        match self.order.follows.cmpxchg(null_mut(), older_ptr, Full) {
            Ok(_) => {
                self.refcnt().inc();
                self.order.has_followed.store(true, Relaxed);
                // SAFETY: Both are valid, and `sibling` is on no list, as this one followed none.
                unsafe {
                    bindings::llist_add(self.order.sibling.get(), older.order.followers.get())
                };
                Ok(())
            }
            Err(follows) if follows == older_ptr => Ok(()),
            Err(_) => Err(EEXIST),
        }
    }
}

/// Takes the notifier of a `ubuf_info`.
///
/// # Safety
///
/// `ubuf` must be that of a notifier that stays shared as long as the result is used.
#[inline]
unsafe fn notifier<'a>(ubuf: *mut bindings::ubuf_info) -> &'a Notifier {
    // SAFETY: The `ubuf_info` is at the beginning of a notifier.
    unsafe { &*ubuf.cast::<Notifier>() }
}

/// `io_notif_ops::complete`: an skb is done with the notifier's pages.
///
/// Any context, softirq included, with preemption disabled.
///
/// # Safety
///
/// `ubuf` must be a notifier's, and the caller gives up a reference to it.
pub(crate) unsafe extern "C" fn complete(ubuf: *mut bindings::ubuf_info, success: bool) {
    if !success {
        // SAFETY: The caller's reference keeps the notifier shared.
        unsafe { notifier(ubuf) }
            .order
            .skb_copied
            .store(true, Relaxed);
    }
    // SAFETY: The caller gives up its reference.
    let last = unsafe { Owned::put(NonNull::new_unchecked(ubuf.cast())) };
    if let Some(owned) = last {
        owned.release_remote();
    }
}

/// `ubuf_info_ops::link_skb`: a request is about to add pages to `skb`.
///
/// Task context, with the socket locked.
///
/// # Safety
///
/// `ubuf` must be that of a notifier that the request is attached to.
unsafe extern "C" fn link_skb(
    skb: *mut bindings::sk_buff,
    ubuf: *mut bindings::ubuf_info,
) -> c_int {
    // SAFETY: The caller passes a valid skb.
    let carried = unsafe { bindings::skb_zcopy(skb) };
    if carried == ubuf {
        return 0;
    }
    // SAFETY: The request that is attached keeps the notifier shared.
    let this = unsafe { notifier(ubuf) };
    if carried.is_null() {
        this.refcnt().inc();
        // SAFETY: The skb carries none, and gets the reference just taken.
        unsafe { bindings::skb_zcopy_init(skb, ubuf) };
        return 0;
    }
    // SAFETY: The skb's reference keeps what it carries.
    if unsafe { (*carried).ops } != &raw const UBUF_OPS {
        return EEXIST.to_errno();
    }
    // SAFETY: As above, and by its operations it is a notifier's.
    let older = unsafe { notifier(carried) };
    this.follow(older).map_or_else(|e| e.to_errno(), |()| 0)
}
