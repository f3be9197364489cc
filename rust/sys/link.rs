// SPDX-License-Identifier: GPL-2.0

//! Notifiers that meet in an skb.
//!
//! An skb carries one `ubuf_info`. When a request finds the last skb of its socket carrying that of
//! another notifier, the skb gets a *link*, which has a `ubuf_info` of its own and holds both
//! notifiers; a third is added to the link that is there. So a notifier waits for the skbs that have
//! its pages, and for nothing else: it doesn't matter whether its slot has been flushed, nor of
//! which ring it is.
//!
//! C header: [`include/linux/skbuff.h`](srctree/include/linux/skbuff.h)

use super::{
    memory::Run,
    ubuf::{
        Reference,
        FLAGS,
        UBUF_OPS, //
    },
    Total, //
};
use core::{
    cell::UnsafeCell,
    ffi::c_int, //
};
use kernel::{
    bindings,
    prelude::*,
    sync::{
        atomic::Acquire,
        barrier::{
            smp_mb,
            Read, //
        },
        Refcount, //
    },
    types::Opaque, //
};

static LINK_OPS: bindings::ubuf_info_ops = bindings::ubuf_info_ops {
    complete: Some(bindings::io_notif_link_complete),
    // Nobody passes a link to a socket.
    link_skb: None,
    unlink_skb: None,
};

/// A link holds that many notifiers at most. With the last reference to it all are dropped in one go,
/// maybe in softirq.
const MAX_MEMBERS: usize = 64;

/// The notifiers whose pages an skb has, if they are more than one.
///
/// `ubuf` comes first, as the network stack takes a pointer to it for the link.
///
/// # Invariants
///
/// `ubuf.refcnt` counts the skbs that carry the link. `members` only changes as long as there's just
/// one, which nobody shares, under the lock of its socket.
#[repr(C)]
struct Link {
    ubuf: Opaque<bindings::ubuf_info>,
    members: UnsafeCell<KVec<Reference>>,
}

impl Link {
    /// Makes a link for an skb, of these notifiers, oldest first. Task context, may sleep.
    fn new(members: KVec<Reference>) -> Result<KBox<Self>> {
        let link = KBox::new(
            Self {
                ubuf: Opaque::zeroed(),
                members: UnsafeCell::new(members),
            },
            GFP_KERNEL_ACCOUNT,
        )?;
        // SAFETY: All bit patterns are valid for what is written here, and nobody else knows of it.
        unsafe {
            (*link.ubuf.get()).ops = &raw const LINK_OPS;
            (*link.ubuf.get()).flags = FLAGS as u8;
        }
        link.refcnt().set(1);
        Total::Linked.count();
        Ok(link)
    }

    #[inline]
    fn refcnt(&self) -> &Refcount {
        // SAFETY: `ubuf` is initialised when a `Link` is made. `Refcount` is a transparent wrapper of
        // `refcount_t`.
        unsafe { &*(&raw mut (*self.ubuf.get()).refcnt).cast::<Refcount>() }
    }

    /// The notifiers, oldest first.
    ///
    /// # Safety
    ///
    /// The caller must have a reference to the link that nobody changes it by meanwhile.
    unsafe fn members(&self) -> &KVec<Reference> {
        // SAFETY: By the type invariants and the safety requirements of this function.
        unsafe { &*self.members.get() }
    }
}

/// Has an skb that carries one notifier, or a link, carry that of `ubuf` too: whether it did not before.
/// Fails with `EEXIST`, for a fresh skb, when that can't be.
///
/// # Safety
///
/// As for [`link_skb`]. `carried` must be what the skb carries.
#[cold]
unsafe fn link(
    skb: *mut bindings::sk_buff,
    carried: *mut bindings::ubuf_info,
    ubuf: *mut bindings::ubuf_info,
) -> Result<bool> {
    // SAFETY: The skb's reference keeps what it carries.
    let ops = unsafe { (*carried).ops };
    let mut members = KVec::new();
    // SAFETY: By the operations this is a notifier's or a link's, which the skb keeps. The socket is
    // locked, so that nobody else adds members.
    unsafe {
        if ops == &raw const UBUF_OPS {
            members.reserve(2, GFP_KERNEL_ACCOUNT)?;
            members.push(Reference::new(carried), GFP_KERNEL_ACCOUNT)?;
        } else if ops == &raw const LINK_OPS {
            let link = &*carried.cast::<Link>();
            let old = link.members();
            if old.iter().any(|member| member.ubuf() == ubuf) {
                return Ok(false);
            }
            if old.len() >= MAX_MEMBERS {
                return Err(EEXIST);
            }
            // Acquire, for what another skb's end did with the members.
            if link.refcnt().as_atomic().load(Acquire) == 1 {
                let members = &mut *link.members.get();
                members.push(Reference::new(ubuf), GFP_KERNEL_ACCOUNT)?;
                return Ok(true);
            }
            // The skb was split, and what is added here is none of the other part's.
            members.reserve(old.len() + 1, GFP_KERNEL_ACCOUNT)?;
            for member in old.iter() {
                members.push(member.clone(), GFP_KERNEL_ACCOUNT)?;
            }
        } else {
            return Err(EEXIST);
        }
        members.push(Reference::new(ubuf), GFP_KERNEL_ACCOUNT)?;
        let link = KBox::leak(Link::new(members)?);
        bindings::io_notif_skb_replace(skb, link.ubuf.get());
        // The skb gives up what it carried before.
        if ops == &raw const UBUF_OPS {
            drop(Reference::from_raw(carried));
        } else {
            complete_link(carried, true);
        }
    }
    Ok(true)
}

