// SPDX-License-Identifier: GPL-2.0

//! What io_uring calls for a request: the hot part of `struct io_notif_ops`.
//!
//! What nearly all requests do needs no stack, and calls nothing; the rest is in functions of its
//! own, to be called last. As for all of the table, the caller holds the ring's `uring_lock`.

use super::{
    to_int,
    to_where,
    with_ring, //
};
use crate::{
    notifier::Attached,
    ring::{
        Request,
        Ring, //
    },
    sys::{
        Buffer,
        Ctx,
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
unsafe fn peek(notif: *mut bindings::io_notif_head) -> ManuallyDrop<Attached> {
    // SAFETY: By the safety requirements of this function.
    let handle = unsafe { Handle::peek(notif) };
    ManuallyDrop::new(Attached::from_handle(ManuallyDrop::into_inner(handle)))
}

impl Request {
    #[inline]
    fn new(len: usize, flags: c_uint) -> Self {
        Self {
            len,
            account: flags & bindings::IO_NOTIF_ACCOUNT != 0,
            report: flags & bindings::IO_NOTIF_REPORT != 0,
        }
    }
}

type Attach = unsafe extern "C" fn(
    *mut bindings::io_ring_ctx,
    c_uint,
    usize,
    c_uint,
) -> *mut bindings::io_notif_head;

/// Tries one way to attach a request, and leaves it to `next` if that isn't for this one.
///
/// # Safety
///
/// See [`super`].
#[inline(always)]
unsafe fn attach_or(
    ctx: *mut bindings::io_ring_ctx,
    idx: c_uint,
    len: usize,
    flags: c_uint,
    way: impl FnOnce(&mut Ring, u16, &Request, &mut Locked) -> Option<Attached>,
    next: Attach,
) -> *mut bindings::io_notif_head {
    let request = Request::new(len, flags);
    // SAFETY: The caller holds the lock, and there is `ctx->notif`.
    match unsafe { with_ring(ctx, |ring, lock| way(ring, idx as u16, &request, lock)) } {
        Some(attached) => attached.into_handle().into_raw(),
        // SAFETY: By the safety requirements of this function.
        None => unsafe { next(ctx, idx, len, flags) },
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
) -> *mut bindings::io_notif_head {
    let way = Ring::attach_another::<false>;
    // SAFETY: By the safety requirements of this function.
    unsafe { attach_or(ctx, idx, len, flags, way, attach_not_another) }
}

/// # Safety
///
/// See [`super`].
#[inline(always)]
unsafe extern "C" fn attach_not_another(
    ctx: *mut bindings::io_ring_ctx,
    idx: c_uint,
    len: usize,
    flags: c_uint,
) -> *mut bindings::io_notif_head {
    match flags & bindings::IO_NOTIF_ACCOUNT {
        // SAFETY: By the safety requirements of this function.
        0 => unsafe { attach_next(ctx, idx, len, flags) },
        // SAFETY: As above.
        _ => unsafe { attach_accounted(ctx, idx, len, flags) },
    }
}

/// Not part of [`attach`], which needs no stack without it.
///
/// # Safety
///
/// See [`super`].
#[inline(never)]
unsafe extern "C" fn attach_accounted(
    ctx: *mut bindings::io_ring_ctx,
    idx: c_uint,
    len: usize,
    flags: c_uint,
) -> *mut bindings::io_notif_head {
    let way = Ring::attach_another::<true>;
    // SAFETY: By the safety requirements of this function.
    unsafe { attach_or(ctx, idx, len, flags, way, attach_next) }
}

/// Not part of [`attach`] and [`attach_accounted`], which need less stack without it.
///
/// # Safety
///
/// See [`super`].
#[inline(never)]
unsafe extern "C" fn attach_next(
    ctx: *mut bindings::io_ring_ctx,
    idx: c_uint,
    len: usize,
    flags: c_uint,
) -> *mut bindings::io_notif_head {
    // SAFETY: By the safety requirements of this function.
    unsafe { attach_or(ctx, idx, len, flags, Ring::attach_next, attach_slowly) }
}

/// What is left to do: not part of [`attach_next`], which needs less stack without it.
///
/// # Safety
///
/// See [`super`].
#[inline(never)]
unsafe extern "C" fn attach_slowly(
    ctx: *mut bindings::io_ring_ctx,
    idx: c_uint,
    len: usize,
    flags: c_uint,
) -> *mut bindings::io_notif_head {
    let request = Request::new(len, flags);
    // SAFETY: The caller holds the lock, and there is `ctx->notif`.
    let attached = unsafe { with_ring(ctx, |ring, lock| ring.attach(idx as u16, request, lock)) };
    match attached {
        Ok(attached) => attached.into_handle().into_raw(),
        Err(e) => e.to_ptr(),
    }
}

/// # Safety
///
/// See [`super`]. A request is attached to `notif`, and the caller gives up a reference to `node`, a
/// registered buffer of the ring's.
pub(super) unsafe extern "C" fn pin(
    ctx: *mut bindings::io_ring_ctx,
    notif: *mut bindings::io_notif_head,
    node: *mut bindings::io_rsrc_node,
) -> c_int {
    // SAFETY: The request stays attached.
    let request = unsafe { peek(notif) };
    // SAFETY: The caller passes a reference.
    let buffer = unsafe { Buffer::from_raw(node) };
    // SAFETY: The caller holds the lock, and there is `ctx->notif`.
    match unsafe { with_ring(ctx, |_, lock| request.keep(buffer, lock)) } {
        Ok(()) => 0,
        // SAFETY: By the safety requirements of this function; the reference is what comes back.
        Err(buffer) => unsafe { pin_slowly(ctx, notif, buffer.into_raw()) },
    }
}

/// Not part of [`pin`], which needs no stack without it.
///
/// # Safety
///
/// As for [`pin`].
#[inline(never)]
unsafe extern "C" fn pin_slowly(
    ctx: *mut bindings::io_ring_ctx,
    notif: *mut bindings::io_notif_head,
    node: *mut bindings::io_rsrc_node,
) -> c_int {
    // SAFETY: The request stays attached.
    let request = unsafe { peek(notif) };
    // SAFETY: The caller passes a reference.
    let buffer = unsafe { Buffer::from_raw(node) };
    // SAFETY: The caller holds the lock, and there is `ctx->notif`.
    to_int(unsafe { with_ring(ctx, |ring, lock| ring.pin(&request, buffer, lock)) })
}

/// # Safety
///
/// See [`super`]. A request is attached to `notif`, and isn't any more.
pub(super) unsafe extern "C" fn detach(
    ctx: *mut bindings::io_ring_ctx,
    notif: *mut bindings::io_notif_head,
    flags: c_uint,
) {
    if flags & bindings::IO_NOTIF_FLUSH == 0 {
        // SAFETY: The caller gives up what `attach()` returned.
        let request = Attached::from_handle(unsafe { Handle::from_raw(notif) });
        let result = {
            // SAFETY: The caller holds the lock, and there's no other value while this one exists.
            let mut lock = unsafe { Locked::assume(Ctx::from_raw(ctx)) };
            request.detach_one_of_many(&mut lock)
        };
        if let Err(last) = result {
            // SAFETY: By the safety requirements of this function.
            unsafe { detach_last(ctx, last.into_handle().into_raw(), flags) }
        }
    } else {
        // SAFETY: As above.
        unsafe { detach_last(ctx, notif, flags) }
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
    flags: c_uint,
) {
    // SAFETY: The caller gives up what `attach()` returned.
    let request = Attached::from_handle(unsafe { Handle::from_raw(notif) });
    // SAFETY: The caller holds the lock, and there is `ctx->notif`.
    unsafe {
        with_ring(ctx, |ring, lock| {
            if flags & bindings::IO_NOTIF_FLUSH != 0 {
                ring.flush(&request, lock);
            }
            ring.detach(request, to_where(flags), lock);
        })
    }
}

/// # Safety
///
/// See [`super`]. A request is attached to `notif`.
pub(super) unsafe extern "C" fn flush(
    ctx: *mut bindings::io_ring_ctx,
    notif: *mut bindings::io_notif_head,
) {
    // SAFETY: The request stays attached.
    let request = unsafe { peek(notif) };
    // SAFETY: The caller holds the lock, and there is `ctx->notif`.
    unsafe { with_ring(ctx, |ring, lock| ring.flush(&request, lock)) }
}
