// SPDX-License-Identifier: GPL-2.0

//! What is counted of all rings, by CPU: `/sys/kernel/debug/io_uring_notif/totals`.
//!
//! C header: [`io_uring/notif/shim/slot.h`](srctree/io_uring/notif/shim/slot.h)

use kernel::bindings;

/// What is counted.
#[derive(Clone, Copy)]
#[repr(u32)]
pub(crate) enum Total {
    /// Notifiers that were allocated.
    Created = bindings::io_notif_total_IO_NOTIF_CREATED,
    /// Notifiers that came to a slot from the cache.
    Reused = bindings::io_notif_total_IO_NOTIF_REUSED,
    /// Notifiers that a request or a flush completed, where completions are flushed.
    CompletedInline = bindings::io_notif_total_IO_NOTIF_COMPLETED_INLINE,
    /// Notifiers that went by way of task_work.
    CompletedTaskWork = bindings::io_notif_total_IO_NOTIF_COMPLETED_TASK_WORK,
    /// Links that were made, as notifiers met in an skb.
    Linked = bindings::io_notif_total_IO_NOTIF_LINKED,
    /// Notifiers of which bytes were copied.
    Copied = bindings::io_notif_total_IO_NOTIF_COPIED,
}

impl Total {
    /// Counts one more. Any context.
    #[inline]
    pub(crate) fn count(self) {
        // SAFETY: By the definition of the type the total exists.
        unsafe { bindings::io_notif_count(self as u32) }
    }
}