/// `io_notif_ops::complete_link`: an skb is done with the pages of all notifiers of a link.
///
/// Any context, softirq included, with preemption disabled.
///
/// # Safety
///
/// `ubuf` must be a link's, and the caller gives up a reference to it.
pub(crate) unsafe extern "C" fn complete_link(ubuf: *mut bindings::ubuf_info, success: bool) {
    // SAFETY: The caller's reference keeps the link.
    let link = unsafe { &*ubuf.cast::<Link>() };
    if !success {
        // SAFETY: Nobody adds members by the caller's reference, which is about to go.
        unsafe { link.members() }
            .iter()
            .for_each(Reference::set_copied);
    }
    if link.refcnt().dec_and_test() {
        // SAFETY: That was the last reference to the link, which was leaked from a box.
        let link = unsafe { KBox::<Link>::from_raw(ubuf.cast()) };
        let mut run = Run::new();
        for member in KBox::into_inner(link).members.into_inner() {
            member.put(&mut run);
        }
    }
}

/// `ubuf_info_ops::link_skb`: a request is about to add pages to `skb`. 1: the skb had nothing of the
/// notifier, and [`unlink_skb`] takes it back. 0: it had.
///
/// Task context, with the socket locked. `-EEXIST` asks for a fresh skb.
///
/// # Safety
///
/// `ubuf` must be that of a notifier that the request is attached to, and `skb` the last one of the
/// socket's write queue.
pub(super) unsafe extern "C" fn link_skb(
    skb: *mut bindings::sk_buff,
    ubuf: *mut bindings::ubuf_info,
) -> c_int {
    // SAFETY: The caller passes a valid skb.
    let carried = unsafe { bindings::skb_zcopy(skb) };
    if carried == ubuf {
        return 0;
    }
    // SAFETY: As above. Who has a clone, as of a transmission that failed, looks at what it carries.
    if unsafe { bindings::skb_cloned(skb) } != 0 {
        return EEXIST.to_errno();
    }
    // A clone that is gone may have left a reference to the link, which is looked at from here on.
    smp_mb(Read);
    if carried.is_null() {
        // SAFETY: The request that is attached keeps the notifier shared. The skb carries none, and
        // gets the reference.
        unsafe { bindings::skb_zcopy_init(skb, Reference::new(ubuf).into_raw()) };
        return 1;
    }
    // SAFETY: By the safety requirements of this function.
    match unsafe { link(skb, carried, ubuf) } {
        Ok(is_new) => is_new.into(),
        // Also without memory for a link.
        Err(_) => EEXIST.to_errno(),
    }
}

/// `ubuf_info_ops::unlink_skb`: nothing was added after [`link_skb`] returned 1.
///
/// # Safety
///
/// As for [`link_skb`], which must have returned 1 for both, without a change to the skb since.
pub(super) unsafe extern "C" fn unlink_skb(
    skb: *mut bindings::sk_buff,
    ubuf: *mut bindings::ubuf_info,
) {
    // SAFETY: The caller passes a valid skb.
    let carried = unsafe { bindings::skb_zcopy(skb) };
    if carried == ubuf {
        // SAFETY: The skb is valid, and gives up its reference, which isn't the last one.
        unsafe { bindings::skb_zcopy_clear(skb, true) };
        return;
    }
    // SAFETY: `link_skb()` has added the notifier to the skb's link, which nobody else has.
    let members = unsafe { &mut *(*carried.cast::<Link>()).members.get() };
    let last = members.pop();
    debug_assert!(last.is_some_and(|member| member.ubuf() == ubuf));
}

#[cfg(CONFIG_IO_URING_NOTIF_KUNIT_TEST)]
#[kunit_tests(io_uring_notif_link)]
mod tests {
    use super::*;
    use crate::{
        notifier::State,
        sys::{
            testing::{
                with_test_ring,
                Skb, //
            },
            Handle,
            Idle,
            Ids,
            Lane,
            Locked, //
        }, //
    };
    use core::mem::ManuallyDrop;
    use kernel::sync::atomic::Relaxed;

    fn shared<'ring>(ids: &mut Ids<'ring>, lock: &mut Locked<'ring>) -> Result<Handle<'ring>> {
        let lane = Lane::new(lock)?;
        Ok(Idle::new(lock)?.share(ids.next(), 0, &lane, State::default()))
    }

    fn refs(handle: &Handle<'_>) -> i32 {
        // SAFETY: The handle keeps the notifier.
        let reference = ManuallyDrop::new(unsafe { Reference::from_raw(handle.head().cast()) });
        reference.notifier().refcnt().as_atomic().load(Relaxed)
    }

