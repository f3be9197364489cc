// SPDX-License-Identifier: GPL-2.0

//! Tracepoints: `/sys/kernel/tracing/events/io_uring_notif/`.
//!
//! C header: [`io_uring/notif/shim/trace.h`](srctree/io_uring/notif/shim/trace.h)

use super::Locked;
use kernel::{
    bindings,
    ffi::c_uint,
    tracepoint::declare_trace, //
};

declare_trace! {
    /// # Safety
    ///
    /// None: the ring is an address to be printed.
    unsafe fn io_uring_notif_attach(
        ctx: *mut bindings::io_ring_ctx,
        slot: c_uint,
        notif: u64,
        attached: u64,
        len: usize,
    );
    /// # Safety
    ///
    /// As above.
    unsafe fn io_uring_notif_flush(
        ctx: *mut bindings::io_ring_ctx,
        slot: c_uint,
        notif: u64,
        seq: u32,
        attached: u64,
    );
    /// # Safety
    ///
    /// As above.
    unsafe fn io_uring_notif_complete(
        ctx: *mut bindings::io_ring_ctx,
        notif: u64,
        tag: u64,
        res: i32,
        cflags: u32,
    );
}

/// Whether somebody wants to know of an event.
macro_rules! is_enabled {
    ($event:ident) => {{
        #[cfg(CONFIG_TRACEPOINTS)]
        // SAFETY: It's always okay to query the static key of a tracepoint.
        let enabled = unsafe {
            kernel::jump_label::static_branch_unlikely!(bindings::$event, bindings::tracepoint, key)
        };
        #[cfg(not(CONFIG_TRACEPOINTS))]
        let enabled = false;
        enabled
    }};
}

/// Whether somebody wants to know of requests that attach.
#[inline(always)]
pub(crate) fn attach_is_enabled() -> bool {
    is_enabled!(__tracepoint_io_uring_notif_attach)
}

/// Whether somebody wants to know of notifiers that are flushed.
#[inline(always)]
pub(crate) fn flush_is_enabled() -> bool {
    is_enabled!(__tracepoint_io_uring_notif_flush)
}

/// A request of `len` bytes has attached to the notifier `id` in `slot`, as number `attached`.
#[inline(always)]
pub(crate) fn attach(lock: &Locked<'_>, slot: u16, id: u64, attached: u64, len: usize) {
    // SAFETY: There are no requirements.
    unsafe { io_uring_notif_attach(lock.ctx(), slot.into(), id, attached, len) }
}

/// The notifier `id`, to which `attached` requests have attached, has left `slot` with number
/// `seq`.
#[inline(always)]
pub(crate) fn flush(lock: &Locked<'_>, slot: u16, id: u64, seq: u32, attached: u64) {
    // SAFETY: There are no requirements.
    unsafe { io_uring_notif_flush(lock.ctx(), slot.into(), id, seq, attached) }
}

/// The CQE of the notifier `id` has been posted.
#[inline(always)]
pub(crate) fn complete(lock: &Locked<'_>, id: u64, tag: u64, res: i32, cflags: u32) {
    // SAFETY: There are no requirements.
    unsafe { io_uring_notif_complete(lock.ctx(), id, tag, res, cflags) }
}
