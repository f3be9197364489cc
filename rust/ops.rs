// SPDX-License-Identifier: GPL-2.0

//! What io_uring calls: `struct io_notif_ops`.
//!
//! Every function here is called in task context with the `uring_lock` of the ring held, see
//! [`io_uring/notif/shim/slot.h`](srctree/io_uring/notif/shim/slot.h).

use crate::{
    inflight::Where,
    notifier::{
        Attached,
        Released, //
    },
    ring::{
        Request,
        Ring, //
    },
    sys::{
        self,
        Buffer,
        CqLocked,
        Ctx,
        Handle,
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
    mem::ManuallyDrop,
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
                attach: Some(attach),
                pin: Some(pin),
                detach: Some(detach),
                flush: Some(flush),
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

fn to_where(flags: c_uint) -> Where {
    match flags & bindings::IO_NOTIF_REMOTE {
        0 => Where::Here,
        _ => Where::TaskWork,
    }
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
/// See the module.
unsafe extern "C" fn attach(
    ctx: *mut bindings::io_ring_ctx,
    idx: c_uint,
    len: usize,
    flags: c_uint,
) -> *mut bindings::io_notif_head {
    let request = Request::new(len, flags);
    // SAFETY: The caller holds the lock, and there is `ctx->notif`.
    let attached = unsafe {
        with_ring(ctx, |ring, lock| {
            ring.attach_another(idx as u16, &request, lock)
        })
    };
    match attached {
        Some(attached) => attached.into_handle().into_raw(),
        // SAFETY: By the safety requirements of this function.
        None => unsafe { attach_next(ctx, idx, len, flags) },
    }
}

/// Not part of [`attach`], which needs no stack without it.
///
/// # Safety
///
/// See the module.
#[inline(never)]
unsafe extern "C" fn attach_next(
    ctx: *mut bindings::io_ring_ctx,
    idx: c_uint,
    len: usize,
    flags: c_uint,
) -> *mut bindings::io_notif_head {
    let request = Request::new(len, flags);
    // SAFETY: The caller holds the lock, and there is `ctx->notif`.
    let attached = unsafe {
        with_ring(ctx, |ring, lock| {
            ring.attach_next(idx as u16, &request, lock)
        })
    };
    match attached {
        Some(attached) => attached.into_handle().into_raw(),
        // SAFETY: By the safety requirements of this function.
        None => unsafe { attach_slowly(ctx, idx, len, flags) },
    }
}

/// Not part of [`attach_next`], which needs no stack without it.
///
/// # Safety
///
/// See the module.
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
/// See the module. A request is attached to `notif`, and the caller gives up a reference to `node`, a
/// registered buffer of the ring's.
unsafe extern "C" fn pin(
    ctx: *mut bindings::io_ring_ctx,
    notif: *mut bindings::io_notif_head,
    node: *mut bindings::io_rsrc_node,
) -> c_int {
    // SAFETY: The request stays attached.
    let request = unsafe { peek(notif) };
    // SAFETY: The caller passes a reference.
    let buffer = unsafe { Buffer::from_raw(node) };
    // SAFETY: The caller holds the lock, and there is `ctx->notif`.
    match unsafe { with_ring(ctx, |ring, lock| ring.pin_quickly(&request, buffer, lock)) } {
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
/// See the module. A request is attached to `notif`, and isn't any more.
unsafe extern "C" fn detach(
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
/// See the module. A request is attached to `notif`.
unsafe extern "C" fn flush(ctx: *mut bindings::io_ring_ctx, notif: *mut bindings::io_notif_head) {
    // SAFETY: The request stays attached.
    let request = unsafe { peek(notif) };
    // SAFETY: The caller holds the lock, and there is `ctx->notif`.
    unsafe { with_ring(ctx, |ring, lock| ring.flush(&request, lock)) }
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
