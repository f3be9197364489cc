// SPDX-License-Identifier: GPL-2.0

//! Notifiers that meet in an skb.
//!
//! An skb carries one `ubuf_info`. When a request finds the last skb of its socket carrying that of
//! another notifier, the skb gets a *link*, which has a `ubuf_info` of its own and holds both
//! notifiers; a third is added to the link that is there. So a notifier waits for the skbs that
//! have its pages, and for nothing else: it doesn't matter whether its slot has been flushed, nor
//! of which ring it is.
//!
//! C header: [`include/linux/skbuff.h`](srctree/include/linux/skbuff.h)

use super::{
    members::{
        is_unshared,
        members,
        refcnt,
        Unshared,
        MAX_MEMBERS, //
    },
    ubuf::{
        Reference,
        UBUF_OPS, //
    },
    Total, //
};
use core::{
    ffi::c_int,
    mem::ManuallyDrop, //
};
use kernel::{
    bindings,
    prelude::*,
    sync::barrier::{
        smp_mb,
        Read, //
    }, //
};

static LINK_OPS: bindings::ubuf_info_ops = bindings::ubuf_info_ops {
    complete: Some(bindings::io_notif_link_complete),
    // Nobody passes a link to a socket.
    link_skb: None,
    unlink_skb: None,
};

/// Makes an skb that carries one notifier, or a link, carry that of `ubuf` too; whether it is new
/// there. Fails with `EEXIST`, for a fresh skb, when that can't be.
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
    // SAFETY: By the operations this is a notifier's or a link's, which the skb keeps. The socket
    // is locked, so that nobody else adds members.
    let mut link = unsafe {
        if ops == &raw const UBUF_OPS {
            let mut link = Unshared::with_room(2, &LINK_OPS)?;
            link.push(Reference::new(carried))?;
            link
        } else if ops == &raw const LINK_OPS {
            let old = members(carried);
            // Not taken over: it is the one that keeps the notifier shared for its requests.
            let held = ManuallyDrop::new(Reference::from_raw(ubuf));
            // Nobody has to look for one that no skb has yet.
            if !held.is_only() && old.iter().any(|member| member.ubuf() == ubuf) {
                return Ok(false);
            }
            if old.len() == MAX_MEMBERS {
                return Err(EEXIST);
            }
            if is_unshared(carried) {
                return add(skb, carried, Reference::new(ubuf));
            }
            // The skb was split, and what is added here doesn't belong to the other part.
            let mut link = Unshared::with_room(old.len() + 1, &LINK_OPS)?;
            for member in old {
                link.push(member.clone())?;
            }
            link
        } else {
            return Err(EEXIST);
        }
    };
    // SAFETY: As above. The skb gives up what it carried before.
    unsafe {
        link.push(Reference::new(ubuf))?;
        bindings::io_notif_skb_replace(skb, link.into_raw());
        if ops == &raw const UBUF_OPS {
            drop(Reference::from_raw(carried));
        } else {
            complete_link(carried, true);
        }
    }
    Total::Linked.count();
    Ok(true)
}

/// Adds a notifier to a link that only `skb` carries, which gets it again, as it may move.
///
/// # Safety
///
/// `carried` must be the `ubuf_info` of a link, carried by `skb` and nobody else.
unsafe fn add(
    skb: *mut bindings::sk_buff,
    carried: *mut bindings::ubuf_info,
    member: Reference,
) -> Result<bool> {
    // SAFETY: By the safety requirements of this function. The skb's reference is given back below.
    let mut link = unsafe { Unshared::from_raw(carried) };
    let added = link.push(member);
    // SAFETY: The skb is valid.
    unsafe { bindings::io_notif_skb_replace(skb, link.into_raw()) };
    added.map(|()| true)
}

/// `io_notif_ops::complete_link`: an skb is done with the pages of all notifiers of a link.
///
/// Any context, softirq included, with preemption disabled.
///
/// # Safety
///
/// `ubuf` must be a link's, and the caller gives up a reference to it.
pub(crate) unsafe extern "C" fn complete_link(ubuf: *mut bindings::ubuf_info, success: bool) {
    if !success {
        // SAFETY: Nobody adds members by the caller's reference, which is about to go.
        unsafe { members(ubuf) }
            .iter()
            .for_each(Reference::set_copied);
    }
    // SAFETY: The caller gives up its reference. With the last one the link is ours.
    unsafe {
        if refcnt(ubuf).dec_and_test() {
            Unshared::from_raw(ubuf).end();
        }
    }
}

/// `ubuf_info_ops::link_skb`: a request is about to add pages to `skb`. 1: the skb had nothing of
/// the notifier, and [`unlink_skb`] takes it back. 0: it had.
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
    // SAFETY: As above. The owner of a clone, as of a transmission that failed, looks at what it
    // carries.
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
        unsafe {
            bindings::io_notif_skb_take_back(skb);
            drop(Reference::from_raw(carried));
        }
        return;
    }
    // SAFETY: `link_skb()` has added the notifier to the skb's link, which nobody else has, and
    // which the skb keeps.
    let mut link = ManuallyDrop::new(unsafe { Unshared::from_raw(carried) });
    let last = link.pop();
    debug_assert!(last.is_some_and(|member| member.ubuf() == ubuf));
}

#[cfg(CONFIG_IO_URING_NOTIF_KUNIT_TEST)]
mod tests;
