// SPDX-License-Identifier: GPL-2.0

//! What is counted of all rings, by CPU: `/sys/kernel/debug/io_uring_notif/totals`.
//!
//! C header: [`io_uring/notif/shim/slot.h`](srctree/io_uring/notif/shim/slot.h)

use kernel::{
    bindings,
    debugfs,
    fmt, //
};

/// What is counted.
#[derive(Clone, Copy)]
#[repr(u32)]
pub(crate) enum Total {
    /// Notifiers that were allocated.
    Created = bindings::io_notif_total_IO_NOTIF_CREATED,
    /// Notifiers that came to a slot from the cache.
    Reused = bindings::io_notif_total_IO_NOTIF_REUSED,
    /// Notifiers that a request or a flush released, where completions are flushed.
    CompletedInline = bindings::io_notif_total_IO_NOTIF_COMPLETED_INLINE,
    /// Notifiers that went by way of task_work.
    CompletedTaskWork = bindings::io_notif_total_IO_NOTIF_COMPLETED_TASK_WORK,
    /// Notifiers that followed another one, as they met in an skb.
    Linked = bindings::io_notif_total_IO_NOTIF_LINKED,
    /// Notifiers of which bytes were copied.
    Copied = bindings::io_notif_total_IO_NOTIF_COPIED,
}

impl Total {
    const ALL: [(Self, &'static str); 6] = [
        (Self::Created, "created"),
        (Self::Reused, "reused"),
        (Self::CompletedInline, "completed_inline"),
        (Self::CompletedTaskWork, "completed_task_work"),
        (Self::Linked, "linked"),
        (Self::Copied, "copied"),
    ];

    /// Counts one more. Any context.
    #[inline]
    pub(crate) fn count(self) {
        // SAFETY: By the definition of the type the total exists.
        unsafe { bindings::io_notif_count(self as u32) }
    }

    fn sum(self) -> u64 {
        // SAFETY: By the definition of the type the total exists.
        unsafe { bindings::io_notif_sum(self as u32) }
    }
}

/// The contents of the debugfs file: a line for each total, "name: value".
pub(crate) struct Totals;

impl debugfs::Writer for Totals {
    fn write(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (total, name) in Total::ALL {
            writeln!(f, "{name}: {}", total.sum())?;
        }
        Ok(())
    }
}
