// SPDX-License-Identifier: GPL-2.0

//! What io_uring calls: `struct io_notif_ops`.
//!
//! Every function here is called in task context with the `uring_lock` of the ring held, see
//! [`io_uring/notif/shim/slot.h`](srctree/io_uring/notif/shim/slot.h).

mod request;

use crate::{
    inflight::Where,
    notifier::Released,
    ring::Ring,
    sys::{
        self,
        CqLocked,
        Ctx,
        Locked,
        Owned, //
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

/// io_uring knows of the module.
pub(crate) struct Registration(KBox<bindings::io_notif_ops>);

// SAFETY: The table is only read, and unregistered from any task.
unsafe impl Send for Registration {}

// SAFETY: As above.
unsafe impl Sync for Registration {}

impl Registration {
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
                flush: Some(request::flush),
                ready: Some(ready),
                drain: Some(drain),
                post: Some(post),
                release: Some(release),
                show: Some(show),
                complete: Some(sys::complete),
            },
            GFP_KERNEL,
        )?;
        // SAFETY: The table stays until it is unregistered.
        to_result(unsafe { bindings::io_notif_ops_register(&raw const *ops) })?;
        Ok(Self(ops))
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        // SAFETY: The table was registered.
        unsafe { bindings::io_notif_ops_unregister(&raw const *self.0) }
    }
}

/// Calls `f` for the slots of a ring.
///
/// # Safety
///
/// `ctx` must be valid with its `uring_lock` held and `ctx->notif` set, and the caller must not call
/// this function in `f`.
#[inline]
unsafe fn with_ring<T>(
    ctx: *mut bindings::io_ring_ctx,
    f: impl FnOnce(&mut Ring, &mut Locked) -> T,
) -> T {
    // SAFETY: `ctx->notif` is set by `register_slots()` and only used with the lock held, by one
    // call at a time.
    let ring = unsafe { &mut *bindings::io_notif_ctx_ring(ctx).cast::<Ring>() };
    // SAFETY: The caller holds the lock as long as we are here, where the ring is valid.
    let mut lock = unsafe { Locked::assume(Ctx::from_raw(ctx)) };
    f(ring, &mut lock)
}

fn to_where(flags: c_uint) -> Where {
    match flags & bindings::IO_NOTIF_REMOTE {
        0 => Where::Here,
        _ => Where::TaskWork,
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
    if !unsafe { bindings::io_notif_ctx_ring(ctx) }.is_null() {
        // SAFETY: The caller holds the lock, and there is `ctx->notif`.
        return to_int(unsafe { with_ring(ctx, |ring, _| ring.register(arg, size)) });
    }
    // SAFETY: The ring outlives `ctx->notif`.
    let new = KBox::new(Ring::new(unsafe { Ctx::from_raw(ctx) }), GFP_KERNEL_ACCOUNT);
    to_int(new.map_err(Error::from).and_then(|mut ring| {
        ring.register(arg, size)?;
        // SAFETY: The caller passes a valid ring, and holds the lock.
        unsafe { bindings::io_notif_ctx_set_ring(ctx, KBox::into_raw(ring).cast()) };
        Ok(())
    }))
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
    flags: c_uint,
) -> c_int {
    // SAFETY: The caller holds the lock, and there is `ctx->notif`.
    to_int(unsafe {
        with_ring(ctx, |ring, lock| {
            ring.update(off, len, tag, to_where(flags), lock)
        })
    })
}

/// # Safety
///
/// See the module. `kiocb` was queued with `io_notif_queue()`.
unsafe extern "C" fn ready(kiocb: *mut bindings::io_kiocb) {
    // SAFETY: Task_work gives us what was queued.
    let released = Released::from_queue(unsafe { Owned::from_kiocb(kiocb) });
    let ctx = released.ctx().as_ptr();
    // SAFETY: The caller holds the lock, and there is `ctx->notif` while a notifier is in flight.
    unsafe { with_ring(ctx, |ring, lock| ring.ready(released, lock)) }
}

/// # Safety
///
/// See the module, for the ring of the lane, which is run.
unsafe extern "C" fn drain(lane: *mut bindings::io_notif_lane) {
    // SAFETY: The lane is valid, and its notifiers keep the ring.
    unsafe {
        let ctx = (*lane).ctx;
        with_ring(ctx, |ring, lock| {
            sys::drain(lane, |owned| ring.ready(Released::from_queue(owned), lock))
        })
    }
}

/// # Safety
///
/// See the module. The CQ of the ring is locked.
unsafe extern "C" fn post(ctx: *mut bindings::io_ring_ctx) -> bool {
    // SAFETY: This is `io_notif_ops::post`.
    let cq = unsafe { CqLocked::assume() };
    // SAFETY: The caller holds the lock, and there is `ctx->notif`.
    unsafe { with_ring(ctx, |ring, _| ring.post(&cq)) }
}

/// # Safety
///
/// See the module. The caller won't use `ctx->notif` any more.
unsafe extern "C" fn release(ctx: *mut bindings::io_ring_ctx) {
    // SAFETY: `register_slots()` made it from a box.
    drop(unsafe { KBox::<Ring>::from_raw(bindings::io_notif_ctx_ring(ctx).cast()) });
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
