// SPDX-License-Identifier: GPL-2.0

//! What io_uring calls for a request: the hot part of `struct io_notif_ops`.
//!
//! What nearly all requests do needs no stack, and calls nothing; the rest is in functions of its
//! own, to be called last. As for all of the table, the caller holds the ring's `uring_lock`.

use super::{
    to_int,
    with_ring, //
};
use crate::{
    inflight::Route,
    notifier::{
        Attached,
        End, //
    },
    ring::{
        Request,
        Way, //
    },
    sys::{
        Buffer,
        Handle,
        Locked, //
    },
};
use core::{
    ffi::{
        c_int,
        c_uint, //
    },
    mem::ManuallyDrop, //
};
use kernel::bindings;

/// Looks at what a request is attached to, which stays attached.
///
/// # Safety
///
/// As for [`Handle::peek`].
#[inline]
unsafe fn peek<'ring>(
    notif: *mut bindings::io_notif_head,
    _lock: &Locked<'ring>,
) -> ManuallyDrop<Attached<'ring>> {
    // SAFETY: By the safety requirements of this function.
    let handle = unsafe { Handle::peek(notif) };
    ManuallyDrop::new(Attached::from_handle(ManuallyDrop::into_inner(handle)))
}

impl Request {
    #[inline]
    fn new(len: usize, flags: c_uint, pages: usize) -> Self {
        Self {
            len,
            pages,
            report: flags & bindings::IORING_SEND_ZC_REPORT_USAGE != 0,
            flush: flags & bindings::IORING_RECVSEND_NOTIF_FLUSH != 0,
        }
    }
}

/// # Safety
///
/// See [`super`].
pub(super) unsafe extern "C" fn attach(
    ctx: *mut bindings::io_ring_ctx,
    idx: c_uint,
    len: usize,
    flags: c_uint,
    pages: usize,
) -> *mut bindings::io_notif_head {
    let request = Request::new(len, flags, pages);
    // SAFETY: The caller holds the lock, and there is `ctx->notif`.
    let notif = unsafe {
        with_ring(ctx, |ring, lock| {
            let attached = ring.attach_another(idx as u16, &request, lock)?;
            Ok(attached.into_handle().into_raw())
        })
    };
    match notif {
        Ok(notif) => notif,
        // SAFETY: By the safety requirements of this function.
        Err(Way::Only) => unsafe { attach_only(ctx, idx, len, flags, pages) },
        // SAFETY: As above.
        Err(Way::Any) => unsafe { attach_any(ctx, idx, len, flags, pages) },
    }
}

/// Not part of [`attach`], which needs no stack without it.
///
/// # Safety
///
/// See [`super`].
#[inline(never)]
unsafe extern "C" fn attach_only(
    ctx: *mut bindings::io_ring_ctx,
    idx: c_uint,
    len: usize,
    flags: c_uint,
    pages: usize,
) -> *mut bindings::io_notif_head {
    let request = Request::new(len, flags, pages);
    // SAFETY: The caller holds the lock, and there is `ctx->notif`.
    let notif = unsafe {
        with_ring(ctx, |ring, lock| {
            let attached = ring.attach_only(idx as u16, &request, lock)?;
            Some(attached.into_handle().into_raw())
        })
    };
    match notif {
        Some(notif) => notif,
        // SAFETY: By the safety requirements of this function.
        None => unsafe { attach_any(ctx, idx, len, flags, pages) },
    }
}

/// Not part of [`attach_only`], which needs less stack without it.
///
/// # Safety
///
/// See [`super`].
#[inline(never)]
unsafe extern "C" fn attach_any(
    ctx: *mut bindings::io_ring_ctx,
    idx: c_uint,
    len: usize,
    flags: c_uint,
    pages: usize,
) -> *mut bindings::io_notif_head {
    let request = Request::new(len, flags, pages);
    // SAFETY: The caller holds the lock, and there is `ctx->notif`.
    unsafe {
        with_ring(ctx, |ring, lock| {
            match ring.attach(idx as u16, &request, lock) {
                Ok(attached) => attached.into_handle().into_raw(),
                Err(e) => e.to_ptr(),
            }
        })
    }
}

/// # Safety
///
/// See [`super`]. A request is attached to `notif`, and the caller gives up a reference to `node`,
/// a registered buffer of the ring's.
pub(super) unsafe extern "C" fn pin(
    ctx: *mut bindings::io_ring_ctx,
    notif: *mut bindings::io_notif_head,
    node: *mut bindings::io_rsrc_node,
) -> c_int {
    // SAFETY: The caller holds the lock, and there is `ctx->notif`. The request stays attached, and
    // the caller passes a reference to a buffer of the same ring.
    let kept = unsafe {
        with_ring(ctx, |_, lock| {
            let kept = peek(notif, lock).keep(Buffer::from_raw(node), lock);
            kept.map_err(Buffer::into_raw)
        })
    };
    match kept {
        Ok(()) => 0,
        // SAFETY: By the safety requirements of this function; the reference is what comes back.
        Err(node) => unsafe { make_room_and_pin(ctx, notif, node) },
    }
}

/// Not part of [`pin`], which needs no stack without it.
///
/// # Safety
///
/// As for [`pin`].
#[inline(never)]
unsafe extern "C" fn make_room_and_pin(
    ctx: *mut bindings::io_ring_ctx,
    notif: *mut bindings::io_notif_head,
    node: *mut bindings::io_rsrc_node,
) -> c_int {
    // SAFETY: As in `pin()`.
    to_int(unsafe {
        with_ring(ctx, |_, lock| {
            peek(notif, lock).make_room_and_keep(Buffer::from_raw(node), lock)
        })
    })
}

/// # Safety
///
/// See [`super`]. A request is attached to `notif`, and isn't any more.
pub(super) unsafe extern "C" fn detach(
    ctx: *mut bindings::io_ring_ctx,
    notif: *mut bindings::io_notif_head,
    remote: bool,
) {
    // SAFETY: The caller holds the lock, and there is `ctx->notif`. It gives up what `attach()`
    // returned.
    let last = unsafe {
        with_ring(ctx, |_, lock| {
            let request = Attached::from_handle(Handle::from_raw(notif));
            let last = request.detach_one_of_many(lock).err()?;
            Some(last.into_handle().into_raw())
        })
    };
    if let Some(notif) = last {
        // SAFETY: By the safety requirements of this function.
        unsafe { detach_last(ctx, notif, remote) }
    }
}

/// Not part of [`detach`], which needs no stack without it.
///
/// # Safety
///
/// As for [`detach`].
#[inline(never)]
unsafe extern "C" fn detach_last(
    ctx: *mut bindings::io_ring_ctx,
    notif: *mut bindings::io_notif_head,
    remote: bool,
) {
    // SAFETY: As in `detach()`.
    unsafe {
        with_ring(ctx, |ring, lock| {
            let request = Attached::from_handle(Handle::from_raw(notif));
            ring.detach(request, Route::new(remote), lock);
        })
    }
}

/// # Safety
///
/// As for [`detach`]. The request is the notifier's bearer.
pub(super) unsafe extern "C" fn detach_bearer(
    ctx: *mut bindings::io_ring_ctx,
    notif: *mut bindings::io_notif_head,
    user_data: u64,
    res: c_int,
    mute: bool,
    remote: bool,
) {
    let end = End {
        user_data,
        res,
        mute,
    };
    // SAFETY: As in `detach()`.
    unsafe {
        with_ring(ctx, |ring, lock| {
            let request = Attached::from_handle(Handle::from_raw(notif));
            ring.detach_bearer(request, end, Route::new(remote), lock);
        })
    }
}
