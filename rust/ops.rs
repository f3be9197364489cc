// SPDX-License-Identifier: GPL-2.0

//! What io_uring calls: `struct io_notif_ops`.
//!
//! Every function here is called in task context with the `uring_lock` of the ring held, see
//! [`io_uring/notif/shim/ops.h`](srctree/io_uring/notif/shim/ops.h).

mod kbuf;
mod request;

use crate::{
    inflight::Route,
    ring::Ring,
    sys::{
        self,
        Chain,
        CqLocked,
        Ids,
        Locked, //
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
    error::to_result,
    prelude::*,
    seq_file::SeqFile,
    uaccess::UserPtr, //
};

/// The table of operations that io_uring knows of.
pub(crate) struct Registered(KBox<bindings::io_notif_ops>);

// SAFETY: The table is only read, and unregistered from any task.
unsafe impl Send for Registered {}

// SAFETY: As above.
unsafe impl Sync for Registered {}

impl Registered {
    /// Registers the module. Fails with `EBUSY` if there's another one.
    pub(crate) fn new(module: &'static ThisModule) -> Result<Self> {
        let ops = KBox::new(
            bindings::io_notif_ops {
                owner: module.as_ptr(),
                register_slots: Some(register_slots),
                unregister_slots: Some(unregister_slots),
                exit: Some(exit),
                update: Some(update),
                attach: Some(request::attach),
                pin: Some(request::pin),
                detach: Some(request::detach),
                detach_bearer: Some(request::detach_bearer),
                deliver: Some(deliver),
                deliver_link: Some(deliver_link),
                post: Some(post),
                settle: Some(settle),
                divert: Some(divert),
                free: Some(free),
                show: Some(show),
                kbuf_quota: Some(kbuf::quota),
                kbuf_place: Some(kbuf::place),
                kbuf_fill: Some(kbuf::fill),
                kbuf_admit: Some(kbuf::admit),
                kbuf_release: Some(kbuf::release),
                kbuf_count: Some(kbuf::count),
                kbuf_put: Some(kbuf::put),
                complete: Some(sys::complete),
                complete_link: Some(sys::complete_link),
            },
            GFP_KERNEL,
        )?;
        // SAFETY: The table stays until it is unregistered.
        to_result(unsafe { bindings::io_notif_ops_register(&raw const *ops) })?;
        Ok(Self(ops))
    }
}

impl Drop for Registered {
    fn drop(&mut self) {
        // SAFETY: The table was registered.
        unsafe { bindings::io_notif_ops_unregister(&raw const *self.0) }
    }
}

/// Calls `f` for the slots of a ring, which are bound to a `'ring` that no other call knows of.
///
/// # Safety
///
/// `ctx` must be valid with its `uring_lock` held and `ctx->notif` set, and the caller must not
/// call this function in `f`.
#[inline(always)]
unsafe fn with_ring<T>(
    ctx: *mut bindings::io_ring_ctx,
    f: impl for<'ring> FnOnce(&mut Ring<'ring>, &mut Locked<'ring>) -> T,
) -> T {
    // SAFETY: `ctx->notif` is set by `register_slots()` and only used with the lock held, by one
    // call at a time. All that is bound to it is of the ring.
    let ring = unsafe { &mut *bindings::io_notif_ctx_ring(ctx).cast::<Ring<'_>>() };
    // SAFETY: The caller holds the lock as long as we are here, where the ring is valid.
    let mut lock = unsafe { Locked::assume(ctx) };
    f(ring, &mut lock)
}

impl Route {
    /// `remote`: completions of the caller's context aren't flushed.
    #[inline]
    fn new(remote: bool) -> Self {
        match remote {
            true => Self::Lane,
            false => Self::Inline,
        }
    }
}

fn to_int(result: Result) -> c_int {
    result.map_or_else(|e| e.to_errno(), |()| 0)
}

/// # Safety
///
/// See the module; `ctx->notif` may be NULL.
unsafe extern "C" fn register_slots(
    ctx: *mut bindings::io_ring_ctx,
    arg: *mut c_void,
    size: c_uint,
) -> c_int {
    let (arg, size) = (UserPtr::from_ptr(arg), size as usize);

    // SAFETY: The caller passes a valid ring.
    let is_new = unsafe { bindings::io_notif_ctx_ring(ctx) }.is_null();
    if is_new {
        // SAFETY: There is nothing of the ring's yet.
        let ids = unsafe { Ids::new() };
        let Ok(ring) = KBox::new(Ring::new(ids), GFP_KERNEL_ACCOUNT) else {
            return ENOMEM.to_errno();
        };
        // SAFETY: The caller passes a valid ring, and holds the lock.
        unsafe { bindings::io_notif_ctx_set_ring(ctx, KBox::into_raw(ring).cast()) };
    }
    // SAFETY: The caller holds the lock, and there is `ctx->notif`.
    let result = unsafe { with_ring(ctx, |ring, lock| ring.register(arg, size, lock)) };
    if is_new && result.is_err() {
        // SAFETY: The caller holds the lock, and nobody has seen `ctx->notif`.
        unsafe { free(ctx) };
    }
    to_int(result)
}

/// # Safety
///
/// See the module.
unsafe extern "C" fn unregister_slots(ctx: *mut bindings::io_ring_ctx) -> c_int {
    // SAFETY: The caller holds the lock, and there is `ctx->notif`.
    unsafe {
        with_ring(ctx, |ring, lock| match ring.unregister(lock) {
            Ok(()) => ring.is_done().into(),
            Err(e) => e.to_errno(),
        })
    }
}

/// # Safety
///
/// See the module.
unsafe extern "C" fn exit(ctx: *mut bindings::io_ring_ctx) -> bool {
    // SAFETY: The caller holds the lock, and there is `ctx->notif`.
    unsafe {
        with_ring(ctx, |ring, lock| {
            // Without slots there are notifiers in flight.
            let _ = ring.unregister(lock);
            ring.is_done()
        })
    }
}

/// # Safety
///
/// See the module.
unsafe extern "C" fn update(
    ctx: *mut bindings::io_ring_ctx,
    off: u32,
    len: u32,
    tag: u64,
    remote: bool,
) -> c_int {
    // SAFETY: The caller holds the lock, and there is `ctx->notif`.
    let result = unsafe {
        with_ring(ctx, |ring, lock| {
            ring.update(off, len, tag, Route::new(remote), lock)
        })
    };
    // There are IORING_MAX_NOTIF_SLOTS at most.
    result.map_or_else(|e| e.to_errno(), |nr| nr as c_int)
}

/// # Safety
///
/// See the module. The list from `first` to `last` is of notifiers that came by a lane of the ring,
/// and the caller gives them up.
unsafe extern "C" fn deliver(
    ctx: *mut bindings::io_ring_ctx,
    first: *mut bindings::llist_node,
    last: *mut bindings::llist_node,
) {
    // SAFETY: The caller holds the lock, and there is `ctx->notif` while a notifier is in flight.
    // What came by the lane has completed.
    unsafe {
        with_ring(ctx, |ring, lock| {
            ring.deliver(Chain::from_raw(first, last), lock)
        })
    }
}

/// # Safety
///
/// See the module. `link` came by a lane of the ring, and the caller gives it up.
unsafe extern "C" fn deliver_link(
    ctx: *mut bindings::io_ring_ctx,
    link: *mut bindings::io_notif_link,
) {
    // SAFETY: The caller holds the lock, and there is `ctx->notif` while the link has notifiers,
    // which are all of the ring.
    unsafe {
        with_ring(ctx, |ring, lock| {
            ring.deliver(sys::end_link(link, lock), lock)
        })
    }
}

/// # Safety
///
/// See the module. The CQ of the ring is locked.
unsafe extern "C" fn post(ctx: *mut bindings::io_ring_ctx) -> bool {
    // SAFETY: The caller holds the lock, and there is `ctx->notif`. This is `io_notif_ops::post`.
    unsafe { with_ring(ctx, |ring, lock| ring.post(&mut CqLocked::assume(lock))) }
}

/// # Safety
///
/// See the module.
unsafe extern "C" fn settle(ctx: *mut bindings::io_ring_ctx) -> c_uint {
    // SAFETY: The caller holds the lock, and there is `ctx->notif`.
    unsafe {
        with_ring(ctx, |ring, lock| {
            if ring.settle(lock) {
                bindings::IO_NOTIF_MORE
            } else if ring.is_done() {
                bindings::IO_NOTIF_DONE
            } else {
                0
            }
        })
    }
}

/// # Safety
///
/// See the module.
unsafe extern "C" fn divert(ctx: *mut bindings::io_ring_ctx) {
    // SAFETY: The caller holds the lock, and there is `ctx->notif`.
    unsafe { with_ring(ctx, |ring, lock| ring.divert(lock)) }
}

/// # Safety
///
/// See the module. The caller won't use `ctx->notif` any more.
unsafe extern "C" fn free(ctx: *mut bindings::io_ring_ctx) {
    // SAFETY: `register_slots()` made it from a box.
    drop(unsafe { KBox::<Ring<'_>>::from_raw(bindings::io_notif_ctx_ring(ctx).cast()) });
    // SAFETY: The caller passes a valid ring, and holds the lock.
    unsafe { bindings::io_notif_ctx_set_ring(ctx, null_mut()) };
}

/// # Safety
///
/// See the module. The caller has `m` for itself.
unsafe extern "C" fn show(ctx: *mut bindings::io_ring_ctx, m: *mut bindings::seq_file) {
    // SAFETY: The caller passes a valid seq_file that nobody else uses.
    let m = unsafe { SeqFile::from_raw(m) };
    // SAFETY: The caller holds the lock, and there is `ctx->notif`.
    unsafe { with_ring(ctx, |ring, lock| ring.show(m, lock)) }
}
