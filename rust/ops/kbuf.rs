// SPDX-License-Identifier: GPL-2.0

//! What io_uring calls for kernel-owned buffers: the `kbuf_*` of `struct io_notif_ops`.
//!
//! All in task context; only [`quota`] needs the `uring_lock`. A pointer to a quota is one that
//! [`quota`] gave, with the reference of its ring or of a buffer.

use crate::{
    kbuf::{
        Filling,
        Place, //
    },
    sys::{
        put_quota,
        Locked,
        Quota,
        Sealed, //
    },
};
use core::{
    ffi::{
        c_int,
        c_uint,
        c_void, //
    },
    ptr::null_mut, //
};
use kernel::{
    bindings,
    prelude::*,
    sync::{
        Arc,
        ArcBorrow, //
    },
};

use super::to_int;

/// # Safety
///
/// `ctx` must be valid with its `uring_lock` held, and not be used by the module at the time.
pub(super) unsafe extern "C" fn quota(
    ctx: *mut bindings::io_ring_ctx,
) -> *mut bindings::io_kbuf_quota {
    // SAFETY: By the safety requirements of this function.
    let lock = unsafe { Locked::assume(ctx) };
    Quota::new(&lock).map_or(null_mut(), |quota| Arc::into_raw(quota).cast_mut().cast())
}

/// # Safety
///
/// None: the arguments are values.
pub(super) unsafe extern "C" fn place(place: bindings::io_kbuf_place, replace: bool) -> c_int {
    let place = match place {
        bindings::io_kbuf_place_IO_KBUF_PLACE_EMPTY => Place::Empty,
        bindings::io_kbuf_place_IO_KBUF_PLACE_TAKEN => Place::Taken,
        _ => Place::Other,
    };
    to_int(place.admit(replace))
}

/// # Safety
///
/// See the module. `take`, `source` and `from` must be what `io_kbuf_run()` takes.
pub(super) unsafe extern "C" fn fill(
    quota: *mut bindings::io_kbuf_quota,
    take: *mut bindings::io_kbuf_take,
    source: bindings::io_kbuf_source,
    from: *mut c_void,
) -> isize {
    // SAFETY: The caller has a reference to the quota.
    let quota = unsafe { ArcBorrow::<'_, Quota>::from_raw(quota.cast()) };
    let mut filling = Filling::new(quota.into());
    // SAFETY: The arguments are the caller's. `filling` is used by `admit()` only meanwhile.
    let taken = unsafe { bindings::io_kbuf_run(take, source, from, (&raw mut filling).cast()) };
    if taken <= 0 {
        return taken;
    }
    // SAFETY: The caller passes a valid `take` that nobody else uses.
    let spare = unsafe { (*take).spare };
    let Some(sealed) = filling.seal(spare) else {
        return EINVAL.to_errno() as isize;
    };
    // The reference to the quota is the buffer's now.
    let (_, pages) = sealed.into_raw();
    // SAFETY: The caller passes a valid `take` that nobody else uses.
    unsafe { (*take).nr_pages = pages };
    taken
}

/// # Safety
///
/// Must be called in `io_kbuf_run()`, with the `filling` that it got, by one caller at a time.
pub(super) unsafe extern "C" fn admit(
    filling: *mut bindings::io_kbuf_filling,
    nr_pages: c_uint,
) -> c_int {
    // SAFETY: It is the one of `fill()`, which waits for `io_kbuf_run()`.
    let filling = unsafe { &mut *filling.cast::<Filling>() };
    filling
        .admit(nr_pages)
        .map_or_else(|error| error.to_errno(), |nr_pages| nr_pages as c_int)
}

/// # Safety
///
/// See the module. The buffer must have been filled, with so many pages, and is released once.
pub(super) unsafe extern "C" fn release(
    quota: *mut bindings::io_kbuf_quota,
    nr_pages: c_uint,
) -> bool {
    // SAFETY: `fill()` gave them away, for this buffer.
    unsafe { Sealed::from_raw(quota.cast(), nr_pages) }.release()
}

/// # Safety
///
/// See the module. `buffers` and `pages` must be valid for a write.
pub(super) unsafe extern "C" fn count(
    quota: *const bindings::io_kbuf_quota,
    buffers: *mut usize,
    pages: *mut usize,
) {
    // SAFETY: The caller has a reference to the quota.
    let quota = unsafe { ArcBorrow::<'_, Quota>::from_raw(quota.cast()) };
    // SAFETY: By the safety requirements of this function.
    unsafe {
        *buffers = quota.buffers();
        *pages = quota.pages();
    }
}

/// # Safety
///
/// See the module. The ring gives its reference up.
pub(super) unsafe extern "C" fn put(quota: *mut bindings::io_kbuf_quota) -> bool {
    // SAFETY: By the safety requirements of this function.
    put_quota(unsafe { Arc::from_raw(quota.cast_const().cast::<Quota>()) })
}