    fn end<'ring>(handle: Handle<'ring>, lock: &mut Locked<'ring>) -> Result {
        let _idle = handle.put(lock).ok_or(EINVAL)?.settle(lock);
        Ok(())
    }

    #[test]
    fn one_notifier_makes_no_link() -> Result {
        with_test_ring(|lock, mut ids| {
            let (skb, a) = (Skb::new()?, shared(&mut ids, lock)?);
            assert_eq!((skb.link(&a), skb.link(&a)), (1, 0));
            assert_eq!(skb.carried(), a.head().cast());
            assert_eq!(refs(&a), 2);
            drop(skb);
            assert_eq!(refs(&a), 1);
            end(a, lock)
        })
    }

    #[test]
    fn a_link_holds_each_once() -> Result {
        with_test_ring(|lock, mut ids| {
            let (a, b) = (shared(&mut ids, lock)?, shared(&mut ids, lock)?);
            let skb = Skb::new()?;
            for (handle, is_new) in [(&a, 1), (&b, 1), (&a, 0), (&b, 0)] {
                assert_eq!(skb.link(handle), is_new);
            }
            assert_eq!((refs(&a), refs(&b)), (2, 2));
            drop(skb);
            assert_eq!((refs(&a), refs(&b)), (1, 1));
            end(a, lock)?;
            end(b, lock)
        })
    }

    #[test]
    fn what_is_added_after_a_split_is_not_the_other_parts() -> Result {
        with_test_ring(|lock, mut ids| {
            let (a, b) = (shared(&mut ids, lock)?, shared(&mut ids, lock)?);
            let c = shared(&mut ids, lock)?;
            let skb = Skb::new()?;
            assert_eq!((skb.link(&a), skb.link(&b)), (1, 1));
            let split = skb.carried();
            // SAFETY: The skb carries a link. This is the other part's reference.
            unsafe { (*split.cast::<Link>()).refcnt().inc() };
            assert_eq!(skb.link(&c), 1);
            assert_eq!((refs(&a), refs(&b), refs(&c)), (3, 3, 2));
            drop(skb);
            assert_eq!((refs(&a), refs(&b), refs(&c)), (2, 2, 1));
            // SAFETY: The reference taken above.
            unsafe { complete_link(split, false) };
            assert_eq!((refs(&a), refs(&b)), (1, 1));
            let mut copied = [false; 3];
            for (handle, copied) in [a, b, c].into_iter().zip(&mut copied) {
                let completed = handle.put(lock).ok_or(EINVAL)?;
                *copied = completed.was_copied();
                let _idle = completed.settle(lock);
            }
            assert_eq!(copied, [true, true, false]);
            Ok(())
        })
    }

    #[test]
    fn nothing_stays_of_what_is_taken_back() -> Result {
        with_test_ring(|lock, mut ids| {
            let (a, b) = (shared(&mut ids, lock)?, shared(&mut ids, lock)?);
            let skb = Skb::new()?;
            assert_eq!(skb.link(&a), 1);
            // SAFETY: This was just linked.
            unsafe { skb.unlink(&a) };
            assert!(skb.carried().is_null());
            assert_eq!((skb.link(&a), skb.link(&b)), (1, 1));
            // SAFETY: As above.
            unsafe { skb.unlink(&b) };
            assert_eq!((refs(&a), refs(&b)), (2, 1));
            assert_eq!((skb.link(&a), skb.link(&b)), (0, 1));
            drop(skb);
            assert_eq!((refs(&a), refs(&b)), (1, 1));
            end(a, lock)?;
            end(b, lock)
        })
    }

    #[test]
    fn a_full_link_asks_for_a_fresh_skb() -> Result {
        with_test_ring(|lock, mut ids| {
            let skb = Skb::new()?;
            let mut all = KVec::new();
            for _ in 0..=MAX_MEMBERS {
                all.push(shared(&mut ids, lock)?, GFP_KERNEL)?;
            }
            for handle in &all[..MAX_MEMBERS] {
                assert_eq!(skb.link(handle), 1);
            }
            assert_eq!(skb.link(&all[MAX_MEMBERS]), EEXIST.to_errno());
            drop(skb);
            while let Some(handle) = all.pop() {
                end(handle, lock)?;
            }
            Ok(())
        })
    }

    #[test]
    fn others_and_clones_ask_for_a_fresh_skb() -> Result {
        with_test_ring(|lock, mut ids| {
            let (a, b) = (shared(&mut ids, lock)?, shared(&mut ids, lock)?);
            let skb = Skb::new()?;
            assert_eq!(skb.link(&a), 1);
            let clone = skb.try_clone()?;
            assert_eq!(skb.link(&b), EEXIST.to_errno());
            assert_eq!((refs(&a), refs(&b)), (2, 1));
            drop(clone);
            assert_eq!(skb.link(&b), 1);
            drop(skb);
            end(a, lock)?;
            end(b, lock)
        })
    }
}
